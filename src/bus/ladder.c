/*
 * Asks for the top level passively. Missing: the broker closes the channel, it opens again by itself, and everything is declared
 * in one go from the end upwards, so that no level ever points to one that is not there.
 *
 *   asking -> binding            (the ladder is there)
 *   asking -> building -> done   (it was not)
 */
#include "bus/ladder.h"

#include "base/alloc.h"

enum ladder_state { LADDER_ASKING, LADDER_BUILDING, LADDER_OVER };

struct bus_ladder {
	struct loop *loop;
	struct bus_conn *conn;
	struct bus_chan *chan;
	enum ladder_state state;
	const struct bus_ladder_level *levels; /* a copy behind this struct */
	size_t n;
	char *end, *queue, *key;
	bus_topo_fn *fn;
	void *owner;
	size_t answers_due;
	enum err err; /* of the first call that could not be sent */
	uint64_t conn_epoch;
	struct errtext why;
};

static void
ladder_free(void *p)
{
	struct bus_ladder *l = p;

	alloc_free((void *)l->levels);
	alloc_free(l->end);
	alloc_free(l->queue);
	alloc_free(l->key);
	alloc_free(l);
}

void
bus_ladder_cancel(struct bus_ladder *l)
{
	if (l == NULL)
		return;
	l->state = LADDER_OVER;
	bus_chan_close(l->chan);
	l->chan = NULL;
	loop_reap(l->loop, ladder_free, l);
}

static void
finish(struct bus_ladder *l, enum err e, const char *text)
{
	struct bus_topo_report r = { .err = e, .queue = e == E_OK ? NULL : l->queue, .text = text };
	bus_topo_fn *fn = l->fn;
	void *owner = l->owner;

	if (l->state == LADDER_OVER)
		return;
	bus_ladder_cancel(l);
	fn(owner, &r);
}

static void
on_built(void *owner, const struct bus_answer *a)
{
	struct bus_ladder *l = owner;

	/* A refusal closes the channel; on_close tells what it was. */
	if (a->err == E_OK && --l->answers_due == 0)
		finish(l, E_OK, "");
}

/* Counts the answers that are to come, or keeps the error for `all_sent`. */
static bool
sent(struct bus_ladder *l, enum err e)
{
	l->answers_due += e == E_OK;
	l->err = e;
	return e == E_OK;
}

/* What could not be sent will never be answered. */
static void
all_sent(struct bus_ladder *l)
{
	if (l->err == E_OK)
		return;
	(void)err_set(&l->why, l->err, "the delay ladder of queue '%s': %s", l->queue, err_name(l->err));
	finish(l, l->err, l->why.text);
}

static bool
declare_exchange(struct bus_ladder *l, const char *name)
{
	struct bus_exchange x = { .name = span_of(name), .type = SPAN("topic"), .durable = true };

	return sent(l, bus_exchange_declare(l->chan, &x, on_built, l));
}

/* Quorum with at-least-once dead lettering, as Celery declares it: a classic queue may lose a message on its way down. */
static bool
declare_queue(struct bus_ladder *l, const struct bus_ladder_level *v)
{
	struct pair pairs[] = {
		{ SPAN("x-queue-type"), val_text("quorum") },
		{ SPAN("x-dead-letter-strategy"), val_text("at-least-once") },
		{ SPAN("x-overflow"), val_text("reject-publish") },
		{ SPAN("x-message-ttl"), val_int(v->ttl_ms) },
		{ SPAN("x-dead-letter-exchange"), val_text(v->below) },
	};
	struct table args = { .pairs = pairs, .count = ARRAY_LEN(pairs), .cap = ARRAY_LEN(pairs) };
	struct bus_queue q = { .name = span_of(v->name), .durable = true, .args = &args };

	return sent(l, bus_queue_declare(l->chan, &q, on_built, l));
}

static void
bind_end(struct bus_ladder *l)
{
	(void)sent(
		l, bus_queue_bind(l->chan, span_of(l->queue), span_of(l->end), span_of(l->key), on_built, l));
}

static void
build(struct bus_ladder *l)
{
	bool fine = declare_exchange(l, l->end);

	for (size_t i = l->n; i-- > 0 && fine;) {
		const struct bus_ladder_level *v = &l->levels[i];
		struct span name = span_of(v->name);

		fine = declare_exchange(l, v->name) && declare_queue(l, v);
		fine = fine && sent(l, bus_queue_bind(l->chan, name, name, span_of(v->one), on_built, l));
		fine = fine &&
			sent(l,
				bus_exchange_bind(
					l->chan, span_of(v->below), name, span_of(v->zero), on_built, l));
	}
	if (fine)
		bind_end(l);
	all_sent(l);
}

static void
on_asked(void *owner, const struct bus_answer *a)
{
	struct bus_ladder *l = owner;

	if (a->err != E_OK)
		return;
	bind_end(l);
	all_sent(l);
}

static void
on_open(void *owner)
{
	struct bus_ladder *l = owner;
	struct bus_queue top = { .name = span_of(l->levels[0].name), .passive = true };

	l->conn_epoch = bus_conn_epoch(l->conn);
	l->answers_due = 0;
	if (l->state == LADDER_BUILDING)
		build(l);
	else if (bus_queue_declare(l->chan, &top, on_asked, l) != E_OK)
		finish(l, E_CLOSED, "the channel was closed");
}

static void
on_close(void *owner, const struct bus_close *why)
{
	struct bus_ladder *l = owner;

	if (!why->by_server) {
		if (l->conn_epoch != 0)
			finish(l, E_CLOSED, "the connection was lost");
		return;
	}
	if (l->state == LADDER_ASKING && why->code == 404 && l->answers_due == 0) {
		l->state = LADDER_BUILDING;
		return;
	}
	err_set(&l->why, E_REFUSED, "the delay ladder: %s", why->text);
	finish(l, E_REFUSED, l->why.text);
}

enum err
bus_ladder_ensure(struct bus_ladder **out, struct bus_conn *c, const struct bus_ladder_level *levels,
	size_t n, const char *end, const char *queue, const char *key, bus_topo_fn *fn, void *owner)
{
	static const struct bus_chan_ops ops = { .on_open = on_open, .on_close = on_close };
	struct bus_ladder *l = alloc_zero(sizeof(*l));
	struct bus_ladder_level *copy = alloc_bytes(sizeof(*copy) * n);
	enum err e = E_NOMEM;

	*out = NULL;
	if (l != NULL && copy != NULL) {
		memcpy(copy, levels, sizeof(*copy) * n);
		l->loop = bus_conn_loop(c);
		l->conn = c;
		l->levels = copy;
		l->n = n;
		/* `below` points to another level's name or to the end: to ours, not to the caller's. */
		l->end = alloc_dup(span_of(end));
		l->queue = alloc_dup(span_of(queue));
		l->key = alloc_dup(span_of(key));
		for (size_t i = 0; i < n; i++)
			copy[i].below = i + 1 < n ? copy[i + 1].name : l->end;
		l->fn = fn;
		l->owner = owner;
		if (l->end != NULL && l->queue != NULL && l->key != NULL)
			e = bus_chan_new(&l->chan, c, &ops, l);
		if (e == E_OK) {
			*out = l;
			return E_OK;
		}
		ladder_free(l);
		return e;
	}
	alloc_free(l);
	alloc_free(copy);
	return e;
}
