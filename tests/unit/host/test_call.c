/* The functions of warren/task.h, by the frames they make. */
#include "host/call.h"

#include "lib/torture.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct channel channel;
static int worker;

static int
setup(void **state UNUSED)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_ok(channel_init(&channel, fds[0], NULL));
	worker = fds[1];
	return 0;
}

static int
teardown(void **state UNUSED)
{
	close(channel.fd);
	close(worker);
	channel_release(&channel);
	return 0;
}

static enum err
run_once(enum warren_end (*fn)(struct warren_task *), const char *args, const char *kwargs)
{
	const struct warren_task_entry entry = { .name = "test", .run = fn };
	const struct run_frame f = {
		.type = RUN_RUN,
		.id = SPAN("i\"d"),
		.name = SPAN("test"),
		.args = span_of(args),
		.kwargs = span_of(kwargs),
		.request = SPAN("{\"id\":\"i\\\"d\",\"retries\":2}"),
	};
	struct arena arena;
	enum err e;

	arena_init(&arena, 0);
	e = call_run(&channel, &f, fn ? &entry : NULL, &arena, NULL);
	arena_release(&arena);
	return e;
}

/* Everything the call sent, as text. */
static const char *
run_with(enum warren_end (*fn)(struct warren_task *), const char *args, const char *kwargs)
{
	static char frames[8192];
	ssize_t n;

	assert_ok(run_once(fn, args, kwargs));
	n = recv(worker, frames, sizeof(frames) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	frames[n] = '\0';
	return frames;
}

#define assert_result(fn, args, kwargs, result) \
	assert_string_equal( \
		run_with(fn, args, kwargs), "{\"done\":{\"id\":\"i\\\"d\",\"result\":" result "}}\n")
#define assert_done(fn, rest) \
	assert_string_equal(run_with(fn, "[]", "{}"), "{\"done\":{\"id\":\"i\\\"d\"," rest "}}\n")

/* --- what was asked ------------------------------------------------------------------------------------- */

static enum warren_end
tell_request(struct warren_task *t)
{
	assert_string_equal(warren_id(t), "i\"d");
	assert_string_equal(warren_name(t), "test");
	assert_int_equal(warren_retries(t), 2);
	assert_string_equal(warren_request_json(t), "{\"id\":\"i\\\"d\",\"retries\":2}");
	assert_string_equal(warren_args_json(t), "[1, \"a\"]");
	assert_ptr_equal(warren_args_json(t), warren_args_json(t));
	assert_string_equal(warren_kwargs_json(t), "{\"k\":[]}");
	return warren_return_int(t, (int64_t)warren_arg_count(t));
}

static void
the_request_can_be_read(void **state UNUSED)
{
	assert_result(tell_request, "[1, \"a\"]", "{\"k\":[]}", "2");
}

static enum warren_end
read_args(struct warren_task *t)
{
	int64_t i = -7;
	double d = -7;
	bool b = false;
	const char *s = "unset";
	size_t len = 99;

	assert_true(warren_arg_int(t, 0, &i) && i == 42);
	assert_true(warren_arg_double(t, 0, &d) && d == 42);
	assert_true(warren_arg_double(t, 1, &d) && d == 2.5);
	assert_true(warren_arg_bool(t, 2, &b) && b);
	assert_true(warren_arg_text(t, 3, &s, &len) && len == 2);
	assert_string_equal(s, "\xc3\xbc");
	assert_true(warren_arg_text(t, 4, &s, &len) && len == 3 && memcmp(s, "a\0\n", 4) == 0);
	assert_true(warren_arg_text(t, 5, &s, NULL));
	assert_string_equal(s, "");
	assert_string_equal(warren_arg_json(t, 6), "{\"x\": [1]}");
	assert_string_equal(warren_arg_json(t, 3), "\"\\u00fc\"");
	assert_true(warren_arg_double(t, 8, &d) && isnan(d));

	/* Another type, absent, out of range: false, and the default stays. */
	i = -7, d = -7, s = "default", len = 99, b = true;
	assert_false(warren_arg_int(t, 1, &i) || warren_arg_int(t, 2, &i) || warren_arg_int(t, 3, &i));
	assert_false(warren_arg_int(t, 7, &i) || warren_arg_int(t, 9, &i) || warren_arg_int(t, SIZE_MAX, &i));
	assert_false(warren_arg_double(t, 3, &d) || warren_arg_double(t, 9, &d));
	assert_false(warren_arg_bool(t, 0, &b) || warren_arg_bool(t, 9, &b));
	assert_false(warren_arg_text(t, 0, &s, &len) || warren_arg_text(t, 9, &s, &len));
	assert_null(warren_arg_json(t, 9));
	assert_true(i == -7 && d == -7 && b && len == 99);
	assert_string_equal(s, "default");
	return warren_return_bool(t, true);
}

static void
positional_arguments_have_their_types(void **state UNUSED)
{
	assert_result(read_args,
		"[42, 2.5, true, \"\\u00fc\", \"a\\u0000\\n\", \"\", {\"x\": [1]}, 99999999999999999999, "
		"NaN]",
		"{}", "true");
}

static enum warren_end
read_kwargs(struct warren_task *t)
{
	int64_t i = -7;
	double d = -7;
	bool b = true;
	const char *s = "unset";
	size_t len;

	assert_true(warren_kwarg_int(t, "i", &i) && i == -1);
	assert_true(warren_kwarg_double(t, "d", &d) && d == 1e3);
	assert_true(warren_kwarg_bool(t, "b", &b) && !b);
	assert_true(warren_kwarg_text(t,
			    "gr\xc3\xb6\xc3\x9f"
			    "e",
			    &s, &len) &&
		len == 1);
	assert_string_equal(s, "x");
	assert_string_equal(warren_kwarg_json(t, "n"), "null");
	assert_null(warren_kwarg_json(t, "none"));
	assert_null(warren_kwarg_json(t, NULL));
	assert_false(warren_kwarg_int(t, "d", &i) || warren_kwarg_int(t, "none", &i) ||
		warren_kwarg_bool(t, "i", &b));
	assert_false(warren_kwarg_double(t, "n", &d) || warren_kwarg_text(t, "n", &s, NULL));
	return warren_return_null(t);
}

static void
keyword_arguments_have_their_types(void **state UNUSED)
{
	assert_result(read_kwargs, "[]",
		"{\"i\":-1,\"d\":1e3,\"b\":false,\"gr\\u00f6\\u00dfe\":\"x\",\"n\":null}", "null");
}

/* --- how it ends ---------------------------------------------------------------------------------------- */

static enum warren_end
return_arg_json(struct warren_task *t)
{
	const char *text;

	return warren_return_json(t, warren_arg_text(t, 0, &text, NULL) ? text : NULL);
}

static enum warren_end
return_double(struct warren_task *t)
{
	double d = NAN;

	warren_arg_double(t, 0, &d);
	return warren_return_double(t, d);
}

static enum warren_end
return_text(struct warren_task *t)
{
	return warren_return_text(t, "\"\xc3\xbc\"\n\xff");
}

static enum warren_end
return_no_text(struct warren_task *t)
{
	return warren_return_text(t, NULL);
}

static void
results_are_json_on_one_line(void **state UNUSED)
{
	assert_result(return_double, "[5]", "{}", "5.0");
	assert_result(return_double, "[0.1]", "{}", "0.1");
	assert_result(return_double, "[]", "{}", "NaN");
	assert_result(return_text, "[]", "{}", "\"\\\"\\u00fc\\\"\\n\\ufffd\"");
	assert_result(return_no_text, "[]", "{}", "null");
	assert_result(return_arg_json, "[]", "{}", "null");
	assert_result(return_arg_json, "[\"{\\n\\t\\\"a\\\": [1,\\r\\n2.50]\\n}\"]", "{}",
		"{ \t\"a\": [1,  2.50] }");
	assert_non_null(strstr(run_with(return_arg_json, "[\"{'a'}\"]", "{}"),
		"\"error\":{\"type\":\"ValueError\",\"module\":null,\"message\":[\"the result is not "
		"JSON: "));
}

/* The frame around a result is JSON too, and may be as deep as JSON may be. */
static void
no_result_makes_its_frame_too_deep(void **state UNUSED)
{
	const struct jscan_limits limits = { .depth_max = JSCAN_DEPTH_MAX };
	char args[2 * JSCAN_DEPTH_MAX + 8];
	const char *frame;
	struct errtext t;

	for (int depth = JSCAN_DEPTH_MAX - 4; depth <= JSCAN_DEPTH_MAX + 1; depth++) {
		args[0] = '[';
		args[1] = '"';
		memset(args + 2, '[', (size_t)depth);
		memset(args + 2 + depth, ']', (size_t)depth);
		memcpy(args + 2 + 2 * depth, "\"]", 3);
		frame = run_with(return_arg_json, args, "{}");
		if (jscan_check(span_of(frame), &limits, NULL, &t) != E_OK)
			fail_msg("depth %d: %s", depth, t.text);
		assert_int_equal(strstr(frame, "ValueError") != NULL, depth > JSCAN_DEPTH_MAX - 2);
	}
}

static enum warren_end
fail_plainly(struct warren_task *t)
{
	return warren_fail(t, "KeyError", "no %s in %d places", "key", 3);
}

static enum warren_end
fail_without_type(struct warren_task *t)
{
	return warren_fail(t, NULL, "%s", "");
}

static enum warren_end
fail_cancelled(struct warren_task *t)
{
	return warren_fail_cancelled(t);
}

static void
errors_carry_type_and_text(void **state UNUSED)
{
	assert_done(fail_plainly,
		"\"error\":{\"type\":\"KeyError\",\"module\":null,\"message\":[\"no key in 3 "
		"places\"],\"traceback\":null}");
	assert_done(fail_without_type,
		"\"error\":{\"type\":\"RuntimeError\",\"module\":null,\"message\":[\"\"],\"traceback\":"
		"null}");
	assert_done(fail_cancelled,
		"\"error\":{\"type\":\"SoftTimeLimitExceeded\",\"module\":\"billiard.exceptions\","
		"\"message\":[],\"traceback\":null}");
}

static void
an_unknown_task_is_not_registered(void **state UNUSED)
{
	assert_done(NULL,
		"\"error\":{\"type\":\"NotRegistered\",\"module\":\"celery.exceptions\",\"message\":["
		"\"test\"],\"traceback\":null}");
}

static enum warren_end
retry_with_all(struct warren_task *t)
{
	return warren_retry(t, 0.5, 4, "OSError", "host %s is away", "h");
}

static enum warren_end
retry_with_nothing(struct warren_task *t)
{
	return warren_retry(t, -1, -1, NULL, "%s", "");
}

static enum warren_end
retry_never(struct warren_task *t)
{
	return warren_retry(t, INFINITY, 0, "", "%s", "");
}

static void
a_retry_says_when_how_often_and_why(void **state UNUSED)
{
	assert_done(retry_with_all,
		"\"retry\":{\"countdown\":0.5,\"eta\":null,\"max_retries\":4,\"error\":"
		"{\"type\":\"OSError\",\"module\":null,\"message\":[\"host h is "
		"away\"],\"traceback\":null}}");
	assert_done(retry_with_nothing,
		"\"retry\":{\"countdown\":null,\"eta\":null,\"max_retries\":null,\"error\":null}");
	assert_done(
		retry_never, "\"retry\":{\"countdown\":null,\"eta\":null,\"max_retries\":0,\"error\":null}");
}

static enum warren_end
reject_back(struct warren_task *t)
{
	return warren_reject(t, true, "busy");
}

static enum warren_end
reject_away(struct warren_task *t)
{
	return warren_reject(t, false, NULL);
}

static enum warren_end
ignore(struct warren_task *t)
{
	return warren_ignore(t);
}

static void
ignore_and_reject_are_told(void **state UNUSED)
{
	assert_done(ignore, "\"ignore\":true");
	assert_done(reject_back, "\"reject\":{\"requeue\":true,\"reason\":\"busy\"}");
	assert_done(reject_away, "\"reject\":{\"requeue\":false,\"reason\":null}");
}

static enum warren_end
only(enum warren_end end)
{
	return end;
}
static enum warren_end
bare_done(struct warren_task *t UNUSED)
{
	return only(WARREN_DONE);
}
static enum warren_end
bare_failed(struct warren_task *t UNUSED)
{
	return only(WARREN_FAILED);
}
static enum warren_end
bare_retry(struct warren_task *t UNUSED)
{
	return only(WARREN_RETRY);
}
static enum warren_end
bare_ignore(struct warren_task *t UNUSED)
{
	return only(WARREN_IGNORE);
}
static enum warren_end
bare_reject(struct warren_task *t UNUSED)
{
	return only(WARREN_REJECT);
}
static enum warren_end
bare_nonsense(struct warren_task *t UNUSED)
{
	return (enum warren_end)77;
}

static void
a_bare_end_counts_too(void **state UNUSED)
{
	assert_done(bare_done, "\"result\":null");
	assert_done(bare_ignore, "\"ignore\":true");
	assert_done(bare_reject, "\"reject\":{\"requeue\":false,\"reason\":null}");
	assert_done(bare_retry,
		"\"retry\":{\"countdown\":null,\"eta\":null,\"max_retries\":null,\"error\":null}");
	assert_non_null(strstr(run_with(bare_failed, "[]", "{}"), "\"type\":\"RuntimeError\""));
	assert_non_null(strstr(run_with(bare_nonsense, "[]", "{}"), "returned 77"));
}

static enum warren_end
change_its_mind(struct warren_task *t)
{
	warren_return_text(t, "long enough to be seen");
	warren_retry(t, 1, 1, "OSError", "%s", "x");
	warren_fail(t, "ValueError", "%s", "y");
	return warren_return_int(t, 1);
}

static void
the_last_word_counts(void **state UNUSED)
{
	assert_result(change_its_mind, "[]", "{}", "1");
}

/* --- while it runs -------------------------------------------------------------------------------------- */

static enum warren_end
tell_states(struct warren_task *t)
{
	warren_progress(t, 1, 4, "step \"one\"");
	warren_progress(t, 0.5, 1e300, NULL);
	assert_true(warren_state(t, "UPLOADING", "{\n\"file\": \"\\u00fc\"}"));
	assert_true(warren_state(t, "PHASE_2", NULL));
	assert_false(warren_state(t, "lower", NULL));
	assert_false(warren_state(t, "2ND", NULL));
	assert_false(warren_state(t, "", NULL));
	assert_false(warren_state(t, NULL, NULL));
	assert_false(warren_state(t, "UPLOADING", "{"));
	return warren_ignore(t);
}

static void
states_are_sent_at_once(void **state UNUSED)
{
	assert_string_equal(run_with(tell_states, "[]", "{}"),
		"{\"state\":{\"id\":\"i\\\"d\",\"state\":\"PROGRESS\",\"meta\":{\"current\": 1, \"total\": "
		"4, \"step\": \"step \\\"one\\\"\"}}}\n"
		"{\"state\":{\"id\":\"i\\\"d\",\"state\":\"PROGRESS\",\"meta\":{\"current\": 0.5, \"total\": "
		"1e+300}}}\n"
		"{\"state\":{\"id\":\"i\\\"d\",\"state\":\"UPLOADING\",\"meta\":{ \"file\": \"\\u00fc\"}}}\n"
		"{\"state\":{\"id\":\"i\\\"d\",\"state\":\"PHASE_2\",\"meta\":null}}\n"
		"{\"done\":{\"id\":\"i\\\"d\",\"ignore\":true}}\n");
}

static enum warren_end
tell_cancelled(struct warren_task *t)
{
	return warren_return_bool(t, warren_cancelled(t));
}

static enum warren_end
signal_self(struct warren_task *t)
{
	assert_false(warren_cancelled(t));
	raise(SIGUSR1);
	assert_true(warren_cancelled(t));
	return warren_return_bool(t, warren_cancelled(t));
}

static void
a_signal_cancels_the_task_that_runs(void **state UNUSED)
{
	assert_ok(call_watch_signal(NULL));
	assert_result(signal_self, "[]", "{}", "true");
	assert_result(tell_cancelled, "[]", "{}", "false");
	raise(SIGUSR1); /* between two tasks: meant for the one that has ended */
	assert_result(tell_cancelled, "[]", "{}", "false");
}

static void
count(void *arg)
{
	++*(volatile int *)arg;
}

static volatile int told;

static enum warren_end
wait_for_the_call(struct warren_task *t)
{
	warren_on_cancel(t, count, (void *)&told);
	raise(SIGUSR1);
	raise(SIGUSR1);
	return warren_return_int(t, told);
}

static enum warren_end
ask_when_it_has_come(struct warren_task *t)
{
	raise(SIGUSR1);
	warren_on_cancel(t, count, (void *)&told);
	return warren_return_int(t, told);
}

static enum warren_end
think_better_of_it(struct warren_task *t)
{
	warren_on_cancel(t, count, (void *)&told);
	warren_on_cancel(t, NULL, NULL);
	raise(SIGUSR1);
	return warren_return_int(t, told);
}

static enum warren_end
leave_it_behind(struct warren_task *t)
{
	warren_on_cancel(t, count, (void *)&told);
	return warren_return_null(t);
}

static enum warren_end
be_signalled(struct warren_task *t)
{
	raise(SIGUSR1);
	return warren_return_int(t, told);
}

static void
a_function_is_called_once_when_the_task_is_cancelled(void **state UNUSED)
{
	static const char cancel[] = "{\"cancel\":{\"id\":\"i\\\"d\"}}\n";

	assert_ok(call_watch_signal(NULL));
	told = 0;
	assert_result(wait_for_the_call, "[]", "{}", "1");
	assert_result(ask_when_it_has_come, "[]", "{}", "2");
	assert_result(think_better_of_it, "[]", "{}", "2");
	/* The next task has nothing to do with it. */
	assert_result(leave_it_behind, "[]", "{}", "null");
	assert_result(be_signalled, "[]", "{}", "2");
	/* By the frame alone, before the task was called. */
	assert_int_equal(write(worker, cancel, sizeof(cancel) - 1), sizeof(cancel) - 1);
	assert_result(ask_when_it_has_come, "[]", "{}", "3");
}

static void
a_cancel_frame_cancels_its_task(void **state UNUSED)
{
	static const char other[] = "{\"cancel\":{\"id\":\"other\"}}\n",
			  ours[] = "{\"cancel\":{\"id\":\"i\\\"d\"}}\n";
	struct span line;

	assert_int_equal(write(worker, other, strlen(other)), strlen(other));
	assert_result(tell_cancelled, "[]", "{}", "false");
	assert_int_equal(write(worker, ours, strlen(ours)), strlen(ours));
	assert_result(tell_cancelled, "[]", "{}", "true");

	/* Read together with what came before it, it is still seen. */
	assert_ok(channel_read(&channel, &line, NULL));
	assert_result(tell_cancelled, "[]", "{}", "true");
	assert_result(tell_cancelled, "[]", "{}", "false");
}

/* --- without memory ------------------------------------------------------------------------------------- */

static enum warren_end
use_everything(struct warren_task *t)
{
	const char *text = "";

	warren_args_json(t);
	warren_kwargs_json(t);
	warren_request_json(t);
	warren_arg_text(t, 0, &text, NULL);
	warren_progress(t, 1, 2, text);
	warren_state(t, "STATE", "[]");
	return warren_fail(t, "ValueError", "%s", text);
}

static enum err
run_tortured(void *arg UNUSED)
{
	char frames[8192];
	ssize_t n;
	enum err e = run_once(use_everything, "[\"\\u00fc\"]", "{}");

	n = recv(worker, frames, sizeof(frames) - 1, MSG_DONTWAIT);
	frames[n > 0 ? n : 0] = '\0';
	/* Whatever was missing, the task must not seem to have done what it could not do. */
	if (e == E_OK && !strstr(frames, "\"message\":[\"\\u00fc\"]")) {
		assert_non_null(strstr(frames, "\"type\":\"MemoryError\""));
		return E_NOMEM;
	}
	return e;
}

static void
lack_of_memory_is_an_error_of_the_task(void **state UNUSED)
{
	torture(run_tortured, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_request_can_be_read, setup, teardown),
		cmocka_unit_test_setup_teardown(positional_arguments_have_their_types, setup, teardown),
		cmocka_unit_test_setup_teardown(keyword_arguments_have_their_types, setup, teardown),
		cmocka_unit_test_setup_teardown(results_are_json_on_one_line, setup, teardown),
		cmocka_unit_test_setup_teardown(no_result_makes_its_frame_too_deep, setup, teardown),
		cmocka_unit_test_setup_teardown(errors_carry_type_and_text, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unknown_task_is_not_registered, setup, teardown),
		cmocka_unit_test_setup_teardown(a_retry_says_when_how_often_and_why, setup, teardown),
		cmocka_unit_test_setup_teardown(ignore_and_reject_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bare_end_counts_too, setup, teardown),
		cmocka_unit_test_setup_teardown(the_last_word_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(states_are_sent_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_signal_cancels_the_task_that_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_function_is_called_once_when_the_task_is_cancelled, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cancel_frame_cancels_its_task, setup, teardown),
		cmocka_unit_test_setup_teardown(lack_of_memory_is_an_error_of_the_task, setup, teardown),
	};

	return cmocka_run_group_tests_name("call", tests, NULL, NULL);
}
