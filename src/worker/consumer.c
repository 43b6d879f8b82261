/*
 * Its tag, "node/pool/index", carries the index, so that no search is needed for a delivery. A new consumer may take the place and the
 * tag of one that was cancelled: no delivery comes under a tag after the broker's answer to its cancel.
 */
#include "worker/consumer.h"

#include "base/text.h"
#include "worker/state.h"

/* Of AMQP's 255 bytes; the name of a pool is cut, as the tags of another are on another channel. */
#define TAG_MAX 255
#define POOL_MAX (TAG_MAX - TEXT_NODE_MAX - 22)

static void
add_tag(char out[TAG_MAX + 1], const struct consumer *c)
{
	snprintf(out, TAG_MAX + 1, "%s/%.*s/%zu", c->feed->pool->worker->conf->node, POOL_MAX,
		c->feed->pool->conf->name, c->index);
}

static void
on_consuming(void *owner, const struct bus_answer *a)
{
	struct consumer *c = owner;

	/* A refusal closes the channel; its on_close says what it was. */
	if (a->err != E_OK)
		return;
	c->state = CONSUMER_ON;
	if (c->is_unwanted && consumer_cancel(c))
		return;
	feed_on_consumer(c->feed, c);
}

/*
 * Brokers that can be asked for another delivery time-out for one consumer are asked; others know the argument only of queues, which are not ours
 * to change, or pass over it.
 */
static bool
add_timeout(struct table *args, struct arena *a, const struct worker *w)
{
	ms_t timeout = w->conf->consumer_timeout_ms;

	if (timeout <= 0 || !bus_conn_server_has(w->consume, 3, 12))
		return false;
	return table_set(args, a, SPAN("x-consumer-timeout"), val_int(timeout)) == E_OK;
}

bool
consumer_start(struct consumer *c, const char *queue)
{
	struct table args = { 0 };
	struct arena arena;
	char tag[TAG_MAX + 1];
	bool has_args;
	enum err e;

	add_tag(tag, c);
	c->moves = c->is_unwanted = false;
	arena_init(&arena, 0);
	has_args = add_timeout(&args, &arena, c->feed->pool->worker);
	e = bus_consume(c->feed->chan, span_of(queue), span_of(tag), false, false, has_args ? &args : NULL,
		on_consuming, c);
	arena_release(&arena);
	if (e != E_OK)
		return false;
	c->state = CONSUMER_STARTING;
	return true;
}

static void
on_cancelled(void *owner, const struct bus_answer *a)
{
	struct consumer *c = owner;

	if (a->err != E_OK)
		return;
	c->state = CONSUMER_OFF;
	feed_on_consumer(c->feed, c);
}

bool
consumer_cancel(struct consumer *c)
{
	char tag[TAG_MAX + 1];

	if (c->state == CONSUMER_STARTING)
		return c->is_unwanted = true;
	if (c->state != CONSUMER_ON)
		return false;
	add_tag(tag, c);
	if (bus_cancel(c->feed->chan, span_of(tag), on_cancelled, c) != E_OK)
		return false;
	c->state = CONSUMER_CANCELLING;
	return true;
}

struct consumer *
consumer_find(const struct feed *f, struct span tag)
{
	size_t i = tag.len, n = 0, unit = 1;

	while (i > 0 && tag.ptr[i - 1] >= '0' && tag.ptr[i - 1] <= '9') {
		n += unit * (size_t)(tag.ptr[--i] - '0');
		unit *= 10;
	}
	return n < f->n_consumers ? f->consumers[n] : NULL;
}
