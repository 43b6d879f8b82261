/*
 * The synchronous methods of a channel, and which call an answer belongs to. What the channel itself answers comes in order: it is the oldest's of
 * those. A consume and a cancel are answered by the queue (RabbitMQ's channel only passes them on), which may take longer than what was sent
 * after them, and queues do not wait for each other: these answers say which consumer they are about.
 */
#include "bus/inner.h"

struct call {
	struct list link;
	uint32_t method; /* that was sent */
	uint32_t answer; /* that ends it; basic.get has get-empty besides */
	ms_t sent_at;
	bus_answer_fn *fn;
	void *owner;
	size_t tag_len; /* of the consumer; 0 = it is about none */
	char tag[];
};

static void
end_call(struct call *call, const struct bus_answer *a)
{
	bus_answer_fn *fn = call->fn;
	void *owner = call->owner;

	alloc_free(call);
	if (fn != NULL)
		fn(owner, a);
}

/* The oldest call about this consumer that ends so; with an empty tag, the oldest about none. */
static struct call *
find_call(struct bus_chan *ch, uint32_t answer, struct span tag)
{
	struct list *it, *tmp;

	LIST_EACH (&ch->calls, it, tmp) {
		struct call *call = container_of(it, struct call, link);

		if (span_eq((struct span){ call->tag, call->tag_len }, tag) &&
			(tag.len == 0 || call->answer == answer))
			return call;
	}
	return NULL;
}

bool
calls_answer(struct bus_chan *ch, uint32_t method, const void *args, struct bus_delivery *d, uint32_t messages)
{
	struct bus_answer a = { .text = "", .delivery = d, .messages = messages };
	struct call *call;

	switch (method) {
	case AMQP_QUEUE_DECLARE_OK_METHOD: {
		const amqp_queue_declare_ok_t *m = args;

		a.queue = span_of_amqp(m->queue);
		a.messages = m->message_count;
		a.consumers = m->consumer_count;
		break;
	}
	case AMQP_QUEUE_PURGE_OK_METHOD:
		a.messages = ((const amqp_queue_purge_ok_t *)args)->message_count;
		break;
	case AMQP_QUEUE_DELETE_OK_METHOD:
		a.messages = ((const amqp_queue_delete_ok_t *)args)->message_count;
		break;
	case AMQP_BASIC_CONSUME_OK_METHOD:
		a.consumer = span_of_amqp(((const amqp_basic_consume_ok_t *)args)->consumer_tag);
		break;
	case AMQP_BASIC_CANCEL_OK_METHOD:
		a.consumer = span_of_amqp(((const amqp_basic_cancel_ok_t *)args)->consumer_tag);
		break;
	default:
		break;
	}
	call = find_call(ch, method, a.consumer);
	if (call == NULL ||
		(call->answer != method &&
			!(call->answer == AMQP_BASIC_GET_OK_METHOD && method == AMQP_BASIC_GET_EMPTY_METHOD)))
		return false;
	list_unlink(&call->link);
	if (d != NULL && call->fn == NULL) {
		bus_msg_free(d->msg);
		d->msg = NULL;
	}
	end_call(call, &a);
	return true;
}

void
calls_fail(struct bus_chan *ch, uint32_t method, int code, const char *text)
{
	struct bus_answer a = { .code = code, .text = text };
	struct list *l;
	struct call *call;
	struct list all;

	/* Calls made from inside these callbacks are not among those that fail. */
	list_init(&all);
	while ((l = list_pop(&ch->calls)) != NULL)
		list_push(&all, l);
	while ((l = list_pop(&all)) != NULL) {
		call = container_of(l, struct call, link);
		/* Once the owner has closed channel or connection, in one of these callbacks, there is silence. */
		if (ch->conn == NULL)
			call->fn = NULL;
		a.err = call->method == method ? E_REFUSED : E_CLOSED;
		if (a.err == E_REFUSED)
			method = 0; /* one is to blame; of several of a kind the oldest */
		end_call(call, &a);
	}
}

