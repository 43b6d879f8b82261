/*
 * Whether a chord is complete, and what its body gets (celery-wire.md 3.8). The backend's counter says how many texts are there; only here are
 * members told apart, so that one which has reported twice, under whatever encoding, counts once.
 */
#ifndef WARREN_CORE_CHORD_H
#define WARREN_CORE_CHORD_H

#include "base/alloc.h"
#include "wire/chord.h"

enum chord_state { CHORD_OPEN, CHORD_READY, CHORD_FAILED };

struct chord_verdict {
	enum chord_state state;
	struct span results; /* READY: raw list of the members' results, nested as the header was */
	struct span error;   /* FAILED: the ChordError as an error object, with Celery's words */
	struct span cause;   /* FAILED: the error object of the member named; SPAN_NONE = none */
};

/* What it returns lives in `a` or borrows from `c`. */
enum err chord_join(struct chord_verdict *v, const struct chord_count *c, struct arena *a) MUSTCHECK;

#endif
