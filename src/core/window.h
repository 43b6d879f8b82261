/*
 * How the slots of a pool become consumers, such that the pool never holds more unacknowledged deliveries than it has slots:
 *
 *   one      one queue: one consumer with prefetch = slots. Works on classic and quorum queues.
 *   shared   several queues: one consumer on each under a channel-wide window of `slots`. Classic queues only: a quorum
 *            queue refuses it, upon which the pool falls back to
 *   spread   each slot is a consumer with prefetch 1 on one queue at a time; idle ones move to where tasks wait.
 *
 * Pure: knows consumers by number, queues by index.
 */
#ifndef WARREN_CORE_WINDOW_H
#define WARREN_CORE_WINDOW_H

#include "base/err.h"

enum window_mode { WINDOW_ONE, WINDOW_SHARED, WINDOW_SPREAD };

enum window_mode window_choose(size_t queues, bool refuses_shared);
/* Consumers a pool has in this mode, and what consumer i begins with. */
size_t window_consumers(enum window_mode m, size_t queues, size_t slots);
size_t window_first_queue(enum window_mode m, size_t consumer, size_t queues);
int window_prefetch(enum window_mode m, size_t slots);

/* For spread: what each queue looks like now. */
struct window_queue {
	uint32_t ready;   /* messages waiting, as the broker says */
	uint32_t idle;    /* our consumers on it that hold nothing */
	uint32_t busy;    /* our consumers on it that hold a delivery */
};
struct window_move {
	bool wanted;
	size_t from, to;
};
/*
 * One consumer to move, or none: from a queue with idle consumers and nothing waiting to the one with the most waiting for each
 * consumer. A queue where tasks wait and that nobody serves gets a consumer even when all are busy (the consumer goes there once its
 * task is settled), so that a full queue never starves another. When nothing waits anywhere the spread is evened out; with fewer
 * slots than queues `turn` (a counter) rotates who goes without.
 */
struct window_move window_decide(const struct window_queue *queues, size_t n, size_t turn);

#endif
