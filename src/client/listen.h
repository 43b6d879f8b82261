/*
 * Listening to the events of a cluster on exchange celeryev, warren's workers and Celery's alike. The queue is the listener's own and goes with
 * it; messages in it live for some seconds, so that a listener that does not keep up loses events and never holds up the broker. After a
 * lost connection it listens again by itself.
 */
#ifndef WARREN_CLIENT_LISTEN_H
#define WARREN_CLIENT_LISTEN_H

#include "client/client.h"
#include "wire/event.h"

struct listen;

/* Valid during the callback, which must not call the client. */
typedef void listen_fn(void *owner, const struct evt *e);

/*
 * `key` is the binding: "#" for all, "task.#" for tasks; what comes as an array has the key task.multi. `fd` (or -1) is one more thing
 * listen_wait ends for when it can be read; it stays the caller's. Returns when the queue is bound: no later event is missed.
 */
enum err listen_open(struct listen **out, struct client *c, struct span key, int fd, listen_fn *fn,
	void *owner, struct errtext *t) MUSTCHECK;
void listen_close(struct listen *l); /* NULL is allowed */
/* Until events were passed on or fd can be read; false when `timeout` is over first. */
bool listen_wait(struct listen *l, ms_t timeout);
/* The connection is there. */
bool listen_is_up(const struct listen *l);
/* Messages that were no events. */
uint64_t listen_odd(const struct listen *l);

#endif
