/* What a task's end sends and whom it concerns, from signatures as Celery writes them. */
#include "unit/core/flow_fixture.h"

static void
chain_goes_on_with_its_last_element(void **state)
{
	struct task t = task_of(NULL, NULL,
		"[" PLAIN("t.add", "[4]", "{\"task_id\": \"c\"}") ", " PLAIN(
			"t.add", "[3]", "{\"task_id\": \"b\"}") "]");
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
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
	assert_int_equal(succeed(&f, &t, "{\"k\": [1]}", NOW), E_OK);
	assert_span(f.steps[0].call.args, "[{\"k\": [1]}]");
	assert_span(f.steps[0].call.chain, "[]");
	flow_release(&f);

	t = task_of(NULL, NULL, "[]");
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "1", NOW), E_OK);
	assert_int_equal(f.count, 0);
	flow_release(&f);
}

static void
immutable_signature_gets_no_result(void **state)
{
	struct task t = task_of(
		"[{\"task\": \"t.x\", \"args\": [7], \"kwargs\": {\"a\": 1}, \"options\": {\"queue\": \"other\"}, \"immutable\": true}]",
		NULL, NULL);
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_span(f.steps[0].call.args, "[7]");
	assert_span(f.steps[0].call.kwargs, "{\"a\": 1}");
	assert_span(f.steps[0].exchange, "");
	assert_span(f.steps[0].routing_key, "other");
	flow_release(&f);
}

static void
error_links_of_a_chain_or_group_are_each_members(void **state)
{
	struct task t = task_of("[" CHAIN(PLAIN("a", "[]", "{}") ", " GROUP(
						  PLAIN("b", "[]", "{}") ", " PLAIN("c", "[]",
							  "{\"link_error\": " PLAIN("own", "[]", "{}") "}"),
						  "{}"),
					"{\"link_error\": [" PLAIN("e", "[]", "{}") "]}") "]",
		NULL, NULL);
	struct span rest;
	struct jscan_iter it;
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(jscan_count(f.steps[0].call.errbacks), 1);
	assert_true(jscan_begin(&it, f.steps[0].call.chain) && jscan_next(&it));
	rest = arena_dup(&f.arena, it.value);
	assert_null(jscan_member(jscan_member(rest, "options"), "link_error").ptr);
	t = task_of(NULL, NULL, NULL);
	t.callbacks = rest;
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(jscan_count(step_of(&f, "b", 0)->call.errbacks), 1);
	assert_int_equal(jscan_count(step_of(&f, "c", 0)->call.errbacks), 2);
	flow_release(&f);
}

