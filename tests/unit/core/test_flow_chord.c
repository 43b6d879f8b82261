/* Chords: who reports to them, and what their ends send. */
#include "unit/core/flow_fixture.h"

static enum err
count(struct flow *f, int64_t due, const struct span *members, size_t n)
{
	struct chord_count c = { .is_full = (int64_t)n >= due, .due = due, .members = members, .n_members = n };

	return flow_on_counted(f, &c, NOW, &said);
}

/* What a Celery client makes of task | group | task: one chord, whose ids are frozen. */
static void
chord_in_a_chain_is_started(void **state)
{
	struct task t = task_of(NULL, NULL,
		"[" PLAIN("after", "[]", "{\"task_id\": \"Z\"}") ", " CHORD(
			PLAIN("a", "[1]", "{\"task_id\": \"A\"}") ", " PLAIN(
				"b", "[2]", "{\"task_id\": \"B\"}"),
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
	assert_true(span_eq(jscan_member(jscan_member(a->chord, "options"), "chain"),
		SPAN("[" PLAIN("after", "[]", "{\"task_id\": \"Z\"}") "]")));
	assert_true(span_eq(jscan_member(jscan_member(a->chord, "options"), "task_id"), SPAN("\"C\"")));
	assert_true(span_eq(jscan_member(jscan_member(a->chord, "options"), "parent_id"), SPAN("\"id-1\"")));
	assert_span(
		buf_span(&f.children), "[[[\"G\", null], [[[\"A\", null], null], [[\"B\", null], null]]]]");
	assert_int_equal(flow_next(&f), FLOW_ANNOUNCE);
	flow_release(&f);
}

/* Others than Celery may not make a chord of it. */
static void
group_with_something_after_it_is_a_chord(void **state)
{
	struct task t = task_of(NULL, NULL,
		"[" PLAIN("last", "[]", "{}") ", " PLAIN("body", "[]", "{\"task_id\": \"C\"}") ", " GROUP(
			PLAIN("a", "[]", "{}") ", " PLAIN("b", "[]", "{}"), "{}") "]");
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(f.n_chords, 1);
	assert_int_equal(f.count, 2);
	assert_true(span_eq(
		jscan_member(jscan_member(f.steps[0].call.chord, "options"), "task_id"), SPAN("\"C\"")));
	assert_int_equal(
		jscan_count(jscan_member(jscan_member(f.steps[0].call.chord, "options"), "chain")), 1);
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
	assert_int_equal(count(&f, 2,
				 (const struct span[]){ SPAN("[1, \"m0\", \"SUCCESS\", 7]"),
					 SPAN("[1, \"id-1\", \"SUCCESS\", 5]") },
				 2),
		E_OK);
	assert_int_equal(f.n_chords, 1);
	assert_span(f.chords[0].group, "H");
	assert_int_equal(f.count, 2);
	assert_span(f.steps[0].call.args, "[[7, 5]]");
	assert_true(span_eq(
		jscan_member(jscan_member(f.steps[0].call.chord, "options"), "task_id"), SPAN("\"L\"")));
	flow_release(&f);
}

static void
members_that_are_chains_report_with_their_last_task(void **state)
{
	struct task t =
		task_of("[" CHORD(CHAIN(PLAIN("a", "[]", "{}") ", " PLAIN("b", "[]", "{\"task_id\": \"B\"}"),
					  "{}") ", " PLAIN("c", "[]", "{}"),
				PLAIN("body", "[]", "{}"), "{\"task_id\": \"G\"}") "]",
			NULL, NULL);
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
	struct task t = task_of("[" CHORD(CHAIN(PLAIN("a", "[]", "{}") ", " GROUP(
							PLAIN("b", "[]", "{\"task_id\": \"B\"}") ", " PLAIN(
								"c", "[]", "{\"task_id\": \"C\"}"),
							"{}"),
						  "{}") ", " PLAIN("d", "[]", "{\"task_id\": \"D\"}"),
					PLAIN("body", "[]", "{}"), "{\"task_id\": \"G\"}") "]",
		NULL, NULL);
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

static const struct span both[] = { SPAN("[1, \"m0\", \"SUCCESS\", [7]]"),
	SPAN("[1, \"id-1\", \"SUCCESS\", 5]") };

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
	static const struct span failed[] = {
		SPAN("[1, \"m0\", \"FAILURE\", {\"exc_type\": \"KeyError\", \"exc_message\": [\"boom\"], \"exc_module\": \"builtins\"}]"),
		SPAN("[1, \"id-1\", \"SUCCESS\", 5]")
	};
	struct task t = member_task(PLAIN("body", "[]",
		"{\"task_id\": \"C\", \"group_id\": \"OUTER\", \"group_index\": 4, \"chord\": " PLAIN("outer",
			"[]", "{}") ", "
				    "\"link_error\": [" PLAIN("e", "[]", "{}") "], \"chain\": [" PLAIN(
					    "z", "[]", "{\"task_id\": \"Z\"}") "]}"));
	struct flow f;

	(void)state;
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "5", NOW), E_OK);
	assert_int_equal(count(&f, 2, failed, 2), E_OK);
	assert_int_equal(f.n_marks, 2);
	assert_span(f.marks[0].id, "C");
	assert_span(f.marks[1].id, "Z");
	assert_span(f.marks[0].error,
		"{\"exc_type\": \"ChordError\", \"exc_message\": [\"Dependency m0 raised KeyError('boom')\"], \"exc_module\": \"celery.exceptions\"}");
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
	struct task t = task_of(NULL, NULL,
		"[" CHORD(PLAIN("a", "[]", "{\"task_id\": \"A\"}"),
			PLAIN("body", "[]", "{\"task_id\": \"C\"}"), "{\"task_id\": \"G\"}") "]");
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
	struct task t = task_of(NULL, "[" PLAIN("e", "[]", "{}") "]",
		"[" PLAIN("b", "[]",
			"{\"task_id\": \"B\", \"group_id\": \"G\", \"group_index\": 0, \"chord\": " PLAIN(
				"body", "[]", "{}") "}") "]");
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
	struct task t =
		task_of("[" CHORD("", PLAIN("body", "[]", "{\"task_id\": \"C\"}"), "{}") "]", NULL, NULL);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
