#include "vectors.h"

/* lib/t.h compares spans in a way of its own; here the one that names the expression is used. */
#undef assert_span
#include "lib/torture.h"
#undef assert_span
#define assert_span(got, text) assert_span_eq(#got, (got), span_of(text))

#include "base/text.h"
#include "wire/dead.h"
#include "wire/forward.h"
#include "wire/task.h"

#define DIED INT64_C(1795234230000000) /* 2026-11-21T04:10:30 */
#define NOW (DIED + INT64_C(3600000000))

static struct dead_letter
lost(void)
{
	return (struct dead_letter){
		.reason = SPAN("lost"),
		.error = SPAN("the process running this task was killed by signal 9 (SIGKILL)"),
		.queue = SPAN("media"),
		.host = SPAN("w1@host"),
		.output = SPAN("reading a.mp4\nno frame left\n"),
		.attempts = 2,
		.now = DIED,
	};
}

static void
make_task(struct msg *m, const struct task_call *call)
{
	struct errtext t;

	msg_init(m, 0);
	assert_int_equal(task_encode(call, m, &t), E_OK);
	m->exchange = SPAN("media");
	m->routing_key = SPAN("media");
	m->expiration = SPAN("60000");
}

static struct task_call
call_of_add(void)
{
	return (struct task_call){ .id = SPAN("id-1"),
		.name = SPAN("add"),
		.args = SPAN("[2, 3]"),
		.kwargs = SPAN("{\"z\": 1.50}") };
}

/* A task that died of l. */
static void
make_letter(struct msg *letter, const struct task_call *call, const struct dead_letter *l)
{
	struct msg m;

	make_task(&m, call);
	msg_init(letter, 0);
	assert_int_equal(dead_encode(letter, &m, l), E_OK);
	msg_release(&m);
}

static void
restore(struct msg *to, const struct msg *letter, const struct dead_restore *r, bool expired)
{
	struct errtext t = { "" };
	bool had_expired = !expired;

	msg_init(to, 0);
	if (dead_restore(to, letter, r, &had_expired, &t) != E_OK)
		fail_msg("%s", t.text);
	assert_int_equal(had_expired, expired);
}

static void
letter_tells_what_happened(void **state UNUSED)
{
	struct task_call call = call_of_add();
	struct dead_letter l = lost();
	struct dead_facts f;
	struct msg m;

	make_letter(&m, &call, &l);
	assert_span(m.exchange, DEAD_EXCHANGE);
	assert_span(m.routing_key, "media");
	assert_null(m.expiration.ptr);
	assert_int_equal(m.delivery_mode, 2);
	dead_read(&f, &m);
	assert_span(f.id, "id-1");
	assert_span(f.task, "add");
	assert_span(f.reason, "lost");
	assert_span(f.error, l.error.ptr);
	assert_span(f.queue, "media");
	assert_span(f.exchange, "media");
	assert_span(f.host, "w1@host");
	assert_span(f.output, "reading a.mp4\nno frame left");
	assert_int_equal(f.attempts, 2);
	assert_int_equal(f.time, DIED);
	assert_span(dead_name(&f), "id-1");
	msg_release(&m);
}

static void
without_output_there_is_no_header(void **state UNUSED)
{
	struct task_call call = call_of_add();
	struct dead_letter l = lost();
	struct dead_facts f;
	struct msg m, again;

	make_letter(&m, &call, &l);
	l.output = SPAN("\n \n");
	msg_init(&again, 0);
	/* Of the first death; this time it said nothing. */
	assert_int_equal(dead_encode(&again, &m, &l), E_OK);
	dead_read(&f, &again);
	assert_null(f.output.ptr);
	assert_null(table_get(&again.headers, "x-warren-output"));
	msg_release(&again);
	msg_release(&m);
}

