/*
 * One consumer of a feed, from its consume to its cancel.
 *
 *   off -> starting -> on -> cancelling -> off
 *
 * What it has brought and was not settled yet is still its own when it is off.
 */
#ifndef WARREN_WORKER_CONSUMER_H
#define WARREN_WORKER_CONSUMER_H

#include "bus/chan.h"

struct feed;

enum consumer_state { CONSUMER_OFF, CONSUMER_STARTING, CONSUMER_ON, CONSUMER_CANCELLING };

struct consumer {
	struct feed *feed;
	size_t index;
	size_t queue;      /* where it is, and where it was */
	size_t next_queue; /* where it goes on when `moves` */
	uint32_t prefetch; /* its share of the window; 0 where the channel has one window */
	uint32_t held;     /* deliveries not settled */
	enum consumer_state state;
	bool moves;       /* it ends only to go on somewhere else */
	bool is_unwanted; /* while it starts: it is cancelled as soon as it is on, no earlier (bus_cancel) */
};

/* Consumes from c->queue; true when the broker was asked. The feed hears of the answer: feed_on_consumer. */
bool consumer_start(struct consumer *c, const char *queue);
/* One that is on, now, or about to be, then. False when there is nothing to cancel, or the channel takes nothing. */
bool consumer_cancel(struct consumer *c);
/* The one with this tag; NULL when it is none of this feed. */
struct consumer *consumer_find(const struct feed *f, struct span tag);

#endif
