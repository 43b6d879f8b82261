/* See rule.h. */
#include "core/rule.h"

#include "base/text.h"

const struct task_rule task_rule_default = {
	.retry = { .max_retries = 3, .delay_s = 180, .backoff_max_s = 600, .jitter = true },
	.max_lost = 3,
	.track_started = true,
	.rate_burst = 1,
};

const struct task_rule *
task_rules_find(const struct task_rules *r, struct span task_name)
{
	for (size_t i = r->n_overrides; i > 0; i--)
		if (span_is(task_name, r->overrides[i - 1]->pattern))
			return r->overrides[i - 1];
	for (size_t i = 0; i < r->count; i++)
		if (text_glob(span_of(r->rules[i].pattern), task_name))
			return &r->rules[i];
	return &r->fallback;
}

static const struct {
	const char *unit;
	double seconds;
} units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 } };

bool
rule_parse_rate(struct span text, double *per_s)
{
	struct span number = span_split(&text, '/');
	size_t i;

	*per_s = 0;
	if (number.len == 0)
		return text.ptr == NULL;
	if (!text_parse_double(number, per_s) || *per_s < 0)
		return false;
	for (i = 0; i < ARRAY_LEN(units); i++)
		if (text.ptr == NULL ? i == 0 : i > 0 && span_is(text, units[i].unit)) {
			*per_s /= units[i].seconds;
			return true;
		}
	return false;
}

void
rule_format_rate(double per_s, char out[RULE_RATE_MAX])
{
	size_t best = 1, least = SIZE_MAX, i;

	for (i = 1; i < ARRAY_LEN(units); i++) {
		int n = snprintf(out, RULE_RATE_MAX, "%.12g", per_s * units[i].seconds);

		if ((size_t)n < least) {
			least = (size_t)n;
			best = i;
		}
	}
	snprintf(out, RULE_RATE_MAX, "%.12g/%s", per_s * units[best].seconds, units[best].unit);
}

bool
rule_is_limited(const struct task_rule *r)
{
	return r->rate > 0 || r->cluster_rate > 0;
}
