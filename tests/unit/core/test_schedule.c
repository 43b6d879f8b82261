#include "core/schedule.h"

#include "lib/t.h"

#define S INT64_C(1000000)

static const struct schedule every_ten = {
	.kind = SCHEDULE_EVERY, .every = 10 * S, .start = INT64_MIN, .end = INT64_MAX
};

static struct schedule
cron(const char *fields)
{
	struct schedule s = { .kind = SCHEDULE_CRON, .start = INT64_MIN, .end = INT64_MAX };

	assert_ok(cron_parse(&s.cron, CRON_OURS, span_of(fields), NULL));
	return s;
}

static void
intervals_lie_on_a_grid(void **state UNUSED)
{
	struct schedule s = every_ten;

	assert_int_equal(schedule_next(&s, 0), 10 * S);
	assert_int_equal(schedule_next(&s, 10 * S - 1), 10 * S);
	assert_int_equal(schedule_next(&s, 10 * S), 20 * S);
	assert_int_equal(schedule_next(&s, -1), 0);
	s.anchor = 3 * S;
	assert_int_equal(schedule_next(&s, 0), 3 * S);
	assert_int_equal(schedule_next(&s, -18 * S), -17 * S);
}

static void
start_and_end_bound(void **state UNUSED)
{
	struct schedule s = every_ten;

	s.start = 20 * S;
	s.end = 40 * S;
	assert_int_equal(schedule_next(&s, 0), 20 * S);
	assert_int_equal(schedule_next(&s, 20 * S), 30 * S);
	assert_true(schedule_next(&s, 30 * S) == SCHEDULE_NEVER);
	assert_int_equal(schedule_latest(&s, 0, 1000 * S), 30 * S);
}

static void
once_is_once(void **state UNUSED)
{
	struct schedule s = every_ten;

	s.kind = SCHEDULE_ONCE;
	s.anchor = 5 * S;
	assert_int_equal(schedule_next(&s, 0), 5 * S);
	assert_true(schedule_next(&s, 5 * S) == SCHEDULE_NEVER);
	assert_int_equal(schedule_latest(&s, 0, 5 * S), 5 * S);
	assert_true(schedule_latest(&s, 5 * S, 50 * S) == SCHEDULE_NEVER);
}

/* The latest is the last one before the one that comes after. */
static void
latest_is_next_to_next(void **state UNUSED)
{
	static const char *const specs[] = { "*/7 * * * *", "0 2 * * *", "* 0 1 1 *", "30 4 29 2 *",
		"15 3 13 * fri" };
	uint64_t random = 7;

	for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
		struct schedule s = cron(specs[i]);

		for (int n = 0; n < 200; n++) {
			us_t after, until, latest;

			random = random * 6364136223846793005u + 1442695040888963407u;
			after = (us_t)(random >> 34) * S / 2;
			until = after + (us_t)(random % 90000) * 60 * S + (us_t)(random % 7) * 100000;
			latest = schedule_latest(&s, after, until);
			if (schedule_next(&s, after) > until)
				assert_true(latest == SCHEDULE_NEVER);
			else {
				assert_true(latest > after && latest <= until);
				assert_int_equal(schedule_next(&s, latest - 1), latest);
				assert_true(schedule_next(&s, latest) > until);
			}
		}
	}
}

static void
cron_counts_whole_seconds(void **state UNUSED)
{
	struct schedule s = cron("* * * * *");

	assert_int_equal(schedule_next(&s, 60 * S - 1), 60 * S);
	assert_int_equal(schedule_next(&s, 60 * S), 120 * S);
	assert_int_equal(schedule_next(&s, 60 * S + 999999), 120 * S);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intervals_lie_on_a_grid),
		cmocka_unit_test(start_and_end_bound),
		cmocka_unit_test(once_is_once),
		cmocka_unit_test(latest_is_next_to_next),
		cmocka_unit_test(cron_counts_whole_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
