/* When STARTED is stored. */
#include "unit/core/request_fixture.h"

static void
started_is_stored_when_the_task_still_runs(void **state)
{
	struct fixture *f = *state;

	run(f);
	next(f);
	request_on_started_due(&f->r, &f->fx);
	assert_span(find(f, EFF_STATE)->u.result.state, "STARTED");
	assert_span(find(f, EFF_STATE)->u.result.value, "{\"pid\": 42, \"hostname\": \"w1@host\"}");
	succeed(f);
	next(f);
	request_on_started_due(&f->r, &f->fx);
	assert_int_equal(f->fx.count, 0);
}

static void
started_does_not_hide_a_state_of_the_task(void **state)
{
	struct fixture *f = *state;
	struct run_frame progress = { .type = RUN_STATE, .state = SPAN("PROGRESS"), .meta = SPAN("1") };

	run(f);
	next(f);
	request_on_frame(&f->r, &progress, &now, &f->fx);
	assert_span(find(f, EFF_STATE)->u.result.state, "PROGRESS");
	next(f);
	request_on_started_due(&f->r, &f->fx);
	assert_int_equal(f->fx.count, 0);
}

static void
started_is_not_stored_of_a_task_that_does_not_want_it(void **state)
{
	static const struct task_rule rules[] = { { .pattern = "add" } };
	struct fixture *f = *state;

	f->rules.tasks.rules = rules;
	f->rules.tasks.count = 1;
	run(f);
	assert_false(has(f, EFF_ARM_STARTED));
	next(f);
	request_on_started_due(&f->r, &f->fx);
	assert_int_equal(f->fx.count, 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(started_is_stored_when_the_task_still_runs),
		T(started_does_not_hide_a_state_of_the_task),
		T(started_is_not_stored_of_a_task_that_does_not_want_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
