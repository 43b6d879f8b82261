/*
 * Consumers of one pool. Each open of the channel begins from nothing: its mode, its window, its consumers. From then on fit() takes one
 * step after the other towards the window and the queues that are wanted, each time something has changed or has been answered.
 *
 * A channel that has deliveries is never closed for a change: their tags would go with it, and other workers would get what runs here. So a
 * pool that gets further queues while it runs goes over to the spread mode, which every kind of queue takes.
 *
 * A probe asks the broker how many messages wait where: every ten seconds for the watchdog, more often where consumers move to
 * them, or where slots come and go with them.
 */
#include "worker/feed.h"

#include "base/log.h"
#include "worker/state.h"

#define PROBE_SPREAD_MS 250
#define PROBE_SCALE_MS 500
/* How often the watchdog looks. */
#define LOOK_MS 10000

static bool
is_usable(const struct feed *f, size_t queue)
{
	return f->pool->queues[queue].wanted && f->pool->queues[queue].declared;
}

static size_t
usable_queues(const struct feed *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->pool->n_queues; i++)
		n += is_usable(f, i);
	return n;
}

static const char *
queue_name(const struct feed *f, size_t queue)
{
	return f->pool->queues[queue].topo.name;
}

/* --- the window of single consumers ------------------------------------------------------------------------------------- */

static bool
is_staying(const struct consumer *c)
{
	return (c->state == CONSUMER_ON || c->state == CONSUMER_STARTING) && !c->is_unwanted;
}

static struct window_share *
shares_of(const struct feed *f)
{
	struct window_share *shares = must_alloc(sizeof(*shares) * (f->n_consumers + 1));

	for (size_t i = 0; i < f->n_consumers; i++) {
		const struct consumer *c = f->consumers[i];

		shares[i].prefetch = c->prefetch;
		shares[i].held = c->held;
		shares[i].state = c->state == CONSUMER_OFF ? WINDOW_OFF
			: is_staying(c)                    ? WINDOW_ON
							   : WINDOW_LEAVING;
	}
	return shares;
}

uint32_t
feed_claims(const struct feed *f)
{
	struct window_share *shares = shares_of(f);
	uint32_t claims = window_claims(shares, f->n_consumers);

	alloc_free(shares);
	return f->mode == WINDOW_SHARED && f->granted > claims ? f->granted : claims;
}

/* Which queues have how many consumers; one that moves counts where it goes. */
static void
count_consumers(const struct feed *f, struct window_queue *counts)
{
	for (size_t i = 0; i < f->n_consumers; i++) {
		const struct consumer *c = f->consumers[i];

		if (c->moves)
			counts[c->next_queue].idle++;
		else if (c->state == CONSUMER_ON && c->held > 0)
			counts[c->queue].busy++;
		else if (is_staying(c))
			counts[c->queue].idle++;
	}
	for (size_t i = 0; i < f->pool->n_queues; i++)
		counts[i].off = !is_usable(f, i);
}

static struct consumer *
new_consumer(struct feed *f)
{
	struct consumer *c = NULL;

	/* One that was on its way somewhere first. */
	for (size_t i = 0; i < f->n_consumers; i++) {
		struct consumer *old = f->consumers[i];

		if (old->state == CONSUMER_OFF && old->held == 0 && (c == NULL || (old->moves && !c->moves)))
			c = old;
	}
	if (c != NULL)
		return c;
	c = must_alloc(sizeof(*c));
	*c = (struct consumer){ .feed = f, .index = f->n_consumers };
	f->consumers = must_resize(f->consumers, sizeof(struct consumer *) * (f->n_consumers + 1));
	f->consumers[f->n_consumers++] = c;
	return c;
}

static size_t
thinnest_queue(const struct feed *f)
{
	struct window_queue *counts = must_alloc(sizeof(*counts) * (f->pool->n_queues + 1));
	size_t queue;

	count_consumers(f, counts);
	queue = window_thinnest(counts, f->pool->n_queues);
	alloc_free(counts);
	return queue;
}

