/* Canvas in the life of a request: the order of what is stored, counted, sent and closed, and what a redelivery does again. */
#include "request_fixture.h"

#include "wire/dead.h"

static const struct span members[] = { SPAN("[1, \"id-1\", \"SUCCESS\", 5]") };

static void
in_chord(struct fixture *f)
{
	f->r.task.group = SPAN("G");
	f->r.task.group_index = 0;
	f->r.task.chord = SPAN("{\"task\": \"body\", \"options\": {\"task_id\": \"C\"}}");
}

static int
todo(struct fixture *f)
{
	return find(f, EFF_FLOW)->u.todo;
}

static void
flow_done(struct fixture *f, enum flow_todo what)
{
	next(f);
	request_on_flow(&f->r, what, E_OK, "", &f->fx);
}

static void
count(struct fixture *f, int64_t due)
{
	struct chord_count c = { .is_full = due == 1, .due = due, .members = members, .n_members = 1 };

	assert_int_equal(todo(f), FLOW_COUNT);
	assert_int_equal(flow_on_counted(&f->r.flow, &c, WALL, NULL), E_OK);
	flow_done(f, FLOW_COUNT);
}

static void
last_member_stores_counts_sends_closes_and_acknowledges(void **state)
{
	struct fixture *f = *state;

	in_chord(f);
	run(f);
	succeed(f);
	assert_true(has(f, EFF_STORE));
	assert_false(has(f, EFF_FLOW));
	stored(f, E_OK);
	assert_int_equal(f->r.state, REQUEST_COUNTING);
	count(f, 1);
	assert_true(has(f, EFF_MAIL));
	assert_span(f->r.flow.steps[0].call.id, "C");
	next(f);
	request_on_published(&f->r, &f->fx);
	assert_int_equal(f->r.state, REQUEST_CLOSING);
	assert_int_equal(todo(f), FLOW_CLOSE);
	assert_false(has(f, EFF_ACK));
	flow_done(f, FLOW_CLOSE);
	assert_true(has(f, EFF_ACK));
}

static void
other_members_count_and_are_done(void **state)
{
	struct fixture *f = *state;

	in_chord(f);
	run(f);
	succeed(f);
	stored(f, E_OK);
	count(f, 2);
	assert_true(has(f, EFF_ACK));
}

static void
member_whose_result_is_ignored_counts_all_the_same(void **state)
{
	struct fixture *f = *state;

	in_chord(f);
	f->r.task.ignore_result = true;
	run(f);
	succeed(f);
	assert_false(has(f, EFF_STORE));
	assert_int_equal(todo(f), FLOW_COUNT);
}

static void
revoked_and_expired_members_count(void **state)
{
	struct fixture *f = *state;

	in_chord(f);
	f->r.task.expires = WALL - 1;
	arrive(f, true);
	stored(f, E_OK);
	assert_int_equal(todo(f), FLOW_COUNT);
	assert_non_null(strstr(f->r.flow.parts[0].member.ptr, "\"REVOKED\""));
}

static void
member_of_an_unknown_name_fails_for_its_chord(void **state)
{
	struct fixture *f = *state;

	in_chord(f);
	arrive(f, false);
	stored(f, E_OK);
	assert_int_equal(todo(f), FLOW_COUNT);
	count(f, 2);
	assert_true(has(f, EFF_MAIL));
	assert_string_equal(f->r.mail.reason, "unknown-task");
}

static void
redelivered_failure_marks_the_rest_of_its_chain_again(void **state)
{
	const struct result failed = { .task_id = SPAN("id-1"),
		.state = SPAN("FAILURE"),
		.value = SPAN("{\"exc_type\": \"E\"}"),
		.traceback = SPAN("tb") };
	struct fixture *f = *state;

	f->r.task.chain = SPAN("[{\"task\": \"b\", \"options\": {\"task_id\": \"B\"}}]");
	f->r.redelivered = true;
	arrive(f, true);
	assert_true(has(f, EFF_CHECK));
	next(f);
	request_on_checked(&f->r, &failed, WALL, &f->fx);
	assert_int_equal(todo(f), FLOW_MARK);
	assert_span(f->r.flow.marks[0].id, "B");
	assert_span(f->r.flow.marks[0].error, "{\"exc_type\": \"E\"}");
	assert_span(f->r.flow.traceback, "tb");
	flow_done(f, FLOW_MARK);
	assert_true(has(f, EFF_ACK));
}

