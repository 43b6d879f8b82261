#include "lib/torture.h"

#include "wire/forward.h"
#include "wire/outbox.h"
#include "wire/task.h"

static const char result[] = "{\"status\": \"SUCCESS\", \"result\": 5}";

static void
make_task(struct msg *m)
{
	struct task_call call = { .id = SPAN("id-1"),
		.name = SPAN("add"),
		.args = SPAN("[2, 3]"),
		.kwargs = SPAN("{}"),
		.retries = 2 };
	struct errtext why;

	msg_init(m, 0);
	assert_int_equal(task_encode(&call, m, &why), E_OK);
	m->exchange = SPAN("media");
	m->routing_key = SPAN("media.a");
	m->expiration = SPAN("60000");
	m->delivery_mode = 1;
	assert_int_equal(table_set(&m->headers, &m->arena, SPAN("x-warren-held"), val_int(3)), E_OK);
}

static void
result_alone(void **state)
{
	struct outbox_letter l = { .id = SPAN("id-1"), .result = SPAN(result) }, back;
	struct errtext why;
	struct msg m;

	(void)state;
	msg_init(&m, 0);
	assert_int_equal(outbox_encode(&m, &l, NULL), E_OK);
	assert_int_equal(m.delivery_mode, 2);
	assert_int_equal(outbox_decode(&back, &m, &why), E_OK);
	assert_true(span_is(back.id, "id-1"));
	assert_true(span_is(back.result, result));
	assert_null(back.queue.ptr);
	msg_release(&m);
}

static void
task_that_comes_along_is_sent_as_it_was(void **state)
{
	struct outbox_letter l = { .id = SPAN("id-1"), .result = SPAN(result), .queue = SPAN("video") }, back;
	struct msg task, m, again;
	struct forward_counts been;
	struct errtext why;
	struct task t;

	(void)state;
	make_task(&task);
	msg_init(&m, 0);
	msg_init(&again, 0);
	assert_int_equal(outbox_encode(&m, &l, &task), E_OK);
	assert_int_equal(m.delivery_mode, 2);
	assert_int_equal(m.expiration.len, 0);
	assert_int_equal(outbox_decode(&back, &m, &why), E_OK);
	assert_true(span_is(back.result, result));
	assert_true(span_is(back.queue, "video"));
	assert_int_equal(outbox_restore(&again, &m, &back), E_OK);
	assert_true(span_eq(again.body, task.body));
	assert_int_equal(again.exchange.len, 0);
	assert_true(span_is(again.routing_key, "video"));
	assert_null(table_get(&again.headers, "x-warren-outbox-id"));
	assert_null(table_get(&again.headers, "x-warren-outbox-bytes"));
	assert_null(table_get(&again.headers, "x-warren-outbox-queue"));
	forward_counts_read(&been, &again.headers);
	assert_int_equal(been.held, 4);
	assert_int_equal(task_decode(&t, &again, &task_limits_default, &why), TASK_FINE);
	assert_int_equal(t.retries, 2);
	msg_release(&task);
	msg_release(&m);
	msg_release(&again);
}

static void
strangers_are_told_apart(void **state)
{
	struct outbox_letter l = { .id = SPAN("id-1"), .result = SPAN(result) }, back;
	struct errtext why;
	struct msg m;

	(void)state;
	make_task(&m);
	assert_int_equal(outbox_decode(&back, &m, &why), E_FORMAT);
	msg_release(&m);
	msg_init(&m, 0);
	assert_int_equal(outbox_encode(&m, &l, NULL), E_OK);
	m.body.len -= 1;
	assert_int_equal(outbox_decode(&back, &m, &why), E_FORMAT);
	assert_int_equal(table_set(&m.headers, &m.arena, SPAN("x-warren-outbox-bytes"), val_int(-1)), E_OK);
	assert_int_equal(outbox_decode(&back, &m, &why), E_FORMAT);
	msg_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(result_alone),
		cmocka_unit_test(task_that_comes_along_is_sent_as_it_was),
		cmocka_unit_test(strangers_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
