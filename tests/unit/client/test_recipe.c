/* Canvas as people write it. */
#include "lib/torture.h"

#include "base/jscan.h"
#include "client/canvas.h"
#include "client/recipe.h"

static struct buf sig;

static void
recipe(const char *json, enum recipe_kind kind)
{
	buf_release(&sig);
	buf_init(&sig, 0);
	assert_ok(recipe_add_signature(&sig, span_of(json), kind, NULL));
	assert_ok(jscan_check(buf_span(&sig), NULL, NULL, NULL));
}

static void
refused(const char *json, enum recipe_kind kind, const char *says)
{
	struct errtext why = { "" };

	buf_release(&sig);
	buf_init(&sig, 0);
	assert_int_equal(recipe_add_signature(&sig, span_of(json), kind, &why), E_FORMAT);
	if (strstr(why.text, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why.text, says);
}

static void
task_becomes_a_signature(void **state)
{
	(void)state;
	recipe("{\"task\": \"add\", \"args\": [1], \"id\": \"A\", \"queue\": \"q\", \"countdown\": 5}",
		RECIPE_ANY);
	assert_span(buf_span(&sig),
		"{\"task\": \"add\", \"args\": [1], \"kwargs\": {}, \"immutable\": false, \"subtask_type\": "
		"null, "
		"\"options\": {\"task_id\": \"A\", \"queue\": \"q\", \"countdown\": 5}}");
}

static struct span
nth(struct span list, int n)
{
	struct jscan_iter it;

	if (!jscan_begin(&it, list))
		return SPAN_NONE;
	while (jscan_next(&it))
		if (n-- == 0)
			return it.value;
	return SPAN_NONE;
}

static void
parts_nest(void **state)
{
	struct client_canvas_walk walk = { .depth = 0 };
	struct client_canvas k;

	(void)state;
	recipe("[{\"task\": \"a\"}, {\"group\": [{\"task\": \"b\", \"id\": \"B\"}, {\"chain\": [{\"task\": "
	       "\"c\"}, {\"task\": \"d\", \"id\": \"D\"}]}]}]",
		RECIPE_CHAIN);
	assert_ok(client_canvas_init(&k, buf_span(&sig), SPAN("Q1"), 0, NULL));
	assert_int_equal(k.flow.count, 1);
	assert_span(k.flow.steps[0].call.name, "a");
	assert_null(k.flow.steps[0].call.parent_id.ptr);
	assert_true(client_canvas_next(&k, &walk));
	assert_span(walk.id, "B");
	assert_true(client_canvas_next(&k, &walk));
	assert_span(walk.id, "D");
	assert_false(client_canvas_next(&k, &walk));
	client_canvas_release(&k);
}

/* What workers send later has nobody but its signature to say who waits. */
static void
later_steps_know_who_waits(void **state)
{
	struct client_canvas k;
	struct span b, c;

	(void)state;
	recipe("[{\"task\": \"a\"}, {\"task\": \"b\"}, {\"task\": \"c\", \"args\": [], \"kwargs\": {}, \"options\": "
	       "{\"reply_to\": \"own\"}, \"subtask_type\": null}]",
		RECIPE_CHAIN);
	assert_ok(client_canvas_init(&k, buf_span(&sig), SPAN("Q1"), 0, NULL));
	assert_int_equal(k.flow.count, 1);
	c = nth(k.flow.steps[0].call.chain, 0);
	b = nth(k.flow.steps[0].call.chain, 1);
	assert_span(jscan_member(jscan_member(b, "options"), "reply_to"), "\"Q1\"");
	assert_span(jscan_member(jscan_member(c, "options"), "reply_to"), "\"own\"");
	client_canvas_release(&k);
	assert_ok(client_canvas_init(&k, buf_span(&sig), SPAN_NONE, 0, NULL));
	b = nth(k.flow.steps[0].call.chain, 1);
	assert_null(jscan_member(jscan_member(b, "options"), "reply_to").ptr);
	client_canvas_release(&k);
}

static void
chord_is_counted(void **state)
{
	struct client_canvas_walk walk = { .depth = 0 };
	struct client_canvas k;

	(void)state;
	recipe("{\"header\": [{\"task\": \"a\"}, {\"task\": \"b\"}], \"body\": {\"task\": \"c\", \"id\": "
	       "\"C\", \"link\": {\"task\": \"l\"}}}",
		RECIPE_CHORD);
	assert_ok(client_canvas_init(&k, buf_span(&sig), SPAN("Q1"), 0, NULL));
	assert_int_equal(k.flow.count, 2);
	assert_int_equal(k.flow.n_chords, 1);
	assert_int_equal(k.flow.chords[0].size, 2);
	assert_true(client_canvas_next(&k, &walk));
	assert_span(walk.id, "C");
	assert_false(client_canvas_next(&k, &walk));
	client_canvas_release(&k);
}

static void
signatures_of_celery_are_taken_as_they_are(void **state)
{
	static const char json[] = "{\"task\": \"a\", \"args\": [], \"kwargs\": {}, \"options\": {\"odd\": "
				   "1}, \"subtask_type\": null, \"immutable\": true}";

	(void)state;
	recipe(json, RECIPE_ANY);
	assert_span(buf_span(&sig), json);
}

static void
mistakes_are_named(void **state)
{
	(void)state;
	refused("5", RECIPE_ANY, "a part is an object");
	refused("{}", RECIPE_ANY, "without 'task'");
	refused("{\"task\": 5}", RECIPE_ANY, "without 'task'");
	refused("[]", RECIPE_GROUP, "at least one");
	refused("{\"task\": \"a\"}", RECIPE_GROUP, "list");
	refused("[{\"task\": \"a\", \"que\": 1}]", RECIPE_CHAIN, "unknown key 'que'");
	refused("{\"header\": [{\"task\": \"a\"}]}", RECIPE_CHORD, "body");
	refused("[{\"chord\": 5}]", RECIPE_CHAIN, "a chord is");
	refused("[", RECIPE_CHAIN, "byte");
}

static void
signature_that_makes_no_sense_is_refused(void **state)
{
	struct client_canvas k;
	struct errtext why = { "" };

	(void)state;
	assert_int_equal(client_canvas_init(&k, SPAN("{\"task\": \"\"}"), SPAN_NONE, 0, &why), E_FORMAT);
	assert_true(why.text[0] != '\0');
	client_canvas_release(&k);
}

static enum err
make_one(void *arg)
{
	struct client_canvas k;
	enum err e;

	(void)arg;
	buf_release(&sig);
	buf_init(&sig, 0);
	e = recipe_add_signature(&sig,
		SPAN("{\"header\": [{\"task\": \"a\"}, {\"chain\": [{\"task\": \"b\"}, [{\"task\": \"c\"}, {\"task\": \"d\"}]]}], "
		     "\"body\": {\"task\": \"e\", \"headers\": {\"k\": {\"l\": [1]}}}}"),
		RECIPE_CHORD, NULL);
	if (e != E_OK)
		return e;
	e = client_canvas_init(&k, buf_span(&sig), SPAN("Q1"), 0, NULL);
	client_canvas_release(&k);
	return e;
}

static void
without_memory_it_says_so(void **state)
{
	(void)state;
	torture(make_one, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(task_becomes_a_signature),
		cmocka_unit_test(parts_nest),
		cmocka_unit_test(later_steps_know_who_waits),
		cmocka_unit_test(chord_is_counted),
		cmocka_unit_test(signatures_of_celery_are_taken_as_they_are),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(signature_that_makes_no_sense_is_refused),
		cmocka_unit_test(without_memory_it_says_so),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_release(&sig);
	return failed;
}
