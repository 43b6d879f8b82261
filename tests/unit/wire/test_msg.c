#include "vectors.h"

static struct table
small_table(struct arena *a)
{
	struct table t = { NULL, 0, 0 };

	assert_int_equal(table_set(&t, a, SPAN("a"), val_int(1)), E_OK);
	assert_int_equal(table_set(&t, a, SPAN("b"), val_text("two")), E_OK);
	assert_int_equal(table_set(&t, a, SPAN("c"), val_void()), E_OK);
	return t;
}

static void
table_finds_sets_and_deletes(void **state UNUSED)
{
	struct arena a;
	struct table t;
	int64_t i = 0;

	arena_init(&a, 0);
	t = small_table(&a);
	assert_true(table_get_int(&t, "a", &i));
	assert_int_equal(i, 1);
	assert_false(table_get_int(&t, "b", &i));
	assert_false(table_get_int(&t, "nope", &i));
	assert_span(table_get_string(&t, "b"), "two");
	assert_null(table_get_string(&t, "a").ptr);
	assert_null(table_get_string(&t, "c").ptr);
	assert_null(table_get(&t, "A"));
	assert_int_equal(table_get(&t, "c")->type, VAL_VOID);
	assert_int_equal(table_set(&t, &a, SPAN("a"), val_bool(true)), E_OK);
	assert_int_equal(t.count, 3);
	assert_int_equal(table_get(&t, "a")->type, VAL_BOOL);
	table_del(&t, "b");
	assert_int_equal(t.count, 2);
	assert_span(t.pairs[1].key, "c");
	table_del(&t, "b");
	assert_int_equal(t.count, 2);
	arena_release(&a);
}

static void
the_last_of_equal_keys_wins(void **state UNUSED)
{
	struct table t = { NULL, 0, 0 };
	struct arena a;
	int64_t i = 0;

	arena_init(&a, 0);
	assert_int_equal(table_add(&t, &a, SPAN("k"), val_int(1)), E_OK);
	assert_int_equal(table_add(&t, &a, SPAN("k"), val_int(2)), E_OK);
	assert_true(table_get_int(&t, "k", &i));
	assert_int_equal(i, 2);
	table_del(&t, "k");
	assert_int_equal(t.count, 0);
	arena_release(&a);
}

static void
absent_text_is_void(void **state UNUSED)
{
	assert_int_equal(val_string(SPAN_NONE).type, VAL_VOID);
	assert_int_equal(val_text(NULL).type, VAL_VOID);
	assert_int_equal(val_text("").type, VAL_STRING);
}

static void
fill(struct msg *m)
{
	struct val items[2] = { val_text("x"), val_void() }, v;
	struct table inner = { NULL, 0, 0 }, whole;
	const char *const keys[] = { "x-death", "x-first-death-queue", "x-last-death-reason", "x-deathless" };
	size_t i;

	m->exchange = SPAN("");
	m->routing_key = SPAN("jobs");
	m->content_type = SPAN("application/json");
	m->correlation_id = SPAN("id");
	m->delivery_mode = 2;
	m->priority = 7;
	m->timestamp = 123;
	m->body = SPAN("[[], {}, {}]");
	m->has_headers = true;
	v = (struct val){ .type = VAL_ARRAY, .u.array = { items, 2 } };
	assert_int_equal(table_set(&inner, &m->arena, SPAN("list"), v), E_OK);
	v = (struct val){ .type = VAL_TABLE, .u.table = &inner };
	assert_int_equal(table_set(&m->headers, &m->arena, SPAN("table"), v), E_OK);
	for (i = 0; i < ARRAY_LEN(keys); i++)
		assert_int_equal(
			table_set(&m->headers, &m->arena, span_of(keys[i]), val_int((int64_t)i)), E_OK);
	/* The array and the inner table are on this stack: a deep copy is the only way to keep them. */
	assert_int_equal(table_copy(&whole, &m->headers, &m->arena), E_OK);
	m->headers = whole;
}

