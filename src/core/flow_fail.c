/*
 * Those who will not run any more end too: the rest of a chain whose task has failed, the body of a chord whose member has, and what comes after
 * that. Whoever waits for one of them, a client or a chord around them, is told, and nothing waits for ever.
 */
#include "core/flow_apply.h"

#include "base/js.h"

enum err
flow_add_part(struct flow_source *s, const struct flow_part *p, const struct chord_member *m)
{
	struct flow *f = s->f;
	struct flow_part part = *p;
	enum err e = flow_grow((void **)&f->parts, f->n_parts, &f->cap_parts, sizeof(*f->parts));
	struct buf b;

	if (e != E_OK)
		return e;
	buf_init(&b, 0);
	chord_member_encode(&b, m);
	e = flow_keep(f, &b, &part.member);
	if (e == E_OK)
		f->parts[f->n_parts++] = part;
	return e;
}

enum err
flow_add_close(struct flow *f, struct span group)
{
	enum err e = flow_grow((void **)&f->closes, f->n_closes, &f->cap_closes, sizeof(*f->closes));

	if (e == E_OK)
		f->closes[f->n_closes++] = group;
	return e;
}

static enum err
fail_plain(struct flow_source *s, const struct node *n, const struct failing *how)
{
	struct flow *f = s->f;
	struct flow_part part = {
		.group = n->group, .id = n->id, .index = n->index, .body = n->chord, .root = s->root
	};
	struct chord_member m = { .id = n->id, .state = how->state, .value = how->error };
	enum err e = E_OK;

	if (!how->is_quiet) {
		struct flow_mark mark = { .id = n->id, .group = n->group, .error = how->error };

		e = node_option_text(s, n, "reply_to", &mark.reply_to);
		if (e == E_OK)
			e = flow_grow((void **)&f->marks, f->n_marks, &f->cap_marks, sizeof(*f->marks));
		if (e == E_OK)
			f->marks[f->n_marks++] = mark;
	}
	if (e == E_OK && n->chord.ptr != NULL && n->group.ptr != NULL)
		e = flow_add_part(s, &part, &m);
	return e;
}

static enum err fail_node(struct flow_source *s, const struct node *n, const struct failing *how);

static enum err
fail_kids(struct flow_source *s, const struct node *n, const struct failing *how)
{
	enum err e = E_OK;

	for (const struct node *kid = n->kids; kid != NULL && e == E_OK; kid = kid->next)
		e = fail_node(s, kid, how);
	return e;
}

/* A chord's members never start: nobody counts them. */
static enum err
fail_node(struct flow_source *s, const struct node *n, const struct failing *how)
{
	enum err e;

	if (n->sig.type == SIG_PLAIN)
		e = fail_plain(s, n, how);
	else if (n->sig.type == SIG_CHORD)
		e = fail_node(s, n->body, how);
	else
		e = fail_kids(s, n, how);
	return e == E_OK && n->chain.ptr != NULL ? flow_fail_list(s, n->chain, how) : e;
}

enum err
flow_fail(struct flow_source *s, struct node *n, const struct failing *how)
{
	enum err e = node_freeze(s, n, NULL);

	return e == E_OK ? fail_node(s, n, how) : e;
}

enum err
flow_fail_list(struct flow_source *s, struct span list, const struct failing *how)
{
	struct jscan_iter it;
	struct node *n;
	enum err e = E_OK;

	list = span_trim(list);
	if (!flow_is_some(list) || !jscan_begin(&it, list))
		return E_OK;
	while (e == E_OK && jscan_next(&it)) {
		e = node_read(s, it.value, &n);
		if (e == E_OK)
			e = flow_fail(s, n, how);
	}
	return e;
}

enum err
flow_call_errlinks(struct flow_source *s, struct span list, struct span failed_id, struct span root)
{
	struct node *group = node_new(s, SIG_GROUP), *n;
	struct given g = { .root = root, .parent = failed_id };
	struct jscan_iter it;
	enum err e = group == NULL ? E_NOMEM : E_OK;
	struct buf id;

	if (!flow_is_some(list))
		return E_OK;
	if (jscan_kind(list) != JSCAN_ARRAY && e == E_OK)
		e = flow_join(s->f, list, SPAN(""), &list);
	if (e == E_OK && jscan_begin(&it, list))
		while (e == E_OK && jscan_next(&it)) {
			e = node_read(s, it.value, &n);
			if (e == E_OK)
				node_add_flat(group, n);
		}
	if (e != E_OK || group->kids == NULL)
		return e;
	buf_init(&id, 0);
	js_add_string(&id, failed_id);
	e = flow_keep(s->f, &id, &g.args);
	return e == E_OK ? flow_apply(s, group, &g) : e;
}
