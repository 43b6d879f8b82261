/*
 * See outbox.h. The queue is made at the start, so that each worker can listen there: results may be parked by one that lost the backend alone. Who
 * listens holds what it got until it is stored; what cannot be stored for a reason that stays is tried again and told of.
 */
#include "worker/outbox.h"

#include "base/id.h"
#include "base/log.h"
#include "wire/outbox.h"
#include "worker/job.h"
#include "worker/state.h"

#define PREFETCH 100
#define RETRY_MS 30000
/* A backend that does not answer for so long is away. */
#define AWAY_MS 5000
#define TAG "outbox"

struct item {
	struct list link;
	struct outbox *outbox;
	struct bus_tag tag;
	struct msg *msg;
	struct outbox_letter letter;
	struct backend_store store;
	uint64_t publish_id;
	struct loop_timer retry;
};

static void store(struct item *it);
static void send_task(struct item *it);

static void
item_free(struct item *it)
{
	list_unlink(&it->link);
	backend_store_cancel(&it->store);
	backend_store_release(&it->store);
	if (it->publish_id != 0)
		bus_pub_cancel(it->outbox->worker->pub, it->publish_id);
	loop_timer_release(&it->retry);
	bus_msg_free(it->msg);
	alloc_free(it);
}

static void
item_done(struct item *it)
{
	LOG(RESULT_UNPARKED, LOG_SPAN("id", it->letter.id));
	/* E_CLOSED: it comes again, and is found stored. */
	if (bus_ack(it->outbox->chan, it->tag) != E_OK)
		LOG(OUTBOX_REFUSED, LOG_STR("queue", it->outbox->queue),
			LOG_STR("why", "the channel was lost before the acknowledgement"),
			LOG_INT("retry", 0));
	item_free(it);
}

static void
stuck(struct item *it, const char *why)
{
	LOG(OUTBOX_STUCK, LOG_STR("queue", it->outbox->queue), LOG_SPAN("id", it->letter.id),
		LOG_STR("why", why), LOG_INT("retry", RETRY_MS / 1000));
	loop_timer_arm(&it->retry, RETRY_MS);
}

/* --- the way out ------------------------------------------------------------------------------------------------------- */

static void
on_task_sent(void *owner, const struct bus_pub_result *r)
{
	struct item *it = owner;

	it->publish_id = 0;
	if (r->end == BUS_PUB_CONFIRMED)
		item_done(it);
	else
		stuck(it, r->text);
}

static void
send_task(struct item *it)
{
	struct msg m;
	enum err e;

	msg_init(&m, 0);
	e = outbox_restore(&m, it->msg, &it->letter);
	if (e == E_OK)
		e = bus_publish(it->outbox->worker->pub, &m, on_task_sent, it, &it->publish_id);
	msg_release(&m);
	if (e != E_OK)
		stuck(it, err_name(e));
}

static void
on_stored(struct backend_store *s, enum err e, const char *why)
{
	struct item *it = container_of(s, struct item, store);

	if (e != E_OK)
		stuck(it, why);
	else if (it->letter.queue.ptr != NULL)
		send_task(it);
	else
		item_done(it);
}

static void
store(struct item *it)
{
	enum err e = backend_store_text(
		it->outbox->worker->backend, &it->store, it->letter.id, it->letter.result, on_stored);

	if (e != E_OK)
		stuck(it, err_name(e));
}

/* Storing again what is stored already is no harm. */
static void
on_item_retry(void *owner)
{
	store(owner);
}

static void
on_deliver(void *owner, struct bus_delivery *d)
{
	struct outbox *o = owner;
	struct item *it = must_alloc(sizeof(*it));
	struct errtext why;

	*it = (struct item){ .outbox = o, .tag = d->tag, .msg = d->msg };
	list_push(&o->items, &it->link);
	if (loop_timer_init(&it->retry, o->worker->loop, on_item_retry, it) != E_OK)
		abort();
	if (d->spoiled == NULL && outbox_decode(&it->letter, it->msg, &why) == E_OK) {
		store(it);
		return;
	}
	/* Somebody else's: nothing of ours is lost with it, but it is not ours to throw away. It stays unacknowledged, out of the way. */
	LOG(OUTBOX_STUCK, LOG_STR("queue", o->queue), LOG_STR("id", ""),
		LOG_STR("why", d->spoiled != NULL ? d->spoiled : why.text), LOG_INT("retry", 0));
}

/* --- listening --------------------------------------------------------------------------------------------------------- */

static void
on_consuming(void *owner, const struct bus_answer *a)
{
	struct outbox *o = owner;

	if (a->err != E_OK)
		o->is_consuming = false;
}

static void
on_topology(void *owner, const struct bus_topo_report *r)
{
	struct outbox *o = owner;

	o->topo = NULL;
	o->is_there = r->err == E_OK;
	if (r->err == E_OK)
		o->has_complained = false;
	if (r->err != E_OK && r->err != E_CLOSED) {
		if (!o->has_complained)
			LOG(OUTBOX_REFUSED, LOG_STR("queue", o->queue), LOG_STR("why", r->text),
				LOG_INT("retry", RETRY_MS / 1000));
		o->has_complained = true;
		loop_timer_arm(&o->retry, RETRY_MS);
	}
	outbox_look(o);
}

