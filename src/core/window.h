/*
 * How the slots of a pool become consumers, such that the pool never holds more unacknowledged deliveries than it has slots:
 *
 *   one      one queue: one consumer with prefetch = slots. Works on classic and quorum queues.
 *   shared   several queues: one consumer on each under a channel-wide window of `slots`. Classic queues only: a quorum
 *            queue refuses it, upon which the pool falls back to
 *   spread   each slot is a consumer with prefetch 1 on one queue at a time; idle ones move to where tasks wait.
 *
 * Slots and queues may change while it runs. Pure: knows consumers by number, queues by index.
 */
#ifndef WARREN_CORE_WINDOW_H
#define WARREN_CORE_WINDOW_H

#include "base/err.h"

enum window_mode { WINDOW_ONE, WINDOW_SHARED, WINDOW_SPREAD };

enum window_mode window_choose(size_t queues, bool refuses_shared);

/*
 * One and spread: each consumer has a prefetch of its own, and the broker never changes that of a consumer that is there. So a window that
 * grows gets further consumers, and one that shrinks loses some; what a cancelled consumer has brought counts until it is settled.
 */
struct window_share {
	uint32_t prefetch, held;
	enum {
		WINDOW_OFF,
		WINDOW_ON,
		WINDOW_LEAVING
	} state; /* leaving: cancelled, and the broker has not yet said so */
};
struct window_change {
	enum { WINDOW_KEEP, WINDOW_ADD, WINDOW_CANCEL } action;
	size_t consumer;   /* CANCEL */
	uint32_t prefetch; /* ADD: of the new one */
};
/* The most deliveries that these consumers can hold together, now or by what is on its way. */
uint32_t window_claims(const struct window_share *shares, size_t n);
/* The next step towards `slots`; KEEP when there is none, or none before something is settled or cancelled. */
struct window_change window_fit(
	enum window_mode m, const struct window_share *shares, size_t n, uint32_t slots);

/* For spread: what each queue looks like now. */
struct window_queue {
	uint32_t ready; /* messages waiting, as the broker says */
	uint32_t idle;  /* our consumers on it that hold nothing */
	uint32_t busy;  /* our consumers on it that hold a delivery */
	bool off;       /* no longer consumed from */
};
/* Where a further consumer goes: the queue with the fewest. SIZE_MAX: all are off. */
size_t window_thinnest(const struct window_queue *queues, size_t n);
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
