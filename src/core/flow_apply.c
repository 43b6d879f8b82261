/*
 * Signatures become messages. The rules, from celery-wire.md 1.9 and 4.3-4.5: arguments given go before a signature's own unless it
 * is immutable; a chain is written backwards, so its last element is the next step and carries the rest; the parent is the task that
 * has ended, the root stays; each member of a chord carries the body; what follows a chord follows its body.
 */
#include "core/flow_apply.h"

#include "base/date.h"
#include "base/js.h"
#include "base/text.h"
#include "wire/field.h"
#include "wire/headers.h"

enum err
flow_grow(void **items, size_t count, size_t *cap, size_t size)
{
	void *more;

	if (count < *cap)
		return E_OK;
	more = alloc_resize(*items, size * (*cap * 2 + 8));
	if (more == NULL)
		return E_NOMEM;
	*items = more;
	*cap = *cap * 2 + 8;
	return E_OK;
}

static enum err apply(struct flow_source *s, struct node *n, const struct given *g);

/* --- plain signatures -------------------------------------------------------------------------------------------------- */

static enum err
time_option(struct flow_source *s, const struct node *n, const char *key, us_t *out)
{
	double seconds;
	struct span text;
	enum err e;

	/* A number is from now on. */
	if (node_option_number(n, key, &seconds)) {
		*out = date_after(s->now, seconds);
		return E_OK;
	}
	e = node_option_text(s, n, key, &text);
	if (e == E_OK && text.len > 0 && !text_parse_time(text, out))
		return err_set(
			s->why, E_FORMAT, "signature of %.*s: its %s is no time", SPAN_FMT(n->sig.task), key);
	return e;
}

static enum err
times_of(struct flow_source *s, const struct node *n, struct task_call *call)
{
	double seconds, number;
	enum err e;

	call->now = s->now;
	if (node_option_number(n, "countdown", &seconds) && seconds > 0)
		call->eta = date_after(s->now, seconds);
	e = time_option(s, n, "eta", &call->eta);
	if (e == E_OK)
		e = time_option(s, n, "expires", &call->expires);
	if (node_option_number(n, "time_limit", &seconds) && seconds > 0)
		call->time_limit = seconds;
	if (node_option_number(n, "soft_time_limit", &seconds) && seconds > 0)
		call->soft_time_limit = seconds;
	if (node_option_number(n, "priority", &number) && number >= 0 && number <= 255)
		call->priority_plus1 = (int)number + 1;
	if (node_option_number(n, "retries", &number) && number >= 0 && number < 1e9)
		call->retries = (int64_t)number;
	call->ignore_result = jscan_kind(node_option(n, "ignore_result")) == JSCAN_TRUE;
	return e;
}

static enum err
route_of(struct flow_source *s, const struct node *n, struct flow_step *step)
{
	struct span queue;
	enum err e = node_option_text(s, n, "exchange", &step->exchange);

	if (e == E_OK)
		e = node_option_text(s, n, "routing_key", &step->routing_key);
	if (e == E_OK)
		e = node_option_text(s, n, "queue", &queue);
	if (e == E_OK && queue.len > 0 && (step->exchange.ptr == NULL || step->routing_key.ptr == NULL)) {
		step->exchange = SPAN("");
		step->routing_key = queue;
	}
	return e;
}

/* Every stamp stands among the options under its own name; whoever gets the task finds them in one header. */
static enum err
add_stamps(struct flow_source *s, const struct node *n, struct table *to)
{
	struct span names = node_option(n, "stamped_headers"), value;
	struct arena *a = &s->f->arena;
	struct table *stamps;
	struct jscan_iter it;
	struct val v, key;
	enum err e;

	if (jscan_kind(names) != JSCAN_ARRAY || jscan_count(names) == 0)
		return E_OK;
	stamps = arena_zero(a, sizeof(*stamps));
	e = stamps == NULL ? E_NOMEM : headers_read_value(&v, names, a);
	if (e == E_OK)
		e = table_set(to, a, SPAN("stamped_headers"), v);
	if (e == E_OK && jscan_begin(&it, names))
		while (e == E_OK && jscan_next(&it)) {
			e = headers_read_value(&key, it.value, a);
			/* The copy in the arena ends with a NUL. */
			if (e != E_OK || key.type != VAL_STRING ||
				(key.u.string = arena_dup(a, key.u.string)).ptr == NULL)
				continue;
			value = node_option(n, key.u.string.ptr);
			if (value.ptr != NULL && (e = headers_read_value(&v, value, a)) == E_OK)
				e = table_set(stamps, a, key.u.string, v);
		}
	return e == E_OK
		? table_set(to, a, SPAN("stamps"), (struct val){ .type = VAL_TABLE, .u.table = stamps })
		: e;
}

