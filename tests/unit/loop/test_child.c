/* Children: real small processes, mostly sh, asked what they see of themselves. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "loop/child.h"

static const char *const env[] = { "PATH=/usr/bin:/bin", "LANG=C", NULL };

struct kid {
	struct loop *l;
	struct child *c;
	struct child_end end;
	int n_exit;
	struct buf out;
};

static void
on_child_exit(void *p, const struct child_end *end)
{
	struct kid *k = p;

	k->n_exit++;
	k->end = *end;
}

static const struct child_ops ops = { on_child_exit };

static struct child_conf
conf_of(const char *const *argv)
{
	return (struct child_conf){ .argv = argv, .envp = env, .rlimit_core = -1 };
}

static enum err
spawn(struct kid *k, struct loop *l, const struct child_conf *conf, struct errtext *t)
{
	*k = (struct kid){ .l = l };
	return child_spawn(&k->c, l, conf, &ops, k, t);
}

static void
drain(int fd, struct buf *to)
{
	char piece[4096];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buf_add(to, (struct span){ piece, (size_t)n });
}

/* Runs a script to its end and keeps what it printed. */
static void
run_script(struct kid *k, struct loop *l, const char *script, const struct child_conf *base)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct child_conf conf = base ? *base : conf_of(argv);
	struct errtext t = { "" };
	int fd;

	conf.argv = argv;
	if (spawn(k, l, &conf, &t) != E_OK)
		fail_msg("%s", t.text);
	TURN_UNTIL(l, k->n_exit);
	fd = child_take_stdout(k->c);
	drain(fd, &k->out);
	close(fd);
}

static void
done(struct kid *k)
{
	child_close(k->c);
	buf_release(&k->out);
	loop_turn(k->l, 0);
}

static const char *
end_text(const struct kid *k, struct buf *b)
{
	child_add_end(b, &k->end);
	return buf_text(b);
}

static void
the_exit_code_is_told(void **state)
{
	struct kid k;
	struct buf b = { 0 };

	run_script(&k, *state, "exit 3", NULL);
	assert_false(k.end.signaled);
	assert_int_equal(k.end.code, 3);
	assert_string_equal(end_text(&k, &b), "exited with code 3");
	assert_true(k.end.max_rss > 100 * 1024);
	assert_true(k.end.user_us + k.end.system_us >= 0);
	assert_false(child_is_running(k.c));
	done(&k);
	assert_int_equal(k.n_exit, 1);
	buf_release(&b);
}

static void
the_signal_is_told(void **state)
{
	struct kid k;
	struct buf b = { 0 };

	run_script(&k, *state, "kill -SEGV $$", &(struct child_conf){ .envp = env, .rlimit_core = 0 });
	assert_true(k.end.signaled);
	assert_int_equal(k.end.code, SIGSEGV);
	assert_string_equal(end_text(&k, &b), "killed by signal 11 (SIGSEGV)");
	done(&k);
	buf_release(&b);
}

static void
the_child_gets_its_environment_directory_and_mask(void **state)
{
	struct kid k;

	run_script(&k, *state,
		"pwd; umask; echo $LANG; env | wc -l; cat; ps -o sid= -p $$ | tr -d ' ' | grep -cx $$",
		&(struct child_conf){ .envp = env, .cwd = "/usr/bin", .rlimit_core = -1 });
	/* env shows PATH, LANG and what sh adds: PWD, and _ with some shells. */
	assert_non_null(strstr(buf_text(&k.out), "/usr/bin\n0077\nC\n"));
	assert_true(span_ends(buf_span(&k.out), "\n1\n"));
	done(&k);
}

static void
nothing_is_inherited_but_the_named_descriptors(void **state)
{
	struct kid k;
	/* One that is not close-on-exec, as a careless library would leave it. */
	int stray = open("/dev/null", O_RDONLY);

	run_script(&k, *state, "ls /proc/self/fd | tr '\\n' ' '", NULL);
	/* 3 is the directory that ls has open. */
	assert_string_equal(buf_text(&k.out), "0 1 2 3 ");
	done(&k);
	run_script(&k, *state, "ls /proc/self/fd | tr '\\n' ' '",
		&(struct child_conf){ .envp = env, .channel = true, .rlimit_core = -1 });
	assert_string_equal(buf_text(&k.out), "0 1 2 3 4 ");
	done(&k);
	close(stray);
}

