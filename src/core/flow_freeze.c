/*
 * Ids and places. A signature is frozen before anything of it is sent: then all who will speak of one of its tasks, in a result's children, in a
 * chord's count, in the rest of a chain, speak of the same id. And what a chain, a chord or a group ends with is one thing with it:
 *
 *   chain [a, b, c]                    ends with c
 *   chord (header, body)               ends with what its body ends with
 *   group [a, b]                       ends with all of its members
 *   chain [a, group [b, c], d]         runs as chain [a, chord ([b, c], d)]
 */
#include "core/flow_node.h"

#include "base/id.h"
#include "base/js.h"

/* A chain in a result tuple is told as nested parents; whoever follows them so far back has seen enough. */
#define PARENTS_MAX 100

enum err
flow_derive_id(struct flow_source *s, struct span *out)
{
	char id[ID_UUID_LEN + 1];

	id_derive(id, s->seed, s->n_ids++);
	*out = arena_dup(&s->f->arena, span_of(id));
	return out->ptr == NULL ? E_NOMEM : E_OK;
}

/* --- chains into the form in which they run ------------------------------------------------------------------------------ */

/* A group of one is that one. */
static struct node *
unwrap(struct node *n)
{
	return n->sig.type == SIG_GROUP && n->n_kids == 1 ? n->kids : n;
}

/* Chains in a chain give it their tasks. */
static void
splice(struct node *chain)
{
	struct node *it = chain->kids, *next;

	chain->kids = chain->last = NULL;
	chain->n_kids = 0;
	for (; it != NULL; it = next) {
		struct node *kid = unwrap(it);

		next = it->next;
		if (kid->sig.type != SIG_CHAIN) {
			node_add_kid(chain, kid);
			continue;
		}
		splice(kid);
		for (struct node *inner = kid->kids, *after; inner != NULL; inner = after) {
			after = inner->next;
			node_add_kid(chain, inner);
		}
	}
}

/* What follows a group waits for all of it: a chord. From the end, so that what follows is in its final form. */
static enum err
upgrade(struct flow_source *s, struct node *chain)
{
	struct node **all = arena_alloc(&s->f->arena, (chain->n_kids + 1) * sizeof(struct node *));
	struct node *next = NULL;
	size_t n = 0;

	if (all == NULL)
		return E_NOMEM;
	for (struct node *it = chain->kids; it != NULL; it = it->next)
		all[n++] = it;
	chain->kids = chain->last = NULL;
	chain->n_kids = 0;
	for (size_t i = n; i-- > 0;) {
		struct node *kid = all[i], *chord;

		if (kid->sig.type == SIG_GROUP && next != NULL) {
			chord = node_new(s, SIG_CHORD);
			if (chord == NULL)
				return E_NOMEM;
			chord->id = kid->id;
			chord->kids = kid->kids;
			chord->last = kid->last;
			chord->n_kids = kid->n_kids;
			for (struct node *it = kid->kids; it != NULL; it = it->next)
				it->over = it->over.ptr != NULL ? it->over : kid->sig.options;
			chord->body = next;
			chord->next = next->next;
			next->next = NULL;
			kid = chord;
		} else {
			kid->next = next;
		}
		next = kid;
	}
	for (struct node *it = next; it != NULL; it = next) {
		next = it->next;
		node_add_kid(chain, it);
	}
	return E_OK;
}

/* --- ids and places ------------------------------------------------------------------------------------------------------ */

static const struct node_place no_place = { .index = -1 };

static enum err
take_place(struct flow_source *s, struct node *n, const struct node_place *p)
{
	if (p->chord.ptr != NULL)
		n->chord = p->chord;
	if (p->index >= 0)
		n->index = p->index;
	/* Another group's member stays one: its place is counted on there. */
	if (n->group.ptr == NULL)
		n->group = p->group;
	if (n->id.ptr == NULL)
		n->id = p->id;
	return n->id.ptr != NULL ? E_OK : flow_derive_id(s, &n->id);
}

static enum err
freeze_chain(struct flow_source *s, struct node *n, const struct node_place *place)
{
	/* What was given to the chain itself is for its last task. */
	struct node_place last = {
		.id = n->id.ptr != NULL ? n->id : place->id,
		.group = n->group.ptr != NULL ? n->group : place->group,
		.chord = place->chord.ptr != NULL ? place->chord : n->chord,
		.index = place->index >= 0 ? place->index : n->index,
	};
	enum err e;

	if (n->kids == NULL)
		return err_set(s->why, E_FORMAT, "a chain without tasks");
	splice(n);
	if (n->kids == NULL)
		return err_set(s->why, E_FORMAT, "a chain without tasks");
	e = upgrade(s, n);
	for (struct node *kid = n->kids; kid != NULL && e == E_OK; kid = kid->next)
		e = node_freeze(s, kid, kid->next == NULL ? &last : &no_place);
	return e;
}

/* The members get the group as an option only when it is another one's: Celery gives them their own when it sends them, and could not, if they had it. */
static enum err
freeze_group(struct flow_source *s, struct node *n, const struct node_place *place)
{
	struct node_place p = { .group = place->group,
		.chord = place->chord.ptr != NULL ? place->chord : n->chord };
	enum err e = take_place(s, n, place);

	if (p.group.ptr != NULL)
		n->id = p.group;
	for (struct node *kid = n->kids; kid != NULL && e == E_OK; kid = kid->next) {
		e = node_freeze(s, kid, &p);
		p.index++;
	}
	return e;
}

