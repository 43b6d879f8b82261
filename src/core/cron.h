/*
 * Five fields that say at which minutes something happens: minute hour day-of-month month day-of-week. Pure. Two sets of rules:
 *
 * CRON_OURS, as crontab(5): lists, ranges (also round the end: 22-2, fri-mon), steps (after * or a range), names of months and days in
 * three letters or in full, Sunday is 0 and 7, @hourly @daily @midnight @weekly @monthly @yearly @annually. When day-of-month and
 * day-of-week are both restricted (neither begins with *), either of them is enough.
 * Where clocks change: with a restricted hour each local time comes once a day: one that the clock jumps over comes later by the
 * length of the jump, of two the first counts. With all 24 hours it goes by the hours that really pass: what the clock jumps over
 * does not come, what it shows twice comes twice.
 *
 * CRON_CELERY, as Celery 5's crontab: all five fields must fit; Sunday is 0 only; names by their first three letters; no @. The next run
 * is reckoned on the wall clock from the last one: a time that the clock jumps over comes at the jump, an hour that comes
 * twice counts once.
 */
#ifndef WARREN_CORE_CRON_H
#define WARREN_CORE_CRON_H

#include "core/zone.h"

enum cron_rules { CRON_OURS, CRON_CELERY };

struct cron {
	enum cron_rules rules;
	bool either_day;  /* day-of-month or day-of-week, as against both */
	uint64_t minutes; /* bit n: at minute n */
	uint64_t hours, days, months, weekdays;
};

#define CRON_NEVER INT64_MAX

/* E_CONF names the field, what is wrong, and the way out. A date that no year has (30 February) is refused. */
enum err cron_parse(struct cron *c, enum cron_rules rules, struct span text, struct errtext *t) MUSTCHECK;
/* The first time after `after`, both in seconds since the epoch. `zone` NULL = UTC. */
int64_t cron_next(const struct cron *c, const struct zone *zone, int64_t after);

#endif
