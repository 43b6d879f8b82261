/* Timers, on a clock that the tests move. */
#include "fixture.h"

#include "base/alloc.h"
#include "base/id.h"

struct bell {
	struct loop_timer timer;
	struct bell **order;
	int *n;
	ms_t again;
};

static void
ring(void *p)
{
	struct bell *b = p;

	b->order[(*b->n)++] = b;
	if (b->again >= 0)
		loop_timer_arm(&b->timer, b->again);
}

static void
at(ms_t ms)
{
	clock_fake(ms * 1000, 1);
}

static void
timers_fire_in_order_and_not_early(void **state)
{
	struct bell *order[8], bells[4];
	int n = 0;

	at(1000);
	for (int i = 0; i < 4; i++) {
		bells[i] = (struct bell){ .order = order, .n = &n, .again = -1 };
		assert_int_equal(loop_timer_init(&bells[i].timer, *state, ring, &bells[i]), E_OK);
	}
	loop_timer_arm(&bells[0].timer, 30 * 1000);
	loop_timer_arm(&bells[1].timer, 10);
	loop_timer_arm(&bells[2].timer, 10);
	loop_timer_arm(&bells[3].timer, 5);
	at(1009);
	loop_turn(*state, 0);
	assert_int_equal(n, 1);
	assert_ptr_equal(order[0], &bells[3]);
	assert_false(bells[3].timer.armed);
	at(1010);
	loop_turn(*state, 0);
	assert_int_equal(n, 3);
	assert_ptr_equal(order[1], &bells[1]);
	assert_ptr_equal(order[2], &bells[2]);
	at(31000);
	loop_turn(*state, -1);
	assert_int_equal(n, 4);
	for (int i = 0; i < 4; i++)
		loop_timer_release(&bells[i].timer);
}

static void
arming_again_moves_a_timer(void **state)
{
	struct bell *order[8], b = { .order = order, .again = -1 };
	int n = 0;

	at(0);
	b.n = &n;
	assert_int_equal(loop_timer_init(&b.timer, *state, ring, &b), E_OK);
	loop_timer_arm(&b.timer, 10);
	loop_timer_arm(&b.timer, 20);
	at(10);
	loop_turn(*state, 0);
	assert_int_equal(n, 0);
	loop_timer_arm(&b.timer, 1);
	at(11);
	loop_turn(*state, 0);
	assert_int_equal(n, 1);
	loop_timer_arm(&b.timer, -5);
	loop_timer_disarm(&b.timer);
	loop_timer_disarm(&b.timer);
	at(1000);
	loop_turn(*state, 0);
	assert_int_equal(n, 1);
	loop_timer_release(&b.timer);
	loop_timer_release(&b.timer);
}

static void
a_timer_without_delay_fires_once_a_turn(void **state)
{
	struct bell *order[8], b = { .order = order, .again = 0 };
	int n = 0;

	at(5);
	b.n = &n;
	assert_int_equal(loop_timer_init(&b.timer, *state, ring, &b), E_OK);
	loop_timer_arm(&b.timer, 0);
	loop_turn(*state, -1);
	assert_int_equal(n, 1);
	loop_turn(*state, -1);
	assert_int_equal(n, 2);
	loop_timer_release(&b.timer);
}

static void
a_timer_for_ever_does_not_overflow(void **state)
{
	struct bell *order[8], b = { .order = order, .again = -1 };
	int n = 0;

	at(5);
	b.n = &n;
	assert_int_equal(loop_timer_init(&b.timer, *state, ring, &b), E_OK);
	loop_timer_arm(&b.timer, INT64_MAX);
	loop_turn(*state, 1);
	assert_int_equal(n, 0);
	assert_true(b.timer.armed);
	loop_timer_release(&b.timer);
}

static void
no_memory_means_no_timer(void **state)
{
	struct loop_timer t[33] = { 0 };
	enum err e;

	for (int i = 0; i < 32; i++)
		assert_int_equal(loop_timer_init(&t[i], *state, ring, NULL), E_OK);
	alloc_fail_after(1);
	e = loop_timer_init(&t[32], *state, ring, NULL);
	alloc_fail_after(0);
	assert_int_equal(e, E_NOMEM);
	for (int i = 0; i < 33; i++)
		loop_timer_release(&t[i]);
}

enum { CROWD = 500 };

/* The heap against the obvious: due times at random, some moved, some taken out; all others fire, in order. */
static void
a_crowd_fires_in_the_order_of_its_due_times(void **state)
{
	static struct bell crowd[CROWD], *order[CROWD];
	ms_t last = 0;
	int n = 0, expected = CROWD;

	id_fake(42);
	at(0);
	for (int i = 0; i < CROWD; i++) {
		crowd[i] = (struct bell){ .order = order, .n = &n, .again = -1 };
		assert_int_equal(loop_timer_init(&crowd[i].timer, *state, ring, &crowd[i]), E_OK);
		loop_timer_arm(&crowd[i].timer, (ms_t)(id_random_u64() % 1000));
	}
	for (int i = 0; i < CROWD; i += 3)
		loop_timer_arm(&crowd[i].timer, (ms_t)(id_random_u64() % 1000));
	for (int i = 0; i < CROWD; i += 7) {
		loop_timer_disarm(&crowd[i].timer);
		expected--;
	}
	for (ms_t now = 0; now <= 1000; now += 100) {
		at(now);
		loop_turn(*state, 0);
	}
	assert_int_equal(n, expected);
	for (int i = 0; i < n; i++) {
		assert_true(order[i]->timer.due >= last);
		last = order[i]->timer.due;
	}
	for (int i = 0; i < CROWD; i++)
		loop_timer_release(&crowd[i].timer);
	id_fake(0);
}

static void
the_loop_wakes_up_for_a_timer(void **state)
{
	struct bell *order[8], b = { .order = order, .again = -1 };
	int64_t start = clock_mono_us();
	int n = 0;

	b.n = &n;
	assert_int_equal(loop_timer_init(&b.timer, *state, ring, &b), E_OK);
	loop_timer_arm(&b.timer, 15);
	while (n == 0)
		loop_turn(*state, -1);
	assert_true(clock_mono_us() - start >= 14 * 1000);
	loop_timer_release(&b.timer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(timers_fire_in_order_and_not_early),
		LOOP_TEST(arming_again_moves_a_timer),
		LOOP_TEST(a_timer_without_delay_fires_once_a_turn),
		LOOP_TEST(a_timer_for_ever_does_not_overflow),
		LOOP_TEST(no_memory_means_no_timer),
		LOOP_TEST(a_crowd_fires_in_the_order_of_its_due_times),
		LOOP_TEST(the_loop_wakes_up_for_a_timer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
