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
