#include "cli/call.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW ((us_t)1700000000 * 1000000)

struct fixture {
	struct arena arena;
	struct call c;
	struct errtext t;
};

static int
setup(void **state)
{
	struct fixture *f = alloc_zero(sizeof(*f));

	assert_non_null(f);
	arena_init(&f->arena, 0);
	f->c.arena = &f->arena;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	arena_release(&f->arena);
	alloc_free(f);
	return 0;
}

static enum err
read_line(struct fixture *f, const char *line)
{
	return call_read_line(&f->c, span_of(line), NOW, &f->t);
}

static void
line_is_read(void **state)
{
	struct fixture *f = *state;
	int64_t n;

	assert_int_equal(
		read_line(f,
			" {\"task\": \"add\", \"args\": [2, 3.50], \"kwargs\": {\"a\": 1}, \"queue\": \"q\\u00e4\", \"id\": \"x1\", "
			"\"countdown\": 2.5, \"expires\": \"1h\", \"priority\": 7, \"time_limit\": 30, \"soft_time_limit\": 20, \"ignore_result\": true, "
			"\"headers\": {\"tenant\": \"t1\", \"n\": 5, \"l\": [1, {\"a\": null}]}}\r"),
		E_OK);
	assert_true(span_is(f->c.name, "add"));
	assert_true(span_is(f->c.args, "[2, 3.50]"));
	assert_true(span_is(f->c.kwargs, "{\"a\": 1}"));
	assert_true(span_is(f->c.queue, "q\xc3\xa4"));
	assert_true(span_is(f->c.id, "x1"));
	assert_true(f->c.eta == NOW + 2500000);
	assert_true(f->c.expires == NOW + (us_t)3600 * 1000000);
	assert_int_equal(f->c.priority_plus1, 8);
	assert_true(f->c.time_limit == 30 && f->c.soft_time_limit == 20);
	assert_true(f->c.ignore_result && f->c.has_ignore_result);
	assert_true(span_is(table_get_string(&f->c.headers, "tenant"), "t1"));
	assert_true(table_get_int(&f->c.headers, "n", &n) && n == 5);
	assert_int_equal(table_get(&f->c.headers, "l")->type, VAL_ARRAY);
	assert_int_equal(table_get(&f->c.headers, "l")->u.array.items[1].type, VAL_TABLE);
}

static void
bare_array_is_the_arguments(void **state)
{
	struct fixture *f = *state;

	f->c.name = SPAN("square");
	assert_int_equal(read_line(f, "[7]"), E_OK);
	assert_true(span_is(f->c.name, "square"));
	assert_true(span_is(f->c.args, "[7]"));
}

static void
null_says_nothing(void **state)
{
	struct fixture *f = *state;

	f->c.name = SPAN("square");
	assert_int_equal(read_line(f, "{\"task\": null, \"eta\": null, \"args\": null}"), E_OK);
	assert_true(span_is(f->c.name, "square"));
	assert_true(f->c.eta == 0);
	assert_null(f->c.args.ptr);
}

static void
wrong_lines_say_what_is_wrong(void **state)
{
	static const struct {
		const char *line, *word;
	} bad[] = {
		{ "{\"task\": 5}", "task must be a string" },
		{ "{\"args\": {}}", "args must be an array" },
		{ "{\"kwargs\": []}", "kwargs must be an object" },
		{ "{\"headers\": []}", "headers must be an object" },
		{ "{\"ignore_result\": 1}", "ignore_result must be" },
		{ "{\"priority\": 256}", "priority must be a number from 0 to 255" },
		{ "{\"priority\": \"1\"}", "priority" },
		{ "{\"time_limit\": -1}", "time_limit" },
		{ "{\"eta\": \"tomorrow\"}", "eta" },
		{ "{\"eta\": true}", "eta" },
		{ "{\"que\": \"a\"}", "unknown key 'que': did you mean 'queue'?" },
		{ "5", "neither an object nor an array" },
		{ "{", "" },
		{ "[1] [2]", "" },
		{ "not json", "" },
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		f->t.text[0] = '\0';
		assert_int_equal(read_line(f, bad[i].line), E_FORMAT);
		if (strstr(f->t.text, bad[i].word) == NULL || f->t.text[0] == '\0')
			fail_msg("%s: '%s' does not say '%s'", bad[i].line, f->t.text, bad[i].word);
	}
}

static void
words_become_json(void **state)
{
	static const char *const words[] = { "2", "x", "\"2\"", "[1, 2]", "true", "-1.5", "", "a\"b", "NaN",
		"{\"k\": 1} " };
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	call_add_args(&b, words, ARRAY_LEN(words), false);
	assert_string_equal(
		buf_text(&b), "[2, \"x\", \"2\", [1, 2], true, -1.5, \"\", \"a\\\"b\", NaN, {\"k\": 1}]");
	buf_reset(&b);
	call_add_args(&b, words, 3, true);
	assert_string_equal(buf_text(&b), "[\"2\", \"x\", \"\\\"2\\\"\"]");
	buf_reset(&b);
	call_add_args(&b, words, 0, false);
	assert_string_equal(buf_text(&b), "[]");
	buf_release(&b);
}

static void
headers_are_json_or_text(void **state)
{
	struct fixture *f = *state;
	int64_t n;

	assert_int_equal(call_add_header(&f->c, SPAN("n=5"), false, &f->t), E_OK);
	assert_int_equal(call_add_header(&f->c, SPAN("s=a=b"), false, &f->t), E_OK);
	assert_int_equal(call_add_header(&f->c, SPAN("t=5"), true, &f->t), E_OK);
	assert_int_equal(call_add_header(&f->c, SPAN("e="), false, &f->t), E_OK);
	assert_true(table_get_int(&f->c.headers, "n", &n) && n == 5);
	assert_true(span_is(table_get_string(&f->c.headers, "s"), "a=b"));
	assert_true(span_is(table_get_string(&f->c.headers, "t"), "5"));
	assert_true(span_is(table_get_string(&f->c.headers, "e"), ""));
	assert_int_equal(call_add_header(&f->c, SPAN("novalue"), false, &f->t), E_FORMAT);
	assert_int_equal(call_add_header(&f->c, SPAN("=v"), false, &f->t), E_FORMAT);
}

static void
times_are_relative_or_absolute(void **state)
{
	struct errtext t;
	us_t out;

	(void)state;
	assert_int_equal(call_parse_time(SPAN("90"), NOW, &out, &t), E_OK);
	assert_true(out == NOW + 90 * 1000000);
	assert_int_equal(call_parse_time(SPAN("2min"), NOW, &out, &t), E_OK);
	assert_true(out == NOW + 120 * 1000000);
	assert_int_equal(call_parse_time(SPAN("2030-01-02T03:04:05Z"), NOW, &out, &t), E_OK);
	assert_true(out == (us_t)1893553445 * 1000000);
	assert_int_equal(call_parse_time(SPAN("soon"), NOW, &out, &t), E_FORMAT);
	assert_non_null(strstr(t.text, "soon"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(line_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(bare_array_is_the_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(null_says_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_lines_say_what_is_wrong, setup, teardown),
		cmocka_unit_test(words_become_json),
		cmocka_unit_test_setup_teardown(headers_are_json_or_text, setup, teardown),
		cmocka_unit_test(times_are_relative_or_absolute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
