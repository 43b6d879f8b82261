/* See canvas.h. The decisions are core's; here is only the order: sizes of chords durable, then the messages. */
#include "client/canvas.h"

#include "backend/chords.h"
#include "base/id.h"
#include "client/inside.h"

enum err
client_canvas_init(
	struct client_canvas *k, struct span signature, struct span reply_to, us_t now, struct errtext *t)
{
	const struct jscan_limits lim = { .depth_max = 64, .containers_max = 1000000 };
	char seed[ID_UUID_LEN + 1];
	struct span text = span_trim(signature);
	enum err e;

	*k = (struct client_canvas){ .result = SPAN_NONE };
	flow_init(&k->flow);
	id_uuid4(seed);
	e = jscan_check(text, &lim, NULL, t);
	if (e == E_OK)
		text = arena_dup(&k->flow.arena, text);
	if (e == E_OK && text.ptr == NULL)
		e = E_NOMEM;
	return e == E_OK ? flow_produce(&k->flow, text, span_of(seed), reply_to, now, &k->result, t) : e;
}

void
client_canvas_release(struct client_canvas *k)
{
	flow_release(&k->flow);
}

/* A tuple is [[id, parent], null] or [[id, parent], [tuples]]. */
static bool
is_group(struct span tuple, struct span *id, struct span *members)
{
	struct jscan_iter it, head;

	*id = *members = SPAN_NONE;
	if (!jscan_begin(&it, tuple) || !jscan_next(&it))
		return false;
	if (jscan_begin(&head, it.value) && jscan_next(&head))
		(void)jscan_plain_string(head.value, id);
	if (jscan_next(&it) && jscan_kind(it.value) == JSCAN_ARRAY)
		*members = it.value;
	return members->ptr != NULL;
}

bool
client_canvas_next(const struct client_canvas *k, struct client_canvas_walk *w)
{
	struct span members;

	if (!w->is_begun) {
		w->is_begun = true;
		if (!is_group(k->result, &w->id, &members))
			return w->id.ptr != NULL;
		w->depth = 1;
		(void)jscan_begin(&w->it[0], members);
	}
	while (w->depth > 0) {
		if (!jscan_next(&w->it[w->depth - 1])) {
			w->depth--;
			continue;
		}
		if (!is_group(w->it[w->depth - 1].value, &w->id, &members))
			return true;
		if (w->depth < (int)ARRAY_LEN(w->it))
			(void)jscan_begin(&w->it[w->depth++], members);
	}
	return false;
}

/* --- sizes of chords ----------------------------------------------------------------------------------------------------- */

struct announcing {
	struct backend_chord op;
	bool done;
	enum err err;
	struct errtext why;
};

static void
on_announced(struct backend_chord *op, enum err e, const struct chord_count *c, const char *why)
{
	struct announcing *a = container_of(op, struct announcing, op);

	(void)c;
	a->err = err_set(&a->why, e, "%s", why);
	a->done = true;
}

static enum err
announce(struct client *c, const struct flow_chord *chord, struct errtext *t)
{
	struct announcing a = { .done = false };
	enum err e =
		backend_chord_open(c->backend, &a.op, chord->group, chord->size, chord->saved, on_announced);

	if (e == E_OK && !client_turn_until(c, &a.done, c->stall_ms)) {
		backend_chord_cancel(&a.op);
		e = err_set(t, E_TIMEOUT, "%s did not answer within %.3g s", backend_url(c->backend),
			(double)c->stall_ms / 1000);
	} else if (e == E_OK) {
		e = a.err == E_OK
			? E_OK
			: err_set(t, a.err, "the result backend refused the size of a chord: %s", a.why.text);
	}
	backend_chord_release(&a.op);
	return e;
}

static enum err
announce_all(struct client *c, const struct flow *f, struct errtext *t)
{
	enum err e = E_OK;

	if (f->n_chords == 0)
		return E_OK;
	e = client_connect_backend(c, t);
	if (e != E_OK)
		return err_prefix(t, e, "a chord needs a result backend that counts its members");
	if (!backend_has_chords(c->backend))
		return err_set(t, E_CONF,
			"a chord needs a result backend that counts its members, and %s cannot: use redis://",
			backend_url(c->backend));
	for (size_t i = 0; i < f->n_chords && e == E_OK; i++)
		e = announce(c, &f->chords[i], t);
	return e;
}

/* --- messages ------------------------------------------------------------------------------------------------------------ */

struct sending {
	enum err err; /* the first that was not taken, and why */
	struct errtext why;
};

static void
on_sent(void *owner, const struct client_sent *s)
{
	struct sending *all = owner;

	if (s->err != E_OK && all->err == E_OK)
		all->err = err_set(&all->why, s->err, "task %.*s: %s", SPAN_FMT(s->id), s->text);
}

enum err
client_canvas_send(
	struct client *c, struct client_canvas *k, client_route_fn *route, void *owner, struct errtext *t)
{
	struct sending all = { .err = E_OK };
	enum err e = client_connect_broker(c, t);

	if (e == E_OK)
		e = announce_all(c, &k->flow, t);
	for (size_t i = 0; i < k->flow.count && e == E_OK; i++) {
		struct flow_step *s = &k->flow.steps[i];

		e = route(owner, &s->call, &s->exchange, &s->routing_key, t);
		if (e == E_OK)
			e = client_send(c, &s->call, s->exchange, s->routing_key, i, on_sent, &all, t);
	}
	if (e == E_OK)
		e = client_flush(c, t);
	return e != E_OK || all.err == E_OK ? e : err_set(t, all.err, "%s", all.why.text);
}
