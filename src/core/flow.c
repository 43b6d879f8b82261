/*
 * What follows from the end of a task. Success: its links, the next step of its chain. Failure: its error links, and the end of all that will not run.
 * Both, and a revocation: its part in a chord. The answers to the parts come back here, and a chord that is complete goes on with its body as
 * if the body had been a link of all members.
 */
#include "core/flow_apply.h"

#include "core/chord.h"

/* No end sends so much that its ids come as far. */
#define START_IDS ((uint64_t)1 << 32)

void
flow_init(struct flow *f)
{
	memset(f, 0, sizeof(*f));
	arena_init(&f->arena, 0);
	buf_init(&f->children, 0);
}

void
flow_release(struct flow *f)
{
	arena_release(&f->arena);
	buf_release(&f->children);
	alloc_free(f->steps);
	alloc_free(f->marks);
	alloc_free(f->parts);
	alloc_free(f->chords);
	alloc_free(f->closes);
	memset(f, 0, sizeof(*f));
}

static struct flow_source
source_of(struct flow *f, const struct task *t, us_t now, struct errtext *why)
{
	return (struct flow_source){
		.f = f,
		.id = t->id,
		.root = t->root_id.len > 0 ? t->root_id : t->id,
		.seed = t->id,
		.now = now,
		.why = why,
	};
}

/* --- success ----------------------------------------------------------------------------------------------------------- */

/* Several links are sent as one group, but groups among them each by itself, and before. */
static enum err
call_links(struct flow_source *s, struct span list, const struct given *g)
{
	struct node *rest = node_new(s, SIG_GROUP), *n = NULL;
	size_t count = jscan_kind(list) == JSCAN_ARRAY ? jscan_count(list) : 1;
	struct jscan_iter it;
	enum err e = rest == NULL ? E_NOMEM : E_OK;

	if (!flow_is_some(list) || count == 0)
		return E_OK;
	if (e == E_OK && jscan_kind(list) != JSCAN_ARRAY)
		e = flow_join(s->f, list, SPAN(""), &list);
	if (e != E_OK || !jscan_begin(&it, list))
		return e;
	while (e == E_OK && jscan_next(&it)) {
		e = node_read(s, it.value, &n);
		if (e != E_OK)
			return e;
		if (count > 1 && n->sig.type != SIG_GROUP) {
			node_add_kid(rest, n); /* groups are not among them */
			continue;
		}
		e = flow_apply(s, n, g);
		if (e == E_OK)
			e = flow_add_child(s, n);
	}
	if (e == E_OK && rest->kids != NULL) {
		e = flow_apply(s, rest, g);
		if (e == E_OK)
			e = flow_add_child(s, rest);
	}
	return e;
}

static enum err
go_on(struct flow_source *s, struct span chain, struct given g)
{
	struct span next = SPAN_NONE;
	struct node *n;
	enum err e = E_OK;

	if (flow_is_some(chain))
		e = flow_pop_last(s->f, chain, &next, &g.chain);
	if (e != E_OK || next.ptr == NULL)
		return e;
	e = node_read(s, next, &n);
	if (e == E_OK)
		e = flow_apply(s, n, &g);
	return e == E_OK ? flow_add_child(s, n) : e;
}

/* --- the end of a task --------------------------------------------------------------------------------------------------- */

/* Only the body in the message counts: the header `group` alone makes nobody a member of a chord. */
static enum err
report(struct flow_source *s, const struct task *t, const struct flow_end *end)
{
	struct flow_part part = { .group = t->group, .id = t->id, .index = t->group_index, .root = s->root };
	struct chord_member m = {
		.id = t->id, .state = end->state, .value = end->value.len > 0 ? end->value : SPAN("null")
	};

	if (!flow_is_some(t->chord) || t->group.len == 0)
		return E_OK;
	part.body = t->chord;
	part.priority_plus1 = end->priority_plus1;
	return flow_add_part(s, &part, &m);
}

static enum err
on_success(struct flow_source *s, const struct task *t, const struct flow_end *end)
{
	struct given g = { .args = end->value.len > 0 ? end->value : SPAN("null"),
		.priority_plus1 = end->priority_plus1 };
	enum err e = call_links(s, span_trim(t->callbacks), &g);

	if (e == E_OK)
		e = go_on(s, span_trim(t->chain), g);
	if (e == E_OK && s->f->children.len > 0)
		buf_addc(&s->f->children, ']');
	return e == E_OK ? s->f->children.err : e;
}

