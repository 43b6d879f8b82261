/* Turns of a token bucket, where whoever waits waits, and keys out of arguments. */
#include "core/limit.h"

#include "lib/t.h"

#define S(n) ((us_t)((n)*1000000.0))
#define NOW S(1700000000)

static void
turns_follow_each_other_at_the_rate(void **state UNUSED)
{
	struct limit_turn t;
	us_t bucket = 0;
	int i;

	for (i = 0; i < 10; i++) {
		t = limit_take(&bucket, 5, 1, NOW, 0);
		assert_int_equal(t.wait, i * S(0.2));
		assert_int_equal(t.turn, NOW + i * S(0.2));
	}
	/* After a pause the first one goes at once, and no more than that. */
	t = limit_take(&bucket, 5, 1, NOW + S(100), 0);
	assert_int_equal(t.wait, 0);
	t = limit_take(&bucket, 5, 1, NOW + S(100), 0);
	assert_int_equal(t.wait, S(0.2));
}

static void
no_rate_is_too_slow_or_too_fast(void **state UNUSED)
{
	us_t bucket = 0;

	assert_int_equal(limit_interval(5), 200000);
	assert_int_equal(limit_interval(1e-300), 1000000000000);
	assert_int_equal(limit_interval(1e300), 0);
	assert_int_equal(limit_take(&bucket, 1e-300, 1000000, NOW, 0).wait, 0);
	assert_int_equal(limit_take(&bucket, 1e-300, 1000000, NOW, 0).wait, 0);
}

static void
a_burst_goes_at_once_after_a_pause(void **state UNUSED)
{
	us_t bucket = 0;
	int i;

	for (i = 0; i < 3; i++)
		assert_int_equal(limit_take(&bucket, 1, 3, NOW, 0).wait, 0);
	assert_int_equal(limit_take(&bucket, 1, 3, NOW, 0).wait, S(1));
	/* Two seconds later one token has come back for the one that waits, and one more. */
	assert_int_equal(limit_take(&bucket, 1, 3, NOW + S(2), 0).wait, 0);
	assert_int_equal(limit_take(&bucket, 1, 3, NOW + S(2), 0).wait, S(1));
}

static void
a_turn_stands_and_is_not_paid_twice(void **state UNUSED)
{
	struct limit_turn first, second, again;
	us_t bucket = 0, before;

	limit_take(&bucket, 1, 1, NOW, 0);
	first = limit_take(&bucket, 1, 1, NOW, 0);
	second = limit_take(&bucket, 1, 1, NOW, 0);
	before = bucket;
	again = limit_take(&bucket, 1, 1, NOW + S(0.4), first.turn);
	assert_int_equal(again.wait, S(0.6));
	again = limit_take(&bucket, 1, 1, NOW + S(2.5), second.turn);
	assert_int_equal(again.wait, 0);
	assert_int_equal(bucket, before);
}

static void
whoever_is_late_gets_another_turn(void **state UNUSED)
{
	us_t bucket = 0;
	struct limit_turn t = limit_take(&bucket, 10, 1, NOW, 0);

	bucket = NOW + S(7);
	assert_int_equal(limit_take(&bucket, 10, 1, NOW + S(5), t.turn).wait, 0);
	assert_int_equal(bucket, NOW + S(7));
	assert_int_equal(limit_take(&bucket, 10, 1, NOW + S(5.1), t.turn).wait, S(1.9));
}

static void
a_better_turn_is_taken_when_the_limit_was_raised(void **state UNUSED)
{
	us_t old = 0, fresh = 0;
	struct limit_turn t;
	int i;

	for (i = 0; i < 5; i++)
		t = limit_take(&old, 0.1, 1, NOW, 0);
	assert_int_equal(t.wait, S(40));
	t = limit_take(&fresh, 10, 1, NOW + S(1), t.turn);
	assert_int_equal(t.wait, 0);
	assert_int_equal(fresh, NOW + S(1.1));
}