static void
redelivered_member_reports_again(void **state)
{
	struct fixture *f = *state;

	in_chord(f);
	f->r.redelivered = true;
	arrive(f, true);
	next(f);
	request_on_checked(&f->r, &stored_success, WALL, &f->fx);
	count(f, 1);
	assert_true(has(f, EFF_MAIL));
}

static void
size_is_announced_before_the_members_are_sent(void **state)
{
	struct fixture *f = *state;

	f->r.task.chain = SPAN("[{\"task\": \"celery.chord\", \"subtask_type\": \"chord\", \"kwargs\": "
			       "{\"header\": [{\"task\": \"a\"}], \"body\": {\"task\": \"b\"}}}]");
	run(f);
	succeed(f);
	stored(f, E_OK);
	assert_int_equal(todo(f), FLOW_ANNOUNCE);
	assert_false(has(f, EFF_MAIL));
	flow_done(f, FLOW_ANNOUNCE);
	assert_true(has(f, EFF_MAIL));
}

/* A chord nobody can count would never end: the members are not sent, and a person is told. */
static void
what_the_backend_refuses_is_kept_for_a_person(void **state)
{
	struct fixture *f = *state;

	size_is_announced_before_the_members_are_sent(state);
	request_release(&f->r);
	set_up(state);
	f->r.task.chain = SPAN("[{\"task\": \"celery.chord\", \"subtask_type\": \"chord\", \"kwargs\": "
			       "{\"header\": [{\"task\": \"a\"}], \"body\": {\"task\": \"b\"}}}]");
	run(f);
	succeed(f);
	stored(f, E_OK);
	next(f);
	request_on_flow(&f->r, FLOW_ANNOUNCE, E_REFUSED, "WRONGTYPE", &f->fx);
	assert_true(has(f, EFF_MAIL));
	assert_string_equal(f->r.mail.reason, "canvas");
	assert_non_null(strstr(f->r.mail.error.text, "WRONGTYPE"));
	assert_int_equal(f->r.flow.count, 0);
}

static void
without_counters_a_chord_is_refused(void **state)
{
	struct fixture *f = *state;

	f->rules.has_chords = false;
	in_chord(f);
	arrive(f, true);
	assert_false(has(f, EFF_RUN));
	assert_non_null(strstr(f->r.mail.error.text, "Redis"));
}

static void
builtin_without_a_run_ends_at_once(void **state)
{
	struct fixture *f = *state;
	struct span runs;

	f->r.task.name = SPAN("celery.accumulate");
	assert_true(request_is_builtin(&f->r, &runs));
	assert_null(runs.ptr);
	arrive(f, true);
	assert_false(has(f, EFF_RUN));
	assert_span(find(f, EFF_STORE)->u.result.value, "[2, 3]");
}

static void
series_is_one_task_of_many_runs(void **state)
{
	struct run_frame done = {
		.type = RUN_DONE, .id = SPAN("id-1"), .outcome = RUN_RESULT, .result = SPAN("7")
	};
	struct fixture *f = *state;
	struct span runs;

	f->r.task.name = SPAN("celery.map");
	f->r.task.kwargs = SPAN("{\"task\": {\"task\": \"add\"}, \"it\": [1, 2]}");
	assert_true(request_is_builtin(&f->r, &runs));
	assert_span(runs, "add");
	run(f);
	assert_true(request_goes_on(&f->r, &done));
	assert_span(buf_span(&f->r.series.args), "[2]");
	assert_false(request_goes_on(&f->r, &done));
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_span(find(f, EFF_STORE)->u.result.value, "[7, 7]");
}

static void
started_chord_is_sent_once_the_result_is_stored(void **state)
{
	struct fixture *f = *state;
	struct span runs;

	f->r.task.name = SPAN("celery.chord");
	f->r.task.args = SPAN("[]");
	f->r.task.kwargs = SPAN("{\"header\": [{\"task\": \"a\"}, {\"task\": \"b\"}], \"body\": {\"task\": "
				"\"c\", \"options\": {\"task_id\": \"C\"}}}");
	assert_true(request_is_builtin(&f->r, &runs));
	arrive(f, true);
	assert_true(span_starts(find(f, EFF_STORE)->u.result.value, "[[\"C\", "));
	assert_int_equal(jscan_count(find(f, EFF_STORE)->u.result.children), 1);
	stored(f, E_OK);
	assert_int_equal(todo(f), FLOW_ANNOUNCE);
	flow_done(f, FLOW_ANNOUNCE);
	assert_int_equal(f->r.flow.count, 2);
}

