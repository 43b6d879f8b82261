#include "vectors.h"

#include "wire/routing.h"
#include "wire/run.h"

static struct arena arena;

static int
set_up(void **state UNUSED)
{
	arena_init(&arena, 0);
	return 0;
}

static int
tear_down(void **state UNUSED)
{
	arena_release(&arena);
	return 0;
}

static void
golden_answers_are_read(void **state UNUSED)
{
	static const char full[] =
		"{\"exchange\":\"media\",\"routing_key\":\"video.new\",\"priority\":0,\"delivery_mode\":1,\"headers\":"
		"{\"shelf\":\"eight\"},\"expiration\":3600.0,\"compression\":true}";
	struct routing_answer a;
	struct errtext why = { "" };

	assert_int_equal(routing_read_answer(&a, span_of(full), &arena, &why), E_OK);
	assert_span_eq("exchange", a.exchange, SPAN("media"));
	assert_span_eq("key", a.routing_key, SPAN("video.new"));
	assert_span_eq("headers", a.headers, SPAN("{\"shelf\":\"eight\"}"));
	assert_int_equal(a.priority_plus1, 1);
	assert_true(a.delivery_mode == 1 && a.is_compressed);
	assert_true(a.expiration_s == 3600);
	/* Its own: the frame may be gone. */
	assert_true(a.exchange.ptr < full || a.exchange.ptr > full + sizeof(full));
	assert_int_equal(routing_read_answer(&a,
				 SPAN("{\"exchange\":\"\",\"routing_key\":\"sun\\u006b\",\"more\":1,"
				      "\"priority\":null,\"headers\":null}"),
				 &arena, &why),
		E_OK);
	assert_span_eq("key", a.routing_key, SPAN("sunk"));
	assert_int_equal(a.priority_plus1, 0);
	assert_true(a.expiration_s < 0 && a.delivery_mode == 0 && !a.is_compressed && a.headers.ptr == NULL);
}

static void
wrong_answers_are_named(void **state UNUSED)
{
	static const struct {
		const char *json, *why;
	} cases[] = {
		{ "[]", "an array, not an object" },
		{ "{\"routing_key\":\"k\"}", "'exchange'" },
		{ "{\"exchange\":null,\"routing_key\":\"k\"}", "'exchange'" },
		{ "{\"exchange\":\"x\",\"routing_key\":5}", "'routing_key'" },
		{ "{\"exchange\":\"\",\"routing_key\":\"\"}", "names no queue" },
		{ "{\"exchange\":\"x\",\"routing_key\":\"k\",\"priority\":256}", "'priority'" },
		{ "{\"exchange\":\"x\",\"routing_key\":\"k\",\"priority\":\"1\"}", "'priority'" },
		{ "{\"exchange\":\"x\",\"routing_key\":\"k\",\"delivery_mode\":3}", "'delivery_mode'" },
		{ "{\"exchange\":\"x\",\"routing_key\":\"k\",\"headers\":[]}", "'headers'" },
		{ "{\"exchange\":\"x\",\"routing_key\":\"k\",\"expiration\":-1}", "'expiration'" },
		{ "{\"exchange\":\"x\",\"routing_key\":\"k\",\"expiration\":NaN}", "'expiration'" },
	};
	struct routing_answer a;
	struct errtext why;
	char name[400];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(routing_read_answer(&a, span_of(cases[i].json), &arena, &why), E_FORMAT);
		if (strstr(why.text, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].json, why.text);
	}
	snprintf(name, sizeof(name), "{\"exchange\":\"%0256d\",\"routing_key\":\"k\"}", 0);
	assert_int_equal(routing_read_answer(&a, span_of(name), &arena, &why), E_FORMAT);
	assert_non_null(strstr(why.text, "255 bytes"));
}

static void
calls_are_the_golden_ones(void **state UNUSED)
{
	const struct routing_call calls[] = {
		{ .name = SPAN("a"),
			.kwargs = SPAN("{\"tenant\":\"b\"}"),
			.options = SPAN("{\"queue\":\"set\"}"),
			.priority_plus1 = 1 },
		{ .name = SPAN("t\xc3\xa4sk"),
			.args = SPAN("[[1,2]]"),
			.options = SPAN("{\"headers\":{\"x\":1}}"),
			.parent_priority_plus1 = 10 },
	};
	struct buf b;

	buf_init(&b, 0);
	routing_add_call(&b, &calls[0]);
	buf_addc(&b, ',');
	routing_add_call(&b, &calls[1]);
	assert_string_equal(buf_text(&b),
		"{\"name\":\"a\",\"args\":[],\"kwargs\":{\"tenant\":\"b\"},\"options\":{\"queue\":\"set\"},\"priority\":0},"
		"{\"name\":\"t\\u00e4sk\",\"args\":[[1,2]],\"kwargs\":{},\"options\":{\"headers\":{\"x\":1}},"
		"\"parent_priority\":9}");
	buf_release(&b);
}

static void
check_answers(const char *name, struct span line)
{
	struct routing_answer a;
	struct errtext why = { "" };
	struct jscan_iter it;
	struct run_frame f;

	assert_int_equal(run_decode(&f, line, &arena, NULL, &why), E_OK);
	if (f.routes.ptr == NULL) {
		assert_int_equal(f.place, 1);
		assert_span_eq(name, f.error.type, SPAN("KeyError"));
		return;
	}
	assert_true(jscan_begin(&it, f.routes));
	while (jscan_next(&it))
		if (routing_read_answer(&a, it.value, &arena, &why) != E_OK)
			fail_msg("%s: %s", name, why.text);
}

static void
golden_frames_hold_answers(void **state UNUSED)
{
	assert_int_equal(vectors_each_line("run/routed.jsonl", check_answers), 3);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(golden_answers_are_read),
		TEST(wrong_answers_are_named),
		TEST(calls_are_the_golden_ones),
		TEST(golden_frames_hold_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
