/* The copy of a task message that takes its place: the same task for later, or its next attempt (celery-wire.md 5.1). */
#ifndef WARREN_WIRE_FORWARD_H
#define WARREN_WIRE_FORWARD_H

#include "wire/task.h"

/* How many runs of this attempt ended with the death of the process that ran it. */
#define FORWARD_LOST_HEADER "x-warren-lost"

struct forward {
	struct span exchange, routing_key;
	bool is_retry;      /* retries + 1, a new eta */
	us_t eta;           /* of a retry; 0 = none */
	int64_t lost;       /* > 0: written to FORWARD_LOST_HEADER; a retry begins at none again */
};

/*
 * Fills `to` (initialised, empty). Everything of the original is kept but what made it be dead-lettered (x-death) and its
 * per-message TTL, which on the delay ladder would end a wait too early; the header `expires` still counts where it arrives.
 * A protocol 1 message becomes protocol 2 when it is retried, because its counters are inside its body.
 */
enum err forward_encode(struct msg *to, const struct msg *original, const struct task *t, const struct forward *f) MUSTCHECK;

#endif
