/* Remote control: limits of tasks by name. */
#include "worker/ctl.h"

#include "base/log.h"
#include "base/text.h"

/* Remembered for ever, so there is an end to it. */
#define OVERRIDES_MAX 10000

static bool
is_known(const struct worker *w, struct span task_name)
{
	for (size_t i = 0; i < w->n_pools; i++)
		if (pool_knows(&w->pools[i], task_name))
			return true;
	return false;
}

/*
 * A rule of its own for this task, made from the one that holds now; older ones stay, because running tasks point to them. NULL when the
 * answer says why not.
 */
static struct task_rule *
override(struct ctl *c, struct span task_name)
{
	struct worker *w = c->worker;
	struct task_rules *rules = &w->rules.tasks;
	struct task_rule *rule;

	if (!is_known(w, task_name)) {
		ctl_error(c, "unknown task");
		return NULL;
	}
	if (rules->n_overrides >= OVERRIDES_MAX) {
		ctl_error(c, "too many changes of limits (%d) since this worker started", OVERRIDES_MAX);
		return NULL;
	}
	rule = must_alloc(sizeof(*rule));
	*rule = *task_rules_find(rules, task_name);
	rule->pattern = must_dup(task_name);
	/* The rest of its texts belong to the settings as they are now. */
	reload_pin(&w->reload);
	rules->overrides =
		must_resize(rules->overrides, sizeof(struct task_rule *) * (rules->n_overrides + 1));
	rules->overrides[rules->n_overrides++] = rule;
	return rule;
}

static double
limit(const struct ctl *c, const char *key)
{
	double seconds;

	if (!control_arg_number(c->req, key, &seconds) || !(seconds > 0))
		return 0;
	return seconds < RULE_LIMIT_MAX ? seconds : RULE_LIMIT_MAX;
}

void
ctl_time_limit(struct ctl *c)
{
	struct task_rule *rule;
	struct span name;

	if (!ctl_need_text(c, "task_name", &name))
		return;
	rule = override(c, name);
	if (rule == NULL)
		return;
	rule->time_limit = limit(c, "hard");
	rule->soft_time_limit = limit(c, "soft");
	LOG(LIMITS_SET, LOG_SPAN("task", name), LOG_SEC("soft", (int64_t)(rule->soft_time_limit * 1e6)),
		LOG_SEC("hard", (int64_t)(rule->time_limit * 1e6)));
	ctl_ok(c, "time limits set successfully");
}

/* As Celery words it: a unit it does not know is a key it does not find. */
static void
bad_rate(struct ctl *c, struct span text)
{
	struct span unit = text;
	double number;

	if (!text_parse_double(span_split(&unit, '/'), &number) || unit.ptr == NULL)
		ctl_error(c,
			"Invalid rate limit string: ValueError(\"could not convert string to float: '%.*s'\")",
			SPAN_FMT(text));
	else
		ctl_error(c, "KeyError('%.*s')", SPAN_FMT(unit));
}

void
ctl_rate_limit(struct ctl *c)
{
	struct span name, text = SPAN("");
	struct task_rule *rule;
	char rate[RULE_RATE_MAX];
	double per_s;

	if (!ctl_need_text(c, "task_name", &name))
		return;
	/* Absent, null: no limit. */
	if (!control_arg_text(c->req, "rate_limit", &text))
		text = SPAN("");
	if (!rule_parse_rate(text, &per_s)) {
		bad_rate(c, text);
		return;
	}
	rule = override(c, name);
	if (rule == NULL)
		return;
	rule->rate = per_s;
	limiter_forget(&c->worker->limiter, name);
	if (per_s <= 0) {
		LOG(RATE_OFF, LOG_SPAN("task", name));
		ctl_ok(c, "rate limit disabled successfully");
		return;
	}
	rule_format_rate(per_s, rate);
	LOG(RATE_SET, LOG_SPAN("task", name), LOG_STR("rate", rate));
	ctl_ok(c, "new rate limit set successfully");
}
