/* Entries of a schedule and their due times, shown. */
#ifndef WARREN_CLI_WHEN_H
#define WARREN_CLI_WHEN_H

#include "beat/entry.h"

/* Name, schedule, task, queue, next run after `now`; the first `max` of those that come next (0 = all), in order of time. */
void when_print_table(const struct entry_conf *entries, size_t n, size_t max, us_t now);
void when_print_table_json(const struct entry_conf *entries, size_t n, us_t now);

/* "Sat 2026-11-21 03:00:00+01:00": as the zone's clock shows it. NULL = UTC. */
void when_add_time(struct buf *b, const struct zone *zone, us_t t);
/* The same for programs: 2026-11-21T03:00:00+01:00 */
void when_add_iso(struct buf *b, const struct zone *zone, us_t t);

#endif
