/*
 * Remote control: pools, their slots and their queues. Celery's commands know one pool; here a further argument, `pool`, says
 * which is meant, and without it the first (or, to cancel a queue, all that take tasks from it). Answers are Celery's.
 */
#include "worker/ctl.h"

#include "base/log.h"
#include "base/text.h"

/* No answer: the worker is on its way out. */
void
ctl_shutdown(struct ctl *c)
{
	LOG(CONTROL_SHUTDOWN);
	c->is_silent = true;
	js_null(c->js);
	worker_shutdown(c->worker);
}

/* --- which pool --------------------------------------------------------------------------------------------------------- */

static void
say_unknown(struct ctl *c, struct span name)
{
	struct buf b;

	buf_init(&b, 1024);
	for (size_t i = 0; i < c->worker->n_pools; i++)
		buf_addf(&b, "%s%s", i > 0 ? ", " : "", c->worker->pools[i].conf->name);
	ctl_error(c, "there is no pool '%.*s' here: this worker has %s", SPAN_FMT(name), buf_text(&b));
	buf_release(&b);
}

/* NULL with the answer written. */
static struct pool *
find_pool(struct ctl *c)
{
	struct span name;

	if (!control_arg_text(c->req, "pool", &name) || name.len == 0)
		return &c->worker->pools[0];
	for (size_t i = 0; i < c->worker->n_pools; i++)
		if (span_is(name, c->worker->pools[i].conf->name))
			return &c->worker->pools[i];
	say_unknown(c, name);
	return NULL;
}

/* --- slots -------------------------------------------------------------------------------------------------------------- */

/* A number of slots; `otherwise` when it is not given. False with the answer written when it is none. */
static bool
get_slots(struct ctl *c, const char *key, size_t otherwise, size_t *out)
{
	double n;

	*out = otherwise;
	if (control_arg(c->req, key).ptr == NULL)
		return true;
	if (!control_arg_number(c->req, key, &n) || n < 1 || n > POOL_SLOTS_MAX || n != (double)(size_t)n) {
		ctl_error(c, "%s must be a number from 1 to %d", key, POOL_SLOTS_MAX);
		return false;
	}
	*out = (size_t)n;
	return true;
}

/* As Celery: what scales by itself is told between which numbers. */
static bool
is_by_hand(struct ctl *c, const struct pool *p)
{
	if (p->scaling.max > 0)
		ctl_error(c, "%.*s is not supported with autoscale. Adjust autoscale range instead.",
			SPAN_FMT(c->req->method));
	return p->scaling.max == 0;
}

void
ctl_pool_grow(struct ctl *c)
{
	struct pool *p = find_pool(c);
	struct errtext why;
	size_t n;

	if (p == NULL || !is_by_hand(c, p) || !get_slots(c, "n", 1, &n))
		return;
	if (p->size + n > POOL_SLOTS_MAX) {
		ctl_error(c, "a pool has at most %d slots, and this one has %zu", POOL_SLOTS_MAX, p->size);
		return;
	}
	if (worker_make_room(c->worker, n, &why) != E_OK) {
		ctl_error(c, "%s", why.text);
		return;
	}
	pool_set_size(p, p->size + n, "remote control");
	ctl_ok(c, "pool will grow");
}

void
ctl_pool_shrink(struct ctl *c)
{
	struct pool *p = find_pool(c);
	size_t n;

	if (p == NULL || !is_by_hand(c, p) || !get_slots(c, "n", 1, &n))
		return;
	if (n >= p->size) {
		ctl_error(c,
			"the pool has %zu slot%s and keeps at least one: to take nothing any more, cancel its queues",
			p->size, p->size == 1 ? "" : "s");
		return;
	}
	pool_set_size(p, p->size - n, "remote control");
	ctl_ok(c, "pool will shrink");
}

/* Children that run a task end after it, the others now. */
void
ctl_pool_restart(struct ctl *c)
{
	struct pool *p = find_pool(c);

	if (p == NULL)
		return;
	for (size_t i = 0; i < c->worker->n_pools; i++)
		if (control_arg(c->req, "pool").ptr == NULL || &c->worker->pools[i] == p)
			pool_restart(&c->worker->pools[i]);
	LOG(POOL_RESTART);
	ctl_ok(c, "reload started");
}

