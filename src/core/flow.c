/*
 * Signatures become messages. The rules, from celery-wire.md 1.9 and 4.3-4.5: the result goes before a signature's own arguments unless it
 * is immutable; a chain is written backwards, so its last element is the next step and carries the rest; the parent is the task that
 * has ended, the root stays; an error link gets the id of the failed task.
 */
#include "core/flow.h"

#include "base/id.h"
#include "base/js.h"
#include "base/text.h"
#include "wire/sig.h"

/* A chain may hold chains; so deep it is nobody's intention. */
#define NESTING_MAX 32

struct source {
	struct flow *f;
	const struct task *t;
	us_t now;
	struct errtext *why;
};

/* What a signature gets from whoever applies it. */
struct given {
	struct span arg;         /* raw JSON put before its arguments; SPAN_NONE = none */
	struct span chain;       /* raw list of what comes after it, backwards; SPAN_NONE or "[]" = nothing */
};

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
	memset(f, 0, sizeof(*f));
}

/* Takes the text of a buffer over into the arena. */
static enum err
keep(struct flow *f, struct buf *b, struct span *out)
{
	enum err e = b->err;

	if (e == E_OK) {
		*out = arena_dup(&f->arena, buf_span(b));
		e = out->ptr == NULL ? E_NOMEM : E_OK;
	}
	buf_release(b);
	return e;
}

static struct span
inner(struct span list)
{
	list = span_trim(list);
	return list.len >= 2 ? span_trim((struct span){ list.ptr + 1, list.len - 2 }) : SPAN("");
}

/* "[first, rest...]" */
static enum err
prepend(struct flow *f, struct span first, struct span list, struct span *out)
{
	struct span rest = inner(list);
	struct buf b;

	buf_init(&b, 0);
	buf_addc(&b, '[');
	buf_add(&b, first);
	if (first.len > 0 && rest.len > 0)
		buf_adds(&b, ", ");
	buf_add(&b, rest);
	buf_addc(&b, ']');
	return keep(f, &b, out);
}

static bool
is_some(struct span raw)
{
	return raw.len > 0 && jscan_kind(raw) != JSCAN_NULL;
}

static enum err
text_option(struct source *s, const struct sig *sig, const char *key, struct span *out)
{
	*out = SPAN_NONE;
	(void)sig_option_text(sig, key, &s->f->arena, out);
	return E_OK;
}

static bool
number_option(const struct sig *sig, const char *key, double *out)
{
	struct span raw = sig->options.ptr != NULL ? jscan_member(sig->options, key) : SPAN_NONE;

	return is_some(raw) && jscan_double(raw, out);
}

/* link and link_error: one signature or a list of them. */
static enum err
list_option(struct source *s, const struct sig *sig, const char *key, struct span *out)
{
	struct span raw = sig->options.ptr != NULL ? jscan_member(sig->options, key) : SPAN_NONE;

	*out = SPAN_NONE;
	if (!is_some(raw) || (jscan_kind(raw) == JSCAN_ARRAY && jscan_count(raw) == 0))
		return E_OK;
	if (jscan_kind(raw) == JSCAN_ARRAY) {
		*out = raw;
		return E_OK;
	}
	return prepend(s->f, raw, SPAN("[]"), out);
}

static enum err
times_of(struct source *s, const struct sig *sig, struct task_call *call)
{
	struct span text;
	double seconds, priority;

	call->now = s->now;
	if (number_option(sig, "countdown", &seconds) && seconds > 0)
		call->eta = s->now + (us_t)(seconds * 1e6);
	text_option(s, sig, "eta", &text);
	if (text.len > 0 && !text_parse_time(text, &call->eta))
		return err_set(s->why, E_FORMAT, "signature of %.*s: its eta is no time", SPAN_FMT(sig->task));
	if (number_option(sig, "expires", &seconds))
		call->expires = s->now + (us_t)(seconds * 1e6);
	text_option(s, sig, "expires", &text);
	if (text.len > 0 && !text_parse_time(text, &call->expires))
		return err_set(s->why, E_FORMAT, "signature of %.*s: its expires is no time", SPAN_FMT(sig->task));
	if (number_option(sig, "time_limit", &seconds))
		call->time_limit = seconds;
	if (number_option(sig, "soft_time_limit", &seconds))
		call->soft_time_limit = seconds;
	if (number_option(sig, "priority", &priority) && priority >= 0 && priority <= 255)
		call->priority_plus1 = (int)priority + 1;
	return E_OK;
}

