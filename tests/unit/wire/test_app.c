/* What a Celery application says of itself: see wire/app.h. */
#include "wire/app.h"

#include "lib/torture.h"

static const char whole[] =
	"{\"hello\":{\"protocol\":1,\"tasks\":[\"t\"],\"app\":{\"framework\":\"celery\",\"version\":\"5.2."
	"6\",\"name\":\"shop\","
	"\"broker\":[\"amqp://u:p@one//\",\"amqp://two//\"],\"result_backend\":\"redis://:p@h/1\","
	"\"settings\":{\"task_time_limit\":300,\"result_extended\":true,\"timezone\":\"Europe/"
	"Berlin\",\"result_expires\":null},"
	"\"queues\":[{\"name\":\"main\",\"exchange\":\"work\",\"exchange_type\":\"topic\",\"routing_key\":"
	"\"work.#\",\"durable\":true,"
	"\"auto_delete\":false,\"exclusive\":false,\"arguments\":{\"x-max-priority\":10,\"x-queue-type\":"
	"\"quorum\",\"x-a\":true,\"x-b\":1.5,"
	"\"x-none\":null},\"bindings\":[{\"exchange\":\"news\",\"exchange_type\":\"fanout\",\"routing_key\":"
	"\"\"}]}],"
	"\"routes\":[{\"pattern\":\"a.*\",\"queue\":\"main\",\"priority\":3},{\"regex\":\"^(b|c)\","
	"\"exchange\":\"x\",\"routing_key\":\"k\"}],"
	"\"schedule\":[{\"name\":\"e\",\"task\":\"t\",\"every\":30.0}],\"tasks\":{\"sh\\u00f6p.t\":{\"rate_"
	"limit\":\"10/s\"}},"
	"\"notes\":[{\"setting\":\"worker_pool\",\"note\":\"no\"}]}}}\n";

static void
all_of_it_is_read(void **state UNUSED)
{
	struct app_reply r;
	const struct app *a = &r.app;
	struct errtext t;
	struct arena arena;
	char line[sizeof(whole)];
	int64_t n;

	arena_init(&arena, 0);
	memcpy(line, whole, sizeof(whole));
	assert_int_equal(app_decode(&r, span_of(line), &arena, &t), E_OK);
	/* Nothing is borrowed. */
	memset(line, 'x', sizeof(line));
	assert_int_equal(r.answer, APP_CELERY);
	assert_string_equal(a->framework, "celery");
	assert_string_equal(a->version, "5.2.6");
	assert_string_equal(a->name, "shop");
	assert_int_equal(a->n_brokers, 2);
	assert_string_equal(a->brokers[0], "amqp://u:p@one//");
	assert_string_equal(a->brokers[1], "amqp://two//");
	assert_string_equal(a->result_backend, "redis://:p@h/1");
	assert_true(span_is(a->schedule, "[{\"name\":\"e\",\"task\":\"t\",\"every\":30.0}]"));
	assert_int_equal(a->n_queues, 1);
	assert_string_equal(a->queues[0].name, "main");
	assert_string_equal(a->queues[0].binding.exchange, "work");
	assert_string_equal(a->queues[0].binding.exchange_type, "topic");
	assert_string_equal(a->queues[0].binding.routing_key, "work.#");
	assert_true(a->queues[0].durable && !a->queues[0].auto_delete && !a->queues[0].exclusive);
	assert_int_equal(a->queues[0].arguments.count, 4);
	assert_true(table_get_int(&a->queues[0].arguments, "x-max-priority", &n) && n == 10);
	assert_true(span_is(table_get_string(&a->queues[0].arguments, "x-queue-type"), "quorum"));
	assert_true(table_get(&a->queues[0].arguments, "x-a")->u.boolean);
	assert_int_equal(a->queues[0].n_more, 1);
	assert_string_equal(a->queues[0].more[0].exchange, "news");
	assert_int_equal(a->n_routes, 2);
	assert_string_equal(a->routes[0].pattern, "a.*");
	assert_string_equal(a->routes[0].queue, "main");
	assert_int_equal(a->routes[0].priority, 3);
	assert_string_equal(a->routes[1].pattern, "/^(b|c)/");
	assert_string_equal(a->routes[1].exchange, "x");
	assert_string_equal(a->routes[1].routing_key, "k");
	assert_int_equal(a->routes[1].priority, -1);
	assert_int_equal(a->n_tasks, 2);
	assert_string_equal(a->tasks[1].name, "t");
	assert_true(span_is(a->tasks[1].options, "{}"));
	assert_string_equal(a->tasks[0].name, "shöp.t");
	assert_string_equal(app_get_text(a->tasks[0].options, "rate_limit", &arena), "10/s");
	assert_int_equal(a->n_notes, 1);
	assert_string_equal(a->notes[0].setting, "worker_pool");
	arena_release(&arena);
}

