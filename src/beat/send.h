/*
 * Sends fired entries: makes sure of the queue (once per queue and connection), publishes, waits for the confirm. What the broker refuses rests for some
 * seconds and is then due again; what waits while a connection is lost is given back at once.
 */
#ifndef WARREN_BEAT_SEND_H
#define WARREN_BEAT_SEND_H

#include "base/map.h"
#include "beat/entry.h"
#include "bus/publish.h"

struct send_ops {
	void (*on_sent)(void *owner, struct entry *e);
	/* It was not sent, for this reason, and rests; on_rested when it may be tried again. */
	void (*on_failed)(void *owner, struct entry *e, const char *why);
	void (*on_rested)(void *owner, struct entry *e);
};

struct send {
	struct bus_conn *conn;
	struct bus_pub *pub;
	const char *origin;
	const struct send_ops *ops;
	void *owner;
	struct list waiting, sent, resting;
	struct map known;       /* queues that exist on this connection */
	struct entry *building; /* for whose queue the topology works; NULL = none */
	struct bus_topo *topo;
	struct loop_timer rest;
};

enum err send_open(struct send *s, struct bus_conn *conn, const char *origin, const struct send_ops *ops,
	void *owner) MUSTCHECK;
void send_close(struct send *s);
/* e->fire and e->id are set. on_sent or on_failed follows, unless send_drop comes first; on_sent never from inside. */
void send_entry(struct send *s, struct entry *e);
/* It is not to be sent now: on_rested follows, after some seconds. */
void send_rest(struct send *s, struct entry *e);
/* This one is not under way any more; no callbacks. No-op when it was not. */
void send_forget(struct send *s, struct entry *e);
/* Nothing is under way any more, and nothing of it will be sent after a reconnect. No callbacks. */
void send_drop(struct send *s);
size_t send_pending(const struct send *s);

#endif