static void
output_keeps_its_end_from_a_whole_line(void **state UNUSED)
{
	struct task_call call = call_of_add();
	struct dead_letter l = lost();
	struct dead_facts f;
	struct msg m;
	struct buf b;

	buf_init(&b, 0);
	for (int i = 0; i < 1000; i++)
		buf_addf(&b, "line %d\n", i);
	l.output = buf_span(&b);
	make_letter(&m, &call, &l);
	dead_read(&f, &m);
	assert_true(f.output.len > DEAD_OUTPUT_MAX - 20 && f.output.len <= DEAD_OUTPUT_MAX);
	assert_true(span_starts(f.output, "line "));
	assert_true(span_ends(f.output, "\nline 999"));
	msg_release(&m);

	buf_reset(&b);
	for (int i = 0; i < 5000; i++)
		buf_addc(&b, 'x');
	l.output = buf_span(&b);
	make_letter(&m, &call, &l);
	dead_read(&f, &m);
	assert_int_equal(f.output.len, DEAD_OUTPUT_MAX);
	msg_release(&m);
	buf_release(&b);
}

static void
headers_are_utf8_whatever_a_child_wrote(void **state UNUSED)
{
	struct task_call call = call_of_add();
	struct dead_letter l = lost();
	struct dead_facts f;
	struct msg m;

	l.error = SPAN("its last words: \xff\xfe");
	l.output = SPAN("\xc3");
	make_letter(&m, &call, &l);
	dead_read(&f, &m);
	assert_span(f.error, "its last words: \\xff\\xfe");
	assert_span(f.output, "\\xc3");
	msg_release(&m);
}

static void
anything_can_be_read(void **state UNUSED)
{
	struct dead_facts f, other;
	struct msg m;

	msg_init(&m, 0);
	dead_read(&f, &m);
	assert_null(f.id.ptr);
	assert_null(f.task.ptr);
	assert_null(f.reason.ptr);
	assert_null(f.queue.ptr);
	assert_int_equal(f.attempts, -1);
	assert_true(f.time == INT64_MIN);
	assert_int_equal(dead_name(&f).len, DEAD_HANDLE_LEN);
	assert_int_equal(f.handle[0], '@');

	m.body = SPAN("{\"task\": \"add\", \"id\": \"one\", \"args\": []}");
	m.routing_key = SPAN("q");
	m.content_type = SPAN("application/json");
	dead_read(&other, &m);
	assert_span(other.task, "add");
	assert_span(other.id, "one");
	assert_span(other.queue, "q");
	assert_string_not_equal(other.handle, f.handle);

	m.body = SPAN("\x80\x02]");
	m.correlation_id = SPAN("from-a-property");
	dead_read(&f, &m);
	assert_span(f.id, "from-a-property");
	msg_release(&m);
}

static void
headers_that_fill_a_frame_make_room(void **state UNUSED)
{
	static char pad[130900];
	struct dead_letter l = lost();
	struct task_call call = call_of_add();
	struct msg m, letter;

	memset(pad, 'x', sizeof(pad));
	make_task(&m, &call);
	assert_int_equal(table_set(&m.headers, &m.arena, SPAN("small"), val_int(7)), E_OK);
	assert_int_equal(table_set(&m.headers, &m.arena, SPAN("pad"),
				 val_string((struct span){ pad, sizeof(pad) / 2 })),
		E_OK);
	assert_int_equal(table_set(&m.headers, &m.arena, SPAN("more"),
				 val_string((struct span){ pad, sizeof(pad) / 2 - 9 })),
		E_OK);
	msg_init(&letter, 0);
	assert_int_equal(dead_encode(&letter, &m, &l), E_OK);
	assert_null(table_get(&letter.headers, "pad"));
	assert_non_null(table_get(&letter.headers, "more"));
	assert_non_null(table_get(&letter.headers, "small"));
	assert_non_null(table_get(&letter.headers, "task"));
	assert_span(table_get_string(&letter.headers, "x-warren-left-out"), "pad");
	assert_true(span_eq(table_get_string(&letter.headers, "x-warren-reason"), l.reason));
	msg_release(&letter);
	msg_release(&m);
}

