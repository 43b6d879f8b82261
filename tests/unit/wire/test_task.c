#include "vectors.h"

#include "wire/inflate.h"
#include "wire/task.h"

/* --- what a Celery client sends
 * ------------------------------------------------------------------------------------ */

static void
check_seconds(struct json_object *e, const char *key, double got)
{
	struct json_object *v = vector_get(e, key);

	assert_true(v ? json_object_get_double(v) == got : got < 0);
}

static void
check_time(struct json_object *e, const char *key, us_t got)
{
	struct json_object *v = vector_get(e, key);

	assert_true(got == (v ? json_object_get_int64(v) : INT64_MIN));
}

static void
decode_vector(const char *name, struct json_object *v)
{
	struct json_object *e = vector_get(v, "expect"), *index = vector_get(e, "group_index");
	struct errtext why = { "" };
	struct span body;
	struct task t;
	struct msg m;

	msg_init(&m, 0);
	vector_to_msg(v, &m);
	body = m.body;
	if (task_decode(&t, &m, &task_limits_default, &why) != TASK_FINE)
		fail_msg("%s: %s", name, why.text);
	assert_int_equal(t.protocol, json_object_get_int(vector_get(e, "protocol")));
	assert_span_eq(name, t.name, vector_text(e, "task"));
	assert_span_eq(name, t.id, vector_text(e, "id"));
	assert_span_eq(name, t.group, vector_text(e, "group"));
	assert_span_eq(name, t.root_id, vector_text(e, "root_id"));
	assert_span_eq(name, t.parent_id, vector_text(e, "parent_id"));
	assert_span_eq(name, t.shadow, vector_text(e, "shadow"));
	assert_span_eq(name, t.origin, vector_text(e, "origin"));
	assert_span_eq(name, t.argsrepr, vector_text(e, "argsrepr"));
	assert_span_eq(name, t.kwargsrepr, vector_text(e, "kwargsrepr"));
	assert_span_eq(name, t.eta_text, vector_text(e, "eta"));
	assert_span_eq(name, t.expires_text, vector_text(e, "expires"));
	assert_span_eq(name, t.args, vector_text(e, "args"));
	assert_span_eq(name, t.kwargs, vector_text(e, "kwargs"));
	assert_span_eq(name, t.callbacks, vector_text(e, "callbacks"));
	assert_span_eq(name, t.errbacks, vector_text(e, "errbacks"));
	assert_span_eq(name, t.chain, vector_text(e, "chain"));
	assert_span_eq(name, t.chord, vector_text(e, "chord"));
	assert_int_equal(t.group_index, index ? json_object_get_int(index) : -1);
	assert_int_equal(t.retries, json_object_get_int(vector_get(e, "retries")));
	check_time(e, "eta_us", t.eta);
	check_time(e, "expires_us", t.expires);
	check_seconds(e, "time_limit", t.time_limit);
	check_seconds(e, "soft_time_limit", t.soft_time_limit);
	assert_int_equal(t.ignore_result, json_object_get_boolean(vector_get(e, "ignore_result")));
	assert_span_eq(name, t.correlation_id, t.id);
	assert_true(m.body.ptr == body.ptr && m.body.len == body.len);
	msg_release(&m);
}

static void
reads_what_a_celery_client_sends(void **state UNUSED)
{
	assert_true(vectors_each("task", decode_vector) >= 40);
}

/* --- what anybody may send
 * ----------------------------------------------------------------------------------------- */

#define BODY "[[1], {}, {}]"

/* A sound protocol 2 message with the two headers it needs. */
static void
start(struct msg *m, const char *body)
{
	msg_init(m, 0);
	m->content_type = SPAN("application/json");
	m->content_encoding = SPAN("utf-8");
	m->body = span_of(body);
	m->has_headers = true;
	assert_int_equal(table_set(&m->headers, &m->arena, SPAN("task"), val_text("t.add")), E_OK);
	assert_int_equal(table_set(&m->headers, &m->arena, SPAN("id"), val_text("U1")), E_OK);
}

static void
start_v1(struct msg *m, const char *body)
{
	msg_init(m, 0);
	m->content_type = SPAN("application/json");
	m->body = span_of(body);
}

static void
set(struct msg *m, const char *key, struct val v)
{
	assert_int_equal(table_set(&m->headers, &m->arena, span_of(key), v), E_OK);
}

