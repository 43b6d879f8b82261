#include "vectors.h"

#include "wire/event.h"

/* The text Celery wrote, without the member that we leave out. */
static void
without_utcoffset(struct span text, struct buf *out)
{
	static const char member[] = "\"utcoffset\": 0, ";
	const char *at = memmem(text.ptr, text.len, member, sizeof(member) - 1);

	assert_non_null(at);
	buf_reset(out);
	buf_add(out, (struct span){ text.ptr, (size_t)(at - text.ptr) });
	at += sizeof(member) - 1;
	buf_add(out, (struct span){ at, (size_t)(text.ptr + text.len - at) });
}

static void
check_vector(const char *name, struct json_object *v)
{
	struct json_object *events = vector_get(v, "events");
	struct errtext why = { "" };
	struct evt_reader r;
	struct buf got, want;
	struct evt e;
	struct msg m;
	size_t i;

	msg_init(&m, 0);
	vector_to_msg(v, &m);
	buf_init(&got, 0);
	buf_init(&want, 0);
	if (evt_begin(&r, &m, &why) != E_OK)
		fail_msg("%s: %s", name, why.text);
	for (i = 0; i < json_object_array_length(events); i++) {
		struct json_object *text = json_object_array_get_idx(events, i);

		assert_true(evt_next(&r, &e));
		assert_int_not_equal(e.type, EVENT_OTHER);
		assert_span_eq(name, e.json, span_of(json_object_get_string(text)));
		assert_span_eq(name, e.hostname, table_get_string(&m.headers, "hostname"));
		buf_reset(&got);
		evt_add(&got, &e);
		without_utcoffset(e.json, &want);
		assert_span_eq(name, buf_span(&got), buf_span(&want));
	}
	assert_false(evt_next(&r, &e));
	buf_release(&got);
	buf_release(&want);
	msg_release(&m);
}

static void
reads_and_writes_what_celery_says(void **state UNUSED)
{
	assert_true(vectors_each("event", check_vector) >= 15);
}

static void
check_envelope(const char *name, struct json_object *v)
{
	struct msg want, got;
	char key[64];
	int i;

	msg_init(&want, 0);
	msg_init(&got, 0);
	vector_to_msg(v, &want);
	snprintf(key, sizeof(key), EVENT_TASK_MULTI);
	for (i = 0; i < EVENT_OTHER; i++)
		if (span_starts(span_of(name), evt_type_name((enum evt_type)i)))
			evt_routing_key(key, (enum evt_type)i);
	assert_int_equal(evt_encode(&got, SPAN("celeryev"), key, table_get_string(&want.headers, "hostname"),
				 want.body),
		E_OK);
	assert_span_eq(name, got.exchange, want.exchange);
	assert_span_eq(name, got.routing_key, want.routing_key);
	assert_span_eq(name, got.content_type, want.content_type);
	assert_span_eq(name, got.content_encoding, want.content_encoding);
	assert_span_eq(name, got.body, want.body);
	assert_span_eq(name, table_get_string(&got.headers, "hostname"),
		table_get_string(&want.headers, "hostname"));
	assert_int_equal(got.delivery_mode, want.delivery_mode);
	assert_int_equal(got.priority, want.priority);
	assert_int_equal(got.headers.count, want.headers.count);
	msg_release(&want);
	msg_release(&got);
}

static void
wraps_them_as_celery_does(void **state UNUSED)
{
	assert_true(vectors_each("event", check_envelope) >= 15);
}

static void
begin(struct evt_reader *r, struct msg *m, const char *body)
{
	msg_init(m, 0);
	m->body = span_of(body);
	assert_int_equal(evt_begin(r, m, NULL), E_OK);
}