/* The user's own, stamps, and how often the task was replaced. */
static enum err
headers_of(struct flow_source *s, const struct node *n, struct task_call *call)
{
	struct table *t = arena_zero(&s->f->arena, sizeof(*t));
	double nesting;
	enum err e;

	if (t == NULL)
		return E_NOMEM;
	e = headers_read_object(t, node_option(n, "headers"), &s->f->arena);
	if (e == E_OK)
		e = add_stamps(s, n, t);
	if (e == E_OK && node_option_number(n, "replaced_task_nesting", &nesting) && nesting >= 0 &&
		nesting < 1e9)
		e = table_set(t, &s->f->arena, SPAN("replaced_task_nesting"), val_int((int64_t)nesting));
	call->user_headers = t->count > 0 ? t : NULL;
	return e;
}

static struct span
first_of(struct span a, struct span b, struct span c)
{
	return a.len > 0 ? a : b.len > 0 ? b : c;
}

static enum err
apply_plain(struct flow_source *s, const struct node *n, const struct given *g)
{
	enum err e = flow_grow((void **)&s->f->steps, s->f->count, &s->f->cap, sizeof(*s->f->steps));
	struct flow_step *step;
	struct task_call *call;

	if (e != E_OK)
		return e;
	step = &s->f->steps[s->f->count];
	*step = (struct flow_step){ .exchange = SPAN_NONE,
		.delivery_mode = field_delivery_mode(node_option(n, "delivery_mode")),
		.inherited_plus1 = s->inherited_plus1,
		.options = n->sig.options,
		.over = n->over };
	call = &step->call;
	call->id = n->id;
	call->name = n->sig.task;
	call->args = n->sig.args.ptr != NULL ? n->sig.args : SPAN("[]");
	call->kwargs = n->sig.kwargs;
	call->root_id = first_of(g->root, n->root, s->root);
	call->parent_id = first_of(g->parent, n->parent, s->id);
	call->chain = g->chain.ptr != NULL ? g->chain : n->chain;
	call->chord = n->chord;
	call->group = n->group;
	call->group_index_plus1 = n->index + 1;
	call->callbacks = n->links;
	call->errbacks = n->errlinks;
	if (!n->sig.immutable && g->args.len > 0)
		e = flow_join(s->f, g->args, flow_inner(call->args), &call->args);
	if (e == E_OK)
		e = times_of(s, n, call);
	if (g->priority_plus1 > 0)
		call->priority_plus1 = g->priority_plus1;
	if (e == E_OK)
		e = node_option_text(s, n, "reply_to", &call->reply_to);
	if (e == E_OK)
		e = node_option_text(s, n, "shadow", &call->shadow);
	if (e == E_OK)
		e = headers_of(s, n, call);
	if (e == E_OK)
		e = route_of(s, n, step);
	if (e == E_OK)
		s->f->count++;
	return e;
}

/* --- chains ------------------------------------------------------------------------------------------------------------ */

static enum err
append(struct flow_source *s, struct span *list, struct span more)
{
	return flow_join(s->f, flow_inner(list->ptr != NULL ? *list : SPAN("[]")), flow_inner(more), list);
}

/*
 * Only tasks and chains keep links as options of their own; what a chord is given is its body's, and error links of a group are its members'. A
 * Celery worker that finds them on a chord or a group cannot send it.
 */
static enum err
add_links(struct flow_source *s, struct node *n, struct span links, struct span errlinks)
{
	enum err e = E_OK;

	if (n->sig.type == SIG_CHORD)
		return add_links(s, n->body, links, errlinks);
	if (links.ptr != NULL)
		e = append(s, &n->links, links);
	if (e != E_OK || errlinks.ptr == NULL)
		return e;
	if (n->sig.type != SIG_GROUP)
		return append(s, &n->errlinks, errlinks);
	for (struct node *kid = n->kids; kid != NULL && e == E_OK; kid = kid->next)
		e = add_links(s, kid, SPAN_NONE, errlinks);
	return e;
}

static enum err
spread_errlinks(struct flow_source *s, struct node *n)
{
	enum err e = E_OK;

	for (struct node *kid = n->kids; kid != NULL && e == E_OK; kid = kid->next)
		e = add_links(s, kid, SPAN_NONE, n->errlinks);
	return e;
}

/* Links and error links of the chain itself: its last task has the ones, each of them the others. */
static enum err
spread_links(struct flow_source *s, struct node *n)
{
	enum err e = add_links(s, n->last, n->links, SPAN_NONE);

	return e == E_OK ? spread_errlinks(s, n) : e;
}

