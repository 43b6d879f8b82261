#include "vectors.h"

#include "wire/result.h"

static void
check_error(const char *name, const struct result *r, struct json_object *v, struct arena *a)
{
	struct result_error e;
	struct buf b;

	buf_init(&b, 0);
	if (vector_text(v, "error_text").ptr) {
		assert_true(result_decode_error(&e, r->value, a));
		result_add_error(&b, &e);
		assert_span_eq(name, buf_span(&b), r->value);
		buf_reset(&b);
		result_add_error_text(&b, &e);
		assert_span_eq(name, buf_span(&b), vector_text(v, "error_text"));
	} else {
		assert_false(result_decode_error(&e, r->value, a));
	}
	buf_release(&b);
}

static void
check_vector(const char *name, struct json_object *v)
{
	struct span stored = vector_text(v, "stored");
	struct json_object *date = vector_get(v, "date_done_us");
	struct errtext why = { "" };
	struct result r;
	struct arena a;
	struct buf b;

	arena_init(&a, 0);
	buf_init(&b, 0);
	if (result_decode(&r, stored, &a, &why) != E_OK)
		fail_msg("%s: %s", name, why.text);
	assert_span(r.task_id, "U1");
	assert_span_eq(name, r.state, vector_text(v, "state"));
	assert_span_eq(name, r.value, vector_text(v, "value"));
	assert_true(r.date_done == (date ? json_object_get_int64(date) : 0));
	check_error(name, &r, v, &a);
	result_encode(&b, &r);
	assert_span_eq(name, buf_span(&b), stored);
	buf_release(&b);
	arena_release(&a);
}

static void
reads_and_writes_what_celery_stores(void **state UNUSED)
{
	assert_true(vectors_each("result", check_vector) >= 19);
}

static void
plain_success(void **state UNUSED)
{
	const struct result r = { .task_id = SPAN("U1"),
		.state = SPAN("SUCCESS"),
		.value = SPAN("5"),
		.date_done = INT64_C(1795229760000000) };
	struct buf b;

	buf_init(&b, 0);
	result_encode(&b, &r);
	assert_span(buf_span(&b),
		"{\"status\": \"SUCCESS\", \"result\": 5, \"traceback\": null, \"children\": [], "
		"\"date_done\": \"2026-11-21T02:56:00\", \"task_id\": \"U1\"}");
	buf_release(&b);
}

static void
modules_of_errors(void **state UNUSED)
{
	static const struct {
		const char *type, *module, *written;
	} rows[] = {
		{ "ValueError", NULL, "builtins" },
		{ "ArithmeticError", NULL, "builtins" },
		{ "ZeroDivisionError", NULL, "builtins" },
		{ "KeyError", NULL, "builtins" },
		{ "ValueErro", NULL, "celery.exceptions" },
		{ "ValueErrors", NULL, "celery.exceptions" },
		{ "Zebra", NULL, "celery.exceptions" },
		{ "Aardvark", NULL, "celery.exceptions" },
		{ "NotRegistered", NULL, "celery.exceptions" },
		{ "ValueError", "mine", "mine" },
	};
	struct result_error e;
	struct buf b, expected;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		buf_init(&b, 0);
		buf_init(&expected, 0);
		e = (struct result_error){
			.type = span_of(rows[i].type), .module = span_of(rows[i].module), .text = SPAN("x\n")
		};
		result_add_error(&b, &e);
		buf_addf(&expected,
			"{\"exc_type\": \"%s\", \"exc_message\": [\"x\\n\"], \"exc_module\": \"%s\"}",
			rows[i].type, rows[i].written);
		assert_span_eq(rows[i].type, buf_span(&b), buf_span(&expected));
		buf_release(&b);
		buf_release(&expected);
	}
}

static void
error_lines_for_people(void **state UNUSED)
{
	static const struct {
		const char *json, *line;
	} rows[] = {
		{ "{\"exc_type\": \"ValueError\", \"exc_message\": [\"bad\"], \"exc_module\": \"builtins\"}",
			"ValueError: bad" },
		{ "{\"exc_type\": \"ValueError\", \"exc_message\": \"bad\"}", "ValueError: bad" },
		{ "{\"exc_type\": \"E\", \"exc_message\": [1, \"a\"]}", "E: (1, 'a')" },
		{ "{\"exc_type\": \"E\", \"exc_message\": [[1]]}", "E: [1]" },
		{ "{\"exc_type\": \"E\", \"exc_message\": []}", "E" },
		{ "{\"exc_type\": \"E\"}", "E" },
		{ "{\"exc_type\": \"KeyError\", \"exc_message\": [\"k\"]}", "KeyError: 'k'" },
		{ "{\"exc_type\": \"system\", \"exc_message\": [\"rm\\n-rf\\u001b[2J\"], \"exc_module\": "
		  "\"os\"}",
			"system: rm\\n-rf\\x1b[2J" },
	};
	struct result_error e;
	struct arena a;
	struct buf b;
	size_t i;

	arena_init(&a, 0);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		buf_init(&b, 0);
		assert_true(result_decode_error(&e, span_of(rows[i].json), &a));
		result_add_error_text(&b, &e);
		assert_span(buf_span(&b), rows[i].line);
		buf_release(&b);
	}
	assert_false(result_decode_error(&e, SPAN("\"text\""), &a));
	assert_false(result_decode_error(&e, SPAN("null"), &a));
	assert_false(result_decode_error(&e, SPAN("{\"exc_type\": 5}"), &a));
	assert_false(result_decode_error(&e, SPAN("{\"exc_type\": \"E\", \"exc_module\": 5}"), &a));
	assert_false(result_decode_error(&e, SPAN("{}"), &a));
	assert_false(result_decode_error(&e, SPAN_NONE, &a));
	arena_release(&a);
}

