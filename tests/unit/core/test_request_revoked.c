/* Tasks that are revoked or terminated at each point of their life. */
#include "unit/core/request_fixture.h"

static void
assert_revoked(struct fixture *f, const char *word)
{
	char object[200];

	snprintf(object, sizeof(object),
		"{\"exc_type\": \"TaskRevokedError\", \"exc_message\": [\"%s\"], \"exc_module\": \"celery.exceptions\"}",
		word);
	assert_span(find(f, EFF_STORE)->u.result.state, "REVOKED");
	assert_span(find(f, EFF_STORE)->u.result.value, object);
	stored(f, E_OK);
	assert_true(has(f, EFF_ACK));
	assert_int_equal(f->r.state, REQUEST_SETTLED);
}

/* The report of the revocation, which is the last one. */
static const struct report *
revoked_report(const struct fixture *f)
{
	const struct report *rep = &find(f, EFF_REPORT)->u.report;

	for (size_t i = 0; i < f->fx.count; i++)
		if (f->fx.items[i].type == EFF_REPORT)
			rep = &f->fx.items[i].u.report;
	assert_int_equal(rep->kind, REPORT_REVOKED);
	return rep;
}

static void
revoked_before_it_arrived(void **state)
{
	struct request_arrival in = {
		.fault = TASK_FINE, .why = "", .is_known = true, .is_revoked = true, .wall = WALL
	};
	struct fixture *f = *state;

	f->r.redelivered = true;
	request_on_received(&f->r, &in, &f->fx);
	assert_false(has(f, EFF_RUN) || has(f, EFF_CHECK));
	assert_span(revoked_report(f)->text, "revoked");
	assert_int_equal(revoked_report(f)->signum, 0);
	assert_revoked(f, "revoked");
}

static void
revoked_while_it_waits(void **state)
{
	struct fixture *f = *state;

	arrive(f, true);
	next(f);
	request_on_revoked(&f->r, WALL, &f->fx);
	assert_revoked(f, "revoked");
}

static void
revoked_while_it_is_held(void **state)
{
	struct fixture *f = *state;

	f->r.task.eta = WALL + 500000;
	arrive(f, true);
	assert_int_equal(f->r.state, REQUEST_HELD);
	next(f);
	request_on_terminated(&f->r, 15, &now, &f->fx);
	assert_false(has(f, EFF_KILL));
	assert_revoked(f, "revoked");
}

static void
revoked_while_the_backend_is_asked(void **state)
{
	struct fixture *f = *state;

	f->r.redelivered = true;
	arrive(f, true);
	assert_int_equal(f->r.state, REQUEST_CHECKING);
	next(f);
	request_on_revoked(&f->r, WALL, &f->fx);
	assert_int_equal(f->fx.count, 0);
	request_on_checked(&f->r, NULL, WALL, &f->fx);
	assert_revoked(f, "revoked");
}

static void
revoked_too_late_to_matter(void **state)
{
	struct fixture *f = *state;

	f->r.redelivered = true;
	arrive(f, true);
	next(f);
	request_on_revoked(&f->r, WALL, &f->fx);
	request_on_checked(&f->r, &stored_success, WALL, &f->fx);
	assert_true(has(f, EFF_ACK));
	assert_false(has(f, EFF_STORE));
}

static void
what_runs_goes_on_unless_it_is_to_be_terminated(void **state)
{
	struct fixture *f = *state;

	run(f);
	next(f);
	request_on_revoked(&f->r, WALL, &f->fx);
	assert_int_equal(f->fx.count, 0);
	request_on_terminated(&f->r, 15, &now, &f->fx);
	assert_int_equal(find(f, EFF_KILL)->u.kill.signum, 15);
	assert_span(revoked_report(f)->text, "terminated");
	assert_int_equal(revoked_report(f)->signum, 15);
	assert_revoked(f, "terminated");
}

static void
what_has_ended_is_not_terminated(void **state)
{
	struct fixture *f = *state;

	run(f);
	succeed(f);
	next(f);
	request_on_terminated(&f->r, 9, &now, &f->fx);
	assert_int_equal(f->fx.count, 0);
	stored(f, E_OK);
	assert_true(has(f, EFF_ACK));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(revoked_before_it_arrived),
		T(revoked_while_it_waits),
		T(revoked_while_it_is_held),
		T(revoked_while_the_backend_is_asked),
		T(revoked_too_late_to_matter),
		T(what_runs_goes_on_unless_it_is_to_be_terminated),
		T(what_has_ended_is_not_terminated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
