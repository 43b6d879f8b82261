/* An array to walk, a map to find. Entries are of one block each: plans and lists point into them. */
#include "beat/book.h"

#include "base/alloc.h"

void
book_init(struct book *b, const struct entry_maker *maker)
{
	*b = (struct book){ .maker = maker };
	map_init(&b->by_name);
	zones_init(&b->zones);
}

static void
free_entry(struct book *b, struct entry *e)
{
	if (e->of_redis)
		b->maker->free(b->maker->owner, (struct entry_conf *)(uintptr_t)e->conf);
	alloc_free(e);
}

void
book_release(struct book *b)
{
	for (size_t i = 0; i < b->n; i++)
		free_entry(b, b->entries[i]);
	alloc_free(b->entries);
	map_release(&b->by_name, NULL);
	zones_release(&b->zones);
	*b = (struct book){ 0 };
}

struct entry *
book_find(const struct book *b, struct span name)
{
	return map_get(&b->by_name, name);
}

void
book_put(struct book *b, struct entry *e)
{
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 16;
		b->entries = must_resize(b->entries, b->cap * sizeof(struct entry *));
	}
	e->index = b->n;
	b->entries[b->n++] = e;
	if (map_set(&b->by_name, span_of(e->conf->name), e, NULL) != E_OK)
		abort();
}

static enum err
make(struct book *b, const struct entry_conf *conf, struct entry **out, struct errtext *t)
{
	struct entry *en = must_alloc(sizeof(*en));
	enum err e = entry_init(en, conf, &b->zones, t);

	if (e == E_OK)
		*out = en;
	else
		alloc_free(en);
	return e;
}

enum err
book_add(struct book *b, const struct entry_conf *conf, struct entry **out, struct errtext *t)
{
	enum err e = make(b, conf, out, t);

	if (e == E_OK)
		book_put(b, *out);
	return e;
}

enum err
book_make(
	struct book *b, struct span name, struct span json, us_t since, struct entry **out, struct errtext *t)
{
	struct entry_conf *conf;
	enum err e = b->maker->make(b->maker->owner, name, json, &conf, t);

	if (e != E_OK)
		return e;
	e = make(b, conf, out, t);
	if (e != E_OK) {
		b->maker->free(b->maker->owner, conf);
		return e;
	}
	(*out)->of_redis = true;
	(*out)->since = since;
	(*out)->digest = entry_digest(json);
	return E_OK;
}

void
book_remove(struct book *b, struct entry *e)
{
	struct entry *last = b->entries[--b->n];

	last->index = e->index;
	b->entries[e->index] = last;
	map_del(&b->by_name, span_of(e->conf->name));
	free_entry(b, e);
}
