/*
 * Results as replies, Celery's rpc:// backend: each state is published to the default exchange with the task's reply_to as its routing key (wire/reply.h). Nothing
 * is kept and nothing can be asked for: no chords, no notes of runs, no sets. Stored is what the broker has confirmed. A reply that no queue takes is of
 * a sender who is gone, and lost with him; one that the broker refuses for now (basic.nack) is sent again a few times.
 *
 *   store --> stores (in order) --pump--> publisher --confirm, return, nack--> fn
 *                                  ^          |
 *                                  +-- no room, or refused for now
 *
 * The connection is the owner's, who has other things to send over it; channel and publisher are our own. While it is away the publisher
 * waits, and sends again what was not confirmed.
 */
#include "backend/rpc_backend.h"

#include "base/alloc.h"
#include "bus/conn.h"
#include "wire/reply.h"

#define EARLY_MAX ((size_t)64 << 20)
#define RETRY_MS 500
#define REFUSALS_MAX 10
/* RabbitMQ's direct reply-to: it says of such an address that there is no such queue, and delivers all the same. */
#define DIRECT "amq.rabbitmq.reply-to."

static struct rpc_backend *
rpc_of(const struct backend *b)
{
	return container_of(b, struct rpc_backend, base);
}

/* --- storing ----------------------------------------------------------------------------------------------------------- */

static enum err
rpc_encode(struct backend_store *s, const struct result *r)
{
	struct span correlation = r->correlation_id.len > 0 ? r->correlation_id : r->task_id;

	if (r->reply_to.len == 0)
		return E_MISSING;
	reply_encode(&s->payload, r);
	buf_reset(&s->address);
	buf_add(&s->address, r->reply_to);
	s->queue_len = s->address.len;
	buf_add(&s->address, correlation);
	s->refusals = 0;
	return s->address.err;
}

static void
unlink_store(struct rpc_backend *rb, struct backend_store *s)
{
	if (s->publish_id != 0)
		bus_pub_cancel(rb->pub, s->publish_id);
	else
		rb->n_waiting--;
	s->publish_id = 0;
	list_unlink(&s->link);
	rb->n_stores--;
}

static void
finish(struct rpc_backend *rb, struct backend_store *s, enum err e, const char *why)
{
	unlink_store(rb, s);
	s->fn(s, e, why);
}

static void
on_published(void *owner, const struct bus_pub_result *r)
{
	struct backend_store *s = owner;
	struct rpc_backend *rb = rpc_of(s->backend);

	s->publish_id = 0;
	rb->n_waiting++;
	switch (r->end) {
	case BUS_PUB_CONFIRMED:
		finish(rb, s, E_OK, "");
		break;
	case BUS_PUB_RETURNED:
		finish(rb, s, span_starts(buf_span(&s->address), DIRECT) ? E_OK : E_MISSING, r->text);
		break;
	case BUS_PUB_NACKED:
		/* A state on the way is not worth coming late, behind the one that followed it. */
		if (s->is_final && ++s->refusals < REFUSALS_MAX)
			loop_timer_arm(&rb->retry, RETRY_MS);
		else
			finish(rb, s, E_MISSING, r->text);
		break;
	case BUS_PUB_NO_EXCHANGE:
	case BUS_PUB_REFUSED:
		finish(rb, s, E_REFUSED, r->text);
		break;
	}
}

static enum err
send(struct rpc_backend *rb, struct backend_store *s)
{
	struct span address = buf_span(&s->address);
	struct msg m;
	enum err e;

	msg_init(&m, 0);
	reply_address(&m, (struct span){ address.ptr, s->queue_len },
		(struct span){ address.ptr + s->queue_len, address.len - s->queue_len },
		buf_span(&s->payload), rb->is_persistent);
	e = bus_publish(rb->pub, &m, on_published, s, &s->publish_id);
	msg_release(&m);
	return e;
}

/* Whether trying it later will help. */
static bool
has_to_wait(struct rpc_backend *rb, enum err e)
{
	/* E_AGAIN: the publisher calls when it has room. */
	if (e == E_NOMEM)
		loop_timer_arm(&rb->retry, RETRY_MS);
	rb->is_full = e == E_NOMEM || e == E_AGAIN;
	return rb->is_full;
}

