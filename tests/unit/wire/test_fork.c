/* The frames between a worker and a template process. */
#include "vectors.h"

#include "wire/fork.h"

static void
frames_of_a_template_are_read(void **state UNUSED)
{
	struct fork_frame f;
	struct errtext t;
	struct arena a;

	arena_init(&a, 0);
	assert_int_equal(E_OK,
		fork_decode(&f, SPAN("{\"hello\":{\"protocol\":1,\"tasks\":[],\"template\":true}}\n"), &a, &t));
	assert_true(f.type == FORK_HELLO && f.protocol == 1 && f.unsafe.ptr == NULL);
	assert_int_equal(E_OK,
		fork_decode(&f, SPAN("{\"hello\":{\"protocol\":1,\"template\":true,\"unsafe\":\"CUDA\"}}"),
			&a, &t));
	assert_true(span_is(f.unsafe, "CUDA"));
	assert_int_equal(E_OK, fork_decode(&f, SPAN("{\"forked\":{\"slot\":\"3\",\"pid\":456}}"), &a, &t));
	assert_true(f.type == FORK_FORKED && span_is(f.slot, "3") && f.pid == 456);
	assert_int_equal(E_OK,
		fork_decode(&f, SPAN("{\"exited\":{\"slot\":\"3\",\"pid\":456,\"code\":7,\"signal\":null}}"),
			&a, &t));
	assert_true(f.type == FORK_EXITED && !f.signaled && f.code == 7);
	assert_int_equal(E_OK,
		fork_decode(&f, SPAN("{\"exited\":{\"slot\":\"3\",\"pid\":456,\"code\":null,\"signal\":9}}"),
			&a, &t));
	assert_true(f.signaled && f.code == 9);
	assert_int_equal(E_OK,
		fork_decode(&f, SPAN("{\"failed\":{\"slot\":\"3\",\"error\":\"fork: \\u00fc\"}}"), &a, &t));
	assert_true(f.type == FORK_FAILED && span_is(f.error, "fork: ü"));
	arena_release(&a);
}

static void
what_is_no_frame_of_a_template_is_refused(void **state UNUSED)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"stop\":{}}",
		"{\"forked\":[]}",
		"{\"hello\":{\"protocol\":1,\"tasks\":[]}}",
		"{\"hello\":{\"template\":true}}",
		"{\"forked\":{\"pid\":456}}",
		"{\"forked\":{\"slot\":\"\",\"pid\":456}}",
		"{\"forked\":{\"slot\":\"3\"}}",
		"{\"forked\":{\"slot\":\"3\",\"pid\":1}}",
		"{\"forked\":{\"slot\":\"3\",\"pid\":-5}}",
		"{\"forked\":{\"slot\":\"3\",\"pid\":99999999999}}",
		"{\"exited\":{\"slot\":\"3\",\"pid\":456}}",
		"{\"exited\":{\"slot\":\"3\",\"pid\":456,\"code\":256}}",
		"{\"forked\":{\"slot\":3,\"pid\":456}}",
	};
	struct fork_frame f;
	struct errtext t;
	struct arena a;

	arena_init(&a, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (fork_decode(&f, span_of(bad[i]), &a, &t) != E_FORMAT)
			fail_msg("%s", bad[i]);
	arena_release(&a);
}

/* Golden lines of both directions: those of the worker are written the same, those of the template are read. */
static void
check_golden(const char *name UNUSED, struct span line)
{
	struct fork_frame f;
	struct errtext t;
	struct arena a;
	struct buf b;

	buf_init(&b, 0);
	arena_init(&a, 0);
	if (span_starts(line, "{\"fork\":"))
		fork_add_request(&b, SPAN("3"), SPAN("WARREN_CHILD=mark"), 0);
	else if (span_starts(line, "{\"reap\":"))
		fork_add_reap(&b, SPAN("3"));
	if (b.len > 0)
		assert_span_eq("written", (struct span){ b.data, b.len - 1 }, line);
	else
		assert_int_equal(fork_decode(&f, line, &a, &t), E_OK);
	buf_release(&b);
	arena_release(&a);
}

static void
frames_are_the_golden_ones(void **state UNUSED)
{
	assert_int_equal(vectors_each_line("run/template.jsonl", check_golden), 6);
}

static void
what_needs_escapes_has_them(void **state UNUSED)
{
	struct buf b;

	buf_init(&b, 0);
	fork_add_request(&b, SPAN("x\"y"), SPAN("A=b=c\n"), 1 << 30);
	assert_span(buf_span(&b),
		"{\"fork\":{\"slot\":\"x\\\"y\",\"env\":{\"A\":\"b=c\\n\"},\"rlimit_as\":1073741824}}\n");
	buf_reset(&b);
	fork_add_stop(&b);
	assert_span(buf_span(&b), "{\"stop\":{}}\n");
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_a_template_are_read),
		cmocka_unit_test(what_is_no_frame_of_a_template_is_refused),
		cmocka_unit_test(frames_are_the_golden_ones),
		cmocka_unit_test(what_needs_escapes_has_them),
	};

	return cmocka_run_group_tests_name("wire/fork", tests, NULL, NULL);
}
