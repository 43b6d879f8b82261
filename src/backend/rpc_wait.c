/*
 * Waiting for replies. One queue for all tasks that this process sends, warren.reply.<uuid>, which reply_to names. It is durable and belongs to no
 * connection, unlike Celery's, so that what arrives while the connection is lost, or the broker starts again, is still there afterwards; the
 * broker deletes it when nobody has listened for five minutes. Replies are acknowledged when they have been read.
 *
 *   up: declare -> consume -> is_consuming, on_up        down, or refused: on_down; the channel comes back by itself
 *
 * A task may end before anybody waits for it: what comes is kept until then, the newest state of each. No stranger knows the queue's name, so these
 * are results of tasks that were sent from here, and of what follows those. There may be more of them than memory: what is too much is dropped, and
 * who waits for it later is told so.
 */
#include "backend/rpc_backend.h"

#include "base/alloc.h"
#include "wire/result.h"

#define UNUSED_MAX_MS 300000
#define PREFETCH 100
/* As much more as one part in so many is for notes of what was dropped. */
#define NOTES_SHARE 8
#define TAG "replies"

struct rpc_wait {
	struct backend_wait base;
	struct list link; /* listener.waits */
	struct rpc_backend *rb;
	char *id;
	backend_load_fn *fn;
	void *owner;
};

struct early {
	char *text; /* NULL: a final one that there was no room for */
	size_t len;
	bool is_final;
};

static void
wait_free(void *p)
{
	struct rpc_wait *w = p;

	alloc_free(w->id);
	alloc_free(w);
}

static void
wait_end(struct rpc_wait *w)
{
	list_unlink(&w->link);
	loop_reap(w->rb->base.loop, wait_free, w);
}

static void
cancel(struct backend_wait *base)
{
	wait_end(container_of(base, struct rpc_wait, base));
}

static void
early_free(void *p)
{
	struct early *e = p;

	alloc_free(e->text);
	alloc_free(e);
}

static size_t
cost(const struct early *e, struct span id)
{
	return sizeof(*e) + id.len + (e->text != NULL ? e->len : 0);
}

/* --- what has come ----------------------------------------------------------------------------------------------------- */

/* Who waits for an id waits alone. False: nobody does. */
static bool
tell(struct rpc_backend *rb, const struct result *r)
{
	struct list *it, *tmp;
	bool is_final = result_is_ready(r->state);

	LIST_EACH (&rb->listener.waits, it, tmp) {
		struct rpc_wait *w = container_of(it, struct rpc_wait, link);
		backend_load_fn *fn = w->fn;
		void *owner = w->owner;

		if (!span_is(r->task_id, w->id))
			continue;
		/* Before the call: its owner may forget the handle in it. */
		if (is_final)
			wait_end(w);
		fn(owner, E_OK, r, "");
		return true;
	}
	return false;
}

static enum err
put_early(struct rpc_listener *l, struct span id, const struct early *what, struct span text)
{
	struct early *e = alloc_zero(sizeof(*e));
	void *gone = NULL;
	enum err err;

	if (e == NULL)
		return E_NOMEM;
	*e = *what;
	e->text = text.ptr != NULL ? alloc_dup(text) : NULL;
	err = text.ptr == NULL || e->text != NULL ? map_set(&l->early, id, e, &gone) : E_NOMEM;
	if (err != E_OK) {
		early_free(e);
		return err;
	}
	l->early_size += cost(e, id);
	if (gone != NULL) {
		l->early_size -= cost(gone, id);
		early_free(gone);
	}
	return E_OK;
}

static struct early *
take_early(struct rpc_listener *l, struct span id)
{
	struct early *e = map_del(&l->early, id);

	if (e != NULL)
		l->early_size -= cost(e, id);
	return e;
}

/* Without room for a final state there is a note that it came, as long as there is room for notes. Other states may be missed. */
static enum err
keep(struct rpc_listener *l, const struct result *r, struct span text)
{
	const struct early *old = map_get(&l->early, r->task_id);
	struct early e = { .len = text.len, .is_final = result_is_ready(r->state) };
	size_t others = l->early_size - (old != NULL ? cost(old, r->task_id) : 0);

	if (old != NULL && old->is_final)
		return E_OK;
	if (others + cost(&e, r->task_id) + text.len <= l->early_max)
		return put_early(l, r->task_id, &e, text);
	if (!e.is_final)
		return E_OK;
	l->dropped++;
	return others + cost(&e, r->task_id) <= l->early_max + l->early_max / NOTES_SHARE
		? put_early(l, r->task_id, &e, SPAN_NONE)
		: E_OK;
}

/* A body that is no result, or of no task, is nobody's. */
static enum err
take(struct rpc_backend *rb, struct span body, struct span correlation_id, bool may_keep)
{
	struct result r;
	struct arena a;
	enum err e;

	arena_init(&a, 0);
	e = result_decode(&r, body, &a, NULL);
	if (e == E_OK && r.task_id.len == 0)
		r.task_id = correlation_id;
	if (e == E_OK && r.task_id.len > 0 && !tell(rb, &r) && may_keep)
		e = keep(&rb->listener, &r, body);
	arena_release(&a);
	return e;
}

static void
tell_dropped(struct rpc_wait *w)
{
	const struct rpc_listener *l = &w->rb->listener;
	struct errtext t;

	(void)err_set(&t, E_TOOBIG,
		"the result came before anybody waited for it, and is dropped like %llu in all: more than %zu KiB of such results "
		"are not kept, so wait for results while tasks are being sent",
		(unsigned long long)l->dropped, l->early_max / 1024);
	w->fn(w->owner, E_TOOBIG, NULL, t.text);
}

