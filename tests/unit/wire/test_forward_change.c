/* What a task changes in the message of its retry. */
#include "vectors.h"

#include "wire/forward.h"

static const struct task old = {
	.protocol = 2,
	.id = SPAN("id-1"),
	.name = SPAN("t"),
	.args = SPAN("[1]"),
	.kwargs = SPAN("{}"),
	.parent_id = SPAN("p"),
	.callbacks = SPAN("[{\"task\": \"cb\"}]"),
	.time_limit = 30,
	.soft_time_limit = -1,
};

static void
forward(struct msg *to, const struct forward_change *change)
{
	struct forward f = {
		.exchange = SPAN(""), .routing_key = SPAN("q"), .is_retry = true, .change = *change
	};
	struct msg from;

	msg_init(&from, 0);
	from.body = SPAN("old body");
	from.content_type = SPAN("application/json");
	from.content_encoding = SPAN("binary");
	from.has_headers = true;
	assert_int_equal(
		table_set(&from.headers, &from.arena, SPAN("compression"), val_text("application/x-gzip")),
		E_OK);
	msg_init(to, 0);
	assert_int_equal(forward_encode(to, &from, &old, &f), E_OK);
	msg_release(&from);
}

static void
a_retry_without_changes_keeps_its_body(void **state UNUSED)
{
	struct msg m;

	forward(&m, &(struct forward_change){ .now = 0 });
	assert_span(m.body, "old body");
	assert_span(m.content_encoding, "binary");
	assert_span(m.routing_key, "q");
	msg_release(&m);
}

static void
new_arguments_make_a_new_body(void **state UNUSED)
{
	struct msg m;

	forward(&m, &(struct forward_change){ .args = SPAN("[2,\"b\"]"), .kwargs = SPAN("{\"k\":true}") });
	assert_span(m.body,
		"[[2,\"b\"], {\"k\":true}, {\"callbacks\": [{\"task\": \"cb\"}], \"errbacks\": null, \"chain\": null, \"chord\": null}]");
	assert_span(m.content_encoding, "utf-8");
	assert_null(table_get(&m.headers, "compression"));
	assert_span(table_get_string(&m.headers, "argsrepr"), "(2, 'b')");
	assert_span(table_get_string(&m.headers, "kwargsrepr"), "{'k': True}");
	msg_release(&m);
}

static void
options_change_the_message(void **state UNUSED)
{
	struct forward_change c = {
		.now = (us_t)1800000000 * 1000000,
		.options = SPAN(
			"{\"queue\":\"slow\",\"priority\":7,\"expires\":60,"
			"\"soft_time_limit\":5,\"shadow\":\"s\",\"headers\":{\"tenant\":\"t1\"},\"link\":[{\"task\":\"other\"}],\"exchange\":null}")
	};
	const struct val *limits;
	struct msg m;

	assert_true(forward_change_moves(&c));
	forward(&m, &c);
	assert_span(m.exchange, "");
	assert_span(m.routing_key, "slow");
	assert_int_equal(m.priority, 7);
	assert_span(table_get_string(&m.headers, "expires"), "2027-01-15T08:01:00+00:00");
	assert_span(table_get_string(&m.headers, "shadow"), "s");
	assert_span(table_get_string(&m.headers, "tenant"), "t1");
	limits = table_get(&m.headers, "timelimit");
	assert_true(limits->u.array.items[0].u.number == 30 && limits->u.array.items[1].u.number == 5);
	assert_span(m.body,
		"[[1], {}, {\"callbacks\": [{\"task\":\"other\"}], \"errbacks\": null, \"chain\": null, \"chord\": null}]");
	msg_release(&m);
	c.options = SPAN("{\"exchange\":\"x\",\"routing_key\":\"k\",\"expires\":\"2030-01-01T00:00:00Z\"}");
	forward(&m, &c);
	assert_span(m.exchange, "x");
	assert_span(m.routing_key, "k");
	assert_span(table_get_string(&m.headers, "expires"), "2030-01-01T00:00:00Z");
	assert_span(m.body, "old body");
	msg_release(&m);
	c.options = SPAN("{\"time_limit\":Infinity,\"soft_time_limit\":-Infinity}");
	forward(&m, &c);
	limits = table_get(&m.headers, "timelimit");
	assert_true(limits->u.array.items[0].u.number == 30);
	assert_true(limits->u.array.items[1].type == VAL_VOID);
	msg_release(&m);
	c.options = SPAN("{\"priority\":300,\"queue\":5}");
	assert_false(forward_change_moves(&c));
	forward(&m, &c);
	assert_span(m.routing_key, "q");
	assert_int_equal(m.priority, -1);
	msg_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_retry_without_changes_keeps_its_body),
		cmocka_unit_test(new_arguments_make_a_new_body),
		cmocka_unit_test(options_change_the_message),
	};

	return cmocka_run_group_tests_name("wire/forward_change", tests, NULL, NULL);
}
