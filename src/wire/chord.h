/*
 * What a chord's members have come to, in the form in which Celery's Redis backend keeps it (celery-wire.md 3.8): one text
 * [1, id, state, result] for each. Only reading and writing; what follows from it is core's business.
 */
#ifndef WARREN_WIRE_CHORD_H
#define WARREN_WIRE_CHORD_H

#include "base/buf.h"
#include "base/jscan.h"

struct chord_member {
	struct span id, state; /* text */
	struct span value;     /* raw JSON: the result, or the error object */
};
/* Byte for byte as Celery writes the same data: its counters then see a second report as the first one. */
void chord_member_encode(struct buf *b, const struct chord_member *m);
struct arena;
/* Checks the text itself. Borrows from `json` but for strings with escapes, which go into a. */
enum err chord_member_decode(
	struct chord_member *m, struct span json, struct arena *a, struct errtext *t) MUSTCHECK;

/* How far a chord is, told by the backend when one more member is in. Valid while it is told. */
struct chord_count {
	bool is_full;    /* as many texts as members: `members` and `saved` are set */
	bool is_over;    /* its body was sent before */
	int64_t due;     /* members in all; 0 = not known yet */
	int64_t too_big; /* > 0: the texts of all members have so many bytes, too many to be read */
	struct span saved; /* the group as its starter saved it, for the nesting of the results; SPAN_NONE = flat */
	const struct span *members; /* in the order of their places */
	size_t n_members;
	struct span group, kept; /* of one found by looking; SPAN_NONE = none was */
};

#endif
