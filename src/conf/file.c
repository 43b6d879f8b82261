/*
 * The configuration file. The form is fixed (settings, and sections whose entries are small tables), so nothing here recurses. Entries are read
 * one by one: of each no more is kept than its settings. Every complaint names file and line.
 */
#include "conf/conf.h"

#include "base/map.h"

#include <malloc.h>
#include <stdio.h>

#include "conf/yamljson.h"

#define ITEMS_MAX 256
#define ENTRIES_MAX 20000
#define JSON_MAX 65536

struct file {
	struct conf *c;
	struct doc doc;
};

/* Where the keys of one table go: the settings of the whole file, or one entry of a section. */
struct scope {
	const struct opt_row *rows;
	size_t n_rows;
	void *base;
	const char *of; /* "pool 'gpu'", NULL at the top */
	bool top;
	uint64_t *given; /* of an entry: which rows were set */
};

/* A key must be a text and stand there only once. `seen` has the lines of those before it. */
static enum err
check_key(const struct file *f, const struct doc_value *key, struct map *seen)
{
	void *other = NULL;

	if (key->kind != DOC_TEXT || key->text.len == 0)
		return doc_fail(&f->doc, key->line, "a key must be a plain text");
	if (map_set(seen, key->text, (void *)(uintptr_t)key->line, &other) != E_OK)
		return doc_no_memory(&f->doc);
	if (other != NULL)
		return doc_fail(&f->doc, key->line, "'%s' is there already, on line %d", key->text.ptr,
			(int)(uintptr_t)other);
	return E_OK;
}

/* "key=value" (in the arena). Behind it nobody knows which '=' was the one between them. */
static enum err
get_pair(const struct file *f, const struct opt_row *row, const struct doc_value *key, struct map *seen,
	struct span *out)
{
	const struct doc_value *value = key->next;
	struct buf b;
	enum err e = check_key(f, key, seen);

	if (e != E_OK)
		return e;
	if (memchr(key->text.ptr, '=', key->text.len) != NULL)
		return doc_fail(
			&f->doc, key->line, "%s: '%s': a name cannot hold a '='", row->name, key->text.ptr);
	if (value->kind != DOC_TEXT || doc_is_null(value))
		return doc_fail(&f->doc, value->line, "%s: '%s' has no plain text as its value%s", row->name,
			key->text.ptr, doc_is_null(value) ? ": write \"\" for an empty one" : "");
	buf_init(&b, 0);
	buf_add(&b, key->text);
	buf_addc(&b, '=');
	buf_add(&b, value->text);
	*out = b.err == E_OK ? arena_dup(&f->c->arena, buf_span(&b)) : SPAN_NONE;
	buf_release(&b);
	return out->ptr != NULL ? E_OK : doc_no_memory(&f->doc);
}

/* The texts of a list, or the pairs of a table. */
static enum err
get_items(const struct file *f, const struct opt_row *row, const struct doc_value *v, struct span *items,
	size_t *count)
{
	bool pairs = v->kind == DOC_TABLE;
	const struct doc_value *i;
	enum err e = E_OK;
	struct map seen;
	size_t n = 0;

	if (pairs != (row->type == OPT_T_pairs))
		return doc_fail(&f->doc, v->line,
			pairs ? "%s: a list is expected, not a table" : "%s: a table is expected, not a list",
			row->name);
	map_init(&seen);
	for (i = v->first; e == E_OK && i != NULL; i = pairs ? i->next->next : i->next) {
		if (n == ITEMS_MAX)
			e = doc_fail(&f->doc, v->line, "%s: more than %d items", row->name, ITEMS_MAX);
		else if (pairs)
			e = get_pair(f, row, i, &seen, &items[n]);
		else if (i->kind != DOC_TEXT || doc_is_null(i))
			e = doc_fail(&f->doc, i->line, "%s: item %zu is not a plain text", row->name, n + 1);
		else
			items[n] = i->text;
		n++;
	}
	map_release(&seen, NULL);
	*count = n;
	return e;
}

/* A list or table written as YAML, for a setting that is JSON. */
static enum err
set_json(const struct file *f, const struct scope *s, const struct opt_row *row, const struct doc_value *v)
{
	struct errtext why = { "" };
	struct buf b;
	enum err e;

	buf_init(&b, JSON_MAX);
	e = yaml_to_json(&b, v);
	if (e == E_OK)
		e = opt_set(row, s->base, buf_span(&b), &f->c->arena, &why);
	else if (e != E_NOMEM)
		err_set(&why, e,
			e == E_TOOBIG ? "it is too large or nested too deep" : "a key is no plain text");
	buf_release(&b);
	if (e == E_NOMEM)
		return doc_no_memory(&f->doc);
	return e == E_OK ? E_OK : doc_fail(&f->doc, v->line, "%s: %s", row->name, why.text);
}