static void
queue_names_fit_amqp(void **state UNUSED)
{
	char name[256], origin[300];

	dead_queue_name(name, SPAN("media"));
	assert_string_equal(name, "warren.dead.media");
	memset(origin, 'q', sizeof(origin));
	dead_queue_name(name, (struct span){ origin, 255 });
	assert_int_equal(strlen(name), 255);
}

/* --- restoring ---------------------------------------------------------------------------------------------------------- */

static const struct val *
value(const struct msg *m, const char *key)
{
	return table_get(&m->headers, key);
}

static void
assert_same_table(const char *name, const struct table *got, const struct table *want)
{
	size_t i;

	if (got->count != want->count)
		fail_msg("%s: %zu headers, not %zu", name, got->count, want->count);
	for (i = 0; i < want->count; i++) {
		const struct val *g = &got->pairs[i].value, *w = &want->pairs[i].value;

		assert_span_eq(name, got->pairs[i].key, want->pairs[i].key);
		/* What a replay changes on purpose. */
		if (span_is(want->pairs[i].key, "retries") || span_is(want->pairs[i].key, "expires"))
			continue;
		if (g->type != w->type)
			fail_msg("%s: header %.*s has another type", name, SPAN_FMT(want->pairs[i].key));
		if (w->type == VAL_STRING)
			assert_span_eq(name, g->u.string, w->u.string);
		else if (w->type == VAL_INT)
			assert_int_equal(g->u.integer, w->u.integer);
	}
}

static void
check_round_trip(const char *name, struct json_object *v)
{
	struct dead_restore r = { .keep_expires = true };
	struct dead_letter l = lost();
	struct msg m, letter, back;
	struct task before, after;
	struct errtext t;

	msg_init(&m, 0);
	vector_to_msg(v, &m);
	msg_init(&letter, 0);
	assert_int_equal(dead_encode(&letter, &m, &l), E_OK);
	restore(&back, &letter, &r, false);
	assert_span_eq(name, back.exchange, SPAN(""));
	assert_span_eq(name, back.routing_key, SPAN("media"));
	assert_same_table(name, &back.headers, &m.headers);
	assert_int_equal(task_decode(&before, &m, &task_limits_default, &t), TASK_FINE);
	assert_int_equal(task_decode(&after, &back, &task_limits_default, &t), TASK_FINE);
	if (before.protocol == 2 || before.retries == 0)
		assert_span_eq(name, back.body, m.body);
	assert_int_equal(after.retries, 0);
	assert_span_eq(name, after.id, before.id);
	assert_span_eq(name, after.args, before.args);
	assert_span_eq(name, after.kwargs, before.kwargs);
	assert_span_eq(name, after.chain, before.chain);
	assert_span_eq(name, after.chord, before.chord);
	assert_true(after.expires == before.expires && after.eta == before.eta);
	msg_release(&m);
	msg_release(&letter);
	msg_release(&back);
}

static void
every_task_comes_back_as_it_was(void **state UNUSED)
{
	assert_true(vectors_each("task", check_round_trip) > 30);
}

static void
marks_of_death_are_taken_off(void **state UNUSED)
{
	struct val deaths = { .type = VAL_ARRAY };
	struct task_call call = call_of_add();
	struct dead_restore r = { .now = NOW };
	struct dead_letter l = lost();
	struct msg letter, back;
	size_t i;

	call.retries = 3;
	make_letter(&letter, &call, &l);
	assert_int_equal(table_set(&letter.headers, &letter.arena, SPAN("x-warren-lost"), val_int(3)), E_OK);
	assert_int_equal(table_set(&letter.headers, &letter.arena, SPAN("x-death"), deaths), E_OK);
	assert_int_equal(
		table_set(&letter.headers, &letter.arena, SPAN("x-first-death-queue"), val_text("q")), E_OK);
	assert_int_equal(table_set(&letter.headers, &letter.arena, SPAN("x-own"), val_text("kept")), E_OK);
	restore(&back, &letter, &r, false);
	for (i = 0; i < back.headers.count; i++)
		assert_false(span_starts(back.headers.pairs[i].key, "x-warren-") ||
			span_starts(back.headers.pairs[i].key, "x-death") ||
			span_starts(back.headers.pairs[i].key, "x-first-death"));
	assert_span(table_get_string(&back.headers, "x-own"), "kept");
	assert_int_equal(value(&back, "retries")->u.integer, 0);
	assert_span(back.correlation_id, "id-1");
	assert_null(back.expiration.ptr);
	msg_release(&letter);
	msg_release(&back);
}