/* A revoked task has no error links and marks nobody, as in Celery; but a chord around the rest of its chain must not wait for ever. */
static enum err
on_failure(struct flow_source *s, const struct task *t, const struct flow_end *end)
{
	struct flow *f = s->f;
	struct failing how = { .state = end->state, .is_quiet = span_is(end->state, "REVOKED") };
	enum err e = E_OK;

	if (end->traceback.ptr != NULL) {
		f->traceback = arena_dup(&f->arena, end->traceback);
		e = f->traceback.ptr == NULL ? E_NOMEM : E_OK;
	}
	/* The caller's text may be gone when the marks are stored. */
	how.error = arena_dup(&f->arena, end->value.len > 0 ? end->value : SPAN("null"));
	if (how.error.ptr == NULL)
		e = E_NOMEM;
	if (e == E_OK)
		e = flow_fail_list(s, t->chain, &how);
	if (e == E_OK && !how.is_quiet)
		e = flow_call_errlinks(s, span_trim(t->errbacks), s->id, s->root);
	return e;
}

enum err
flow_on_end(struct flow *f, const struct task *t, const struct flow_end *end, struct errtext *why)
{
	struct flow_source s = source_of(f, t, end->now, why);
	enum err e = report(&s, t, end);

	if (e != E_OK)
		return e;
	return span_is(end->state, "SUCCESS") ? on_success(&s, t, end) : on_failure(&s, t, end);
}

enum err
flow_start(struct flow *f, const struct task *t, struct span sig, struct span args, us_t now,
	struct span *result, struct errtext *why)
{
	struct flow_source s = source_of(f, t, now, why);
	struct given g = { .args = flow_inner(args.len > 0 ? args : SPAN("[]")) };
	struct node *n;
	struct buf b;
	enum err e;

	/* Beside what follows from the task's end: other ids. */
	s.n_ids = START_IDS;
	/* What follows may have closed the list of children already. */
	if (f->children.len > 0)
		f->children.len--;
	e = node_read(&s, sig, &n);
	if (e == E_OK)
		e = flow_apply(&s, n, &g);
	if (e == E_OK)
		e = flow_add_child(&s, n);
	if (e == E_OK && f->children.len > 0)
		buf_addc(&f->children, ']');
	if (e == E_OK && result != NULL) {
		buf_init(&b, 0);
		node_add_result(&b, n);
		e = flow_keep(f, &b, result);
	}
	return e == E_OK ? f->children.err : e;
}

enum err
flow_produce(struct flow *f, struct span sig, struct span seed, struct span reply_to, us_t now,
	struct span *result, struct errtext *why)
{
	struct flow_source s = { .f = f,
		.id = SPAN_NONE,
		.root = SPAN_NONE,
		.seed = seed,
		.reply_to = reply_to,
		.now = now,
		.why = why };
	struct given g = { .args = SPAN("") };
	struct node *n;
	struct buf b;
	enum err e = node_read(&s, sig, &n);

	if (e == E_OK)
		e = flow_apply(&s, n, &g);
	if (e != E_OK)
		return e;
	buf_init(&b, 0);
	node_add_result(&b, n);
	return flow_keep(f, &b, result);
}

/* --- chords -------------------------------------------------------------------------------------------------------------- */

/* The id under which a client waits for it: of a chain that of its last task. */
static struct span
id_of(const struct node *n)
{
	while (n->sig.type == SIG_CHAIN || n->sig.type == SIG_CHORD)
		n = n->sig.type == SIG_CHAIN ? n->last : n->body;
	return n->id;
}

/*
 * The body fails, and with it what comes after. Its own error links are called, with its id. Members of a group that was to be the body end with the
 * error of the member that failed, as they do in Celery since 5.6: there is no single task that could say so of the chord.
 */
static enum err
fail_body(struct flow_source *s, struct node *body, const struct chord_verdict *v)
{
	struct failing how = { .state = SPAN("FAILURE"), .error = v->error };
	struct span links = body->errlinks;
	enum err e = node_freeze(s, body, NULL);

	if (e != E_OK)
		return e;
	if (body->sig.type == SIG_GROUP && v->cause.ptr != NULL)
		how.error = v->cause;
	if (links.ptr == NULL && body->sig.type == SIG_CHAIN)
		links = body->kids->errlinks;
	e = flow_fail(s, body, &how);
	return e == E_OK ? flow_call_errlinks(s, links, id_of(body), s->root) : e;
}

