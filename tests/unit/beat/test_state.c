/* The state file: what is read back, what is refused, and power cuts and full disks at each system call. */
#include "beat/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"

static char folder[64], path[96];

/* --- the n-th system call of a save fails, or the power is cut before it ----------------------------------------------------- */

/* With large files, which all of warren is built for, openat is openat64. */
static int countdown, fault; /* errno, or -1 = the end */
/* What was written and not made durable: a power cut takes it away, whatever name the file has by then. */
static int volatile_fd = -1;

int __real_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);

static bool
strikes(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	if (fault < 0) {
		if (volatile_fd >= 0 && ftruncate(volatile_fd, 0) != 0)
			_exit(1);
		_exit(0);
	}
	errno = fault;
	return true;
}

int
__wrap_openat64(int dir, const char *name, int flags, ...)
{
	return strikes() ? -1 : __real_openat64(dir, name, flags, 0600);
}

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	if (fault < 0 && volatile_fd < 0)
		volatile_fd = dup(fd);
	/* Half of it is there already, as on a real disk. */
	if (countdown == 1)
		(void)!__real_write(fd, p, n / 2);
	return strikes() ? -1 : __real_write(fd, p, n);
}

int
__wrap_fsync(int fd)
{
	if (strikes())
		return -1;
	/* The folder's comes later; the file's is the one that counts for its bytes. */
	if (volatile_fd >= 0)
		close(volatile_fd);
	volatile_fd = -1;
	return __real_fsync(fd);
}

int
__wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return strikes() ? -1 : __real_renameat(from_dir, from, to_dir, to);
}

int
__wrap_unlinkat(int dir, const char *name, int flags)
{
	return strikes() ? -1 : __real_unlinkat(dir, name, flags);
}

/* --- helpers ----------------------------------------------------------------------------------------------------------- */

static void
set(struct state *s, const char *name, us_t done)
{
	assert_ok(state_set(s, span_of(name), &(struct row){ "every 30s", done, INT64_MIN, 7 }));
}

static void
write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int
set_up(void **state UNUSED)
{
	snprintf(folder, sizeof(folder), "/tmp/warren-state-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/beat.json", folder);
	return 0;
}

static int
tear_down(void **state UNUSED)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

/* --- tests ------------------------------------------------------------------------------------------------------------- */

static void
reads_what_it_wrote(void **state UNUSED)
{
	const char *odd = "n\"ight\\ly \xc3\xa9\n";
	const struct row *row;
	struct state s;
	struct errtext t;

	assert_int_equal(state_open(&s, path, &t), STATE_NEW);
	set(&s, odd, 1795229760651564);
	set(&s, "gone", 5);
	state_forget(&s, SPAN("gone"));
	assert_ok(
		state_set(&s, SPAN("ran"), &(struct row){ "cron 0 2 * * *", 60000000, 30000000, INT64_MAX }));
	assert_ok(state_save(&s, NULL, &t));
	state_close(&s);

	assert_int_equal(state_open(&s, path, &t), STATE_READ);
	assert_int_equal(s.rows.count, 2);
	row = state_get(&s, span_of(odd));
	assert_non_null(row);
	assert_string_equal(row->schedule, "every 30s");
	assert_int_equal(row->done, 1795229760651564);
	assert_true(row->ran == INT64_MIN);
	assert_int_equal(row->runs, 7);
	row = state_get(&s, SPAN("ran"));
	assert_int_equal(row->ran, 30000000);
	assert_int_equal(row->runs, INT64_MAX);
	assert_null(state_get(&s, SPAN("gone")));
	state_close(&s);
}

static void
makes_folders_that_nobody_else_reads(void **state UNUSED)
{
	char deep[160];
	struct state s;
	struct errtext t;
	struct stat st;

	snprintf(deep, sizeof(deep), "%s/a/b/beat.json", folder);
	assert_int_equal(state_open(&s, deep, &t), STATE_NEW);
	assert_ok(state_save(&s, NULL, &t));
	state_close(&s);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	*strrchr(deep, '/') = '\0';
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void
the_default_follows_the_environment(void **state UNUSED)
{
	struct state s;
	struct errtext t;
	char expected[128];

	setenv("STATE_DIRECTORY", folder, 1);
	assert_int_equal(state_open(&s, NULL, &t), STATE_NEW);
	assert_string_equal(s.path, path);
	state_close(&s);
	unsetenv("STATE_DIRECTORY");
	setenv("XDG_STATE_HOME", folder, 1);
	snprintf(expected, sizeof(expected), "%s/warren/beat.json", folder);
	assert_int_equal(state_open(&s, "", &t), STATE_NEW);
	assert_string_equal(s.path, expected);
	state_close(&s);
	unsetenv("XDG_STATE_HOME");
	unsetenv("HOME");
	assert_int_equal(state_open(&s, NULL, &t), STATE_NONE);
	assert_string_equal(t.text, "neither STATE_DIRECTORY nor HOME is set");
	assert_ok(state_save(&s, NULL, &t));
	state_close(&s);
}

static void
what_cannot_be_understood_is_put_aside(void **state UNUSED)
{
	static const char *const texts[] = { "", "{", "[]", "{\"version\": 2, \"entries\": {}}",
		"{\"version\": 1}", "{\"version\": 1, \"entries\": [1]}",
		"{\"version\": 1, \"entries\": {\"a\": 5}}",
		"{\"version\": 1, \"entries\": {\"a\": {\"schedule\": \"x\", \"done\": \"yesterday\", "
		"\"ran\": null, \"runs\": 1}}}",
		"{\"version\": 1, \"entries\": {\"a\": {\"schedule\": \"x\", \"done\": null, \"ran\": null, "
		"\"runs\": 1}}}",
		"{\"version\": 1, \"entries\": {\"a\": {\"schedule\": 4, \"done\": \"2026-11-21T00:00:00\", "
		"\"ran\": null, \"runs\": 1}}}",
		"{\"version\": 1, \"entries\": {\"a\": {\"schedule\": \"x\", \"done\": "
		"\"2026-11-21T00:00:00\", \"ran\": null}}}" };
	struct state s;
	struct errtext t;
	char aside[128];

	snprintf(aside, sizeof(aside), "%s.corrupt", path);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		write_file(texts[i]);
		if (state_open(&s, path, &t) != STATE_PUT_ASIDE)
			fail_msg("%s was read", texts[i]);
		assert_non_null(strstr(t.text, "cannot be understood; it is now"));
		assert_int_equal(s.rows.count, 0);
		assert_int_equal(access(path, F_OK), -1);
		assert_int_equal(access(aside, F_OK), 0);
		assert_ok(state_save(&s, NULL, &t));
		state_close(&s);
	}
}

