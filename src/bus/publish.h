/*
 * Publishing that is not over before the broker has said so: persistent unless the message says otherwise, mandatory, with
 * confirms. The encoded message is kept until its confirm; what is unconfirmed when the connection or channel is lost is sent
 * again after the reconnect (the task id stays, so consumers can tell). While the broker blocks the connection nothing is sent.
 */
#ifndef WARREN_BUS_PUBLISH_H
#define WARREN_BUS_PUBLISH_H

#include "bus/chan.h"

struct bus_pub;

struct bus_pub_conf {
	size_t window;    /* messages without a confirm at one time; 0 = 1000 */
	size_t bytes_max; /* encoded bytes kept in all, waiting ones included; 0 = 64 MiB */
	size_t queue_max; /* messages that may wait for room in the window; 0 = 10,000 */
};

enum bus_pub_end {
	BUS_PUB_CONFIRMED,
	BUS_PUB_NACKED,      /* the broker refuses it: queue full with reject-publish, or an internal error */
	BUS_PUB_RETURNED,    /* no queue takes this exchange and key */
	BUS_PUB_NO_EXCHANGE, /* 404 */
	BUS_PUB_REFUSED,     /* 403 and other channel errors that name this publish */
};

struct bus_pub_result {
	enum bus_pub_end end;
	int code;
	const char *text; /* names exchange and key when it is bad news; "" when confirmed */
};
typedef void bus_pub_fn(void *owner, const struct bus_pub_result *r);

/* on_drain (may be NULL): there is room again after an E_AGAIN. */
enum err bus_pub_new(struct bus_pub **out, struct bus_conn *c, const struct bus_pub_conf *conf,
	loop_fn *on_drain, void *owner) MUSTCHECK;
/* No callback afterwards. NULL is allowed. */
void bus_pub_close(struct bus_pub *p);

/*
 * Encodes m now (the caller keeps it) and calls fn exactly once, never from inside, unless cancelled. Works while the connection is
 * down: it waits. E_AGAIN: window, bytes or queue are full. *id (may be NULL) is for bus_pub_cancel.
 */
enum err bus_publish(
	struct bus_pub *p, const struct msg *m, bus_pub_fn *fn, void *owner, uint64_t *id) MUSTCHECK;
/* E_OK, or why no attempt would get it out: bus_publish says the same each time. */
enum err bus_pub_check(struct bus_pub *p, const struct msg *m) MUSTCHECK;
/* fn will not be called; the message may or may not have been sent. */
void bus_pub_cancel(struct bus_pub *p, uint64_t id);
/* Unconfirmed and waiting. */
size_t bus_pub_pending(const struct bus_pub *p);

#endif