/* Of a chain in place of the body of a chord without a header only the first task is sent. */
static void
children_are_what_was_sent(void **state)
{
	static const struct {
		const char *link, *children;
	} rows[] = {
		{ GROUP("", "{}"), "" },
		{ CHORD("", CHAIN(PLAIN("b", "[]", "{\"task_id\": \"B\"}") ", " PLAIN("c", "[]", "{}"), "{}"),
			  "{}"),
			"[[[\"B\", null], null]]" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct task t = task_of(NULL, NULL, NULL);
		struct span result;
		struct flow f;

		t.callbacks = span_of(rows[i].link);
		flow_init(&f);
		assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
		assert_true(span_is(buf_span(&f.children), rows[i].children));
		flow_release(&f);
		flow_init(&f);
		assert_int_equal(flow_start(&f, &t, t.callbacks, SPAN_NONE, NOW, &result, &said), E_OK);
		assert_true(span_is(buf_span(&f.children), rows[i].children));
		flow_release(&f);
	}
}

/* On the chord itself a Celery worker takes them for its header's, which it refuses. */
static void
error_links_of_a_chain_are_those_of_the_body_of_its_chord(void **state)
{
	struct task t =
		task_of("[" CHAIN(PLAIN("a", "[]", "{}") ", " CHORD(PLAIN("b", "[]", "{}"),
					  CHORD(PLAIN("c", "[]", "{}"), PLAIN("d", "[]", "{}"), "{}"), "{}"),
				"{\"link_error\": [" PLAIN("e", "[]", "{}") "]}") "]",
			NULL, NULL);
	struct span chord;
	struct jscan_iter it;
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_true(jscan_begin(&it, f.steps[0].call.chain) && jscan_next(&it));
	chord = it.value;
	for (int i = 0; i < 2; i++) {
		assert_null(jscan_member(jscan_member(chord, "options"), "link_error").ptr);
		chord = jscan_member(jscan_member(chord, "kwargs"), "body");
	}
	assert_int_equal(jscan_count(jscan_member(jscan_member(chord, "options"), "link_error")), 1);
	flow_release(&f);
}

static void
headers_and_stamps_travel_on(void **state)
{
	struct task t = task_of(
		"[" PLAIN("a", "[]",
			"{\"headers\": {\"x-own\": [1, \"\\u0061\"]}, \"stamped_headers\": [\"tenant\"], \"tenant\": [\"a\", \"b\"], "
			"\"replaced_task_nesting\": 2, \"ignore_result\": true, \"retries\": 1}") "]",
		NULL, NULL);
	const struct task_call *call;
	const struct val *v;
	int64_t nesting;
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	call = &f.steps[0].call;
	assert_true(call->ignore_result);
	assert_int_equal(call->retries, 1);
	assert_non_null(call->user_headers);
	v = table_get(call->user_headers, "x-own");
	assert_int_equal(v->type, VAL_ARRAY);
	assert_span(v->u.array.items[1].u.string, "a");
	assert_int_equal(table_get(call->user_headers, "stamped_headers")->u.array.count, 1);
	v = table_get(call->user_headers, "stamps");
	assert_int_equal(table_get(v->u.table, "tenant")->u.array.count, 2);
	assert_true(table_get_int(call->user_headers, "replaced_task_nesting", &nesting) && nesting == 2);
	flow_release(&f);

	t = task_of("[" PLAIN("a", "[]", "{}") "]", NULL, NULL);
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_null(f.steps[0].call.user_headers);
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
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(succeed(&again, &t, "5", NOW + 5), E_OK);
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
	struct task t = task_of(NULL, NULL,
		"[" PLAIN("z", "[]",
			"{}") ", {\"task\": \"celery.chain\", \"args\": [], \"kwargs\": {\"tasks\": [" PLAIN("x",
			"[]", "{}") ", " PLAIN("y", "[]",
			"{}") "]}, \"options\": {}, \"subtask_type\": \"chain\", \"immutable\": false}]");
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "1", NOW), E_OK);
	assert_int_equal(f.count, 1);
	assert_span(f.steps[0].call.name, "x");
	/* What comes after the chain stands in front as it was; its own steps have got ids. */
	assert_true(span_starts(f.steps[0].call.chain, "[" PLAIN("z", "[]", "{}") ", {\"task\": \"y\", "));
	flow_release(&f);
}

static void
failure_calls_error_links_and_marks_the_rest(void **state)
{
	struct task t = task_of(NULL, "[" PLAIN("t.failed", "[]", "{}") "]",
		"[" PLAIN("t.add", "[4]", "{\"task_id\": \"c\"}") ", " PLAIN(
			"t.add", "[3]", "{\"task_id\": \"b\", \"reply_to\": \"Q1\"}") "]");
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(end_badly(&f, &t, "FAILURE"), E_OK);
	assert_int_equal(f.count, 1);
	assert_span(f.steps[0].call.args, "[\"id-1\"]");
	assert_int_equal(f.steps[0].call.group_index_plus1, 1);
	assert_int_equal(f.n_marks, 2);
	assert_span(f.marks[0].id, "c");
	assert_span(f.marks[1].id, "b");
	assert_null(f.marks[0].reply_to.ptr);
	assert_span(f.marks[1].reply_to, "Q1");
	assert_span(f.marks[1].error, "{\"exc_type\": \"E\"}");
	assert_span(f.traceback, "trace");
	assert_int_equal(flow_next(&f), FLOW_MARK);
	flow_on_done(&f, FLOW_MARK);
	assert_int_equal(flow_next(&f), FLOW_NOTHING);
	flow_release(&f);
}

