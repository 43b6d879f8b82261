/* The life of a task: events in, effects out, no broker and no clock. */
#include "unit/core/request_fixture.h"

static void
ack_comes_after_the_result_is_stored(void **state)
{
	struct fixture *f = *state;

	run(f);
	assert_int_equal(find(f, EFF_ARM_STARTED)->u.delay, 50);
	succeed(f);
	assert_false(has(f, EFF_ACK));
	assert_span(find(f, EFF_STORE)->u.result.state, "SUCCESS");
	assert_span(find(f, EFF_STORE)->u.result.value, "5");
	assert_int_equal(find(f, EFF_REPORT)->u.report.runtime_us, 12000);
	stored(f, E_OK);
	assert_true(has(f, EFF_ACK));
	assert_int_equal(f->r.state, REQUEST_SETTLED);
}

static void
without_a_backend_the_ack_follows_at_once(void **state)
{
	struct fixture *f = *state;

	f->rules.has_backend = false;
	run(f);
	assert_false(has(f, EFF_ARM_STARTED));
	succeed(f);
	assert_false(has(f, EFF_STORE));
	assert_true(has(f, EFF_ACK));
}

static void
ignored_results_are_not_stored_but_errors_of_the_setting_are(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = { .type = RUN_DONE,
		.outcome = RUN_ERROR,
		.error = {
			.type = SPAN("ValueError"), .module = SPAN("builtins"), .message = SPAN("[\"x\"]") } };

	f->rules.tasks.fallback.ignore_result = true;
	run(f);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_true(has(f, EFF_STORE));

	request_release(&f->r);
	set_up(state);
	f->r.task.ignore_result = true;
	run(f);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_false(has(f, EFF_STORE));
	assert_true(has(f, EFF_ACK));
}

static void
a_child_may_say_what_is_stored(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = {
		.type = RUN_DONE, .outcome = RUN_RESULT, .result = SPAN("5"), .no_store = true
	};

	run(f);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_false(has(f, EFF_STORE));
	assert_true(has(f, EFF_ACK));

	request_release(&f->r);
	set_up(state);
	f->r.task.ignore_result = true;
	done = (struct run_frame){ .type = RUN_DONE,
		.outcome = RUN_ERROR,
		.must_store = true,
		.error = { .type = SPAN("ValueError"), .module = SPAN("builtins"), .message = SPAN("[]") } };
	run(f);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_true(has(f, EFF_STORE));
}

static void
children_of_the_task_come_before_those_that_follow_it(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = { .type = RUN_DONE,
		.outcome = RUN_RESULT,
		.result = SPAN("5"),
		.children = SPAN("[[[\"own\",null],null]]") };
	struct span all;

	f->r.task.callbacks =
		SPAN("[{\"task\": \"mul\", \"args\": [], \"kwargs\": {}, \"options\": {\"task_id\": \"cb\"}, "
		     "\"subtask_type\": null, \"immutable\": false}]");
	run(f);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	all = find(f, EFF_STORE)->u.result.children;
	assert_true(span_starts(all, "[[[\"own\",null],null], [[\"cb\","));
	assert_int_equal(jscan_count(all), 2);
}

static void
error_callbacks_that_the_child_has_called_are_not_sent(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = { .type = RUN_DONE,
		.outcome = RUN_ERROR,
		.errbacks_called = SPAN("[0,2]"),
		.error = { .type = SPAN("ValueError"), .module = SPAN("builtins"), .message = SPAN("[]") } };

	f->r.task.errbacks = SPAN("[{\"task\": \"a\"}, {\"task\": \"b\"}, {\"task\": \"c\"}]");
	run(f);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_int_equal(f->r.flow.count, 1);
	assert_span(f->r.flow.steps[0].call.name, "b");
}

