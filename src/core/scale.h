/*
 * How many slots a pool that may grow and shrink by itself has: more as soon as all are busy and tasks still wait, fewer once some have not
 * been needed for a while. Pure: looks in, a number of slots out.
 */
#ifndef WARREN_CORE_SCALE_H
#define WARREN_CORE_SCALE_H

#include "base/err.h"

#define SCALE_IDLE_MS 30000

struct scale_conf {
	uint32_t min, max; /* slots; 1 <= min <= max. max 0: the pool does not scale */
	ms_t idle_ms;      /* slots go when they were not needed for so long */
};

struct scale {
	bool was_crowded; /* at the last look */
	bool has_begun;
	ms_t since;    /* of `peak` */
	uint32_t peak; /* most busy slots at any look since */
};

struct scale_look {
	ms_t now;
	uint32_t size; /* slots it has or is about to have */
	uint32_t busy;
	uint32_t ready; /* tasks that wait at the broker */
};
/*
 * The number of slots from now on. It grows when two looks in a row find it crowded, so that a burst which the slots
 * are about to take starts nothing, to at most twice its size at a time; it shrinks to the most that were in use.
 */
uint32_t scale_decide(struct scale *s, const struct scale_conf *c, const struct scale_look *look);

#endif
