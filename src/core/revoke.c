/* See revoke.h. A map finds them, a list knows their age; an entry is in both or in neither. */
#include "core/revoke.h"

#include "base/alloc.h"

struct entry {
	struct list link;
	us_t when;
	bool saved;
	size_t len;
	char text[];
};

static struct entry *
entry_of(const struct list *link)
{
	return container_of((struct list *)(uintptr_t)link, struct entry, link);
}

static struct span
text_of(const struct entry *e)
{
	return (struct span){ e->text, e->len };
}

void
revoked_init(struct revoked *r, size_t max, us_t keep)
{
	map_init(&r->entries);
	list_init(&r->order);
	r->max = max;
	r->keep = keep;
}

void
revoked_release(struct revoked *r)
{
	struct list *it;

	if (r->order.next == NULL)
		return;
	map_release(&r->entries, NULL);
	while ((it = list_pop(&r->order)) != NULL)
		alloc_free(entry_of(it));
}

static bool
is_over(const struct revoked *r, const struct entry *e, us_t now)
{
	return e->when < now - r->keep;
}

static void
drop(struct revoked *r, struct entry *e)
{
	map_del(&r->entries, text_of(e));
	list_unlink(&e->link);
	alloc_free(e);
}

/* Too many, or of no account any more. Times that come from elsewhere are not in order: those behind a younger one stay until its turn. */
static void
purge(struct revoked *r, us_t now)
{
	while (!list_is_empty(&r->order) &&
		(r->entries.count > r->max || is_over(r, entry_of(r->order.next), now)))
		drop(r, entry_of(r->order.next));
}

enum err
revoked_add(struct revoked *r, struct span text, us_t when, us_t now, bool saved)
{
	struct entry *e = map_get(&r->entries, text);
	enum err err;

	if (e != NULL) {
		if (when > e->when) {
			e->when = when;
			e->saved = saved;
			list_unlink(&e->link);
			list_push(&r->order, &e->link);
		}
		return E_OK;
	}
	e = alloc_zero(sizeof(*e) + text.len + 1);
	if (e == NULL)
		return E_NOMEM;
	e->when = when;
	e->saved = saved;
	e->len = text.len;
	if (text.len > 0)
		memcpy(e->text, text.ptr, text.len);
	err = map_set(&r->entries, text_of(e), e, NULL);
	if (err != E_OK) {
		alloc_free(e);
		return err;
	}
	list_push(&r->order, &e->link);
	purge(r, now);
	return E_OK;
}

bool
revoked_has(const struct revoked *r, struct span text, us_t now)
{
	const struct entry *e = r->entries.count > 0 ? map_get(&r->entries, text) : NULL;

	return e != NULL && !is_over(r, e, now);
}

size_t
revoked_count(const struct revoked *r)
{
	return r->entries.count;
}

bool
revoked_next(const struct revoked *r, us_t now, struct revoked_walk *w)
{
	struct entry *e;

	for (w->at = w->at != NULL ? w->at->next : r->order.next; w->at != &r->order; w->at = w->at->next) {
		e = entry_of(w->at);
		if (is_over(r, e, now))
			continue;
		w->text = text_of(e);
		w->when = e->when;
		w->saved = &e->saved;
		return true;
	}
	return false;
}

/* --- stamps ------------------------------------------------------------------------------------------------------------ */

void
revoked_add_stamp_text(struct buf *b, struct span name, struct span value)
{
	buf_add(b, name);
	buf_addc(b, '=');
	buf_add(b, value);
}

static bool
has_value(const struct revoked *r, struct span name, const struct val *v, us_t now)
{
	struct buf b;
	bool yes;

	buf_init(&b, 0);
	if (v->type == VAL_STRING)
		revoked_add_stamp_text(&b, name, v->u.string);
	else if (v->type == VAL_INT)
		buf_addf(&b, "%.*s=%lld", SPAN_FMT(name), (long long)v->u.integer);
	yes = b.len > 0 && b.err == E_OK && revoked_has(r, buf_span(&b), now);
	buf_release(&b);
	return yes;
}

bool
revoked_has_stamp(const struct revoked *r, const struct table *headers, us_t now)
{
	const struct val *stamps =
		headers != NULL && r->entries.count > 0 ? table_get(headers, "stamps") : NULL;
	const struct table *t = stamps != NULL && stamps->type == VAL_TABLE ? stamps->u.table : NULL;
	size_t i, k;

	for (i = 0; t != NULL && i < t->count; i++) {
		const struct val *v = &t->pairs[i].value;

		if (v->type != VAL_ARRAY) {
			if (has_value(r, t->pairs[i].key, v, now))
				return true;
			continue;
		}
		for (k = 0; k < v->u.array.count; k++)
			if (has_value(r, t->pairs[i].key, &v->u.array.items[k], now))
				return true;
	}
	return false;
}
