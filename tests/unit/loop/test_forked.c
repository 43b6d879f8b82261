/* Children that another process forks: the maker is a process of the test, and the test says what it would. */
#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "loop/child.h"

struct kid {
	struct child *c;
	struct child_end end;
	int n_exit, n_died, n_gone;
	int pid, maker;
};

static void
on_exit_of_kid(void *owner, const struct child_end *end)
{
	struct kid *k = owner;

	k->n_exit++;
	k->end = *end;
}

static void
on_died(void *maker, struct child *c)
{
	struct kid *k = maker;

	assert_ptr_equal(k->c, c);
	k->n_died++;
}

static void
on_gone(void *maker, struct child *c)
{
	struct kid *k = maker;

	assert_ptr_equal(k->c, c);
	k->n_gone++;
}

static const struct child_ops ops = { on_exit_of_kid };
static const struct child_maker_ops maker_ops = { on_died, on_gone };

static void
expect_child(struct kid *k, struct loop *l)
{
	struct errtext t;
	int theirs[3];

	*k = (struct kid){ .n_exit = 0 };
	assert_int_equal(child_expect(&k->c, l, theirs, &maker_ops, k, &ops, k, &t), E_OK);
	assert_int_equal(child_pid(k->c), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(write(theirs[i], "x", 1), 1);
		close(theirs[i]);
	}
}

/* A process that forks one that sleeps, tells its pid, and then waits for nothing, like a maker that does not say how it has ended. */
static void
make_grandchild(struct kid *k)
{
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	k->maker = fork();
	assert_true(k->maker >= 0);
	if (k->maker == 0) {
		int parent = getpid(), pid = fork();

		if (pid == 0) {
			/* Itself, so that it is as a child is once its pid is known. */
			pid = getpid();
			if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent ||
				write(pipes[1], &pid, sizeof(pid)) != sizeof(pid))
				_exit(1);
		}
		for (;;)
			pause();
	}
	assert_int_equal(read(pipes[0], &k->pid, sizeof(k->pid)), sizeof(k->pid));
	close(pipes[0]);
	close(pipes[1]);
}

static void
end_maker(struct kid *k)
{
	kill(k->maker, SIGKILL);
	assert_int_equal(waitpid(k->maker, NULL, 0), k->maker);
}

static void
its_ends_are_there_before_it_is(void **state)
{
	struct kid k;
	char c;
	int fd;

	expect_child(&k, *state);
	assert_false(child_signal(k.c, SIGTERM));
	assert_false(child_signal_group(k.c, SIGTERM));
	fd = child_take_stdout(k.c);
	assert_int_equal(read(fd, &c, 1), 1);
	close(fd);
	child_told_end(k.c, &(struct child_end){ .code = 1 });
	assert_int_equal(k.n_exit, 1);
	assert_int_equal(k.end.code, 1);
	child_close(k.c);
	assert_int_equal(k.n_gone, 1);
	loop_turn(*state, 0);
}

static void
its_death_is_seen_and_its_end_told(void **state)
{
	struct kid k;

	expect_child(&k, *state);
	make_grandchild(&k);
	child_arrived(k.c, k.pid, pidfd_open(k.pid, 0));
	assert_int_equal(child_pid(k.c), k.pid);
	assert_true(child_is_ours(*state, k.pid));
	loop_turn(*state, 0);
	assert_int_equal(k.n_died + k.n_exit, 0);
	assert_true(child_signal(k.c, SIGKILL));
	TURN_UNTIL(*state, k.n_died);
	loop_turn(*state, 0);
	assert_int_equal(k.n_died, 1);
	assert_int_equal(k.n_exit, 0);
	child_told_end(k.c, &(struct child_end){ .signaled = true, .code = SIGKILL });
	assert_int_equal(k.n_exit, 1);
	assert_int_equal(k.n_gone, 0);
	child_close(k.c);
	assert_int_equal(k.n_gone, 1);
	end_maker(&k);
	loop_turn(*state, 0);
}

static void
one_that_is_not_wanted_any_more_is_killed_when_it_comes(void **state)
{
	struct kid k;

	expect_child(&k, *state);
	child_close(k.c);
	make_grandchild(&k);
	child_arrived(k.c, k.pid, pidfd_open(k.pid, 0));
	TURN_UNTIL(*state, k.n_died);
	child_told_end(k.c, &(struct child_end){ .signaled = true, .code = SIGKILL });
	assert_int_equal(k.n_exit, 0);
	assert_int_equal(k.n_gone, 1);
	end_maker(&k);
	loop_turn(*state, 0);
}

/* Too many descriptors were open when it came. */
static void
one_whose_pidfd_was_lost_is_found_by_its_number(void **state)
{
	struct kid k;

	expect_child(&k, *state);
	make_grandchild(&k);
	child_arrived(k.c, k.pid, -1);
	assert_true(child_signal(k.c, SIGKILL));
	TURN_UNTIL(*state, k.n_died);
	child_told_end(k.c, &(struct child_end){ .signaled = true, .code = SIGKILL });
	child_close(k.c);
	end_maker(&k);
	loop_turn(*state, 0);
}

/* As a worker does it: what a dead maker leaves is ours to wait for. */
static void
with_its_maker_it_ends_and_is_ours(void **state)
{
	struct kid k;

	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	expect_child(&k, *state);
	make_grandchild(&k);
	child_arrived(k.c, k.pid, pidfd_open(k.pid, 0));
	end_maker(&k);
	child_orphaned(k.c);
	TURN_UNTIL(*state, k.n_exit);
	assert_true(k.end.signaled && k.end.code == SIGKILL);
	child_close(k.c);
	loop_turn(*state, 0);
	assert_int_equal(k.n_gone, 0);
	assert_int_equal(kill(k.pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void
one_that_never_came_ends_with_its_maker(void **state)
{
	struct kid k;
	struct buf b = { 0 };

	expect_child(&k, *state);
	child_orphaned(k.c);
	assert_int_equal(k.n_exit, 1);
	child_add_end(&b, &k.end);
	assert_string_equal(buf_text(&b), "ended, and how is not known");
	buf_release(&b);
	child_close(k.c);
	loop_turn(*state, 0);
}

static void
what_is_left_ends_with_the_loop(void **state)
{
	struct kid k;

	expect_child(&k, *state);
	child_close(k.c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(its_ends_are_there_before_it_is),
		LOOP_TEST(its_death_is_seen_and_its_end_told),
		LOOP_TEST(one_that_is_not_wanted_any_more_is_killed_when_it_comes),
		LOOP_TEST(one_whose_pidfd_was_lost_is_found_by_its_number),
		LOOP_TEST(with_its_maker_it_ends_and_is_ours),
		LOOP_TEST(one_that_never_came_ends_with_its_maker),
		LOOP_TEST(what_is_left_ends_with_the_loop),
	};

	return cmocka_run_group_tests_name("loop/forked", tests, NULL, NULL);
}
