#include "base/jscan.h"

#include "lib/t.h"

#include <math.h>

static void
kinds(void **state UNUSED)
{
	assert_int_equal(jscan_kind(SPAN_NONE), JSCAN_NONE);
	assert_int_equal(jscan_kind(SPAN("null")), JSCAN_NULL);
	assert_int_equal(jscan_kind(SPAN("true")), JSCAN_TRUE);
	assert_int_equal(jscan_kind(SPAN("false")), JSCAN_FALSE);
	assert_int_equal(jscan_kind(SPAN("-1")), JSCAN_NUMBER);
	assert_int_equal(jscan_kind(SPAN("NaN")), JSCAN_NUMBER);
	assert_int_equal(jscan_kind(SPAN("\"\"")), JSCAN_STRING);
	assert_int_equal(jscan_kind(SPAN("[]")), JSCAN_ARRAY);
	assert_int_equal(jscan_kind(SPAN("{}")), JSCAN_OBJECT);
}

static void
members_come_in_order_and_raw(void **state UNUSED)
{
	struct jscan_iter it;

	assert_true(jscan_begin(&it, SPAN(" [ 1 ,\"a,]\\\"\", [2, [3]] , {\"x\": \"}\"},null ] ")));
	assert_true(jscan_next(&it));
	assert_span(it.value, "1");
	assert_none(it.key);
	assert_true(jscan_next(&it));
	assert_span(it.value, "\"a,]\\\"\"");
	assert_true(jscan_next(&it));
	assert_span(it.value, "[2, [3]]");
	assert_true(jscan_next(&it));
	assert_span(it.value, "{\"x\": \"}\"}");
	assert_true(jscan_next(&it));
	assert_span(it.value, "null");
	assert_false(jscan_next(&it));
	assert_false(jscan_next(&it));

	assert_true(jscan_begin(&it, SPAN("{\"a\":1 , \"b\\\\\" : \"x\\\\\",\"\":{}}")));
	assert_true(jscan_next(&it));
	assert_span(it.key, "a");
	assert_span(it.value, "1");
	assert_true(jscan_next(&it));
	assert_span(it.key, "b\\\\");
	assert_span(it.value, "\"x\\\\\"");
	assert_true(jscan_next(&it));
	assert_span(it.key, "");
	assert_span(it.value, "{}");
	assert_false(jscan_next(&it));
}

static void
members_are_counted(void **state UNUSED)
{
	assert_int_equal(jscan_count(SPAN("[]")), 0);
	assert_int_equal(jscan_count(SPAN("{ }")), 0);
	assert_int_equal(jscan_count(SPAN("[[1,2],3]")), 2);
	assert_int_equal(jscan_count(SPAN("{\"a\":[1,2],\"b\":0}")), 2);
	assert_int_equal(jscan_count(SPAN("7")), 0);
	assert_int_equal(jscan_count(SPAN("")), 0);
}

static void
the_last_member_of_a_name_wins(void **state UNUSED)
{
	struct span o =
		SPAN("{\"a\":1,\"b\":{\"a\":9},\"a\":2,\"\\u0061b\":3,\"q\\\"\":4,\"\\ud83d\\ude00\":5}");

	assert_span(jscan_member(o, "a"), "2");
	assert_span(jscan_member(o, "b"), "{\"a\":9}");
	assert_span(jscan_member(o, "ab"), "3");
	assert_span(jscan_member(o, "q\""), "4");
	assert_span(jscan_member(o, "\xf0\x9f\x98\x80"), "5");
	assert_none(jscan_member(o, "c"));
	assert_none(jscan_member(o, "q"));
	assert_none(jscan_member(o, ""));
	assert_none(jscan_member(SPAN("[\"a\"]"), "a"));
	assert_none(jscan_member(SPAN_NONE, "a"));
}

