#include "core/address.h"

#include "unit/core/flow_fixture.h"

static struct routes *routes;
static const struct task_rule no_rule;

static int
make_routes(void **state UNUSED)
{
	static const struct route rules[] = {
		{ "by.hand", "hand", NULL, NULL, 6, 1, true },
		{ "by.app", "app", NULL, NULL, 4, 2, false },
		{ "by.exchange", NULL, "x", "k", -1, 0, false },
	};

	return routes_new(&routes, rules, ARRAY_LEN(rules), "celery", NULL) == E_OK ? 0 : -1;
}

static int
free_routes(void **state UNUSED)
{
	routes_free(routes);
	return 0;
}

static void
expect(struct address at, const char *exchange, const char *key, const char *queue, int priority)
{
	assert_true(span_is(at.exchange, exchange));
	assert_true(span_is(at.routing_key, key));
	if (queue == NULL)
		assert_null(at.queue.ptr);
	else
		assert_true(span_is(at.queue, queue));
	assert_int_equal(at.priority_plus1 - 1, priority);
}

static void
without_routers_the_name_decides(void **state UNUSED)
{
	struct flow_step s = { .call.name = SPAN("by.app") };
	struct task_rule rule = { .priority_plus1 = 4 };

	expect(address_find(&s, routes, &no_rule, NULL), "", "app", "app", 4);
	expect(address_find(&s, routes, &rule, NULL), "", "app", "app", 3);
	s.call.priority_plus1 = 10;
	expect(address_find(&s, routes, &rule, NULL), "", "app", "app", 9);
	s = (struct flow_step){ .call.name = SPAN("other"), .inherited_plus1 = 3 };
	expect(address_find(&s, routes, &no_rule, NULL), "", "celery", "celery", 2);
	s.call.name = SPAN("by.exchange");
	expect(address_find(&s, routes, &no_rule, NULL), "x", "k", NULL, 2);
}

/* The priority of a route counts wherever a message goes, as Celery merges the two; an inherited one does not. */
static void
a_signature_that_names_its_place_goes_there(void **state UNUSED)
{
	struct flow_step s = { .call.name = SPAN("by.app"),
		.exchange = SPAN(""),
		.routing_key = SPAN("mine"),
		.inherited_plus1 = 3 };

	expect(address_find(&s, routes, &no_rule, NULL), "", "mine", "mine", 4);
	s.exchange = SPAN("x");
	s.call.name = SPAN("other");
	expect(address_find(&s, routes, &no_rule, NULL), "x", "mine", NULL, -1);
}

/* The answer has the signature in it already: its queue may still get a priority. */
static void
routers_decide_all_but_what_the_operator_has(void **state UNUSED)
{
	const struct routing_answer answer = {
		.exchange = SPAN(""), .routing_key = SPAN("asked"), .priority_plus1 = 8
	};
	const struct routing_answer elsewhere = { .exchange = SPAN("media"), .routing_key = SPAN("new") };
	struct task_rule rule = { .priority_plus1 = 4 };
	struct flow_step s = { .call.name = SPAN("by.app"), .inherited_plus1 = 3 };

	expect(address_find(&s, routes, &no_rule, &answer), "", "asked", "asked", 7);
	expect(address_find(&s, routes, &rule, &answer), "", "asked", "asked", 3);
	expect(address_find(&s, routes, &no_rule, &elsewhere), "media", "new", NULL, -1);
	s.call.name = SPAN("by.hand");
	expect(address_find(&s, routes, &no_rule, &answer), "", "hand", "hand", 6);
	s.exchange = SPAN("");
	s.routing_key = SPAN("mine");
	expect(address_find(&s, routes, &no_rule, &answer), "", "asked", "asked", 7);
}

static void
the_mode_is_of_signature_task_and_route_in_turn(void **state UNUSED)
{
	const struct routing_answer answer = {
		.exchange = SPAN(""), .routing_key = SPAN("asked"), .delivery_mode = 1
	};
	const struct task_rule rule = { .delivery_mode = 1 };
	struct flow_step s = { .call.name = SPAN("by.app") };

	assert_int_equal(address_find(&s, routes, &no_rule, NULL).delivery_mode, 2);
	assert_int_equal(address_find(&s, routes, &no_rule, &answer).delivery_mode, 1);
	assert_int_equal(address_find(&s, routes, &rule, NULL).delivery_mode, 1);
	s.delivery_mode = 2;
	assert_int_equal(address_find(&s, routes, &rule, &answer).delivery_mode, 2);
	s = (struct flow_step){
		.call.name = SPAN("by.hand"), .exchange = SPAN(""), .routing_key = SPAN("mine")
	};
	assert_int_equal(address_find(&s, routes, &no_rule, NULL).delivery_mode, 1);
	s.call.name = SPAN("other");
	assert_int_equal(address_find(&s, routes, &no_rule, NULL).delivery_mode, 0);
}

/* As apply_async gets them: without the structure of the canvas, the outer options before the inner. */
static void
routers_are_asked_what_they_would_be_asked_in_celery(void **state UNUSED)
{
	struct task t = task_of(
		"[" PLAIN("next", "[2]",
			"{\"queue\": \"q\", \"task_id\": \"id-2\", \"link\": [], \"shadow\": null, \"x\": "
			"{\"a\": 1}, \"priority\": 3}") "]",
		"", "");
	struct flow f;
	struct buf b;

	buf_init(&b, 0);
	flow_init(&f);
	assert_int_equal(succeed(&f, &t, "{\"r\": 1}", NOW), E_OK);
	address_add_call(&b, &f.steps[0]);
	assert_string_equal(buf_text(&b),
		"{\"name\":\"next\",\"args\":[{\"r\": 1}, 2],\"kwargs\":{},\"options\":{\"queue\": \"q\", \"x\": "
		"{\"a\": 1}},\"priority\":3}");
	buf_reset(&b);
	f.steps[0].over = SPAN("{\"queue\": \"outer\", \"group_id\": \"g\"}");
	f.steps[0].call.priority_plus1 = 0;
	f.steps[0].inherited_plus1 = 1;
	address_add_call(&b, &f.steps[0]);
	assert_string_equal(buf_text(&b),
		"{\"name\":\"next\",\"args\":[{\"r\": 1}, 2],\"kwargs\":{},\"options\":{\"queue\": \"outer\", \"x\": "
		"{\"a\": 1}, \"priority\": 3},\"parent_priority\":0}");
	flow_release(&f);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_routers_the_name_decides),
		cmocka_unit_test(a_signature_that_names_its_place_goes_there),
		cmocka_unit_test(routers_decide_all_but_what_the_operator_has),
		cmocka_unit_test(the_mode_is_of_signature_task_and_route_in_turn),
		cmocka_unit_test(routers_are_asked_what_they_would_be_asked_in_celery),
	};

	return cmocka_run_group_tests(tests, make_routes, free_routes);
}
