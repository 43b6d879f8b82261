/*
 * A scripted AMQP broker at the other end of a socketpair, in the same thread and loop as what is tested. By default it answers what a
 * broker answers (handshake, opens, declares, qos, consume, confirm.select, publishes with a confirm), and notes every frame it got; a
 * test turns single answers off and sends its own. No ports, no sleeps: waiting means turning the loop until a condition holds, and
 * fails the test after some seconds.
 */
#ifndef WARREN_TESTS_FAKEBROKER_H
#define WARREN_TESTS_FAKEBROKER_H

#include <amqp.h>

#include "base/list.h"
#include "loop/loop.h"
#include "wire/msg.h"

/* The method id of a heartbeat, for fake_expect. */
#define FAKE_HEARTBEAT 1u

/* What came from the client: a method with its content, or a heartbeat. */
struct fake_in {
	struct list link;
	uint16_t channel;
	uint32_t method;
	void *args;     /* amqp_..._t */
	struct msg msg; /* basic.publish: properties and body; exchange and key too */
	amqp_pool_t pool;
	char *bytes; /* what args points into */
};

struct fake;

/* The broker and a connected socket for the client; the fd is the caller's. */
struct fake *fake_new(struct loop *l, int *client_fd);
/* Hangs up. */
void fake_free(struct fake *f);

/* Switches the automatic answer to a method off and on. Method 0: to all of them. */
void fake_answer(struct fake *f, uint32_t method, bool on);
/* What the handshake offers. */
void fake_tune(struct fake *f, uint16_t channel_max, uint32_t frame_max, uint16_t heartbeat);
/* Bytes to the client go out n at a time, with a turn of the loop after each piece; 0 = all at once. */
void fake_chop(struct fake *f, size_t n);

/* Stops reading, as a broker does that has an alarm or hangs; and goes on. */
void fake_deaf(struct fake *f, bool deaf);

/* Turns the loop until the client has sent this, takes it off the list and returns it; valid until fake_free. */
const struct fake_in *fake_expect(struct fake *f, uint32_t method);
/* The same, but NULL at once when it has not come; reads what is there without turning the loop. */
const struct fake_in *fake_take(struct fake *f, uint32_t method);
/* How many of these wait on the list. */
size_t fake_count(struct fake *f, uint32_t method);
/* Turns the loop until cond(owner). */
void fake_until(struct fake *f, bool (*cond)(void *owner), void *owner);
/* Turns the loop until what was sent has been read by the client and its answers are here. */
void fake_settle(struct fake *f);
/* Turns the loop until the client has hung up. */
void fake_expect_eof(struct fake *f);
/* Channel of the latest channel.open. */
uint16_t fake_last_channel(const struct fake *f);

void fake_send(struct fake *f, uint16_t channel, uint32_t method, void *args);
/* A method with content. frame_max 0 = one frame for the body. */
void fake_send_content(
	struct fake *f, uint16_t channel, uint32_t method, void *args, const struct msg *m, size_t frame_max);
void fake_send_raw(struct fake *f, struct span bytes);
void fake_deliver(struct fake *f, uint16_t channel, const char *consumer, uint64_t tag, const struct msg *m);
void fake_ack(struct fake *f, uint16_t channel, uint64_t tag, bool multiple);
void fake_nack(struct fake *f, uint16_t channel, uint64_t tag, bool multiple);
void fake_return(struct fake *f, uint16_t channel, const struct fake_in *publish);
void fake_close_channel(struct fake *f, uint16_t channel, int code, const char *text, uint32_t method);
void fake_close(struct fake *f, int code, const char *text);
void fake_block(struct fake *f, bool blocked);

#endif
