/* Results that go to whoever sent the task. */
#include "unit/core/request_fixture.h"

static void
without_an_address_there_is_no_result(void **state)
{
	struct fixture *f = *state;

	f->rules.only_replies = true;
	run(f);
	assert_false(has(f, EFF_ARM_STARTED));
	succeed(f);
	assert_false(has(f, EFF_STORE));
	assert_true(has(f, EFF_ACK));
}

static void
a_child_that_insists_changes_nothing_about_that(void **state)
{
	struct fixture *f = *state;
	struct run_frame done = {
		.type = RUN_DONE, .outcome = RUN_RESULT, .result = SPAN("5"), .must_store = true
	};

	f->rules.only_replies = true;
	run(f);
	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
	assert_false(has(f, EFF_STORE));
	assert_true(has(f, EFF_ACK));
}

static void
a_result_has_the_address_of_its_task(void **state)
{
	struct fixture *f = *state;
	struct run_frame progress = { .type = RUN_STATE, .state = SPAN("PROGRESS"), .meta = SPAN("1") };
	const struct result *r;

	f->rules.only_replies = true;
	f->r.task.reply_to = SPAN("Q1");
	f->r.task.correlation_id = SPAN("my-own");
	run(f);
	assert_true(has(f, EFF_ARM_STARTED));
	next(f);
	request_on_frame(&f->r, &progress, &now, &f->fx);
	r = &find(f, EFF_STATE)->u.result;
	assert_span(r->reply_to, "Q1");
	assert_span(r->correlation_id, "my-own");
	succeed(f);
	r = &find(f, EFF_STORE)->u.result;
	assert_span(r->reply_to, "Q1");
	assert_span(r->correlation_id, "my-own");
	assert_false(has(f, EFF_ACK));
	stored(f, E_OK);
	assert_true(has(f, EFF_ACK));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(without_an_address_there_is_no_result),
		T(a_child_that_insists_changes_nothing_about_that),
		T(a_result_has_the_address_of_its_task),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
