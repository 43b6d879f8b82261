#include "vectors.h"

#include "wire/reply.h"

static void
check_vector(const char *name, struct json_object *v)
{
	const struct result r = {
		.task_id = vector_text(v, "task_id"),
		.state = vector_text(v, "state"),
		.value = vector_text(v, "value"),
		.traceback = vector_text(v, "traceback"),
		.children = vector_text(v, "children"),
		/* What a reply does not have. */
		.date_done = INT64_C(1795229760000000),
		.group_id = SPAN("G1"),
		.parent_id = SPAN("P1"),
		.extended = true,
		.name = SPAN("t.add"),
	};
	bool is_persistent = json_object_get_boolean(vector_get(v, "persistent"));
	struct msg theirs, ours;
	struct result back;
	struct arena a;
	struct buf body;

	msg_init(&theirs, 0);
	msg_init(&ours, 0);
	arena_init(&a, 0);
	buf_init(&body, 0);
	vector_to_msg(v, &theirs);
	reply_encode(&body, &r);
	reply_address(&ours, SPAN("Q1"), theirs.correlation_id, buf_span(&body), is_persistent);
	assert_span_eq(name, ours.body, theirs.body);
	assert_span_eq(name, ours.exchange, theirs.exchange);
	assert_span_eq(name, ours.routing_key, theirs.routing_key);
	assert_span_eq(name, ours.correlation_id, theirs.correlation_id);
	assert_span_eq(name, ours.content_type, theirs.content_type);
	assert_span_eq(name, ours.content_encoding, theirs.content_encoding);
	assert_int_equal(ours.delivery_mode, theirs.delivery_mode);
	assert_int_equal(ours.priority, theirs.priority);
	assert_true(ours.has_headers && theirs.headers.count == 0 && ours.headers.count == 0);

	assert_int_equal(result_decode(&back, theirs.body, &a, NULL), E_OK);
	assert_span_eq(name, back.task_id, r.task_id);
	assert_span_eq(name, back.state, r.state);
	assert_span_eq(name, back.value, r.value);
	assert_span_eq(name, back.traceback, r.traceback);
	assert_span_eq(name, back.children, r.children);
	buf_release(&body);
	arena_release(&a);
	msg_release(&ours);
	msg_release(&theirs);
}

static void
writes_what_celery_publishes(void **state UNUSED)
{
	assert_true(vectors_each("reply", check_vector) >= 10);
}

static void
nothing_is_null_and_no_children_are_a_list(void **state UNUSED)
{
	const struct result r = { .task_id = SPAN("U1"), .state = SPAN("SUCCESS") };
	struct buf b;

	buf_init(&b, 0);
	reply_encode(&b, &r);
	assert_span(buf_span(&b),
		"{\"task_id\": \"U1\", \"status\": \"SUCCESS\", \"result\": null, \"traceback\": null, "
		"\"children\": []}");
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_celery_publishes),
		cmocka_unit_test(nothing_is_null_and_no_children_are_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
