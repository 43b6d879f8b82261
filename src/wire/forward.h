/* The copy of a task message that takes its place: the same task for later, or its next attempt (celery-wire.md 5.1). */
#ifndef WARREN_WIRE_FORWARD_H
#define WARREN_WIRE_FORWARD_H

#include "wire/task.h"

/* What a message has been through; each in a header, which is absent while it is 0. A retry begins with none of it. */
struct forward_counts {
	int64_t lost; /* x-warren-lost: runs of this attempt that ended with the death of the process that ran it */
	int64_t requeued; /* x-warren-requeued: how often the task gave it back to its queue */
	int64_t held; /* x-warren-held: how often it came while another worker ran the task, or again before its time */
	int64_t interrupted; /* x-warren-interrupted: runs that were ended because their worker stopped */
	/* Times, in microseconds since the epoch: when its turn is under the rate limit of the worker, and of the cluster (by Redis's clock). */
	int64_t turn;         /* x-warren-turn */
	int64_t cluster_turn; /* x-warren-cluster-turn */
};
void forward_counts_read(struct forward_counts *c, const struct table *headers);
enum err forward_counts_write(struct msg *m, const struct forward_counts *c) MUSTCHECK;

/* What the task wants to be different in its next attempt; raw JSON. Zeroed: nothing. */
struct forward_change {
	struct span args, kwargs; /* both or none */
	struct span options;      /* an object */
	us_t now;
};

struct forward {
	struct span exchange, routing_key;
	bool is_retry;                /* retries + 1, a new eta */
	us_t eta;                     /* of a retry; 0 = none */
	struct forward_change change; /* of a retry; where it says where to, that goes before exchange and key */
	struct forward_counts been;
};

/*
 * Fills `to` (initialised, empty). Everything of the original is kept but what made it be dead-lettered (x-death) and its
 * per-message TTL, which on the delay ladder would end a wait too early; the header `expires` still counts where it arrives.
 * A protocol 1 message becomes protocol 2 when it is retried, because its counters are inside its body.
 */
enum err forward_encode(
	struct msg *to, const struct msg *original, const struct task *t, const struct forward *f) MUSTCHECK;

/* Whether it says where to. */
bool forward_change_moves(const struct forward_change *c);
/* Inside wire/: after everything else. */
enum err forward_change_apply(struct msg *m, const struct task *t, const struct forward_change *c) MUSTCHECK;

#endif
