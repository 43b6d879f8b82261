/* Going on with a chord from what was kept of it. */
#include "lib/t.h"

#include "core/resume.h"

static const struct span members[] = { SPAN("[1, \"a\", \"SUCCESS\", 1]"),
	SPAN("[1, \"b\", \"SUCCESS\", 2]") };
static const struct span failed[] = { SPAN("[1, \"a\", \"SUCCESS\", 1]"),
	SPAN("[1, \"b\", \"FAILURE\", {\"exc_type\": \"E\", \"exc_message\": []}]") };

static enum err
resume(struct flow *f, const char *kept, const struct span *texts, size_t n, int64_t due, struct span *body,
	struct errtext *why)
{
	struct chord_count c = { .is_full = true,
		.due = due,
		.members = texts,
		.n_members = n,
		.group = SPAN("G"),
		.kept = span_of(kept) };

	return resume_chord(f, &c, 0, body, why);
}

static void
what_is_kept_is_enough_to_go_on(void **state)
{
	struct flow_part p = { .group = SPAN("G"),
		.id = SPAN("a\"b"),
		.index = 1,
		.body = SPAN("{\"task\": \"t.body\", \"options\": {\"task_id\": \"C\"}}"),
		.root = SPAN("R") };
	struct span body;
	struct flow f;
	struct buf kept;

	(void)state;
	flow_init(&f);
	buf_init(&kept, 0);
	resume_keep(&kept, &p);
	assert_ok(resume(&f, buf_text(&kept), members, 2, 2, &body, NULL));
	assert_span(body, "C");
	assert_int_equal(flow_next(&f), FLOW_NOTHING);
	assert_int_equal(f.count, 1);
	assert_span(f.steps[0].call.args, "[[1, 2]]");
	assert_span(f.steps[0].call.root_id, "R");
	assert_span(f.steps[0].call.parent_id, "a\"b");
	assert_int_equal(flow_next_after_sending(&f), FLOW_CLOSE);
	assert_span(f.closes[0], "G");
	flow_release(&f);

	flow_init(&f);
	assert_ok(resume(&f, buf_text(&kept), failed, 2, 2, &body, NULL));
	assert_span(body, "C");
	assert_int_equal(flow_next(&f), FLOW_MARK);
	flow_release(&f);

	/* One of the two texts too many: somebody is still to come. */
	flow_init(&f);
	assert_ok(resume(&f, buf_text(&kept), members, 2, 3, &body, NULL));
	assert_int_equal(f.n_closes, 0);
	flow_release(&f);
	buf_release(&kept);
}

static void
what_cannot_be_read_is_said(void **state)
{
	static const char *const texts[] = { "{", "{}", "[]", "{\"id\": 5, \"root\": \"R\", \"body\": {}}",
		"{\"id\": \"a\", \"root\": \"R\", \"body\": []}",
		"{\"id\": \"a\", \"root\": \"R\", \"body\": {\"task\": 5}}" };
	struct errtext why;
	struct span body;
	struct flow f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		flow_init(&f);
		why.text[0] = '\0';
		assert_int_equal(resume(&f, texts[i], members, 2, 2, &body, &why), E_FORMAT);
		assert_true(why.text[0] != '\0');
		flow_release(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_kept_is_enough_to_go_on),
		cmocka_unit_test(what_cannot_be_read_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