static void
nobody_gets_a_turn_far_ahead(void **state UNUSED)
{
	us_t bucket = 0, before;
	struct limit_turn t;
	int given = 0;

	/* Ten a minute: a hundred of them reach ten minutes ahead. */
	do {
		before = bucket;
		t = limit_take(&bucket, 10.0 / 60, 1, NOW, 0);
		given += t.turn != 0;
	} while (t.turn != 0);
	assert_int_equal(given, 101);
	assert_true(t.wait > LIMIT_AHEAD_US);
	assert_int_equal(bucket, before);
	/* They are gone, in whatever way: the bucket is not up to more than ten minutes. */
	assert_int_equal(limit_take(&bucket, 10.0 / 60, 1, NOW + LIMIT_AHEAD_US + S(12), 0).wait, 0);
}

static void
short_waits_are_held_if_there_is_room(void **state UNUSED)
{
	struct limit_turn now = { 0 }, soon = { S(0.4), NOW }, later = { S(2.4), NOW }, none = { S(900), 0 };
	struct limit_verdict v;

	assert_int_equal(limit_decide(&now, false, 0).way, LIMIT_RUN);
	assert_int_equal(limit_decide(&soon, true, 0).way, LIMIT_HOLD);
	v = limit_decide(&soon, false, 0);
	assert_int_equal(v.way, LIMIT_LATER);
	assert_int_equal(v.delay_s, 1);
	v = limit_decide(&later, true, 0);
	assert_int_equal(v.way, LIMIT_LATER);
	assert_int_equal(v.delay_s, 2);
	assert_int_equal(limit_decide(&later, false, 0).delay_s, 3);
	assert_int_equal(limit_decide(&none, true, 0).delay_s, 300);
	v = limit_decide(&none, true, UINT64_MAX);
	assert_true(v.delay_s >= 300 && v.delay_s <= 600);
}

static void
keys_come_out_of_arguments(void **state UNUSED)
{
	static const struct {
		const char *path, *key;
	} rows[] = {
		{ "args.0", "a" },
		{ "args.1", "7" },
		{ "args.2.x", "deep" },
		{ "args.9", "" },
		{ "kwargs.tenant", "t\xc3\xa4nt" },
		{ "kwargs.user.id", "5" },
		{ "kwargs.list.1", "two" },
		{ "kwargs.none", "" },
		{ "kwargs.gone", "" },
		{ "kwargs.user", "{\"id\": 5}" },
	};
	struct span args = SPAN("[\"a\", 7, {\"x\": \"deep\"}]");
	struct span kwargs = SPAN(
		"{\"tenant\": \"t\\u00e4nt\", \"user\": {\"id\": 5}, \"list\": [1, \"two\"], \"none\": null}");
	char many[1000];
	struct buf b, wide;
	size_t i;

	buf_init(&b, 0);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&b);
		limit_add_key(&b, span_of(rows[i].path), args, kwargs);
		if (!span_is(buf_span(&b), rows[i].key))
			fail_msg("%s gives '%s', not '%s'", rows[i].path, buf_text(&b), rows[i].key);
	}
	buf_init(&wide, 0);
	memset(many, 'x', sizeof(many));
	buf_adds(&wide, "[\"");
	buf_add(&wide, (struct span){ many, sizeof(many) });
	buf_adds(&wide, "\"]");
	buf_reset(&b);
	limit_add_key(&b, SPAN("args.0"), buf_span(&wide), kwargs);
	assert_int_equal(b.len, 200);
	buf_release(&wide);
	buf_release(&b);
}

static void
paths_are_checked(void **state UNUSED)
{
	static const char *const good[] = { "args.0", "args.1.name", "kwargs.tenant", "kwargs.a.b.0" };
	static const char *const bad[] = { "", "args", "kwargs", "args.", "args.x", "args.-1", "kwargs.",
		"kwargs..a", "tenant", "headers.x" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(good); i++)
		assert_true(limit_path_is_valid(span_of(good[i])));
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(limit_path_is_valid(span_of(bad[i])));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(turns_follow_each_other_at_the_rate),
		cmocka_unit_test(no_rate_is_too_slow_or_too_fast),
		cmocka_unit_test(a_burst_goes_at_once_after_a_pause),
		cmocka_unit_test(a_turn_stands_and_is_not_paid_twice),
		cmocka_unit_test(whoever_is_late_gets_another_turn),
		cmocka_unit_test(a_better_turn_is_taken_when_the_limit_was_raised),
		cmocka_unit_test(nobody_gets_a_turn_far_ahead),
		cmocka_unit_test(short_waits_are_held_if_there_is_room),
		cmocka_unit_test(keys_come_out_of_arguments),
		cmocka_unit_test(paths_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