static void
another_queue_can_be_chosen_and_one_is_needed(void **state UNUSED)
{
	struct task_call call = call_of_add();
	struct dead_restore r = { .now = NOW, .queue = SPAN("trial") };
	struct dead_letter l = lost();
	struct msg letter, back;
	struct errtext t;
	bool expired;

	make_letter(&letter, &call, &l);
	restore(&back, &letter, &r, false);
	assert_span(back.routing_key, "trial");
	msg_release(&back);
	/* A stranger's, which the broker put aside. */
	table_del(&letter.headers, "x-warren-queue");
	letter.routing_key = SPAN("other");
	r.queue = SPAN_NONE;
	restore(&back, &letter, &r, false);
	assert_span(back.routing_key, "other");
	msg_release(&back);
	letter.routing_key = SPAN_NONE;
	msg_init(&back, 0);
	assert_int_equal(dead_restore(&back, &letter, &r, &expired, &t), E_MISSING);
	msg_release(&back);
	msg_release(&letter);
}

/* Whoever gets it looks whether it has a result before running it; edited, it is to be run. */
static void
what_has_ended_is_marked_unless_edited(void **state UNUSED)
{
	struct task_call call = call_of_add();
	struct dead_restore r = { .now = NOW };
	struct dead_letter l = lost();
	struct msg letter, back;
	struct forward_counts been;
	struct dead_facts f;

	l.reason = SPAN("route");
	make_letter(&letter, &call, &l);
	dead_read(&f, &letter);
	assert_true(dead_is_ended(&f));
	restore(&back, &letter, &r, false);
	forward_counts_read(&been, &back.headers);
	assert_int_equal(been.held, 1);
	msg_release(&back);
	r.args = SPAN("[7]");
	restore(&back, &letter, &r, false);
	forward_counts_read(&been, &back.headers);
	assert_int_equal(been.held, 0);
	msg_release(&back);
	msg_release(&letter);
	l.reason = SPAN("lost");
	r.args = SPAN_NONE;
	make_letter(&letter, &call, &l);
	dead_read(&f, &letter);
	assert_false(dead_is_ended(&f));
	restore(&back, &letter, &r, false);
	forward_counts_read(&been, &back.headers);
	assert_int_equal(been.held, 0);
	msg_release(&back);
	msg_release(&letter);
}

static void
an_expiry_that_has_passed_is_dropped_unless_kept(void **state UNUSED)
{
	struct task_call call = call_of_add();
	struct dead_restore r = { .now = NOW };
	struct dead_letter l = lost();
	struct msg letter, back;

	call.expires = NOW - 1;
	call.now = DIED;
	make_letter(&letter, &call, &l);
	restore(&back, &letter, &r, true);
	assert_int_equal(value(&back, "expires")->type, VAL_VOID);
	msg_release(&back);
	r.keep_expires = true;
	restore(&back, &letter, &r, false);
	assert_int_equal(value(&back, "expires")->type, VAL_STRING);
	msg_release(&back);
	r = (struct dead_restore){ .now = NOW - 2 };
	restore(&back, &letter, &r, false);
	assert_int_equal(value(&back, "expires")->type, VAL_STRING);
	msg_release(&back);
	msg_release(&letter);
}

