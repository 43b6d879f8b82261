/* See retry.h. */
#include "core/retry.h"

#include "base/text.h"

static double
backed_off(const struct retry_rule *rule, int64_t retries, uint64_t random)
{
	double delay = rule->backoff_s;

	for (int64_t i = 0; i < retries && delay < rule->backoff_max_s; i++)
		delay *= 2;
	if (delay > rule->backoff_max_s)
		delay = rule->backoff_max_s;
	/* 53 bits make a number in [0, 1). */
	return rule->jitter ? delay * ((double)(random >> 11) / 9007199254740992.0) : delay;
}

struct retry_verdict
retry_decide(const struct retry_rule *rule, const struct retry_wish *wish, int64_t retries, uint64_t random)
{
	int64_t max = wish->max_retries != INT64_MIN ? wish->max_retries : rule->max_retries;
	double delay = rule->delay_s;

	if (max >= 0 && retries >= max)
		return (struct retry_verdict){ .again = false };
	if (wish->has_delay)
		delay = wish->delay_s;
	else if (rule->backoff_s > 0)
		delay = backed_off(rule, retries, random);
	return (struct retry_verdict){ .again = true, .delay_s = delay > 0 ? delay : 0 };
}

bool
retry_covers(const struct retry_rule *rule, struct span type, struct span module)
{
	char full[512];
	int n = snprintf(full, sizeof(full), "%.*s.%.*s", SPAN_FMT(module), SPAN_FMT(type));
	struct span whole = { full, n < 0 ? 0 : (size_t)n < sizeof(full) ? (size_t)n : sizeof(full) - 1 };

	for (size_t i = 0; rule->errors != NULL && rule->errors[i] != NULL; i++)
		if (text_glob(span_of(rule->errors[i]), type) || text_glob(span_of(rule->errors[i]), whole))
			return true;
	return false;
}

#define REQUEUE_MAX_S 60

int64_t
retry_requeue_delay_s(int64_t times, uint64_t random)
{
	int64_t delay = times == 0 ? 0 : times > 6 ? REQUEUE_MAX_S : INT64_C(1) << (times - 1);

	return delay - (int64_t)(random % (uint64_t)(delay / 2 + 1));
}
