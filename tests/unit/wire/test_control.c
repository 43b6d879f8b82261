#include "vectors.h"

#include "wire/control.h"

/* A raw member equals what json-c reads in the vector. */
static void
assert_json(const char *name, struct span raw, struct json_object *want)
{
	struct json_object *got;
	struct buf b;

	buf_init(&b, 0);
	buf_add(&b, raw.ptr != NULL ? raw : SPAN("null"));
	got = json_tokener_parse(buf_text(&b));
	if (!json_object_equal(got, want))
		fail_msg("%s: %s is not %s", name, buf_text(&b), json_object_to_json_string(want));
	json_object_put(got);
	buf_release(&b);
}

static size_t
fill_destination(struct json_object *list, const char **names, size_t max)
{
	size_t n = list != NULL ? json_object_array_length(list) : 0, i;

	assert_true(n <= max);
	for (i = 0; i < n; i++)
		names[i] = json_object_get_string(json_object_array_get_idx(list, i));
	return n;
}

static void
assert_same_message(const char *name, const struct msg *got, const struct msg *want)
{
	size_t i;

	assert_span_eq(name, got->exchange, want->exchange);
	assert_span_eq(name, got->routing_key, want->routing_key);
	assert_span_eq(name, got->content_type, want->content_type);
	assert_span_eq(name, got->content_encoding, want->content_encoding);
	assert_span_eq(name, got->body, want->body);
	assert_int_equal(got->delivery_mode, want->delivery_mode);
	assert_int_equal(got->priority, want->priority);
	assert_int_equal(got->headers.count, want->headers.count);
	for (i = 0; i < got->headers.count; i++) {
		const struct pair *a = &got->headers.pairs[i], *b = &want->headers.pairs[i];

		assert_true(span_eq(a->key, b->key));
		assert_int_equal(a->value.type, b->value.type);
		if (a->value.type == VAL_INT)
			assert_true(a->value.u.integer == b->value.u.integer);
		if (a->value.type == VAL_DOUBLE)
			assert_true(a->value.u.number == b->value.u.number);
		if (a->value.type == VAL_STRING)
			assert_true(span_eq(a->value.u.string, b->value.u.string));
	}
}

static void
check_request(const char *name, struct json_object *v)
{
	struct json_object *expect = vector_get(v, "expect"), *to = NULL;
	const char *destination[4];
	struct control_request r;
	struct control_call call;
	struct errtext why = { "" };
	const struct val *expires;
	struct msg m, again;

	msg_init(&m, 0);
	msg_init(&again, 0);
	vector_to_msg(v, &m);
	if (control_decode(&r, &m, &why) != E_OK)
		fail_msg("%s: %s", name, why.text);
	json_object_object_get_ex(expect, "reply_to", &to);
	assert_span_eq(name, r.method, vector_text(expect, "method"));
	assert_span_eq(name, r.ticket, vector_text(expect, "ticket"));
	assert_span_eq(name, r.pattern, vector_text(expect, "pattern"));
	assert_span_eq(name, r.matcher, vector_text(expect, "matcher"));
	assert_span_eq(name, r.reply_exchange, to ? vector_text(to, "exchange") : SPAN_NONE);
	assert_span_eq(name, r.reply_key, to ? vector_text(to, "routing_key") : SPAN_NONE);
	assert_json(name, r.arguments, vector_get(expect, "arguments"));
	assert_json(name, r.destination, vector_get(expect, "destination"));
	assert_int_equal(r.clock, 1);

	expires = table_get(&m.headers, "expires");
	call = (struct control_call){ .name = SPAN("celery"),
		.method = r.method,
		.arguments = r.arguments,
		.destination = destination,
		.pattern = r.pattern,
		.matcher = r.matcher,
		.ticket = r.ticket,
		.reply_key = r.reply_key,
		.clock = 1,
		.expires = expires->type == VAL_DOUBLE ? expires->u.number : 0 };
	call.n_destination =
		fill_destination(vector_get(expect, "destination"), destination, ARRAY_LEN(destination));
	assert_int_equal(control_encode(&again, &call), E_OK);
	assert_same_message(name, &again, &m);
	msg_release(&m);
	msg_release(&again);
}

