#include "vectors.h"

#include "wire/run.h"

static const struct jscan_limits limits = { .depth_max = 64, .containers_max = 10000 };

static void
round_trip(const char *name, struct span line)
{
	struct errtext why = { "" };
	struct run_frame f;
	struct arena a;
	struct buf b;

	arena_init(&a, 0);
	buf_init(&b, 0);
	if (run_decode(&f, line, &a, &limits, &why) != E_OK)
		fail_msg("%s: %.*s: %s", name, SPAN_FMT(line), why.text);
	run_encode(&b, &f);
	assert_int_equal(b.data[b.len - 1], '\n');
	assert_span_eq(name, (struct span){ b.data, b.len - 1 }, line);
	buf_release(&b);
	arena_release(&a);
}

static void
golden_frames_go_round(void **state UNUSED)
{
	static const char *const files[] = { "hello", "run", "state", "done-result", "done-error",
		"done-retry", "done-ignore", "done-reject", "cancel", "stop", "route", "routed" };
	char path[64];
	size_t i;

	for (i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof(path), "run/%s.jsonl", files[i]);
		assert_true(vectors_each_line(path, round_trip) >= 1);
	}
}

static void
must_pass(const char *name, struct span line)
{
	struct errtext why = { "" };
	struct run_frame f;
	struct arena a;

	arena_init(&a, 0);
	if (run_decode(&f, line, &a, &limits, &why) != E_OK)
		fail_msg("%s: %.*s: %s", name, SPAN_FMT(line), why.text);
	arena_release(&a);
}

static void
must_fail(const char *name, struct span line)
{
	struct errtext why = { "" };
	struct run_frame f;
	struct arena a;

	arena_init(&a, 0);
	if (run_decode(&f, line, &a, &limits, &why) != E_FORMAT || !why.text[0])
		fail_msg("%s: %.*s is taken", name, SPAN_FMT(line));
	arena_release(&a);
}

static void
tolerant_frames_are_taken(void **state UNUSED)
{
	assert_true(vectors_each_line("run/tolerant.jsonl", must_pass) >= 16);
	assert_true(vectors_each_line("run/extended.jsonl", must_pass) >= 9);
}

/* What a framework's runner tells beyond the outcome: the members of the golden lines. */
static void
more_of_a_framework_is_read(void **state UNUSED)
{
	struct run_frame f;
	struct errtext why;
	struct arena a;

	arena_init(&a, 0);
	assert_int_equal(
		run_decode(&f,
			SPAN("{\"done\":{\"id\":\"a\",\"result\":5,\"children\":[[[\"c\",null],null]],\"store\":false}}"),
			&a, NULL, &why),
		E_OK);
	assert_true(span_is(f.children, "[[[\"c\",null],null]]") && f.no_store && !f.must_store);
	assert_int_equal(
		run_decode(&f,
			SPAN("{\"done\":{\"id\":\"a\",\"error\":{\"type\":\"E\"},\"errbacks_called\":[0,2],\"store\":true}}"),
			&a, NULL, &why),
		E_OK);
	assert_true(span_is(f.errbacks_called, "[0,2]") && f.must_store);
	assert_int_equal(
		run_decode(&f,
			SPAN("{\"done\":{\"id\":\"a\",\"retry\":{\"error\":null,\"args\":[2],\"kwargs\":{},\"options\":{\"queue\":\"q\"},"
			     "\"traceback\":\"T\"}}}"),
			&a, NULL, &why),
		E_OK);
	assert_true(span_is(f.new_args, "[2]") && span_is(f.new_kwargs, "{}") &&
		span_is(f.options, "{\"queue\":\"q\"}") && span_is(f.traceback, "T"));
	assert_int_equal(
		run_decode(&f,
			SPAN("{\"state\":{\"id\":\"a\",\"state\":\"S\",\"children\":null,\"traceback\":\"T\"}}"),
			&a, NULL, &why),
		E_OK);
	assert_true(f.children.ptr == NULL && span_is(f.traceback, "T"));
	assert_int_equal(
		run_decode(&f, SPAN("{\"done\":{\"id\":\"a\",\"result\":5,\"children\":{}}}"), &a, NULL, &why),
		E_FORMAT);
	assert_int_equal(
		run_decode(&f, SPAN("{\"done\":{\"id\":\"a\",\"retry\":{\"args\":[]}}}"), &a, NULL, &why),
		E_FORMAT);
	assert_int_equal(
		run_decode(&f, SPAN("{\"done\":{\"id\":\"a\",\"retry\":{\"options\":[]}}}"), &a, NULL, &why),
		E_FORMAT);
	arena_release(&a);
}

static void
invalid_frames_are_refused(void **state UNUSED)
{
	assert_true(vectors_each_line("run/invalid.jsonl", must_fail) >= 96);
	must_fail("an empty line", SPAN(""));
	must_fail("a blank line", SPAN(" \r\n"));
	must_fail("NUL", SPAN("\0"));
}

static void
a_deep_line_is_too_big(void **state UNUSED)
{
	struct run_frame f;
	struct arena a;
	struct buf b;
	int i;

	buf_init(&b, 0);
	buf_adds(&b, "{\"done\":{\"id\":\"a\",\"result\":");
	for (i = 0; i < 100000; i++)
		buf_addc(&b, '[');
	arena_init(&a, 0);
	assert_int_equal(run_decode(&f, buf_span(&b), &a, &limits, NULL), E_TOOBIG);
	assert_int_equal(run_decode(&f, buf_span(&b), &a, NULL, NULL), E_TOOBIG);
	/* As deep as Python writes it, and in a frame. */
	buf_reset(&b);
	buf_adds(&b, "{\"done\":{\"id\":\"a\",\"result\":");
	for (i = 0; i < 2000; i++)
		buf_addc(&b, i < 1000 ? '[' : ']');
	buf_adds(&b, "}}");
	assert_int_equal(run_decode(&f, buf_span(&b), &a, NULL, NULL), E_OK);
	arena_release(&a);
	buf_release(&b);
}