/* Links and next steps have it whatever they say; a body that says something keeps that, which is looked up where it is sent. */
static void
what_follows_inherits_the_priority_when_the_rule_says_so(void **state)
{
	static const struct task_rule rules[] = { { .pattern = "add", .inherit_priority = true } };
	struct fixture *f = *state;
	const struct flow_step *steps;

	f->rules.tasks.rules = rules;
	f->rules.tasks.count = 1;
	f->r.task.priority_plus1 = 8;
	f->r.task.callbacks = SPAN("[{\"task\": \"link\", \"options\": {\"priority\": 1}}]");
	f->r.task.chain = SPAN(
		"[{\"task\": \"celery.chord\", \"subtask_type\": \"chord\", \"kwargs\": {\"header\": [{\"task\": \"m\"}], "
		"\"body\": {\"task\": \"b\", \"options\": {\"task_id\": \"B\", \"priority\": 2}}}}]");
	in_chord(f);
	run(f);
	succeed(f);
	stored(f, E_OK);
	count(f, 1);
	steps = f->r.flow.steps;
	assert_int_equal(f->r.flow.count, 3);
	assert_int_equal(steps[0].call.priority_plus1, 8);
	assert_int_equal(steps[1].call.priority_plus1, 8);
	assert_span(jscan_member(jscan_member(steps[1].call.chord, "options"), "priority"), "7");
	/* Once, beside task_id, chain, root_id and parent_id. */
	assert_int_equal(jscan_count(jscan_member(steps[1].call.chord, "options")), 5);
	assert_true(steps[2].call.priority_plus1 == 0 && steps[2].inherited_plus1 == 8);
}

/* Nothing is lost and nothing half sent: the message stays with a person, and the chord open for whoever goes on with it. */
static void
what_cannot_be_routed_becomes_a_dead_letter(void **state)
{
	struct fixture *f = *state;

	in_chord(f);
	run(f);
	succeed(f);
	stored(f, E_OK);
	count(f, 1);
	assert_true(has(f, EFF_MAIL));
	assert_int_equal(f->r.mail.kind, MAIL_NONE);
	request_on_unsendable(&f->r, DEAD_REASON_ROUTE, "the routers raised");
	assert_int_equal(f->r.mail.kind, MAIL_DEAD);
	assert_string_equal(f->r.mail.reason, "route");
	assert_string_equal(f->r.mail.error.text, "the routers raised");
	assert_int_equal(f->r.flow.count, 0);
	next(f);
	request_on_published(&f->r, &f->fx);
	assert_false(has(f, EFF_FLOW));
	assert_true(has(f, EFF_ACK));
}

static void
what_is_a_dead_letter_anyway_keeps_its_reason(void **state)
{
	struct fixture *f = *state;

	f->r.task.callbacks = SPAN("[{\"task\": \"next\"}]");
	run(f);
	succeed(f);
	stored(f, E_OK);
	f->r.mail = (struct mail){ .kind = MAIL_DEAD, .reason = "failed" };
	request_on_unsendable(&f->r, DEAD_REASON_ROUTE, "the routers raised");
	assert_string_equal(f->r.mail.reason, "failed");
	assert_int_equal(f->r.flow.count, 0);
	/* A retry that cannot be sent is no end: without the letter nothing would be left of the task. */
	f->r.mail = (struct mail){ .kind = MAIL_RETRY };
	request_on_unsendable(&f->r, "retry", "too big");
	assert_int_equal(f->r.mail.kind, MAIL_DEAD);
	assert_string_equal(f->r.mail.reason, "retry");
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(last_member_stores_counts_sends_closes_and_acknowledges),
		TEST(other_members_count_and_are_done),
		TEST(member_whose_result_is_ignored_counts_all_the_same),
		TEST(revoked_and_expired_members_count),
		TEST(member_of_an_unknown_name_fails_for_its_chord),
		TEST(redelivered_failure_marks_the_rest_of_its_chain_again),
		TEST(redelivered_member_reports_again),
		TEST(size_is_announced_before_the_members_are_sent),
		TEST(what_the_backend_refuses_is_kept_for_a_person),
		TEST(without_counters_a_chord_is_refused),
		TEST(builtin_without_a_run_ends_at_once),
		TEST(series_is_one_task_of_many_runs),
		TEST(started_chord_is_sent_once_the_result_is_stored),
		TEST(what_cannot_be_routed_becomes_a_dead_letter),
		TEST(what_is_a_dead_letter_anyway_keeps_its_reason),
		TEST(what_follows_inherits_the_priority_when_the_rule_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