static void
arguments_are_edited_and_the_rest_keeps_its_bytes(void **state UNUSED)
{
	struct task_call call = call_of_add();
	struct dead_restore r = { .now = NOW, .args = SPAN(" [1, 2]\n") };
	struct dead_letter l = lost();
	struct msg letter, back;

	call.callbacks = SPAN("[{\"task\": \"log\",  \"x\": 1e2}]");
	make_letter(&letter, &call, &l);
	restore(&back, &letter, &r, false);
	assert_span(back.body,
		"[[1, 2], {\"z\": 1.50}, {\"callbacks\": [{\"task\": \"log\",  \"x\": 1e2}], \"errbacks\": null, \"chain\": null, \"chord\": null}]");
	assert_span(table_get_string(&back.headers, "argsrepr"), "(1, 2)");
	assert_span(table_get_string(&back.headers, "kwargsrepr"), "{'z': 1.5}");
	msg_release(&back);
	r = (struct dead_restore){ .now = NOW, .kwargs = SPAN("{\"z\": 2}") };
	restore(&back, &letter, &r, false);
	assert_span(back.body,
		"[[2, 3], {\"z\": 2}, {\"callbacks\": [{\"task\": \"log\",  \"x\": 1e2}], \"errbacks\": null, \"chain\": null, \"chord\": null}]");
	assert_span(table_get_string(&back.headers, "kwargsrepr"), "{'z': 2}");
	msg_release(&back);
	msg_release(&letter);
}

static void
a_compressed_body_is_unpacked_when_it_is_edited(void **state UNUSED)
{
	struct task_call call = call_of_add();
	struct dead_restore r = { .now = NOW, .args = SPAN("[9]") };
	struct dead_letter l = lost();
	struct msg letter, back;
	struct task t;

	call.compress = true;
	make_letter(&letter, &call, &l);
	assert_true(span_starts(dead_body(&letter), "[[2, 3], {\"z\": 1.50}"));
	restore(&back, &letter, &r, false);
	assert_null(value(&back, "compression"));
	assert_int_equal(task_decode(&t, &back, &task_limits_default, NULL), TASK_FINE);
	assert_span(t.args, "[9]");
	assert_span(t.kwargs, "{\"z\": 1.50}");
	msg_release(&back);
	msg_release(&letter);
}

static void
protocol_1_is_changed_inside_its_body(void **state UNUSED)
{
	struct dead_restore r = { .now = NOW };
	struct msg letter, back;
	struct task t;

	msg_init(&letter, 0);
	letter.content_type = SPAN("application/json");
	letter.routing_key = SPAN("q");
	letter.body = SPAN(
		"{\"task\": \"add\", \"id\": \"i\", \"args\": [1], \"own\": 1e5, \"retries\": 2, \"expires\": \"2026-11-21T04:10:30\"}");
	restore(&back, &letter, &r, true);
	assert_span(back.body,
		"{\"args\": [1], \"kwargs\": {}, \"task\": \"add\", \"id\": \"i\", \"own\": 1e5, \"retries\": 0, \"expires\": null}");
	assert_int_equal(task_decode(&t, &back, &task_limits_default, NULL), TASK_FINE);
	msg_release(&back);
	r = (struct dead_restore){
		.now = NOW, .keep_expires = true, .args = SPAN("[2]"), .kwargs = SPAN("{\"k\":0}")
	};
	restore(&back, &letter, &r, false);
	assert_span(back.body,
		"{\"args\": [2], \"kwargs\": {\"k\":0}, \"task\": \"add\", \"id\": \"i\", \"own\": 1e5, \"retries\": 0, \"expires\": \"2026-11-21T04:10:30\"}");
	msg_release(&back);
	msg_release(&letter);
}

static void
what_is_no_task_is_replayed_but_not_edited(void **state UNUSED)
{
	struct dead_restore r = { .now = NOW };
	struct msg letter, back;
	struct errtext t = { "" };
	bool expired;

	msg_init(&letter, 0);
	letter.content_type = SPAN("application/x-pickle");
	letter.routing_key = SPAN("q");
	letter.body = SPAN("\x80\x02]");
	restore(&back, &letter, &r, false);
	assert_span(back.body, "\x80\x02]");
	msg_release(&back);
	r.args = SPAN("[]");
	msg_init(&back, 0);
	assert_int_equal(dead_restore(&back, &letter, &r, &expired, &t), E_FORMAT);
	assert_non_null(strstr(t.text, "cannot be edited"));
	assert_non_null(strstr(t.text, "application/x-pickle"));
	msg_release(&back);
	msg_release(&letter);
}

