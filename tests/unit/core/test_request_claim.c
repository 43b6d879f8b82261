/* Who may run: what a message that comes again is told, and what is noted on the way. */
#include "unit/core/request_fixture.h"

#include "core/ladder.h"

static int
set_up_noting(void **state)
{
	struct fixture *f;

	set_up(state);
	f = *state;
	f->rules.has_notes = true;
	return 0;
}

static void
told(struct fixture *f, struct note_answer a)
{
	next(f);
	request_on_claimed(&f->r, &a, WALL, &f->fx);
}

/* It has come again, and asked. */
static void
ask(struct fixture *f)
{
	f->r.redelivered = true;
	arrive(f, true);
	assert_true(has(f, EFF_CLAIM));
	assert_false(has(f, EFF_RUN) || has(f, EFF_CHECK));
	assert_int_equal(f->r.state, REQUEST_CHECKING);
}

static void
who_comes_first_does_not_ask_and_is_noted_when_it_lasts(void **state)
{
	struct fixture *f = *state;

	run(f);
	assert_false(has(f, EFF_NOTE));
	next(f);
	request_on_started_due(&f->r, &f->fx);
	assert_true(has(f, EFF_NOTE));
	assert_true(has(f, EFF_STATE));
	assert_int_equal(request_note_end(&f->r).state, NOTE_FREE);
	next(f);
	request_on_channel_lost(&f->r, &f->fx);
	assert_false(has(f, EFF_NOTE));
}

static void
a_run_that_loses_its_channel_is_noted_at_once(void **state)
{
	struct fixture *f = *state;

	run(f);
	next(f);
	request_on_channel_lost(&f->r, &f->fx);
	assert_true(has(f, EFF_NOTE));
}

static void
who_has_been_about_asks(void **state)
{
	for (int i = 0; i < 7; i++) {
		struct fixture *f = *state;

		request_release(&f->r);
		set_up_noting(state);
		f->r.redelivered = i == 0;
		f->r.task.retries = i == 1;
		f->r.been.lost = i == 2;
		f->r.been.requeued = i == 3;
		f->r.been.held = i == 4;
		f->r.task.eta = i == 5 ? WALL - 1 : INT64_MIN;
		f->rules.all_ask = i == 6;
		arrive(f, true);
		assert_true(has(f, EFF_CLAIM));
		assert_int_equal(request_wants_result(&f->r), i == 0 || i == 4);
		assert_int_equal(request_note_end(&f->r).state, NOTE_OVER);
	}
}

static void
who_is_ignored_leaves_its_id_to_others(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = { .type = RUN_DONE, .outcome = RUN_IGNORE };

	ask(f);
	told(f, (struct note_answer){ .verdict = NOTE_IS_FREE });
	next(f);
	request_on_started(&f->r, 42, 1000, &f->fx);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_true(has(f, EFF_ACK));
	assert_int_equal(request_note_end(&f->r).state, NOTE_FREE);
}

static void
what_is_free_runs(void **state)
{
	struct fixture *f = *state;

	ask(f);
	told(f, (struct note_answer){ .verdict = NOTE_IS_FREE });
	assert_true(has(f, EFF_RUN));
	next(f);
	request_on_started(&f->r, 42, 1000, &f->fx);
	assert_int_equal(f->r.state, REQUEST_RUNNING);
	assert_true(has(f, EFF_NOTE));
}

static void
what_cannot_be_known_runs(void **state)
{
	struct fixture *f = *state;

	ask(f);
	next(f);
	request_on_claimed(&f->r, NULL, WALL, &f->fx);
	assert_true(has(f, EFF_RUN));
}

static void
what_runs_elsewhere_waits_on_the_ladder_ever_longer(void **state)
{
	static const int64_t delays[] = { 3, 3, 4, 8, 16, 30, 30 };

	for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
		struct fixture *f = *state;

		request_release(&f->r);
		set_up_noting(state);
		f->r.been.held = (int64_t)i;
		ask(f);
		told(f,
			(struct note_answer){
				.verdict = NOTE_IS_HELD, .left_ms = 2500, .words = SPAN("w2@host") });
		assert_int_equal(f->r.mail.kind, MAIL_LATER);
		assert_int_equal(f->r.mail.delay_s, delays[i]);
		assert_int_equal(f->r.been.held, i + 1);
		assert_span(find(f, EFF_REPORT)->u.report.text, "w2@host");
		next(f);
		request_on_published(&f->r, &f->fx);
		assert_true(has(f, EFF_ACK));
	}
}

