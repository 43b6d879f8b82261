/* Built as a scheduler does it (beat/stock.c), for looking at. */
#include "cli/listing.h"

#include "cli/out.h"

#include "base/jscan.h"

static void
add(struct listing *l, const struct when_entry *e)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->items = must_resize(l->items, l->cap * sizeof(*l->items));
	}
	l->items[l->n++] = *e;
}

static int
compare_names(const void *a, const void *b)
{
	const struct when_entry *x = a, *y = b;

	return strcmp(x->conf->name, y->conf->name);
}

static void
add_entry(struct listing *l, const struct board_entry *le, struct zones *zones)
{
	struct entry_maker maker = schedule_entries(l->maker);
	struct entry_conf *conf = NULL;
	struct errtext t = { "" };
	struct entry check;

	if (map_get(&l->by_name, le->name) != NULL) {
		out_note("entry %.*s in Redis is left out: the configuration has one of that name",
			SPAN_FMT(le->name));
		return;
	}
	if (maker.make(maker.owner, le->name, le->json, &conf, &t) == E_OK &&
		entry_init(&check, conf, zones, &t) == E_OK) {
		add(l,
			&(struct when_entry){
				.conf = conf, .from = "redis", .since = le->since, .ran = INT64_MIN });
		return;
	}
	if (conf != NULL)
		maker.free(maker.owner, conf);
	out_note("entry %.*s in Redis is left out: %s", SPAN_FMT(le->name), t.text);
}

static struct when_entry *
find(const struct listing *l, struct span name)
{
	size_t i = (size_t)(uintptr_t)map_get(&l->by_name, name);

	return i > 0 ? &l->items[i - 1] : NULL;
}

/* Positions count from 1, for 0 means absent. */
static void
index_from(struct listing *l, size_t first)
{
	for (size_t i = first; i < l->n; i++)
		if (map_set(&l->by_name, span_of(l->items[i].conf->name), (void *)(uintptr_t)(i + 1), NULL) !=
			E_OK)
			abort();
}

static void
add_runs(struct listing *l, const struct board_stock *s)
{
	struct buf text;
	struct row row;

	buf_init(&text, 0);
	for (size_t i = 0; i < s->n_runs; i++) {
		struct when_entry *e = find(l, s->runs[i].name);

		if (e == NULL || jscan_check(s->runs[i].json, NULL, NULL, NULL) != E_OK ||
			!row_read(&row, s->runs[i].json, &text))
			continue;
		e->ran = row.ran;
		e->runs = row.runs;
	}
	buf_release(&text);
}

void
listing_init(struct listing *l, struct schedule_maker *m, const struct desk *d)
{
	struct zones zones;

	*l = (struct listing){ .maker = m };
	map_init(&l->by_name);
	for (size_t i = 0; i < m->n_entries; i++)
		add(l,
			&(struct when_entry){ .conf = &m->entries[i],
				.from = i < m->n_of_file ? "file" : "app",
				.ran = INT64_MIN });
	index_from(l, 0);
	if (d == NULL)
		return;
	zones_init(&zones);
	for (size_t i = 0; i < d->stock.n_entries; i++)
		add_entry(l, &d->stock.entries[i], &zones);
	zones_release(&zones);
	if (l->n > m->n_entries)
		qsort(l->items + m->n_entries, l->n - m->n_entries, sizeof(*l->items), compare_names);
	index_from(l, m->n_entries);
	for (size_t i = 0; i < d->stock.n_pauses; i++) {
		struct when_entry *e = find(l, d->stock.pauses[i].name);

		if (e != NULL)
			e->paused = d->stock.pauses[i].paused;
	}
	add_runs(l, &d->stock);
}

void
listing_release(struct listing *l)
{
	for (size_t i = l->maker ? l->maker->n_entries : 0; i < l->n; i++)
		schedule_entries(l->maker).free(l->maker, (struct entry_conf *)(uintptr_t)l->items[i].conf);
	alloc_free(l->items);
	map_release(&l->by_name, NULL);
	*l = (struct listing){ 0 };
}

const struct when_entry *
listing_find(const struct listing *l, struct span name)
{
	return find(l, name);
}
