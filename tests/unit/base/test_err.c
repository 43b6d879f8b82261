#include "base/err.h"

#include "lib/t.h"

#include <errno.h>

static void
set_returns_the_code_and_writes_the_words(void **state UNUSED)
{
	struct errtext t;

	assert_int_equal(err_set(&t, E_CONF, "pool %s: %d slots", "gpu", 0), E_CONF);
	assert_string_equal(t.text, "pool gpu: 0 slots");
	assert_int_equal(err_set(NULL, E_AGAIN, "x"), E_AGAIN);
}

static void
sys_adds_what_errno_says_and_keeps_it(void **state UNUSED)
{
	struct errtext t;

	errno = ENOENT;
	assert_int_equal(err_sys(&t, "cannot open %s", "x"), E_SYS);
	assert_string_equal(t.text, "cannot open x: No such file or directory");
	assert_int_equal(errno, ENOENT);
	assert_int_equal(err_sys(NULL, "x"), E_SYS);
}

static void
prefix_goes_before_the_words(void **state UNUSED)
{
	struct errtext t;

	err_set(&t, E_FORMAT, "not JSON");
	assert_int_equal(err_prefix(&t, E_FORMAT, "task %s", "add"), E_FORMAT);
	assert_string_equal(t.text, "task add: not JSON");
	assert_int_equal(err_prefix(NULL, E_NOMEM, "x"), E_NOMEM);
}

static void
long_words_are_cut(void **state UNUSED)
{
	char words[600];
	struct errtext t;

	memset(words, 'x', sizeof(words) - 1);
	for (size_t len = 500; len < sizeof(words); len++) {
		err_set(&t, E_CONF, "%.*s", (int)len, words);
		assert_true(strlen(t.text) < sizeof(t.text));
		err_prefix(&t, E_CONF, "%.*s", (int)len, words);
		assert_true(strlen(t.text) < sizeof(t.text));
		assert_memory_equal(t.text, words, 500);
	}
	err_set(&t, E_CONF, "%.*s", 511, words);
	err_prefix(&t, E_CONF, "p");
	assert_int_equal(strlen(t.text), 511);
	assert_memory_equal(t.text, "p: xx", 5);
}

static void
each_code_has_a_name(void **state UNUSED)
{
	for (int e = E_OK; e <= E_SYS; e++) {
		assert_non_null(err_name((enum err)e));
		assert_string_not_equal(err_name((enum err)e), "unknown error");
	}
	assert_string_equal(err_name((enum err)99), "unknown error");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_returns_the_code_and_writes_the_words),
		cmocka_unit_test(sys_adds_what_errno_says_and_keeps_it),
		cmocka_unit_test(prefix_goes_before_the_words),
		cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(each_code_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
