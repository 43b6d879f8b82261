/* What a task's end sends and whom it concerns, from signatures as Celery writes them. */
#include "lib/torture.h"

#include "core/flow.h"

#define NOW ((us_t)1800000000 * 1000000)
#define PLAIN(name, args, options) \
	"{\"task\": \"" name "\", \"args\": " args ", \"kwargs\": {}, \"options\": " options ", \"subtask_type\": null, \"immutable\": false}"

#define GROUP(tasks, options) \
	"{\"task\": \"celery.group\", \"args\": [], \"kwargs\": {\"tasks\": [" tasks "]}, \"options\": " options ", \"subtask_type\": \"group\", \"immutable\": false}"
#define CHAIN(tasks, options) \
	"{\"task\": \"celery.chain\", \"args\": [], \"kwargs\": {\"tasks\": [" tasks "]}, \"options\": " options ", \"subtask_type\": \"chain\", \"immutable\": false}"
#define CHORD(header, body, options) \
	"{\"task\": \"celery.chord\", \"args\": [], \"kwargs\": {\"kwargs\": {}, \"header\": [" header "], \"body\": " body "}, \"options\": " options ", \"subtask_type\": \"chord\", \"immutable\": false}"

static struct errtext said;

static enum err
succeed(struct flow *f, const struct task *t, const char *result, us_t now)
{
	struct flow_end end = { .state = SPAN("SUCCESS"), .value = span_of(result), .now = now };

	return flow_on_end(f, t, &end, &said);
}

static enum err
end_badly(struct flow *f, const struct task *t, const char *state)
{
	struct flow_end end = { .state = span_of(state), .value = SPAN("{\"exc_type\": \"E\"}"), .traceback = SPAN("trace"), .now = NOW };

	return flow_on_end(f, t, &end, &said);
}

static const struct flow_step *
step_of(const struct flow *f, const char *name, size_t nth)
{
	for (size_t i = 0; i < f->count; i++)
		if (span_is(f->steps[i].call.name, name) && nth-- == 0)
			return &f->steps[i];
	fail_msg("no step %s among %zu", name, f->count);
	return NULL;
}

static enum err
count(struct flow *f, int64_t due, const struct span *members, size_t n)
{
	struct chord_count c = { .is_full = (int64_t)n >= due, .due = due, .members = members, .n_members = n };

	return flow_on_counted(f, &c, NOW, &said);
}

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
	struct task t = task_of("[{\"task\": \"t.x\", \"args\": [7], \"kwargs\": {\"a\": 1}, \"options\": {\"queue\": \"other\"}, \"immutable\": true}]", NULL, NULL);
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
	struct task t = task_of("[" CHAIN(PLAIN("a", "[]", "{}") ", " GROUP(PLAIN("b", "[]", "{}") ", " PLAIN("c", "[]", "{\"link_error\": " PLAIN("own", "[]", "{}") "}"), "{}"),
		"{\"link_error\": [" PLAIN("e", "[]", "{}") "]}") "]", NULL, NULL);
	struct span rest;
	struct jscan_iter it;
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(jscan_count(f.steps[0].call.errbacks), 1);
	assert_true(jscan_begin(&it, f.steps[0].call.chain) && jscan_next(&it));
	rest = arena_dup(&f.arena, it.value);
	assert_int_equal(jscan_count(jscan_member(jscan_member(rest, "options"), "link_error")), 1);
	t = task_of(NULL, NULL, NULL);
	t.callbacks = rest;
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(jscan_count(step_of(&f, "b", 0)->call.errbacks), 1);
	assert_int_equal(jscan_count(step_of(&f, "c", 0)->call.errbacks), 2);
	flow_release(&f);
}

