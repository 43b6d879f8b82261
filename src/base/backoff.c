/* See backoff.h. Pure: the random number is an argument. */
#include "base/backoff.h"

ms_t
backoff_full_jitter(ms_t base, ms_t cap, unsigned attempt, uint64_t random)
{
	ms_t bound = base;

	for (unsigned i = 1; i < attempt && bound > 0 && bound < cap; i++)
		bound = bound < cap / 2 ? bound * 2 : cap;
	if (bound > cap)
		bound = cap;
	if (bound < 1)
		bound = 1; /* a base or cap of nothing, from a setting */
	return 1 + (ms_t)(random % (uint64_t)bound);
}