static void
signals_are_neither_blocked_nor_ignored(void **state)
{
	struct kid k;
	sigset_t some, before;

	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	sigprocmask(SIG_BLOCK, &some, &before);
	run_script(&k, *state, "grep -E '^Sig(Blk|Ign)|^NoNewPrivs' /proc/self/status | tr -d '\\t'", NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_string_equal(
		buf_text(&k.out), "SigBlk:0000000000000000\nSigIgn:0000000000000000\nNoNewPrivs:1\n");
	done(&k);
}

static void
limits_hold(void **state)
{
	struct kid k;

	run_script(&k, *state, "ulimit -n; ulimit -c; ulimit -v",
		&(struct child_conf){
			.envp = env, .rlimit_nofile = 40, .rlimit_core = 0, .rlimit_as = 1 << 30 });
	assert_string_equal(buf_text(&k.out), "40\n0\n1048576\n");
	done(&k);
}

static void
the_channel_is_descriptor_3_both_ways(void **state)
{
	const char *const argv[] = { "sh", "-c", "read x <&3; echo got $x >&3; echo out; echo err >&2", NULL };
	struct child_conf conf = conf_of(argv);
	struct kid k;
	struct buf err = { 0 }, chan = { 0 };
	int fd, out, err_fd;

	conf.channel = true;
	assert_int_equal(spawn(&k, *state, &conf, NULL), E_OK);
	fd = child_take_channel(k.c);
	out = child_take_stdout(k.c);
	err_fd = child_take_stderr(k.c);
	assert_int_equal(child_take_channel(k.c), -1);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(out, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(out, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fd, "ping\n", 5), 5);
	TURN_UNTIL(k.l, k.n_exit);
	drain(fd, &chan);
	drain(out, &k.out);
	drain(err_fd, &err);
	assert_string_equal(buf_text(&chan), "got ping\n");
	assert_string_equal(buf_text(&k.out), "out\n");
	assert_string_equal(buf_text(&err), "err\n");
	close(fd);
	close(out);
	close(err_fd);
	buf_release(&err);
	buf_release(&chan);
	done(&k);
}

static void
what_cannot_be_started_is_told_at_once(void **state)
{
	static char huge[3 * 1024 * 1024];
	char path[] = "/tmp/warren-test-XXXXXX";
	const char *const missing[] = { "no-such-program-here", NULL },
			  *const absent[] = { "/no/such/program", NULL };
	const char *const dir[] = { "/usr", NULL }, *const script[] = { path, NULL },
			  *const big[] = { "sh", "-c", huge, NULL };
	struct child_conf conf = conf_of(missing);
	struct kid k;
	struct errtext t;
	int fd = mkstemp(path);

	assert_int_equal(spawn(&k, *state, &conf, &t), E_MISSING);
	assert_null(k.c);
	assert_string_equal(
		t.text, "cannot start \"no-such-program-here\": no such program in PATH (/usr/bin:/bin)");
	conf.argv = absent;
	assert_int_equal(spawn(&k, *state, &conf, &t), E_MISSING);
	assert_int_equal(errno, ENOENT);
	assert_string_equal(t.text, "cannot start \"/no/such/program\": No such file or directory");
	conf.argv = dir;
	assert_int_equal(spawn(&k, *state, &conf, &t), E_SYS);
	assert_int_equal(errno, EACCES);
	memset(huge, 'x', sizeof(huge) - 1);
	conf.argv = big;
	assert_int_equal(spawn(&k, *state, &conf, &t), E_SYS);
	assert_int_equal(errno, E2BIG);
	/* No #! line, then one whose interpreter is missing. */
	assert_int_equal(write(fd, "xx\n", 3), 3);
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
	conf.argv = script;
	assert_int_equal(spawn(&k, *state, &conf, &t), E_SYS);
	assert_int_equal(errno, ENOEXEC);
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "#!/no/such/sh\n", 14), 14);
	close(fd);
	assert_int_equal(spawn(&k, *state, &conf, &t), E_MISSING);
	assert_non_null(strstr(t.text, "cannot find the interpreter of"));
	unlink(path);
	conf = conf_of((const char *const[]){ "sh", NULL });
	conf.cwd = "/no/such/dir";
	assert_int_equal(spawn(&k, *state, &conf, &t), E_MISSING);
	assert_string_equal(t.text, "cannot enter the directory \"/no/such/dir\": No such file or directory");
	loop_turn(*state, 0);
	/* None of the attempts left a zombie behind. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void
no_descriptors_left_is_a_passing_want(void **state)
{
	struct child_conf conf = conf_of((const char *const[]){ "true", NULL });
	struct kid k;
	struct errtext t;
	struct rlimit old, low;
	int fds[64] = { 0 }, n = 0;

	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (n < 64 && (fds[n] = dup(0)) >= 0)
		n++;
	assert_int_equal(spawn(&k, *state, &conf, &t), E_AGAIN);
	assert_int_equal(errno, EMFILE);
	/* With a few the pipes can be made, but not all. */
	for (int i = 0; i < 6; i++)
		close(fds[--n]);
	assert_int_equal(spawn(&k, *state, &conf, &t), E_AGAIN);
	while (n > 0)
		close(fds[--n]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(spawn(&k, *state, &conf, &t), E_OK);
	done(&k);
}

