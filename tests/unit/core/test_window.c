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

/* --- the window of single consumers ------------------------------------------------------------------------------------- */

/* A broker that carries out what is planned: delivers whatever it may, and answers a cancel when it is asked to. */
struct play {
	enum window_mode mode;
	struct window_share shares[64];
	size_t n;
};

static void
play_fit(struct play *p, uint32_t slots)
{
	struct window_change c;

	while ((c = window_fit(p->mode, p->shares, p->n, slots)).action != WINDOW_KEEP) {
		if (c.action == WINDOW_CANCEL) {
			assert_int_equal(p->shares[c.consumer].state, WINDOW_ON);
			p->shares[c.consumer].state = WINDOW_LEAVING;
			continue;
		}
		assert_true(c.prefetch > 0 && p->n < 64);
		p->shares[p->n++] = (struct window_share){ .prefetch = c.prefetch, .state = WINDOW_ON };
	}
}

static void
play_deliver(struct play *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->shares[i].state != WINDOW_OFF)
			p->shares[i].held = p->shares[i].prefetch;
}

static void
play_answer_cancels(struct play *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->shares[i].state == WINDOW_LEAVING)
			p->shares[i].state = WINDOW_OFF;
}

static void
one_consumer_has_the_whole_window(void **state)
{
	struct play p = { .mode = WINDOW_ONE };

	(void)state;
	play_fit(&p, 8);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.shares[0].prefetch, 8);
	p = (struct play){ .mode = WINDOW_SPREAD };
	play_fit(&p, 8);
	assert_int_equal(p.n, 8);
	assert_int_equal(p.shares[7].prefetch, 1);
}

static void
window_grows_beside_what_runs(void **state)
{
	struct play p = { .mode = WINDOW_ONE };

	(void)state;
	play_fit(&p, 2);
	play_deliver(&p);
	play_fit(&p, 5);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.shares[1].prefetch, 3);
	assert_int_equal(p.shares[0].state, WINDOW_ON);
}

static void
window_shrinks_as_tasks_end(void **state)
{
	struct play p = { .mode = WINDOW_ONE };

	(void)state;
	play_fit(&p, 4);
	play_deliver(&p);
	play_fit(&p, 2);
	play_answer_cancels(&p);
	play_fit(&p, 2);
	assert_int_equal(p.n, 1);
	assert_int_equal(window_claims(p.shares, p.n), 4);
	p.shares[0].held = 2;
	play_fit(&p, 2);
	assert_int_equal(p.n, 1);
	/* Only now there is room for a new one, and for no more than this. */
	p.shares[0].held = 1;
	play_fit(&p, 2);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.shares[1].prefetch, 1);
}

/* Until the broker has answered, what it was asked to cancel may still bring something. */
static void
cancelled_consumer_counts_until_it_is_off(void **state)
{
	struct play p = { .mode = WINDOW_ONE };

	(void)state;
	play_fit(&p, 4);
	play_fit(&p, 2);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.shares[0].state, WINDOW_LEAVING);
	play_answer_cancels(&p);
	play_fit(&p, 2);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.shares[1].prefetch, 2);
}

/* The invariant, whatever happens in whatever order: no step lets more be held than the slots allow, and in the end all of them are used. */
static void
window_follows_any_change(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 2000; seed++) {
		struct play p = { .mode = seed % 2 ? WINDOW_ONE : WINDOW_SPREAD };
		uint32_t random = seed, slots = 1 + seed % 5, before;

		for (int step = 0; step < 12 && p.n < 48; step++) {
			before = window_claims(p.shares, p.n);
			play_fit(&p, slots);
			if (window_claims(p.shares, p.n) > (before > slots ? before : slots))
				fail_msg("seed %u, step %d: %u may be held with %u slots", seed, step,
					window_claims(p.shares, p.n), slots);
			random = random * 1103515245 + 12345;
			if ((random >> 16) % 4 == 0)
				slots = 1 + (random >> 20) % 6;
			else if ((random >> 16) % 4 == 1)
				play_deliver(&p);
			else if ((random >> 16) % 4 == 2)
				play_answer_cancels(&p);
			else
				for (size_t i = 0; i < p.n; i++)
					p.shares[i].held -= p.shares[i].held > 0;
		}
		for (size_t i = 0; i < p.n; i++)
			p.shares[i].held = 0;
		for (int i = 0; i < 3; i++) {
			play_fit(&p, slots);
			play_answer_cancels(&p);
		}
		assert_int_equal(window_claims(p.shares, p.n), slots);
	}
}

static void
further_consumers_go_where_fewest_are(void **state)
{
	struct window_queue q[3] = { { .idle = 1 }, { .off = true }, { .busy = 2 } };

	(void)state;
	assert_true(window_thinnest(q, 3) == 0);
	q[0].busy = 2;
	assert_true(window_thinnest(q, 3) == 2);
	q[0].off = q[2].off = true;
	assert_true(window_thinnest(q, 3) == SIZE_MAX);
}

static void
nothing_moves_to_a_queue_that_is_off(void **state)
{
	struct window_queue q[2] = { { .idle = 2 }, { .ready = 10, .off = true } };

	(void)state;
	for (size_t turn = 0; turn < 4; turn++)
		assert_false(window_decide(q, 2, turn).wanted);
}

/* --- consumers that move ------------------------------------------------------------------------------------------------ */

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
			q[i] = (struct window_queue){ .ready = (seed >> 16) % 3,
				.idle = (seed >> 20) % 3,
				.busy = (seed >> 24) % 3,
				.off = (seed >> 28) % 4 == 0 };
		}
		m = window_decide(q, 4, seed);
		if (!m.wanted)
			continue;
		assert_true(m.from < 4 && m.to < 4 && m.from != m.to && !q[m.to].off);
		assert_true(q[m.from].idle + q[m.from].busy > 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_queue_needs_no_shared_window),
		cmocka_unit_test(one_consumer_has_the_whole_window),
		cmocka_unit_test(window_grows_beside_what_runs),
		cmocka_unit_test(window_shrinks_as_tasks_end),
		cmocka_unit_test(cancelled_consumer_counts_until_it_is_off),
		cmocka_unit_test(window_follows_any_change),
		cmocka_unit_test(further_consumers_go_where_fewest_are),
		cmocka_unit_test(nothing_moves_to_a_queue_that_is_off),
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