static void
without_a_ladder_it_is_held_and_asks_again(void **state)
{
	struct fixture *f = *state;
	char name[LADDER_QUEUE_MAX + 2];

	memset(name, 'q', sizeof(name));
	f->r.queue = (struct span){ name, sizeof(name) };
	ask(f);
	told(f, (struct note_answer){ .verdict = NOTE_IS_HELD, .left_ms = 500, .words = SPAN("w2") });
	assert_int_equal(find(f, EFF_HOLD)->u.until, WALL + 1000000);
	next(f);
	request_on_due(&f->r, WALL + 1000000, &f->fx);
	assert_true(has(f, EFF_CLAIM));
}

static void
what_is_done_or_over_is_acknowledged(void **state)
{
	struct fixture *f = *state;
	struct result done = { .state = SPAN("SUCCESS"), .value = SPAN("5") };

	ask(f);
	told(f, (struct note_answer){ .verdict = NOTE_IS_DONE, .stored = &done });
	assert_true(has(f, EFF_ACK));

	request_release(&f->r);
	set_up_noting(state);
	ask(f);
	told(f, (struct note_answer){ .verdict = NOTE_WAS_OVER });
	assert_true(has(f, EFF_ACK));
	assert_int_equal(find(f, EFF_REPORT)->u.report.kind, REPORT_DONE_BEFORE);
}

static void
retry_is_noted_before_its_copy_is_sent(void **state)
{
	struct fixture *f = *state;
	struct run_frame again = { .type = RUN_DONE,
		.outcome = RUN_RETRY,
		.has_countdown = true,
		.countdown = 60,
		.max_retries = -1 };
	const struct note_next *n;

	run(f);
	next(f);
	request_on_frame(&f->r, &again, &now, &f->fx);
	assert_false(has(f, EFF_MAIL));
	n = &find(f, EFF_MOVE)->u.next;
	assert_int_equal(n->kind, NOTE_RETRY);
	assert_int_equal(n->due, WALL + INT64_C(60000000));
	next(f);
	request_on_moved(&f->r, &f->fx);
	assert_true(has(f, EFF_MAIL));
	assert_int_equal(f->r.state, REQUEST_PUBLISHING);
}

static void
lost_and_given_back_are_noted_with_their_counts(void **state)
{
	struct fixture *f = *state;
	struct run_frame back = { .type = RUN_DONE, .outcome = RUN_REJECT, .requeue = true };

	run(f);
	next(f);
	request_on_lost(&f->r, "exited with code 1", &now, &f->fx);
	assert_int_equal(find(f, EFF_MOVE)->u.next.kind, NOTE_LOST);
	assert_int_equal(find(f, EFF_MOVE)->u.next.lost, 1);
	/* The attempt that is over is the one that came. */
	assert_int_equal(request_note(&f->r, NOTE_MOVED).lost, 0);

	request_release(&f->r);
	set_up_noting(state);
	f->r.been.requeued = f->r.came_requeued = 1;
	arrive(f, true);
	told(f, (struct note_answer){ .verdict = NOTE_IS_FREE });
	next(f);
	request_on_started(&f->r, 42, 1000, &f->fx);
	next(f);
	request_on_frame(&f->r, &back, &now, &f->fx);
	assert_int_equal(find(f, EFF_MOVE)->u.next.requeued, 2);
	assert_int_equal(find(f, EFF_MOVE)->u.next.due, WALL + 1000000);
}

static void
after_its_end_the_copy_is_sent_again_and_nothing_runs(void **state)
{
	struct fixture *f = *state;

	ask(f);
	told(f, (struct note_answer){ .verdict = NOTE_HAS_MOVED, .words = SPAN("retry 0 0 1800000030000000") });
	assert_true(has(f, EFF_MAIL));
	assert_int_equal(f->r.mail.kind, MAIL_RETRY);
	assert_int_equal(f->r.mail.eta, INT64_C(1800000030000000));
	assert_int_equal(f->r.mail.delay_s, 30);

	request_release(&f->r);
	set_up_noting(state);
	ask(f);
	told(f, (struct note_answer){ .verdict = NOTE_HAS_MOVED, .words = SPAN("lost 2 1 0") });
	assert_int_equal(f->r.mail.kind, MAIL_LOST);
	assert_int_equal(f->r.been.lost, 2);
	assert_int_equal(f->r.been.requeued, 1);
}