static void
parts_of_frames(void **state UNUSED)
{
	struct run_frame f;
	struct arena a;

	arena_init(&a, 0);
	assert_int_equal(run_decode(&f,
				 SPAN("{\"run\":{\"id\":\"\\u0041\",\"name\":\"n\",\"args\":[ 1 , 2 "
				      "],\"kwargs\":{},\"request\":{\"retries\":1}}}\n"),
				 &a, &limits, NULL),
		E_OK);
	assert_int_equal(f.type, RUN_RUN);
	assert_span(f.id, "A");
	assert_span(f.args, "[ 1 , 2 ]");
	assert_span(f.request, "{\"retries\":1}");
	assert_int_equal(
		run_decode(&f,
			SPAN("{\"done\":{\"id\":\"a\",\"error\":{\"type\":\"E\",\"message\":\"x\\n\"}}}"), &a,
			&limits, NULL),
		E_OK);
	assert_int_equal(f.outcome, RUN_ERROR);
	assert_span(f.error.message, "[\"x\\n\"]");
	assert_null(f.error.module.ptr);
	assert_null(f.error.traceback.ptr);
	assert_int_equal(
		run_decode(&f, SPAN("{\"done\":{\"id\":\"a\",\"retry\":{}}}"), &a, &limits, NULL), E_OK);
	assert_int_equal(f.outcome, RUN_RETRY);
	assert_false(f.has_countdown);
	assert_int_equal(f.max_retries, -1);
	assert_null(f.eta.ptr);
	assert_null(f.error.type.ptr);
	assert_int_equal(
		run_decode(&f,
			SPAN("{\"done\":{\"id\":\"a\",\"retry\":{\"countdown\":0.5,\"max_retries\":3}}}"), &a,
			&limits, NULL),
		E_OK);
	assert_true(f.has_countdown && f.countdown == 0.5 && f.max_retries == 3);
	assert_int_equal(
		run_decode(&f, SPAN("{\"done\":{\"id\":\"a\",\"result\":null}}"), &a, &limits, NULL), E_OK);
	assert_int_equal(f.outcome, RUN_RESULT);
	assert_span(f.result, "null");
	assert_int_equal(
		run_decode(&f, SPAN("{\"state\":{\"id\":\"a\",\"state\":\"PROGRESS\",\"meta\":{\"a\":1}}}"),
			&a, &limits, NULL),
		E_OK);
	assert_span(f.meta, "{\"a\":1}");
	arena_release(&a);
}

static void
tasks_of_a_child(void **state UNUSED)
{
	static const char *const names[] = { "add", "t\xc3\xa4sk", "*" };
	struct run_tasks walk = { 0 };
	struct span name = SPAN_NONE;
	struct run_frame f;
	struct arena a;
	size_t n = 0;

	arena_init(&a, 0);
	assert_int_equal(
		run_decode(&f, SPAN("{\"hello\":{\"protocol\":1,\"tasks\":[\"add\", \"t\\u00e4sk\",\"*\"]}}"),
			&a, &limits, NULL),
		E_OK);
	for (; n < ARRAY_LEN(names) && run_next_task(&f, &walk, &a, &name); n++)
		assert_span(name, names[n]);
	assert_int_equal(n, 3);
	assert_false(run_next_task(&f, &walk, &a, &name));
	assert_int_equal(
		run_decode(&f, SPAN("{\"hello\":{\"protocol\":1,\"tasks\":[]}}"), &a, &limits, NULL), E_OK);
	walk = (struct run_tasks){ 0 };
	assert_false(run_next_task(&f, &walk, &a, &name));
	f.tasks = SPAN_NONE;
	walk = (struct run_tasks){ 0 };
	assert_false(run_next_task(&f, &walk, &a, &name));
	arena_release(&a);
}

static void
survives_every_failed_allocation(void **state UNUSED)
{
	static const char *const lines[] = {
		"{\"done\":{\"id\":\"\\u0061\",\"error\":{\"type\":\"\\u0045\",\"message\":\"x\","
		"\"traceback\":\"a\\nb\"}}}",
		"{\"hello\":{\"protocol\":1,\"language\":\"\\u0063\",\"tasks\":[\"\\u0061\"]}}",
		"{\"cancel\":{\"id\":\"\\u0061\",\"reason\":\"\\u0072\"}}",
	};
	struct run_frame f;
	struct arena a;
	uint64_t nth;
	enum err e;
	size_t i;

	for (i = 0; i < ARRAY_LEN(lines); i++) {
		e = E_NOMEM;
		for (nth = 1; e == E_NOMEM; nth++) {
			arena_init(&a, 0);
			alloc_fail_after(nth);
			e = run_decode(&f, span_of(lines[i]), &a, &limits, NULL);
			alloc_fail_after(0);
			arena_release(&a);
		}
		assert_int_equal(e, E_OK);
		assert_true(nth > 2);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_frames_go_round),
		cmocka_unit_test(tolerant_frames_are_taken),
		cmocka_unit_test(more_of_a_framework_is_read),
		cmocka_unit_test(invalid_frames_are_refused),
		cmocka_unit_test(a_deep_line_is_too_big),
		cmocka_unit_test(parts_of_frames),
		cmocka_unit_test(tasks_of_a_child),
		cmocka_unit_test(survives_every_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
