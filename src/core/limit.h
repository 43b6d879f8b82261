/*
 * Rate limits: so many runs in a time, with a token bucket that gives out turns. A task that comes too early is not refused but told when its
 * turn is; it keeps that turn while it waits elsewhere, on the delay ladder for instance, so that waiting tasks run at the rate and in
 * order, and none asks again and again. Turns are given for a while ahead only: who would have to wait longer gets none and asks again, so
 * that a crowd which goes away, or a limit that is raised, is forgotten soon. Pure; the cluster's buckets, in Redis, follow the same rules
 * (backend/redis_turn.c).
 */
#ifndef WARREN_CORE_LIMIT_H
#define WARREN_CORE_LIMIT_H

#include "base/buf.h"

/* How far ahead turns are given, and how late one may come for its turn: later, it gets another. */
#define LIMIT_AHEAD_US ((us_t)600 * 1000000)
#define LIMIT_LATE_US ((us_t)5 * 1000000)

/* A bucket is the time at which it will be full again less one run's; one that is in the past is as good as none. */
struct limit_turn {
	us_t wait; /* until it may run; 0 = now */
	us_t turn; /* when that is; 0: too far ahead, no turn was given */
};
/* Time between two runs; of slower rates than one in eleven days, that. per_s > 0. */
us_t limit_interval(double per_s);
/* `turn` is one that was given before, 0 = none: it stands unless a better one can be had. per_s > 0, burst >= 1. */
struct limit_turn limit_take(us_t *bucket, double per_s, int64_t burst, us_t now, us_t turn);

enum limit_way {
	LIMIT_RUN,
	LIMIT_HOLD,  /* for less than a second, in memory */
	LIMIT_LATER, /* on the delay ladder, for delay_s */
};
struct limit_verdict {
	enum limit_way way;
	int64_t delay_s;
};
/*
 * Where it waits. What is held takes a place of the pool from other tasks, though no slot: `may_hold` says whether there is room for that. Without
 * it the wait is rounded up to the ladder's whole seconds. Whoever has no turn comes again after half to all of LIMIT_AHEAD_US.
 */
struct limit_verdict limit_decide(const struct limit_turn *t, bool may_hold, uint64_t random);

/* "args.0", "kwargs.tenant", "kwargs.user.id" */
bool limit_path_is_valid(struct span path);
/* The value it leads to, as text of at most 200 bytes; nothing when it leads nowhere. */
void limit_add_key(struct buf *b, struct span path, struct span args, struct span kwargs);

#endif
