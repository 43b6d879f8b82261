/*
 * Consumers of one pool. Each open of the channel begins from nothing: window, then one consume per consumer. A probe asks the
 * broker how many messages wait where: every ten seconds for the watchdog, four times a second in the spread mode, where
 * consumers move to them.
 */
#include "worker/feed.h"

#include "base/log.h"
#include "worker/state.h"

#define PROBE_MS 250
/* How often the watchdog looks. */
#define LOOK_MS 10000

static void consumer_start(struct consumer *c);

static void
add_tag(char *out, size_t size, const struct consumer *c)
{
	snprintf(out, size, "%s/%s/%zu", c->feed->pool->worker->conf->node, c->feed->pool->conf->name, c->index);
}

static const char *
queue_name(const struct feed *f, size_t queue)
{
	return f->pool->conf->queues[queue].name;
}

static void
check_ready(struct feed *f)
{
	if (feed_is_consuming(f))
		worker_check_ready(f->pool->worker);
}

/* --- one consumer ------------------------------------------------------------------------------------------------------ */

static void
on_consuming(void *owner, const struct bus_answer *a)
{
	struct consumer *c = owner;

	/* A refusal closes the channel; its on_close says what it was. */
	if (a->err != E_OK)
		return;
	c->state = CONSUMER_ON;
	if (!c->feed->wanted)
		feed_stop(c->feed);
	else
		check_ready(c->feed);
}

static void
consumer_start(struct consumer *c)
{
	struct feed *f = c->feed;
	char tag[512];

	add_tag(tag, sizeof(tag), c);
	c->queue = c->next_queue;
	if (bus_consume(f->chan, span_of(queue_name(f, c->queue)), span_of(tag), false, false, NULL, on_consuming, c) == E_OK)
		c->state = CONSUMER_STARTING;
}

static void
consumer_go_on(struct consumer *c)
{
	if (c->state == CONSUMER_OFF && c->held == 0 && c->feed->wanted && c->feed->mode == WINDOW_SPREAD)
		consumer_start(c);
}

static void
on_cancelled(void *owner, const struct bus_answer *a)
{
	struct consumer *c = owner;

	if (a->err != E_OK)
		return;
	c->state = CONSUMER_OFF;
	consumer_go_on(c);
}

static void
consumer_cancel(struct consumer *c)
{
	char tag[512];

	add_tag(tag, sizeof(tag), c);
	if (c->state == CONSUMER_ON && bus_cancel(c->feed->chan, span_of(tag), on_cancelled, c) == E_OK)
		c->state = CONSUMER_CANCELLING;
}

static struct consumer *
find_consumer(struct feed *f, struct span tag)
{
	char own[512];

	for (size_t i = 0; i < f->n_consumers; i++) {
		add_tag(own, sizeof(own), &f->consumers[i]);
		if (span_is(tag, own))
			return &f->consumers[i];
	}
	return NULL;
}

/* The index is the number behind the last slash; no search on the hot path. */
static struct consumer *
consumer_of(struct feed *f, struct span tag)
{
	size_t i = tag.len, n = 0, unit = 1;

	while (i > 0 && tag.ptr[i - 1] >= '0' && tag.ptr[i - 1] <= '9') {
		n += unit * (size_t)(tag.ptr[--i] - '0');
		unit *= 10;
	}
	return n < f->n_consumers ? &f->consumers[n] : NULL;
}

/* --- moving consumers -------------------------------------------------------------------------------------------------- */

static void
move_one(struct feed *f, struct window_move m)
{
	struct consumer *best = NULL;

	for (size_t i = 0; i < f->n_consumers; i++) {
		struct consumer *c = &f->consumers[i];

		if (c->state == CONSUMER_ON && c->queue == m.from && (best == NULL || c->held < best->held))
			best = c;
	}
	if (best == NULL)
		return;
	best->next_queue = m.to;
	consumer_cancel(best);
}

static void
decide_moves(struct feed *f)
{
	struct window_move m;

	for (size_t i = 0; i < f->n_consumers; i++) {
		const struct consumer *c = &f->consumers[i];

		/* One that is on its way counts where it goes. */
		if (c->held > 0 && c->state == CONSUMER_ON)
			f->counts[c->queue].busy++;
		else
			f->counts[c->state == CONSUMER_ON ? c->queue : c->next_queue].idle++;
	}
	m = window_decide(f->counts, f->pool->conf->n_queues, f->turn++);
	if (m.wanted)
		move_one(f, m);
}

static int
feed_multiplier(const struct feed *f)
{
	return f->pool->conf->prefetch_multiplier > 1 ? f->pool->conf->prefetch_multiplier : 1;
}