static enum task_fault
decode(struct task *t, struct msg *m)
{
	struct errtext why = { "" };
	enum task_fault f = task_decode(t, m, &task_limits_default, &why);

	assert_true((f == TASK_FINE) == (why.text[0] == '\0'));
	return f;
}

/* Decodes and lets go of the message. */
static enum task_fault
fault_of(struct msg *m)
{
	struct task t;
	enum task_fault f = decode(&t, m);

	msg_release(m);
	return f;
}

static void
two_headers_suffice(void **state UNUSED)
{
	struct task t;
	struct msg m;

	start(&m, BODY);
	assert_int_equal(decode(&t, &m), TASK_FINE);
	assert_int_equal(t.protocol, 2);
	assert_span(t.args, "[1]");
	assert_span(t.kwargs, "{}");
	assert_null(t.root_id.ptr);
	assert_null(t.callbacks.ptr);
	assert_int_equal(t.group_index, -1);
	assert_int_equal(t.retries, 0);
	assert_true(t.eta == INT64_MIN && t.expires == INT64_MIN);
	assert_true(t.time_limit < 0 && t.soft_time_limit < 0);
	assert_false(t.ignore_result);
	assert_ptr_equal(t.headers, &m.headers);
	msg_release(&m);
}

static void
content_types(void **state UNUSED)
{
	static const struct {
		const char *type, *encoding;
		enum task_fault fault;
	} rows[] = {
		{ NULL, NULL, TASK_FINE },
		{ "", "", TASK_FINE },
		{ "application/json", NULL, TASK_FINE },
		{ "Application/JSON; charset=utf-8", "UTF-8", TASK_FINE },
		{ "application/json", "binary", TASK_FINE },
		{ "application/json", "us-ascii", TASK_FINE },
		{ "application/json", "latin-1", TASK_FAULT_CONTENT_TYPE },
		{ "application/x-python-serialize", "binary", TASK_FAULT_CONTENT_TYPE },
		{ "application/x-yaml", "utf-8", TASK_FAULT_CONTENT_TYPE },
		{ "application/data", "binary", TASK_FAULT_CONTENT_TYPE },
		{ "application/json2", "utf-8", TASK_FAULT_CONTENT_TYPE },
		{ "application/jso", "utf-8", TASK_FAULT_CONTENT_TYPE },
	};
	struct msg m;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		start(&m, BODY);
		m.content_type = span_of(rows[i].type);
		m.content_encoding = span_of(rows[i].encoding);
		assert_int_equal(fault_of(&m), rows[i].fault);
	}
}

static void
bodies(void **state UNUSED)
{
	static const struct {
		const char *body;
		enum task_fault fault;
	} rows[] = {
		{ "[[], {}, null]", TASK_FINE },
		{ "[[], {}, {}]", TASK_FINE },
		{ " [ [ ] , { } , { \"callbacks\" : null , \"other\" : [ ] } ] ", TASK_FINE },
		{ "[[], {}, {\"callbacks\": {\"task\": \"x\"}, \"errbacks\": [], \"chain\": [], \"chord\": "
		  "{}}]",
			TASK_FINE },
		{ "{\"args\": [1], \"kwargs\": {}}", TASK_FINE },
		{ "{\"args\": [1]}", TASK_FINE },
		{ "{\"kwargs\": {}}", TASK_FAULT_MALFORMED },
		{ "{}", TASK_FAULT_MALFORMED },
		{ "", TASK_FAULT_MALFORMED },
		{ "null", TASK_FAULT_MALFORMED },
		{ "5", TASK_FAULT_MALFORMED },
		{ "nonsense", TASK_FAULT_MALFORMED },
		{ "[]", TASK_FAULT_MALFORMED },
		{ "[[], {}]", TASK_FAULT_MALFORMED },
		{ "[[], {}, {}, {}]", TASK_FAULT_MALFORMED },
		{ "[[], {}, {}", TASK_FAULT_MALFORMED },
		{ "[[], {}, {}] x", TASK_FAULT_MALFORMED },
		{ "[[], {}, []]", TASK_FAULT_MALFORMED },
		{ "[null, {}, {}]", TASK_FAULT_MALFORMED },
		{ "[[], null, {}]", TASK_FAULT_MALFORMED },
		{ "[{}, {}, {}]", TASK_FAULT_MALFORMED },
		{ "[[], [], {}]", TASK_FAULT_MALFORMED },
		{ "[[\"\xff\"], {}, {}]", TASK_FAULT_MALFORMED },
		{ "[[\"\n\"], {}, {}]", TASK_FAULT_MALFORMED },
		{ "[[], {}, {\"callbacks\": 5}]", TASK_FAULT_MALFORMED },
		{ "[[], {}, {\"errbacks\": \"x\"}]", TASK_FAULT_MALFORMED },
		{ "[[], {}, {\"chain\": {}}]", TASK_FAULT_MALFORMED },
		{ "[[], {}, {\"chord\": []}]", TASK_FAULT_MALFORMED },
	};
	enum task_fault f;
	struct msg m;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		start(&m, rows[i].body);
		f = fault_of(&m);
		if (f != rows[i].fault)
			fail_msg("%s: %s", rows[i].body, task_fault_name(f));
	}
}

