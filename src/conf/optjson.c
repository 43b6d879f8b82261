/*
 * The other way round of opt_add_json, key by key. Durations are seconds or texts ("1h30min"), lists are arrays of texts, pairs that or an
 * object. Numbers and booleans go to the option engine as they are written, which checks them as it checks a flag.
 */
#include "conf/optjson.h"

#include "base/js.h"
#include "base/jscan.h"

#define ITEMS_MAX 256

void
optjson_add(struct buf *b, const struct opt_row *rows, size_t n, const void *base, const void *defaults)
{
	struct buf value, usual;
	struct js w;

	buf_init(&value, 0);
	buf_init(&usual, 0);
	js_init(&w, b);
	js_object(&w);
	for (size_t i = 0; i < n; i++) {
		buf_reset(&value);
		buf_reset(&usual);
		opt_add_json(&value, &rows[i], base);
		opt_add_json(&usual, &rows[i], defaults);
		if (value.err == E_OK && usual.err == E_OK && span_eq(buf_span(&value), buf_span(&usual)))
			continue;
		js_key(&w, rows[i].name);
		js_raw(&w, buf_span(&value));
	}
	js_object_end(&w);
	if (b->err == E_OK)
		b->err = value.err != E_OK ? value.err : usual.err;
	buf_release(&value);
	buf_release(&usual);
}

/* The text of a value that is no container; the arena keeps it. */
static enum err
scalar(struct span value, struct arena *a, struct span *out, struct errtext *t)
{
	struct buf b;

	*out = value;
	if (jscan_kind(value) != JSCAN_STRING || jscan_plain_string(value, out))
		return E_OK;
	buf_init(&b, 0);
	jscan_add_string(&b, value);
	*out = b.err == E_OK ? arena_dup(a, (struct span){ buf_text(&b), b.len }) : SPAN_NONE;
	buf_release(&b);
	return out->ptr != NULL ? E_OK : err_set(t, E_NOMEM, "out of memory");
}

/* "key=value" of a member. */
static enum err
pair(struct span key, struct span value, struct arena *a, struct span *out, struct errtext *t)
{
	struct buf b;

	buf_init(&b, 0);
	/* The raw key without its quotes: put them back to decode it. */
	jscan_add_string(&b, (struct span){ key.ptr - 1, key.len + 2 });
	/* Behind it nobody knows which '=' was the one between them. */
	if (b.err == E_OK && memchr(buf_text(&b), '=', b.len) != NULL) {
		err_set(t, E_CONF, "'%s': a name cannot hold a '='", buf_text(&b));
		buf_release(&b);
		return E_CONF;
	}
	buf_addc(&b, '=');
	buf_add(&b, value);
	*out = b.err == E_OK ? arena_dup(a, buf_span(&b)) : SPAN_NONE;
	buf_release(&b);
	return out->ptr != NULL ? E_OK : err_set(t, E_NOMEM, "out of memory");
}

static enum err
set_items(const struct opt_row *row, void *base, struct span value, struct arena *a, struct errtext *t)
{
	struct span items[ITEMS_MAX];
	struct jscan_iter it;
	enum err e = E_OK;
	size_t n = 0;

	if (!jscan_begin(&it, value) || (it.is_object && row->type != OPT_T_pairs))
		return err_set(t, E_CONF, "a list of texts is expected");
	while (e == E_OK && jscan_next(&it)) {
		enum jscan_kind kind = jscan_kind(it.value);

		if (n == ITEMS_MAX)
			return err_set(t, E_CONF, "more than %d items", ITEMS_MAX);
		if (kind == JSCAN_ARRAY || kind == JSCAN_OBJECT || kind == JSCAN_NULL)
			return err_set(t, E_CONF, "item %zu is not a plain text", n + 1);
		e = scalar(it.value, a, &items[n], t);
		if (e == E_OK && it.is_object)
			e = pair(it.key, items[n], a, &items[n], t);
		n++;
	}
	return e == E_OK ? opt_set_items(row, base, items, n, a, t) : e;
}

static enum err
set_value(const struct opt_row *row, void *base, struct span value, struct arena *a, struct errtext *t)
{
	enum jscan_kind kind = jscan_kind(value);
	struct span text;
	enum err e;

	if (kind == JSCAN_NULL)
		return E_OK;
	/* A text there is JSON that somebody wrote as a text, as on a command line. */
	if (row->type == OPT_T_json && kind != JSCAN_STRING)
		return opt_set(row, base, value, a, t);
	if (opt_is_list(row))
		return set_items(row, base, value, a, t);
	if (kind == JSCAN_ARRAY || kind == JSCAN_OBJECT)
		return err_set(t, E_CONF, "one value is expected, not a list or table");
	e = scalar(value, a, &text, t);
	return e == E_OK ? opt_set(row, base, text, a, t) : e;
}

static enum err
unknown_key(const struct opt_row *rows, size_t n, struct span key, struct errtext *t)
{
	struct nearest near;
	struct buf b;

	nearest_init(&near, key);
	for (size_t i = 0; i < n; i++)
		nearest_try(&near, rows[i].name);
	buf_init(&b, 0);
	nearest_add(&b, &near);
	err_set(t, E_CONF, "unknown key '%.*s'%s", key.len > 60 ? 60 : (int)key.len, key.ptr, buf_text(&b));
	buf_release(&b);
	return E_CONF;
}

enum err
optjson_read(const struct opt_row *rows, size_t n, void *base, struct span json, struct arena *a,
	struct errtext *t)
{
	struct jscan_iter it;
	enum err e = jscan_check(json, NULL, NULL, t);

	if (e != E_OK)
		return err_prefix(t, E_CONF, "this is not JSON");
	if (!jscan_begin(&it, span_trim(json)) || !it.is_object)
		return err_set(t, E_CONF, "an object is expected");
	while (e == E_OK && jscan_next(&it)) {
		const struct opt_row *row = opt_find(rows, n, it.key);

		if (row == NULL)
			return unknown_key(rows, n, it.key, t);
		e = set_value(row, base, it.value, a, t);
		if (e != E_OK)
			err_prefix(t, e, "%s", row->name);
	}
	return e;
}
