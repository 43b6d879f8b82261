#include "base/backoff.h"

#include "lib/t.h"

/* The largest delay that some random number gives. */
static ms_t
bound_of(ms_t base, ms_t cap, unsigned attempt)
{
	ms_t low = backoff_full_jitter(base, cap, attempt, 0), d;

	assert_int_equal(low, 1);
	for (uint64_t r = 1; (d = backoff_full_jitter(base, cap, attempt, r)) > low; r++)
		low = d;
	return low;
}

static void
the_bound_doubles_up_to_the_cap(void **state UNUSED)
{
	static const ms_t bounds[] = { 100, 100, 200, 400, 800, 1000, 1000 };

	for (unsigned i = 0; i < ARRAY_LEN(bounds); i++)
		assert_int_equal(bound_of(100, 1000, i), bounds[i]);
	assert_int_equal(bound_of(100, 50, 1), 50);
	assert_int_equal(bound_of(100, 1000, 4000000000u), 1000);
}

static void
odd_settings_do_no_harm(void **state UNUSED)
{
	assert_int_equal(backoff_full_jitter(0, 0, 1, 12345), 1);
	assert_int_equal(backoff_full_jitter(0, 1000, 4000000000u, 12345), 1);
	assert_int_equal(backoff_full_jitter(-5, 1000, 3, 12345), 1);
	assert_in_range(backoff_full_jitter(3, INT64_MAX, 100, UINT64_MAX), 1, INT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bound_doubles_up_to_the_cap),
		cmocka_unit_test(odd_settings_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
