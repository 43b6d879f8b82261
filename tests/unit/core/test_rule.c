/* Rules of tasks: which one counts, and how rates are written. */
#include "core/rule.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
the_first_that_fits_counts_and_overrides_go_before(void **state UNUSED)
{
	static const struct task_rule rules[] = { { .pattern = "a.b", .max_lost = 1 },
		{ .pattern = "a.*", .max_lost = 2 } };
	struct task_rule over = { .pattern = "a.b", .max_lost = 9 }, *overrides[] = { &over };
	struct task_rules r = { .fallback = task_rule_default, .rules = rules, .count = ARRAY_LEN(rules) };

	assert_int_equal(task_rules_find(&r, SPAN("a.b"))->max_lost, 1);
	assert_int_equal(task_rules_find(&r, SPAN("a.c"))->max_lost, 2);
	assert_ptr_equal(task_rules_find(&r, SPAN("b")), &r.fallback);
	r.overrides = overrides;
	r.n_overrides = 1;
	assert_int_equal(task_rules_find(&r, SPAN("a.b"))->max_lost, 9);
}

static void
rates_are_read_as_celery_writes_them(void **state UNUSED)
{
	static const struct {
		const char *text;
		double per_s;
	} good[] = { { "", 0 }, { "0", 0 }, { "10", 10 }, { "10/s", 10 }, { "90/m", 1.5 }, { "36000/h", 10 },
		{ "0.5/s", 0.5 } };
	static const char *const bad[] = { "/s", "x/s", "1/d", "1/", "-1/s", "1/s/s", "1 /s" };
	double per_s;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(rule_parse_rate(span_of(good[i].text), &per_s));
		assert_true(per_s == good[i].per_s);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(rule_parse_rate(span_of(bad[i]), &per_s));
}

static void
rates_are_shown_in_the_unit_they_were_meant_in(void **state UNUSED)
{
	static const char *const rates[] = { "10/s", "10/m", "100/m", "1000/h", "1/h", "0.5/s", "2.5/s" };
	char text[RULE_RATE_MAX];
	double per_s;

	for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
		assert_true(rule_parse_rate(span_of(rates[i]), &per_s));
		rule_format_rate(per_s, text);
		if (strcmp(rates[i], "0.5/s") == 0)
			assert_string_equal(text, "30/m");
		else
			assert_string_equal(text, rates[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_fits_counts_and_overrides_go_before),
		cmocka_unit_test(rates_are_read_as_celery_writes_them),
		cmocka_unit_test(rates_are_shown_in_the_unit_they_were_meant_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