/* False when the channel takes nothing. */
static bool
add_consumer(struct feed *f, uint32_t prefetch, size_t queue)
{
	struct consumer *c = new_consumer(f);

	c->queue = c->moves && is_usable(f, c->next_queue) ? c->next_queue : queue;
	c->prefetch = prefetch;
	if (f->mode != WINDOW_SHARED && f->qos != (int)prefetch) {
		if (bus_qos(f->chan, (int)prefetch, false, NULL, NULL) != E_OK)
			return false;
		f->qos = (int)prefetch;
	}
	return consumer_start(c, queue_name(f, c->queue));
}

/* What consumers may hold that neither end nor wait for their last delivery to be settled. */
static uint32_t
standing(const struct feed *f)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < f->n_consumers; i++)
		if (is_staying(f->consumers[i]))
			sum += f->consumers[i]->prefetch;
	return sum;
}

static void
fit_shares(struct feed *f)
{
	for (;;) {
		struct window_share *shares = shares_of(f);
		struct window_change c = window_fit(f->mode, shares, f->n_consumers, f->window);

		alloc_free(shares);
		if (c.action == WINDOW_CANCEL
				? !consumer_cancel(f->consumers[c.consumer])
				: c.action == WINDOW_KEEP || !add_consumer(f, c.prefetch, thinnest_queue(f)))
			break;
	}
	f->fits = standing(f) == f->window;
}

/* --- the window of the whole channel ------------------------------------------------------------------------------------ */

static void
on_window_set(void *owner, const struct bus_answer *a)
{
	struct feed *f = owner;

	if (a->err != E_OK)
		return;
	/* Of several that are under way the last counts. */
	if (--f->qos_due > 0 || f->mode != WINDOW_SHARED)
		return;
	f->granted = (uint32_t)f->shared_qos;
	pool_on_window(f->pool);
}

static bool
has_consumer(const struct feed *f, size_t queue)
{
	for (size_t i = 0; i < f->n_consumers; i++)
		if (f->consumers[i]->queue == queue && f->consumers[i]->state != CONSUMER_OFF)
			return true;
	return false;
}

static void
fit_shared(struct feed *f)
{
	if (f->shared_qos != (int)f->window) {
		if (bus_qos(f->chan, (int)f->window, true, on_window_set, f) != E_OK)
			return;
		f->qos_due++;
		f->shared_qos = (int)f->window;
		if (f->granted < f->window)
			f->granted = f->window;
	}
	for (size_t i = 0; i < f->pool->n_queues; i++)
		if (is_usable(f, i) && !has_consumer(f, i) && !add_consumer(f, 0, i))
			return;
	f->fits = true;
}

/* --- towards what is wanted --------------------------------------------------------------------------------------------- */

/* Queues that are no longer wanted lose their consumers. */
static void
leave_queues(struct feed *f)
{
	for (size_t i = 0; i < f->n_consumers; i++)
		if (!is_usable(f, f->consumers[i]->queue))
			consumer_cancel(f->consumers[i]);
}

/* True when all consumers are off, those that the broker still has to answer about included. */
static bool
cancel_all(struct feed *f)
{
	bool all_off = true;

	for (size_t i = 0; i < f->n_consumers; i++) {
		consumer_cancel(f->consumers[i]);
		all_off &= f->consumers[i]->state == CONSUMER_OFF;
	}
	return all_off;
}