/* Backwards, behind what comes after the whole chain. */
static enum err
write_rest(struct flow_source *s, const struct node *first, struct span after, struct span *out)
{
	struct span *texts;
	size_t n = 0, i = 0;
	enum err e = E_OK;
	struct buf b;

	for (const struct node *it = first; it != NULL; it = it->next)
		n++;
	texts = arena_alloc(&s->f->arena, (n + 1) * sizeof(*texts));
	if (texts == NULL)
		return E_NOMEM;
	for (const struct node *it = first; it != NULL && e == E_OK; it = it->next)
		e = node_write(s, it, &texts[i++]);
	if (e != E_OK)
		return e;
	buf_init(&b, 0);
	buf_addc(&b, '[');
	buf_add(&b, after);
	for (i = n; i-- > 0;) {
		buf_adds(&b, b.len > 1 ? ", " : "");
		buf_add(&b, texts[i]);
	}
	buf_addc(&b, ']');
	return flow_keep(s->f, &b, out);
}

static enum err
apply_chain(struct flow_source *s, struct node *n, const struct given *given)
{
	struct given g = *given;
	struct span after = flow_inner(g.chain.ptr != NULL ? g.chain
			: n->chain.ptr != NULL             ? n->chain
							   : SPAN("[]"));
	struct span args;
	enum err e = spread_links(s, n);

	if (e == E_OK)
		e = write_rest(s, n->kids->next, after, &g.chain);
	/* Arguments of the chain itself are for its first task, behind those that are given. */
	if (n->sig.immutable)
		g.args = SPAN("");
	if (e == E_OK && n->sig.args.ptr != NULL) {
		e = flow_join(s->f, g.args, flow_inner(n->sig.args), &args);
		g.args = flow_inner(args);
	}
	if (n->kids->over.ptr == NULL)
		n->kids->over = n->sig.options;
	return e == E_OK ? apply(s, n->kids, &g) : e;
}

/* --- groups and chords --------------------------------------------------------------------------------------------------- */

/* The last element, and the list without it. */
enum err
flow_pop_last(struct flow *f, struct span list, struct span *last, struct span *rest)
{
	struct jscan_iter it;
	size_t n = jscan_count(list);
	struct span front = SPAN("");

	*last = SPAN_NONE;
	*rest = SPAN("[]");
	if (n == 0 || !jscan_begin(&it, list))
		return E_OK;
	for (size_t i = 0; i < n && jscan_next(&it); i++) {
		if (i + 1 < n)
			front = (struct span){ list.ptr + 1,
				(size_t)(it.value.ptr + it.value.len - list.ptr) - 1 };
		*last = it.value;
	}
	return flow_join(f, front, SPAN(""), rest);
}

static enum err apply_chord(struct flow_source *s, struct node *n, const struct given *given);

/* Others than Celery may write a group with something after it in a chain: that waits for all of it. */
static enum err
apply_as_chord(struct flow_source *s, struct node *n, const struct given *given)
{
	struct node *chord = node_new(s, SIG_CHORD);
	struct given g = *given;
	struct span body;
	enum err e = chord == NULL ? E_NOMEM : flow_pop_last(s->f, span_trim(given->chain), &body, &g.chain);

	if (e == E_OK)
		e = node_read(s, body, &chord->body);
	if (e != E_OK)
		return e;
	chord->id = n->id;
	chord->kids = n->kids;
	chord->last = n->last;
	chord->n_kids = n->n_kids;
	e = node_freeze(s, chord, NULL);
	if (e != E_OK)
		return e;
	/* The child of the task is the group, and so it is for a chord. */
	chord->next = n->next;
	*n = *chord;
	return apply_chord(s, n, &g);
}

/* Now that they are sent, they get their group, and the body that they report to. */
static enum err
place_kids(struct flow_source *s, struct node *n, struct span chord)
{
	struct node_place p = { .group = n->id, .chord = chord };
	enum err e = E_OK;

	for (struct node *kid = n->kids; kid != NULL && e == E_OK; kid = kid->next) {
		if (kid->over.ptr == NULL)
			kid->over = n->sig.options;
		e = node_freeze(s, kid, &p);
		p.index++;
	}
	return e;
}

static enum err
apply_kids(struct flow_source *s, struct node *n, const struct given *given)
{
	struct given g = *given;
	enum err e = E_OK;

	g.chain = SPAN_NONE;
	for (struct node *kid = n->kids; kid != NULL && e == E_OK; kid = kid->next)
		e = apply(s, kid, &g);
	return e;
}