static void
what_is_not_carried_out_is_refused_before_the_run(void **state)
{
	struct task t = task_of(NULL, NULL, NULL);
	struct errtext why;

	(void)state;
	assert_int_equal(flow_check(&t, true, &why), E_OK);
	t.chord = SPAN(PLAIN("body", "[]", "{}"));
	assert_int_equal(flow_check(&t, true, &why), E_OK);
	assert_int_equal(flow_check(&t, false, &why), E_REFUSED);
	assert_non_null(strstr(why.text, "cannot count"));
	t.chord = SPAN(PLAIN("body", "[]", "{\"eta\": \"soon\"}"));
	assert_int_equal(flow_check(&t, true, &why), E_FORMAT);
	assert_non_null(strstr(why.text, "body"));
	t = task_of(NULL, NULL,
		"[" PLAIN("z", "[]", "{}") ", " GROUP(
			PLAIN("a", "[]", "{}") ", " PLAIN("b", "[]", "{}"), "{}") "]");
	assert_int_equal(flow_check(&t, true, &why), E_OK);
	assert_int_equal(flow_check(&t, false, &why), E_REFUSED);
	t = task_of("[{\"task\": 5}]", NULL, NULL);
	assert_int_equal(flow_check(&t, true, &why), E_FORMAT);
	t = task_of(NULL, "[" PLAIN("e", "[]", "{\"eta\": \"soon\"}") "]", NULL);
	assert_int_equal(flow_check(&t, true, &why), E_FORMAT);
	assert_non_null(strstr(why.text, "eta"));
}

static void
chains_nested_without_end_are_refused(void **state)
{
	static const char head[] = "{\"task\": \"celery.chain\", \"kwargs\": {\"tasks\": [",
			  tail[] = "]}, \"subtask_type\": \"chain\"}";
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
	assert_int_equal(flow_check(&t, true, &why), E_TOOBIG);
	buf_release(&b);
}

static void
several_links_are_one_group(void **state)
{
	struct task t = task_of(
		"[" PLAIN("a", "[]", "{}") ", " GROUP(PLAIN("x", "[]", "{}") ", " PLAIN("y", "[]", "{}"),
			"{\"task_id\": \"G\"}") ", " PLAIN("b", "[]", "{\"task_id\": \"B\"}") "]",
		NULL, NULL);
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(f.count, 4);
	assert_span(step_of(&f, "x", 0)->call.group, "G");
	assert_int_equal(step_of(&f, "y", 0)->call.group_index_plus1, 2);
	assert_true(span_eq(step_of(&f, "a", 0)->call.group, step_of(&f, "b", 0)->call.group));
	assert_false(span_is(step_of(&f, "a", 0)->call.group, "G"));
	assert_int_equal(step_of(&f, "b", 0)->call.group_index_plus1, 2);
	assert_int_equal(f.n_chords, 0);
	assert_int_equal(jscan_count(buf_span(&f.children)), 2);
	flow_release(&f);
}

static void
long_chains_and_groups_are_no_trouble(void **state)
{
	struct task t = task_of(NULL, NULL, NULL);
	struct buf b;
	struct flow f;

	(void)state;
	buf_init(&b, 0);
	buf_adds(&b, "[{\"task\": \"celery.chain\", \"subtask_type\": \"chain\", \"kwargs\": {\"tasks\": [");
	for (int i = 0; i < 10000; i++)
		buf_adds(&b, i > 0 ? ", {\"task\": \"x\"}" : "{\"task\": \"x\"}");
	buf_adds(&b, "]}}]");
	t.callbacks = buf_span(&b);
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(f.count, 1);
	assert_int_equal(jscan_count(f.steps[0].call.chain), 9999);
	flow_release(&f);

	buf_reset(&b);
	buf_adds(&b, "[{\"task\": \"celery.group\", \"subtask_type\": \"group\", \"kwargs\": {\"tasks\": [");
	for (int i = 0; i < 10000; i++)
		buf_adds(&b, i > 0 ? ", {\"task\": \"x\"}" : "{\"task\": \"x\"}");
	buf_adds(&b, "]}}]");
	t.callbacks = buf_span(&b);
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(f.count, 10000);
	assert_int_equal(f.steps[9999].call.group_index_plus1, 10000);
	flow_release(&f);
	buf_release(&b);
}

