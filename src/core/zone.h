/*
 * A time zone as the system's tz database describes it: pieces of time with one offset from UTC each. Pure: whoever has the
 * bytes of a TZif file (RFC 8536) gets the zone. libc would have to change TZ for the whole process to answer such questions.
 */
#ifndef WARREN_CORE_ZONE_H
#define WARREN_CORE_ZONE_H

#include "base/err.h"

/* A TZif file is a few KB; none of the database has more. */
#define ZONE_BYTES_MAX 65536

struct zone;

/* E_FORMAT says what is wrong with the bytes; zones that count leap seconds ("right/...") are refused. */
enum err zone_parse(struct zone **out, struct span tzif, struct errtext *t) MUSTCHECK;
void zone_free(struct zone *z);

/* Seconds since the epoch in UTC, [begin, end); INT64_MIN and INT64_MAX where there is no border. Local time = UTC + offset. */
struct zone_piece {
	int64_t begin, end;
	int64_t offset;
};
/* The piece that holds t. A neighbour of it, at begin - 1 or at end, has another offset. NULL is UTC. */
struct zone_piece zone_at(const struct zone *z, int64_t t);
/* UTC of a local time: of two (the hour that comes twice) the first; one that the clock jumps over moves on by the length of the jump. */
int64_t zone_to_utc(const struct zone *z, int64_t local);

#endif
