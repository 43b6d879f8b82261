#include "vectors.h"

#include "base/id.h"
#include "wire/task.h"

#define NOW INT64_C(1795229760651564) /* the clock of the vectors */

static const char *const standard[] = { "lang", "task", "id", "shadow", "eta", "expires", "group",
	"group_index", "retries", "timelimit", "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin",
	"ignore_result", "compression" };

static bool
is_standard(struct span key)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(standard); i++)
		if (span_is(key, standard[i]))
			return true;
	return false;
}

static void assert_val(const char *name, struct span key, const struct val *got, const struct val *expected);

static void
assert_table(const char *name, const struct table *got, const struct table *expected)
{
	size_t i;

	assert_int_equal(got->count, expected->count);
	for (i = 0; i < got->count; i++) {
		assert_span_eq(name, got->pairs[i].key, expected->pairs[i].key);
		if (!span_is(got->pairs[i].key, "lang"))
			assert_val(name, got->pairs[i].key, &got->pairs[i].value, &expected->pairs[i].value);
	}
}

static void
assert_val(const char *name, struct span key, const struct val *got, const struct val *expected)
{
	size_t i;

	if (got->type != expected->type)
		fail_msg("%s: %.*s has type %d, expected %d", name, SPAN_FMT(key), (int)got->type,
			(int)expected->type);
	switch (got->type) {
	case VAL_STRING:
		assert_span_eq(name, got->u.string, expected->u.string);
		break;
	case VAL_INT:
		assert_int_equal(got->u.integer, expected->u.integer);
		break;
	case VAL_BOOL:
		assert_int_equal(got->u.boolean, expected->u.boolean);
		break;
	case VAL_DOUBLE:
		assert_true(got->u.number == expected->u.number);
		break;
	case VAL_ARRAY:
		assert_int_equal(got->u.array.count, expected->u.array.count);
		for (i = 0; i < got->u.array.count; i++)
			assert_val(name, key, &got->u.array.items[i], &expected->u.array.items[i]);
		break;
	case VAL_TABLE:
		assert_table(name, got->u.table, expected->u.table);
		break;
	default:
		assert_int_equal(got->type, VAL_VOID);
	}
}

/* The call that a Celery client must have been given to send this. */
static void
call_of(struct task_call *c, const struct task *t, const struct msg *m, struct table *user)
{
	size_t i;

	for (i = 0; i < m->headers.count; i++)
		if (!is_standard(m->headers.pairs[i].key))
			user->pairs[user->count++] = m->headers.pairs[i];
	*c = (struct task_call){
		.id = t->id,
		.name = t->name,
		.args = t->args,
		.kwargs = t->kwargs,
		.callbacks = t->callbacks,
		.errbacks = t->errbacks,
		.chain = t->chain,
		.chord = t->chord,
		.root_id = t->root_id,
		.parent_id = t->parent_id,
		.group = t->group,
		.shadow = t->shadow,
		.origin = t->origin,
		.reply_to = t->reply_to,
		.group_index_plus1 = t->group_index + 1,
		.retries = t->retries,
		.now = NOW,
		.eta = t->eta == INT64_MIN ? 0 : t->eta,
		.expires = t->expires == INT64_MIN ? 0 : t->expires,
		.time_limit = t->time_limit < 0 ? 0 : t->time_limit,
		.soft_time_limit = t->soft_time_limit < 0 ? 0 : t->soft_time_limit,
		.priority_plus1 = m->priority + 1,
		.ignore_result = t->ignore_result,
		.transient = m->delivery_mode == 1,
		.compress = table_get(&m->headers, "compression") != NULL,
		.user_headers = user,
	};
}

static void
forget_what_cannot_be_same(struct span name, struct table *sent, struct table *ours)
{
	const char *key = NULL;

	if (span_is(name, "eta-offset.json") || span_is(name, "eta-naive.json"))
		key = "eta"; /* we write times in UTC and with their offset */
	if (span_is(name, "map.json"))
		key = "kwargsrepr"; /* a tuple inside: JSON knows only lists */
	if (key) {
		table_del(sent, key);
		table_del(ours, key);
	}
}