static void
foreign_results(void **state UNUSED)
{
	static const struct {
		const char *json;
		enum err e;
	} rows[] = {
		{ "{\"status\": \"SUCCESS\"}", E_OK },
		{ " {\"status\":\"done\",\"result\":1,\"later\":{}} ", E_OK },
		{ "{\"status\": \"SUCCESS\", \"date_done\": \"yesterday\"}", E_OK },
		{ "{\"status\": \"SUCCESS\", \"date_done\": {\"__type__\": \"datetime\"}}", E_OK },
		{ "{\"status\": \"SUCCESS\", \"date_done\": \"2026-11-21T02:56:00.052926+00:00\"}", E_OK },
		{ "", E_FORMAT },
		{ "null", E_FORMAT },
		{ "[]", E_FORMAT },
		{ "{}", E_FORMAT },
		{ "{\"status\": \"\"}", E_FORMAT },
		{ "{\"status\": null}", E_FORMAT },
		{ "{\"status\": 5}", E_FORMAT },
		{ "{\"status\": \"SUCCESS\", \"task_id\": 5}", E_FORMAT },
		{ "{\"status\": \"SUCCESS\", \"traceback\": []}", E_FORMAT },
		{ "{\"status\": \"SUCCESS\", \"retries\": \"1\"}", E_FORMAT },
		{ "{\"status\": \"SUCCESS\"", E_FORMAT },
		{ "\x80\x04\x95", E_FORMAT },
	};
	struct errtext why;
	struct result r;
	struct arena a;
	size_t i;

	arena_init(&a, 0);
	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (result_decode(&r, span_of(rows[i].json), &a, &why) != rows[i].e)
			fail_msg("%s", rows[i].json);
	arena_release(&a);
}

static void
ready_states(void **state UNUSED)
{
	assert_true(result_is_ready(SPAN("SUCCESS")) && result_is_ready(SPAN("FAILURE")) &&
		result_is_ready(SPAN("REVOKED")));
	assert_false(result_is_ready(SPAN("RETRY")) || result_is_ready(SPAN("STARTED")) ||
		result_is_ready(SPAN("success")));
	assert_false(result_is_ready(SPAN_NONE));
}

static void
survives_every_failed_allocation(void **state UNUSED)
{
	const struct span json = SPAN("{\"status\": \"FAILURE\", \"result\": {\"exc_type\": \"\\u0045\", "
				      "\"exc_message\": [\"\\u0061\"]}, "
				      "\"traceback\": \"a\\nb\", \"task_id\": \"\\u0061\"}");
	enum err e = E_NOMEM;
	struct result_error error;
	struct errtext why;
	struct result r;
	struct arena a;
	struct buf b;
	uint64_t nth;

	for (nth = 1; e == E_NOMEM; nth++) {
		arena_init(&a, 0);
		buf_init(&b, 0);
		alloc_fail_after(nth);
		e = result_decode(&r, json, &a, &why);
		if (e == E_OK && !result_decode_error(&error, r.value, &a))
			e = E_NOMEM;
		if (e == E_OK) {
			result_add_error_text(&b, &error);
			result_encode(&b, &r);
			e = b.err;
		}
		alloc_fail_after(0);
		buf_release(&b);
		arena_release(&a);
	}
	assert_int_equal(e, E_OK);
	assert_true(nth > 5);
}

static void
errors_as_python_shows_them(void **state UNUSED)
{
	static const struct {
		struct result_error e;
		const char *repr;
	} rows[] = {
		{ { .type = SPAN("KeyError"), .message = SPAN("[\"boom\"]") }, "KeyError('boom')" },
		{ { .type = SPAN("OSError"), .message = SPAN("[111, \"it's\"]") }, "OSError(111, 'it\\'s')" },
		{ { .type = SPAN("E"), .message = SPAN("[]") }, "E()" },
		{ { .type = SPAN("E") }, "E()" },
		{ { .type = SPAN("E"), .text = SPAN("a \"b\"") }, "E('a \"b\"')" },
		{ { .message = SPAN("\"no list\"") }, "Exception('no list')" },
	};
	struct buf b;
	size_t i;

	buf_init(&b, 0);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&b);
		result_add_error_repr(&b, &rows[i].e);
		assert_span(buf_span(&b), rows[i].repr);
	}
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_what_celery_stores),
		cmocka_unit_test(errors_as_python_shows_them),
		cmocka_unit_test(plain_success),
		cmocka_unit_test(modules_of_errors),
		cmocka_unit_test(error_lines_for_people),
		cmocka_unit_test(foreign_results),
		cmocka_unit_test(ready_states),
		cmocka_unit_test(survives_every_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
