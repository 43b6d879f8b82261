/*
 * What is revoked: a bounded set of texts (task ids, or stamps) with the time of their revocation. Beyond `max` the oldest give way; what
 * is older than `keep` counts no more. Pure.
 */
#ifndef WARREN_CORE_REVOKE_H
#define WARREN_CORE_REVOKE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "wire/msg.h"

#define REVOKED_MAX 50000
/* Thirty days: a task may wait that long on the delay ladder. */
#define REVOKED_KEEP_US (INT64_C(30) * 86400 * 1000000)

struct revoked {
	struct map entries;
	struct list order; /* oldest first, as they were added */
	size_t max;
	us_t keep;
};

void revoked_init(struct revoked *r, size_t max, us_t keep);
void revoked_release(struct revoked *r);
/* When it is there already the newer time counts, and only then `saved`, which is the caller's own mark. */
enum err revoked_add(struct revoked *r, struct span text, us_t when, us_t now, bool saved) MUSTCHECK;
bool revoked_has(const struct revoked *r, struct span text, us_t now);
size_t revoked_count(const struct revoked *r);

/* Walks all that counts; start with a zeroed walk. Nothing may be added meanwhile. */
struct revoked_walk {
	const struct list *at;
	struct span text;
	us_t when;
	bool *saved;
};
bool revoked_next(const struct revoked *r, us_t now, struct revoked_walk *w);

/*
 * Stamps (headers `stamps`: name -> text or list of texts) are kept as "name=value". Whether one of the task's is in the set. No table, no
 * stamps: false.
 */
void revoked_add_stamp_text(struct buf *b, struct span name, struct span value);
bool revoked_has_stamp(const struct revoked *r, const struct table *headers, us_t now);

#endif
