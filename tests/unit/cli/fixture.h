/* A command line's configuration and what was said of it, for the tests of what settings become. */
#ifndef WARREN_TESTS_CLI_FIXTURE_H
#define WARREN_TESTS_CLI_FIXTURE_H

#include "cli/cmd.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
	struct cli cli;
	struct errtext t;
};

static inline int
setup(void **state)
{
	struct fixture *f = alloc_zero(sizeof(*f));

	assert_non_null(f);
	arena_init(&f->cli.arena, 0);
	assert_int_equal(conf_init(&f->cli.conf), E_OK);
	*state = f;
	return 0;
}

static inline int
teardown(void **state)
{
	struct fixture *f = *state;

	conf_release(&f->cli.conf);
	arena_release(&f->cli.arena);
	alloc_free(f);
	return 0;
}

#endif