static void
route_of(struct source *s, const struct sig *sig, struct flow_step *step)
{
	struct span queue;

	text_option(s, sig, "exchange", &step->exchange);
	text_option(s, sig, "routing_key", &step->routing_key);
	text_option(s, sig, "queue", &queue);
	if (queue.len > 0 && (step->exchange.ptr == NULL || step->routing_key.ptr == NULL)) {
		step->exchange = SPAN("");
		step->routing_key = queue;
	}
}

/* The id in the signature, or one that follows from the task's own and the step's place. */
static enum err
id_of(struct source *s, const struct sig *sig, struct span *out)
{
	char id[ID_UUID_LEN + 1];

	text_option(s, sig, "task_id", out);
	if (out->len > 0)
		return E_OK;
	id_derive(id, s->t->id, s->f->count);
	*out = arena_dup(&s->f->arena, span_of(id));
	return out->ptr == NULL ? E_NOMEM : E_OK;
}

static struct flow_step *
new_step(struct flow *f)
{
	struct flow_step *more;

	if (f->count == f->cap) {
		more = alloc_resize(f->steps, sizeof(*more) * (f->cap + 8));
		if (more == NULL)
			return NULL;
		f->steps = more;
		f->cap += 8;
	}
	more = &f->steps[f->count];
	memset(more, 0, sizeof(*more));
	return more;
}

static enum err
add_child(struct flow *f, struct span id)
{
	buf_adds(&f->children, f->children.len == 0 ? "[[[" : ", [[");
	js_add_string(&f->children, id);
	buf_adds(&f->children, ", null], null]");
	return f->children.err;
}

/* A plain signature: one message. */
static enum err
apply_plain(struct source *s, const struct sig *sig, const struct given *g)
{
	struct flow_step *step = new_step(s->f);
	struct task_call *call;
	double index;
	enum err e;

	if (step == NULL)
		return E_NOMEM;
	call = &step->call;
	call->name = sig->task;
	call->args = sig->args.ptr != NULL ? sig->args : SPAN("[]");
	call->kwargs = sig->kwargs;
	call->root_id = s->t->root_id.len > 0 ? s->t->root_id : s->t->id;
	call->parent_id = s->t->id;
	call->chain = g->chain;
	e = id_of(s, sig, &call->id);
	if (e == E_OK && !sig->immutable && g->arg.ptr != NULL)
		e = prepend(s->f, g->arg, call->args, &call->args);
	if (e == E_OK)
		e = times_of(s, sig, call);
	if (e == E_OK)
		e = list_option(s, sig, "link", &call->callbacks);
	if (e == E_OK)
		e = list_option(s, sig, "link_error", &call->errbacks);
	if (e != E_OK)
		return e;
	text_option(s, sig, "group_id", &call->group);
	text_option(s, sig, "reply_to", &call->reply_to);
	text_option(s, sig, "shadow", &call->shadow);
	if (number_option(sig, "group_index", &index) && index >= 0 && index < INT32_MAX)
		call->group_index_plus1 = (int)index + 1;
	route_of(s, sig, step);
	s->f->count++;
	return E_OK;
}

/* Its tasks stand in natural order: the first one runs now, the others are what comes after it, before what comes after the chain. */
static enum err
unroll(struct source *s, const struct sig *chain, const struct given *g, struct span *first, struct span *rest)
{
	struct span tasks = chain->kwargs.ptr != NULL ? jscan_member(chain->kwargs, "tasks") : SPAN_NONE;
	struct jscan_iter it;
	struct span list = SPAN("[]"), after = is_some(g->chain) ? inner(g->chain) : SPAN("");
	enum err e = E_OK;
	struct buf b;

	*first = SPAN_NONE;
	if (!jscan_begin(&it, tasks) || it.is_object || !jscan_next(&it))
		return err_set(s->why, E_FORMAT, "a chain without tasks");
	*first = it.value;
	/* Each goes before those that run after it are done with: backwards. */
	while (e == E_OK && jscan_next(&it))
		e = prepend(s->f, it.value, list, &list);
	if (e != E_OK)
		return e;
	buf_init(&b, 0);
	buf_addc(&b, '[');
	buf_add(&b, after);
	if (after.len > 0 && inner(list).len > 0)
		buf_adds(&b, ", ");
	buf_add(&b, inner(list));
	buf_addc(&b, ']');
	return keep(s->f, &b, rest);
}

