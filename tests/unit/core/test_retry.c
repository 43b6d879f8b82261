/* Whether and when a task runs again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rule.h"

static const struct retry_wish nothing = { .max_retries = INT64_MIN };

static void
retry_stops_at_max(void **state)
{
	struct retry_rule rule = task_rule_default.retry;

	(void)state;
	assert_true(retry_decide(&rule, &nothing, 2, 0).again);
	assert_false(retry_decide(&rule, &nothing, 3, 0).again);
	rule.max_retries = -1;
	assert_true(retry_decide(&rule, &nothing, 1000000, 0).again);
}

static void
wish_of_the_task_wins(void **state)
{
	struct retry_wish wish = { .has_delay = true, .delay_s = 5, .max_retries = 10 };
	struct retry_verdict v = retry_decide(&task_rule_default.retry, &wish, 9, 0);

	(void)state;
	assert_true(v.again);
	assert_true(v.delay_s == 5);
	assert_false(retry_decide(&task_rule_default.retry, &wish, 10, 0).again);
	wish.delay_s = -3;
	assert_true(retry_decide(&task_rule_default.retry, &wish, 0, 0).delay_s == 0);
}

static void
backoff_doubles_up_to_its_cap(void **state)
{
	struct retry_rule rule = task_rule_default.retry;

	(void)state;
	rule.backoff_s = 1;
	rule.jitter = false;
	rule.max_retries = -1;
	assert_true(retry_decide(&rule, &nothing, 0, 0).delay_s == 1);
	assert_true(retry_decide(&rule, &nothing, 5, 0).delay_s == 32);
	assert_true(retry_decide(&rule, &nothing, 5000, 0).delay_s == 600);
	rule.jitter = true;
	for (uint64_t r = 1; r < UINT64_MAX / 3; r *= 3) {
		double d = retry_decide(&rule, &nothing, 5, r).delay_s;

		assert_true(d >= 0 && d < 32);
	}
}

static void
rule_covers_error_types_by_pattern(void **state)
{
	static const char *const errors[] = { "OSError", "requests.exceptions.*", NULL };
	struct retry_rule rule = task_rule_default.retry;

	(void)state;
	assert_false(retry_covers(&rule, SPAN("OSError"), SPAN("builtins")));
	rule.errors = errors;
	assert_true(retry_covers(&rule, SPAN("OSError"), SPAN("builtins")));
	assert_true(retry_covers(&rule, SPAN("Timeout"), SPAN("requests.exceptions")));
	assert_false(retry_covers(&rule, SPAN("Timeout"), SPAN("socket")));
}

static void
given_back_again_and_again_it_takes_ever_longer_with_a_bound(void **state)
{
	(void)state;
	assert_int_equal(retry_requeue_delay_s(0, 12345), 0);
	assert_int_equal(retry_requeue_delay_s(1, 12345), 1);
	assert_int_equal(retry_requeue_delay_s(4, 0), 8);
	for (uint64_t r = 0; r < 1000; r++) {
		assert_in_range(retry_requeue_delay_s(4, r), 4, 8);
		assert_in_range(retry_requeue_delay_s(1000000, r), 30, 60);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(retry_stops_at_max),
		cmocka_unit_test(wish_of_the_task_wins),
		cmocka_unit_test(backoff_doubles_up_to_its_cap),
		cmocka_unit_test(given_back_again_and_again_it_takes_ever_longer_with_a_bound),
		cmocka_unit_test(rule_covers_error_types_by_pattern),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