static void
raw_newlines_become_blanks(void **state UNUSED)
{
	struct task t;
	struct msg m;

	start(&m, "[\n[1,\r\n\"a\\n\"],\n{}\n,\n{\"chord\":\n{\n}}]\n");
	assert_int_equal(decode(&t, &m), TASK_FINE);
	assert_span(t.args, "[1,  \"a\\n\"]");
	assert_span(t.chord, "{ }");
	assert_int_equal(m.body.ptr[1], '\n');
	msg_release(&m);
}

static void
numbers_pass_unchanged(void **state UNUSED)
{
	struct task t;
	struct msg m;

	start(&m, "[[18446744073709551616, 1e400, NaN, -0, 0.10], {\"a\": -Infinity}, {}]");
	assert_int_equal(decode(&t, &m), TASK_FINE);
	assert_span(t.args, "[18446744073709551616, 1e400, NaN, -0, 0.10]");
	assert_span(t.kwargs, "{\"a\": -Infinity}");
	msg_release(&m);
}

static void
header_types(void **state UNUSED)
{
	struct val pair[3] = { val_int(30), val_void(), val_void() };
	struct val array = { .type = VAL_ARRAY, .u.array = { pair, 2 } };
	struct val table = { .type = VAL_TABLE, .u.table = &(struct table){ NULL, 0, 0 } };
	struct val number = { .type = VAL_DOUBLE, .u.number = 1.5 };
	const struct {
		const char *key;
		struct val value;
		enum task_fault fault;
	} rows[] = {
		{ "task", val_int(5), TASK_FAULT_HEADER },
		{ "task", val_text(""), TASK_FAULT_HEADER },
		{ "task", val_text("a\nb"), TASK_FAULT_HEADER },
		{ "task", val_text("\xff"), TASK_FAULT_HEADER },
		{ "id", val_int(5), TASK_FAULT_HEADER },
		{ "id", table, TASK_FAULT_HEADER },
		{ "id", val_text(""), TASK_FAULT_HEADER },
		{ "id", val_text("a\x7f"), TASK_FAULT_HEADER },
		{ "id", val_void(), TASK_FAULT_NOT_A_TASK },
		{ "id", val_text("any text is an id"), TASK_FINE },
		{ "eta", val_text(""), TASK_FINE },
		{ "eta", val_text("soon"), TASK_FAULT_HEADER },
		{ "eta", val_int(5), TASK_FAULT_HEADER },
		{ "eta", table, TASK_FAULT_HEADER },
		{ "eta", val_text("2030-01-02 03:04:05Z"), TASK_FINE },
		{ "expires", val_text("2030-01-02T03:04:05"), TASK_FINE },
		{ "expires", val_text("2030-13-02T03:04:05"), TASK_FAULT_HEADER },
		{ "retries", val_text("1"), TASK_FAULT_HEADER },
		{ "retries", number, TASK_FAULT_HEADER },
		{ "retries", val_int(-1), TASK_FAULT_HEADER },
		{ "retries", val_void(), TASK_FINE },
		{ "group_index", val_int(-2), TASK_FAULT_HEADER },
		{ "group_index", val_int(1LL << 40), TASK_FAULT_HEADER },
		{ "group_index", val_void(), TASK_FINE },
		{ "group", val_int(1), TASK_FAULT_HEADER },
		{ "group", val_text(""), TASK_FINE },
		{ "timelimit", array, TASK_FINE },
		{ "timelimit", val_int(30), TASK_FAULT_HEADER },
		{ "timelimit", val_text("30"), TASK_FAULT_HEADER },
		{ "ignore_result", val_int(1), TASK_FINE },
		{ "ignore_result", val_text("yes"), TASK_FAULT_HEADER },
		{ "argsrepr", val_int(1), TASK_FINE },
		{ "origin", table, TASK_FINE },
		{ "compression", val_void(), TASK_FINE },
		{ "compression", val_int(1), TASK_FAULT_HEADER },
		{ "compression", val_text("application/x-bz2"), TASK_FAULT_COMPRESSION },
		{ "compression", val_text("zlib"), TASK_FAULT_COMPRESSION },
		{ "unknown", array, TASK_FINE },
	};
	enum task_fault f;
	struct msg m;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		start(&m, BODY);
		set(&m, rows[i].key, rows[i].value);
		f = fault_of(&m);
		if (f != rows[i].fault)
			fail_msg("row %zu, %s: %s", i, rows[i].key, task_fault_name(f));
	}
}

