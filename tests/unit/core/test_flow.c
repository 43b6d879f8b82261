/* What a task's end sends: links, error links and chains, from signatures as Celery writes them. */
#include "lib/t.h"

#include "core/flow.h"

#define NOW ((us_t)1800000000 * 1000000)
#define PLAIN(name, args, options) \
	"{\"task\": \"" name "\", \"args\": " args ", \"kwargs\": {}, \"options\": " options ", \"subtask_type\": null, \"immutable\": false}"

static struct task
task_of(const char *callbacks, const char *errbacks, const char *chain)
{
	return (struct task){
		.protocol = 2, .id = SPAN("id-1"), .name = SPAN("add"), .root_id = SPAN("root"), .args = SPAN("[]"), .kwargs = SPAN("{}"),
		.callbacks = span_of(callbacks), .errbacks = span_of(errbacks), .chain = span_of(chain),
	};
}

static void
chain_goes_on_with_its_last_element(void **state)
{
	struct task t = task_of(NULL, NULL, "[" PLAIN("t.add", "[4]", "{\"task_id\": \"c\"}") ", " PLAIN("t.add", "[3]", "{\"task_id\": \"b\"}") "]");
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(flow_on_success(&f, &t, SPAN("5"), NOW, NULL), E_OK);
	assert_int_equal(f.count, 1);
	assert_span(f.steps[0].call.id, "b");
	assert_span(f.steps[0].call.args, "[5, 3]");
	assert_span(f.steps[0].call.root_id, "root");
	assert_span(f.steps[0].call.parent_id, "id-1");
	assert_span(f.steps[0].call.chain, "[" PLAIN("t.add", "[4]", "{\"task_id\": \"c\"}") "]");
	assert_span(buf_span(&f.children), "[[[\"b\", null], null]]");
	flow_release(&f);
}

static void
last_step_of_a_chain_has_an_empty_rest(void **state)
{
	struct task t = task_of(NULL, NULL, "[" PLAIN("t.add", "[]", "{\"task_id\": \"b\"}") "]");
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(flow_on_success(&f, &t, SPAN("{\"k\": [1]}"), NOW, NULL), E_OK);
	assert_span(f.steps[0].call.args, "[{\"k\": [1]}]");
	assert_span(f.steps[0].call.chain, "[]");
	flow_release(&f);

	t = task_of(NULL, NULL, "[]");
	flow_init(&f);
	assert_int_equal(flow_on_success(&f, &t, SPAN("1"), NOW, NULL), E_OK);
	assert_int_equal(f.count, 0);
	flow_release(&f);
}

static void
immutable_signature_gets_no_result(void **state)
{
	struct task t = task_of("[{\"task\": \"t.x\", \"args\": [7], \"kwargs\": {\"a\": 1}, \"options\": {\"queue\": \"other\"}, \"immutable\": true}]", NULL, NULL);
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(flow_on_success(&f, &t, SPAN("5"), NOW, NULL), E_OK);
	assert_span(f.steps[0].call.args, "[7]");
	assert_span(f.steps[0].call.kwargs, "{\"a\": 1}");
	assert_span(f.steps[0].exchange, "");
	assert_span(f.steps[0].routing_key, "other");
	flow_release(&f);
}

static void
ids_that_are_not_given_follow_from_the_task(void **state)
{
	struct task t = task_of("[" PLAIN("a", "[]", "{}") ", " PLAIN("b", "[]", "{}") "]", NULL, NULL);
	struct flow f, again;

	(void)state;
	flow_init(&f);
	flow_init(&again);
	assert_int_equal(flow_on_success(&f, &t, SPAN("5"), NOW, NULL), E_OK);
	assert_int_equal(flow_on_success(&again, &t, SPAN("5"), NOW + 5, NULL), E_OK);
	assert_int_equal(f.count, 2);
	assert_true(span_eq(f.steps[0].call.id, again.steps[0].call.id));
	assert_true(span_eq(f.steps[1].call.id, again.steps[1].call.id));
	assert_false(span_eq(f.steps[0].call.id, f.steps[1].call.id));
	assert_int_equal(f.steps[0].call.id.len, 36);
	flow_release(&f);
	flow_release(&again);
}