static void
headers_and_stamps_travel_on(void **state)
{
	struct task t = task_of("[" PLAIN("a", "[]", "{\"headers\": {\"x-own\": [1, \"\\u0061\"]}, \"stamped_headers\": [\"tenant\"], \"tenant\": [\"a\", \"b\"], "
		"\"replaced_task_nesting\": 2, \"ignore_result\": true, \"retries\": 1}") "]", NULL, NULL);
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
	struct task t = task_of(NULL, NULL, "[" PLAIN("z", "[]", "{}")
		", {\"task\": \"celery.chain\", \"args\": [], \"kwargs\": {\"tasks\": [" PLAIN("x", "[]", "{}") ", " PLAIN("y", "[]", "{}")
		"]}, \"options\": {}, \"subtask_type\": \"chain\", \"immutable\": false}]");
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
		"[" PLAIN("t.add", "[4]", "{\"task_id\": \"c\"}") ", " PLAIN("t.add", "[3]", "{\"task_id\": \"b\", \"reply_to\": \"Q1\"}") "]");
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
	t = task_of(NULL, NULL, "[" PLAIN("z", "[]", "{}") ", " GROUP(PLAIN("a", "[]", "{}") ", " PLAIN("b", "[]", "{}"), "{}") "]");
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
	assert_int_equal(flow_check(&t, true, &why), E_TOOBIG);
	buf_release(&b);
}