/* False while it is on the way from one mode to another. */
static bool
settle_mode(struct feed *f)
{
	size_t queues = usable_queues(f), served = 0;

	if (!f->has_mode) {
		f->mode = window_choose(queues, f->refuses_shared);
		f->has_mode = true;
		return true;
	}
	for (size_t i = 0; i < f->pool->n_queues; i++)
		served += is_usable(f, i) && has_consumer(f, i);
	if (f->mode == WINDOW_SPREAD || queues == served || (f->mode == WINDOW_ONE && queues < 2))
		return true;
	/* One queue of the shared window that came back after it was deleted is no change. */
	if (f->mode == WINDOW_SHARED && !f->pool->queues_changed)
		return true;
	if (!cancel_all(f))
		return false;
	if (f->mode == WINDOW_SHARED && bus_qos(f->chan, 0, true, NULL, NULL) != E_OK)
		return false;
	f->mode = WINDOW_SPREAD;
	f->shared_qos = -1;
	f->granted = 0;
	return true;
}

static ms_t
probe_ms(const struct feed *f)
{
	if (f->mode == WINDOW_SPREAD && usable_queues(f) > 1)
		return PROBE_SPREAD_MS;
	return f->pool->scaling.max > 0 ? PROBE_SCALE_MS : LOOK_MS;
}

static void
arm_probe(struct feed *f)
{
	f->probe_every = probe_ms(f);
	loop_timer_arm(&f->probe_timer, f->probe_every);
}

static void
fit(struct feed *f)
{
	f->fits = false;
	if (!f->wanted || !f->topology_ok || !bus_chan_is_open(f->chan))
		return;
	leave_queues(f);
	if (usable_queues(f) == 0 || !settle_mode(f))
		return;
	if (f->mode == WINDOW_SHARED)
		fit_shared(f);
	else
		fit_shares(f);
	if (!f->probe_timer.armed || probe_ms(f) < f->probe_every)
		arm_probe(f);
}

void
feed_on_consumer(struct feed *f, struct consumer *c)
{
	if (!f->wanted) {
		consumer_cancel(c);
		return;
	}
	if (c->state == CONSUMER_ON)
		f->pool->queues[c->queue].added = false;
	fit(f);
	pool_on_window(f->pool);
	if (feed_is_consuming(f))
		worker_check_ready(f->pool->worker);
}

void
feed_set_window(struct feed *f, uint32_t window)
{
	if (f->window == window)
		return;
	f->window = window;
	fit(f);
}

void
feed_on_queues(struct feed *f)
{
	f->counts = must_resize(f->counts, sizeof(*f->counts) * (f->pool->n_queues + 1));
	/* Answers that come now are of the queues as they were. */
	f->answers_due = 0;
	fit(f);
}

/* --- moving consumers -------------------------------------------------------------------------------------------------- */

static void
move_one(struct feed *f, struct window_move m)
{
	struct consumer *best = NULL;

	for (size_t i = 0; i < f->n_consumers; i++) {
		struct consumer *c = f->consumers[i];

		if (c->state == CONSUMER_ON && !c->is_unwanted && c->queue == m.from &&
			(best == NULL || c->held < best->held))
			best = c;
	}
	if (best == NULL)
		return;
	best->next_queue = m.to;
	best->moves = true;
	consumer_cancel(best);
}

static void
decide_moves(struct feed *f)
{
	struct window_move m;

	count_consumers(f, f->counts);
	m = window_decide(f->counts, f->pool->n_queues, f->turn++);
	if (m.wanted && !f->counts[m.to].off)
		move_one(f, m);
}

static uint32_t
held_by_all(const struct feed *f)
{
	uint32_t held = 0;

	for (size_t i = 0; i < f->n_consumers; i++)
		held += f->consumers[i]->held;
	return held;
}

static void
look(struct feed *f, uint32_t ready)
{
	struct watchdog_look now = {
		.is_consuming = feed_is_consuming(f), .deliveries = f->deliveries, .ready = ready
	};

	if (loop_now(f->pool->worker->loop) < f->next_look)
		return;
	f->next_look = loop_now(f->pool->worker->loop) + LOOK_MS;
	now.has_room = held_by_all(f) < f->window;
	if (!watchdog_on_look(&f->watchdog, &now))
		return;
	LOG(CONSUMING_STUCK, LOG_STR("pool", f->pool->conf->name), LOG_INT("ready", now.ready));
	bus_conn_restart(f->pool->worker->consume, "tasks wait, slots are idle, and nothing was delivered");
}