static void
look(struct feed *f)
{
	struct watchdog_look now = { .is_consuming = feed_is_consuming(f), .deliveries = f->deliveries };
	size_t held = 0;

	if (loop_now(f->pool->worker->loop) < f->next_look)
		return;
	f->next_look = loop_now(f->pool->worker->loop) + LOOK_MS;
	for (size_t i = 0; i < f->pool->conf->n_queues; i++)
		now.ready += f->counts[i].ready;
	for (size_t i = 0; i < f->n_consumers; i++)
		held += f->consumers[i].held;
	now.has_room = held < (size_t)(f->pool->conf->concurrency * feed_multiplier(f));
	if (!watchdog_on_look(&f->watchdog, &now))
		return;
	LOG(CONSUMING_STUCK, LOG_STR("pool", f->pool->conf->name), LOG_INT("ready", now.ready));
	bus_conn_restart(f->pool->worker->consume, "tasks wait, slots are idle, and nothing was delivered");
}

static void
on_probed(void *owner, const struct bus_answer *a)
{
	struct feed *f = owner;

	if (a->err == E_OK)
		for (size_t i = 0; i < f->pool->conf->n_queues; i++)
			if (span_is(a->queue, queue_name(f, i)))
				f->counts[i].ready = a->messages;
	if (f->answers_due == 0 || --f->answers_due > 0)
		return;
	look(f);
	if (f->mode == WINDOW_SPREAD)
		decide_moves(f);
}

static ms_t
probe_ms(const struct feed *f)
{
	return f->mode == WINDOW_SPREAD ? PROBE_MS : LOOK_MS;
}

static void
on_probe_due(void *owner)
{
	struct feed *f = owner;
	size_t n = f->pool->conf->n_queues;

	loop_timer_arm(&f->probe_timer, probe_ms(f));
	if (f->answers_due > 0 || !feed_is_consuming(f) || !bus_chan_is_open(f->probe))
		return;
	memset(f->counts, 0, sizeof(*f->counts) * n);
	for (size_t i = 0; i < n; i++) {
		struct bus_queue q = { .name = span_of(queue_name(f, i)), .passive = true };

		if (bus_queue_declare(f->probe, &q, on_probed, f) == E_OK)
			f->answers_due++;
	}
}

static void
on_probe_open(void *owner UNUSED)
{
}

static void
on_probe_close(void *owner, const struct bus_close *why UNUSED)
{
	struct feed *f = owner;

	/* A queue that is gone is noticed by its consumers; the next probe begins anew. */
	f->answers_due = 0;
}

/* --- the channel ------------------------------------------------------------------------------------------------------- */

static void
forget_consumers(struct feed *f)
{
	for (size_t i = 0; i < f->n_consumers; i++) {
		f->consumers[i].state = CONSUMER_OFF;
		f->consumers[i].held = 0;
	}
	f->answers_due = 0;
}

static void
plan_consumers(struct feed *f)
{
	const struct pool_conf *conf = f->pool->conf;

	f->mode = window_choose(conf->n_queues, f->refuses_shared);
	f->n_consumers = window_consumers(f->mode, conf->n_queues, (size_t)conf->concurrency);
	f->consumers = must_resize(f->consumers, sizeof(*f->consumers) * f->n_consumers);
	for (size_t i = 0; i < f->n_consumers; i++)
		f->consumers[i] = (struct consumer){
			.feed = f,
			.index = i,
			.next_queue = window_first_queue(f->mode, i, conf->n_queues),
		};
}

/* Applies what the feed wants to a channel that has nothing yet. */
static void
apply(struct feed *f)
{
	int prefetch;

	if (!f->wanted || !f->topology_ok || !bus_chan_is_open(f->chan))
		return;
	for (size_t i = 0; i < f->n_consumers; i++)
		if (f->consumers[i].state != CONSUMER_OFF)
			return;
	plan_consumers(f);
	prefetch = window_prefetch(f->mode, (size_t)f->pool->conf->concurrency) * feed_multiplier(f);
	if (bus_qos(f->chan, prefetch, f->mode == WINDOW_SHARED, NULL, NULL) != E_OK)
		return;
	for (size_t i = 0; i < f->n_consumers; i++)
		consumer_start(&f->consumers[i]);
	loop_timer_arm(&f->probe_timer, probe_ms(f));
}

static void
on_open(void *owner)
{
	apply(owner);
}