/* Everything at once: links of all kinds, a chain with a chord in it, a part that completes a chord with a nested header. */
static enum err
all_of_it(void *arg)
{
	struct task t = task_of(
		"[" PLAIN("a", "[]", "{\"headers\": {\"k\": [\"\\u0061\"]}, \"stamped_headers\": [\"s\"], \"s\": \"\\u0062\"}") ", " CHAIN(
			PLAIN("b", "[]", "{}") ", " GROUP(PLAIN("c", "[]", "{}") ", " PLAIN("d", "[]", "{}"),
				"{}") ", " PLAIN("e", "[]", "{}"),
			"{\"link_error\": [" PLAIN("x", "[]", "{}") "]}") "]",
		"[" PLAIN("x", "[]", "{}") "]",
		"[" PLAIN("z", "[]", "{}") ", " CHORD(
			CHAIN(PLAIN("f", "[]", "{}") ", " GROUP(
				      PLAIN("g", "[]", "{}") ", " PLAIN("h", "[]", "{}"), "{}"),
				"{}"),
			PLAIN("body", "[]", "{}"), "{\"link\": [" PLAIN("l", "[]", "{}") "]}") "]");
	static const struct span full[] = { SPAN("[1, \"m0\", \"SUCCESS\", 7]"),
		SPAN("[1, \"id-\\u0031\", \"FAILURE\", {\"exc_type\": \"E\"}]") };
	struct chord_count c = { .is_full = true, .due = 2, .members = full, .n_members = 2 };
	struct flow f;
	enum err e;

	(void)arg;
	t.group = SPAN("G");
	t.chord = SPAN(
		PLAIN("outer", "[]", "{\"task_id\": \"C\", \"link_error\": " PLAIN("x", "[]", "{}") "}"));
	flow_init(&f);
	e = succeed(&f, &t, "5", NOW);
	if (e == E_OK)
		e = flow_on_counted(&f, &c, NOW, &said);
	flow_release(&f);
	if (e != E_OK)
		return e;
	flow_init(&f);
	e = end_badly(&f, &t, "FAILURE");
	flow_release(&f);
	return e;
}

static void
without_memory_it_says_so(void **state)
{
	(void)state;
	torture(all_of_it, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain_goes_on_with_its_last_element),
		cmocka_unit_test(last_step_of_a_chain_has_an_empty_rest),
		cmocka_unit_test(immutable_signature_gets_no_result),
		cmocka_unit_test(error_links_of_a_chain_or_group_are_each_members),
		cmocka_unit_test(children_are_what_was_sent),
		cmocka_unit_test(error_links_of_a_chain_are_those_of_the_body_of_its_chord),
		cmocka_unit_test(headers_and_stamps_travel_on),
		cmocka_unit_test(ids_that_are_not_given_follow_from_the_task),
		cmocka_unit_test(chain_in_a_chain_runs_before_what_comes_after_it),
		cmocka_unit_test(failure_calls_error_links_and_marks_the_rest),
		cmocka_unit_test(what_is_not_carried_out_is_refused_before_the_run),
		cmocka_unit_test(chains_nested_without_end_are_refused),
		cmocka_unit_test(several_links_are_one_group),
		cmocka_unit_test(long_chains_and_groups_are_no_trouble),
		cmocka_unit_test(without_memory_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
