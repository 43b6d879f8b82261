/* Fields and the times they stand for, in UTC; zones are compared with others in tests/conformance. */
#include "core/cron.h"

#include "base/text.h"
#include "lib/t.h"

static int64_t
seconds(const char *time)
{
	us_t us;

	assert_true(text_parse_time(span_of(time), &us));
	return us / 1000000;
}

static struct cron
parsed(enum cron_rules rules, const char *fields)
{
	struct cron c;
	struct errtext t;

	if (cron_parse(&c, rules, span_of(fields), &t) != E_OK)
		fail_msg("%s: %s", fields, t.text);
	return c;
}

static void
follows(enum cron_rules rules, const char *fields, const char *after, const char *expected)
{
	struct cron c = parsed(rules, fields);
	char got[TEXT_TIME_MAX];

	text_format_time(cron_next(&c, NULL, seconds(after)) * 1000000, got);
	got[16] = '\0';
	if (strcmp(got, expected) != 0)
		fail_msg("%s after %s: %s, not %s", fields, after, got, expected);
}

static void
finds_the_next_time(void **state UNUSED)
{
	static const struct {
		const char *fields, *after, *expected;
	} rows[] = {
		{ "* * * * *", "2026-11-21T02:56:00", "2026-11-21T02:57" },
		{ "* * * * *", "2026-11-21T02:56:59.9", "2026-11-21T02:57" },
		{ "*/15 * * * *", "2026-11-21T23:45:00", "2026-11-22T00:00" },
		{ "0 2 * * *", "2026-11-21T01:59:59", "2026-11-21T02:00" },
		{ "0 2 * * *", "2026-11-21T02:00:00", "2026-11-22T02:00" },
		{ "5,50 9-17/4 * * *", "2026-11-21T09:50:00", "2026-11-21T13:05" },
		{ "0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00" },
		{ "0 0 29 2 *", "2097-01-01T00:00:00", "2104-02-29T00:00" },
		{ "0 0 31 * *", "2026-01-31T00:00:00", "2026-03-31T00:00" },
		{ "0 22-2 * * *", "2026-11-21T02:00:00", "2026-11-21T22:00" },
		{ "0 0 * * fri-mon", "2026-11-23T00:00:00", "2026-11-27T00:00" },
		{ "0 0 * * 7", "2026-11-21T00:00:00", "2026-11-22T00:00" },
		{ "0 0 * * 0", "2026-11-21T00:00:00", "2026-11-22T00:00" },
		{ "0 0 * * Sunday", "2026-11-21T00:00:00", "2026-11-22T00:00" },
		{ "0 0 * * sat-7", "2026-11-21T00:00:00", "2026-11-22T00:00" },
		{ "0 0 * * 7-1", "2026-11-22T00:00:00", "2026-11-23T00:00" },
		{ "0 0 1 JAN,jul *", "2026-01-01T00:00:00", "2026-07-01T00:00" },
		{ " 0\t0 1 december *  ", "2026-01-01T00:00:00", "2026-12-01T00:00" },
		{ "@weekly", "2026-11-21T00:00:00", "2026-11-22T00:00" },
		{ "@Hourly", "2026-11-21T00:00:00", "2026-11-21T01:00" },
		{ "@yearly", "1960-11-21T00:00:00", "1961-01-01T00:00" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		follows(CRON_OURS, rows[i].fields, rows[i].after, rows[i].expected);
}

/* 1 November 2026 is a Sunday. */
static void
days_are_either_or_both(void **state UNUSED)
{
	/* Both restricted: cron takes either, Celery both. */
	follows(CRON_OURS, "0 0 10 * mon", "2026-11-01T00:00:00", "2026-11-02T00:00");
	follows(CRON_OURS, "0 0 10 * mon", "2026-11-09T00:00:00", "2026-11-10T00:00");
	follows(CRON_CELERY, "0 0 1-7 * mon", "2026-11-02T00:00:00", "2026-12-07T00:00");
	/* One begins with a star: both have to fit. */
	follows(CRON_OURS, "0 0 */2 * mon", "2026-11-01T00:00:00", "2026-11-09T00:00");
	follows(CRON_OURS, "0 0 10 * */7", "2026-11-01T00:00:00", "2027-01-10T00:00");
}

static void
says_what_is_wrong(void **state UNUSED)
{
	static const struct {
		enum cron_rules rules;
		const char *fields, *why;
	} rows[] = {
		{ CRON_OURS, "", "five fields are needed (minute hour day-of-month month day-of-week), not 0" },
		{ CRON_OURS, "0 0 * * * *",
			"five fields are needed (minute hour day-of-month month day-of-week), not 6" },
		{ CRON_OURS, "60 * * * *", "minute: 60 is not within 0-59" },
		{ CRON_OURS, "* * 0 * *", "day of month: 0 is not within 1-31" },
		{ CRON_OURS, "* * * * 8", "day of week: 8 is not within 0-7" },
		{ CRON_CELERY, "* * * * 7", "day of week: 7 is not within 0-6 (for Celery Sunday is 0)" },
		{ CRON_OURS, "*/0 * * * *", "minute: the step behind the / must be a number from 1" },
		{ CRON_OURS, "*/ * * * *", "minute: the step behind the / must be a number from 1" },
		{ CRON_OURS, "5/15 * * * *", "minute: a step needs a range: write 5-59/15" },
		{ CRON_OURS, "1,,2 * * * *", "minute: there is nothing between two commas" },
		{ CRON_OURS, "* x * * *", "hour: 'x' is no number" },
		{ CRON_OURS, "* * * * monkey", "day of week: 'monkey' is no number and no name" },
		{ CRON_OURS, "* * * * mon#1", "day of week: 'mon#1' is no number and no name" },
		{ CRON_OURS, "* +5 * * *", "hour: '+5' is no number" },
		{ CRON_OURS, "* 99999999999999999999 * * *", "hour: '99999999999999999999' is no number" },
		{ CRON_OURS, "0 0 30 feb *", "no month has such a day: this would never run" },
		{ CRON_OURS, "0 0 31 4,6,9,11 *", "no month has such a day: this would never run" },
		{ CRON_OURS, "@reboot",
			"'@reboot' is not known; there are @hourly @daily @weekly @monthly @yearly" },
		{ CRON_CELERY, "@daily",
			"five fields are needed (minute hour day-of-month month day-of-week), not 1" },
	};
	struct cron c;
	struct errtext t;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(cron_parse(&c, rows[i].rules, span_of(rows[i].fields), &t), E_CONF);
		assert_string_equal(t.text, rows[i].why);
	}
	/* A day that no such month has does not matter when the day of the week is enough. */
	follows(CRON_OURS, "0 0 31 2 mon", "2026-01-01T00:00:00", "2026-02-02T00:00");
}

static void
names_for_celery_are_three_letters(void **state UNUSED)
{
	follows(CRON_CELERY, "0 0 * * monkey", "2026-11-21T00:00:00", "2026-11-23T00:00");
	follows(CRON_CELERY, "10-5/20 * * * *", "2026-11-21T00:10:00", "2026-11-21T00:30");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_next_time),
		cmocka_unit_test(days_are_either_or_both),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(names_for_celery_are_three_letters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