ms_t
calls_since(const struct bus_chan *ch)
{
	return list_is_empty(&ch->calls) ? -1 : container_of(ch->calls.next, struct call, link)->sent_at;
}

void
calls_drop(struct bus_chan *ch)
{
	struct list *l;

	while ((l = list_pop(&ch->calls)) != NULL)
		alloc_free(container_of(l, struct call, link));
}

/* Sends `method` and keeps the call, which is about the consumer of this tag, for its answer. */
static enum err
call_about(struct bus_chan *ch, struct span tag, uint32_t method, uint32_t answer, void *args,
	bus_answer_fn *fn, void *owner)
{
	struct call *k;
	enum err e;

	if (ch->state != CHAN_OPEN)
		return E_CLOSED;
	k = alloc_zero(sizeof(*k) + tag.len);
	if (k == NULL)
		return E_NOMEM;
	*k = (struct call){ .method = method,
		.answer = answer,
		.sent_at = loop_now(ch->loop),
		.fn = fn,
		.owner = owner,
		.tag_len = tag.len };
	if (tag.len > 0)
		memcpy(k->tag, tag.ptr, tag.len);
	e = conn_send(ch->conn, ch->number, method, args);
	if (e != E_OK) {
		alloc_free(k);
		return e;
	}
	list_push(&ch->calls, &k->link);
	chan_expect(ch);
	return E_OK;
}

static enum err
call(struct bus_chan *ch, uint32_t method, uint32_t answer, void *args, bus_answer_fn *fn, void *owner)
{
	return call_about(ch, SPAN(""), method, answer, args, fn, owner);
}

/* As `call_about`, for methods that carry a table: makes librabbitmq's form of it first. */
static enum err
call_with_table(struct bus_chan *ch, struct span tag, uint32_t method, uint32_t answer, void *args,
	amqp_table_t *to, const struct table *from, bus_answer_fn *fn, void *owner)
{
	amqp_pool_t pool;
	enum err e = E_OK;

	if (from == NULL)
		return call_about(ch, tag, method, answer, args, fn, owner);
	init_amqp_pool(&pool, 4096);
	e = bus_table_export(to, from, &pool);
	if (e == E_OK)
		e = call_about(ch, tag, method, answer, args, fn, owner);
	empty_amqp_pool(&pool);
	return e;
}

enum err
bus_queue_declare(struct bus_chan *ch, const struct bus_queue *q, bus_answer_fn *fn, void *owner)
{
	amqp_queue_declare_t m = {
		.queue = amqp_of_span(q->name),
		.passive = q->passive,
		.durable = q->durable,
		.exclusive = q->exclusive,
		.auto_delete = q->auto_delete,
	};

	return call_with_table(ch, SPAN(""), AMQP_QUEUE_DECLARE_METHOD, AMQP_QUEUE_DECLARE_OK_METHOD, &m,
		&m.arguments, q->args, fn, owner);
}

enum err
bus_exchange_declare(struct bus_chan *ch, const struct bus_exchange *x, bus_answer_fn *fn, void *owner)
{
	amqp_exchange_declare_t m = {
		.exchange = amqp_of_span(x->name),
		.type = amqp_of_span(x->type),
		.passive = x->passive,
		.durable = x->durable,
		.auto_delete = x->auto_delete,
		.internal = x->internal,
	};

	return call_with_table(ch, SPAN(""), AMQP_EXCHANGE_DECLARE_METHOD, AMQP_EXCHANGE_DECLARE_OK_METHOD,
		&m, &m.arguments, x->args, fn, owner);
}

enum err
bus_queue_bind(struct bus_chan *ch, struct span queue, struct span exchange, struct span key,
	bus_answer_fn *fn, void *owner)
{
	amqp_queue_bind_t m = {
		.queue = amqp_of_span(queue),
		.exchange = amqp_of_span(exchange),
		.routing_key = amqp_of_span(key),
	};

	return call(ch, AMQP_QUEUE_BIND_METHOD, AMQP_QUEUE_BIND_OK_METHOD, &m, fn, owner);
}

