/* Memory of processes that are there for it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/usage.h"

#define MIB (1024 * 1024)

/* A child, and its child, and so on, in sessions of their own, that each take 8 MiB. */
static void
be_a_tree(int depth, int ready)
{
	do {
		char *memory = malloc(8 * MIB);

		memset(memory, 1, 8 * MIB);
		if (write(ready, "x", 1) != 1)
			_exit(1);
	} while (--depth > 0 && fork() == 0 && setsid() > 0);
	/* Not for ever, should the test die. */
	alarm(30);
	pause();
	_exit(0);
}

static void
tree_counts_all_of_its_processes(void **state)
{
	int ready[2], status;
	int64_t one, all;
	char c[3];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		be_a_tree(3, ready[1]);
	for (int i = 0; i < 3; i++)
		assert_int_equal(read(ready[0], &c[i], 1), 1);
	one = usage_rss(pid);
	all = usage_tree_rss(pid);
	assert_true(one >= 8 * MIB);
	/* The second has its own and what it was forked with, of which it may have lost some by now. */
	assert_true(all >= one + 2 * 8 * MIB);
	assert_true(usage_tree_rss(getpid()) >= all);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(ready[0]);
	close(ready[1]);
}

static void
who_is_gone_takes_nothing(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(usage_rss(pid), 0);
	assert_int_equal(usage_tree_rss(pid), 0);
	assert_int_equal(usage_tree_rss(-1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tree_counts_all_of_its_processes),
		cmocka_unit_test(who_is_gone_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