void
ctl_autoscale(struct ctl *c)
{
	struct pool *p = find_pool(c);
	struct errtext why;
	size_t min, max;

	if (p == NULL)
		return;
	if (p->scaling.max == 0) {
		ctl_error(c, "ValueError('Autoscale not enabled')");
		return;
	}
	if (!get_slots(c, "max", p->scaling.max, &max) || !get_slots(c, "min", p->scaling.min, &min))
		return;
	if (min > max) {
		ctl_error(c, "min (%zu) is more than max (%zu)", min, max);
		return;
	}
	if (max > p->scaling.max && worker_make_room(c->worker, max - p->scaling.max, &why) != E_OK) {
		ctl_error(c, "%s", why.text);
		return;
	}
	p->scaling.min = (uint32_t)min;
	p->scaling.max = (uint32_t)max;
	LOG(POOL_RANGE, LOG_STR("pool", p->conf->name), LOG_INT("min", min), LOG_INT("max", max));
	if (p->size < min || p->size > max)
		pool_set_size(p, p->size < min ? min : max, "remote control");
	ctl_ok(c, "autoscale now max=%zu min=%zu", max, min);
}

/* --- queues ------------------------------------------------------------------------------------------------------------- */

/* Text of the request with its NUL, or `otherwise`; the message owns it. */
static const char *
get_text(struct ctl *c, const char *key, const char *otherwise)
{
	struct span text, copy;

	if (!control_arg_text(c->req, key, &text) || text.len == 0)
		return otherwise;
	copy = arena_dup(c->req->arena, text);
	return copy.ptr != NULL ? copy.ptr : otherwise;
}

static bool
is_exchange_type(const char *type)
{
	return type == NULL || strcmp(type, "direct") == 0 || strcmp(type, "topic") == 0 ||
		strcmp(type, "fanout") == 0 || strcmp(type, "headers") == 0;
}

/* As the settings have it, if they know it; what the request says comes first. */
void
ctl_add_consumer(struct ctl *c)
{
	const struct worker_conf *conf = c->worker->conf;
	struct bus_topo_queue q = { .must_exist = conf->queues_must_exist };
	struct pool *p = find_pool(c);
	struct span name;

	if (p == NULL || !ctl_need_text(c, "queue", &name))
		return;
	if (name.len > 255) {
		ctl_error(c, "the name of a queue has at most 255 bytes");
		return;
	}
	for (size_t i = 0; i < conf->n_known_queues; i++)
		if (span_is(name, conf->known_queues[i].name))
			q = conf->known_queues[i];
	q.name = get_text(c, "queue", "");
	q.exchange = get_text(c, "exchange", q.exchange);
	q.exchange_type = get_text(c, "exchange_type", q.exchange_type);
	q.routing_key = get_text(c, "routing_key", q.routing_key);
	if (!is_exchange_type(q.exchange_type)) {
		ctl_error(c, "exchange_type must be direct, topic, fanout or headers, not '%s'",
			q.exchange_type);
		return;
	}
	/* Who names a way to the queue wants it to be there. */
	q.keep_bound = q.exchange != NULL || q.exchange_type != NULL || q.routing_key != NULL;
	pool_add_queue(p, &q);
	ctl_ok(c, "add consumer %.*s", SPAN_FMT(name));
}

void
ctl_cancel_consumer(struct ctl *c)
{
	struct pool *p = find_pool(c);
	struct span name;

	if (p == NULL || !ctl_need_text(c, "queue", &name))
		return;
	for (size_t i = 0; i < c->worker->n_pools; i++)
		if (control_arg(c->req, "pool").ptr == NULL || &c->worker->pools[i] == p)
			pool_cancel_queue(&c->worker->pools[i], name);
	ctl_ok(c, "no longer consuming from %.*s", SPAN_FMT(name));
}
