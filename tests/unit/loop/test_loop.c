/* The turn: order of tasks, waiting, reaping, clocks, signals. */
#include "fixture.h"

#include <signal.h>
#include <unistd.h>

#include "base/alloc.h"

struct trace {
	struct loop *l;
	char text[64];
	size_t len;
	struct loop_task a, b, c;
	int n;
};

static void
note(struct trace *t, char c)
{
	if (t->len + 1 < sizeof(t->text))
		t->text[t->len++] = c;
}

static void
note_a(void *p)
{
	note(p, 'a');
}

static void
note_b(void *p)
{
	note(p, 'b');
}

static void
decide_then_flush(void *p)
{
	struct trace *t = p;

	note(t, 'd');
	loop_defer(t->l, LOOP_FLUSH, &t->a, note_a, t);
	loop_defer(t->l, LOOP_DECIDE, &t->b, note_b, t);
}

static void
decisions_come_before_the_flush_of_the_same_turn(void **state)
{
	struct trace t = { .l = *state };

	loop_defer(t.l, LOOP_FLUSH, &t.a, note_a, &t);
	loop_defer(t.l, LOOP_DECIDE, &t.c, decide_then_flush, &t);
	loop_defer(t.l, LOOP_DECIDE, &t.c, decide_then_flush, &t);
	/* Nothing is going on outside, so this would hang if deferred work did not keep the loop from waiting. */
	loop_turn(t.l, -1);
	assert_string_equal(t.text, "dba");
}

static void
an_undeferred_task_does_not_run(void **state)
{
	struct trace t = { .l = *state };

	loop_defer(t.l, LOOP_DECIDE, &t.a, note_a, &t);
	loop_defer(t.l, LOOP_DECIDE, &t.b, note_b, &t);
	loop_undefer(&t.a);
	loop_undefer(&t.c);
	loop_turn(t.l, 0);
	assert_string_equal(t.text, "b");
}

static void
again(void *p)
{
	struct trace *t = p;

	t->n++;
	loop_defer(t->l, LOOP_DECIDE, &t->a, again, t);
}

static void
a_task_that_defers_itself_does_not_hold_the_turn(void **state)
{
	struct trace t = { .l = *state };
	int first;

	loop_defer(t.l, LOOP_DECIDE, &t.a, again, &t);
	loop_turn(t.l, -1);
	first = t.n;
	assert_true(first >= 1);
	loop_turn(t.l, -1);
	assert_true(t.n > first);
	loop_undefer(&t.a);
}

static void
flush_fails(void *p)
{
	struct trace *t = p;

	note(t, 'f');
	loop_defer(t->l, LOOP_DECIDE, &t->b, note_b, t);
}

static void
what_a_flush_defers_runs_without_waiting(void **state)
{
	struct trace t = { .l = *state };

	loop_defer(t.l, LOOP_FLUSH, &t.a, flush_fails, &t);
	loop_turn(t.l, -1);
	loop_turn(t.l, -1);
	assert_string_equal(t.text, "fb");
}

static void
reap_outer(void *p)
{
	struct trace *t = p;

	note(t, 'r');
	loop_reap(t->l, note_a, t);
}

static void
close_in_task(void *p)
{
	struct trace *t = p;

	loop_reap(t->l, reap_outer, t);
	note(t, 'c');
}

static void
the_closed_are_freed_at_the_turns_end(void **state)
{
	struct trace t = { .l = *state };

	loop_defer(t.l, LOOP_DECIDE, &t.a, close_in_task, &t);
	loop_defer(t.l, LOOP_FLUSH, &t.b, note_b, &t);
	loop_turn(t.l, -1);
	assert_string_equal(t.text, "cbra");
}

static void
count(void *p)
{
	(*(int *)p)++;
}

static void
many_can_be_reaped_in_one_turn(void **state)
{
	int n = 0;

	for (int i = 0; i < 1000; i++)
		loop_reap(*state, count, &n);
	loop_turn(*state, -1);
	assert_int_equal(n, 1000);
}

static void
reaping_without_memory_frees_nothing_early(void **state)
{
	int n = 0;

	alloc_fail_after(1);
	for (int i = 0; i < 65; i++)
		loop_reap(*state, count, &n);
	alloc_fail_after(0);
	assert_int_equal(n, 0);
	loop_turn(*state, -1);
	assert_int_equal(n, 64);
}

static void
what_waits_is_reaped_with_the_loop(void **state)
{
	struct loop *l = loop_new(NULL);
	int n = 0;

	(void)state;
	loop_reap(l, count, &n);
	loop_free(l);
	assert_int_equal(n, 1);
}

static void
on_pipe(void *p)
{
	struct trace *t = p;
	char c;

	assert_int_equal(read(t->n, &c, 1), 1);
	note(t, c);
}

