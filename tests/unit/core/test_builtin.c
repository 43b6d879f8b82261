/* Celery's built-in tasks: series of runs, and those that need none. */
#include "lib/t.h"

#include "core/builtin.h"

static struct arena a;

static struct task
task_of(const char *name, const char *args, const char *kwargs)
{
	return (struct task){ .protocol = 2,
		.id = SPAN("id-1"),
		.name = span_of(name),
		.args = span_of(args),
		.kwargs = span_of(kwargs) };
}

static int
tear_down(void **state)
{
	(void)state;
	arena_release(&a);
	return 0;
}

static void
names_are_known(void **state)
{
	(void)state;
	assert_int_equal(builtin_find(SPAN("celery.map")), BUILTIN_MAP);
	assert_int_equal(builtin_find(SPAN("celery.accumulate")), BUILTIN_ACCUMULATE);
	assert_int_equal(builtin_find(SPAN("celery.chord_unlock")), BUILTIN_NONE);
	assert_int_equal(builtin_find(SPAN("map")), BUILTIN_NONE);
	assert_true(builtin_is_series(BUILTIN_STARMAP));
	assert_false(builtin_is_series(BUILTIN_CHUNKS));
}

static void
series_gives_one_run_for_each_item(void **state)
{
	struct task t =
		task_of("celery.map", "[]", "{\"task\": {\"task\": \"add\"}, \"it\": [1, [2, 3], null]}");
	struct series s;

	(void)state;
	assert_ok(series_init(&s, BUILTIN_MAP, &t, &a, NULL));
	assert_span(s.name, "add");
	assert_true(series_next(&s));
	assert_span(buf_span(&s.args), "[1]");
	series_add(&s, SPAN("\"one\""));
	assert_true(series_next(&s));
	assert_span(buf_span(&s.args), "[[2, 3]]");
	series_add(&s, SPAN_NONE);
	assert_true(series_next(&s));
	series_add(&s, SPAN("{}"));
	assert_false(series_next(&s));
	assert_span(buf_span(&s.results), "[\"one\", null, {}]");
	series_release(&s);
}

static void
starmap_gives_each_item_as_arguments(void **state)
{
	struct task t = task_of("celery.starmap", "[{\"task\": \"add\"}, [[1, 2], 3]]", "{}");
	struct series s;

	(void)state;
	assert_ok(series_init(&s, BUILTIN_STARMAP, &t, &a, NULL));
	assert_true(series_next(&s));
	assert_span(buf_span(&s.args), "[1, 2]");
	assert_true(series_next(&s));
	assert_span(buf_span(&s.args), "[3]");
	series_release(&s);
}

static void
series_without_sense_is_refused(void **state)
{
	static const char *const kwargs[] = { "{}", "{\"task\": {\"task\": \"add\"}}",
		"{\"task\": {\"task\": \"add\"}, \"it\": 5}", "{\"task\": 5, \"it\": []}",
		"{\"task\": {\"task\": \"celery.map\"}, \"it\": []}",
		"{\"task\": {\"task\": \"celery.group\", \"subtask_type\": \"group\"}, \"it\": []}" };
	struct errtext why;
	struct series s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kwargs); i++) {
		struct task t = task_of("celery.map", "[]", kwargs[i]);

		why.text[0] = '\0';
		assert_int_equal(series_init(&s, BUILTIN_MAP, &t, &a, &why), E_FORMAT);
		assert_true(why.text[0] != '\0');
		series_release(&s);
	}
}

static void
ends(const char *name, const char *args, const char *kwargs, struct builtin_end *end)
{
	struct task t = task_of(name, args, kwargs);

	assert_ok(builtin_end(end, builtin_find(t.name), &t, &a));
}

static void
accumulate_gives_its_arguments_or_one_of_them(void **state)
{
	struct builtin_end end;

	(void)state;
	ends("celery.accumulate", "[1, [2]]", "{}", &end);
	assert_span(end.value, "[1, [2]]");
	ends("celery.accumulate", "[1, [2]]", "{\"index\": 1}", &end);
	assert_span(end.value, "[2]");
	ends("celery.accumulate", "[1, [2]]", "{\"index\": -2}", &end);
	assert_span(end.value, "1");
	ends("celery.accumulate", "[1, [2]]", "{\"index\": 2}", &end);
	assert_string_equal(end.type, "IndexError");
	ends("celery.accumulate", "[1, [2]]", "{\"index\": \"x\"}", &end);
	assert_string_equal(end.type, "TypeError");
}

static void
chunks_become_a_group_of_series(void **state)
{
	struct builtin_end end;
	struct span tasks;
	struct jscan_iter it;

	(void)state;
	ends("celery.chunks", "[]",
		"{\"task\": {\"task\": \"add\"}, \"it\": [[1, 1], [2, 2], [3, 3]], \"n\": 2}", &end);
	assert_null(end.type);
	assert_ok(jscan_check(end.start, NULL, NULL, NULL));
	tasks = jscan_member(jscan_member(end.start, "kwargs"), "tasks");
	assert_int_equal(jscan_count(tasks), 2);
	assert_true(jscan_begin(&it, tasks) && jscan_next(&it));
	assert_span(jscan_member(jscan_member(it.value, "kwargs"), "it"), "[[1, 1], [2, 2]]");
	assert_true(jscan_next(&it));
	assert_span(jscan_member(jscan_member(it.value, "kwargs"), "it"), "[[3, 3]]");
	ends("celery.chunks", "[]", "{\"task\": {\"task\": \"add\"}, \"it\": [], \"n\": 0}", &end);
	assert_string_equal(end.type, "TypeError");
}

static void
groups_and_chords_are_started(void **state)
{
	struct builtin_end end;

	(void)state;
	ends("celery.group", "[[{\"task\": \"a\"}], null, \"G\", [5]]", "{}", &end);
	assert_ok(jscan_check(end.start, NULL, NULL, NULL));
	assert_span(jscan_member(jscan_member(end.start, "options"), "task_id"), "\"G\"");
	assert_span(end.args, "[5]");
	ends("celery.chord", "[]", "{\"header\": [{\"task\": \"a\"}], \"body\": {\"task\": \"b\"}}", &end);
	assert_ok(jscan_check(end.start, NULL, NULL, NULL));
	assert_span(jscan_member(jscan_member(end.start, "kwargs"), "body"), "{\"task\": \"b\"}");
	ends("celery.chord", "[]", "{}", &end);
	assert_string_equal(end.type, "TypeError");
	ends("celery.chain", "[]", "{}", &end);
	assert_string_equal(end.type, "NotImplementedError");
	ends("celery.backend_cleanup", "[]", "{}", &end);
	assert_span(end.value, "null");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_known),
		cmocka_unit_test_teardown(series_gives_one_run_for_each_item, tear_down),
		cmocka_unit_test_teardown(starmap_gives_each_item_as_arguments, tear_down),
		cmocka_unit_test_teardown(series_without_sense_is_refused, tear_down),
		cmocka_unit_test(accumulate_gives_its_arguments_or_one_of_them),
		cmocka_unit_test_teardown(chunks_become_a_group_of_series, tear_down),
		cmocka_unit_test_teardown(groups_and_chords_are_started, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
