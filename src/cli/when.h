/* Entries of a schedule and their due times, shown. */
#ifndef WARREN_CLI_WHEN_H
#define WARREN_CLI_WHEN_H

#include "beat/entry.h"

struct when_entry {
	const struct entry_conf *conf;
	const char *from; /* "file", "redis" */
	us_t since;       /* of redis: when it was added */
	us_t ran;         /* due time of the last run that is known; INT64_MIN = none */
	int64_t runs;
	bool paused;
};

/*
 * Name, schedule, task, queue, next run after `now`; the first `max` of those that come next (0 = all), in order of time. With `all` also the
 * last run, and where the entry stands.
 */
void when_print_table(const struct when_entry *entries, size_t n, size_t max, bool all, us_t now);
void when_print_table_json(const struct when_entry *entries, size_t n, us_t now);

/* "Sat 2026-11-21 03:00:00+01:00": as the zone's clock shows it. NULL = UTC. */
void when_add_time(struct buf *b, const struct zone *zone, us_t t);
/* The same for programs: 2026-11-21T03:00:00+01:00 */
void when_add_iso(struct buf *b, const struct zone *zone, us_t t);

#endif