static void
on_probed(void *owner, const struct bus_answer *a)
{
	struct feed *f = owner;
	uint32_t ready = 0;

	if (a->err == E_OK)
		for (size_t i = 0; i < f->pool->n_queues; i++)
			if (span_is(a->queue, queue_name(f, i)))
				f->counts[i].ready = a->messages;
	if (f->answers_due == 0 || --f->answers_due > 0)
		return;
	for (size_t i = 0; i < f->pool->n_queues; i++)
		ready += f->counts[i].ready;
	look(f, ready);
	if (f->mode == WINDOW_SPREAD)
		decide_moves(f);
	pool_on_look(f->pool, ready);
}

static void
on_probe_due(void *owner)
{
	struct feed *f = owner;
	size_t n = f->pool->n_queues;

	arm_probe(f);
	/* Also while no consumer is on: the only one may wait for its task's end, to go on at another queue. */
	if (f->answers_due > 0 || !f->has_mode || !bus_chan_is_open(f->probe))
		return;
	memset(f->counts, 0, sizeof(*f->counts) * n);
	for (size_t i = 0; i < n; i++) {
		struct bus_queue q = { .name = span_of(queue_name(f, i)), .passive = true };

		if (is_usable(f, i) && bus_queue_declare(f->probe, &q, on_probed, f) == E_OK)
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
		f->consumers[i]->state = CONSUMER_OFF;
		f->consumers[i]->held = 0;
		f->consumers[i]->moves = f->consumers[i]->is_unwanted = false;
	}
	f->answers_due = 0;
	f->has_mode = f->fits = false;
	f->pool->queues_changed = false;
	f->granted = 0;
	f->qos_due = 0;
	f->qos = f->shared_qos = -1;
}

static void
on_open(void *owner)
{
	fit(owner);
}

/* The broker puts the name of the queue that it means in quotes. */
static bool
is_named(const char *why, const char *queue)
{
	size_t len = strlen(queue);

	for (const char *at = strchr(why, '\''); at != NULL; at = strchr(at + 1, '\''))
		if (strncmp(at + 1, queue, len) == 0 && at[1 + len] == '\'')
			return true;
	return false;
}

/*
 * A queue that was added at run time and from which nobody may consume must not keep the others from being served. When the broker does not say
 * which it is, any that it has not answered about may be the one.
 */
static void
blame_added(struct feed *f, const char *why)
{
	bool any_named = false;

	for (size_t i = 0; i < f->n_consumers; i++)
		any_named |= f->consumers[i]->state == CONSUMER_STARTING &&
			is_named(why, queue_name(f, f->consumers[i]->queue));
	for (size_t i = 0; i < f->n_consumers; i++) {
		size_t queue = f->consumers[i]->queue;

		if (f->consumers[i]->state != CONSUMER_STARTING || !f->pool->queues[queue].added)
			continue;
		if (!any_named || is_named(why, queue_name(f, queue)))
			pool_drop_queue(f->pool, queue, why);
	}
}

#define AMQP_PRECONDITION_FAILED 406

/* A stream wants a prefetch of its own for each consumer, and says so in words only: 406 is much else. */
static bool
is_stream_refusal(const struct bus_close *why)
{
	return why->code == AMQP_PRECONDITION_FAILED && strstr(why->text, "prefetch count is not set") != NULL;
}

static void
on_close(void *owner, const struct bus_close *why)
{
	struct feed *f = owner;

	if (why->by_server)
		blame_added(f, why->text);
	forget_consumers(f);
	if (why->by_server) {
		if (is_stream_refusal(why) && feed_on_shared_refused(f))
			LOG(WINDOW_SPREAD);
		else
			LOG(CHANNEL_CLOSED, LOG_STR("pool", f->pool->conf->name), LOG_INT("code", why->code),
				LOG_STR("why", why->text));
		f->topology_ok = false;
		worker_ensure_queues(f->pool->worker);
	}
	pool_on_channel_lost(f->pool);
}