static void
on_close(void *owner, const struct bus_close *why)
{
	struct feed *f = owner;

	forget_consumers(f);
	if (why->by_server) {
		LOG(CHANNEL_CLOSED, LOG_STR("pool", f->pool->conf->name), LOG_INT("code", why->code), LOG_STR("why", why->text));
		f->topology_ok = false;
		worker_ensure_queues(f->pool->worker);
	}
	pool_on_channel_lost(f->pool);
}

static void
on_deliver(void *owner, struct bus_delivery *d)
{
	struct feed *f = owner;
	struct consumer *c = consumer_of(f, d->consumer);

	if (c == NULL) {
		/* Not one of ours: cannot be, but must not be kept. */
		if (bus_nack(f->chan, d->tag, true) != E_OK)
			LOG(CHANNEL_CLOSED, LOG_STR("pool", f->pool->conf->name), LOG_INT("code", 0), LOG_STR("why", "unknown consumer"));
		bus_msg_free(d->msg);
		return;
	}
	c->held++;
	f->deliveries++;
	pool_on_delivery(f->pool, d, c->index);
}

static void
on_cancel(void *owner, struct span tag)
{
	struct feed *f = owner;
	struct consumer *c = find_consumer(f, tag);

	if (c == NULL)
		return;
	LOG(CONSUMER_CANCELLED, LOG_STR("pool", f->pool->conf->name), LOG_STR("queue", queue_name(f, c->queue)));
	c->state = CONSUMER_OFF;
	c->next_queue = c->queue;
	f->topology_ok = false;
	worker_ensure_queues(f->pool->worker);
}

enum err
feed_open(struct feed *f, struct pool *p, struct bus_conn *c, struct errtext *t)
{
	static const struct bus_chan_ops ops = { .on_open = on_open, .on_close = on_close, .on_deliver = on_deliver, .on_cancel = on_cancel };
	static const struct bus_chan_ops probe_ops = { .on_open = on_probe_open, .on_close = on_probe_close };
	enum err e;

	memset(f, 0, sizeof(*f));
	f->pool = p;
	f->counts = must_alloc(sizeof(*f->counts) * p->conf->n_queues);
	e = loop_timer_init(&f->probe_timer, p->worker->loop, on_probe_due, f);
	if (e == E_OK)
		e = bus_chan_new(&f->chan, c, &ops, f);
	if (e == E_OK)
		e = bus_chan_new(&f->probe, c, &probe_ops, f);
	return e == E_OK ? E_OK : err_set(t, e, "cannot open a channel: %s", err_name(e));
}

void
feed_close(struct feed *f)
{
	bus_chan_close(f->chan);
	bus_chan_close(f->probe);
	loop_timer_release(&f->probe_timer);
	alloc_free(f->consumers);
	alloc_free(f->counts);
	memset(f, 0, sizeof(*f));
}

void
feed_on_topology(struct feed *f, bool ok)
{
	f->topology_ok = ok;
	if (!ok)
		return;
	apply(f);
	/* After a server-sent cancel only some are off. */
	for (size_t i = 0; i < f->n_consumers && f->wanted && bus_chan_is_open(f->chan); i++)
		if (f->consumers[i].state == CONSUMER_OFF && (f->mode != WINDOW_SPREAD || f->consumers[i].held == 0))
			consumer_start(&f->consumers[i]);
}

void
feed_start(struct feed *f)
{
	f->wanted = true;
	apply(f);
}

void
feed_stop(struct feed *f)
{
	f->wanted = false;
	loop_timer_disarm(&f->probe_timer);
	for (size_t i = 0; i < f->n_consumers; i++)
		consumer_cancel(&f->consumers[i]);
}

bool
feed_is_consuming(const struct feed *f)
{
	bool any = false;

	for (size_t i = 0; i < f->n_consumers; i++) {
		/* In the spread mode some are always on their way. */
		if (f->consumers[i].state == CONSUMER_ON)
			any = true;
		else if (f->mode != WINDOW_SPREAD)
			return false;
	}
	return any;
}

bool
feed_on_shared_refused(struct feed *f)
{
	if (f->mode != WINDOW_SHARED || f->refuses_shared || f->pool->conf->n_queues < 2)
		return false;
	f->refuses_shared = true;
	return true;
}

struct span
feed_queue(const struct feed *f, size_t consumer)
{
	return span_of(queue_name(f, f->consumers[consumer].queue));
}

void
feed_on_settled(struct feed *f, size_t consumer)
{
	struct consumer *c;

	if (consumer >= f->n_consumers)
		return;
	c = &f->consumers[consumer];
	if (c->held > 0)
		c->held--;
	consumer_go_on(c);
}