static void
changes_of_a_retry_are_kept_for_its_letter(void **state)
{
	struct fixture *f = *state;
	char args[] = "[7]", kwargs[] = "{\"x\":1}", options[] = "{\"queue\":\"slow\"}";
	struct run_frame done = { .type = RUN_DONE,
		.outcome = RUN_RETRY,
		.has_countdown = true,
		.max_retries = INT32_MAX,
		.new_args = span_of(args),
		.new_kwargs = span_of(kwargs),
		.options = span_of(options),
		.traceback = SPAN("Traceback") };

	run(f);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_span(find(f, EFF_STATE)->u.result.traceback, "Traceback");
	memset(args, 'x', sizeof(args));
	memset(kwargs, 'x', sizeof(kwargs));
	memset(options, 'x', sizeof(options));
	assert_int_equal(f->r.mail.kind, MAIL_RETRY);
	assert_span(f->r.change.args, "[7]");
	assert_span(f->r.change.kwargs, "{\"x\":1}");
	assert_true(forward_change_moves(&f->r.change));
}

static void
failure_keeps_type_message_and_traceback(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = { .type = RUN_DONE,
		.outcome = RUN_ERROR,
		.error = { .type = SPAN("KeyError"),
			.module = SPAN("builtins"),
			.message = SPAN("[\"boom\"]"),
			.traceback = SPAN("Traceback...") } };

	run(f);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_span(find(f, EFF_STORE)->u.result.state, "FAILURE");
	assert_span(find(f, EFF_STORE)->u.result.value,
		"{\"exc_type\": \"KeyError\", \"exc_message\": [\"boom\"], \"exc_module\": \"builtins\"}");
	assert_span(find(f, EFF_STORE)->u.result.traceback, "Traceback...");
	assert_int_equal(find(f, EFF_REPORT)->u.report.kind, REPORT_FAILED);
}

static void
lost_child_gives_the_task_another_one(void **state)
{
	struct fixture *f = *state;

	run(f);
	next(f);
	request_on_lost(&f->r, "was killed by signal 9 (SIGKILL)", &now, &f->fx);
	assert_false(has(f, EFF_STORE));
	assert_true(has(f, EFF_MAIL));
	assert_int_equal(f->r.mail.kind, MAIL_LOST);
	assert_int_equal(f->r.been.lost, 1);
	next(f);
	request_on_published(&f->r, &f->fx);
	assert_true(has(f, EFF_ACK));
}

static void
memory_limit_is_armed_and_names_limit_and_peak(void **state)
{
	struct task_rule rule = task_rule_default;
	struct fixture *f = *state;

	rule.pattern = "*";
	rule.memory_limit = INT64_C(2) << 30;
	f->rules.tasks.rules = &rule;
	f->rules.tasks.count = 1;
	run(f);
	assert_true(find(f, EFF_LIMIT)->u.limit.memory_max == rule.memory_limit);
	assert_int_equal(find(f, EFF_LIMIT)->u.limit.hard_ms, 0);
	next(f);
	request_on_memory_limit(&f->r, INT64_C(2254857830), &now, &f->fx);
	assert_int_equal(find(f, EFF_KILL)->u.kill.signum, 9);
	assert_span(find(f, EFF_STORE)->u.result.value,
		"{\"exc_type\": \"MemoryError\", \"exc_message\": [\"memory limit 2 GiB, peak 2.1 GiB\"], \"exc_module\": \"builtins\"}");
	/* One end is enough. */
	next(f);
	request_on_memory_limit(&f->r, INT64_C(2254857830), &now, &f->fx);
	assert_int_equal(f->fx.count, 0);
}

/* That its worker ends is no fault of the task: it may happen as often as it likes. */
static void
interrupted_task_goes_back_with_a_mark_and_is_not_lost(void **state)
{
	struct fixture *f = *state;

	f->r.been.lost = 3;
	f->r.been.interrupted = 7;
	run(f);
	next(f);
	request_on_interrupted(&f->r, &now, &f->fx);
	assert_false(has(f, EFF_STORE));
	assert_int_equal(f->r.mail.kind, MAIL_REQUEUE);
	assert_int_equal(f->r.mail.delay_s, 0);
	assert_int_equal(f->r.been.lost, 3);
	assert_int_equal(f->r.been.interrupted, 8);
	/* A further attempt than the one that was noted, or it would be taken for one that is over. */
	assert_int_equal(f->r.been.requeued, 1);
	next(f);
	request_on_published(&f->r, &f->fx);
	assert_true(has(f, EFF_ACK));
}