static void
time_limits_are_hard_then_soft(void **state UNUSED)
{
	struct val items[3] = { val_int(30), { .type = VAL_DOUBLE, .u.number = 20.5 }, val_void() };
	struct task t;
	struct msg m;

	start(&m, BODY);
	set(&m, "timelimit", (struct val){ .type = VAL_ARRAY, .u.array = { items, 2 } });
	assert_int_equal(decode(&t, &m), TASK_FINE);
	assert_true(t.time_limit == 30 && t.soft_time_limit == 20.5);
	set(&m, "timelimit", (struct val){ .type = VAL_ARRAY, .u.array = { items, 1 } });
	assert_int_equal(decode(&t, &m), TASK_FINE);
	assert_true(t.time_limit < 0 && t.soft_time_limit < 0);
	items[0] = val_int(0);
	items[1] = val_void();
	set(&m, "timelimit", (struct val){ .type = VAL_ARRAY, .u.array = { items, 2 } });
	assert_int_equal(decode(&t, &m), TASK_FINE);
	assert_true(t.time_limit < 0 && t.soft_time_limit < 0);
	items[0] = val_int(-5);
	assert_int_equal(decode(&t, &m), TASK_FAULT_HEADER);
	items[0] = val_text("30");
	assert_int_equal(decode(&t, &m), TASK_FAULT_HEADER);
	msg_release(&m);
}

static void
ids_and_names_have_a_length(void **state UNUSED)
{
	char text[257];

	memset(text, 'x', sizeof(text));
	assert_true(task_id_is_valid((struct span){ text, 200 }));
	assert_false(task_id_is_valid((struct span){ text, 201 }));
	assert_false(task_id_is_valid(SPAN_NONE));
	assert_true(task_name_is_valid((struct span){ text, 255 }));
	assert_false(task_name_is_valid((struct span){ text, 256 }));
	assert_true(task_name_is_valid(SPAN("t\xc3\xa4sk")));
	assert_false(task_name_is_valid(SPAN("t\xc3sk")));
}

static void
protocol_1_bodies(void **state UNUSED)
{
	static const struct {
		const char *body;
		enum task_fault fault;
	} rows[] = {
		{ "{\"task\": \"t\", \"id\": \"a\"}", TASK_FINE },
		{ "{\"task\": \"t\", \"id\": \"a\", \"args\": [], \"kwargs\": {}, \"timelimit\": [1, null]}",
			TASK_FINE },
		{ "{\"task\": \"t\", \"id\": \"a\", \"timelimit\": [1]}", TASK_FINE },
		{ "{\"task\": \"t\", \"id\": \"a\", \"eta\": \"\"}", TASK_FINE },
		{ "{\"task\": \"t\"}", TASK_FAULT_NOT_A_TASK },
		{ "{\"id\": \"a\"}", TASK_FAULT_NOT_A_TASK },
		{ "{\"id\": \"a\", \"task\": null}", TASK_FAULT_NOT_A_TASK },
		{ "{}", TASK_FAULT_NOT_A_TASK },
		{ "[[], {}, {}]", TASK_FAULT_NOT_A_TASK },
		{ "\"hello\"", TASK_FAULT_NOT_A_TASK },
		{ "hello", TASK_FAULT_MALFORMED },
		{ "{\"task\": 5, \"id\": \"a\"}", TASK_FAULT_HEADER },
		{ "{\"task\": \"t\", \"id\": \"\"}", TASK_FAULT_HEADER },
		{ "{\"task\": \"t\", \"id\": \"a\\u0001\"}", TASK_FAULT_HEADER },
		{ "{\"task\": \"t\", \"id\": \"a\", \"kwargs\": null}", TASK_FAULT_MALFORMED },
		{ "{\"task\": \"t\", \"id\": \"a\", \"args\": null}", TASK_FAULT_MALFORMED },
		{ "{\"task\": \"t\", \"id\": \"a\", \"eta\": \"soon\"}", TASK_FAULT_HEADER },
		{ "{\"task\": \"t\", \"id\": \"a\", \"retries\": \"1\"}", TASK_FAULT_HEADER },
		{ "{\"task\": \"t\", \"id\": \"a\", \"retries\": 1.5}", TASK_FAULT_HEADER },
		{ "{\"task\": \"t\", \"id\": \"a\", \"timelimit\": 5}", TASK_FAULT_HEADER },
		{ "{\"task\": \"t\", \"id\": \"a\", \"timelimit\": [\"x\", null]}", TASK_FAULT_HEADER },
		{ "{\"task\": \"t\", \"id\": \"a\", \"timelimit\": [1e400, null]}", TASK_FAULT_HEADER },
		{ "{\"task\": \"t\", \"id\": \"a\", \"callbacks\": 5}", TASK_FAULT_MALFORMED },
	};
	enum task_fault f;
	struct msg m;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		start_v1(&m, rows[i].body);
		f = fault_of(&m);
		if (f != rows[i].fault)
			fail_msg("%s: %s", rows[i].body, task_fault_name(f));
	}
}