static void
settings_are_had_by_type(void **state UNUSED)
{
	struct app_reply r;
	struct errtext t;
	struct arena a;
	double number;
	bool flag;

	arena_init(&a, 0);
	assert_int_equal(app_decode(&r, span_of(whole), &a, &t), E_OK);
	assert_true(app_get_number(r.app.settings, "task_time_limit", &number) && number == 300);
	assert_false(app_get_number(r.app.settings, "timezone", &number));
	assert_true(app_get_bool(r.app.settings, "result_extended", &flag) && flag);
	assert_false(app_get_bool(r.app.settings, "task_time_limit", &flag));
	assert_false(app_get_bool(r.app.settings, "absent", &flag));
	assert_null(app_get_text(r.app.settings, "result_extended", &a));
	assert_true(app_is_null(r.app.settings, "result_expires"));
	assert_false(app_is_null(r.app.settings, "absent"));
	arena_release(&a);
}

static void
a_module_without_an_application_says_nothing(void **state UNUSED)
{
	struct app_reply r;
	struct errtext t;
	struct arena a;

	arena_init(&a, 0);
	assert_int_equal(app_decode(&r, SPAN("{\"hello\":{\"protocol\":1,\"tasks\":[]}}\n"), &a, &t), E_OK);
	assert_int_equal(r.answer, APP_NONE);
	assert_int_equal(
		app_decode(&r, SPAN("{\"failed\":{\"error\":\"cannot import \\\"x\\\"\"}}"), &a, &t), E_OK);
	assert_int_equal(r.answer, APP_FAILED);
	assert_string_equal(r.error, "cannot import \"x\"");
	assert_int_equal(app_decode(&r, SPAN("{\"hello\":{\"app\":{}}}"), &a, &t), E_OK);
	assert_int_equal(r.answer, APP_CELERY);
	assert_string_equal(r.app.result_backend, "");
	assert_true(span_is(r.app.settings, "{}"));
	arena_release(&a);
}

static void
what_is_wrong_is_named(void **state UNUSED)
{
	static const struct {
		const char *line, *named;
	} cases[] = {
		{ "", "what the application says" },
		{ "[]", "neither hello nor failed" },
		{ "{\"stop\":{}}", "neither hello nor failed" },
		{ "{\"hello\":{\"app\":[]}}", "'app' is an array" },
		{ "{\"hello\":{\"app\":{\"broker\":5}}}", "'broker' is a number" },
		{ "{\"hello\":{\"app\":{\"broker\":[5]}}}", "'broker' is a number" },
		{ "{\"hello\":{\"app\":{\"settings\":[]}}}", "'settings' is an array" },
		{ "{\"hello\":{\"app\":{\"queues\":[1]}}}", "'queues' is a number" },
		{ "{\"hello\":{\"app\":{\"queues\":[{\"durable\":true,\"auto_delete\":false,\"exclusive\":"
		  "false}]}}}",
			"a queue has no name" },
		{ "{\"hello\":{\"app\":{\"queues\":[{\"name\":\"q\",\"durable\":1}]}}}",
			"'durable' is a number" },
		{ "{\"hello\":{\"app\":{\"queues\":[{\"name\":\"q\",\"durable\":true,\"auto_delete\":false,"
		  "\"exclusive\":false,"
		  "\"arguments\":{\"a\":[]}}]}}}",
			"'arguments' is an array" },
		{ "{\"hello\":{\"app\":{\"tasks\":{\"t\":null}}}}", "'tasks' is null" },
		{ "{\"hello\":{\"app\":{\"routes\":{}}}}", "'routes' is an object" },
	};
	struct app_reply r;
	struct errtext t;
	struct arena a;

	arena_init(&a, 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(app_decode(&r, span_of(cases[i].line), &a, &t), E_FORMAT);
		if (strstr(t.text, cases[i].named) == NULL)
			fail_msg("%s: %s", cases[i].line, t.text);
	}
	arena_release(&a);
}

static enum err
decode_once(void *unused UNUSED)
{
	struct app_reply r;
	struct errtext t;
	struct arena a;
	enum err e;

	arena_init(&a, 0);
	e = app_decode(&r, span_of(whole), &a, &t);
	arena_release(&a);
	return e;
}

static void
memory_may_run_out_anywhere(void **state UNUSED)
{
	torture(decode_once, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_is_read),
		cmocka_unit_test(settings_are_had_by_type),
		cmocka_unit_test(a_module_without_an_application_says_nothing),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(memory_may_run_out_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
