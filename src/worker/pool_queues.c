/*
 * The queues of a pool. They come and go while it runs, but an entry stays for as long as the pool: consumers know it by its index, and
 * tasks point to its name.
 */
#include "worker/pool.h"

#include "base/log.h"
#include "worker/state.h"

static const char *
keep(const char *text)
{
	return text != NULL ? must_dup(span_of(text)) : NULL;
}

static void
drop(const char *text)
{
	alloc_free((char *)(uintptr_t)text);
}

static void
append(struct pool *p, const struct bus_topo_queue *q, bool added)
{
	struct bus_topo_queue own = *q;

	own.name = keep(q->name);
	own.exchange = keep(q->exchange);
	own.exchange_type = keep(q->exchange_type);
	own.routing_key = keep(q->routing_key);
	p->queues = must_resize(p->queues, sizeof(*p->queues) * (p->n_queues + 1));
	p->queues[p->n_queues++] = (struct pool_queue){ .topo = own, .wanted = true, .added = added };
}

void
pool_init_queues(struct pool *p)
{
	for (size_t i = 0; i < p->conf->n_queues; i++)
		append(p, &p->conf->queues[i], false);
}

void
pool_release_queues(struct pool *p)
{
	for (size_t i = 0; i < p->n_queues; i++) {
		drop(p->queues[i].topo.name);
		drop(p->queues[i].topo.exchange);
		drop(p->queues[i].topo.exchange_type);
		drop(p->queues[i].topo.routing_key);
	}
	alloc_free(p->queues);
}

static struct pool_queue *
find(const struct pool *p, struct span name)
{
	for (size_t i = 0; i < p->n_queues; i++)
		if (span_is(name, p->queues[i].topo.name))
			return &p->queues[i];
	return NULL;
}

const struct pool_queue *
pool_find_queue(const struct pool *p, struct span name)
{
	const struct pool_queue *q = find(p, name);

	return q != NULL && q->wanted ? q : NULL;
}

void
pool_add_queue(struct pool *p, const struct bus_topo_queue *q)
{
	struct pool_queue *old = find(p, span_of(q->name));

	if (old != NULL && old->wanted)
		return;
	LOG(QUEUE_ADDED, LOG_STR("pool", p->conf->name), LOG_STR("queue", q->name));
	if (old != NULL) {
		/* It may have been deleted since. */
		old->wanted = old->added = true;
		old->asked = old->declared = false;
	} else
		append(p, q, true);
	p->queues_changed = true;
	feed_on_queues(&p->feed);
	worker_ensure_queues(p->worker);
}

static void
leave(struct pool *p, struct pool_queue *q)
{
	q->wanted = q->added = false;
	feed_on_queues(&p->feed);
	/* One thing less to wait for. */
	worker_check_ready(p->worker);
}

bool
pool_cancel_queue(struct pool *p, struct span name)
{
	struct pool_queue *q = find(p, name);

	if (q == NULL || !q->wanted)
		return false;
	LOG(QUEUE_CANCELLED, LOG_STR("pool", p->conf->name), LOG_STR("queue", q->topo.name));
	leave(p, q);
	return true;
}

void
pool_drop_queue(struct pool *p, size_t queue, const char *why)
{
	struct pool_queue *q = &p->queues[queue];

	if (!q->wanted)
		return;
	LOG(QUEUE_DROPPED, LOG_STR("pool", p->conf->name), LOG_STR("queue", q->topo.name),
		LOG_STR("why", why));
	leave(p, q);
}

bool
pool_on_topology(struct pool *p)
{
	bool all = true;

	for (size_t i = 0; i < p->n_queues; i++) {
		struct pool_queue *q = &p->queues[i];

		q->declared |= q->asked;
		q->asked = false;
		all &= q->declared || !q->wanted;
	}
	return all;
}
