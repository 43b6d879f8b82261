/* Tasks that run later: countdown and eta, and retries. */
#include "unit/core/request_fixture.h"

static void
future_task_moves_to_the_ladder_and_is_acknowledged_then(void **state)
{
	struct fixture *f = *state;

	f->r.task.eta = WALL + 5500000;
	arrive(f, true);
	assert_false(has(f, EFF_RUN));
	assert_false(has(f, EFF_ACK));
	assert_true(has(f, EFF_MAIL));
	assert_int_equal(f->r.mail.kind, MAIL_LATER);
	assert_int_equal(f->r.mail.delay_s, 6);
	next(f);
	request_on_published(&f->r, &f->fx);
	assert_true(has(f, EFF_ACK));
}

/* A pool all of whose places are taken by what is due soon would run nothing that is due now. */
static void
task_due_within_a_second_does_not_wait_in_the_way_of_others(void **state)
{
	struct request_arrival in = { .fault = TASK_FINE, .why = "", .is_known = true, .wall = WALL };
	struct fixture *f = *state;

	f->r.task.eta = WALL + 400000;
	request_on_received(&f->r, &in, &f->fx);
	assert_int_equal(f->r.mail.kind, MAIL_LATER);
	assert_int_equal(f->r.mail.delay_s, 1);
	assert_non_null(find(f, EFF_MAIL));
}

static void
task_due_within_a_second_is_held_and_may_expire_meanwhile(void **state)
{
	struct fixture *f = *state;

	f->r.task.eta = WALL + 900000;
	f->r.task.expires = WALL + 950000;
	arrive(f, true);
	assert_true(find(f, EFF_HOLD)->u.until == WALL + 900000);
	next(f);
	request_on_due(&f->r, WALL + 1000000, &f->fx);
	assert_span(find(f, EFF_STORE)->u.result.state, "REVOKED");
}

static void
task_whose_eta_has_passed_runs(void **state)
{
	struct fixture *f = *state;

	f->r.task.eta = WALL - 900000;
	arrive(f, true);
	assert_true(has(f, EFF_RUN));
}

static void
ask_for_retry(struct fixture *f, struct run_frame *done)
{
	done->type = RUN_DONE;
	done->outcome = RUN_RETRY;
	run(f);
	next(f);
	request_on_frame(&f->r, done, &now, &f->fx);
}

static void
retry_is_stored_published_and_then_acknowledged(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = { .has_countdown = true,
		.countdown = 30,
		.max_retries = -1,
		.error = {
			.type = SPAN("OSError"), .module = SPAN("builtins"), .message = SPAN("[\"gone\"]") } };

	ask_for_retry(f, &done);
	assert_span(find(f, EFF_STATE)->u.result.state, "RETRY");
	assert_span(find(f, EFF_STATE)->u.result.value,
		"{\"exc_type\": \"OSError\", \"exc_message\": [\"gone\"], \"exc_module\": \"builtins\"}");
	assert_true(has(f, EFF_MAIL));
	assert_false(has(f, EFF_ACK));
	assert_int_equal(f->r.mail.kind, MAIL_RETRY);
	assert_int_equal(f->r.mail.delay_s, 30);
	assert_true(f->r.mail.eta == WALL + 30000000);
	next(f);
	request_on_published(&f->r, &f->fx);
	assert_true(has(f, EFF_ACK));
}

static void
retry_without_delay_goes_straight_to_its_queue(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = { .has_countdown = true, .countdown = 0, .max_retries = -1 };

	ask_for_retry(f, &done);
	assert_int_equal(f->r.mail.kind, MAIL_RETRY);
	assert_int_equal(f->r.mail.delay_s, 0);
	assert_true(f->r.mail.eta == 0);
}

static void
exhausted_retries_end_in_the_original_error(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = { .max_retries = -1,
		.error = {
			.type = SPAN("OSError"), .module = SPAN("builtins"), .message = SPAN("[\"gone\"]") } };

	f->r.task.retries = 3;
	ask_for_retry(f, &done);
	assert_span(find(f, EFF_STORE)->u.result.state, "FAILURE");
	assert_non_null(strstr(f->r.scratch.data, "OSError"));
}

static void
exhausted_retries_without_a_cause_name_the_task(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = { .max_retries = 0 };

	ask_for_retry(f, &done);
	assert_span(find(f, EFF_STORE)->u.result.state, "FAILURE");
	assert_non_null(strstr(f->r.scratch.data, "MaxRetriesExceededError"));
	assert_non_null(strstr(f->r.scratch.data, "add[id-1]"));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(future_task_moves_to_the_ladder_and_is_acknowledged_then),
		T(task_due_within_a_second_does_not_wait_in_the_way_of_others),
		T(task_due_within_a_second_is_held_and_may_expire_meanwhile),
		T(task_whose_eta_has_passed_runs),
		T(retry_is_stored_published_and_then_acknowledged),
		T(retry_without_delay_goes_straight_to_its_queue),
		T(exhausted_retries_end_in_the_original_error),
		T(exhausted_retries_without_a_cause_name_the_task),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
