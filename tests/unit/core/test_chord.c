/* Joining a chord: who is there, who is there twice, and what the body gets. */
#include "lib/torture.h"

#include "core/chord.h"

static struct chord_verdict v;
static struct arena a;

static void
join(int64_t due, const char *saved, const struct span *members, size_t n)
{
	struct chord_count c = { .is_full = (int64_t)n >= due,
		.due = due,
		.saved = span_of(saved),
		.members = members,
		.n_members = n };

	assert_ok(chord_join(&v, &c, &a));
}
#define JOIN(due, saved, ...) \
	join(due, saved, (const struct span[]){ __VA_ARGS__ }, \
		sizeof((const struct span[]){ __VA_ARGS__ }) / sizeof(struct span))

static int
tear_down(void **state)
{
	(void)state;
	arena_release(&a);
	return 0;
}

static void
results_stand_in_the_order_of_their_places(void **state)
{
	(void)state;
	JOIN(2, NULL, SPAN("[1, \"b\", \"SUCCESS\", {\"k\": NaN}]"), SPAN("[1, \"a\", \"SUCCESS\", \"x\"]"));
	assert_int_equal(v.state, CHORD_READY);
	assert_span(v.results, "[{\"k\": NaN}, \"x\"]");
}

static void
member_counts_once_however_it_is_written(void **state)
{
	(void)state;
	JOIN(2, NULL, SPAN("[1, \"a\", \"SUCCESS\", 1]"), SPAN("[1,\"\\u0061\",\"SUCCESS\",1]"));
	assert_int_equal(v.state, CHORD_OPEN);
	/* Another has counted one member twice, and the true last one overshoots. */
	JOIN(2, NULL, SPAN("[1, \"a\", \"SUCCESS\", 1]"), SPAN("[1,\"a\",\"SUCCESS\",1]"),
		SPAN("[1, \"b\", \"SUCCESS\", 2]"));
	assert_int_equal(v.state, CHORD_READY);
	assert_span(v.results, "[1, 2]");
}

static void
success_counts_rather_than_a_failure_of_the_same_member(void **state)
{
	(void)state;
	JOIN(1, NULL, SPAN("[1, \"a\", \"FAILURE\", {\"exc_type\": \"E\"}]"),
		SPAN("[1, \"a\", \"SUCCESS\", 1]"));
	assert_int_equal(v.state, CHORD_READY);
	assert_span(v.results, "[1]");
}

static void
first_failure_is_named_as_celery_names_it(void **state)
{
	(void)state;
	JOIN(3, NULL, SPAN("[1, \"a\", \"SUCCESS\", 1]"),
		SPAN("[1, \"b\", \"REVOKED\", {\"exc_type\": \"TaskRevokedError\", \"exc_message\": "
		     "[\"terminated\"], \"exc_module\": \"celery.exceptions\"}]"),
		SPAN("[1, \"c\", \"FAILURE\", {\"exc_type\": \"ValueError\", \"exc_message\": [], "
		     "\"exc_module\": \"builtins\"}]"));
	assert_int_equal(v.state, CHORD_FAILED);
	assert_span(v.error,
		"{\"exc_type\": \"ChordError\", \"exc_message\": [\"Dependency b raised "
		"TaskRevokedError('terminated')\"], "
		"\"exc_module\": \"celery.exceptions\"}");
	assert_true(span_starts(v.cause, "{\"exc_type\": \"TaskRevokedError\""));
}

#define SAVED \
	"{\"result\": [[\"G\", null], [[[\"b\", [[\"x\", null], null]], null], [[\"H\", null], [[[\"c\", " \
	"null], null], [[\"\\u0064\", null], null]]]]]}"

static void
saved_group_gives_order_and_nesting(void **state)
{
	(void)state;
	JOIN(3, SAVED, SPAN("[1, \"c\", \"SUCCESS\", 3]"), SPAN("[1, \"b\", \"SUCCESS\", 2]"),
		SPAN("[1, \"d\", \"SUCCESS\", 4]"));
	assert_int_equal(v.state, CHORD_READY);
	assert_span(v.results, "[2, [3, 4]]");
	/* Its leaves count, not the size: a Celery worker that starts the inner group sets that to the inner group's. */
	JOIN(2, SAVED, SPAN("[1, \"b\", \"SUCCESS\", 2]"), SPAN("[1, \"c\", \"SUCCESS\", 3]"));
	assert_int_equal(v.state, CHORD_OPEN);
	JOIN(2, SAVED, SPAN("[1, \"b\", \"SUCCESS\", 2]"),
		SPAN("[1, \"c\", \"FAILURE\", {\"exc_type\": \"E\"}]"), SPAN("[1, \"d\", \"SUCCESS\", 4]"));
	assert_int_equal(v.state, CHORD_FAILED);
	assert_true(
		span_starts(v.error, "{\"exc_type\": \"ChordError\", \"exc_message\": [\"Join error: E()\"]"));
}

static void
saved_nonsense_counts_as_not_saved(void **state)
{
	(void)state;
	JOIN(1, "{", SPAN("[1, \"b\", \"SUCCESS\", 2]"));
	assert_span(v.results, "[2]");
	JOIN(1, "[]", SPAN("[1, \"b\", \"SUCCESS\", 2]"));
	assert_span(v.results, "[2]");
	JOIN(1, "{\"result\": 5}", SPAN("[1, \"b\", \"SUCCESS\", 2]"));
	assert_int_equal(v.state, CHORD_OPEN);
}

static void
what_cannot_be_joined_fails_with_the_reason(void **state)
{
	struct chord_count c = { .due = 10, .too_big = 60000000 };

	(void)state;
	assert_ok(chord_join(&v, &c, &a));
	assert_int_equal(v.state, CHORD_FAILED);
	assert_non_null(strstr(v.error.ptr, "Join error: the results of its 10 members have 60000000 bytes"));
	JOIN(1, NULL, SPAN("[1, \"b\", 2]"));
	assert_int_equal(v.state, CHORD_FAILED);
	assert_non_null(strstr(v.error.ptr, "Join error: a chord's member has 3 parts"));
}

static enum err
join_one(void *arg)
{
	static const struct span members[] = { SPAN("[1, \"b\", \"SUCCESS\", 2]"),
		SPAN("[1, \"\\u0063\", \"FAILURE\", {\"exc_type\": \"E\"}]"),
		SPAN("[1, \"d\", \"SUCCESS\", 4]") };
	struct chord_count c = {
		.is_full = true, .due = 3, .members = members, .n_members = 3, .saved = SPAN(SAVED)
	};
	enum err e;

	(void)arg;
	e = chord_join(&v, &c, &a);
	arena_release(&a);
	return e;
}

static void
without_memory_it_says_so(void **state)
{
	(void)state;
	torture(join_one, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(results_stand_in_the_order_of_their_places, tear_down),
		cmocka_unit_test_teardown(member_counts_once_however_it_is_written, tear_down),
		cmocka_unit_test_teardown(success_counts_rather_than_a_failure_of_the_same_member, tear_down),
		cmocka_unit_test_teardown(first_failure_is_named_as_celery_names_it, tear_down),
		cmocka_unit_test_teardown(saved_group_gives_order_and_nesting, tear_down),
		cmocka_unit_test_teardown(saved_nonsense_counts_as_not_saved, tear_down),
		cmocka_unit_test(without_memory_it_says_so),
		cmocka_unit_test_teardown(what_cannot_be_joined_fails_with_the_reason, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
