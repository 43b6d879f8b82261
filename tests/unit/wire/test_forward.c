#include "lib/torture.h"

#include "wire/forward.h"

#define NOW INT64_C(1795234230000000)

static void
make_task(struct msg *m, struct task *t, int64_t retries)
{
	struct task_call call = { .id = SPAN("id-1"),
		.name = SPAN("add"),
		.args = SPAN("[2, 3]"),
		.kwargs = SPAN("{}"),
		.retries = retries };
	struct errtext why;

	msg_init(m, 0);
	assert_int_equal(task_encode(&call, m, &why), E_OK);
	assert_int_equal(table_set(&m->headers, &m->arena, SPAN("x-warren-lost"), val_int(2)), E_OK);
	assert_int_equal(task_decode(t, m, &task_limits_default, &why), TASK_FINE);
}

static struct forward_counts
counts_of(const struct msg *m)
{
	struct forward_counts c = { .lost = -7, .requeued = -7 };

	forward_counts_read(&c, &m->headers);
	return c;
}

static void
copy_tells_what_the_message_has_been_through(void **state)
{
	struct forward f = {
		.exchange = SPAN(""), .routing_key = SPAN("q"), .been = { .lost = 3, .requeued = 1 }
	};
	struct msg m, to;
	struct task t;

	(void)state;
	make_task(&m, &t, 4);
	assert_int_equal(counts_of(&m).lost, 2);
	assert_int_equal(counts_of(&m).requeued, 0);
	msg_init(&to, 0);
	assert_int_equal(forward_encode(&to, &m, &t, &f), E_OK);
	assert_int_equal(counts_of(&to).lost, 3);
	assert_int_equal(counts_of(&to).requeued, 1);
	assert_true(span_eq(to.body, m.body));
	assert_true(span_is(to.routing_key, "q"));
	msg_release(&to);
	msg_release(&m);
}

static void
retry_is_the_next_attempt_and_has_been_through_nothing(void **state)
{
	struct forward f = { .exchange = SPAN(""), .routing_key = SPAN("q"), .is_retry = true, .eta = NOW };
	struct errtext why;
	struct msg m, to;
	struct task t, next;

	(void)state;
	make_task(&m, &t, 4);
	msg_init(&to, 0);
	assert_int_equal(forward_encode(&to, &m, &t, &f), E_OK);
	assert_int_equal(counts_of(&to).lost, 0);
	assert_int_equal(task_decode(&next, &to, &task_limits_default, &why), TASK_FINE);
	assert_int_equal(next.retries, 5);
	assert_int_equal(next.eta, NOW);
	assert_true(span_is(next.id, "id-1"));
	assert_true(span_is(next.parent_id, "id-1"));
	msg_release(&to);
	msg_release(&m);
}

static void
nonsense_in_a_counter_counts_as_none(void **state)
{
	struct msg m;
	struct task t;

	(void)state;
	make_task(&m, &t, 0);
	assert_int_equal(table_set(&m.headers, &m.arena, SPAN("x-warren-lost"), val_int(-5)), E_OK);
	assert_int_equal(
		table_set(&m.headers, &m.arena, SPAN("x-warren-requeued"), val_string(SPAN("many"))), E_OK);
	assert_int_equal(counts_of(&m).lost, 0);
	assert_int_equal(counts_of(&m).requeued, 0);
	assert_int_equal(table_set(&m.headers, &m.arena, SPAN("x-warren-held"), val_int(INT64_MAX)), E_OK);
	assert_int_equal(counts_of(&m).held, 0);
	msg_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copy_tells_what_the_message_has_been_through),
		cmocka_unit_test(retry_is_the_next_attempt_and_has_been_through_nothing),
		cmocka_unit_test(nonsense_in_a_counter_counts_as_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