static void
encode_vector(const char *name, struct json_object *v)
{
	struct pair pairs[16];
	struct table user = { pairs, 0, 16 };
	struct errtext why = { "" };
	struct task_call call;
	struct msg sent, m;
	struct task t;

	msg_init(&sent, 0);
	msg_init(&m, 0);
	vector_to_msg(v, &sent);
	assert_int_equal(task_decode(&t, &sent, &task_limits_default, &why), TASK_FINE);
	if (t.protocol == 2) {
		call_of(&call, &t, &sent, &user);
		if (task_encode(&call, &m, &why) != E_OK)
			fail_msg("%s: %s", name, why.text);
		forget_what_cannot_be_same(span_of(name), &sent.headers, &m.headers);
		assert_table(name, &m.headers, &sent.headers);
		assert_span_eq(name, m.content_type, sent.content_type);
		assert_span_eq(name, m.content_encoding, sent.content_encoding);
		assert_span_eq(name, m.correlation_id, sent.correlation_id);
		assert_span_eq(name, m.reply_to, sent.reply_to);
		assert_span_eq(name, m.expiration, sent.expiration);
		assert_int_equal(m.delivery_mode, sent.delivery_mode);
		assert_int_equal(m.priority, sent.priority < 0 ? 0 : sent.priority);
		assert_span_eq(name, m.body, sent.body);
	}
	msg_release(&m);
	msg_release(&sent);
}

static void
writes_what_a_celery_client_writes(void **state UNUSED)
{
	assert_true(vectors_each("task", encode_vector) >= 40);
}

static void
defaults(void **state UNUSED)
{
	const struct task_call call = { .name = SPAN("t") };
	struct errtext why = { "" };
	struct msg m, n;
	struct task t;

	msg_init(&m, 0);
	msg_init(&n, 0);
	assert_int_equal(task_encode(&call, &m, &why), E_OK);
	assert_int_equal(task_encode(&call, &n, &why), E_OK);
	assert_int_equal(m.correlation_id.len, ID_UUID_LEN);
	assert_false(span_eq(m.correlation_id, n.correlation_id));
	assert_span(table_get_string(&m.headers, "lang"), "c");
	assert_span_eq("root_id", table_get_string(&m.headers, "root_id"), m.correlation_id);
	assert_span(m.body,
		"[[], {}, {\"callbacks\": null, \"errbacks\": null, \"chain\": null, \"chord\": null}]");
	assert_null(m.reply_to.ptr);
	assert_null(m.expiration.ptr);
	assert_int_equal(m.delivery_mode, 2);
	assert_int_equal(m.priority, 0);
	assert_int_equal(task_decode(&t, &m, &task_limits_default, &why), TASK_FINE);
	assert_span_eq("id", t.id, m.correlation_id);
	msg_release(&m);
	msg_release(&n);
}

static void
the_caller_may_forget_everything_at_once(void **state UNUSED)
{
	char name[] = "t.add", id[] = "U1", args[] = "[1]", key[] = "x", text[] = "y";
	struct pair pair = { span_of(key), val_text(text) };
	struct table user = { &pair, 1, 1 };
	struct task_call call = {
		.name = span_of(name), .id = span_of(id), .args = span_of(args), .user_headers = &user
	};
	struct errtext why;
	struct msg m;

	msg_init(&m, 0);
	assert_int_equal(task_encode(&call, &m, &why), E_OK);
	memset(name, '#', sizeof(name));
	memset(id, '#', sizeof(id));
	memset(args, '#', sizeof(args));
	memset(key, '#', sizeof(key));
	memset(text, '#', sizeof(text));
	assert_span(table_get_string(&m.headers, "task"), "t.add");
	assert_span(table_get_string(&m.headers, "id"), "U1");
	assert_span(table_get_string(&m.headers, "x"), "y");
	assert_true(span_starts(m.body, "[[1], {}"));
	msg_release(&m);
}

static void
user_headers_may_override(void **state UNUSED)
{
	struct pair pairs[] = { { SPAN("shadow"), val_text("mine") },
		{ SPAN("compression"), val_text("none") } };
	struct table user = { pairs, 2, 2 };
	const struct task_call call = {
		.name = SPAN("t"), .shadow = SPAN("theirs"), .compress = true, .user_headers = &user
	};
	struct errtext why;
	struct msg m;

	msg_init(&m, 0);
	assert_int_equal(task_encode(&call, &m, &why), E_OK);
	assert_span(table_get_string(&m.headers, "shadow"), "mine");
	/* but they cannot lie about the body */
	assert_span(table_get_string(&m.headers, "compression"), "application/x-gzip");
	msg_release(&m);
}

static void
what_is_past_expires_at_once(void **state UNUSED)
{
	struct task_call call = { .name = SPAN("t"), .now = NOW, .expires = NOW - 1 };
	struct errtext why;
	struct msg m;

	msg_init(&m, 0);
	assert_int_equal(task_encode(&call, &m, &why), E_OK);
	assert_span(m.expiration, "0");
	msg_release(&m);
	msg_init(&m, 0);
	call.expires = NOW + 29999999;
	assert_int_equal(task_encode(&call, &m, &why), E_OK);
	assert_span(m.expiration, "29999");
	msg_release(&m);
}

