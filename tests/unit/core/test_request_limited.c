/* A task that comes before its turn: where it waits, what it keeps, and what ends the wait. */
#include "request_fixture.h"

static void
ask(struct fixture *f, const struct request_turn *in)
{
	next(f);
	request_on_turn(&f->r, in, &now, &f->fx);
}

static struct fixture *
arrive_limited(void **state)
{
	struct fixture *f = *state;

	f->rules.tasks.fallback.rate = 5;
	arrive(f, true);
	assert_int_equal(f->r.state, REQUEST_ASKING);
	assert_true(has(f, EFF_TURN));
	assert_false(has(f, EFF_RUN));
	return f;
}

static void
whose_turn_it_is_runs(void **state)
{
	struct fixture *f = arrive_limited(state);

	ask(f, &(struct request_turn){ .worker = { 0, WALL } });
	assert_int_equal(f->r.state, REQUEST_WAITING);
	assert_true(has(f, EFF_RUN));
	/* Used up: when its child dies, the next run needs another turn. */
	assert_int_equal(f->r.been.turn, 0);
}

static void
a_short_wait_is_held_and_asks_again(void **state)
{
	struct fixture *f = arrive_limited(state);

	ask(f, &(struct request_turn){ .worker = { 400000, WALL + 400000 }, .may_hold = true });
	assert_int_equal(f->r.state, REQUEST_HELD);
	assert_int_equal(find(f, EFF_HOLD)->u.until, WALL + 400000);
	assert_int_equal(f->r.due, WALL + 400000);
	assert_int_equal(f->r.been.turn, WALL + 400000);
	next(f);
	request_on_due(&f->r, WALL + 400000, &f->fx);
	assert_int_equal(f->r.state, REQUEST_ASKING);
	assert_true(has(f, EFF_TURN));
}

static void
a_long_wait_goes_to_the_ladder_with_its_turns(void **state)
{
	struct fixture *f = arrive_limited(state);

	ask(f,
		&(struct request_turn){
			.worker = { 3500000, WALL + 3500000 }, .cluster = { 2000000, 77 }, .may_hold = true });
	assert_int_equal(f->r.mail.kind, MAIL_LATER);
	assert_int_equal(f->r.mail.delay_s, 3);
	assert_true(has(f, EFF_MAIL));
	assert_int_equal(find(f, EFF_REPORT)->u.report.kind, REPORT_LIMITED);
	assert_int_equal(f->r.been.turn, WALL + 3500000);
	assert_int_equal(f->r.been.cluster_turn, 77);
	/* Nothing is stored: to everybody it just waits. Acknowledged once the copy is confirmed. */
	assert_false(has(f, EFF_STORE));
	next(f);
	request_on_published(&f->r, &f->fx);
	assert_true(has(f, EFF_ACK));
}

static void
the_later_of_two_limits_counts(void **state)
{
	struct fixture *f = arrive_limited(state);

	/* One has given no turn: whatever the other says, it comes back after a while and asks both. */
	ask(f,
		&(struct request_turn){
			.worker = { 1000000, WALL + 1000000 }, .cluster = { 700000000, 0 }, .may_hold = true });
	assert_true(f->r.mail.delay_s >= 300);
}

static void
limits_that_cannot_be_asked_hold_up_no_slot(void **state)
{
	struct fixture *f = arrive_limited(state);

	f->r.been.cluster_turn = 77;
	ask(f, &(struct request_turn){ .err = E_CLOSED });
	assert_int_equal(f->r.mail.kind, MAIL_LATER);
	assert_int_equal(f->r.been.cluster_turn, 77);
	assert_int_equal(f->r.mail.delay_s, 5);
}

static void
a_queue_without_a_ladder_holds_it(void **state)
{
	static char name[256];
	struct fixture *f = arrive_limited(state);

	memset(name, 'q', 250);
	f->r.queue = (struct span){ name, 250 };
	ask(f, &(struct request_turn){ .worker = { 3500000, WALL + 3500000 } });
	assert_int_equal(f->r.state, REQUEST_HELD);
	assert_int_equal(f->r.due, WALL + 3000000);
}

static void
revoked_while_asking_does_not_run(void **state)
{
	struct fixture *f = arrive_limited(state);

	next(f);
	request_on_revoked(&f->r, WALL, &f->fx);
	assert_int_equal(f->fx.count, 0);
	ask(f, &(struct request_turn){ .worker = { 0, WALL } });
	assert_int_equal(f->r.state, REQUEST_STORING);
	assert_span(find(f, EFF_STORE)->u.result.state, "REVOKED");
}

static void
expired_while_it_waited_does_not_run(void **state)
{
	struct fixture *f = *state;

	f->rules.tasks.fallback.rate = 5;
	f->r.task.expires = WALL + 100;
	arrive(f, true);
	next(f);
	request_on_turn(&f->r, &(struct request_turn){ .worker = { 0, WALL } },
		&(struct request_now){ .wall = WALL + 200 }, &f->fx);
	assert_span(find(f, EFF_STORE)->u.result.state, "REVOKED");
}

static void
a_lost_channel_ends_the_asking(void **state)
{
	struct fixture *f = arrive_limited(state);

	next(f);
	request_on_channel_lost(&f->r, &f->fx);
	assert_true(has(f, EFF_FORGET));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whose_turn_it_is_runs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_short_wait_is_held_and_asks_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_long_wait_goes_to_the_ladder_with_its_turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_later_of_two_limits_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(limits_that_cannot_be_asked_hold_up_no_slot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_queue_without_a_ladder_holds_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(revoked_while_asking_does_not_run, set_up, tear_down),
		cmocka_unit_test_setup_teardown(expired_while_it_waited_does_not_run, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_lost_channel_ends_the_asking, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