/* Those that wait, in order, as far as there is room. */
static void
pump(void *owner)
{
	struct rpc_backend *rb = owner;
	struct list *it, *tmp;

	rb->is_full = false;
	LIST_EACH (&rb->stores, it, tmp) {
		struct backend_store *s = container_of(it, struct backend_store, link);
		enum err e;

		if (rb->n_waiting == 0)
			return;
		if (s->publish_id != 0)
			continue;
		e = send(rb, s);
		if (e == E_OK) {
			rb->n_waiting--;
			continue;
		}
		if (!has_to_wait(rb, e)) {
			/* Its owner may do anything now, also to the next one. */
			loop_timer_arm(&rb->retry, 1);
			finish(rb, s, E_REFUSED, err_name(e));
		}
		return;
	}
}

static enum err
rpc_store(struct backend *b, struct backend_store *s)
{
	struct rpc_backend *rb = rpc_of(b);
	enum err e = rb->is_full ? E_OK : send(rb, s);

	if (e != E_OK && !has_to_wait(rb, e))
		return e;
	list_push(&rb->stores, &s->link);
	rb->n_stores++;
	rb->n_waiting += s->publish_id == 0;
	return E_OK;
}

static void
rpc_cancel(struct backend *b, struct backend_store *s)
{
	unlink_store(rpc_of(b), s);
}

static size_t
rpc_pending(const struct backend *b)
{
	return rpc_of(b)->n_stores;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static bool
rpc_is_up(const struct backend *b)
{
	const struct rpc_backend *rb = rpc_of(b);

	return bus_conn_is_up(rb->broker) && (rb->listener.chan == NULL || rb->listener.is_consuming);
}

static const char *
rpc_url(const struct backend *b UNUSED)
{
	return "rpc://";
}

static const char *
rpc_reply_to(const struct backend *b)
{
	const struct rpc_backend *rb = rpc_of(b);

	return rb->listener.chan != NULL ? rb->listener.queue : NULL;
}

static void
rpc_free(void *p)
{
	struct rpc_backend *rb = p;

	rpc_listener_release(&rb->listener);
	alloc_free(rb);
}

/* May come from inside any callback: the loop frees. */
static void
rpc_close(struct backend *b)
{
	struct rpc_backend *rb = rpc_of(b);
	struct list *it;

	while ((it = rb->stores.next) != &rb->stores)
		unlink_store(rb, container_of(it, struct backend_store, link));
	bus_pub_close(rb->pub);
	rpc_listener_close(rb);
	loop_timer_release(&rb->retry);
	loop_reap(b->loop, rpc_free, rb);
}

enum err
rpc_open(struct backend **out, struct loop *l, const struct backend_conf *conf,
	const struct backend_events *ev, void *owner, struct errtext *t)
{
	static const struct backend_ops ops = {
		.close = rpc_close,
		.is_up = rpc_is_up,
		.url = rpc_url,
		.encode = rpc_encode,
		.store = rpc_store,
		.cancel = rpc_cancel,
		.pending = rpc_pending,
		.wait = rpc_wait_open,
		.reply_to = rpc_reply_to,
	};
	struct rpc_backend *rb;
	enum err e;

	/* Who has no connection to the broker sends nothing, so what he wants is to read. */
	if (conf->broker == NULL)
		return err_set(t, E_CONF,
			"the result backend is rpc://, which keeps no results: each goes to the sender of "
			"its task, once. Wait where "
			"it is sent (warren send --wait), or give workers and readers a Redis backend");
	rb = alloc_zero(sizeof(*rb));
	if (rb == NULL)
		return err_set(t, E_NOMEM, "out of memory for the result backend");
	rb->base = (struct backend){ .ops = &ops, .loop = l, .events = ev, .owner = owner };
	rb->broker = conf->broker;
	rb->is_persistent = conf->is_persistent;
	list_init(&rb->stores);
	list_init(&rb->listener.waits);
	map_init(&rb->listener.early);
	rb->listener.early_max = conf->early_max > 0 ? conf->early_max : EARLY_MAX;
	e = loop_timer_init(&rb->retry, l, pump, rb);
	if (e == E_OK)
		e = bus_pub_new(&rb->pub, conf->broker, &(struct bus_pub_conf){ 0 }, pump, rb);
	if (e == E_OK && conf->listens)
		e = rpc_listen(rb);
	if (e != E_OK) {
		rpc_close(&rb->base);
		return err_set(t, e, "cannot set up replies: %s", err_name(e));
	}
	*out = &rb->base;
	return E_OK;
}
