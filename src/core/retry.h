/*
 * Whether and when a task that failed runs again. Pure: rule, attempt and a random number in, a verdict out. Names are Celery's:
 * max_retries, default_retry_delay, retry_backoff, retry_backoff_max, retry_jitter, autoretry_for.
 */
#ifndef WARREN_CORE_RETRY_H
#define WARREN_CORE_RETRY_H

#include "base/base.h"

struct retry_rule {
	int64_t max_retries; /* < 0: as often as it takes */
	double delay_s;      /* default_retry_delay */
	double backoff_s;    /* retry_backoff: factor of 2^retries; 0 = off, delay_s counts */
	double backoff_max_s;
	bool jitter;               /* full: any delay up to the one computed */
	const char *const *errors; /* autoretry_for: patterns of error types, NULL-ended; NULL = only when the task asks */
};

/* What the task itself asked for. */
struct retry_wish {
	bool has_delay;
	double delay_s;
	int64_t max_retries; /* INT64_MIN = it did not say */
};

struct retry_verdict {
	bool again;
	double delay_s;
};

/* The task asked for a retry. `retries` is the number of those it has had. */
struct retry_verdict retry_decide(
	const struct retry_rule *rule, const struct retry_wish *wish, int64_t retries, uint64_t random);
/* The task failed with an error of this type ("ValueError", or "module.ValueError"). */
bool retry_covers(const struct retry_rule *rule, struct span type, struct span module);

/*
 * Seconds until a message that the task gave back comes again, when it did so `times` times before: 0, then 1, 2, 4, ... 60, of which up to
 * half goes off by chance, so that what was given back together does not come back together.
 */
int64_t retry_requeue_delay_s(int64_t times, uint64_t random);

#endif
