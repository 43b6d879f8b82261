/*
 * JSON. What jscan_check passes must be walkable: the iterator finds as many containers as the check counted,
 * strings decode to UTF-8 and come back the same after being written by js. What it refuses must do no harm.
 */
#include "base/js.h"
#include "base/jscan.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(ok) \
	do { \
		if (!(ok)) \
			abort(); \
	} while (0)

static struct buf once, again, written;

static void
check_string(struct span string)
{
	struct span plain;

	buf_reset(&once);
	buf_reset(&again);
	buf_reset(&written);
	jscan_add_string(&once, string);
	CHECK(text_is_utf8(buf_span(&once)));
	if (jscan_plain_string(string, &plain))
		CHECK(span_eq(plain, buf_span(&once)));
	js_add_string(&written, buf_span(&once));
	CHECK(jscan_check(buf_span(&written), NULL, NULL, NULL) == E_OK);
	jscan_add_string(&again, buf_span(&written));
	CHECK(span_eq(buf_span(&once), buf_span(&again)));
}

/* Walks all levels with a stack of iterators; returns the number of containers. */
static size_t
walk(struct span text)
{
	struct jscan_iter stack[65];
	size_t depth = 0, n = 0;
	double d;

	if (jscan_kind(text) == JSCAN_STRING)
		check_string(text);
	if (!jscan_begin(&stack[0], text))
		return 0;
	n = depth = 1;
	while (depth) {
		struct jscan_iter *it = &stack[depth - 1];

		if (!jscan_next(it)) {
			depth--;
			continue;
		}
		CHECK(jscan_check(it->value, NULL, NULL, NULL) == E_OK);
		switch (jscan_kind(it->value)) {
		case JSCAN_STRING:
			check_string(it->value);
			break;
		case JSCAN_NUMBER:
			CHECK(jscan_double(it->value, &d));
			break;
		case JSCAN_ARRAY:
		case JSCAN_OBJECT:
			n++;
			CHECK(depth < ARRAY_LEN(stack) && jscan_begin(&stack[depth++], it->value));
			break;
		default:
			break;
		}
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size }, trimmed = span_trim(text);
	struct jscan_facts facts;
	struct errtext t;
	struct jscan_iter it;

	if (jscan_check(text, NULL, &facts, &t) == E_OK) {
		CHECK(text_is_utf8(text));
		CHECK(walk(trimmed) == facts.containers);
	} else if (jscan_begin(&it, text)) {
		while (jscan_next(&it)) {
			CHECK(it.value.ptr >= text.ptr && it.value.ptr + it.value.len <= text.ptr + text.len);
			buf_reset(&once);
			jscan_add_string(&once, it.value);
			(void)jscan_member(it.value, "a");
		}
	}
	buf_release(&once);
	buf_release(&again);
	buf_release(&written);
	return 0;
}