static enum err
apply(struct source *s, struct span json, const struct given *given)
{
	struct given g = *given;
	struct sig sig;
	enum err e;

	for (int depth = 0; depth < NESTING_MAX; depth++) {
		e = sig_decode(&sig, json, &s->f->arena, s->why);
		if (e != E_OK)
			return e;
		if (sig.type == SIG_PLAIN)
			return apply_plain(s, &sig, &g);
		if (sig.type != SIG_CHAIN)
			return err_set(s->why, E_REFUSED, "groups and chords are not carried out by this version");
		e = unroll(s, &sig, &g, &json, &g.chain);
		if (e != E_OK)
			return e;
	}
	return err_set(s->why, E_TOOBIG, "chains in chains, more than %d deep", NESTING_MAX);
}

/* A list of signatures, or a single one. */
static enum err
apply_each(struct source *s, struct span list, const struct given *g)
{
	struct jscan_iter it;
	enum err e = E_OK;

	if (!is_some(list))
		return E_OK;
	if (jscan_kind(list) != JSCAN_ARRAY)
		return apply(s, list, g);
	if (jscan_begin(&it, list))
		while (e == E_OK && jscan_next(&it))
			e = apply(s, it.value, g);
	return e;
}

/* The last element, and the list without it. */
static enum err
pop_last(struct flow *f, struct span list, struct span *last, struct span *rest)
{
	struct jscan_iter it;
	size_t n = jscan_count(list);
	const char *end = list.ptr;
	struct buf b;

	*last = SPAN_NONE;
	if (n == 0 || !jscan_begin(&it, list))
		return E_OK;
	for (size_t i = 0; i < n && jscan_next(&it); i++) {
		if (i + 1 < n)
			end = it.value.ptr + it.value.len;
		*last = it.value;
	}
	buf_init(&b, 0);
	if (n > 1)
		buf_add(&b, (struct span){ list.ptr, (size_t)(end - list.ptr) });
	else
		buf_addc(&b, '[');
	buf_addc(&b, ']');
	return keep(f, &b, rest);
}

enum err
flow_on_success(struct flow *f, const struct task *t, struct span result, us_t now, struct errtext *why)
{
	struct source s = { .f = f, .t = t, .now = now, .why = why };
	struct given g = { .arg = result.len > 0 ? result : SPAN("null") };
	struct span next = SPAN_NONE, list = span_trim(t->chain);
	enum err e = apply_each(&s, t->callbacks, &g);

	if (e == E_OK && is_some(list))
		e = pop_last(f, list, &next, &g.chain);
	if (e == E_OK && next.ptr != NULL)
		e = apply(&s, next, &g);
	for (size_t i = 0; i < f->count && e == E_OK; i++)
		e = add_child(f, f->steps[i].call.id);
	if (e == E_OK && f->count > 0)
		buf_addc(&f->children, ']');
	return e;
}

/* The ids of a chain's elements, last step first. */
static enum err
collect_failed(struct source *s)
{
	struct span list = span_trim(s->t->chain);
	struct flow *f = s->f;
	struct jscan_iter it;
	struct sig sig;
	enum err e;

	if (!is_some(list) || jscan_count(list) == 0 || !jscan_begin(&it, list))
		return E_OK;
	f->failed = arena_alloc(&f->arena, sizeof(*f->failed) * jscan_count(list));
	if (f->failed == NULL)
		return E_NOMEM;
	while (jscan_next(&it)) {
		e = sig_decode(&sig, it.value, &f->arena, s->why);
		if (e != E_OK)
			return e;
		text_option(s, &sig, "task_id", &f->failed[f->n_failed]);
		if (task_id_is_valid(f->failed[f->n_failed]))
			f->n_failed++;
	}
	return E_OK;
}

enum err
flow_on_failure(struct flow *f, const struct task *t, us_t now, struct errtext *why)
{
	struct source s = { .f = f, .t = t, .now = now, .why = why };
	struct given g = { .arg = SPAN_NONE };
	struct buf id;
	enum err e;

	buf_init(&id, 0);
	js_add_string(&id, t->id);
	e = keep(f, &id, &g.arg);
	if (e == E_OK)
		e = apply_each(&s, t->errbacks, &g);
	return e == E_OK ? collect_failed(&s) : e;
}

enum err
flow_check(const struct task *t, struct errtext *why)
{
	struct flow f;
	enum err e;

	if (t->chord.ptr == NULL && t->chain.ptr == NULL && t->callbacks.ptr == NULL && t->errbacks.ptr == NULL)
		return E_OK;
	if (is_some(t->chord))
		return err_set(why, E_REFUSED, "it belongs to a chord, which this version does not carry out");
	/* What would be sent, with any result: a dry run finds every mistake before the task does its work. */
	flow_init(&f);
	e = flow_on_success(&f, t, SPAN("null"), 0, why);
	if (e == E_OK)
		e = flow_on_failure(&f, t, 0, why);
	flow_release(&f);
	return e;
}
