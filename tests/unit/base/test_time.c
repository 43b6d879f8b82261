#include "base/text.h"

#include "lib/t.h"

static const struct {
	const char *text;
	us_t us;
} times[] = {
	{ "1970-01-01T00:00:00+00:00", 0 },
	{ "2026-11-21T02:56:00.651564+00:00", 1795229760651564 },
	{ "2024-02-29T23:59:59+00:00", 1709251199000000 },
	{ "1969-12-31T23:59:59.999999+00:00", -1 },
	{ "0001-01-01T00:00:00+00:00", -62135596800000000 },
	{ "9999-12-31T23:59:59.999999+00:00", 253402300799999999 },
	{ "2000-03-01T00:00:00+00:00", 951868800000000 },
	{ "1900-02-28T12:00:00.000001+00:00", -2203934399999999 },
};

static void
reads_what_it_writes(void **state UNUSED)
{
	char text[TEXT_TIME_MAX];
	us_t us;

	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		assert_true(text_parse_time(span_of(times[i].text), &us));
		assert_int_equal(us, times[i].us);
		assert_int_equal(text_format_time(us, text), strlen(times[i].text));
		assert_string_equal(text, times[i].text);
	}
	text_format_time(INT64_MIN, text);
	assert_string_equal(text, times[4].text);
	text_format_time(INT64_MAX, text);
	assert_string_equal(text, times[5].text);
}

static void
every_day_has_its_number(void **state UNUSED)
{
	const us_t day = INT64_C(86400000000);
	char text[TEXT_TIME_MAX], before[TEXT_TIME_MAX] = "";
	us_t us;

	for (us_t t = times[4].us; t <= times[5].us; t += day) {
		text_format_time(t, text);
		assert_true(strcmp(before, text) < 0);
		assert_true(text_parse_time(span_of(text), &us));
		assert_int_equal(us, t);
		memcpy(before, text, sizeof(text));
	}
	assert_memory_equal(before, "9999-12-31", 10);
}

static void
other_forms_mean_the_same(void **state UNUSED)
{
	static const char *const same[] = { "2026-11-21T02:56:00Z", "2026-11-21 02:56:00",
		"2026-11-21T02:56:00", "2026-11-21T02:56", "2026-11-21t02:56:00z", "2026-11-21T04:56:00+02:00",
		"2026-11-21T04:56:00+0200", "2026-11-21T04:56+02", "2026-11-20T21:26:00-05:30",
		"2026-11-21T02:56:00.0000009", "2026-11-21T02:56:00,000Z", "2026-11-21T03:49:28+00:53:28" };
	us_t us;

	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		us = 0;
		if (!text_parse_time(span_of(same[i]), &us) || us != 1795229760000000)
			print_error("wrong: %s\n", same[i]);
		assert_int_equal(us, 1795229760000000);
	}
	assert_true(text_parse_time(SPAN("2026-11-21"), &us));
	assert_int_equal(us, 1795219200000000);
	assert_true(text_parse_time(SPAN("2026-11-21T02:56:00.5"), &us));
	assert_int_equal(us, 1795229760500000);
}

static void
what_is_no_time_is_refused(void **state UNUSED)
{
	static const char *const bad[] = { "", "2026", "2026-11", "2026-11-21T", "2026-11-21T02",
		"2026-11-21T02:5", "2026-11-21T02:56:", "2026-11-21T02:56:00.", "2026-11-21T24:00:00",
		"2026-11-21T02:60:00", "2026-11-21T02:56:60", "2026-13-01", "2026-00-01", "2026-02-29",
		"2026-04-31", "2026-01-00", "0000-01-01", "1900-02-29", "2026-11-21T02:56:00+",
		"2026-11-21T02:56:00+24:00", "2026-11-21T02:56:00+02:", "2026-11-21T02:56:00Zx",
		"2026-11-21T02:56:00 ", " 2026-11-21", "20261121T025600Z", "2026-11-21T02:56:00+02:0",
		"0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "+2026-11-21",
		"2026-11-21T-2:56:00" };
	us_t us = 77;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (text_parse_time(span_of(bad[i]), &us))
			print_error("taken: %s\n", bad[i]);
		assert_int_equal(us, 77);
	}
	assert_false(text_parse_time(SPAN_NONE, &us));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_writes),
		cmocka_unit_test(every_day_has_its_number),
		cmocka_unit_test(other_forms_mean_the_same),
		cmocka_unit_test(what_is_no_time_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
