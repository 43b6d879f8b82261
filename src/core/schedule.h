/* When an entry of a schedule is due. Pure: a time in, the next or the latest due time out. All times are UTC, in microseconds. */
#ifndef WARREN_CORE_SCHEDULE_H
#define WARREN_CORE_SCHEDULE_H

#include "core/cron.h"

enum schedule_kind {
	SCHEDULE_EVERY, /* at anchor + n * every: the same times on every machine, without talking to each other */
	SCHEDULE_CRON,
	SCHEDULE_ONCE, /* at `anchor` */
};

struct schedule {
	enum schedule_kind kind;
	us_t every;
	us_t anchor; /* EVERY: one of its times, 0 = the epoch; ONCE: the time */
	struct cron cron;
	const struct zone *zone; /* of cron; NULL = UTC */
	us_t start, end;         /* due times lie in [start, end); INT64_MIN, INT64_MAX = no bound */
};

#define SCHEDULE_NEVER INT64_MAX

/* The first due time after `after`; SCHEDULE_NEVER. */
us_t schedule_next(const struct schedule *s, us_t after);
/* The last due time in (after, until]; SCHEDULE_NEVER when there is none. Some 60 steps, however long that is. */
us_t schedule_latest(const struct schedule *s, us_t after, us_t until);

#endif
