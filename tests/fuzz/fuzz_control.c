/*
 * Control requests, replies and events, which come from anybody on the broker: the bytes are the body of each of the three in turn. What
 * decodes is written again, and from then on the bytes stay the same.
 */
#include "fuzz.h"

#include "wire/control.h"
#include "wire/event.h"

static void
check_request(struct msg *m)
{
	static const char *const keys[] = { "task_id", "terminate", "n", "queue" };
	struct control_texts w = { .started = false };
	struct control_request r;
	struct errtext why = { "" };
	struct span text;
	struct msg reply;
	double d;
	size_t i;

	if (control_decode(&r, m, &why) != E_OK) {
		CHECK(why.text[0]);
		return;
	}
	CHECK(r.method.ptr != NULL && jscan_kind(r.arguments) == JSCAN_OBJECT);
	control_is_for(&r, SPAN("w1@vm"));
	for (i = 0; i < ARRAY_LEN(keys); i++) {
		if (control_arg_text(&r, keys[i], &text))
			CHECK(text.ptr != NULL);
		control_arg_flag(&r, keys[i], true);
		control_arg_number(&r, keys[i], &d);
	}
	while (control_next_text(&r, "task_id", &w, &text))
		CHECK(text.ptr != NULL);
	msg_init(&reply, 0);
	CHECK(control_encode_reply(&reply, &r, SPAN("w1@vm"), r.arguments, 1) == E_OK);
	CHECK(jscan_check(reply.body, NULL, NULL, NULL) == E_OK);
	msg_release(&reply);
}

static void
check_reply(struct msg *m)
{
	struct errtext why = { "" };
	struct control_reply r;

	if (control_decode_reply(&r, m, &why) == E_OK)
		CHECK(jscan_kind(r.nodes) == JSCAN_OBJECT);
	else
		CHECK(why.text[0]);
}

/* Written, read and written again. */
static void
check_event(const struct evt *e)
{
	struct evt_reader r;
	struct evt again;
	struct buf once, twice;
	struct msg m;

	buf_init(&once, 0);
	buf_init(&twice, 0);
	msg_init(&m, 0);
	evt_add(&once, e);
	CHECK(once.err == E_OK);
	m.body = buf_span(&once);
	CHECK(evt_begin(&r, &m, NULL) == E_OK && evt_next(&r, &again) && again.type == e->type);
	evt_add(&twice, &again);
	CHECK(span_eq(buf_span(&once), buf_span(&twice)));
	CHECK(!evt_next(&r, &again));
	msg_release(&m);
	buf_release(&once);
	buf_release(&twice);
}

static void
check_events(struct msg *m)
{
	struct errtext why = { "" };
	struct evt_reader r;
	struct evt e;

	if (evt_begin(&r, m, &why) != E_OK) {
		CHECK(why.text[0]);
		return;
	}
	while (evt_next(&r, &e))
		if (e.type != EVENT_OTHER)
			check_event(&e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg m;

	msg_init(&m, 0);
	m.body = (struct span){ (const char *)data, size };
	check_request(&m);
	check_reply(&m);
	check_events(&m);
	msg_release(&m);
	return 0;
}
