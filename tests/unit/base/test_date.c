#include "base/date.h"

#include <math.h>

#include "lib/t.h"

static void
every_day_has_its_number(void **state UNUSED)
{
	struct date d = { -4, 1, 1 }, got;

	/* 3,000 years day by day, through four centuries of each kind. */
	for (int64_t days = date_to_days(-4, 1, 1); d.year < 3000; days++) {
		got = date_of_days(days);
		assert_int_equal(got.year, d.year);
		assert_int_equal(got.month, d.month);
		assert_int_equal(got.day, d.day);
		assert_int_equal(date_to_days(d.year, d.month, d.day), days);
		if (++d.day > date_days_in(d.year, d.month)) {
			d.day = 1;
			d.year += d.month == 12;
			d.month = d.month % 12 + 1;
		}
	}
}

static void
known_days(void **state UNUSED)
{
	assert_int_equal(date_to_days(1970, 1, 1), 0);
	assert_int_equal(date_to_days(2026, 11, 21), 20778);
	assert_int_equal(date_weekday(0), 4);
	assert_int_equal(date_weekday(20778), 6);
	assert_int_equal(date_weekday(-5), 6);
	assert_int_equal(date_days_in(1900, 2), 28);
	assert_int_equal(date_days_in(2000, 2), 29);
	assert_int_equal(date_days_in(2024, 2), 29);
}

static void
division_rounds_down(void **state UNUSED)
{
	assert_int_equal(date_floor_div(7, 2), 3);
	assert_int_equal(date_floor_div(-7, 2), -4);
	assert_int_equal(date_floor_div(-8, 2), -4);
	assert_int_equal(date_floor_div(0, 2), 0);
}

static void
a_time_stays_within_calendars(void **state UNUSED)
{
	const us_t now = INT64_C(1800000000) * 1000000, last = INT64_C(253402300799) * 1000000;

	assert_int_equal(date_after(now, 1.5), now + 1500000);
	assert_int_equal(date_after(now, -1.5), now - 1500000);
	assert_int_equal(date_after(now, 1e13), last);
	assert_int_equal(date_after(now, (double)INFINITY), last);
	assert_int_equal(date_after(now, (double)NAN), last);
	assert_int_equal(date_after(now, -1e13), 1);
	assert_int_equal(date_after(now, -1.8e9), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_day_has_its_number),
		cmocka_unit_test(known_days),
		cmocka_unit_test(division_rounds_down),
		cmocka_unit_test(a_time_stays_within_calendars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
