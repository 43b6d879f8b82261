#include "vectors.h"

#include "wire/run.h"

#define U "4f1c2b1e-6f0a-4c53-9f0e-0a8a3c1d2e3f"
#define R "9b2d7c44-1111-4222-8333-444455556666"

static int line_number;

/* The first and the last golden run frame, written from the values they stand for. */
static void
check_request(const char *name, struct span line)
{
	const struct jscan_limits limits = { .depth_max = 64 };
	const struct run_request plain = { .id = SPAN(U),
		.name = SPAN("add"),
		.root_id = SPAN(U),
		.correlation_id = SPAN(U),
		.hostname = SPAN("w1@host"),
		.exchange = SPAN(""),
		.routing_key = SPAN("celery"),
		.group_index = -1,
		.time_limit = -1,
		.soft_time_limit = -1,
		.priority = -1 };
	const struct run_request full = { .id = SPAN("any text is an id"),
		.name = SPAN("t.mul"),
		.root_id = SPAN(R),
		.parent_id = SPAN(R),
		.group = SPAN("c0ffee00-0000-4000-8000-000000000001"),
		.correlation_id = SPAN("any text is an id"),
		.reply_to = SPAN("5f0d5ad5-0000-3000-8000-0123456789ab"),
		.origin = SPAN("gen13104@vm"),
		.shadow = SPAN("pretty.name"),
		.hostname = SPAN("gpu@host.example.org"),
		.exchange = SPAN("tasks"),
		.routing_key = SPAN("math.mul"),
		.eta = SPAN("2030-01-02T03:04:05.678901+00:00"),
		.expires = SPAN("2030-01-02T04:00:00+00:00"),
		.group_index = 2,
		.retries = 3,
		.redelivered = true,
		.time_limit = 30,
		.soft_time_limit = 20.5,
		.priority = 5,
		.headers = SPAN("{\"x-my\":\"v\",\"n\":1099511627776,\"f\":1.5,\"nested\":{\"a\":[1,\"b\","
				"null,true]}}") };
	struct run_frame f;
	struct arena a;
	struct buf b;

	line_number++;
	arena_init(&a, 0);
	buf_init(&b, 0);
	assert_int_equal(run_decode(&f, line, &a, &limits, NULL), E_OK);
	if (line_number == 1 || line_number == 8) {
		run_add_request(&b, line_number == 1 ? &plain : &full);
		assert_span_eq(name, buf_span(&b), f.request);
	}
	buf_release(&b);
	arena_release(&a);
}

static void
requests_are_the_golden_ones(void **state UNUSED)
{
	line_number = 0;
	assert_int_equal(vectors_each_line("run/run.jsonl", check_request), 8);
}

static void
absent_parts_are_written_empty(void **state UNUSED)
{
	struct run_frame f = { .type = RUN_RUN, .id = SPAN("a"), .name = SPAN("n") };
	struct buf b;

	buf_init(&b, 0);
	run_encode(&b, &f);
	f = (struct run_frame){ .type = RUN_DONE, .id = SPAN("a") };
	run_encode(&b, &f);
	f = (struct run_frame){
		.type = RUN_DONE, .id = SPAN("a"), .outcome = RUN_ERROR, .error = { .type = SPAN("E") }
	};
	run_encode(&b, &f);
	f = (struct run_frame){ .type = RUN_HELLO, .protocol = 1 };
	run_encode(&b, &f);
	assert_span(buf_span(&b),
		"{\"run\":{\"id\":\"a\",\"name\":\"n\",\"args\":[],\"kwargs\":{},\"request\":{}}}\n"
		"{\"done\":{\"id\":\"a\",\"result\":null}}\n"
		"{\"done\":{\"id\":\"a\",\"error\":{\"type\":\"E\",\"module\":null,\"message\":[],"
		"\"traceback\":null}}}\n"
		"{\"hello\":{\"protocol\":1,\"language\":null,\"pid\":0,\"tasks\":[]}}\n");
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_the_golden_ones),
		cmocka_unit_test(absent_parts_are_written_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