static void
task_that_kills_every_child_fails_and_becomes_a_dead_letter(void **state)
{
	struct fixture *f = *state;

	f->r.been.lost = 3;
	run(f);
	next(f);
	request_on_lost(&f->r, "was killed by signal 9 (SIGKILL)", &now, &f->fx);
	assert_span(find(f, EFF_STORE)->u.result.value,
		"{\"exc_type\": \"WorkerLostError\", \"exc_message\": [\"the process running this task was killed by signal 9 (SIGKILL) (run 4 of 4)\"], "
		"\"exc_module\": \"billiard.exceptions\"}");
	stored(f, E_OK);
	assert_true(has(f, EFF_MAIL));
	assert_int_equal(f->r.mail.kind, MAIL_DEAD);
	assert_string_equal(f->r.mail.reason, "lost");
}

static void
early_ack_leaves_nothing_to_acknowledge_and_no_second_run(void **state)
{
	struct fixture *f = *state;

	f->rules.tasks.fallback.acks_early = true;
	run(f);
	assert_true(has(f, EFF_ACK_EARLY));
	next(f);
	request_on_lost(&f->r, "exited with code 1", &now, &f->fx);
	assert_true(has(f, EFF_STORE));
	stored(f, E_OK);
	next(f);
	request_on_published(&f->r, &f->fx);
	assert_true(has(f, EFF_FORGET));
	assert_false(has(f, EFF_ACK));
}

static void
failed_task_becomes_a_dead_letter_when_the_rule_says_so(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = { .type = RUN_DONE,
		.outcome = RUN_ERROR,
		.error = { .type = SPAN("KeyError"), .message = SPAN("[\"k\"]") } };

	f->rules.tasks.fallback.dead_on_failure = true;
	run(f);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_true(has(f, EFF_STORE));
	stored(f, E_OK);
	assert_int_equal(f->r.mail.kind, MAIL_DEAD);
	assert_string_equal(f->r.mail.reason, "failed");
	assert_string_equal(f->r.mail.error.text, "KeyError: 'k'");
}

static void
limits_beyond_all_timers_are_cut(void **state)
{
	struct fixture *f = *state;

	f->r.task.time_limit = 1e300;
	f->r.task.soft_time_limit = 1e17;
	run(f);
	assert_int_equal(find(f, EFF_LIMIT)->u.limit.hard_ms, INT64_C(1000000000001));
	assert_int_equal(find(f, EFF_LIMIT)->u.limit.soft_ms, INT64_C(1000000000001));
}

static void
limits_of_the_message_go_before_those_of_the_rule(void **state)
{
	struct fixture *f = *state;

	f->rules.tasks.fallback.time_limit = 100;
	f->rules.tasks.fallback.soft_time_limit = 50;
	f->r.task.time_limit = 2;
	run(f);
	assert_int_equal(find(f, EFF_LIMIT)->u.limit.hard_ms, 2001);
	assert_int_equal(find(f, EFF_LIMIT)->u.limit.soft_ms, 50001);
}

static void
soft_limit_asks_and_hard_limit_kills(void **state)
{
	struct fixture *f = *state;

	f->r.task.time_limit = 2;
	f->r.task.soft_time_limit = 1;
	run(f);
	next(f);
	request_on_soft_limit(&f->r, &f->fx);
	assert_true(has(f, EFF_CANCEL));
	assert_false(has(f, EFF_KILL));
	next(f);
	request_on_hard_limit(&f->r, &now, &f->fx);
	assert_true(has(f, EFF_KILL));
	assert_span(find(f, EFF_STORE)->u.result.value,
		"{\"exc_type\": \"TimeLimitExceeded\", \"exc_message\": [2], \"exc_module\": \"billiard.exceptions\"}");
	next(f);
	request_on_soft_limit(&f->r, &f->fx);
	request_on_hard_limit(&f->r, &now, &f->fx);
	assert_int_equal(f->fx.count, 0);
}

