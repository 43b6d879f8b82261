/* See limiter.h. The cluster is asked first: a turn of this worker is not spent on a task that has to wait for the others. */
#include "worker/limiter.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "worker/job.h"
#include "worker/state.h"

/* Keys come with messages: there is an end to how many are kept apart. The rest shares one bucket. */
#define BUCKETS_MAX 100000
#define SWEEP_FIRST 1000

void
limiter_init(struct limiter *l, struct worker *w)
{
	l->worker = w;
	l->sweep_at = SWEEP_FIRST;
	map_init(&l->buckets);
	buf_init(&l->name, 0);
}

void
limiter_release(struct limiter *l)
{
	if (l->worker == NULL)
		return;
	map_release(&l->buckets, alloc_free);
	buf_release(&l->name);
}

/* A bucket that is full again is as good as none. */
static void
sweep(struct limiter *l, us_t now)
{
	struct map_iter it = { .entry = NULL };

	while (map_next(&l->buckets, &it))
		if (*(us_t *)it.value <= now) {
			alloc_free(it.value);
			map_del(&l->buckets, it.key);
		}
	l->sweep_at = l->buckets.count * 2 < SWEEP_FIRST ? SWEEP_FIRST : l->buckets.count * 2;
}

static us_t *
bucket_of(struct limiter *l, struct span name, us_t now)
{
	us_t *bucket = map_get(&l->buckets, name);

	if (bucket != NULL)
		return bucket;
	if (l->buckets.count >= l->sweep_at)
		sweep(l, now);
	if (l->buckets.count >= BUCKETS_MAX && name.len > 0)
		return bucket_of(l, SPAN(""), now);
	bucket = must_alloc(sizeof(*bucket));
	if (map_set(&l->buckets, name, bucket, NULL) != E_OK)
		abort();
	return bucket;
}

/* "task\nkey" into l->name. */
static struct span
name_of(struct limiter *l, const struct job *j)
{
	const struct task_rule *rule = j->request.rule;

	buf_reset(&l->name);
	buf_add(&l->name, j->request.task.name);
	buf_addc(&l->name, '\n');
	if (rule->rate_key != NULL)
		limit_add_key(&l->name, span_of(rule->rate_key), j->request.task.args, j->request.task.kwargs);
	return buf_span(&l->name);
}

static bool
answer(struct limiter *l, struct job *j, struct request_turn *in)
{
	const struct task_rule *rule = j->request.rule;
	struct request_now now = {
		.mono_us = clock_mono_us(), .wall = clock_wall_us(), .random = id_random_u64()
	};
	struct effects fx = { .count = 0 };

	if (in->err == E_OK && rule->rate > 0 && (rule->cluster_rate <= 0 || in->cluster.turn != 0))
		in->worker = limit_take(bucket_of(l, name_of(l, j), now.wall), rule->rate, rule->rate_burst,
			now.wall, j->request.been.turn);
	in->may_hold = pool_may_wait(j->pool);
	request_on_turn(&j->request, in, &now, &fx);
	return job_apply(j, &fx);
}

static void
complain(struct limiter *l, const char *why)
{
	if (!l->has_complained)
		LOG(LIMITS_UNKNOWN, LOG_STR("url", backend_url(l->worker->backend)), LOG_STR("why", why));
	l->has_complained = true;
}

static void
on_turn(void *owner, enum err e, const struct backend_turn *t, const char *why)
{
	struct job *j = owner;
	struct limiter *l = &j->pool->worker->limiter;
	struct request_turn in = { .err = e, .cluster = { .wait = t->wait, .turn = t->turn } };

	j->is_asking_turn = false;
	if (e != E_OK)
		complain(l, why);
	else
		l->has_complained = false;
	answer(l, j, &in);
}

/* The rate is part of the name: with another rate a bucket begins anew, whatever it was up to. */
static enum err
ask_cluster(struct limiter *l, struct job *j)
{
	const struct task_rule *rule = j->request.rule;
	struct backend_turn_ask ask = { .interval = limit_interval(rule->cluster_rate),
		.burst = rule->rate_burst,
		.turn = j->request.been.cluster_turn,
		.late = LIMIT_LATE_US,
		.ahead = LIMIT_AHEAD_US };
	char rate[RULE_RATE_MAX];

	rule_format_rate(rule->cluster_rate, rate);
	name_of(l, j);
	buf_addf(&l->name, "\n%s", rate);
	ask.bucket = buf_span(&l->name);
	return backend_turn(l->worker->backend, &ask, on_turn, j);
}

bool
limiter_ask(struct limiter *l, struct job *j)
{
	struct request_turn in = { .err = E_OK };

	if (j->request.rule->cluster_rate <= 0)
		return answer(l, j, &in);
	in.err = ask_cluster(l, j);
	j->is_asking_turn = in.err == E_OK;
	if (j->is_asking_turn)
		return false;
	complain(l, err_name(in.err));
	return answer(l, j, &in);
}

void
limiter_cancel(struct limiter *l, struct job *j)
{
	if (j->is_asking_turn)
		backend_turn_cancel(l->worker->backend, j);
}

void
limiter_forget(struct limiter *l, struct span task_name)
{
	struct map_iter it = { .entry = NULL };

	while (map_next(&l->buckets, &it))
		if (it.key.len > task_name.len && it.key.ptr[task_name.len] == '\n' &&
			span_eq((struct span){ it.key.ptr, task_name.len }, task_name)) {
			alloc_free(it.value);
			map_del(&l->buckets, it.key);
		}
}