static enum err
set_value(const struct file *f, const struct scope *s, const struct opt_row *row, const struct doc_value *key,
	const struct doc_value *v)
{
	struct span items[ITEMS_MAX];
	struct errtext why = { "" };
	char where[300];
	size_t count = 0;
	enum err e;

	if (doc_is_null(v))
		return E_OK;
	if (s->given != NULL)
		*s->given |= UINT64_C(1) << (row - s->rows);
	snprintf(where, sizeof(where), "%s:%d", f->doc.path, key->line);
	if (row->type == OPT_T_json && v->kind != DOC_TEXT)
		return set_json(f, s, row, v);
	if (v->kind == DOC_TEXT)
		e = s->top ? conf_set(f->c, row, v->text, CONF_FILE, where, &why)
			   : opt_set(row, s->base, v->text, &f->c->arena, &why);
	else {
		if (!opt_is_list(row))
			return doc_fail(&f->doc, v->line, "%s: one value is expected, not a list or table",
				row->name);
		e = get_items(f, row, v, items, &count);
		if (e != E_OK)
			return e;
		e = s->top ? conf_set_items(f->c, row, items, count, CONF_FILE, where, &why)
			   : opt_set_items(row, s->base, items, count, &f->c->arena, &why);
	}
	if (e == E_NOMEM)
		return doc_no_memory(&f->doc);
	return e == E_OK ? E_OK : doc_fail(&f->doc, v->line, "%s: %s", row->name, why.text);
}

static enum err
unknown_key(const struct file *f, const struct scope *s, const struct doc_value *key)
{
	struct nearest near;
	struct buf b;
	enum err e;
	size_t i;

	nearest_init(&near, key->text);
	for (i = 0; i < s->n_rows; i++)
		nearest_try(&near, s->rows[i].name);
	for (i = 0; s->top && i < CONF_SECTIONS; i++)
		nearest_try(&near, conf_sections[i].name);
	buf_init(&b, 0);
	nearest_add(&b, &near);
	e = doc_fail(&f->doc, key->line, "unknown key '%.*s'%s%s%s",
		key->text.len > 60 ? 60 : (int)key->text.len, key->text.ptr, s->of != NULL ? " in " : "",
		s->of != NULL ? s->of : "", buf_text(&b));
	buf_release(&b);
	return e;
}

static enum err
read_entry(const struct file *f, const struct conf_section *sec, const struct doc_value *key,
	const struct doc_value *v, void *item)
{
	struct conf_item *head = item;
	const struct opt_row *row;
	const struct doc_value *k;
	struct scope s = { sec->rows, sec->n_rows, item, NULL, false, &head->given };
	struct map seen;
	struct span name;
	char of[160];
	enum err e = E_OK;

	name = arena_dup(&f->c->arena, key->text);
	if (name.ptr == NULL)
		return doc_no_memory(&f->doc);
	*head = (struct conf_item){ .name = name.ptr, .line = key->line };
	snprintf(of, sizeof(of), "%s '%.100s'", sec->what, name.ptr);
	s.of = of;
	if (v->kind == DOC_TEXT && sec->shorthand != NULL && !doc_is_null(v))
		return set_value(f, &s, opt_find(sec->rows, sec->n_rows, span_of(sec->shorthand)), key, v);
	if (v->kind != DOC_TABLE)
		return doc_is_null(v) ? E_OK
				      : doc_fail(&f->doc, v->line, "%s must be a table of settings", of);
	map_init(&seen);
	for (k = v->first; e == E_OK && k != NULL; k = k->next->next) {
		e = check_key(f, k, &seen);
		if (e != E_OK)
			break;
		row = opt_find(sec->rows, sec->n_rows, k->text);
		e = row == NULL ? unknown_key(f, &s, k) : set_value(f, &s, row, k, k->next);
	}
	map_release(&seen, NULL);
	return e;
}

/* Items of a section, while nobody knows how many there will be. */
struct items {
	char *first;
	size_t n, cap;
};

/* The new one; NULL when *e says why there is none. */
static void *
add_item(const struct file *f, const struct conf_section *sec, struct items *all, const void *defaults,
	enum err *e)
{
	size_t cap = all->cap ? all->cap * 2 : 16;
	char *grown;

	*e = E_OK;
	if (all->n == ENTRIES_MAX) {
		*e = doc_fail(&f->doc, (int)f->doc.event.start_mark.line + 1, "%s: more than %d entries",
			sec->name, ENTRIES_MAX);
		return NULL;
	}
	if (all->n == all->cap) {
		grown = alloc_resize(all->first, cap * sec->item_size);
		if (grown == NULL) {
			*e = doc_no_memory(&f->doc);
			return NULL;
		}
		all->first = grown;
		all->cap = cap;
	}
	return memcpy(all->first + all->n++ * sec->item_size, defaults, sec->item_size);
}

