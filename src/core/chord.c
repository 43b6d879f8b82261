/*
 * Joining a chord. Members come in the order of their places; of one that is there twice a SUCCESS counts, else its first text. Where the starter has
 * saved the group, its leaves say who belongs to it and how the results nest, and a count that others have set too low does no harm.
 */
#include "core/chord.h"

#include "base/js.h"
#include "base/map.h"
#include "wire/result.h"

/* A saved group nests as canvas does. */
#define NESTING_MAX 64

struct join {
	struct arena *a;
	struct chord_member *members;
	size_t n;
	struct map by_id;                  /* -> struct chord_member */
	struct errtext why;                /* a text that is no member */
	bool is_missing;                   /* a leaf that has not reported */
	const struct chord_member *failed; /* the first of them */
};

static bool
is_success(const struct chord_member *m)
{
	return span_is(m->state, "SUCCESS");
}

static enum err
collect(struct join *j, const struct chord_count *c)
{
	enum err e = E_OK;

	j->members = arena_alloc(j->a, (c->n_members + 1) * sizeof(*j->members));
	if (j->members == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < c->n_members && e == E_OK; i++) {
		struct chord_member m, *before;

		e = chord_member_decode(&m, c->members[i], j->a, &j->why);
		if (e == E_FORMAT || e == E_TOOBIG)
			return e;
		if (e != E_OK)
			break;
		before = map_get(&j->by_id, m.id);
		if (before != NULL) {
			if (!is_success(before) && is_success(&m))
				*before = m;
			continue;
		}
		j->members[j->n] = m;
		e = map_set(&j->by_id, m.id, &j->members[j->n], NULL);
		j->n++;
	}
	return e;
}

static void
add_member(struct join *j, struct buf *b, const struct chord_member *m)
{
	if (!is_success(m) && j->failed == NULL)
		j->failed = m;
	buf_add(b, m->value);
}

/* The text of a string; SPAN_NONE when it is none. */
static struct span
text_of(struct join *j, struct span raw)
{
	struct span text = SPAN_NONE;
	struct buf b;

	if (jscan_kind(raw) != JSCAN_STRING || jscan_plain_string(raw, &text))
		return text;
	buf_init(&b, 0);
	jscan_add_string(&b, raw);
	text = b.err == E_OK ? arena_dup(j->a, buf_span(&b)) : SPAN_NONE;
	buf_release(&b);
	return text;
}

/* One result tuple of the saved group: [[id, parent], null] or [[id, parent], [tuples]]. */
static void
add_saved(struct join *j, struct buf *b, struct span tuple, int depth)
{
	struct span head = SPAN_NONE, children = SPAN_NONE, id;
	const struct chord_member *m;
	struct jscan_iter it;

	if (depth < NESTING_MAX && jscan_begin(&it, tuple) && jscan_next(&it)) {
		head = it.value;
		if (jscan_next(&it))
			children = it.value;
	}
	if (jscan_kind(children) == JSCAN_ARRAY && jscan_begin(&it, children)) {
		buf_addc(b, '[');
		for (bool first = true; jscan_next(&it); first = false) {
			buf_adds(b, first ? "" : ", ");
			add_saved(j, b, it.value, depth + 1);
		}
		buf_addc(b, ']');
		return;
	}
	m = NULL;
	if (jscan_begin(&it, head) && jscan_next(&it) && (id = text_of(j, it.value)).ptr != NULL)
		m = map_get(&j->by_id, id);
	if (m == NULL)
		j->is_missing = true;
	else
		add_member(j, b, m);
}

static void
add_flat(struct join *j, struct buf *b, int64_t due)
{
	j->is_missing = (int64_t)j->n < due;
	buf_addc(b, '[');
	for (size_t i = 0; i < j->n; i++) {
		buf_adds(b, i > 0 ? ", " : "");
		add_member(j, b, &j->members[i]);
	}
	buf_addc(b, ']');
}

/* `text` is taken. */
static enum err
fail(struct chord_verdict *v, struct arena *a, struct buf *text, struct span cause)
{
	struct result_error err = {
		.type = SPAN("ChordError"), .module = SPAN("celery.exceptions"), .text = buf_span(text)
	};
	enum err e = text->err;
	struct buf b;

	v->state = CHORD_FAILED;
	v->cause = cause;
	buf_init(&b, 0);
	if (e == E_OK) {
		result_add_error(&b, &err);
		e = buf_keep(&b, a, &v->error);
	}
	buf_release(text);
	return e;
}

/* As Celery words it: what joins a saved group knows the error, but not whose it is. */
static enum err
fail_because(struct chord_verdict *v, struct arena *a, const struct chord_member *m, bool is_saved)
{
	struct result_error err;
	struct buf text;

	buf_init(&text, 0);
	if (is_saved)
		buf_adds(&text, "Join error: ");
	else
		buf_addf(&text, "Dependency %.*s raised ", SPAN_FMT(m->id));
	if (result_decode_error(&err, m->value, a))
		result_add_error_repr(&text, &err);
	else
		buf_add(&text, m->value);
	return fail(v, a, &text, m->value);
}

static enum err
decide(struct chord_verdict *v, struct join *j, const struct chord_count *c)
{
	struct span saved = c->saved.len > 0 ? jscan_member(c->saved, "result") : SPAN_NONE;
	struct buf b;

	buf_init(&b, 0);
	if (saved.ptr != NULL)
		add_saved(j, &b, saved, 0);
	else
		add_flat(j, &b, c->due);
	if (j->is_missing || j->failed != NULL) {
		buf_release(&b);
		return j->is_missing ? E_OK : fail_because(v, j->a, j->failed, saved.ptr != NULL);
	}
	v->state = CHORD_READY;
	return buf_keep(&b, j->a, &v->results);
}

enum err
chord_join(struct chord_verdict *v, const struct chord_count *c, struct arena *a)
{
	struct join j = { .a = a };
	struct chord_count own = *c;
	struct buf text;
	enum err e;

	*v = (struct chord_verdict){ .state = CHORD_OPEN };
	buf_init(&text, 0);
	if (c->too_big > 0) {
		buf_addf(&text,
			"Join error: the results of its %lld members have %lld bytes together, too many for "
			"one message",
			(long long)c->due, (long long)c->too_big);
		return fail(v, a, &text, SPAN_NONE);
	}
	if (!c->is_full)
		return E_OK;
	/* What is saved comes from a store that others write to. */
	if (own.saved.len > 0 && jscan_check(own.saved, NULL, NULL, NULL) != E_OK)
		own.saved = SPAN_NONE;
	map_init(&j.by_id);
	e = collect(&j, c);
	if (e == E_FORMAT || e == E_TOOBIG) {
		buf_addf(&text, "Join error: %s", j.why.text);
		e = fail(v, a, &text, SPAN_NONE);
	} else if (e == E_OK) {
		e = decide(v, &j, &own);
	}
	map_release(&j.by_id, NULL);
	return e;
}
