/*
 * Torture: a function runs once undisturbed, then again and again with its 1st, 2nd, ... allocation (and all
 * later ones) failing. Each time it must come back with E_NOMEM, or with E_OK when it could do without; the
 * sanitizer build shows what it leaks or touches on the way.
 */
#ifndef WARREN_TESTS_TORTURE_H
#define WARREN_TESTS_TORTURE_H

#include "base/alloc.h"
#include "lib/t.h"

static inline void
torture(enum err (*fn)(void *arg), void *arg)
{
	uint64_t before = alloc_count(), n;
	enum err e;

	assert_ok(fn(arg));
	n = alloc_count() - before;
	assert_true(n > 0); /* nothing to torture is a mistake in the test */
	for (uint64_t nth = 1; nth <= n; nth++) {
		alloc_fail_after(nth);
		e = fn(arg);
		alloc_fail_after(0);
		if (e != E_NOMEM && e != E_OK) {
			print_error("allocation %llu of %llu failed: got \"%s\"\n", (unsigned long long)nth,
				(unsigned long long)n, err_name(e));
			fail();
		}
		if (nth == 1)
			assert_int_equal(e, E_NOMEM);
	}
	assert_ok(fn(arg));
}

#endif
