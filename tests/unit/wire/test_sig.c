#include "vectors.h"

#include "wire/sig.h"
#include "wire/task.h"

/* Every signature of a list written again gives its own text. */
static void
check_each(const char *name, struct span list, struct arena *a)
{
	struct jscan_iter it;
	struct sig s;
	struct buf b;

	if (!jscan_begin(&it, list))
		return;
	while (jscan_next(&it)) {
		buf_init(&b, 0);
		assert_int_equal(sig_decode(&s, it.value, a, NULL), E_OK);
		sig_encode(&b, &s);
		assert_span_eq(name, buf_span(&b), it.value);
		buf_release(&b);
	}
}

static void
check_vector(const char *name, struct json_object *v)
{
	struct task t;
	struct sig s;
	struct msg m;

	msg_init(&m, 0);
	vector_to_msg(v, &m);
	assert_int_equal(task_decode(&t, &m, &task_limits_default, NULL), TASK_FINE);
	check_each(name, t.callbacks, &m.arena);
	check_each(name, t.errbacks, &m.arena);
	check_each(name, t.chain, &m.arena);
	if (t.chord.ptr) {
		assert_int_equal(sig_decode(&s, t.chord, &m.arena, NULL), E_OK);
		assert_span(s.task, "t.sum");
		assert_int_equal(s.type, SIG_PLAIN);
	}
	msg_release(&m);
}

static void
reads_and_writes_what_celery_embeds(void **state UNUSED)
{
	assert_true(vectors_each("task", check_vector) >= 40);
}

static void
kinds_and_defaults(void **state UNUSED)
{
	struct sig s;
	struct arena a;

	arena_init(&a, 0);
	assert_int_equal(
		sig_decode(&s,
			SPAN("{\"task\":\"celery.chain\",\"subtask_type\":\"chain\",\"immutable\":true}"), &a,
			NULL),
		E_OK);
	assert_int_equal(s.type, SIG_CHAIN);
	assert_true(s.immutable);
	assert_null(s.args.ptr);
	assert_int_equal(sig_decode(&s, SPAN("{\"task\":\"g\",\"subtask_type\":\"group\"}"), &a, NULL), E_OK);
	assert_int_equal(s.type, SIG_GROUP);
	assert_int_equal(sig_decode(&s, SPAN("{\"task\":\"c\",\"subtask_type\":\"chord\"}"), &a, NULL), E_OK);
	assert_int_equal(s.type, SIG_CHORD);
	assert_int_equal(sig_decode(&s, SPAN("{\"task\":\"m\",\"subtask_type\":\"map\",\"chord_size\":null}"),
				 &a, NULL),
		E_OK);
	assert_int_equal(s.type, SIG_PLAIN);
	assert_false(s.immutable);
	arena_release(&a);
}

static void
absent_parts_are_written_empty(void **state UNUSED)
{
	const struct sig s = { .type = SIG_GROUP, .task = SPAN("celery.group") };
	struct buf b;

	buf_init(&b, 0);
	sig_encode(&b, &s);
	assert_span(buf_span(&b),
		"{\"task\": \"celery.group\", \"args\": [], \"kwargs\": {}, \"options\": {}, "
		"\"subtask_type\": \"group\", \"immutable\": false}");
	buf_release(&b);
}

static void
options_as_text(void **state UNUSED)
{
	struct span text;
	struct arena a;
	struct sig s;

	arena_init(&a, 0);
	assert_int_equal(sig_decode(&s,
				 SPAN("{\"task\":\"t\",\"options\":{\"task_id\":\"\\u0055\",\"queue\":null,"
				      "\"priority\":5}}"),
				 &a, NULL),
		E_OK);
	assert_true(sig_option_text(&s, "task_id", &a, &text));
	assert_span(text, "U");
	assert_false(sig_option_text(&s, "queue", &a, &text));
	assert_false(sig_option_text(&s, "priority", &a, &text));
	assert_false(sig_option_text(&s, "nope", &a, &text));
	s.options = SPAN_NONE;
	assert_false(sig_option_text(&s, "task_id", &a, &text));
	arena_release(&a);
}

static void
refusals(void **state UNUSED)
{
	static const char *const rows[] = { "null", "[]", "\"t\"", "{}", "{\"task\":null}", "{\"task\":\"\"}",
		"{\"task\":5}", "{\"task\":\"t\",\"args\":{}}", "{\"task\":\"t\",\"kwargs\":[]}",
		"{\"task\":\"t\",\"options\":[]}", "{\"task\":\"t\",\"subtask_type\":5}",
		"{\"task\":\"t\",\"immutable\":1}" };
	struct errtext why;
	struct arena a;
	struct sig s;
	size_t i;

	arena_init(&a, 0);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		why.text[0] = '\0';
		if (sig_decode(&s, span_of(rows[i]), &a, &why) != E_FORMAT || !why.text[0])
			fail_msg("%s", rows[i]);
	}
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_what_celery_embeds),
		cmocka_unit_test(kinds_and_defaults),
		cmocka_unit_test(absent_parts_are_written_empty),
		cmocka_unit_test(options_as_text),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