static void
a_readable_descriptor_calls_until_it_is_read(void **state)
{
	struct trace t = { .l = *state };
	struct loop_fd f;
	int p[2];

	assert_int_equal(pipe(p), 0);
	t.n = p[0];
	assert_int_equal(loop_fd_init(&f, t.l, p[0], on_pipe, &t), E_OK);
	assert_int_equal(write(p[1], "xy", 2), 2);
	loop_turn(t.l, -1);
	loop_turn(t.l, -1);
	assert_string_equal(t.text, "xy");
	loop_fd_release(&f);
	loop_fd_release(&f);
	assert_int_equal(write(p[1], "z", 1), 1);
	loop_turn(t.l, 0);
	assert_string_equal(t.text, "xy");
	close(p[0]);
	close(p[1]);
}

static void
stop_with_3(void *p)
{
	loop_stop(p, 3);
}

static void
a_signal_is_an_event_and_stops_the_run(void **state)
{
	struct loop_signal s;

	assert_int_equal(loop_signal_init(&s, *state, SIGUSR1, stop_with_3, *state), E_OK);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(loop_run(*state), 3);
	loop_signal_release(&s);
	loop_signal_release(&s);
}

static void
a_stop_before_the_run_counts_once(void **state)
{
	struct loop_signal s;

	loop_stop(*state, 4);
	assert_int_equal(loop_run(*state), 4);
	assert_int_equal(loop_signal_init(&s, *state, SIGUSR1, stop_with_3, *state), E_OK);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(loop_run(*state), 3);
	loop_signal_release(&s);
}

static void
the_wait_ends_in_time(void **state)
{
	int64_t start = clock_mono_us();

	loop_turn(*state, 20);
	/* libevent's clock is coarse: a wait may be some milliseconds short. */
	assert_true(clock_mono_us() - start >= 10 * 1000);
}

static void
the_clock_stands_still_within_a_turn(void *p)
{
	struct trace *t = p;
	ms_t now = loop_now(t->l);
	us_t wall = loop_wall_us(t->l);

	clock_fake(99 * 1000 * 1000, 99);
	assert_int_equal(loop_now(t->l), now);
	assert_int_equal(loop_wall_us(t->l), wall);
	t->n = (int)now;
}

static void
both_clocks_are_those_of_the_turn(void **state)
{
	struct trace t = { .l = *state };

	clock_fake(5 * 1000 * 1000, 7);
	assert_int_equal(loop_now(t.l), 5000);
	assert_int_equal(loop_wall_us(t.l), 7);
	loop_defer(t.l, LOOP_DECIDE, &t.a, the_clock_stands_still_within_a_turn, &t);
	loop_turn(t.l, 0);
	assert_int_equal(t.n, 5000);
	assert_int_equal(loop_now(t.l), 99 * 1000);
	/* From 5 s to 99 s: that is how long this turn took by the clock. */
	assert_int_equal(loop_lag_us(t.l), 94 * 1000 * 1000);
	assert_int_equal(loop_lag_us(t.l), 0);
}

static void
on_ready(void *p)
{
	note(p, 'r');
}

/* With a bare EVLOOP_NONBLOCK libevent dispatches for as long as anything is ready, so this would never come back. */
static void
a_descriptor_that_stays_ready_does_not_hold_the_turn(void **state)
{
	struct trace t = { .l = *state };
	struct loop_fd f;
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	assert_int_equal(loop_fd_init(&f, t.l, p[0], on_ready, &t), E_OK);
	loop_turn(t.l, 0);
	assert_string_equal(t.text, "r");
	loop_defer(t.l, LOOP_DECIDE, &t.a, note_a, &t);
	loop_turn(t.l, -1);
	assert_string_equal(t.text, "rra");
	loop_fd_release(&f);
	close(p[0]);
	close(p[1]);
}

static void
no_memory_no_loop(void **state)
{
	struct errtext t;

	(void)state;
	for (uint64_t i = 1; i <= 2; i++) {
		alloc_fail_after(i);
		assert_null(loop_new(&t));
		alloc_fail_after(0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(decisions_come_before_the_flush_of_the_same_turn),
		LOOP_TEST(an_undeferred_task_does_not_run),
		LOOP_TEST(a_task_that_defers_itself_does_not_hold_the_turn),
		LOOP_TEST(what_a_flush_defers_runs_without_waiting),
		LOOP_TEST(the_closed_are_freed_at_the_turns_end),
		LOOP_TEST(many_can_be_reaped_in_one_turn),
		LOOP_TEST(reaping_without_memory_frees_nothing_early),
		cmocka_unit_test(what_waits_is_reaped_with_the_loop),
		LOOP_TEST(a_readable_descriptor_calls_until_it_is_read),
		LOOP_TEST(a_descriptor_that_stays_ready_does_not_hold_the_turn),
		LOOP_TEST(a_signal_is_an_event_and_stops_the_run),
		LOOP_TEST(a_stop_before_the_run_counts_once),
		LOOP_TEST(the_wait_ends_in_time),
		LOOP_TEST(both_clocks_are_those_of_the_turn),
		cmocka_unit_test(no_memory_no_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