static void
a_task_that_ends_its_workers_is_given_up(void **state)
{
	struct fixture *f = *state;

	f->r.been.lost = f->r.came_lost = 1;
	ask(f);
	told(f, (struct note_answer){ .verdict = NOTE_IS_FREE, .deaths = 2, .words = SPAN("w2@host") });
	assert_true(has(f, EFF_RUN));

	request_release(&f->r);
	set_up_noting(state);
	f->r.been.lost = f->r.came_lost = 1;
	ask(f);
	told(f, (struct note_answer){ .verdict = NOTE_IS_FREE, .deaths = 3, .words = SPAN("w2@host") });
	assert_false(has(f, EFF_RUN));
	assert_span(find(f, EFF_STORE)->u.result.state, "FAILURE");
	assert_span(find(f, EFF_REPORT)->u.report.text,
		"the worker that ran this task, w2@host, ended without a word (run 4 of 4)");
	stored(f, E_OK);
	assert_int_equal(f->r.mail.kind, MAIL_DEAD);
	assert_string_equal(f->r.mail.reason, "lost");
}

static void
children_and_workers_that_die_count_together(void **state)
{
	struct fixture *f = *state;

	ask(f);
	told(f, (struct note_answer){ .verdict = NOTE_IS_FREE, .deaths = 3, .words = SPAN("w2@host") });
	next(f);
	request_on_started(&f->r, 42, 1000, &f->fx);
	next(f);
	request_on_lost(&f->r, "was killed by signal 9 (SIGKILL)", &now, &f->fx);
	assert_true(has(f, EFF_STORE));
	assert_int_equal(f->r.been.lost, 4);
}

static void
without_notes_the_queue_counts_for_what_it_is_worth(void **state)
{
	struct fixture *f = *state;

	f->rules.has_notes = false;
	f->r.redelivered = true;
	f->r.deliveries = 20;
	arrive(f, true);
	assert_true(has(f, EFF_CHECK));

	request_release(&f->r);
	set_up(state);
	f->r.redelivered = true;
	f->r.deliveries = 21;
	arrive(f, true);
	assert_span(find(f, EFF_STORE)->u.result.state, "FAILURE");
	assert_string_equal(f->r.mail.reason, "lost");
}

static void
revoked_while_it_asked(void **state)
{
	struct fixture *f = *state;

	ask(f);
	next(f);
	request_on_revoked(&f->r, WALL, &f->fx);
	assert_int_equal(f->fx.count, 0);
	told(f, (struct note_answer){ .verdict = NOTE_IS_FREE });
	assert_span(find(f, EFF_STORE)->u.result.state, "REVOKED");
}

static void
copy_for_later_of_a_message_that_came_again_still_asks(void **state)
{
	struct fixture *f = *state;

	f->r.redelivered = true;
	f->r.task.eta = WALL + INT64_C(60000000);
	arrive(f, true);
	assert_int_equal(f->r.mail.kind, MAIL_LATER);
	assert_int_equal(f->r.been.held, 1);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up_noting, tear_down)
	const struct CMUnitTest tests[] = {
		T(who_comes_first_does_not_ask_and_is_noted_when_it_lasts),
		T(a_run_that_loses_its_channel_is_noted_at_once),
		T(who_has_been_about_asks),
		T(who_is_ignored_leaves_its_id_to_others),
		T(what_is_free_runs),
		T(what_cannot_be_known_runs),
		T(what_runs_elsewhere_waits_on_the_ladder_ever_longer),
		T(without_a_ladder_it_is_held_and_asks_again),
		T(what_is_done_or_over_is_acknowledged),
		T(retry_is_noted_before_its_copy_is_sent),
		T(lost_and_given_back_are_noted_with_their_counts),
		T(after_its_end_the_copy_is_sent_again_and_nothing_runs),
		T(a_task_that_ends_its_workers_is_given_up),
		T(children_and_workers_that_die_count_together),
		T(without_notes_the_queue_counts_for_what_it_is_worth),
		T(revoked_while_it_asked),
		T(copy_for_later_of_a_message_that_came_again_still_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
