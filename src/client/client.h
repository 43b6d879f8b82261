/*
 * A producer and reader of results for programs without a loop of their own: it keeps a private loop, and each call turns it until
 * the call's business is done. Sends are pipelined: a call returns as soon as the message is queued, its fate comes to a
 * callback, and nothing counts as sent before the broker has confirmed it. Never exits, never logs.
 *
 * Errors of reaching a server are E_CLOSED, E_TIMEOUT or E_REFUSED, with a text such as
 * "cannot reach amqp://localhost:5672// (connection refused): is RabbitMQ running?".
 */
#ifndef WARREN_CLIENT_CLIENT_H
#define WARREN_CLIENT_CLIENT_H

#include "backend/backend.h"
#include "bus/conn.h"
#include "bus/topo.h"
#include "wire/result.h"
#include "wire/task.h"

struct client;

struct client_conf {
	struct bus_conf broker;      /* name NULL = "warren client" */
	struct backend_conf backend; /* url NULL or "none": no results */
	ms_t connect_ms;             /* to reach a server, all of its URLs together; 0 = 5 s */
	ms_t stall_ms;               /* confirms or answers that do not come: E_TIMEOUT; 0 = 30 s */
	size_t window;               /* messages without a confirm; 0 = 1000 */
	size_t bytes_max;            /* of messages without a confirm; 0 = 64 MiB */
	const char *control_exchange, *event_exchange; /* NULL = as Celery has them by default */
	bool sent_events;                              /* tell monitors of each task that client_send sends */
};

/* conf is copied as far as it is needed later. Dials nothing yet. */
enum err client_new(struct client **out, const struct client_conf *conf, struct errtext *t) MUSTCHECK;
/* Closes in good order; messages without a confirm are given up: client_flush first. NULL is allowed. */
void client_free(struct client *c);

/* --- the broker ---------------------------------------------------------------------------------------------------- */

/* Dials each URL once. No-op when connected. All further calls that need the broker do it by themselves. */
enum err client_connect_broker(struct client *c, struct errtext *t) MUSTCHECK;
/* Valid until the next call. */
const char *client_broker_url(const struct client *c);
const char *client_broker_version(const struct client *c);

/* Makes sure that the queue exists, once per connection and name. */
enum err client_ensure_queue(struct client *c, const struct bus_topo_queue *q, struct errtext *t) MUSTCHECK;

/* What became of one call. `text` says why not: "no queue takes exchange 'x' with key 'k'". Valid during the callback. */
struct client_sent {
	enum err err; /* E_OK confirmed; E_MISSING unroutable; E_REFUSED by the broker */
	const char *text;
	struct span id; /* of the task */
	uint64_t tag;   /* the caller's own */
};
typedef void client_sent_fn(void *owner, const struct client_sent *s);

/*
 * Encodes and queues one task for exchange and key. fn is called once, from this or a later call of the client; it must not call the
 * client. Waits while the window is full. An error means: not queued, fn is not called. E_FORMAT, E_TOOBIG: this task is at
 * fault, others may go on. E_TIMEOUT: the broker stalls.
 */
enum err client_send(struct client *c, const struct task_call *call, struct span exchange,
	struct span routing_key, uint64_t tag, client_sent_fn *fn, void *owner, struct errtext *t) MUSTCHECK;
/* As client_send, for a message that is complete, exchange and key included. Its correlation id is what client_sent calls the id. */
enum err client_publish(struct client *c, const struct msg *m, uint64_t tag, client_sent_fn *fn, void *owner,
	struct errtext *t) MUSTCHECK;
/* Until everything sent has its fate. E_TIMEOUT or E_CLOSED: the text says how many have none. */
enum err client_flush(struct client *c, struct errtext *t) MUSTCHECK;
size_t client_pending(const struct client *c);
/* The broker has said that it takes no messages: memory or disk alarm. */
bool client_is_blocked(const struct client *c);

/* E_MISSING: no such queue. */
enum err client_queue_info(struct client *c, struct span queue, uint32_t *messages, uint32_t *consumers,
	struct errtext *t) MUSTCHECK;
enum err client_queue_purge(
	struct client *c, struct span queue, uint32_t *purged, struct errtext *t) MUSTCHECK;

/* --- results ------------------------------------------------------------------------------------------------------- */

/*
 * Results of what is sent from now on will be waited for: before it is sent. With rpc:// there is a queue for them then, whose name their reply_to has to
 * be; client_reply_to is SPAN_NONE for all other backends. Dials nothing yet.
 */
enum err client_expect_results(struct client *c, struct errtext *t) MUSTCHECK;
struct span client_reply_to(const struct client *c);
/* E_CONF when there is no backend. */
enum err client_connect_backend(struct client *c, struct errtext *t) MUSTCHECK;
const char *client_backend_url(const struct client *c);

/* r is valid during the callback. */
typedef void client_result_fn(void *owner, const struct result *r);
/* What is stored now. E_MISSING: nothing (pending, expired or unknown; these cannot be told apart). */
enum err client_result(
	struct client *c, struct span id, client_result_fn *fn, void *owner, struct errtext *t) MUSTCHECK;
/* fn sees each state until one is final (result_is_ready). timeout < 0 = for ever. E_TIMEOUT. */
enum err client_wait(struct client *c, struct span id, ms_t timeout, client_result_fn *fn, void *owner,
	struct errtext *t) MUSTCHECK;
enum err client_forget(struct client *c, struct span id, struct errtext *t) MUSTCHECK;

/* --- the caller's own waiting -------------------------------------------------------------------------------------- */

/* Until fd can be read; confirms and heartbeats go on meanwhile. E_SYS for a descriptor that cannot be waited for (a file): just read it. */
enum err client_wait_fd(struct client *c, int fd, struct errtext *t) MUSTCHECK;
/* One turn of the loop without waiting, between long stretches of the caller's work. */
void client_turn(struct client *c);

#endif