static void
unknown_task_fails_for_the_caller_and_goes_to_the_dead_letters(void **state)
{
	struct fixture *f = *state;

	arrive(f, false);
	assert_span(find(f, EFF_STORE)->u.result.state, "FAILURE");
	stored(f, E_OK);
	assert_true(has(f, EFF_MAIL));
	assert_false(has(f, EFF_ACK));
	assert_string_equal(f->r.mail.reason, "unknown-task");
	next(f);
	request_on_published(&f->r, &f->fx);
	assert_true(has(f, EFF_ACK));
}

static void
message_that_is_no_task_goes_to_the_dead_letters(void **state)
{
	struct fixture *f = *state;
	struct request_arrival in = {
		.fault = TASK_FAULT_MALFORMED, .why = "the body is not JSON", .wall = WALL
	};

	memset(&f->r.task, 0, sizeof(f->r.task));
	next(f);
	request_on_received(&f->r, &in, &f->fx);
	assert_true(has(f, EFF_MAIL));
	assert_false(has(f, EFF_STORE));
	assert_string_equal(f->r.mail.error.text, "the body is not JSON");
}

static void
expired_task_is_revoked_without_running(void **state)
{
	struct fixture *f = *state;

	f->r.task.expires = WALL - 1;
	arrive(f, true);
	assert_false(has(f, EFF_RUN));
	assert_span(find(f, EFF_STORE)->u.result.state, "REVOKED");
}

static void
redelivered_task_with_a_final_result_is_not_run_again(void **state)
{
	struct fixture *f = *state;

	f->r.redelivered = true;
	arrive(f, true);
	assert_true(has(f, EFF_CHECK));
	next(f);
	request_on_checked(&f->r, &stored_success, WALL, &f->fx);
	assert_true(has(f, EFF_ACK));
	assert_false(has(f, EFF_RUN));
}

static void
redelivered_task_without_one_runs(void **state)
{
	struct fixture *f = *state;

	f->r.redelivered = true;
	arrive(f, true);
	next(f);
	request_on_checked(&f->r, NULL, WALL, &f->fx);
	assert_true(has(f, EFF_RUN));
}

static void
refused_result_becomes_a_failure_and_then_a_dead_letter(void **state)
{
	struct fixture *f = *state;

	run(f);
	succeed(f);
	stored(f, E_REFUSED);
	assert_span(find(f, EFF_STORE)->u.result.state, "FAILURE");
	stored(f, E_REFUSED);
	assert_true(has(f, EFF_MAIL));
	assert_string_equal(f->r.mail.reason, "result-refused");
}

static void
lost_channel_forgets_what_waits_and_keeps_what_runs(void **state)
{
	struct fixture *f = *state;

	arrive(f, true);
	next(f);
	request_on_channel_lost(&f->r, &f->fx);
	assert_true(has(f, EFF_FORGET));

	request_release(&f->r);
	set_up(state);
	run(f);
	next(f);
	request_on_channel_lost(&f->r, &f->fx);
	assert_int_equal(f->fx.count, 0);
	succeed(f);
	assert_true(has(f, EFF_STORE));
}

static void
rejected_with_requeue_goes_back_to_the_queue(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = { .type = RUN_DONE, .outcome = RUN_REJECT, .requeue = true };

	run(f);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_true(has(f, EFF_MAIL));
	assert_int_equal(f->r.mail.kind, MAIL_REQUEUE);
	assert_int_equal(f->r.mail.delay_s, 0);
	assert_int_equal(f->r.been.requeued, 1);
	next(f);
	request_on_published(&f->r, &f->fx);
	assert_true(has(f, EFF_ACK));
}

static void
rejected_again_and_again_it_comes_back_ever_later(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = { .type = RUN_DONE, .outcome = RUN_REJECT, .requeue = true };

	f->r.been.requeued = 20;
	run(f);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_in_range(f->r.mail.delay_s, 30, 60);
	assert_int_equal(f->r.been.requeued, 21);
}