static void
what_expires_too_late_for_the_broker_is_not_told_to_it(void **state UNUSED)
{
	struct task_call call = { .name = SPAN("t"), .now = NOW, .expires = NOW + INT64_C(315360000000000) };
	struct errtext why;
	struct msg m;

	msg_init(&m, 0);
	assert_int_equal(task_encode(&call, &m, &why), E_OK);
	assert_span(m.expiration, "315360000000");
	msg_release(&m);
	msg_init(&m, 0);
	call.expires += 1000;
	assert_int_equal(task_encode(&call, &m, &why), E_OK);
	assert_null(m.expiration.ptr);
	assert_non_null(table_get_string(&m.headers, "expires").ptr);
	msg_release(&m);
}

static void
refusals_name_the_cause(void **state UNUSED)
{
	static char long_id[300];
	const struct {
		struct task_call call;
		enum err e;
		const char *word;
	} rows[] = {
		{ { .name = SPAN_NONE }, E_FORMAT, "name" },
		{ { .name = SPAN("a\tb") }, E_FORMAT, "name" },
		{ { .name = SPAN("t"), .id = { long_id, sizeof(long_id) } }, E_FORMAT, "id" },
		{ { .name = SPAN("t"), .id = SPAN("") }, E_FORMAT, "id" },
		{ { .name = SPAN("t"), .reply_to = { long_id, sizeof(long_id) } }, E_FORMAT, "reply_to" },
		{ { .name = SPAN("t"), .args = SPAN("{}") }, E_FORMAT, "args" },
		{ { .name = SPAN("t"), .args = SPAN("[") }, E_FORMAT, "args" },
		{ { .name = SPAN("t"), .args = SPAN("[1], {}, {}], [") }, E_FORMAT, "args" },
		{ { .name = SPAN("t"), .kwargs = SPAN("[]") }, E_FORMAT, "kwargs" },
		{ { .name = SPAN("t"), .kwargs = SPAN("") }, E_FORMAT, "kwargs" },
		{ { .name = SPAN("t"), .callbacks = SPAN("5") }, E_FORMAT, "callbacks" },
		{ { .name = SPAN("t"), .errbacks = SPAN("x") }, E_FORMAT, "errbacks" },
		{ { .name = SPAN("t"), .chain = SPAN("{}") }, E_FORMAT, "chain" },
		{ { .name = SPAN("t"), .chord = SPAN("[]") }, E_FORMAT, "chord" },
		{ { .name = SPAN("t"), .priority_plus1 = 257 }, E_FORMAT, "priority" },
		{ { .name = SPAN("t"), .time_limit = -1 }, E_FORMAT, "time limit" },
	};
	struct errtext why;
	struct msg m;
	size_t i;

	memset(long_id, 'x', sizeof(long_id));
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		msg_init(&m, 0);
		assert_int_equal(task_encode(&rows[i].call, &m, &why), rows[i].e);
		if (!strstr(why.text, rows[i].word))
			fail_msg("row %zu: '%s' does not speak of %s", i, why.text, rows[i].word);
		msg_release(&m);
	}
}

static void
survives_every_failed_allocation(void **state UNUSED)
{
	struct pair pair = { SPAN("x"), val_text("y") };
	struct table user = { &pair, 1, 1 };
	const struct task_call call = { .name = SPAN("t"),
		.args = SPAN("[1.5, \"\\u0041\"]"),
		.time_limit = 2,
		.expires = NOW,
		.compress = true,
		.user_headers = &user };
	struct errtext why;
	enum err e = E_NOMEM;
	struct msg m;
	uint64_t nth;

	for (nth = 1; e == E_NOMEM; nth++) {
		msg_init(&m, 0);
		alloc_fail_after(nth);
		e = task_encode(&call, &m, &why);
		alloc_fail_after(0);
		msg_release(&m);
	}
	assert_int_equal(e, E_OK);
	assert_true(nth > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_a_celery_client_writes),
		cmocka_unit_test(defaults),
		cmocka_unit_test(the_caller_may_forget_everything_at_once),
		cmocka_unit_test(user_headers_may_override),
		cmocka_unit_test(what_is_past_expires_at_once),
		cmocka_unit_test(what_expires_too_late_for_the_broker_is_not_told_to_it),
		cmocka_unit_test(refusals_name_the_cause),
		cmocka_unit_test(survives_every_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
