#include "base/buf.h"

#include "lib/torture.h"

static void
appends_in_order(void **state UNUSED)
{
	struct buf b;

	buf_init(&b, 0);
	assert_string_equal(buf_text(&b), "");
	assert_span(buf_span(&b), "");
	buf_adds(&b, "ab");
	buf_addc(&b, 'c');
	buf_add(&b, SPAN("de"));
	buf_add(&b, SPAN_NONE);
	buf_addf(&b, "%d%s", 12, "x");
	assert_string_equal(buf_text(&b), "abcde12x");
	buf_drop(&b, 3);
	assert_span(buf_span(&b), "de12x");
	buf_drop(&b, 5);
	assert_span(buf_span(&b), "");
	buf_release(&b);
}

static void
formats_of_any_length_fit(void **state UNUSED)
{
	struct buf b;

	for (int n = 0; n < 500; n++) {
		buf_init(&b, 0);
		buf_addf(&b, "%*s|", n, "");
		buf_addf(&b, "%0*d|", n + 1, 0);
		assert_int_equal(b.len, 2 * n + 3);
		assert_int_equal(b.data[n], '|');
		assert_int_equal(buf_text(&b)[b.len], '\0');
		buf_release(&b);
	}
}

static void
the_ceiling_holds_and_the_error_sticks(void **state UNUSED)
{
	struct buf b;

	buf_init(&b, 10);
	buf_adds(&b, "12345678");
	buf_adds(&b, "abc");
	assert_int_equal(b.err, E_TOOBIG);
	assert_span(buf_span(&b), "12345678"); /* as before the failed append */
	buf_addc(&b, 'x');
	buf_addf(&b, "x");
	assert_null(buf_room(&b, 1));
	assert_int_equal(b.len, 8);
	assert_string_equal(buf_text(&b), "");
	buf_reset(&b);
	assert_int_equal(b.err, E_OK);
	buf_addf(&b, "%s", "0123456789");
	assert_string_equal(buf_text(&b), "0123456789");
	buf_addf(&b, "%d", 1);
	assert_int_equal(b.err, E_TOOBIG);
	buf_release(&b);

	buf_init(&b, 0);
	assert_null(buf_room(&b, SIZE_MAX - 1));
	assert_int_equal(b.err, E_TOOBIG);
	buf_release(&b);
}

static void
room_is_filled_by_the_caller(void **state UNUSED)
{
	struct buf b = { 0 };
	char *p = buf_room(&b, 1000);

	assert_non_null(p);
	memset(p, 'z', 1000);
	buf_grew(&b, 1000);
	assert_int_equal(b.len, 1000);
	assert_int_equal(buf_text(&b)[999], 'z');
	buf_release(&b);
	buf_release(&b);
}

static void
moves_to_an_arena(void **state UNUSED)
{
	struct arena a;
	struct span kept = SPAN_NONE;
	struct buf b;

	arena_init(&a, 0);
	buf_init(&b, 4);
	buf_adds(&b, "four");
	assert_int_equal(buf_keep(&b, &a, &kept), E_OK);
	assert_span(kept, "four");
	assert_null(b.data);
	buf_init(&b, 4);
	buf_adds(&b, "fives");
	assert_int_equal(buf_keep(&b, &a, &kept), E_TOOBIG);
	assert_span(kept, "four");
	arena_release(&a);
}

static enum err
fill(void *arg UNUSED)
{
	struct buf b;
	enum err e;

	buf_init(&b, 0);
	for (int i = 0; i < 100; i++) {
		buf_adds(&b, "some text ");
		buf_addf(&b, "%d", i);
		buf_addc(&b, '.');
	}
	e = b.err;
	if (e == E_OK)
		assert_int_equal(b.len, 100 * 11 + 10 + 90 * 2);
	buf_release(&b);
	return e;
}

static void
bears_torture(void **state UNUSED)
{
	torture(fill, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_in_order),
		cmocka_unit_test(formats_of_any_length_fit),
		cmocka_unit_test(the_ceiling_holds_and_the_error_sticks),
		cmocka_unit_test(room_is_filled_by_the_caller),
		cmocka_unit_test(moves_to_an_arena),
		cmocka_unit_test(bears_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