static void
bad_edits_are_named(void **state UNUSED)
{
	struct dead_restore r = { .args = SPAN("{}") };
	struct errtext t;

	assert_int_equal(dead_restore_check(&r, &t), E_FORMAT);
	assert_string_equal(t.text, "the new args are an object, not an array");
	r = (struct dead_restore){ .kwargs = SPAN("{") };
	assert_int_equal(dead_restore_check(&r, &t), E_FORMAT);
	assert_true(strncmp(t.text, "the new kwargs: ", 16) == 0);
	r = (struct dead_restore){ .args = SPAN("[]"), .kwargs = SPAN(" {} ") };
	assert_int_equal(dead_restore_check(&r, &t), E_OK);
}

static enum err
restore_edited(void *arg)
{
	struct dead_restore r = { .now = NOW, .args = SPAN("[9]") };
	struct errtext t;
	struct msg back;
	bool expired;
	enum err e;

	msg_init(&back, 0);
	e = dead_restore(&back, arg, &r, &expired, &t);
	msg_release(&back);
	return e;
}

static void
restoring_survives_an_empty_heap(void **state UNUSED)
{
	struct task_call call = call_of_add();
	struct dead_letter l = lost();
	struct msg letter;

	call.compress = true;
	make_letter(&letter, &call, &l);
	torture(restore_edited, &letter);
	msg_release(&letter);
}

static void
letter_tells_how_the_process_ended(void **state)
{
	struct dead_letter l = lost();
	struct task_call call = call_of_add();
	struct msg letter;
	int64_t n;

	(void)state;
	make_letter(&letter, &call, &l);
	assert_null(table_get(&letter.headers, "x-warren-signal"));
	assert_null(table_get(&letter.headers, "x-warren-exit-code"));
	msg_release(&letter);
	l.process_died = true;
	l.signal = 9;
	l.peak_memory = 123456;
	make_letter(&letter, &call, &l);
	assert_true(table_get_int(&letter.headers, "x-warren-signal", &n) && n == 9);
	assert_true(table_get_int(&letter.headers, "x-warren-peak-memory", &n) && n == 123456);
	assert_null(table_get(&letter.headers, "x-warren-exit-code"));
	msg_release(&letter);
	l.signal = 0;
	make_letter(&letter, &call, &l);
	assert_true(table_get_int(&letter.headers, "x-warren-exit-code", &n) && n == 0);
	assert_null(table_get(&letter.headers, "x-warren-signal"));
	msg_release(&letter);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letter_tells_how_the_process_ended),
		cmocka_unit_test(letter_tells_what_happened),
		cmocka_unit_test(without_output_there_is_no_header),
		cmocka_unit_test(output_keeps_its_end_from_a_whole_line),
		cmocka_unit_test(headers_are_utf8_whatever_a_child_wrote),
		cmocka_unit_test(anything_can_be_read),
		cmocka_unit_test(headers_that_fill_a_frame_make_room),
		cmocka_unit_test(queue_names_fit_amqp),
		cmocka_unit_test(every_task_comes_back_as_it_was),
		cmocka_unit_test(marks_of_death_are_taken_off),
		cmocka_unit_test(another_queue_can_be_chosen_and_one_is_needed),
		cmocka_unit_test(an_expiry_that_has_passed_is_dropped_unless_kept),
		cmocka_unit_test(arguments_are_edited_and_the_rest_keeps_its_bytes),
		cmocka_unit_test(a_compressed_body_is_unpacked_when_it_is_edited),
		cmocka_unit_test(what_has_ended_is_marked_unless_edited),
		cmocka_unit_test(protocol_1_is_changed_inside_its_body),
		cmocka_unit_test(what_is_no_task_is_replayed_but_not_edited),
		cmocka_unit_test(bad_edits_are_named),
		cmocka_unit_test(restoring_survives_an_empty_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