static void
strings_are_decoded(void **state UNUSED)
{
	static const char *const rows[][2] = {
		{ "\"\"", "" },
		{ "\"plain\"", "plain" },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
		{ "\"a\\u00e9b\"",
			"a\xc3\xa9"
			"b" },
		{ "\"\\u20AC\"", "\xe2\x82\xac" },
		{ "\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!" },
		{ "\"\\ud83d\"", "\xef\xbf\xbd" },
		{ "\"\\ude00x\"", "\xef\xbf\xbdx" },
		{ "\"\\ud83d\\u0041\"",
			"\xef\xbf\xbd"
			"A" },
		{ "\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80" },
		{ "\"\xc3\xbc\"", "\xc3\xbc" },
		{ "7", "" },
	};
	struct span plain;
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		jscan_add_string(&b, span_of(rows[i][0]));
		assert_buf(&b, rows[i][1]);
	}
	jscan_add_string(&b, SPAN("\"\\u0000\""));
	assert_int_equal(b.len, 1);
	assert_int_equal(b.data[0], 0);
	buf_release(&b);
	assert_true(jscan_plain_string(SPAN("\"abc\""), &plain));
	assert_span(plain, "abc");
	assert_true(jscan_plain_string(SPAN("\"\""), &plain));
	assert_span(plain, "");
	assert_false(jscan_plain_string(SPAN("\"a\\n\""), &plain));
	assert_false(jscan_plain_string(SPAN("12"), &plain));
	assert_false(jscan_plain_string(SPAN_NONE, &plain));
}

static void
numbers_are_read(void **state UNUSED)
{
	int64_t i = 7;
	double d;

	assert_true(jscan_int(SPAN("-12"), &i) && i == -12);
	assert_true(jscan_int(SPAN("9223372036854775807"), &i) && i == INT64_MAX);
	assert_false(jscan_int(SPAN("9223372036854775808"), &i));
	assert_false(jscan_int(SPAN("1.0"), &i));
	assert_false(jscan_int(SPAN("1e3"), &i));
	assert_false(jscan_int(SPAN("\"1\""), &i));
	assert_false(jscan_int(SPAN("null"), &i));
	assert_false(jscan_int(SPAN("+1"), &i));
	assert_false(jscan_int(SPAN_NONE, &i));
	assert_true(jscan_double(SPAN("-1.5e1"), &d) && d == -15);
	assert_true(jscan_double(SPAN("7"), &d) && d == 7);
	assert_true(jscan_double(SPAN("NaN"), &d) && isnan(d));
	assert_true(jscan_double(SPAN("-Infinity"), &d) && isinf(d) && d < 0);
	assert_true(jscan_double(SPAN("Infinity"), &d) && isinf(d) && d > 0);
	assert_true(jscan_double(SPAN("1e999"), &d) && isinf(d));
	assert_false(jscan_double(SPAN("\"1\""), &d));
	assert_false(jscan_double(SPAN("true"), &d));
	assert_false(jscan_double(SPAN("+1"), &d));
	assert_false(jscan_double(SPAN_NONE, &d));
}

/* The walk must stay inside of text that nobody checked: all short texts of these bytes, each in a block of its size. */
static void
unchecked_text_does_no_harm(void **state UNUSED)
{
	static const char bytes[] = "[]{}\":,\\u1 ";
	const size_t n = sizeof(bytes) - 1;
	struct jscan_iter it;
	struct buf b;
	double d;

	buf_init(&b, 0);
	for (size_t len = 0; len <= 5; len++) {
		size_t total = 1;

		for (size_t i = 0; i < len; i++)
			total *= n;
		for (size_t k = 0; k < total; k++) {
			char *text = malloc(len ? len : 1);
			struct span s = { text, len };
			size_t members = 0;

			for (size_t i = 0, rest = k; i < len; i++, rest /= n)
				text[i] = bytes[rest % n];
			if (jscan_begin(&it, s)) {
				while (jscan_next(&it)) {
					members++;
					assert_true(it.value.ptr >= text &&
						it.value.ptr + it.value.len <= text + len);
				}
			}
			assert_true(members <= len);
			(void)jscan_member(s, "1");
			(void)jscan_double(s, &d);
			jscan_add_string(&b, s);
			buf_reset(&b);
			free(text);
		}
	}
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds),
		cmocka_unit_test(members_come_in_order_and_raw),
		cmocka_unit_test(members_are_counted),
		cmocka_unit_test(the_last_member_of_a_name_wins),
		cmocka_unit_test(strings_are_decoded),
		cmocka_unit_test(numbers_are_read),
		cmocka_unit_test(unchecked_text_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
