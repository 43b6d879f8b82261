/* All entries there are, wherever they stand, with what Redis knows of them: what `warren schedule` works on. */
#ifndef WARREN_CLI_LISTING_H
#define WARREN_CLI_LISTING_H

#include "cli/desk.h"
#include "cli/when.h"

struct listing {
	struct when_entry *items; /* those of the configuration first, in its order; then by name */
	size_t n, cap;
	struct schedule_maker *maker;
	struct map by_name;
};

/* The configuration's entries alone; `d` NULL = no Redis. Entries in Redis that are wrong are named on stderr and left out. */
void listing_init(struct listing *l, struct schedule_maker *m, const struct desk *d);
void listing_release(struct listing *l);
/* NULL when there is none. */
const struct when_entry *listing_find(const struct listing *l, struct span name);

#endif
