#include "vectors.h"

#include "wire/task.h"

static void
check_line(const char *name, struct span line)
{
	struct json_object *v = json_tokener_parse(line.ptr);
	struct span json, args;
	struct buf b;

	assert_non_null(v);
	json = vector_text(v, "json");
	args = vector_text(v, "args");
	buf_init(&b, 0);
	task_add_repr(&b, json, (size_t)json_object_get_int(vector_get(v, "max")));
	assert_span_eq(name, b.len ? buf_span(&b) : SPAN(""), vector_text(v, "repr"));
	if (args.ptr) {
		buf_reset(&b);
		task_add_argsrepr(&b, json);
		assert_span_eq(name, buf_span(&b), args);
	}
	buf_release(&b);
	json_object_put(v);
}

static void
shows_what_celery_shows(void **state UNUSED)
{
	assert_int_equal(vectors_each_line("repr/repr.jsonl", check_line), 600);
}

static void
one_argument_keeps_its_comma(void **state UNUSED)
{
	struct buf b;

	buf_init(&b, 0);
	task_add_argsrepr(&b, SPAN("[ 1 ]"));
	buf_addc(&b, ' ');
	task_add_argsrepr(&b, SPAN("[]"));
	buf_addc(&b, ' ');
	task_add_repr(&b, SPAN("[1]"), 10);
	buf_addc(&b, ' ');
	task_add_repr(&b, SPAN("1e400"), 10);
	buf_addc(&b, ' ');
	task_add_repr(&b, SPAN("2.50"), 10);
	assert_span(buf_span(&b), "(1,) () [1] inf 2.5");
	buf_release(&b);
}

static void
a_full_buffer_ends_it(void **state UNUSED)
{
	struct buf b;

	buf_init(&b, 3);
	task_add_argsrepr(&b, SPAN("[1, \"\\u0041bc\", 2.5, {\"a\": []}]"));
	assert_int_equal(b.err, E_TOOBIG);
	buf_release(&b);
}

static void
survives_every_failed_allocation(void **state UNUSED)
{
	enum err e = E_NOMEM;
	struct buf b;
	uint64_t nth;

	for (nth = 1; e == E_NOMEM; nth++) {
		buf_init(&b, 0);
		alloc_fail_after(nth);
		task_add_argsrepr(&b, SPAN("[2.5, \"\\u0041\", {\"\\u0042\": 1}]"));
		alloc_fail_after(0);
		e = b.err;
		if (e == E_OK)
			assert_span(buf_span(&b), "(2.5, 'A', {'B': 1})");
		buf_release(&b);
	}
	assert_int_equal(e, E_OK);
	assert_true(nth > 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_what_celery_shows),
		cmocka_unit_test(one_argument_keeps_its_comma),
		cmocka_unit_test(a_full_buffer_ends_it),
		cmocka_unit_test(survives_every_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