static void
no_memory_is_no_child(void **state)
{
	struct child_conf conf = conf_of((const char *const[]){ "true", NULL });
	struct kid k;

	for (uint64_t i = 1; i <= 2; i++) {
		alloc_fail_after(i);
		assert_int_equal(spawn(&k, *state, &conf, NULL), E_NOMEM);
		alloc_fail_after(0);
	}
}

static void
wait_for_line(struct kid *k, int fd)
{
	while (!memchr(k->out.data ? k->out.data : "", '\n', k->out.len)) {
		drain(fd, &k->out);
		loop_turn(k->l, 1);
	}
}

static void
signals_reach_the_child_and_its_group(void **state)
{
	struct child_conf conf = conf_of((const char *const[]){
		"sh", "-c", "trap 'kill $!; exit 5' USR1; sleep 100 & echo ready; wait; exit 9", NULL });
	struct kid k;
	int fd;

	assert_int_equal(spawn(&k, *state, &conf, NULL), E_OK);
	fd = child_take_stdout(k.c);
	wait_for_line(&k, fd);
	assert_true(child_is_running(k.c));
	assert_true(child_signal(k.c, SIGUSR1));
	TURN_UNTIL(k.l, k.n_exit);
	assert_int_equal(k.end.code, 5);
	assert_false(child_signal(k.c, SIGUSR1));
	assert_false(child_signal_group(k.c, SIGUSR1));
	close(fd);
	done(&k);
	conf.argv = (const char *const[]){ "sh", "-c", "echo ready; sleep 100; echo not reached", NULL };
	assert_int_equal(spawn(&k, *state, &conf, NULL), E_OK);
	fd = child_take_stdout(k.c);
	wait_for_line(&k, fd);
	/* A stopped group dies all the same. */
	assert_true(child_signal_group(k.c, SIGSTOP));
	assert_true(child_signal_group(k.c, SIGKILL));
	TURN_UNTIL(k.l, k.n_exit);
	assert_int_equal(k.end.code, SIGKILL);
	close(fd);
	done(&k);
}

