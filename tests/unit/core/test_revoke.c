#include "core/revoke.h"

#include "base/alloc.h"

#include "lib/t.h"
#include "lib/torture.h"

#define HOUR INT64_C(3600000000)

static struct revoked set;

static int
set_up(void **state UNUSED)
{
	revoked_init(&set, 3, HOUR);
	return 0;
}

static int
tear_down(void **state UNUSED)
{
	revoked_release(&set);
	return 0;
}

static void
add(const char *text, us_t when, us_t now)
{
	assert_ok(revoked_add(&set, span_of(text), when, now, false));
}

static bool
has(const char *text, us_t now)
{
	return revoked_has(&set, span_of(text), now);
}

static void
knows_what_was_revoked(void **state UNUSED)
{
	assert_false(has("a", 0));
	add("a", 10, 10);
	assert_true(has("a", 10));
	add("a", 11, 11);
	assert_false(has("", 10) || has("A", 10) || has("aa", 10));
	assert_int_equal(revoked_count(&set), 1);
}

static void
the_oldest_give_way(void **state UNUSED)
{
	add("a", 1, 1);
	add("b", 2, 2);
	add("c", 3, 3);
	add("a", 4, 4);
	add("d", 5, 5);
	assert_true(has("a", 5) && has("c", 5) && has("d", 5));
	assert_false(has("b", 5));
}

static void
old_ones_count_no_more(void **state UNUSED)
{
	add("a", 0, 0);
	assert_true(has("a", HOUR));
	assert_false(has("a", HOUR + 1));
	add("b", HOUR + 1, HOUR + 1);
	assert_int_equal(revoked_count(&set), 1);
	/* Told by a peer, when it was over already. */
	add("c", 5, 2 * HOUR);
	assert_false(has("c", 2 * HOUR));
	/* An older time does not make it older. */
	add("b", 3, 2 * HOUR);
	assert_true(has("b", 2 * HOUR));
}

static void
a_walk_sees_what_counts(void **state UNUSED)
{
	struct revoked_walk w = { .at = NULL };

	assert_false(revoked_next(&set, 0, &w));
	add("a", HOUR, HOUR);
	add("old", 0, HOUR);
	add("b", HOUR + 5, HOUR);
	w = (struct revoked_walk){ .at = NULL };
	assert_true(revoked_next(&set, HOUR + 1, &w));
	assert_span(w.text, "a");
	assert_false(*w.saved);
	*w.saved = true;
	assert_true(revoked_next(&set, HOUR + 1, &w));
	assert_span(w.text, "b");
	assert_true(w.when == HOUR + 5);
	assert_false(revoked_next(&set, HOUR + 1, &w));
	w = (struct revoked_walk){ .at = NULL };
	assert_true(revoked_next(&set, HOUR + 1, &w) && *w.saved);
	/* Revoked again: to be saved again. */
	add("a", HOUR + 9, HOUR + 9);
	w = (struct revoked_walk){ .at = NULL };
	assert_true(revoked_next(&set, HOUR + 9, &w) && revoked_next(&set, HOUR + 9, &w));
	assert_span(w.text, "a");
	assert_false(*w.saved);
	assert_ok(revoked_add(&set, SPAN("c"), HOUR + 10, HOUR + 10, true));
	assert_true(revoked_next(&set, HOUR + 10, &w) && *w.saved);
}

static void
stamps_of_a_task(void **state UNUSED)
{
	struct val list[] = { val_text("x"), val_void(), val_text("m2") };
	struct pair pairs[] = {
		{ SPAN("one"), val_text("m1") },
		{ SPAN("number"), val_int(7) },
		{ SPAN("many"), { .type = VAL_ARRAY, .u.array = { list, ARRAY_LEN(list) } } },
	};
	struct table stamps = { pairs, ARRAY_LEN(pairs), ARRAY_LEN(pairs) };
	struct pair header = { SPAN("stamps"), { .type = VAL_TABLE, .u.table = &stamps } };
	struct table headers = { &header, 1, 1 };
	static const struct {
		const char *text;
		bool hit;
	} rows[] = { { "one=m1", true }, { "many=m2", true }, { "number=7", true }, { "one=m2", false },
		{ "m1", false }, { "many=", false } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		revoked_release(&set);
		revoked_init(&set, 3, HOUR);
		add(rows[i].text, 0, 0);
		assert_int_equal(revoked_has_stamp(&set, &headers, 0), rows[i].hit);
	}
	assert_false(revoked_has_stamp(&set, NULL, 0));
	header.value = val_text("no table");
	assert_false(revoked_has_stamp(&set, &headers, 0));
}

static enum err
fill(void *arg UNUSED)
{
	struct revoked r;
	enum err e;

	revoked_init(&r, 2, HOUR);
	e = revoked_add(&r, SPAN("a"), 0, 0, false);
	if (e == E_OK)
		e = revoked_add(&r, SPAN("b"), 0, 0, false);
	assert_true(e == E_OK || e == E_NOMEM);
	assert_true(revoked_count(&r) == list_count(&r.order));
	revoked_release(&r);
	return e;
}

static void
no_memory_is_an_error(void **state UNUSED)
{
	torture(fill, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(knows_what_was_revoked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_oldest_give_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(old_ones_count_no_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_walk_sees_what_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stamps_of_a_task, set_up, tear_down),
		cmocka_unit_test(no_memory_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
