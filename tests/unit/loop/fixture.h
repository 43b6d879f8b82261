/* What the tests of loop/ share: cmocka, a loop, and turning it until a condition holds. */
#ifndef WARREN_TESTS_LOOP_FIXTURE_H
#define WARREN_TESTS_LOOP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "loop/loop.h"

/* Takes turns until cond holds; fails the test when it has not after some seconds. */
#define TURN_UNTIL(l, cond) \
	do { \
		int64_t until_ = clock_mono_us() + 10 * 1000 * 1000; \
		while (!(cond)) { \
			if (clock_mono_us() > until_) \
				fail_msg("%s", "waited in vain for " #cond); \
			loop_turn((l), 100); \
		} \
	} while (0)

static inline int
fixture_loop(void **state)
{
	*state = loop_new(NULL);
	return *state ? 0 : -1;
}

static inline int
fixture_loop_free(void **state)
{
	clock_real();
	loop_free(*state);
	return 0;
}

#define LOOP_TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_loop, fixture_loop_free)

#endif