static enum err
freeze_chord(struct flow_source *s, struct node *n, const struct node_place *place)
{
	struct node_place p = { .index = 0 };
	/* A chord that is a member itself: its body reports. */
	struct node_place body = {
		.id = place->id,
		.group = n->group.ptr != NULL ? n->group : place->group,
		.chord = place->chord.ptr != NULL ? place->chord : n->chord,
		.index = place->index >= 0 ? place->index : n->index,
	};
	enum err e = E_OK;

	if (n->id.ptr == NULL)
		e = flow_derive_id(s, &n->id);
	if (e == E_OK)
		e = node_freeze(s, n->body, &body);
	for (struct node *kid = n->kids; kid != NULL && e == E_OK; kid = kid->next) {
		e = node_freeze(s, kid, &p);
		p.index++;
	}
	return e;
}

enum err
node_freeze(struct flow_source *s, struct node *n, const struct node_place *place)
{
	const struct node_place *p = place != NULL ? place : &no_place;

	switch (n->sig.type) {
	case SIG_CHAIN:
		return freeze_chain(s, n, p);
	case SIG_GROUP:
		return freeze_group(s, n, p);
	case SIG_CHORD:
		return freeze_chord(s, n, p);
	case SIG_PLAIN:
		break;
	}
	return take_place(s, n, p);
}

/* --- what is known of a frozen one --------------------------------------------------------------------------------------- */

size_t
node_size(const struct node *n)
{
	size_t size = 0;

	switch (n->sig.type) {
	case SIG_PLAIN:
		return 1;
	case SIG_CHORD:
		return node_size(n->body);
	case SIG_GROUP:
		for (const struct node *kid = n->kids; kid != NULL; kid = kid->next)
			size += node_size(kid);
		return size;
	case SIG_CHAIN:
		/* The last that is not empty. */
		for (const struct node *kid = n->kids; kid != NULL; kid = kid->next) {
			size_t own = node_size(kid);

			size = own > 0 ? own : size;
		}
		return size;
	}
	return size;
}

bool
node_is_many(const struct node *n)
{
	switch (n->sig.type) {
	case SIG_PLAIN:
		return false;
	case SIG_GROUP:
		return true;
	case SIG_CHORD:
		return node_is_many(n->body);
	case SIG_CHAIN:
		return n->last != NULL && node_is_many(n->last);
	}
	return false;
}

/* What ran before a task: the task before it in its chain, or the header of the chord whose body it is. */
struct before {
	const struct node *n;
	const struct before *before;
	bool is_header;
	int depth;
};

static void add_result(struct buf *b, const struct node *n, const struct before *before);

static void
add_results(struct buf *b, const struct node *kids)
{
	buf_addc(b, '[');
	for (const struct node *kid = kids; kid != NULL; kid = kid->next) {
		buf_adds(b, kid != kids ? ", " : "");
		add_result(b, kid, NULL);
	}
	buf_addc(b, ']');
}

static void
add_head(struct buf *b, struct span id, const struct before *before)
{
	buf_adds(b, "[[");
	js_add_string(b, id);
	buf_adds(b, ", ");
	if (before == NULL || before->depth > PARENTS_MAX) {
		buf_adds(b, "null");
	} else if (before->is_header) {
		add_head(b, before->n->id, before->before);
		add_results(b, before->n->kids);
		buf_addc(b, ']');
	} else {
		add_result(b, before->n, before->before);
	}
	buf_adds(b, "], ");
}

/* From the first task on: each is what ran before the next. */
static void
add_chain(struct buf *b, const struct node *kid, const struct before *before)
{
	struct before own = { .n = kid, .before = before, .depth = before != NULL ? before->depth + 1 : 0 };

	if (kid->next == NULL)
		add_result(b, kid, before);
	else
		add_chain(b, kid->next, &own);
}

/* Of a long one only so much of its end that the nesting stays within bounds. */
static void
add_chain_end(struct buf *b, const struct node *chain, const struct before *before)
{
	const struct node *first = chain->kids;

	for (size_t left = chain->n_kids; left > PARENTS_MAX; left--) {
		first = first->next;
		before = NULL;
	}
	if (first != NULL)
		add_chain(b, first, before);
}

static void
add_result(struct buf *b, const struct node *n, const struct before *before)
{
	struct before header = {
		.n = n, .before = before, .is_header = true, .depth = before != NULL ? before->depth + 1 : 0
	};

	switch (n->sig.type) {
	case SIG_PLAIN:
		add_head(b, n->id, before);
		buf_adds(b, "null]");
		break;
	case SIG_GROUP:
		add_head(b, n->id, before);
		add_results(b, n->kids);
		buf_addc(b, ']');
		break;
	case SIG_CHORD:
		add_result(b, n->body, &header);
		break;
	case SIG_CHAIN:
		add_chain_end(b, n, before);
		break;
	}
}

void
node_add_result(struct buf *b, const struct node *n)
{
	add_result(b, n, NULL);
}
