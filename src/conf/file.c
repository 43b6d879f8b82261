/*
 * The configuration file: YAML, read as a tree of nodes by libyaml, so that every complaint can name file and line. The form is fixed
 * (settings, and sections whose entries are small tables), so nothing here recurses and aliases cannot grow.
 */
#include "conf/conf.h"

#include "base/map.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "conf/yamljson.h"

#define ITEMS_MAX 256
#define ENTRIES_MAX 20000
#define JSON_MAX 65536

struct file {
	struct conf *c;
	const char *path;
	yaml_document_t *doc;
	struct errtext *t;
};

/* Where the keys of one table go: the settings of the whole file, or one entry of a section. */
struct scope {
	const struct opt_row *rows;
	size_t n_rows;
	void *base;
	const char *of;    /* "pool 'gpu'", NULL at the top */
	bool top;
	uint64_t *given; /* of an entry: which rows were set */
};

static int
line_of(const yaml_node_t *n)
{
	return (int)n->start_mark.line + 1;
}

static enum err fail(const struct file *f, const yaml_node_t *n, const char *fmt, ...) PRINTFLIKE(3, 4);

static enum err
fail(const struct file *f, const yaml_node_t *n, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(f->t, E_CONF, "%s:%d: %s", f->path, line_of(n), text);
}

static enum err
no_memory(const struct file *f)
{
	return err_set(f->t, E_NOMEM, "%s: out of memory", f->path);
}

static struct span
scalar(const yaml_node_t *n)
{
	return (struct span){ (const char *)n->data.scalar.value, n->data.scalar.length };
}

