/*
 * Pointers under ever growing numbers, kept in a ring as long as they are between the lowest one in use and the next to be given out.
 * Inside bus/ only.
 */
#ifndef WARREN_BUS_RING_H
#define WARREN_BUS_RING_H

#include "base/err.h"

struct ring {
	void **slots;
	size_t cap;         /* a power of two, or 0 */
	uint64_t low, next; /* low == next: empty */
	size_t count;
};

/* The first number given out is 1. A ring with memory of its own keeps it. */
void ring_reset(struct ring *r);
void ring_release(struct ring *r);
/* Makes sure that the next push does not fail. */
enum err ring_reserve(struct ring *r) MUSTCHECK;
/* Gives p the number r->next. */
enum err ring_push(struct ring *r, void *p) MUSTCHECK;
/* NULL when nothing has that number (any more). */
void *ring_get(const struct ring *r, uint64_t n);
/* Takes it out. `low` moves over all that is free: amortised constant time. */
void ring_clear(struct ring *r, uint64_t n);
/* Numbers from the lowest in use to the last one given out. */
size_t ring_span(const struct ring *r);

#endif
