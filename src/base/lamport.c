/* See lamport.h. A peer's value is a stranger's: one near the end of the range would stop the clock for ever. */
#include "base/lamport.h"

/* Peers read it as a double sooner or later. */
#define LAMPORT_MAX (INT64_C(1) << 53)

int64_t
lamport_forward(struct lamport *c)
{
	return ++c->value;
}

int64_t
lamport_adjust(struct lamport *c, int64_t seen)
{
	if (seen > c->value && seen < LAMPORT_MAX)
		c->value = seen;
	return ++c->value;
}