static void
links_and_other_files_are_not_followed(void **state UNUSED)
{
	char target[128], tmp[128];
	struct state s;
	struct errtext t;

	snprintf(target, sizeof(target), "%s/target", folder);
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(state_open(&s, path, &t), STATE_NONE);
	assert_non_null(strstr(t.text, "cannot open "));
	state_close(&s);
	unlink(path);
	/* One planted where the new file is written is replaced, not written through. */
	assert_int_equal(state_open(&s, path, &t), STATE_NEW);
	assert_int_equal(symlink(target, tmp), 0);
	assert_ok(state_save(&s, NULL, &t));
	state_close(&s);
	assert_int_equal(access(target, F_OK), -1);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(state_open(&s, path, &t), STATE_NONE);
	assert_non_null(strstr(t.text, "is no regular file"));
	state_close(&s);
}

static void
one_scheduler_per_file(void **state UNUSED)
{
	struct state first, second;
	struct errtext t;

	assert_int_equal(state_open(&first, path, &t), STATE_NEW);
	assert_int_equal(state_open(&second, path, &t), STATE_NONE);
	assert_non_null(strstr(t.text, "belongs to another scheduler that runs"));
	state_close(&second);
	state_close(&first);
	assert_int_equal(state_open(&second, path, &t), STATE_NEW);
	state_close(&second);
}

static us_t
read_back(void)
{
	struct state s;
	struct errtext t;
	us_t done;

	if (state_open(&s, path, &t) != STATE_READ)
		fail_msg("after the cut: %s", t.text);
	done = state_get(&s, SPAN("a"))->done;
	state_close(&s);
	return done;
}

static void
a_power_cut_leaves_the_old_or_the_new(void **state UNUSED)
{
	struct state s;
	struct errtext t;
	bool old = false, new = false;
	int n, status;
	pid_t pid;

	for (n = 1; !new; n++) {
		assert_true(n < 20);
		unlink(path);
		assert_int_equal(state_open(&s, path, &t), STATE_NEW);
		set(&s, "a", 1);
		assert_ok(state_save(&s, NULL, &t));
		pid = fork();
		if (pid == 0) {
			set(&s, "a", 2);
			countdown = n;
			fault = -1;
			_exit(state_save(&s, NULL, &t) == E_OK ? 2 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		state_close(&s);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
		if (read_back() == 1)
			old = true;
		else {
			assert_int_equal(read_back(), 2);
			new = true;
		}
	}
	/* unlink, open, write, fsync, rename, fsync of the folder */
	assert_true(old && n == 7);
}

static void
a_full_disk_leaves_the_old_and_is_said(void **state UNUSED)
{
	static const char *const words[] = { "cannot remove", "cannot create", "cannot write", "cannot write",
		"cannot rename", "cannot make" };
	struct state s;
	struct errtext t;

	assert_int_equal(state_open(&s, path, &t), STATE_NEW);
	set(&s, "a", 1);
	assert_ok(state_save(&s, NULL, &t));
	set(&s, "a", 2);
	for (int n = 1; n <= 6; n++) {
		countdown = n;
		fault = n == 1 ? EACCES : ENOSPC;
		assert_int_equal(state_save(&s, NULL, &t), E_SYS);
		assert_int_equal(strncmp(t.text, words[n - 1], strlen(words[n - 1])), 0);
		assert_non_null(strstr(t.text, strerror(fault)));
		countdown = 0;
	}
	assert_ok(state_save(&s, NULL, &t));
	state_close(&s);
	assert_int_equal(read_back(), 2);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(reads_what_it_wrote),
		TEST(makes_folders_that_nobody_else_reads),
		TEST(what_cannot_be_understood_is_put_aside),
		TEST(links_and_other_files_are_not_followed),
		TEST(one_scheduler_per_file),
		TEST(a_power_cut_leaves_the_old_or_the_new),
		TEST(a_full_disk_leaves_the_old_and_is_said),
		TEST(the_default_follows_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