/* "key:" with nothing behind it, or ~: as if the line were not there. */
static bool
is_null(const yaml_node_t *n)
{
	struct span s;

	if (n->type != YAML_SCALAR_NODE || n->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	s = scalar(n);
	return s.len == 0 || span_is(s, "~") || span_is(s, "null") || span_is(s, "Null") || span_is(s, "NULL");
}

static yaml_node_t *
node_at(const struct file *f, int index)
{
	return yaml_document_get_node(f->doc, index);
}

/* The texts of a list, or "key=value" of a table (in the arena). */
static enum err
get_items(const struct file *f, const struct opt_row *row, const yaml_node_t *n, struct span *items, size_t *count)
{
	bool pairs = n->type == YAML_MAPPING_NODE;
	size_t len = pairs ? (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start)
		: (size_t)(n->data.sequence.items.top - n->data.sequence.items.start), i;
	const yaml_node_t *key, *value;
	struct buf b;

	if (pairs != (row->type == OPT_T_pairs))
		return fail(f, n, pairs ? "%s: a list is expected, not a table" : "%s: a table is expected, not a list", row->name);
	if (len > ITEMS_MAX)
		return fail(f, n, "%s: more than %d items", row->name, ITEMS_MAX);
	for (i = 0; i < len; i++) {
		key = pairs ? node_at(f, n->data.mapping.pairs.start[i].key) : NULL;
		value = node_at(f, pairs ? n->data.mapping.pairs.start[i].value : n->data.sequence.items.start[i]);
		if (value->type != YAML_SCALAR_NODE || (pairs && key->type != YAML_SCALAR_NODE))
			return fail(f, value, "%s: item %zu is not a plain text", row->name, i + 1);
		items[i] = scalar(value);
		if (!pairs)
			continue;
		buf_init(&b, 0);
		buf_add(&b, scalar(key));
		buf_addc(&b, '=');
		buf_add(&b, scalar(value));
		items[i] = b.err == E_OK ? arena_dup(&f->c->arena, buf_span(&b)) : SPAN_NONE;
		buf_release(&b);
		if (items[i].ptr == NULL)
			return no_memory(f);
	}
	*count = len;
	return E_OK;
}

/* A list or table written as YAML, for a setting that is JSON. */
static enum err
set_json(const struct file *f, const struct scope *s, const struct opt_row *row, const yaml_node_t *n)
{
	struct errtext why = { "" };
	struct buf b;
	enum err e;

	buf_init(&b, JSON_MAX);
	e = yaml_to_json(&b, f->doc, n);
	if (e == E_OK)
		e = opt_set(row, s->base, buf_span(&b), &f->c->arena, &why);
	else if (e != E_NOMEM)
		err_set(&why, e, e == E_TOOBIG ? "it is too large or nested too deep" : "a key is no plain text");
	buf_release(&b);
	if (e == E_NOMEM)
		return no_memory(f);
	return e == E_OK ? E_OK : fail(f, n, "%s: %s", row->name, why.text);
}

static enum err
set_value(const struct file *f, const struct scope *s, const struct opt_row *row, const yaml_node_t *key, const yaml_node_t *n)
{
	struct span items[ITEMS_MAX];
	struct errtext why = { "" };
	char where[300];
	size_t count = 0;
	enum err e;

	if (is_null(n))
		return E_OK;
	if (s->given != NULL)
		*s->given |= UINT64_C(1) << (row - s->rows);
	snprintf(where, sizeof(where), "%s:%d", f->path, line_of(key));
	if (row->type == OPT_T_json && n->type != YAML_SCALAR_NODE)
		return set_json(f, s, row, n);
	if (n->type == YAML_SCALAR_NODE)
		e = s->top ? conf_set(f->c, row, scalar(n), CONF_FILE, where, &why)
			: opt_set(row, s->base, scalar(n), &f->c->arena, &why);
	else {
		if (!opt_is_list(row))
			return fail(f, n, "%s: one value is expected, not a list or table", row->name);
		e = get_items(f, row, n, items, &count);
		if (e != E_OK)
			return e;
		e = s->top ? conf_set_items(f->c, row, items, count, CONF_FILE, where, &why)
			: opt_set_items(row, s->base, items, count, &f->c->arena, &why);
	}
	if (e == E_NOMEM)
		return no_memory(f);
	return e == E_OK ? E_OK : fail(f, n, "%s: %s", row->name, why.text);
}

static enum err
unknown_key(const struct file *f, const struct scope *s, const yaml_node_t *key)
{
	struct nearest near;
	struct buf b;
	enum err e;
	size_t i;

	nearest_init(&near, scalar(key));
	for (i = 0; i < s->n_rows; i++)
		nearest_try(&near, s->rows[i].name);
	for (i = 0; s->top && i < CONF_SECTIONS; i++)
		nearest_try(&near, conf_sections[i].name);
	buf_init(&b, 0);
	nearest_add(&b, &near);
	e = fail(f, key, "unknown key '%.*s'%s%s%s", scalar(key).len > 60 ? 60 : (int)scalar(key).len, scalar(key).ptr,
		s->of != NULL ? " in " : "", s->of != NULL ? s->of : "", buf_text(&b));
	buf_release(&b);
	return e;
}

/* Key i of a table: must be a text and stand there only once. `seen` has the keys before it. */
static enum err
check_key(const struct file *f, const yaml_node_t *table, size_t i, struct map *seen)
{
	yaml_node_t *key = node_at(f, table->data.mapping.pairs.start[i].key);
	void *other = NULL;

	if (key->type != YAML_SCALAR_NODE || scalar(key).len == 0)
		return fail(f, key, "a key must be a plain text");
	if (map_set(seen, scalar(key), key, &other) != E_OK)
		return no_memory(f);
	if (other != NULL)
		return fail(f, key, "'%s' is there already, on line %d", key->data.scalar.value, line_of(other));
	return E_OK;
}

static enum err
read_entry(const struct file *f, const struct conf_section *sec, const yaml_node_t *key, const yaml_node_t *n, void *item)
{
	struct conf_item *head = item;
	const struct opt_row *row;
	const yaml_node_t *k;
	struct scope s = { sec->rows, sec->n_rows, item, NULL, false, &head->given };
	struct map seen;
	struct span name;
	char of[160];
	enum err e;
	size_t i;

	name = arena_dup(&f->c->arena, scalar(key));
	if (name.ptr == NULL)
		return no_memory(f);
	*head = (struct conf_item){ .name = name.ptr, .line = line_of(key) };
	snprintf(of, sizeof(of), "%s '%.100s'", sec->what, name.ptr);
	s.of = of;
	if (n->type == YAML_SCALAR_NODE && sec->shorthand != NULL && !is_null(n))
		return set_value(f, &s, opt_find(sec->rows, sec->n_rows, span_of(sec->shorthand)), key, n);
	if (n->type != YAML_MAPPING_NODE)
		return is_null(n) ? E_OK : fail(f, n, "%s must be a table of settings", of);
	map_init(&seen);
	for (i = 0, e = E_OK; e == E_OK && i < (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start); i++) {
		k = node_at(f, n->data.mapping.pairs.start[i].key);
		e = check_key(f, n, i, &seen);
		if (e != E_OK)
			break;
		row = opt_find(sec->rows, sec->n_rows, scalar(k));
		e = row == NULL ? unknown_key(f, &s, k) : set_value(f, &s, row, k, node_at(f, n->data.mapping.pairs.start[i].value));
	}
	map_release(&seen, NULL);
	return e;
}

static enum err
read_section(const struct file *f, const struct conf_section *sec, const yaml_node_t *n)
{
	char *base = (char *)f->c;
	struct map seen;
	size_t count, i;
	enum err e;
	char *items;

	if (is_null(n))
		return E_OK;
	if (n->type != YAML_MAPPING_NODE)
		return fail(f, n, "%s must be a table: one entry for each %s", sec->name, sec->what);
	count = (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start);
	if (count > ENTRIES_MAX)
		return fail(f, n, "%s: more than %d entries", sec->name, ENTRIES_MAX);
	/* The spare one behind them has the defaults, whose texts all share. */
	items = arena_zero(&f->c->arena, (count + 1) * sec->item_size);
	if (items == NULL || opt_set_defaults(sec->rows, sec->n_rows, items + count * sec->item_size, &f->c->arena) != E_OK)
		return no_memory(f);
	map_init(&seen);
	for (i = 0, e = E_OK; e == E_OK && i < count; i++) {
		e = check_key(f, n, i, &seen);
		memcpy(items + i * sec->item_size, items + count * sec->item_size, sec->item_size);
		if (e == E_OK)
			e = read_entry(f, sec, node_at(f, n->data.mapping.pairs.start[i].key),
				node_at(f, n->data.mapping.pairs.start[i].value), items + i * sec->item_size);
	}
	map_release(&seen, NULL);
	if (e != E_OK)
		return e;
	*(void **)(void *)(base + sec->items_offset) = items;
	*(size_t *)(void *)(base + sec->count_offset) = count;
	return E_OK;
}

static enum err
read_root(const struct file *f, const yaml_node_t *root)
{
	struct scope s = { conf_rows, CONF_OPTIONS, &f->c->o, NULL, true, NULL };
	const struct conf_section *sec;
	const struct opt_row *row;
	const yaml_node_t *key, *value;
	struct map seen;
	enum err e;
	size_t i, k;

	if (is_null(root))
		return E_OK;
	if (root->type != YAML_MAPPING_NODE)
		return fail(f, root, "the file must be a table of settings (key: value)");
	map_init(&seen);
	for (i = 0, e = E_OK; e == E_OK && i < (size_t)(root->data.mapping.pairs.top - root->data.mapping.pairs.start); i++) {
		e = check_key(f, root, i, &seen);
		if (e != E_OK)
			break;
		key = node_at(f, root->data.mapping.pairs.start[i].key);
		value = node_at(f, root->data.mapping.pairs.start[i].value);
		for (sec = NULL, k = 0; k < CONF_SECTIONS; k++)
			if (span_is(scalar(key), conf_sections[k].name))
				sec = &conf_sections[k];
		row = opt_find(conf_rows, CONF_OPTIONS, scalar(key));
		if (sec != NULL)
			e = read_section(f, sec, value);
		else
			e = row != NULL ? set_value(f, &s, row, key, value) : unknown_key(f, &s, key);
	}
	map_release(&seen, NULL);
	return e;
}

static enum err
syntax_error(const struct file *f, const yaml_parser_t *p)
{
	if (p->error == YAML_MEMORY_ERROR)
		return no_memory(f);
	return err_set(f->t, E_CONF, "%s:%zu: %s%s%s", f->path, p->problem_mark.line + 1, p->problem != NULL ? p->problem : "not YAML",
		p->context != NULL ? " " : "", p->context != NULL ? p->context : "");
}

static enum err
read_text(struct file *f, struct span text)
{
	yaml_document_t doc, second;
	yaml_parser_t parser;
	yaml_node_t *root;
	enum err e = E_OK;

	if (!yaml_parser_initialize(&parser))
		return no_memory(f);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
	if (!yaml_parser_load(&parser, &doc)) {
		e = syntax_error(f, &parser);
		yaml_parser_delete(&parser);
		return e;
	}
	f->doc = &doc;
	root = yaml_document_get_root_node(&doc);
	if (root != NULL) {
		if (!yaml_parser_load(&parser, &second))
			e = syntax_error(f, &parser);
		else {
			if (yaml_document_get_root_node(&second) != NULL)
				e = fail(f, yaml_document_get_root_node(&second), "a second document starts here: there must be one");
			yaml_document_delete(&second);
		}
		if (e == E_OK)
			e = read_root(f, root);
	}
	f->doc = NULL;
	yaml_document_delete(&doc);
	yaml_parser_delete(&parser);
	/* The tree is some ten times what is kept of it, and a daemon's memory is looked at. */
	malloc_trim(0);
	return e;
}

enum err
conf_load_file(struct conf *c, const char *path, struct errtext *t)
{
	struct file f = { c, path, NULL, t };
	struct span copy;
	struct buf b;
	enum err e;

	buf_init(&b, 0);
	e = conf_read_file(&b, path, t);
	if (e == E_OK)
		e = read_text(&f, (struct span){ buf_text(&b), b.len });
	if (e == E_OK) {
		copy = arena_dup(&c->arena, span_of(path));
		c->file = copy.ptr;
		if (copy.ptr == NULL)
			e = no_memory(&f);
	}
	buf_release(&b);
	return e;
}
