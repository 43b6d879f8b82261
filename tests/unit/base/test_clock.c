#include "base/clock.h"

#include "lib/t.h"

static void
real_clocks_go_on(void **state UNUSED)
{
	int64_t a = clock_mono_us(), b = clock_mono_us();

	assert_true(a > 0 && b >= a);
	assert_in_range(clock_mono_ms() - a / 1000, 0, 60000);
	assert_in_range(clock_wall_us() / 1000000 - time(NULL) + 2, 0, 4);
}

static void
fake_clocks_stand_still(void **state UNUSED)
{
	clock_fake(5000, 7);
	assert_int_equal(clock_mono_us(), 5000);
	assert_int_equal(clock_mono_ms(), 5);
	assert_int_equal(clock_wall_us(), 7);
	clock_real();
	assert_true(clock_wall_us() > 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_clocks_go_on),
		cmocka_unit_test(fake_clocks_stand_still),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