static void
closing_kills_the_group_even_after_its_leader_has_ended(void **state)
{
	struct child_conf conf = conf_of((const char *const[]){ "sh", "-c", "sleep 1000 & echo left", NULL });
	struct kid k;
	int fd;

	assert_int_equal(spawn(&k, *state, &conf, NULL), E_OK);
	fd = child_take_stdout(k.c);
	TURN_UNTIL(k.l, k.n_exit);
	drain(fd, &k.out);
	assert_string_equal(buf_text(&k.out), "left\n");
	/* The sleeper holds the pipe open. */
	assert_int_equal(read(fd, (char[1]){ 0 }, 1), -1);
	assert_int_equal(errno, EAGAIN);
	child_close(k.c);
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(read(fd, (char[1]){ 0 }, 1), 0);
	close(fd);
	buf_release(&k.out);
	loop_turn(k.l, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void
a_running_child_may_be_closed(void **state)
{
	struct child_conf conf = conf_of((const char *const[]){ "sleep", "1000", NULL });
	struct kid k;
	int pid;

	assert_int_equal(spawn(&k, *state, &conf, NULL), E_OK);
	pid = child_pid(k.c);
	child_close(k.c);
	/* Reaped by the loop: then it is no child of ours any more. */
	TURN_UNTIL(k.l, waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOHANG | WNOWAIT) < 0);
	assert_int_equal(k.n_exit, 0);
	/* And one that the loop has no turn left for. */
	assert_int_equal(spawn(&k, *state, &conf, NULL), E_OK);
	pid = child_pid(k.c);
	child_close(k.c);
	loop_free(*state);
	*state = loop_new(NULL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOHANG | WNOWAIT), -1);
}

static void
many_that_end_at_once_are_all_seen(void **state)
{
	enum { N = 60 };
	static struct kid kids[N];
	struct child_conf conf = conf_of((const char *const[]){ "true", NULL });
	int ended = 0;

	for (int i = 0; i < N; i++)
		assert_int_equal(spawn(&kids[i], *state, &conf, NULL), E_OK);
	while (ended < N) {
		loop_turn(*state, 100);
		ended = 0;
		for (int i = 0; i < N; i++)
			ended += kids[i].n_exit;
	}
	for (int i = 0; i < N; i++)
		done(&kids[i]);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void
a_child_dies_with_its_parent(void **state)
{
	char line[32] = "";
	int p[2], kid;
	pid_t parent;
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(p), 0);
	parent = fork();
	if (parent == 0) {
		struct loop *l = loop_new(NULL);
		struct child_conf conf = conf_of((const char *const[]){ "sleep", "1000", NULL });
		struct kid k;

		if (!l || spawn(&k, l, &conf, NULL) != E_OK || dprintf(p[1], "%d\n", child_pid(k.c)) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	close(p[1]);
	n = read(p[0], line, sizeof(line) - 1);
	assert_true(n > 0);
	close(p[0]);
	kid = (int)strtol(line, NULL, 10);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	/* Dead, and reaped by init or still its zombie. */
	for (int i = 0; i < 1000 && kill(kid, 0) == 0; i++) {
		char path[64], stat[512] = "";
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/stat", kid);
		fd = open(path, O_RDONLY);
		n = fd >= 0 ? read(fd, stat, sizeof(stat) - 1) : -1;
		if (fd >= 0)
			close(fd);
		if (n > 0 && strstr(stat, ") Z "))
			return;
		poll(NULL, 0, 5);
	}
	assert_int_equal(kill(kid, 0), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(the_exit_code_is_told),
		LOOP_TEST(the_signal_is_told),
		LOOP_TEST(the_child_gets_its_environment_directory_and_mask),
		LOOP_TEST(nothing_is_inherited_but_the_named_descriptors),
		LOOP_TEST(signals_are_neither_blocked_nor_ignored),
		LOOP_TEST(limits_hold),
		LOOP_TEST(the_channel_is_descriptor_3_both_ways),
		LOOP_TEST(what_cannot_be_started_is_told_at_once),
		LOOP_TEST(no_descriptors_left_is_a_passing_want),
		LOOP_TEST(no_memory_is_no_child),
		LOOP_TEST(signals_reach_the_child_and_its_group),
		LOOP_TEST(closing_kills_the_group_even_after_its_leader_has_ended),
		LOOP_TEST(a_running_child_may_be_closed),
		LOOP_TEST(many_that_end_at_once_are_all_seen),
		LOOP_TEST(a_child_dies_with_its_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
