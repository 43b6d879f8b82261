/* Consumers of a pool: how many, with which window, and which one moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/window.h"

static void
one_queue_needs_no_shared_window(void **state)
{
	(void)state;
	assert_int_equal(window_choose(1, false), WINDOW_ONE);
	assert_int_equal(window_choose(1, true), WINDOW_ONE);
	assert_int_equal(window_choose(2, false), WINDOW_SHARED);
	assert_int_equal(window_choose(2, true), WINDOW_SPREAD);
}

/* The invariant: what consumers may hold together is never more than the slots. */
static void
windows_never_exceed_the_slots(void **state)
{
	(void)state;
	for (size_t queues = 1; queues < 6; queues++) {
		for (size_t slots = 1; slots < 40; slots++) {
			enum window_mode one = window_choose(queues, true);
			size_t sum = window_consumers(one, queues, slots) * (size_t)window_prefetch(one, slots);

			assert_true(sum == slots);
			if (queues > 1)
				assert_int_equal(window_prefetch(WINDOW_SHARED, slots), slots);
		}
	}
}

static void
spread_begins_evenly(void **state)
{
	size_t count[3] = { 0 };

	(void)state;
	for (size_t i = 0; i < 7; i++)
		count[window_first_queue(WINDOW_SPREAD, i, 3)]++;
	assert_int_equal(count[0], 3);
	assert_int_equal(count[1], 2);
	assert_int_equal(count[2], 2);
}

static void
idle_consumer_moves_to_where_tasks_wait(void **state)
{
	struct window_queue q[2] = { { .idle = 2 }, { .ready = 10, .busy = 2 } };
	struct window_move m = window_decide(q, 2, 0);

	(void)state;
	assert_true(m.wanted);
	assert_int_equal(m.from, 0);
	assert_int_equal(m.to, 1);
}

static void
nothing_moves_when_everyone_works(void **state)
{
	struct window_queue q[2] = { { .ready = 5, .busy = 2 }, { .ready = 10, .busy = 2 } };

	(void)state;
	assert_false(window_decide(q, 2, 0).wanted);
}

static void
nothing_moves_when_an_idle_consumer_is_there_already(void **state)
{
	struct window_queue q[2] = { { .idle = 1 }, { .ready = 1, .idle = 1 } };

	(void)state;
	assert_false(window_decide(q, 2, 0).wanted);
}

static void
queue_without_consumer_takes_a_busy_one(void **state)
{
	struct window_queue q[2] = { { .ready = 1000, .busy = 1 }, { .ready = 1 } };
	struct window_move m = window_decide(q, 2, 0);

	(void)state;
	assert_true(m.wanted);
	assert_int_equal(m.from, 0);
	assert_int_equal(m.to, 1);
}

static void
lone_consumer_visits_all_empty_queues(void **state)
{
	struct window_queue q[3] = { { .idle = 1 } };
	bool visited[3] = { true };
	size_t at = 0;

	(void)state;
	for (size_t turn = 0; turn < 6; turn++) {
		struct window_move m = window_decide(q, 3, turn);

		if (!m.wanted)
			continue;
		assert_int_equal(m.from, at);
		q[at].idle = 0;
		at = m.to;
		q[at].idle = 1;
		visited[at] = true;
	}
	assert_true(visited[0] && visited[1] && visited[2]);
}

static void
even_spread_rests(void **state)
{
	struct window_queue q[2] = { { .idle = 2 }, { .idle = 2 } };

	(void)state;
	for (size_t turn = 0; turn < 5; turn++)
		assert_false(window_decide(q, 2, turn).wanted);
}

/* Whatever the counts say, a move goes between different queues and takes from one that has a consumer. */
static void
every_move_is_possible(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct window_queue q[4];
		struct window_move m;

		for (size_t i = 0; i < 4; i++) {
			seed = seed * 1103515245 + 12345;
			q[i].ready = (seed >> 16) % 3;
			q[i].idle = (seed >> 20) % 3;
			q[i].busy = (seed >> 24) % 3;
		}
		m = window_decide(q, 4, seed);
		if (!m.wanted)
			continue;
		assert_true(m.from < 4 && m.to < 4 && m.from != m.to);
		assert_true(q[m.from].idle + q[m.from].busy > 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_queue_needs_no_shared_window),
		cmocka_unit_test(windows_never_exceed_the_slots),
		cmocka_unit_test(spread_begins_evenly),
		cmocka_unit_test(idle_consumer_moves_to_where_tasks_wait),
		cmocka_unit_test(nothing_moves_when_everyone_works),
		cmocka_unit_test(nothing_moves_when_an_idle_consumer_is_there_already),
		cmocka_unit_test(queue_without_consumer_takes_a_busy_one),
		cmocka_unit_test(lone_consumer_visits_all_empty_queues),
		cmocka_unit_test(even_spread_rests),
		cmocka_unit_test(every_move_is_possible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