static void
custom_types_and_odd_members_are_read(void **state UNUSED)
{
	struct evt_reader r;
	struct evt e;
	struct msg m;

	begin(&r, &m,
		" [1, {\"type\": \"disk-full\", \"hostname\": \"a\\u0040b\", \"clock\": \"x\", \"pid\": null, \"timestamp\": 5, \"loadavg\": [1, \"a\"]},"
		"{\"hostname\": \"typeless\"}, {\"type\": \"task-started\", \"uuid\": 7, \"extra\": {}}] ");
	assert_true(evt_next(&r, &e));
	assert_int_equal(e.type, EVENT_OTHER);
	assert_span(e.type_name, "disk-full");
	assert_span(e.hostname, "a@b");
	assert_true(e.timestamp == 5 && e.clock == -1 && e.pid == -1 && e.loadavg[0] == 1);
	assert_true(evt_next(&r, &e));
	assert_int_equal(e.type, EVENT_TASK_STARTED);
	assert_null(e.uuid.ptr);
	assert_false(evt_next(&r, &e));
	msg_release(&m);
}

static void
what_is_no_event_is_refused(void **state UNUSED)
{
	static const char *const bodies[] = { "", "5", "{", "\"task-started\"", "null" };
	struct evt_reader r;
	struct errtext t;
	struct msg m;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bodies); i++) {
		msg_init(&m, 0);
		m.body = span_of(bodies[i]);
		assert_int_equal(evt_begin(&r, &m, &t), E_FORMAT);
		assert_non_null(strstr(t.text, "an event is"));
		msg_release(&m);
	}
}

static void
only_tasks_are_of_tasks(void **state UNUSED)
{
	int i;

	for (i = 0; i < EVENT_OTHER; i++)
		assert_int_equal(evt_is_of_task((enum evt_type)i),
			span_starts(span_of(evt_type_name((enum evt_type)i)), "task-"));
}

static void
a_message_that_was_sent_is_told_of_by_its_queue(void **state UNUSED)
{
	struct evt e = { .type = EVENT_TASK_SENT, .retries = 7 };
	struct msg m;

	msg_init(&m, 0);
	m.correlation_id = SPAN("U1");
	m.exchange = SPAN("");
	m.routing_key = SPAN("work");
	assert_int_equal(table_set(&m.headers, &m.arena, SPAN("task"), val_string(SPAN("t.add"))), E_OK);
	assert_int_equal(table_set(&m.headers, &m.arena, SPAN("root_id"), val_string(SPAN("R"))), E_OK);
	evt_fill_sent(&e, &m, SPAN_NONE);
	assert_span(e.uuid, "U1");
	assert_span(e.name, "t.add");
	assert_span(e.root_id, "R");
	assert_null(e.parent_id.ptr);
	assert_int_equal(e.retries, 0);
	assert_span(e.queue, "work");
	assert_span(e.exchange, "");

	/* Only the broker knows where an exchange leads to. */
	m.exchange = SPAN("orders");
	m.routing_key = SPAN("order.new");
	assert_int_equal(table_set(&m.headers, &m.arena, SPAN("retries"), val_int(2)), E_OK);
	evt_fill_sent(&e, &m, SPAN_NONE);
	assert_null(e.queue.ptr);
	assert_span(e.exchange, "orders");
	assert_span(e.routing_key, "order.new");
	assert_int_equal(e.retries, 2);

	/* By way of the delay queues: the queue it is for. */
	m.exchange = SPAN("celery_delayed_3");
	m.routing_key = SPAN("0.0.1.0.work");
	evt_fill_sent(&e, &m, SPAN("work"));
	assert_span(e.queue, "work");
	assert_span(e.exchange, "");
	assert_span(e.routing_key, "work");
	msg_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_what_celery_says),
		cmocka_unit_test(wraps_them_as_celery_does),
		cmocka_unit_test(custom_types_and_odd_members_are_read),
		cmocka_unit_test(what_is_no_event_is_refused),
		cmocka_unit_test(only_tasks_are_of_tasks),
		cmocka_unit_test(a_message_that_was_sent_is_told_of_by_its_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