static void
check_reply(const char *name, struct json_object *v)
{
	struct control_request r = {
		.reply_exchange = SPAN("reply.celery.pidbox"), .reply_key = SPAN("K1"), .ticket = SPAN("T1")
	};
	struct errtext why = { "" };
	struct control_reply reply;
	struct span node, answer;
	struct jscan_iter it;
	struct msg m, again;

	msg_init(&m, 0);
	msg_init(&again, 0);
	vector_to_msg(v, &m);
	if (control_decode_reply(&reply, &m, &why) != E_OK)
		fail_msg("%s: %s", name, why.text);
	assert_span(reply.ticket, "T1");
	assert_int_equal(reply.clock, 1);
	assert_true(jscan_begin(&it, reply.nodes) && jscan_next(&it));
	node = it.key;
	answer = it.value;
	assert_span(node, "w1@vm");
	assert_span_eq(name, answer, vector_text(v, "value"));
	assert_false(jscan_next(&it));
	assert_int_equal(control_encode_reply(&again, &r, node, answer, 1), E_OK);
	assert_same_message(name, &again, &m);
	msg_release(&m);
	msg_release(&again);
}

static void
check_vector(const char *name, struct json_object *v)
{
	if (span_starts(span_of(name), "request-"))
		check_request(name, v);
	else
		check_reply(name, v);
}

static void
reads_and_writes_what_kombu_sends(void **state UNUSED)
{
	assert_true(vectors_each("control", check_vector) >= 21);
}

/* --- requests of our own ------------------------------------------------------------------------------------------------ */

static struct msg message;
static struct control_request request;

static enum err
decode(const char *body, struct errtext *t)
{
	msg_release(&message);
	msg_init(&message, 0);
	message.body = span_of(body);
	return control_decode(&request, &message, t);
}

static bool
is_for(const char *who, const char *node)
{
	char body[1000];

	snprintf(body, sizeof(body), "{\"method\": \"ping\", %s}", who);
	assert_int_equal(decode(body, NULL), E_OK);
	return control_is_for(&request, span_of(node));
}

static void
everybody_or_those_addressed(void **state UNUSED)
{
	static const struct {
		const char *who;
		bool w1, w12;
	} rows[] = {
		{ "\"x\": 1", true, true },
		{ "\"destination\": null", true, true },
		{ "\"destination\": []", true, true },
		{ "\"destination\": [\"w1@vm\"]", true, false },
		{ "\"destination\": [5, null, \"w2@vm\", \"w12\\u0040vm\"]", false, true },
		{ "\"destination\": [\"w2@vm\"], \"pattern\": \"*\", \"matcher\": \"glob\"", false, false },
		{ "\"destination\": \"w1@vm\"", true, false },
		{ "\"pattern\": \"w?@*\", \"matcher\": \"glob\"", true, false },
		{ "\"pattern\": \"w[12]@\", \"matcher\": \"pcre\"", true, false },
		{ "\"pattern\": \"w1.*vm\", \"matcher\": \"pcre\"", true, true },
		{ "\"pattern\": \"1\", \"matcher\": \"pcre\"", false, false },
		{ "\"pattern\": \"w(\", \"matcher\": \"pcre\"", false, false },
		{ "\"pattern\": \"w{1,30}1{1,30}\", \"matcher\": \"pcre\"", true, true },
		/* Written out they would take gigabytes. */
		{ "\"pattern\": \"((w{1,90}){1,90})\", \"matcher\": \"pcre\"", false, false },
		{ "\"pattern\": \"w{1}{1,2000}\", \"matcher\": \"pcre\"", false, false },
		{ "\"pattern\": \"w+1+\", \"matcher\": \"pcre\"", true, true },
		{ "\"pattern\": \"w1++++++++++++++++++++++++++++++++++++++++\", \"matcher\": \"pcre\"", false,
			false },
		{ "\"pattern\": \"w1|(x*)*\\\\1\", \"matcher\": \"pcre\"", false, false },
		{ "\"pattern\": \"w\"", true, true },
		{ "\"pattern\": \"w*\", \"matcher\": \"sql\"", false, false },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		if (is_for(rows[i].who, "w1@vm") != rows[i].w1 || is_for(rows[i].who, "w12@vm") != rows[i].w12)
			fail_msg("%s", rows[i].who);
	}
}

