#include "host/host.h"

#include "lib/t.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs host_exec in a child; its exit code, and its output in text. */
static int
run(char text[512])
{
	char *argv[] = { "runner", "./a b.so", NULL };
	int fds[2], status;
	ssize_t n, len = 0;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		_exit(host_exec(2, argv));
	}
	close(fds[1]);
	while ((n = read(fds[0], text + len, (size_t)(511 - len))) > 0)
		len += n;
	text[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
the_program_beside_ours_is_run_with_our_arguments(void **state UNUSED)
{
	char path[PATH_MAX], text[512];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 20);
	FILE *f;

	assert_true(n > 0);
	path[n] = '\0';
	memcpy(strrchr(path, '/') + 1, "warren-runner", sizeof("warren-runner"));
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("#!/bin/sh\necho \"$# $1\"\nexit 7\n", f);
	fclose(f);
	chmod(path, 0755);
	assert_int_equal(run(text), 7);
	assert_string_equal(text, "1 ./a b.so\n");
	unlink(path);
}

static void
without_one_it_says_what_is_missing(void **state UNUSED)
{
	char text[512];

	if (access(WARREN_LIBEXECDIR "/warren-runner", X_OK) == 0)
		skip(); /* an installed one takes its place */
	assert_int_equal(run(text), 2);
	assert_non_null(strstr(text, "cannot run " WARREN_LIBEXECDIR "/warren-runner: No such file"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_program_beside_ours_is_run_with_our_arguments),
		cmocka_unit_test(without_one_it_says_what_is_missing),
	};

	return cmocka_run_group_tests_name("exec", tests, NULL, NULL);
}
