#include "vectors.h"

#include "base/js.h"
#include "wire/field.h"

static void
one_walk_finds_all(void **state UNUSED)
{
	struct span a = SPAN("stale"), b = SPAN("stale"), c = SPAN("stale");
	const struct field fields[] = {
		{ SPAN("a"), &a },
		{ SPAN("b"), &b },
		{ SPAN("c"), &c },
	};

	fields_get(SPAN("{\"b\": [1, 2] , \"x\": 5, \"a\": 1, \"a\": null}"), fields, ARRAY_LEN(fields));
	assert_span(a, "null");
	assert_span(b, "[1, 2]");
	assert_null(c.ptr);
	assert_null(field_some(a).ptr);
	assert_span(field_some(b), "[1, 2]");
	fields_get(SPAN("[1]"), fields, ARRAY_LEN(fields));
	assert_null(a.ptr);
	assert_null(b.ptr);
}

static void
text_is_copied_only_when_it_must(void **state UNUSED)
{
	const struct span plain = SPAN("\"plain\""), escaped = SPAN("\"a\\u00fc\\n\"");
	struct arena arena;
	struct span s;

	arena_init(&arena, 0);
	assert_int_equal(field_text(plain, &arena, &s), E_OK);
	assert_ptr_equal(s.ptr, plain.ptr + 1);
	assert_span(s, "plain");
	assert_int_equal(field_text(escaped, &arena, &s), E_OK);
	assert_span(s, "a\xc3\xbc\n");
	assert_int_equal(field_text(SPAN("\"\""), &arena, &s), E_OK);
	assert_span(s, "");
	assert_int_equal(field_text(SPAN("null"), &arena, &s), E_OK);
	assert_null(s.ptr);
	assert_int_equal(field_text(SPAN_NONE, &arena, &s), E_OK);
	assert_null(s.ptr);
	assert_int_equal(field_text(SPAN("5"), &arena, &s), E_FORMAT);
	assert_int_equal(field_text(SPAN("[\"a\"]"), &arena, &s), E_FORMAT);
	arena_release(&arena);
}

static void
kinds_have_names(void **state UNUSED)
{
	assert_string_equal(field_kind_name(SPAN("{}")), "an object");
	assert_string_equal(field_kind_name(SPAN("NaN")), "a number");
	assert_string_equal(field_kind_name(SPAN("null")), "null");
	assert_string_equal(field_kind_name(SPAN_NONE), "absent");
}

static void
whole_seconds_stay_integers(void **state UNUSED)
{
	struct js w;
	struct buf b;

	buf_init(&b, 0);
	js_init(&w, &b);
	js_array(&w);
	field_add_seconds(&w, 30);
	field_add_seconds(&w, -1);
	field_add_seconds(&w, 0.25);
	field_add_seconds(&w, 1e300);
	js_array_end(&w);
	assert_span(buf_span(&b), "[30, -1, 0.25, 1e+300]");
	buf_release(&b);
}

static void
delivery_modes_are_words_or_numbers(void **state UNUSED)
{
	assert_int_equal(field_delivery_mode(SPAN("1")), 1);
	assert_int_equal(field_delivery_mode(SPAN("\"transient\"")), 1);
	assert_int_equal(field_delivery_mode(SPAN("2")), 2);
	assert_int_equal(field_delivery_mode(SPAN("\"persistent\"")), 2);
	assert_int_equal(field_delivery_mode(SPAN("null")), 0);
	assert_int_equal(field_delivery_mode(SPAN("3")), 0);
	assert_int_equal(field_delivery_mode(SPAN("\"1\"")), 0);
	assert_int_equal(field_delivery_mode(SPAN_NONE), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_walk_finds_all),
		cmocka_unit_test(text_is_copied_only_when_it_must),
		cmocka_unit_test(kinds_have_names),
		cmocka_unit_test(whole_seconds_stay_integers),
		cmocka_unit_test(delivery_modes_are_words_or_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