static void
protocol_1_strings_are_decoded(void **state UNUSED)
{
	struct task t;
	struct msg m;

	start_v1(&m,
		"{\"task\": \"t\\u00e4sk\", \"id\": \"a\\/b\", \"taskset\": \"g\", \"retries\": 2, "
		"\"group_index\": 4}");
	assert_int_equal(decode(&t, &m), TASK_FINE);
	assert_int_equal(t.protocol, 1);
	assert_span(t.name, "t\xc3\xa4sk");
	assert_span(t.id, "a/b");
	assert_span(t.group, "g");
	assert_int_equal(t.retries, 2);
	assert_int_equal(t.group_index, 4);
	assert_null(t.headers);
	assert_span(t.args, "[]");
	msg_release(&m);
}

static void
in_a_hybrid_headers_win(void **state UNUSED)
{
	struct task t;
	struct msg m;

	start(&m,
		"{\"task\": \"other\", \"id\": \"other\", \"args\": [1], \"callbacks\": [], \"chord\": {}, "
		"\"retries\": 9}");
	assert_int_equal(decode(&t, &m), TASK_FINE);
	assert_int_equal(t.protocol, 2);
	assert_span(t.name, "t.add");
	assert_span(t.id, "U1");
	assert_int_equal(t.retries, 0);
	assert_span(t.callbacks, "[]");
	assert_span(t.chord, "{}");
	msg_release(&m);
}

/* --- limits
 * -------------------------------------------------------------------------------------------------------- */

static enum task_fault
fault_within(struct msg *m, struct task_limits lim)
{
	struct errtext why = { "" };
	struct task t;
	enum task_fault f = task_decode(&t, m, &lim, &why);

	msg_release(m);
	return f;
}

static void
size_depth_and_containers_are_bounded(void **state UNUSED)
{
	struct task_limits lim = { .body_max = sizeof(BODY) - 1, .depth_max = 4, .containers_max = 6 };
	struct buf deep;
	struct msg m;
	int i;

	start(&m, BODY);
	assert_int_equal(fault_within(&m, lim), TASK_FINE);
	lim.body_max--;
	start(&m, BODY);
	assert_int_equal(fault_within(&m, lim), TASK_FAULT_TOO_BIG);
	lim.body_max = 1000;
	start(&m, "[[[[]]], {}, {}]");
	assert_int_equal(fault_within(&m, lim), TASK_FINE);
	start(&m, "[[[[[]]]], {}, {}]");
	assert_int_equal(fault_within(&m, lim), TASK_FAULT_TOO_BIG);
	start(&m, "[[[],[]], {}, {}]");
	assert_int_equal(fault_within(&m, lim), TASK_FINE);
	start(&m, "[[[],[],[]], {}, {}]");
	assert_int_equal(fault_within(&m, lim), TASK_FAULT_TOO_BIG);

	buf_init(&deep, 0);
	for (i = 0; i < 100000; i++)
		buf_addc(&deep, '[');
	start(&m, "");
	m.body = buf_span(&deep);
	assert_int_equal(fault_of(&m), TASK_FAULT_TOO_BIG);
	buf_release(&deep);
}