static void
chain_in_a_chain_runs_before_what_comes_after_it(void **state)
{
	struct task t = task_of(NULL, NULL, "[" PLAIN("z", "[]", "{}")
		", {\"task\": \"celery.chain\", \"args\": [], \"kwargs\": {\"tasks\": [" PLAIN("x", "[]", "{}") ", " PLAIN("y", "[]", "{}")
		"]}, \"options\": {}, \"subtask_type\": \"chain\", \"immutable\": false}]");
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(flow_on_success(&f, &t, SPAN("1"), NOW, NULL), E_OK);
	assert_int_equal(f.count, 1);
	assert_span(f.steps[0].call.name, "x");
	assert_span(f.steps[0].call.chain, "[" PLAIN("z", "[]", "{}") ", " PLAIN("y", "[]", "{}") "]");
	flow_release(&f);
}

static void
failure_calls_error_links_and_marks_the_rest(void **state)
{
	struct task t = task_of(NULL, "[" PLAIN("t.failed", "[]", "{}") "]",
		"[" PLAIN("t.add", "[4]", "{\"task_id\": \"c\"}") ", " PLAIN("t.add", "[3]", "{\"task_id\": \"b\"}") "]");
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(flow_on_failure(&f, &t, NOW, NULL), E_OK);
	assert_int_equal(f.count, 1);
	assert_span(f.steps[0].call.args, "[\"id-1\"]");
	assert_int_equal(f.n_failed, 2);
	assert_span(f.failed[0], "c");
	assert_span(f.failed[1], "b");
	flow_release(&f);
}

static void
what_is_not_carried_out_is_refused_before_the_run(void **state)
{
	struct task t = task_of(NULL, NULL, NULL);
	struct errtext why;

	(void)state;
	assert_int_equal(flow_check(&t, &why), E_OK);
	t.chord = SPAN(PLAIN("body", "[]", "{}"));
	assert_int_equal(flow_check(&t, &why), E_REFUSED);
	assert_non_null(strstr(why.text, "chord"));
	t = task_of(NULL, NULL, "[{\"task\": \"celery.group\", \"args\": [], \"kwargs\": {\"tasks\": []}, \"options\": {}, \"subtask_type\": \"group\"}]");
	assert_int_equal(flow_check(&t, &why), E_REFUSED);
	t = task_of("[{\"task\": 5}]", NULL, NULL);
	assert_int_equal(flow_check(&t, &why), E_FORMAT);
	t = task_of(NULL, "[" PLAIN("e", "[]", "{\"eta\": \"soon\"}") "]", NULL);
	assert_int_equal(flow_check(&t, &why), E_FORMAT);
	assert_non_null(strstr(why.text, "eta"));
}

static void
chains_nested_without_end_are_refused(void **state)
{
	static const char head[] = "{\"task\": \"celery.chain\", \"kwargs\": {\"tasks\": [", tail[] = "]}, \"subtask_type\": \"chain\"}";
	struct task t = task_of(NULL, NULL, NULL);
	struct errtext why;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	buf_addc(&b, '[');
	for (int i = 0; i < 50; i++)
		buf_adds(&b, head);
	buf_adds(&b, PLAIN("x", "[]", "{}"));
	for (int i = 0; i < 50; i++)
		buf_adds(&b, tail);
	buf_addc(&b, ']');
	t.chain = buf_span(&b);
	assert_int_equal(flow_check(&t, &why), E_TOOBIG);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain_goes_on_with_its_last_element),
		cmocka_unit_test(last_step_of_a_chain_has_an_empty_rest),
		cmocka_unit_test(immutable_signature_gets_no_result),
		cmocka_unit_test(ids_that_are_not_given_follow_from_the_task),
		cmocka_unit_test(chain_in_a_chain_runs_before_what_comes_after_it),
		cmocka_unit_test(failure_calls_error_links_and_marks_the_rest),
		cmocka_unit_test(what_is_not_carried_out_is_refused_before_the_run),
		cmocka_unit_test(chains_nested_without_end_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
