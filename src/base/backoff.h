/*
 * How long to wait before the next attempt. Full jitter: any time up to an exponentially growing bound, so
 * that peers that failed together do not come back together.
 */
#ifndef WARREN_BASE_BACKOFF_H
#define WARREN_BASE_BACKOFF_H

#include "base/base.h"

/* A delay in (0, min(cap, base * 2^(attempt-1))]; attempt counts from 1; `random` is any random number. 1 when
 * base or cap is 0 or less. */
ms_t backoff_full_jitter(ms_t base, ms_t cap, unsigned attempt, uint64_t random);

#endif