/* As a group of 25,000 members has them, each of them long enough. */
static void
a_long_body_may_have_more_containers(void **state UNUSED)
{
	struct task_limits lim = {
		.body_max = 1000, .depth_max = 4, .containers_max = 6, .container_bytes = 8
	};
	struct msg m;

	start(&m, "[[[],[],[]], {}, {\"chain\": null, \"chord\": null}]"); /* 7 in 48 bytes */
	assert_int_equal(fault_within(&m, lim), TASK_FAULT_TOO_BIG);
	start(&m, "[[[],[],[]], {}, {\"chain\": null, \"chord\": null}        ]"); /* in 56 */
	assert_int_equal(fault_within(&m, lim), TASK_FINE);
	assert_int_equal(task_json_limits(&task_limits_default, 350000 * 3).containers_max, 200000);
	assert_int_equal(task_json_limits(&task_limits_default, 50 << 20).containers_max, (50 << 20) / 32);
}

static void
compressed(struct msg *m, struct span body)
{
	start(m, "");
	assert_int_equal(deflate_body(body, &m->arena, &m->body), E_OK);
	set(m, "compression", val_text("application/x-gzip"));
}

static void
a_bomb_is_left_at_the_ceiling(void **state UNUSED)
{
	const struct task_limits lim = { .body_max = 1 << 20, .depth_max = 64, .containers_max = 1000 };
	struct buf zeros;
	struct msg m;
	int i;

	buf_init(&zeros, 0);
	for (i = 0; i < 1 << 12; i++)
		buf_adds(&zeros,
			"                                                                                "
			"                                                                                "
			"                                                                                "
			"                                                                                ");
	compressed(&m, buf_span(&zeros));
	assert_true(m.body.len < 100000);
	assert_int_equal(fault_within(&m, lim), TASK_FAULT_TOO_BIG);
	buf_release(&zeros);
}

static void
a_broken_stream_is_told_from_broken_json(void **state UNUSED)
{
	struct task t;
	struct msg m;

	compressed(&m, SPAN(BODY));
	m.body.len -= 3;
	assert_int_equal(fault_of(&m), TASK_FAULT_COMPRESSION);
	compressed(&m, SPAN(BODY));
	m.body.len = 0;
	assert_int_equal(fault_of(&m), TASK_FAULT_COMPRESSION);
	compressed(&m, SPAN("[[\n"));
	assert_int_equal(fault_of(&m), TASK_FAULT_MALFORMED);
	compressed(&m, SPAN("[[1,\n2], {}, {}]"));
	assert_int_equal(decode(&t, &m), TASK_FINE);
	assert_span(t.args, "[1, 2]");
	msg_release(&m);
}

static void
survives_every_failed_allocation(void **state UNUSED)
{
	enum task_fault f = TASK_FAULT_NOMEM;
	struct errtext why;
	struct task t;
	struct msg m;
	uint64_t nth;

	for (nth = 1; f == TASK_FAULT_NOMEM; nth++) {
		compressed(&m,
			SPAN("{\"task\": \"\\u0074\", \"id\": \"\\u0061\", \"args\": [\n1], \"eta\": "
			     "\"2030-01-02T03:04:05\\u005a\"}"));
		table_del(&m.headers, "task");
		alloc_fail_after(nth);
		f = task_decode(&t, &m, &task_limits_default, &why);
		alloc_fail_after(0);
		msg_release(&m);
	}
	assert_int_equal(f, TASK_FINE);
	assert_true(nth > 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_a_celery_client_sends),
		cmocka_unit_test(two_headers_suffice),
		cmocka_unit_test(content_types),
		cmocka_unit_test(bodies),
		cmocka_unit_test(raw_newlines_become_blanks),
		cmocka_unit_test(numbers_pass_unchanged),
		cmocka_unit_test(header_types),
		cmocka_unit_test(time_limits_are_hard_then_soft),
		cmocka_unit_test(ids_and_names_have_a_length),
		cmocka_unit_test(protocol_1_bodies),
		cmocka_unit_test(protocol_1_strings_are_decoded),
		cmocka_unit_test(in_a_hybrid_headers_win),
		cmocka_unit_test(size_depth_and_containers_are_bounded),
		cmocka_unit_test(a_long_body_may_have_more_containers),
		cmocka_unit_test(a_bomb_is_left_at_the_ceiling),
		cmocka_unit_test(a_broken_stream_is_told_from_broken_json),
		cmocka_unit_test(survives_every_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