static enum err
read_items(struct file *f, const struct conf_section *sec, struct items *all, const void *defaults)
{
	const struct doc_value *key, *v;
	struct arena scratch = { 0 };
	struct map seen;
	void *item;
	enum err e;

	map_init(&seen);
	while ((e = doc_key(&f->doc, &scratch, &key)) == E_OK && key != NULL) {
		e = check_key(f, key, &seen);
		item = e == E_OK ? add_item(f, sec, all, defaults, &e) : NULL;
		if (item != NULL)
			e = doc_read(&f->doc, &scratch, &v);
		if (item != NULL && e == E_OK)
			e = read_entry(f, sec, key, v, item);
		arena_release(&scratch);
		if (e != E_OK)
			break;
	}
	arena_release(&scratch);
	map_release(&seen, NULL);
	return e;
}

static enum err
keep_items(const struct file *f, const struct conf_section *sec, const struct items *all)
{
	char *base = (char *)f->c;
	void *items = arena_zero(&f->c->arena, all->n * sec->item_size);

	if (items == NULL)
		return doc_no_memory(&f->doc);
	if (all->n > 0)
		memcpy(items, all->first, all->n * sec->item_size);
	*(void **)(void *)(base + sec->items_offset) = items;
	*(size_t *)(void *)(base + sec->count_offset) = all->n;
	return E_OK;
}

static enum err
read_section(struct file *f, const struct conf_section *sec)
{
	const struct doc_value *other;
	struct items all = { 0 };
	struct arena scratch = { 0 };
	void *defaults;
	bool is_table;
	enum err e = doc_enter(&f->doc, &is_table);

	if (e != E_OK)
		return e;
	if (!is_table) {
		e = doc_read(&f->doc, &scratch, &other);
		if (e == E_OK && !doc_is_null(other))
			e = doc_fail(&f->doc, other->line, "%s must be a table: one entry for each %s",
				sec->name, sec->what);
		arena_release(&scratch);
		return e;
	}
	/* Their texts are shared by all entries. */
	defaults = arena_zero(&f->c->arena, sec->item_size);
	if (defaults == NULL || opt_set_defaults(sec->rows, sec->n_rows, defaults, &f->c->arena) != E_OK)
		return doc_no_memory(&f->doc);
	e = read_items(f, sec, &all, defaults);
	if (e == E_OK)
		e = keep_items(f, sec, &all);
	alloc_free(all.first);
	return e;
}

static enum err
read_setting(struct file *f, const struct scope *s, const struct doc_value *key, struct arena *scratch)
{
	const struct opt_row *row = opt_find(conf_rows, CONF_OPTIONS, key->text);
	const struct doc_value *v;
	/* What is no YAML is said first: behind a wrong indent a key is not what it seems. */
	enum err e = doc_read(&f->doc, scratch, &v);

	if (e != E_OK)
		return e;
	return row != NULL ? set_value(f, s, row, key, v) : unknown_key(f, s, key);
}

static enum err
read_root(struct file *f)
{
	struct scope s = { conf_rows, CONF_OPTIONS, &f->c->o, NULL, true, NULL };
	const struct conf_section *sec;
	const struct doc_value *key;
	struct arena scratch = { 0 };
	struct map seen;
	enum err e;
	size_t k;

	map_init(&seen);
	while ((e = doc_key(&f->doc, &scratch, &key)) == E_OK && key != NULL) {
		e = check_key(f, key, &seen);
		if (e != E_OK)
			break;
		for (sec = NULL, k = 0; k < CONF_SECTIONS; k++)
			if (span_is(key->text, conf_sections[k].name))
				sec = &conf_sections[k];
		e = sec != NULL ? read_section(f, sec) : read_setting(f, &s, key, &scratch);
		if (e != E_OK)
			break;
		arena_release(&scratch);
	}
	arena_release(&scratch);
	map_release(&seen, NULL);
	return e;
}

static enum err
read_text(struct file *f)
{
	const struct doc_value *other;
	struct arena scratch = { 0 };
	bool is_table;
	enum err e;

	if (doc_is_empty(&f->doc))
		return E_OK;
	e = doc_enter(&f->doc, &is_table);
	if (e == E_OK && is_table)
		e = read_root(f);
	else if (e == E_OK) {
		e = doc_read(&f->doc, &scratch, &other);
		if (e == E_OK && !doc_is_null(other))
			e = doc_fail(
				&f->doc, other->line, "the file must be a table of settings (key: value)");
		arena_release(&scratch);
	}
	return e == E_OK ? doc_end(&f->doc) : e;
}

enum err
conf_load_file(struct conf *c, const char *path, struct errtext *t)
{
	struct file f = { .c = c };
	struct span copy;
	struct buf b;
	enum err e;

	buf_init(&b, 0);
	e = conf_read_file(&b, path, t);
	if (e == E_OK) {
		e = doc_open(&f.doc, path, (struct span){ buf_text(&b), b.len }, t);
		if (e == E_OK)
			e = read_text(&f);
		if (e == E_OK) {
			copy = arena_dup(&c->arena, span_of(path));
			c->file = copy.ptr;
			if (copy.ptr == NULL)
				e = doc_no_memory(&f.doc);
		}
		doc_close(&f.doc);
	}
	buf_release(&b);
	/* What reading took besides; a daemon's memory is looked at. */
	malloc_trim(0);
	return e;
}
