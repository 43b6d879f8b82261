/* See rule.h. */
#include "core/rule.h"

#include "base/text.h"

const struct task_rule task_rule_default = {
	.retry = { .max_retries = 3, .delay_s = 180, .backoff_max_s = 600, .jitter = true },
	.max_lost = 3,
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

bool
rule_parse_rate(struct span text, double *per_s)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 } };
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
