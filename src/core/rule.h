/* What a worker was told about tasks by name: limits, retries, acknowledgement. Pure. */
#ifndef WARREN_CORE_RULE_H
#define WARREN_CORE_RULE_H

#include "core/retry.h"

/* Seconds; a time limit that is longer is cut to what timers can take. */
#define RULE_LIMIT_MAX 1e9

struct task_rule {
	const char *pattern; /* glob over the task's name; NULL in the default rule */
	double time_limit;   /* seconds until its child is killed; 0 = none. A message may say otherwise. */
	double soft_time_limit; /* seconds until it is asked to end */
	int64_t memory_limit; /* resident bytes of its child and all that has started; above, it is killed; 0 = none */
	struct retry_rule retry;
	int64_t max_lost;     /* runs that may end with the death of the child before the task is given up */
	bool ignore_result;   /* only errors are stored; a message may say so too */
	bool track_started;   /* STARTED is stored */
	bool no_events;       /* no task events are told of it, whoever wants them */
	bool acks_early;      /* acknowledged when it starts: at most one run, and a lost one is lost */
	bool dead_on_failure; /* what has finally failed is kept as a dead letter too */
	bool reject_on_failure; /* ... and the broker is told to dead-letter it by the queue's own rules */
	bool inherit_priority;  /* what follows it has the priority of its message */
	/* Of messages that the worker sends for this task, when nothing else says so: */
	double expires;      /* seconds; 0 = never */
	int priority_plus1;  /* 0 = none */
	int delivery_mode;   /* of its retries too; 1 transient, 2 persistent; 0 = none */
	double rate;         /* runs that this worker begins in a second; 0 = any number */
	double cluster_rate; /* the same of all workers together */
	int64_t rate_burst;  /* runs that may begin at once after a pause */
	const char *rate_key; /* each value of this argument counts by itself: "kwargs.tenant"; NULL = all together */
};

struct task_rules {
	struct task_rule fallback;
	const struct task_rule *rules;
	size_t count;
	/* For one task each, named by its pattern, before all rules; a later one counts rather than an earlier. */
	struct task_rule **overrides;
	size_t n_overrides;
};
/* No limits; Celery's retries (3, 180 s apart, only when the task asks); 3 lost runs. */
extern const struct task_rule task_rule_default;

/* "10/s", "100/m", "1000/h", or a number of them a second; 0 and "" = any number. */
bool rule_parse_rate(struct span text, double *per_s);
/* The same backwards, in the unit that needs the fewest digits. */
#define RULE_RATE_MAX 40
void rule_format_rate(double per_s, char out[RULE_RATE_MAX]);
/* Whether a turn has to be waited for before it begins. */
bool rule_is_limited(const struct task_rule *r);
/* The first that fits; the fallback when none does. Never NULL. */
const struct task_rule *task_rules_find(const struct task_rules *r, struct span task_name);

#endif