static void
on_deliver(void *owner, struct bus_delivery *d)
{
	struct feed *f = owner;
	struct consumer *c = consumer_find(f, d->consumer);

	if (c == NULL) {
		/* Not one of ours: cannot be, but must not be kept. */
		if (bus_nack(f->chan, d->tag, true) != E_OK)
			LOG(CHANNEL_CLOSED, LOG_STR("pool", f->pool->conf->name), LOG_INT("code", 0),
				LOG_STR("why", "unknown consumer"));
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
	struct consumer *c = consumer_find(f, tag);

	if (c == NULL)
		return;
	LOG(CONSUMER_CANCELLED, LOG_STR("pool", f->pool->conf->name),
		LOG_STR("queue", queue_name(f, c->queue)));
	/* Of one that we have cancelled as well the answer is still to come, and must not be taken for the next one's. */
	if (c->state != CONSUMER_CANCELLING)
		c->state = CONSUMER_OFF;
	f->topology_ok = false;
	worker_ensure_queues(f->pool->worker);
}

enum err
feed_open(struct feed *f, struct pool *p, struct bus_conn *c, struct errtext *t)
{
	static const struct bus_chan_ops ops = {
		.on_open = on_open, .on_close = on_close, .on_deliver = on_deliver, .on_cancel = on_cancel
	};
	static const struct bus_chan_ops probe_ops = { .on_open = on_probe_open, .on_close = on_probe_close };
	enum err e;

	memset(f, 0, sizeof(*f));
	f->pool = p;
	f->qos = f->shared_qos = -1;
	f->counts = must_alloc(sizeof(*f->counts) * (p->n_queues + 1));
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
	for (size_t i = 0; i < f->n_consumers; i++)
		alloc_free(f->consumers[i]);
	alloc_free(f->consumers);
	alloc_free(f->counts);
	memset(f, 0, sizeof(*f));
}

void
feed_on_topology(struct feed *f, bool ok)
{
	f->topology_ok = ok;
	if (ok)
		fit(f);
}

void
feed_start(struct feed *f)
{
	f->wanted = true;
	fit(f);
}

void
feed_stop(struct feed *f)
{
	f->wanted = false;
	loop_timer_disarm(&f->probe_timer);
	for (size_t i = 0; i < f->n_consumers; i++)
		consumer_cancel(f->consumers[i]);
}

bool
feed_is_consuming(const struct feed *f)
{
	bool any = false;

	for (size_t i = 0; i < f->n_consumers; i++)
		any |= f->consumers[i]->state == CONSUMER_ON;
	/* In the spread mode some are always on their way. */
	if (f->mode == WINDOW_SPREAD && any)
		return true;
	for (size_t i = 0; i < f->pool->n_queues; i++) {
		bool served = !f->pool->queues[i].wanted;

		for (size_t k = 0; k < f->n_consumers; k++)
			served |= f->consumers[k]->queue == i && f->consumers[k]->state == CONSUMER_ON;
		if (!served)
			return false;
	}
	return true;
}

bool
feed_on_shared_refused(struct feed *f)
{
	if (f->mode != WINDOW_SHARED || f->refuses_shared || usable_queues(f) < 2)
		return false;
	f->refuses_shared = true;
	return true;
}

struct span
feed_queue(const struct feed *f, size_t consumer)
{
	return span_of(queue_name(f, f->consumers[consumer]->queue));
}

void
feed_on_settled(struct feed *f, size_t consumer)
{
	struct consumer *c;

	if (consumer >= f->n_consumers)
		return;
	c = f->consumers[consumer];
	if (c->held > 0)
		c->held--;
	if (!f->fits)
		fit(f);
	pool_on_window(f->pool);
}