/* Tells those who began to wait after it had come. */
static void
tell_early(void *owner)
{
	struct rpc_backend *rb = owner;
	struct list *it;

	/* A callback may end any wait, or begin one: from the front again after each. */
again:
	for (it = rb->listener.waits.next; it != &rb->listener.waits; it = it->next) {
		struct rpc_wait *w = container_of(it, struct rpc_wait, link);
		struct early *e = take_early(&rb->listener, span_of(w->id));

		if (e == NULL)
			continue;
		if (e->text == NULL)
			tell_dropped(w);
		else
			(void)take(rb, (struct span){ e->text, e->len }, SPAN_NONE, false);
		early_free(e);
		goto again;
	}
}

static void
on_deliver(void *owner, struct bus_delivery *d)
{
	struct rpc_backend *rb = owner;
	struct bus_tag tag = d->tag;
	struct msg *m = d->msg;
	bool spoiled = d->spoiled != NULL;
	enum err e = E_OK;

	if (!spoiled)
		e = take(rb, m->body, m->correlation_id, true);
	bus_msg_free(m);
	/* Without memory for it now it stays the broker's, and comes again with the next connection. */
	if (e != E_NOMEM && rb->listener.chan != NULL && bus_ack(rb->listener.chan, tag) != E_OK)
		return;
}

/* --- listening --------------------------------------------------------------------------------------------------------- */

static void
say_down(struct rpc_backend *rb, const char *why)
{
	bool was_up = rb->listener.is_consuming;

	rb->listener.is_consuming = false;
	if (rb->base.events != NULL && rb->base.events->on_down != NULL)
		rb->base.events->on_down(rb->base.owner, "rpc://", why, 0, was_up);
}

static void
on_consuming(void *owner, const struct bus_answer *a)
{
	struct rpc_backend *rb = owner;

	if (a->err != E_OK) {
		say_down(rb, a->text);
		return;
	}
	rb->listener.is_consuming = true;
	if (rb->base.events != NULL && rb->base.events->on_up != NULL)
		rb->base.events->on_up(rb->base.owner);
}

static void
on_declared(void *owner, const struct bus_answer *a)
{
	struct rpc_backend *rb = owner;
	struct rpc_listener *l = &rb->listener;
	enum err e = a->err;

	if (e == E_OK)
		e = bus_qos(l->chan, PREFETCH, false, NULL, NULL);
	if (e == E_OK)
		e = bus_consume(l->chan, span_of(l->queue), SPAN(TAG), false, false, NULL, on_consuming, rb);
	if (e != E_OK)
		say_down(rb, a->err != E_OK ? a->text : err_name(e));
}

static void
declare(struct rpc_backend *rb)
{
	struct pair pair = { SPAN("x-expires"), val_int(UNUSED_MAX_MS) };
	struct table args = { .pairs = &pair, .count = 1, .cap = 1 };
	struct bus_queue q = { .name = span_of(rb->listener.queue), .durable = true, .args = &args };
	enum err e = bus_queue_declare(rb->listener.chan, &q, on_declared, rb);

	if (e != E_OK)
		say_down(rb, err_name(e));
}

static void
on_open(void *owner)
{
	declare(owner);
}

static void
on_close(void *owner, const struct bus_close *why)
{
	say_down(owner, why->text);
}

/* The queue is gone; who waits goes on waiting in a new one. */
static void
on_cancelled(void *owner, struct span consumer UNUSED)
{
	struct rpc_backend *rb = owner;

	say_down(rb, "its queue was deleted");
	declare(rb);
}

static void
delete_queue(struct rpc_listener *l)
{
	/* What cannot be deleted now the broker deletes later. */
	if (l->is_consuming && bus_queue_delete(l->chan, span_of(l->queue), false, false, NULL, NULL) != E_OK)
		return;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

enum err
rpc_listen(struct rpc_backend *rb)
{
	static const struct bus_chan_ops ops = {
		.on_open = on_open, .on_close = on_close, .on_deliver = on_deliver, .on_cancel = on_cancelled
	};
	char id[ID_UUID_LEN + 1];

	id_uuid4(id);
	snprintf(rb->listener.queue, sizeof(rb->listener.queue), RPC_QUEUE_PREFIX "%s", id);
	return bus_chan_new(&rb->listener.chan, rb->broker, &ops, rb);
}

enum err
rpc_wait_open(struct backend_wait **out, struct backend *b, struct span id, backend_load_fn *fn, void *owner)
{
	struct rpc_backend *rb = container_of(b, struct rpc_backend, base);
	struct rpc_wait *w;

	/* Nobody would tell. */
	if (rb->listener.chan == NULL)
		return E_REFUSED;
	w = alloc_zero(sizeof(*w));
	if (w == NULL)
		return E_NOMEM;
	*w = (struct rpc_wait){
		.base = { .cancel = cancel }, .rb = rb, .id = alloc_dup(id), .fn = fn, .owner = owner
	};
	if (w->id == NULL) {
		alloc_free(w);
		return E_NOMEM;
	}
	list_push(&rb->listener.waits, &w->link);
	if (map_get(&rb->listener.early, id) != NULL)
		loop_defer(b->loop, LOOP_DECIDE, &rb->listener.telling, tell_early, rb);
	*out = &w->base;
	return E_OK;
}

void
rpc_listener_close(struct rpc_backend *rb)
{
	struct rpc_listener *l = &rb->listener;
	struct list *it;

	loop_undefer(&l->telling);
	delete_queue(l);
	bus_chan_close(l->chan);
	l->chan = NULL;
	while ((it = list_pop(&l->waits)) != NULL)
		wait_free(container_of(it, struct rpc_wait, link));
}

void
rpc_listener_release(struct rpc_listener *l)
{
	map_release(&l->early, early_free);
}