static void
rejected_without_requeue_dies_with_the_reason_given(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = {
		.type = RUN_DONE, .outcome = RUN_REJECT, .reason = SPAN("not today\x1b[31m")
	};

	run(f);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_true(has(f, EFF_MAIL));
	assert_int_equal(f->r.mail.kind, MAIL_DEAD);
	assert_string_equal(f->r.mail.reason, "rejected");
	assert_string_equal(f->r.mail.error.text, "the task rejected its message: not today\\x1b[31m");
	next(f);
	request_on_published(&f->r, &f->fx);
	assert_true(has(f, EFF_REJECT));
}

static void
failure_or_time_limit_is_rejected_when_the_rule_says_so(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = { .type = RUN_DONE,
		.outcome = RUN_ERROR,
		.error = {
			.type = SPAN("KeyError"), .module = SPAN("builtins"), .message = SPAN("[\"boom\"]") } };

	for (int i = 0; i < 2; i++) {
		request_release(&f->r);
		set_up(state);
		f->rules.tasks.fallback.reject_on_failure = true;
		f->r.task.time_limit = 2;
		run(f);
		next(f);
		if (i == 0)
			request_on_frame(&f->r, &done, &now, &f->fx);
		else
			request_on_hard_limit(&f->r, &now, &f->fx);
		assert_span(find(f, EFF_STORE)->u.result.state, "FAILURE");
		stored(f, E_OK);
		assert_int_equal(f->r.mail.kind, MAIL_DEAD);
		assert_string_equal(f->r.mail.reason, "failed");
		next(f);
		request_on_published(&f->r, &f->fx);
		assert_true(has(f, EFF_REJECT));
	}
}

/* --- revocation ---------------------------------------------------------------------------------------------------------- */

static void
reports_show_errors_as_python_does(void **state)
{
	struct run_frame done = { .type = RUN_DONE,
		.id = SPAN("id-1"),
		.outcome = RUN_ERROR,
		.error = { .type = SPAN("KeyError"),
			.module = SPAN("builtins"),
			.message = SPAN("[\"boom\", 3, null]") } };
	struct fixture *f = *state;

	run(f);
	assert_int_equal(find(f, EFF_REPORT)->u.report.kind, REPORT_STARTED);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_span(find(f, EFF_REPORT)->u.report.error, "KeyError('boom', 3, None)");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(ack_comes_after_the_result_is_stored),
		T(without_a_backend_the_ack_follows_at_once),
		T(ignored_results_are_not_stored_but_errors_of_the_setting_are),
		T(a_child_may_say_what_is_stored),
		T(children_of_the_task_come_before_those_that_follow_it),
		T(error_callbacks_that_the_child_has_called_are_not_sent),
		T(changes_of_a_retry_are_kept_for_its_letter),
		T(failure_keeps_type_message_and_traceback),
		T(lost_child_gives_the_task_another_one),
		T(memory_limit_is_armed_and_names_limit_and_peak),
		T(interrupted_task_goes_back_with_a_mark_and_is_not_lost),
		T(task_that_kills_every_child_fails_and_becomes_a_dead_letter),
		T(early_ack_leaves_nothing_to_acknowledge_and_no_second_run),
		T(failed_task_becomes_a_dead_letter_when_the_rule_says_so),
		T(limits_of_the_message_go_before_those_of_the_rule),
		T(soft_limit_asks_and_hard_limit_kills),
		T(unknown_task_fails_for_the_caller_and_goes_to_the_dead_letters),
		T(message_that_is_no_task_goes_to_the_dead_letters),
		T(expired_task_is_revoked_without_running),
		T(redelivered_task_with_a_final_result_is_not_run_again),
		T(redelivered_task_without_one_runs),
		T(refused_result_becomes_a_failure_and_then_a_dead_letter),
		T(lost_channel_forgets_what_waits_and_keeps_what_runs),
		T(rejected_with_requeue_goes_back_to_the_queue),
		T(rejected_again_and_again_it_comes_back_ever_later),
		T(limits_beyond_all_timers_are_cut),
		T(failure_or_time_limit_is_rejected_when_the_rule_says_so),
		T(rejected_without_requeue_dies_with_the_reason_given),
		T(reports_show_errors_as_python_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