static void
arguments_by_their_types(void **state UNUSED)
{
	struct control_texts w = { .started = false };
	struct span text;
	double d;

	assert_int_equal(
		decode("{\"method\": \"m\", \"arguments\": {\"t\": \"a\\u0062\", \"n\": 2.5, \"s\": \"7\", \"null\": null, \"zero\": 0, \"one\": 1,"
		       "\"empty\": \"\", \"list\": [\"x\", 4, null, {}, \"y\"], \"bad\": {}, \"big\": 1e999}}",
			NULL),
		E_OK);
	assert_true(control_arg_text(&request, "t", &text));
	assert_span(text, "ab");
	assert_true(control_arg_text(&request, "n", &text));
	assert_span(text, "2.5");
	assert_false(control_arg_text(&request, "null", &text) || control_arg_text(&request, "none", &text) ||
		control_arg_text(&request, "bad", &text));
	assert_null(control_arg(&request, "null").ptr);
	assert_true(control_arg_number(&request, "n", &d) && d == 2.5);
	assert_true(control_arg_number(&request, "s", &d) && d == 7);
	assert_false(control_arg_number(&request, "t", &d) || control_arg_number(&request, "none", &d) ||
		control_arg_number(&request, "list", &d));
	assert_true(control_arg_flag(&request, "one", false) && control_arg_flag(&request, "none", true) &&
		control_arg_flag(&request, "list", false));
	assert_false(control_arg_flag(&request, "zero", true) || control_arg_flag(&request, "empty", true) ||
		control_arg_flag(&request, "null", true));
	assert_true(control_next_text(&request, "list", &w, &text));
	assert_span(text, "x");
	assert_true(control_next_text(&request, "list", &w, &text));
	assert_span(text, "4");
	assert_true(control_next_text(&request, "list", &w, &text));
	assert_span(text, "y");
	assert_false(control_next_text(&request, "list", &w, &text));
	w = (struct control_texts){ .started = false };
	assert_true(control_next_text(&request, "t", &w, &text));
	assert_span(text, "ab");
	assert_false(control_next_text(&request, "t", &w, &text));
	w = (struct control_texts){ .started = false };
	assert_false(control_next_text(&request, "null", &w, &text));
}

static void
what_is_no_request_is_refused_by_name(void **state UNUSED)
{
	static const struct {
		const char *body, *word;
	} rows[] = {
		{ "[]", "an array" },
		{ "{\"method\"", "not JSON" },
		{ "{}", "'method'" },
		{ "{\"method\": null}", "'method'" },
		{ "{\"method\": 5}", "'method'" },
		{ "{\"method\": \"m\", \"arguments\": []}", "'arguments'" },
		{ "{\"method\": \"m\", \"ticket\": 5}", "'ticket'" },
		{ "{\"method\": \"m\", \"reply_to\": \"q\"}", "'reply_to'" },
		{ "{\"method\": \"m\", \"reply_to\": {\"exchange\": 5}}", "'reply_to.exchange'" },
		{ "{\"method\": \"m\", \"pattern\": {}}", "'pattern'" },
	};
	struct errtext t;
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(decode(rows[i].body, &t), E_FORMAT);
		if (strstr(t.text, rows[i].word) == NULL)
			fail_msg("%s: %s", rows[i].body, t.text);
	}
	msg_release(&message);
	msg_init(&message, 0);
	message.content_type = SPAN("application/x-python-serialize");
	message.body = SPAN("{\"method\": \"m\"}");
	assert_int_equal(control_decode(&request, &message, &t), E_FORMAT);
}

static void
names_of_queues(void **state UNUSED)
{
	char name[256], node[400];

	control_exchange_name(name, SPAN("celery"));
	assert_string_equal(name, "celery.pidbox");
	control_reply_exchange_name(name, SPAN("shop"));
	assert_string_equal(name, "reply.shop.pidbox");
	control_queue_name(name, SPAN("shop"), SPAN("w1@vm"));
	assert_string_equal(name, "w1@vm.shop.pidbox");
	control_reply_queue_name(name, SPAN("celery"), SPAN("K"));
	assert_string_equal(name, "K.reply.celery.pidbox");
	memset(node, 'x', sizeof(node));
	control_queue_name(name, SPAN("celery"), (struct span){ node, sizeof(node) });
	assert_int_equal(strlen(name), 255);
}

static int
clean_up(void **state UNUSED)
{
	msg_release(&message);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_what_kombu_sends),
		cmocka_unit_test(everybody_or_those_addressed),
		cmocka_unit_test(arguments_by_their_types),
		cmocka_unit_test(what_is_no_request_is_refused_by_name),
		cmocka_unit_test(names_of_queues),
	};

	return cmocka_run_group_tests(tests, NULL, clean_up);
}
