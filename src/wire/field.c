/*
 * Members of small JSON objects, found in one walk however many are wanted. Nothing is built: values are
 * slices of the text, and only strings with escapes are copied, into the arena of their message.
 */
#include "wire/field.h"

#include "base/js.h"

#include <math.h>

void
fields_get(struct span object, const struct field *fields, size_t n)
{
	struct jscan_iter it;
	size_t i;

	for (i = 0; i < n; i++)
		*fields[i].value = SPAN_NONE;
	if (!jscan_begin(&it, object))
		return;
	while (jscan_next(&it))
		for (i = 0; i < n; i++)
			if (span_eq(it.key, fields[i].key)) {
				*fields[i].value = it.value;
				break;
			}
}

struct span
field_some(struct span value)
{
	return jscan_kind(value) == JSCAN_NULL ? SPAN_NONE : value;
}

enum err
field_text(struct span value, struct arena *a, struct span *out)
{
	struct buf b;
	enum err e;

	*out = SPAN_NONE;
	if (!field_some(value).ptr)
		return E_OK;
	if (jscan_kind(value) != JSCAN_STRING)
		return E_FORMAT;
	if (jscan_plain_string(value, out))
		return E_OK;
	buf_init(&b, 0);
	jscan_add_string(&b, value);
	e = b.err;
	if (e == E_OK) {
		*out = arena_dup(a, b.len ? buf_span(&b) : SPAN(""));
		if (!out->ptr)
			e = E_NOMEM;
	}
	buf_release(&b);
	return e;
}

const char *
field_kind_name(struct span value)
{
	static const char *const names[] = {
		[JSCAN_NONE] = "absent",
		[JSCAN_NULL] = "null",
		[JSCAN_TRUE] = "true",
		[JSCAN_FALSE] = "false",
		[JSCAN_NUMBER] = "a number",
		[JSCAN_STRING] = "text",
		[JSCAN_ARRAY] = "an array",
		[JSCAN_OBJECT] = "an object",
	};

	return names[jscan_kind(value)];
}

void
field_add_seconds(struct js *w, double seconds)
{
	if (seconds == floor(seconds) && fabs(seconds) < 1e15)
		js_int(w, (int64_t)seconds);
	else
		js_double(w, seconds);
}

int
field_delivery_mode(struct span value)
{
	if (span_is(value, "1") || span_is(value, "\"transient\""))
		return 1;
	return span_is(value, "2") || span_is(value, "\"persistent\"") ? 2 : 0;
}