static void
several_links_are_one_group(void **state)
{
	struct task t = task_of("[" PLAIN("a", "[]", "{}") ", " GROUP(PLAIN("x", "[]", "{}") ", " PLAIN("y", "[]", "{}"), "{\"task_id\": \"G\"}") ", "
		PLAIN("b", "[]", "{\"task_id\": \"B\"}") "]", NULL, NULL);
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

/* What a Celery client makes of task | group | task: one chord, whose ids are frozen. */
static void
chord_in_a_chain_is_started(void **state)
{
	struct task t = task_of(NULL, NULL, "[" PLAIN("after", "[]", "{\"task_id\": \"Z\"}") ", "
		CHORD(PLAIN("a", "[1]", "{\"task_id\": \"A\"}") ", " PLAIN("b", "[2]", "{\"task_id\": \"B\"}"),
			PLAIN("body", "[]", "{\"task_id\": \"C\"}"), "{\"task_id\": \"G\"}") "]");
	const struct task_call *a;
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(f.n_chords, 1);
	assert_span(f.chords[0].group, "G");
	assert_int_equal(f.chords[0].size, 2);
	assert_null(f.chords[0].saved.ptr);
	assert_int_equal(f.count, 2);
	a = &step_of(&f, "a", 0)->call;
	assert_span(a->args, "[5, 1]");
	assert_span(a->group, "G");
	assert_int_equal(a->group_index_plus1, 1);
	assert_null(a->chain.ptr);
	/* The body carries what comes after the chord. */
	assert_true(span_eq(jscan_member(jscan_member(a->chord, "options"), "chain"), SPAN("[" PLAIN("after", "[]", "{\"task_id\": \"Z\"}") "]")));
	assert_true(span_eq(jscan_member(jscan_member(a->chord, "options"), "task_id"), SPAN("\"C\"")));
	assert_true(span_eq(jscan_member(jscan_member(a->chord, "options"), "parent_id"), SPAN("\"id-1\"")));
	assert_span(buf_span(&f.children), "[[[\"G\", null], [[[\"A\", null], null], [[\"B\", null], null]]]]");
	assert_int_equal(flow_next(&f), FLOW_ANNOUNCE);
	flow_release(&f);
}

/* Others than Celery may not make a chord of it. */
static void
group_with_something_after_it_is_a_chord(void **state)
{
	struct task t = task_of(NULL, NULL, "[" PLAIN("last", "[]", "{}") ", " PLAIN("body", "[]", "{\"task_id\": \"C\"}") ", "
		GROUP(PLAIN("a", "[]", "{}") ", " PLAIN("b", "[]", "{}"), "{}") "]");
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(f.n_chords, 1);
	assert_int_equal(f.count, 2);
	assert_true(span_eq(jscan_member(jscan_member(f.steps[0].call.chord, "options"), "task_id"), SPAN("\"C\"")));
	assert_int_equal(jscan_count(jscan_member(jscan_member(f.steps[0].call.chord, "options"), "chain")), 1);
	flow_release(&f);
}

/* A chord whose body is a group, inside a chain: the rest waits for all of that group. */
static void
what_follows_a_body_that_is_a_group_waits_for_all_of_it(void **state)
{
	struct task t = task_of(NULL, NULL, NULL);
	struct flow f;

	(void)state;
	t.group = SPAN("G");
	t.group_index = 1;
	t.chord = SPAN(GROUP(PLAIN("a", "[]", "{\"task_id\": \"A\"}") ", " PLAIN("b", "[]", "{}"),
		"{\"task_id\": \"H\", \"chain\": [" PLAIN("last", "[]", "{\"task_id\": \"L\"}") "]}"));
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(count(&f, 2, (const struct span[]){ SPAN("[1, \"m0\", \"SUCCESS\", 7]"), SPAN("[1, \"id-1\", \"SUCCESS\", 5]") }, 2), E_OK);
	assert_int_equal(f.n_chords, 1);
	assert_span(f.chords[0].group, "H");
	assert_int_equal(f.count, 2);
	assert_span(f.steps[0].call.args, "[[7, 5]]");
	assert_true(span_eq(jscan_member(jscan_member(f.steps[0].call.chord, "options"), "task_id"), SPAN("\"L\"")));
	flow_release(&f);
}

static void
members_that_are_chains_report_with_their_last_task(void **state)
{
	struct task t = task_of("[" CHORD(CHAIN(PLAIN("a", "[]", "{}") ", " PLAIN("b", "[]", "{\"task_id\": \"B\"}"), "{}") ", " PLAIN("c", "[]", "{}"),
		PLAIN("body", "[]", "{}"), "{\"task_id\": \"G\"}") "]", NULL, NULL);
	const struct task_call *a;
	struct span last;
	struct jscan_iter it;
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(f.chords[0].size, 2);
	a = &step_of(&f, "a", 0)->call;
	assert_null(a->chord.ptr);
	assert_null(a->group.ptr);
	assert_true(jscan_begin(&it, a->chain) && jscan_next(&it));
	last = jscan_member(it.value, "options");
	assert_true(span_eq(jscan_member(last, "task_id"), SPAN("\"B\"")));
	assert_true(span_eq(jscan_member(last, "group_id"), SPAN("\"G\"")));
	assert_true(span_eq(jscan_member(last, "group_index"), SPAN("0")));
	assert_int_equal(jscan_kind(jscan_member(last, "chord")), JSCAN_OBJECT);
	assert_int_equal(step_of(&f, "c", 0)->call.group_index_plus1, 2);
	flow_release(&f);
}

/* A member whose result is a list: the nesting is saved for whoever joins. */
static void
nested_results_are_saved(void **state)
{
	struct task t = task_of("[" CHORD(CHAIN(PLAIN("a", "[]", "{}") ", " GROUP(PLAIN("b", "[]", "{\"task_id\": \"B\"}") ", "
		PLAIN("c", "[]", "{\"task_id\": \"C\"}"), "{}"), "{}") ", " PLAIN("d", "[]", "{\"task_id\": \"D\"}"),
		PLAIN("body", "[]", "{}"), "{\"task_id\": \"G\"}") "]", NULL, NULL);
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(f.chords[0].size, 3);
	assert_non_null(f.chords[0].saved.ptr);
	assert_non_null(strstr(f.chords[0].saved.ptr, "[[\"B\", null], null], [[\"C\", null], null]]"));
	flow_release(&f);
}

static struct task
member_task(const char *body)
{
	struct task t = task_of(NULL, NULL, NULL);

	t.group = SPAN("G");
	t.group_index = 1;
	t.chord = span_of(body);
	return t;
}

static const struct span both[] = { SPAN("[1, \"m0\", \"SUCCESS\", [7]]"), SPAN("[1, \"id-1\", \"SUCCESS\", 5]") };

static void
member_reports_and_the_last_one_sends_the_body(void **state)
{
	struct task t = member_task(PLAIN("body", "[\"x\"]", "{\"task_id\": \"C\"}"));
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(f.n_parts, 1);
	assert_span(f.parts[0].member, "[1, \"id-1\", \"SUCCESS\", 5]");
	assert_int_equal(f.parts[0].index, 1);
	assert_int_equal(flow_next(&f), FLOW_COUNT);
	assert_int_equal(count(&f, 2, both, 2), E_OK);
	assert_int_equal(flow_next(&f), FLOW_NOTHING);
	assert_int_equal(f.count, 1);
	assert_span(f.steps[0].call.id, "C");
	assert_span(f.steps[0].call.args, "[[[7], 5], \"x\"]");
	assert_int_equal(flow_next_after_sending(&f), FLOW_CLOSE);
	assert_span(f.closes[0], "G");
	flow_release(&f);

	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(count(&f, 3, both, 2), E_OK);
	assert_int_equal(f.count, 0);
	assert_int_equal(flow_next_after_sending(&f), FLOW_NOTHING);
	flow_release(&f);
}

static void
group_without_a_body_is_no_chord(void **state)
{
	struct task t = member_task(NULL);
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(f.n_parts, 0);
	flow_release(&f);
}

/* The body's id, its error links, what comes after it, and the chord around it. */
static void
failed_member_fails_the_body_and_all_behind_it(void **state)
{
	static const struct span failed[] = { SPAN("[1, \"m0\", \"FAILURE\", {\"exc_type\": \"KeyError\", \"exc_message\": [\"boom\"], \"exc_module\": \"builtins\"}]"),
		SPAN("[1, \"id-1\", \"SUCCESS\", 5]") };
	struct task t = member_task(PLAIN("body", "[]", "{\"task_id\": \"C\", \"group_id\": \"OUTER\", \"group_index\": 4, \"chord\": " PLAIN("outer", "[]", "{}") ", "
		"\"link_error\": [" PLAIN("e", "[]", "{}") "], \"chain\": [" PLAIN("z", "[]", "{\"task_id\": \"Z\"}") "]}"));
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(count(&f, 2, failed, 2), E_OK);
	assert_int_equal(f.n_marks, 2);
	assert_span(f.marks[0].id, "C");
	assert_span(f.marks[1].id, "Z");
	assert_span(f.marks[0].error, "{\"exc_type\": \"ChordError\", \"exc_message\": [\"Dependency m0 raised KeyError('boom')\"], \"exc_module\": \"celery.exceptions\"}");
	assert_int_equal(f.count, 1);
	assert_span(f.steps[0].call.args, "[\"C\"]");
	assert_int_equal(flow_next(&f), FLOW_MARK);
	flow_on_done(&f, FLOW_MARK);
	assert_int_equal(flow_next(&f), FLOW_COUNT);
	assert_span(f.parts[1].group, "OUTER");
	assert_span(f.parts[1].id, "C");
	assert_int_equal(f.parts[1].index, 4);
	flow_release(&f);
}

/* chain [this, chord, ...] fails: the chord's body ends, and so does what waits for it. */
static void
failed_task_before_a_chord_ends_its_body(void **state)
{
	struct task t = task_of(NULL, NULL, "[" CHORD(PLAIN("a", "[]", "{\"task_id\": \"A\"}"), PLAIN("body", "[]", "{\"task_id\": \"C\"}"), "{\"task_id\": \"G\"}") "]");
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(end_badly(&f, &t, "FAILURE"), E_OK);
	assert_int_equal(f.n_marks, 1);
	assert_span(f.marks[0].id, "C");
	flow_release(&f);
}

/* Celery marks nobody then; but the chord around the chain must not wait for ever. */
static void
revoked_task_tells_chords_only(void **state)
{
	struct task t = task_of(NULL, "[" PLAIN("e", "[]", "{}") "]", "[" PLAIN("b", "[]", "{\"task_id\": \"B\", \"group_id\": \"G\", \"group_index\": 0, \"chord\": "
		PLAIN("body", "[]", "{}") "}") "]");
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(end_badly(&f, &t, "REVOKED"), E_OK);
	assert_int_equal(f.n_marks, 0);
	assert_int_equal(f.count, 0);
	assert_int_equal(f.n_parts, 1);
	assert_span(f.parts[0].member, "[1, \"B\", \"REVOKED\", {\"exc_type\": \"E\"}]");
	flow_release(&f);
}

static void
chord_without_members_goes_on_at_once(void **state)
{
	struct task t = task_of("[" CHORD("", PLAIN("body", "[]", "{\"task_id\": \"C\"}"), "{}") "]", NULL, NULL);
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(f.n_chords, 0);
	assert_int_equal(f.count, 1);
	assert_span(f.steps[0].call.args, "[[]]");
	assert_span(buf_span(&f.children), "[[[\"C\", null], null]]");
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
	struct task t = task_of("[" PLAIN("a", "[]", "{\"headers\": {\"k\": [\"\\u0061\"]}, \"stamped_headers\": [\"s\"], \"s\": \"\\u0062\"}") ", "
		CHAIN(PLAIN("b", "[]", "{}") ", " GROUP(PLAIN("c", "[]", "{}") ", " PLAIN("d", "[]", "{}"), "{}") ", " PLAIN("e", "[]", "{}"), "{\"link_error\": [" PLAIN("x", "[]", "{}") "]}")
		"]", "[" PLAIN("x", "[]", "{}") "]",
		"[" PLAIN("z", "[]", "{}") ", " CHORD(CHAIN(PLAIN("f", "[]", "{}") ", " GROUP(PLAIN("g", "[]", "{}") ", " PLAIN("h", "[]", "{}"), "{}"), "{}"),
			PLAIN("body", "[]", "{}"), "{\"link\": [" PLAIN("l", "[]", "{}") "]}") "]");
	static const struct span full[] = { SPAN("[1, \"m0\", \"SUCCESS\", 7]"), SPAN("[1, \"id-\\u0031\", \"FAILURE\", {\"exc_type\": \"E\"}]") };
	struct chord_count c = { .is_full = true, .due = 2, .members = full, .n_members = 2 };
	struct flow f;
	enum err e;

	(void)arg;
	t.group = SPAN("G");
	t.chord = SPAN(PLAIN("outer", "[]", "{\"task_id\": \"C\", \"link_error\": " PLAIN("x", "[]", "{}") "}"));
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
		cmocka_unit_test(headers_and_stamps_travel_on),
		cmocka_unit_test(ids_that_are_not_given_follow_from_the_task),
		cmocka_unit_test(chain_in_a_chain_runs_before_what_comes_after_it),
		cmocka_unit_test(failure_calls_error_links_and_marks_the_rest),
		cmocka_unit_test(what_is_not_carried_out_is_refused_before_the_run),
		cmocka_unit_test(chains_nested_without_end_are_refused),
		cmocka_unit_test(several_links_are_one_group),
		cmocka_unit_test(chord_in_a_chain_is_started),
		cmocka_unit_test(group_with_something_after_it_is_a_chord),
		cmocka_unit_test(what_follows_a_body_that_is_a_group_waits_for_all_of_it),
		cmocka_unit_test(members_that_are_chains_report_with_their_last_task),
		cmocka_unit_test(nested_results_are_saved),
		cmocka_unit_test(member_reports_and_the_last_one_sends_the_body),
		cmocka_unit_test(group_without_a_body_is_no_chord),
		cmocka_unit_test(failed_member_fails_the_body_and_all_behind_it),
		cmocka_unit_test(failed_task_before_a_chord_ends_its_body),
		cmocka_unit_test(revoked_task_tells_chords_only),
		cmocka_unit_test(chord_without_members_goes_on_at_once),
		cmocka_unit_test(long_chains_and_groups_are_no_trouble),
		cmocka_unit_test(without_memory_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