enum err
flow_on_counted(struct flow *f, const struct chord_count *c, us_t now, struct errtext *why)
{
	const struct flow_part part = f->parts[f->counted];
	struct flow_source s = {
		.f = f, .id = part.id, .root = part.root, .seed = part.group, .now = now, .why = why
	};
	struct given g = { .args = SPAN_NONE };
	struct chord_verdict v;
	struct node *body;
	enum err e;

	f->counted++;
	if (c->is_over)
		return E_OK;
	e = chord_join(&v, c, &f->arena);
	if (e != E_OK || v.state == CHORD_OPEN)
		return e;
	e = node_read(&s, part.body, &body);
	if (e != E_OK)
		return e;
	if (v.state == CHORD_READY) {
		/* Celery gives it to links and next steps whatever they say, and to a body that says nothing. */
		s.inherited_plus1 = part.priority_plus1;
		g.args = v.results;
		e = flow_apply(&s, body, &g);
	} else {
		/* The backend's text is gone after this call, and the error may be part of it. */
		v.cause = v.cause.ptr != NULL ? arena_dup(&f->arena, v.cause) : SPAN_NONE;
		e = fail_body(&s, body, &v);
	}
	return e == E_OK ? flow_add_close(f, part.group) : e;
}

struct flow_size
flow_size(const struct flow *f)
{
	return (struct flow_size){ f->count, f->n_marks, f->n_parts, f->n_chords, f->n_closes };
}

void
flow_cut(struct flow *f, const struct flow_size *to)
{
	f->count = to->count;
	f->n_marks = to->n_marks;
	f->n_parts = to->n_parts;
	f->n_chords = to->n_chords;
	f->n_closes = to->n_closes;
}

/* --- what is to be done -------------------------------------------------------------------------------------------------- */

enum flow_todo
flow_next(const struct flow *f)
{
	if (f->marked < f->n_marks)
		return FLOW_MARK;
	if (f->counted < f->n_parts)
		return FLOW_COUNT;
	return f->announced < f->n_chords ? FLOW_ANNOUNCE : FLOW_NOTHING;
}

enum flow_todo
flow_next_after_sending(const struct flow *f)
{
	return f->closed < f->n_closes ? FLOW_CLOSE : FLOW_NOTHING;
}

void
flow_on_done(struct flow *f, enum flow_todo todo)
{
	switch (todo) {
	case FLOW_MARK:
		f->marked = f->n_marks;
		break;
	case FLOW_ANNOUNCE:
		f->announced = f->n_chords;
		break;
	case FLOW_CLOSE:
		f->closed = f->n_closes;
		break;
	case FLOW_COUNT: /* flow_on_counted has seen each */
	case FLOW_NOTHING:
		break;
	}
}

void
flow_give_up(struct flow *f, enum flow_todo todo)
{
	if (todo == FLOW_COUNT)
		f->counted = f->n_parts;
	else if (todo == FLOW_ANNOUNCE)
		f->count = 0;
	flow_on_done(f, todo);
}

/* --- the dry run --------------------------------------------------------------------------------------------------------- */

static enum err
try_end(const struct task *t, const char *state, bool *needs_chords, struct errtext *why)
{
	struct flow_end end = { .state = span_of(state), .value = SPAN("null") };
	struct flow f;
	enum err e;

	flow_init(&f);
	e = flow_on_end(&f, t, &end, why);
	*needs_chords |= f.n_chords > 0 || f.n_parts > 0;
	flow_release(&f);
	return e;
}

static enum err
try_body(const struct task *t, struct errtext *why)
{
	struct flow f;
	struct flow_source s = source_of(&f, t, 0, why);
	struct given g = { .args = SPAN("[]") };
	enum err e;

	if (!flow_is_some(t->chord))
		return E_OK;
	flow_init(&f);
	e = flow_apply_text(&s, t->chord, &g);
	if (e != E_OK)
		e = err_prefix(why, e, "the body of its chord");
	flow_release(&f);
	return e;
}

enum err
flow_check(const struct task *t, bool has_chords, struct errtext *why)
{
	bool needs_chords = flow_is_some(t->chord);
	enum err e;

	if (t->chord.ptr == NULL && t->chain.ptr == NULL && t->callbacks.ptr == NULL && t->errbacks.ptr == NULL)
		return E_OK;
	/* What would be sent, with any result: a dry run finds every mistake before the task does its work. */
	e = try_end(t, "SUCCESS", &needs_chords, why);
	if (e == E_OK)
		e = try_end(t, "FAILURE", &needs_chords, why);
	if (e == E_OK)
		e = try_body(t, why);
	if (e == E_OK && needs_chords && !has_chords)
		return err_set(why, E_REFUSED,
			"it is part of a chord, or starts one, and this worker's result backend cannot count "
			"its members: "
			"give the worker a Redis backend (--result-backend redis://...)");
	return e;
}
