/* See backoff.h. Pure: the random number is an argument. */
#include "base/backoff.h"

ms_t
backoff_full_jitter(ms_t base, ms_t cap, unsigned attempt, uint64_t random)
{
	ms_t bound = base;

	for (unsigned i = 1; i < attempt && bound < cap; i++)
		bound *= 2;
	if (bound > cap)
		bound = cap;
	return 1 + (ms_t)(random % (uint64_t)bound);
}
