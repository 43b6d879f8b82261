/* Words of a command line become the arguments of a request. What is printed for answers is tested by tests/integration/test_remote.py. */
#include "cli/remote.h"

#include "lib/t.h"

#define WORDS(...) (const char *const[]){ __VA_ARGS__ }, ARRAY_LEN(((const char *const[]){ __VA_ARGS__ }))

static int
args_of(struct buf *b, const char *name, const char *const *words, size_t n, const struct remote_flags *f)
{
	static const struct remote_flags none;
	const struct remote_cmd *cmd = NULL;
	size_t i;

	for (i = 0; i < n_remote_cmds; i++)
		if (strcmp(remote_cmds[i].name, name) == 0)
			cmd = &remote_cmds[i];
	assert_non_null(cmd);
	buf_reset(b);
	return remote_add_args(b, cmd, words, n, f != NULL ? f : &none);
}

static void
words_become_arguments(void **state UNUSED)
{
	const struct remote_flags flags = { .terminate = true, .signal = "sigkill" },
				  of_pool = { .pool = "gpu" };
	struct buf b;

	buf_init(&b, 0);
	assert_int_equal(args_of(&b, "ping", NULL, 0, NULL), 0);
	assert_buf(&b, "{}");
	assert_int_equal(args_of(&b, "rate_limit", WORDS("t.add", "10/m"), NULL), 0);
	assert_buf(&b, "{\"task_name\": \"t.add\", \"rate_limit\": \"10/m\"}");
	assert_int_equal(args_of(&b, "time_limit", WORDS("t.add", "1.5", "1min"), NULL), 0);
	assert_buf(&b, "{\"task_name\": \"t.add\", \"soft\": 1.5, \"hard\": 60.0}");
	assert_int_equal(args_of(&b, "pool_grow", WORDS("3"), NULL), 0);
	assert_buf(&b, "{\"n\": 3}");
	assert_int_equal(args_of(&b, "pool_grow", NULL, 0, &of_pool), 0);
	assert_buf(&b, "{\"pool\": \"gpu\"}");
	assert_int_equal(args_of(&b, "add_consumer", WORDS("q"), &of_pool), 0);
	assert_buf(&b, "{\"queue\": \"q\", \"pool\": \"gpu\"}");
	assert_int_equal(args_of(&b, "conf", WORDS("all"), NULL), 0);
	assert_buf(&b, "{\"with_defaults\": true}");
	assert_int_equal(args_of(&b, "revoke", WORDS("a", "b"), &flags), 0);
	assert_buf(&b, "{\"task_id\": [\"a\", \"b\"], \"terminate\": true, \"signal\": \"SIGKILL\"}");
	assert_int_equal(args_of(&b, "terminate", WORDS("9", "a"), NULL), 0);
	assert_buf(&b, "{\"signal\": 9, \"task_id\": [\"a\"]}");
	buf_release(&b);
}

static void
values_of_one_stamp_stand_together(void **state UNUSED)
{
	struct buf b;

	buf_init(&b, 0);
	assert_int_equal(args_of(&b, "revoke_by_stamped_headers",
				 WORDS("tenant=a", "batch=1", "tenant=b=c", "ten=x"), NULL),
		0);
	assert_buf(&b,
		"{\"headers\": {\"tenant\": [\"a\", \"b=c\"], \"batch\": [\"1\"], \"ten\": [\"x\"]}, \"terminate\": false}");
	buf_release(&b);
}

static void
what_does_not_fit_is_refused(void **state UNUSED)
{
	const struct remote_flags terminate = { .terminate = true }, odd = { .signal = "KILL ME" },
				  of_pool = { .pool = "gpu" };
	struct buf b;

	buf_init(&b, 0);
	assert_int_equal(args_of(&b, "ping", WORDS("x"), NULL), EXIT_USAGE);
	assert_int_equal(args_of(&b, "rate_limit", WORDS("t.add"), NULL), EXIT_USAGE);
	assert_int_equal(args_of(&b, "pool_grow", WORDS("0"), NULL), EXIT_USAGE);
	assert_int_equal(args_of(&b, "pool_grow", WORDS("1", "2"), NULL), EXIT_USAGE);
	assert_int_equal(args_of(&b, "conf", WORDS("some"), NULL), EXIT_USAGE);
	assert_int_equal(args_of(&b, "query_task", NULL, 0, NULL), EXIT_USAGE);
	assert_int_equal(args_of(&b, "time_limit", WORDS("t.add", "soon"), NULL), EXIT_USAGE);
	assert_int_equal(args_of(&b, "revoke_by_stamped_headers", WORDS("=a"), NULL), EXIT_USAGE);
	assert_int_equal(args_of(&b, "ping", NULL, 0, &terminate), EXIT_USAGE);
	assert_int_equal(args_of(&b, "revoke", WORDS("a"), &odd), EXIT_USAGE);
	assert_int_equal(args_of(&b, "rate_limit", WORDS("t.add", "1/s"), &of_pool), EXIT_USAGE);
	buf_release(&b);
}

static void
every_command_is_named_once_and_fits_the_help(void **state UNUSED)
{
	struct span rest, line;
	struct buf b;
	size_t i, k;

	buf_init(&b, 0);
	for (i = 0; i < n_remote_cmds; i++)
		for (k = 0; k < i; k++)
			assert_string_not_equal(remote_cmds[i].name, remote_cmds[k].name);
	remote_add_help(&b, false);
	remote_add_help(&b, true);
	for (rest = buf_span(&b); rest.ptr != NULL;) {
		line = span_split(&rest, '\n');
		assert_true(line.len <= 110);
	}
	for (i = 0; i < n_remote_cmds; i++)
		assert_non_null(strstr(buf_text(&b), remote_cmds[i].name));
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_become_arguments),
		cmocka_unit_test(values_of_one_stamp_stand_together),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(every_command_is_named_once_and_fits_the_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