void
outbox_look(struct outbox *o)
{
	struct bus_topo_queue q = { .name = o->queue };
	struct worker *w = o->worker;

	if (o->after_ms == 0 || worker_is_stopping(w) || !bus_conn_is_up(w->consume))
		return;
	if (!o->is_there) {
		if (o->topo == NULL && !o->retry.armed &&
			bus_topo_ensure(&o->topo, w->consume, &q, 1, on_topology, o) != E_OK)
			loop_timer_arm(&o->retry, RETRY_MS);
		return;
	}
	if (!bus_chan_is_open(o->chan) || backend_is_up(w->backend) == o->is_consuming)
		return;
	if (o->is_consuming)
		o->is_consuming = bus_cancel(o->chan, SPAN(TAG), NULL, NULL) != E_OK;
	else
		o->is_consuming = bus_qos(o->chan, PREFETCH, false, NULL, NULL) == E_OK &&
			bus_consume(o->chan, span_of(o->queue), SPAN(TAG), false, false, NULL, on_consuming,
				o) == E_OK;
}

static void
on_retry(void *owner)
{
	outbox_look(owner);
}

static void
on_open(void *owner)
{
	outbox_look(owner);
}

static void
forget_items(struct outbox *o)
{
	struct list *it, *tmp;

	LIST_EACH (&o->items, it, tmp)
		item_free(container_of(it, struct item, link));
	o->is_consuming = false;
}

static void
on_close(void *owner, const struct bus_close *why)
{
	struct outbox *o = owner;

	forget_items(o);
	/* The queue may be gone. */
	if (why->by_server)
		o->is_there = false;
}

static void
on_cancelled(void *owner, struct span consumer UNUSED)
{
	struct outbox *o = owner;

	o->is_consuming = o->is_there = false;
	outbox_look(o);
}

/* --- the way in -------------------------------------------------------------------------------------------------------- */

static ms_t
least(ms_t a, ms_t b)
{
	return a < b ? a : b;
}

static void
hand_over(struct outbox *o, ms_t after_ms)
{
	struct worker *w = o->worker;
	ms_t now = loop_now(w->loop);

	for (size_t i = 0; i < w->n_pools; i++) {
		struct list *it, *tmp;

		LIST_EACH (&w->pools[i].jobs, it, tmp) {
			struct job *j = container_of(it, struct job, link);

			if (j->asked_backend_at != 0 && now - j->delivered_at >= after_ms &&
				now - j->asked_backend_at >= least(after_ms, AWAY_MS))
				job_on_backend_away(j);
		}
	}
}

void
outbox_hand_over(struct outbox *o)
{
	if (o->after_ms > 0)
		hand_over(o, 0);
}

/* Nothing is held by a delivery for longer than after_ms only because the backend is away. */
static void
on_tick(void *owner)
{
	struct outbox *o = owner;

	loop_timer_arm(&o->tick, least(o->after_ms / 4 + 1, 5000));
	hand_over(o, o->after_ms);
	outbox_look(o);
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

/* FNV-1a: the same on every machine, and short. */
static uint32_t
fingerprint(const char *url, const char *prefix)
{
	const char *const parts[] = { url, prefix != NULL ? prefix : "" };
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		for (const char *p = parts[i];; p++) {
			h = (h ^ (unsigned char)*p) * 16777619u;
			if (*p == '\0')
				break;
		}
	return h;
}

enum err
outbox_open(struct outbox *o, struct worker *w, ms_t after_ms)
{
	static const struct bus_chan_ops ops = {
		.on_open = on_open, .on_close = on_close, .on_deliver = on_deliver, .on_cancel = on_cancelled
	};
	enum err e;

	o->worker = w;
	o->after_ms = backend_keeps(w->backend) ? after_ms : 0;
	list_init(&o->items);
	snprintf(o->queue, sizeof(o->queue), "warren.outbox.%08x",
		fingerprint(backend_url(w->backend), w->conf->backend.key_prefix));
	e = loop_timer_init(&o->tick, w->loop, on_tick, o);
	if (e == E_OK)
		e = loop_timer_init(&o->retry, w->loop, on_retry, o);
	if (e != E_OK || o->after_ms == 0)
		return e;
	on_tick(o);
	return bus_chan_new(&o->chan, w->consume, &ops, o);
}

void
outbox_close(struct outbox *o)
{
	if (o->worker == NULL)
		return;
	forget_items(o);
	bus_topo_cancel(o->topo);
	bus_chan_close(o->chan);
	loop_timer_release(&o->tick);
	loop_timer_release(&o->retry);
}

void
outbox_on_broker_down(struct outbox *o)
{
	/* Another broker of the list may not have it. */
	o->is_there = false;
}