enum err
bus_exchange_bind(struct bus_chan *ch, struct span to, struct span from, struct span key, bus_answer_fn *fn,
	void *owner)
{
	amqp_exchange_bind_t m = {
		.destination = amqp_of_span(to),
		.source = amqp_of_span(from),
		.routing_key = amqp_of_span(key),
	};

	return call(ch, AMQP_EXCHANGE_BIND_METHOD, AMQP_EXCHANGE_BIND_OK_METHOD, &m, fn, owner);
}

enum err
bus_queue_purge(struct bus_chan *ch, struct span queue, bus_answer_fn *fn, void *owner)
{
	amqp_queue_purge_t m = { .queue = amqp_of_span(queue) };

	return call(ch, AMQP_QUEUE_PURGE_METHOD, AMQP_QUEUE_PURGE_OK_METHOD, &m, fn, owner);
}

enum err
bus_queue_delete(
	struct bus_chan *ch, struct span queue, bool if_unused, bool if_empty, bus_answer_fn *fn, void *owner)
{
	amqp_queue_delete_t m = { .queue = amqp_of_span(queue), .if_unused = if_unused, .if_empty = if_empty };

	return call(ch, AMQP_QUEUE_DELETE_METHOD, AMQP_QUEUE_DELETE_OK_METHOD, &m, fn, owner);
}

enum err
bus_qos(struct bus_chan *ch, int prefetch, bool global, bus_answer_fn *fn, void *owner)
{
	amqp_basic_qos_t m = { .prefetch_count = (uint16_t)prefetch, .global = global };

	/* 65536 would go out as 0, which means "without limit". */
	if (prefetch < 0 || prefetch > UINT16_MAX)
		return E_TOOBIG;
	return call(ch, AMQP_BASIC_QOS_METHOD, AMQP_BASIC_QOS_OK_METHOD, &m, fn, owner);
}

enum err
bus_consume(struct bus_chan *ch, struct span queue, struct span consumer, bool no_ack, bool exclusive,
	const struct table *args, bus_answer_fn *fn, void *owner)
{
	amqp_basic_consume_t m = {
		.queue = amqp_of_span(queue),
		.consumer_tag = amqp_of_span(consumer),
		.no_ack = no_ack,
		.exclusive = exclusive,
	};

	/* By an empty one the broker would choose, and the answer could not be told from others. */
	assert(consumer.len > 0);
	return call_with_table(ch, consumer, AMQP_BASIC_CONSUME_METHOD, AMQP_BASIC_CONSUME_OK_METHOD, &m,
		&m.arguments, args, fn, owner);
}

enum err
bus_cancel(struct bus_chan *ch, struct span consumer, bus_answer_fn *fn, void *owner)
{
	amqp_basic_cancel_t m = { .consumer_tag = amqp_of_span(consumer) };

	assert(consumer.len > 0);
	return call_about(ch, consumer, AMQP_BASIC_CANCEL_METHOD, AMQP_BASIC_CANCEL_OK_METHOD, &m, fn, owner);
}

enum err
bus_get(struct bus_chan *ch, struct span queue, bool no_ack, bus_answer_fn *fn, void *owner)
{
	amqp_basic_get_t m = { .queue = amqp_of_span(queue), .no_ack = no_ack };

	return call(ch, AMQP_BASIC_GET_METHOD, AMQP_BASIC_GET_OK_METHOD, &m, fn, owner);
}

enum err
bus_confirm_select(struct bus_chan *ch, bus_answer_fn *fn, void *owner)
{
	amqp_confirm_select_t m = { 0 };

	return call(ch, AMQP_CONFIRM_SELECT_METHOD, AMQP_CONFIRM_SELECT_OK_METHOD, &m, fn, owner);
}
