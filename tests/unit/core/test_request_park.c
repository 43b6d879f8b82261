/* A backend that is away for too long: what is parked, what comes again, and that nothing runs twice for it. */
#include "unit/core/request_fixture.h"

#include "core/ladder.h"

static void
away(struct fixture *f)
{
	next(f);
	request_on_backend_away(&f->r, &f->fx);
}

static void
published(struct fixture *f)
{
	next(f);
	request_on_published(&f->r, &f->fx);
}

static void
result_is_parked_and_then_acknowledged(void **state)
{
	struct fixture *f = *state;

	run(f);
	succeed(f);
	away(f);
	assert_true(has(f, EFF_MAIL));
	assert_int_equal(f->r.state, REQUEST_PARKING);
	assert_int_equal(f->r.mail.kind, MAIL_PARK);
	assert_false(f->r.mail.with_task);
	away(f);
	assert_int_equal(f->fx.count, 0);
	published(f);
	assert_true(has(f, EFF_ACK));
}

static void
links_are_sent_after_the_result_is_parked(void **state)
{
	struct fixture *f = *state;

	f->r.task.callbacks = SPAN(
		"[{\"task\": \"add\", \"args\": [1], \"kwargs\": {}, \"options\": {\"task_id\": \"next\"}}]");
	run(f);
	succeed(f);
	away(f);
	assert_false(f->r.mail.with_task);
	published(f);
	assert_int_equal(f->r.state, REQUEST_PUBLISHING);
	assert_int_equal(f->r.mail.kind, MAIL_NONE);
	assert_int_equal(f->r.flow.count, 1);
	published(f);
	assert_true(has(f, EFF_ACK));
}

static void
what_must_be_counted_takes_its_message_along(void **state)
{
	struct fixture *f = *state;

	f->rules.has_chords = true;
	f->r.task.group = SPAN("g");
	f->r.task.group_index = 0;
	f->r.task.chord = SPAN(
		"{\"task\": \"sum\", \"args\": [], \"kwargs\": {}, \"options\": {\"task_id\": \"body\"}, \"chord_size\": 2}");
	run(f);
	succeed(f);
	assert_true(has(f, EFF_STORE));
	away(f);
	assert_true(f->r.mail.with_task);
	/* Whoever gets the message will do all that. */
	published(f);
	assert_true(has(f, EFF_ACK));
	assert_false(has(f, EFF_FLOW));
}

static void
dead_letter_follows_its_parked_failure(void **state)
{
	struct fixture *f = *state;

	f->r.been.lost = 3;
	run(f);
	next(f);
	request_on_lost(&f->r, "exited with code 1", &now, &f->fx);
	assert_true(has(f, EFF_STORE));
	away(f);
	assert_int_equal(f->r.mail.kind, MAIL_PARK);
	published(f);
	assert_int_equal(f->r.mail.kind, MAIL_DEAD);
	assert_string_equal(f->r.mail.reason, "lost");
	published(f);
	assert_true(has(f, EFF_ACK));
}

static void
who_has_to_ask_comes_again(void **state)
{
	struct fixture *f = *state;

	f->rules.has_notes = true;
	f->r.redelivered = true;
	arrive(f, true);
	assert_true(has(f, EFF_CLAIM));
	away(f);
	assert_int_equal(f->r.mail.kind, MAIL_LATER);
	assert_int_equal(f->r.mail.delay_s, 60);
	assert_int_equal(f->r.been.held, 1);
	published(f);
	assert_true(has(f, EFF_ACK));
}

static void
what_runs_or_waits_for_the_broker_is_left_alone(void **state)
{
	struct fixture *f = *state;

	run(f);
	away(f);
	assert_int_equal(f->fx.count, 0);
	succeed(f);
	stored(f, E_OK);
	away(f);
	assert_int_equal(f->fx.count, 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(result_is_parked_and_then_acknowledged),
		T(links_are_sent_after_the_result_is_parked),
		T(what_must_be_counted_takes_its_message_along),
		T(dead_letter_follows_its_parked_failure),
		T(who_has_to_ask_comes_again),
		T(what_runs_or_waits_for_the_broker_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