static void
copy_shares_nothing(void **state UNUSED)
{
	struct msg from, to;
	const struct val *v;

	msg_init(&from, 0);
	msg_init(&to, 0);
	fill(&from);
	assert_int_equal(msg_copy(&to, &from), E_OK);
	assert_ptr_not_equal(to.body.ptr, from.body.ptr);
	msg_release(&from);
	assert_span(to.exchange, "");
	assert_span(to.routing_key, "jobs");
	assert_span(to.content_type, "application/json");
	assert_null(to.content_encoding.ptr);
	assert_span(to.body, "[[], {}, {}]");
	assert_int_equal(to.delivery_mode, 2);
	assert_int_equal(to.priority, 7);
	assert_int_equal(to.timestamp, 123);
	v = table_get(&to.headers, "table");
	assert_int_equal(v->type, VAL_TABLE);
	v = table_get(v->u.table, "list");
	assert_int_equal(v->type, VAL_ARRAY);
	assert_int_equal(v->u.array.count, 2);
	assert_span(v->u.array.items[0].u.string, "x");
	assert_int_equal(v->u.array.items[1].type, VAL_VOID);
	msg_release(&to);
}

static void
a_copy_loses_what_was_about_the_first_and_nothing_else(void **state UNUSED)
{
	struct msg m;

	msg_init(&m, 0);
	fill(&m);
	m.user_id = SPAN("alice");
	assert_int_equal(table_set(&m.headers, &m.arena, SPAN("CC"), val_void()), E_OK);
	assert_int_equal(table_set(&m.headers, &m.arena, SPAN("BCC"), val_void()), E_OK);
	assert_int_equal(table_set(&m.headers, &m.arena, SPAN("x-delivery-count"), val_int(21)), E_OK);
	msg_make_ours(&m);
	assert_null(m.user_id.ptr);
	assert_int_equal(m.headers.count, 2);
	assert_non_null(table_get(&m.headers, "table"));
	assert_non_null(table_get(&m.headers, "x-deathless"));
	msg_release(&m);
}

static void
copying_endless_nesting_is_refused(void **state UNUSED)
{
	struct table chain[200] = { 0 }, to;
	struct arena a;
	size_t i;

	arena_init(&a, 0);
	for (i = 0; i + 1 < ARRAY_LEN(chain); i++)
		assert_int_equal(table_set(&chain[i], &a, SPAN("t"),
					 (struct val){ .type = VAL_TABLE, .u.table = &chain[i + 1] }),
			E_OK);
	assert_int_equal(table_copy(&to, &chain[0], &a), E_TOOBIG);
	assert_int_equal(table_copy(&to, &chain[100], &a), E_OK);
	arena_release(&a);
}

static void
a_message_never_outgrows_its_arena(void **state UNUSED)
{
	struct msg from, to;

	msg_init(&from, 0);
	fill(&from);
	msg_init(&to, 64);
	assert_int_equal(msg_copy(&to, &from), E_NOMEM);
	msg_release(&to);
	msg_release(&from);
}

static void
copy_survives_every_failed_allocation(void **state UNUSED)
{
	struct msg from, to;
	uint64_t nth;
	enum err e = E_NOMEM;

	msg_init(&from, 0);
	fill(&from);
	for (nth = 1; e == E_NOMEM; nth++) {
		msg_init(&to, 0);
		alloc_fail_after(nth);
		e = msg_copy(&to, &from);
		alloc_fail_after(0);
		msg_release(&to);
	}
	assert_int_equal(e, E_OK);
	assert_true(nth > 2);
	msg_release(&from);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_finds_sets_and_deletes),
		cmocka_unit_test(the_last_of_equal_keys_wins),
		cmocka_unit_test(absent_text_is_void),
		cmocka_unit_test(copy_shares_nothing),
		cmocka_unit_test(a_copy_loses_what_was_about_the_first_and_nothing_else),
		cmocka_unit_test(copying_endless_nesting_is_refused),
		cmocka_unit_test(a_message_never_outgrows_its_arena),
		cmocka_unit_test(copy_survives_every_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
