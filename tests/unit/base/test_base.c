#include "base/base.h"

#include "lib/t.h"

static void
an_absent_span_differs_from_an_empty_one(void **state UNUSED)
{
	assert_none(span_of(NULL));
	assert_non_null(span_of("").ptr);
	assert_true(span_eq(SPAN_NONE, SPAN("")));
	assert_true(span_is(SPAN("abc"), "abc"));
	assert_false(span_is(SPAN("abc"), "ab"));
	assert_false(span_eq(SPAN("abc"), SPAN("abd")));
}

static void
starts_and_ends(void **state UNUSED)
{
	assert_true(span_starts(SPAN("queue.gpu"), "queue."));
	assert_false(span_starts(SPAN("que"), "queue"));
	assert_true(span_starts(SPAN_NONE, ""));
	assert_true(span_ends(SPAN("queue.gpu"), "gpu"));
	assert_false(span_ends(SPAN("pu"), "gpu"));
	assert_true(span_ends(SPAN_NONE, ""));
}

static void
trim_cuts_blanks_on_both_ends_only(void **state UNUSED)
{
	assert_span(span_trim(SPAN(" \t a b\r\n")), "a b");
	assert_span(span_trim(SPAN("a")), "a");
	assert_int_equal(span_trim(SPAN(" \n ")).len, 0);
	assert_int_equal(span_trim(SPAN_NONE).len, 0);
}

static void
split_returns_each_part_once(void **state UNUSED)
{
	struct span rest = SPAN("a,,b,");

	assert_span(span_split(&rest, ','), "a");
	assert_span(span_split(&rest, ','), "");
	assert_span(span_split(&rest, ','), "b");
	assert_span(span_split(&rest, ','), "");
	assert_none(rest);
	assert_none(span_split(&rest, ','));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_absent_span_differs_from_an_empty_one),
		cmocka_unit_test(starts_and_ends),
		cmocka_unit_test(trim_cuts_blanks_on_both_ends_only),
		cmocka_unit_test(split_returns_each_part_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
