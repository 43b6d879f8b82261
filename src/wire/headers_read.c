/* JSON as AMQP values: headers that were written in a signature or on a command line. See headers.h. */
#include "base/jscan.h"
#include "wire/headers.h"

static enum err
read_text(struct span *out, struct span json, struct arena *a)
{
	struct buf b;

	if (jscan_plain_string(json, out))
		return E_OK;
	buf_init(&b, 0);
	jscan_add_string(&b, json);
	*out = b.err == E_OK ? arena_dup(a, (struct span){ buf_text(&b), b.len }) : SPAN_NONE;
	buf_release(&b);
	return out->ptr != NULL ? E_OK : E_NOMEM;
}

static enum err
read_array(struct val *out, struct span json, struct arena *a)
{
	size_t n = jscan_count(json), i = 0;
	struct jscan_iter it;
	enum err e = E_OK;

	out->type = VAL_ARRAY;
	out->u.array.count = n;
	out->u.array.items = arena_zero(a, (n + 1) * sizeof(*out->u.array.items));
	if (out->u.array.items == NULL)
		return E_NOMEM;
	if (jscan_begin(&it, json))
		while (e == E_OK && i < n && jscan_next(&it))
			e = headers_read_value(&out->u.array.items[i++], it.value, a);
	return e;
}

enum err
headers_read_object(struct table *out, struct span json, struct arena *a)
{
	struct jscan_iter it;
	enum err e = E_OK;
	struct span key;
	struct val v;

	if (!jscan_begin(&it, json) || !it.is_object)
		return E_OK;
	while (e == E_OK && jscan_next(&it)) {
		/* The key comes raw, without its quotes. */
		e = read_text(&key, (struct span){ it.key.ptr - 1, it.key.len + 2 }, a);
		if (e == E_OK)
			e = headers_read_value(&v, it.value, a);
		if (e == E_OK)
			e = table_set(out, a, key, v);
	}
	return e;
}

enum err
headers_read_value(struct val *out, struct span json, struct arena *a)
{
	struct span text;
	enum err e;

	*out = val_void();
	switch (jscan_kind(json)) {
	case JSCAN_TRUE:
	case JSCAN_FALSE:
		*out = val_bool(jscan_kind(json) == JSCAN_TRUE);
		return E_OK;
	case JSCAN_NUMBER:
		if (jscan_int(json, &out->u.integer))
			out->type = VAL_INT;
		else if (jscan_double(json, &out->u.number))
			out->type = VAL_DOUBLE;
		return E_OK;
	case JSCAN_STRING:
		e = read_text(&text, json, a);
		*out = val_string(text);
		return e;
	case JSCAN_ARRAY:
		return read_array(out, json, a);
	case JSCAN_OBJECT:
		out->type = VAL_TABLE;
		out->u.table = arena_zero(a, sizeof(*out->u.table));
		return out->u.table != NULL ? headers_read_object(out->u.table, json, a) : E_NOMEM;
	case JSCAN_NONE:
	case JSCAN_NULL:
		break;
	}
	return E_OK;
}
