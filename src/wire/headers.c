/* See headers.h. Values keep their type where JSON has one; bytes and decimals become text, times ISO text. */
#include "wire/headers.h"

#include "base/js.h"
#include "base/text.h"

/* Deeper values are written as null; tables from the broker are bounded before they get here. */
#define DEPTH_MAX 32

bool
header_is_standard(struct span key)
{
	/* Spans, so that nearly every comparison ends at the length: this runs for each header of each task. */
/* clang-format off */
#define NAME(text) { text, sizeof(text) - 1 }
	/* clang-format on */
	static const struct span names[] = {
		NAME("lang"),
		NAME("task"),
		NAME("id"),
		NAME("shadow"),
		NAME("eta"),
		NAME("expires"),
		NAME("group"),
		NAME("group_index"),
		NAME("retries"),
		NAME("timelimit"),
		NAME("root_id"),
		NAME("parent_id"),
		NAME("argsrepr"),
		NAME("kwargsrepr"),
		NAME("origin"),
		NAME("ignore_result"),
		NAME("replaced_task_nesting"),
		NAME("stamped_headers"),
		NAME("stamps"),
		NAME("compression"),
		NAME("x-death"),
		NAME("x-first-death-exchange"),
		NAME("x-first-death-queue"),
		NAME("x-first-death-reason"),
		NAME("x-last-death-exchange"),
		NAME("x-last-death-queue"),
		NAME("x-last-death-reason"),
		NAME("x-warren-lost"),
	};
#undef NAME

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_eq(key, names[i]))
			return true;
	return false;
}

static void add_value(struct js *w, const struct val *v, int depth);

static void
add_table(struct js *w, const struct table *t, int depth)
{
	js_object(w);
	for (size_t i = 0; i < t->count; i++) {
		js_key_span(w, t->pairs[i].key);
		add_value(w, &t->pairs[i].value, depth);
	}
	js_object_end(w);
}

static void
add_decimal(struct js *w, int32_t value, uint8_t scale)
{
	char text[300];

	snprintf(text, sizeof(text), "%lde-%u", (long)value, scale);
	js_text(w, text);
}

/* Whole seconds, of whoever sent them. */
static void
add_time(struct js *w, int64_t seconds)
{
	char when[TEXT_TIME_MAX];
	us_t us;

	if (__builtin_mul_overflow(seconds, 1000000, &us))
		us = seconds < 0 ? INT64_MIN : INT64_MAX;
	js_string(w, (struct span){ when, text_format_time(us, when) });
}

static void
add_value(struct js *w, const struct val *v, int depth)
{
	if (depth > DEPTH_MAX) {
		js_null(w);
		return;
	}
	switch (v->type) {
	case VAL_VOID:
		js_null(w);
		break;
	case VAL_BOOL:
		js_bool(w, v->u.boolean);
		break;
	case VAL_INT:
		js_int(w, v->u.integer);
		break;
	case VAL_DOUBLE:
		js_double(w, v->u.number);
		break;
	case VAL_STRING:
	case VAL_BYTES:
		js_string(w, v->u.string);
		break;
	case VAL_TIME:
		add_time(w, v->u.integer);
		break;
	case VAL_DECIMAL:
		add_decimal(w, v->u.decimal.value, v->u.decimal.scale);
		break;
	case VAL_ARRAY:
		js_array(w);
		for (size_t i = 0; i < v->u.array.count; i++)
			add_value(w, &v->u.array.items[i], depth + 1);
		js_array_end(w);
		break;
	case VAL_TABLE:
		add_table(w, v->u.table, depth + 1);
		break;
	}
}

void
headers_add_json(struct buf *b, const struct table *headers)
{
	struct js w;

	js_init(&w, b);
	add_table(&w, headers, 0);
}

bool
headers_add_user_json(struct buf *b, const struct table *headers)
{
	struct js w;
	bool any = false;

	js_init(&w, b);
	for (size_t i = 0; i < headers->count; i++) {
		if (header_is_standard(headers->pairs[i].key))
			continue;
		if (!any)
			js_object(&w);
		any = true;
		js_key_span(&w, headers->pairs[i].key);
		add_value(&w, &headers->pairs[i].value, 0);
	}
	if (any)
		js_object_end(&w);
	return any;
}