static enum err
apply_group(struct flow_source *s, struct node *n, const struct given *given)
{
	struct given g = *given;
	enum err e;

	if (n->links.ptr != NULL)
		return err_set(s->why, E_FORMAT, "a group cannot have a link: make it a chord");
	/* A group that is the body of a chord carries what comes after the chord. */
	if (g.chain.ptr == NULL)
		g.chain = n->chain;
	if (flow_is_some(g.chain) && jscan_count(span_trim(g.chain)) > 0)
		return apply_as_chord(s, n, &g);
	/* Error links of a group are those of its members. */
	e = spread_errlinks(s, n);
	if (e == E_OK)
		e = place_kids(s, n, n->chord);
	return e == E_OK ? apply_kids(s, n, &g) : e;
}

static enum err
announce(struct flow_source *s, const struct node *n)
{
	struct flow *f = s->f;
	enum err e = flow_grow((void **)&f->chords, f->n_chords, &f->cap_chords, sizeof(*f->chords));
	struct flow_chord c = { .group = n->id };
	bool is_nested = false;
	struct buf b;

	for (const struct node *kid = n->kids; kid != NULL; kid = kid->next) {
		c.size += node_size(kid);
		is_nested |= node_is_many(kid);
	}
	if (e == E_OK && is_nested) {
		buf_init(&b, 0);
		buf_adds(&b, "{\"result\": [[");
		js_add_string(&b, n->id);
		buf_adds(&b, ", null], [");
		for (const struct node *kid = n->kids; kid != NULL; kid = kid->next) {
			buf_adds(&b, kid != n->kids ? ", " : "");
			node_add_result(&b, kid);
		}
		buf_adds(&b, "]]}");
		e = flow_keep(f, &b, &c.saved);
	}
	if (e == E_OK)
		f->chords[f->n_chords++] = c;
	return e;
}

/* What the chord itself was given is its body's: what comes after it, who links to it, whose member it is. */
static enum err
prepare_body(struct flow_source *s, struct node *n, const struct given *g, struct span *raw)
{
	struct node *body = n->body;
	enum err e = E_OK;

	body->root = first_of(g->root, body->root, s->root);
	body->parent = first_of(g->parent, body->parent, s->id);
	if (g->chain.ptr != NULL)
		body->chain = g->chain;
	else if (n->chain.ptr != NULL)
		body->chain = n->chain;
	if (body->over.ptr == NULL)
		body->over = n->sig.options;
	body->priority_plus1 = g->priority_plus1;
	e = add_links(s, body, n->links, n->errlinks);
	return e == E_OK ? node_write(s, body, raw) : e;
}

static enum err
apply_chord(struct flow_source *s, struct node *n, const struct given *given)
{
	struct given g = *given;
	struct span body, args;
	enum err e = prepare_body(s, n, given, &body);

	if (e != E_OK)
		return e;
	if (n->kids == NULL) {
		g = (struct given){ .args = SPAN("[]"),
			.root = given->root,
			.parent = given->parent,
			.priority_plus1 = given->priority_plus1 };
		return flow_apply_text(s, body, &g);
	}
	if (n->sig.immutable)
		g.args = SPAN("");
	if (n->sig.args.ptr != NULL) {
		e = flow_join(s->f, g.args, flow_inner(n->sig.args), &args);
		g.args = flow_inner(args);
	}
	if (e == E_OK)
		e = place_kids(s, n, body);
	if (e == E_OK)
		e = announce(s, n);
	return e == E_OK ? apply_kids(s, n, &g) : e;
}

static enum err
apply(struct flow_source *s, struct node *n, const struct given *g)
{
	switch (n->sig.type) {
	case SIG_CHAIN:
		return apply_chain(s, n, g);
	case SIG_GROUP:
		return apply_group(s, n, g);
	case SIG_CHORD:
		return apply_chord(s, n, g);
	case SIG_PLAIN:
		break;
	}
	return apply_plain(s, n, g);
}

enum err
flow_apply(struct flow_source *s, struct node *n, const struct given *g)
{
	enum err e = node_freeze(s, n, NULL);

	return e == E_OK ? apply(s, n, g) : e;
}

enum err
flow_apply_text(struct flow_source *s, struct span json, const struct given *g)
{
	struct node *n;
	enum err e = node_read(s, json, &n);

	return e == E_OK ? flow_apply(s, n, g) : e;
}

/* Of a chain the first task, of a chord its header, or its body where there is none: what was sent now. */
enum err
flow_add_child(struct flow_source *s, const struct node *n)
{
	struct buf *b = &s->f->children;
	struct node header;

	while (n->sig.type == SIG_CHAIN || (n->sig.type == SIG_CHORD && n->kids == NULL))
		n = n->sig.type == SIG_CHAIN ? n->kids : n->body;
	if (n->sig.type == SIG_GROUP && n->kids == NULL)
		return E_OK;
	header = *n;
	if (n->sig.type == SIG_CHORD)
		header.sig.type = SIG_GROUP;
	buf_adds(b, b->len == 0 ? "[" : ", ");
	node_add_result(b, &header);
	return b->err;
}
