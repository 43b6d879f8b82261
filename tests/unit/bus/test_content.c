/* bus/chan: messages put together from frames, in whatever pieces, order or state they come. */
#include "bus/chan.h"

#include <malloc.h>

#include "unit/bus/recorder.h"

static void
a_delivery_arrives_whole(void **state UNUSED)
{
	struct bus_delivery *d;
	struct msg m;
	struct rec r;
	struct fx x;
	int64_t i;

	/* Cut after every so many bytes; 0 = in one piece. */
	for (size_t chop = 0; chop <= 9; chop++) {
		fx_open(&x, NULL);
		rec_start(&r, &x);
		fx_msg(&m, "ex", "key", "id-1", "[[2, 3], {}, null]");
		m.priority = 3;
		m.timestamp = 1700000000;
		m.expiration = SPAN("60000");
		fake_chop(x.fake, chop);
		fake_deliver(x.fake, 1, "c1", 42, &m);
		fake_until(x.fake, got_one, &r);
		d = &r.got[0];
		assert_int_equal(d->tag.tag, 42);
		assert_int_equal(d->tag.epoch, bus_chan_epoch(r.ch));
		assert_false(d->redelivered);
		assert_null(d->spoiled);
		assert_span(d->consumer, "c1");
		assert_span(d->msg->exchange, "ex");
		assert_span(d->msg->routing_key, "key");
		assert_span(d->msg->correlation_id, "id-1");
		assert_span(d->msg->content_type, "application/json");
		assert_span(d->msg->expiration, "60000");
		assert_none(d->msg->reply_to);
		assert_int_equal(d->msg->priority, 3);
		assert_int_equal(d->msg->timestamp, 1700000000);
		assert_int_equal(d->msg->delivery_mode, 2);
		assert_span(table_get_string(&d->msg->headers, "task"), "add");
		assert_true(table_get_int(&d->msg->headers, "retries", &i) && i == 0);
		assert_span(d->msg->body, "[[2, 3], {}, null]");
		rec_end(&r);
		msg_release(&m);
		fx_release(&x);
	}
}

static void
an_empty_body_is_a_message_too(void **state UNUSED)
{
	struct msg m;
	struct rec r;
	struct fx x;

	fx_open(&x, NULL);
	rec_start(&r, &x);
	msg_init(&m, 0);
	fake_deliver(x.fake, 1, "c", 1, &m);
	fake_until(x.fake, got_one, &r);
	assert_int_equal(r.got[0].msg->body.len, 0);
	assert_non_null(r.got[0].msg->body.ptr);
	assert_false(r.got[0].msg->has_headers);
	assert_int_equal(r.got[0].msg->priority, -1);
	rec_end(&r);
	fx_release(&x);
}

static void
a_large_body_comes_in_many_frames(void **state UNUSED)
{
	size_t size = 3 * 1024 * 1024 + 7;
	char *body = alloc_bytes(size);
	amqp_basic_deliver_t d = { .consumer_tag = amqp_of_span(SPAN("c")), .delivery_tag = 1 };
	struct msg m;
	struct rec r;
	struct fx x;

	assert_non_null(body);
	for (size_t i = 0; i < size; i++)
		body[i] = (char)(i * 7 + i / 4096);
	fx_open(&x, NULL);
	rec_start(&r, &x);
	msg_init(&m, 0);
	m.body = (struct span){ body, size };
	fake_send_content(x.fake, 1, AMQP_BASIC_DELIVER_METHOD, &d, &m, 5000);
	fake_until(x.fake, got_one, &r);
	assert_int_equal(r.got[0].msg->body.len, size);
	assert_memory_equal(r.got[0].msg->body.ptr, body, size);
	rec_end(&r);
	fx_release(&x);
	alloc_free(body);
}

static void
frames_of_two_channels_may_be_mixed(void **state UNUSED)
{
	struct span one[32], two[32];
	struct buf b1, b2;
	struct msg m1, m2;
	struct rec r1, r2;
	struct fx x;
	size_t n1, n2;

	fx_open(&x, NULL);
	rec_start(&r1, &x);
	rec_start(&r2, &x);
	fx_msg(&m1, "", "q1", "first", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	fx_msg(&m2, "", "q2", "second", "bbbbbbbbbbbbbbbbbbbb");
	n1 = cut(one, &b1, 1, &m1, 4);
	n2 = cut(two, &b2, 2, &m2, 3);
	for (size_t i = 0; i < n1 || i < n2; i++) {
		if (i < n1)
			fake_send_raw(x.fake, one[i]);
		fake_send_raw(x.fake, (struct span){ "\x08\0\0\0\0\0\0\xce", 8 });
		if (i < n2)
			fake_send_raw(x.fake, two[i]);
	}
	fake_until(x.fake, got_one, &r1);
	fake_until(x.fake, got_one, &r2);
	assert_span(r1.got[0].msg->body, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_span(r1.got[0].msg->correlation_id, "first");
	assert_span(r2.got[0].msg->body, "bbbbbbbbbbbbbbbbbbbb");
	assert_span(r2.got[0].msg->correlation_id, "second");
	assert_int_equal(x.downs, 0);
	rec_end(&r1);
	rec_end(&r2);
	buf_release(&b1);
	buf_release(&b2);
	msg_release(&m1);
	msg_release(&m2);
	fx_release(&x);
}

static void
frames_at_the_wrong_place_are_a_fault(void **state UNUSED)
{
	/* Which frames of a delivery come, by their index: method 0, header 1, body 2; `m` is an extra method frame. */
	static const char *const orders[] = { "1", "2", "02", "011", "0m", "01m", "0122" };
	struct span frames[8];
	struct buf b;
	struct msg m;
	struct rec r;
	struct fx x;

	for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
		fx_open(&x, NULL);
		rec_start(&r, &x);
		fx_msg(&m, "", "q", "id", "0123456789");
		assert_int_equal(cut(frames, &b, 1, &m, 6), 4);
		for (const char *o = orders[i]; *o != '\0'; o++)
			fake_send_raw(x.fake, frames[*o == 'm' ? 0 : *o - '0']);
		assert_int_equal(
			((amqp_connection_close_t *)fake_expect(x.fake, AMQP_CONNECTION_CLOSE_METHOD)->args)
				->reply_code,
			505);
		assert_int_equal(r.n_got, 0);
		rec_end(&r);
		buf_release(&b);
		msg_release(&m);
		fx_release(&x);
	}
}

static void
a_message_half_way_in_dies_with_the_connection(void **state UNUSED)
{
	struct span frames[8];
	struct buf b;
	struct msg m;
	struct rec r;
	struct fx x;

	fx_open(&x, NULL);
	rec_start(&r, &x);
	x.redial = true;
	fx_msg(&m, "", "q", "id", "0123456789");
	assert_int_equal(cut(frames, &b, 1, &m, 6), 4);
	for (int i = 0; i < 3; i++)
		fake_send_raw(x.fake, frames[i]);
	fake_settle(x.fake);
	fake_close(x.fake, 320, "CONNECTION_FORCED");
	fake_until(x.fake, fx_is_down, &x);
	fake_until(x.fake, rec_is_open, &r);
	for (int i = 0; i < 4; i++)
		fake_send_raw(x.fake, frames[i]);
	fake_until(x.fake, got_one, &r);
	assert_int_equal(r.n_got, 1);
	assert_span(r.got[0].msg->body, "0123456789");
	rec_end(&r);
	buf_release(&b);
	msg_release(&m);
	fx_release(&x);
}

static void
returns_are_told(void **state UNUSED)
{
	amqp_basic_return_t m = {
		.reply_code = 312,
		.reply_text = amqp_of_span(SPAN("NO_ROUTE")),
		.exchange = amqp_of_span(SPAN("ex")),
		.routing_key = amqp_of_span(SPAN("nowhere")),
	};
	struct msg content;
	struct rec r;
	struct fx x;

	fx_open(&x, &(struct bus_conf){ .message_max = 4 });
	rec_start(&r, &x);
	fx_msg(&content, "", "", "id-5", "longer than message_max");
	fake_send_content(x.fake, 1, AMQP_BASIC_RETURN_METHOD, &m, &content, 4096);
	fake_settle(x.fake);
	assert_int_equal(r.returns, 1);
	assert_int_equal(r.return_code, 312);
	assert_string_equal(r.returned.text, "NO_ROUTE|ex|nowhere|id-5");
	rec_end(&r);
	msg_release(&content);
	fx_release(&x);
}

static void
too_long_a_body_is_not_kept(void **state UNUSED)
{
	struct msg m;
	struct rec r;
	struct fx x;

	fx_open(&x, &(struct bus_conf){ .message_max = 10 });
	rec_start(&r, &x);
	fx_msg(&m, "", "q", "id-1", "0123456789a");
	fake_deliver(x.fake, 1, "c", 1, &m);
	m.body = SPAN("0123456789");
	fake_deliver(x.fake, 1, "c", 2, &m);
	fake_settle(x.fake);
	assert_int_equal(r.n_got, 2);
	assert_string_equal(r.got[0].spoiled, "its body has 11 bytes, 10 are allowed");
	assert_int_equal(r.got[0].msg->body.len, 0);
	assert_span(r.got[0].msg->correlation_id, "id-1");
	assert_null(r.got[1].spoiled);
	assert_span(r.got[1].msg->body, "0123456789");
	rec_end(&r);
	msg_release(&m);
	fx_release(&x);
}

static void
a_body_size_of_a_liar_allocates_nothing(void **state UNUSED)
{
	struct span frames[8];
	struct buf b;
	struct msg m;
	struct rec r;
	struct fx x;

	fx_open(&x, NULL);
	rec_start(&r, &x);
	fx_msg(&m, "", "q", "id-1", "x");
	assert_int_equal(cut(frames, &b, 1, &m, 6), 3);
	memset((char *)(uintptr_t)frames[1].ptr + BUS_FRAME_HEAD + 4, 0x7f, 8);
	fake_send_raw(x.fake, frames[0]);
	fake_send_raw(x.fake, frames[1]);
	fake_send_raw(x.fake, frames[2]);
	fake_settle(x.fake);
	assert_int_equal(r.n_got, 0);
	assert_int_equal(x.downs, 0); /* it waits for the rest, and heartbeats tell whether the broker lives */
	rec_end(&r);
	buf_release(&b);
	msg_release(&m);
	fx_release(&x);
}

static void
headers_that_fill_a_frame_are_told_of(void **state UNUSED)
{
	static char pad[130000];
	struct msg m;
	struct rec r;
	struct fx x;

	memset(pad, 'x', sizeof(pad));
	fx_open(&x, NULL);
	rec_start(&r, &x);
	for (size_t i = 0; i < 2; i++) {
		struct val v = val_string((struct span){ pad, i == 0 ? sizeof(pad) : 100000 });

		fx_msg(&m, "", "q", "id-1", "x");
		assert_ok(table_set(&m.headers, &m.arena, SPAN("pad"), v));
		fake_deliver(x.fake, 1, "c", i + 1, &m);
		msg_release(&m);
	}
	fake_settle(x.fake);
	assert_int_equal(r.n_got, 2);
	assert_non_null(strstr(r.got[0].spoiled, "fill a frame"));
	assert_int_equal(table_get_string(&r.got[0].msg->headers, "pad").len, sizeof(pad));
	assert_null(r.got[1].spoiled);
	rec_end(&r);
	fx_release(&x);
}

static void
spoiled_headers_do_not_end_the_connection(void **state UNUSED)
{
	struct span frames[8];
	struct buf b;
	struct msg m;
	struct rec r;
	struct fx x;
	char *type;

	fx_open(&x, NULL);
	rec_start(&r, &x);
	fx_msg(&m, "", "q", "id-1", "x");
	m.priority = 5;
	assert_int_equal(cut(frames, &b, 1, &m, 6), 3);
	type = memmem(frames[1].ptr, frames[1].len, "retriesI", 8);
	assert_non_null(type);
	type[7] = 'z'; /* no such type */
	for (int i = 0; i < 3; i++)
		fake_send_raw(x.fake, frames[i]);
	fake_until(x.fake, got_one, &r);
	assert_string_equal(r.got[0].spoiled, "its headers do not decode");
	assert_false(r.got[0].msg->has_headers);
	assert_span(r.got[0].msg->correlation_id, "id-1");
	assert_span(r.got[0].msg->content_type, "application/json");
	assert_int_equal(r.got[0].msg->priority, 5);
	assert_span(r.got[0].msg->body, "x");
	assert_int_equal(x.downs, 0);
	rec_end(&r);
	buf_release(&b);
	msg_release(&m);
	fx_release(&x);
}

static size_t
heap_in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void
memory_stays_flat_over_many_messages(void **state UNUSED)
{
	size_t early = 0, n = 100000;
	struct span all;
	struct buf b;
	struct msg m;
	struct rec r;
	struct fx x;

	fx_open(&x, NULL);
	rec_start(&r, &x);
	fx_msg(&m, "", "q", "5f0c2a9e-6a0b-4b3c-9d55-0f7f4b8a1c11", "[[2, 3], {}, {\"callbacks\": null}]");
	(void)cut((struct span[8]){ 0 }, &b, 1, &m, 4096);
	all = buf_span(&b);
	for (size_t i = 0; i < n; i++) {
		fake_send_raw(x.fake, all);
		while (r.n_got == 0)
			loop_turn(x.loop, 1);
		while (r.n_got > 0)
			bus_msg_free(r.got[--r.n_got].msg);
		if (i == n / 10)
			early = heap_in_use();
	}
	assert_true(heap_in_use() <= early + 4096);
	rec_end(&r);
	buf_release(&b);
	msg_release(&m);
	fx_release(&x);
}

static void
without_memory_the_message_comes_again_later(void **state UNUSED)
{
	bool arrived = false;
	struct msg m;
	struct rec r;
	struct fx x;

	for (uint64_t nth = 1; !arrived; nth++) {
		assert_true(nth < 100);
		fx_open(&x, NULL);
		rec_start(&r, &x);
		fx_msg(&m, "ex", "key", "id-1", "[[2, 3], {}, null]");
		fake_deliver(x.fake, 1, "c1", 42, &m);
		alloc_fail_after(nth);
		loop_turn(x.loop, 100); /* in which the client reads it */
		alloc_fail_after(0);
		arrived = r.n_got == 1;
		/* Not taken: given back to the queue, by ending the connection. */
		assert_int_equal(x.downs, arrived ? 0 : 1);
		if (!arrived)
			assert_true(x.down.was_up && (x.down.code == 506 || x.down.err == E_NOMEM));
		rec_end(&r);
		msg_release(&m);
		fx_release(&x);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_delivery_arrives_whole),
		cmocka_unit_test(an_empty_body_is_a_message_too),
		cmocka_unit_test(a_large_body_comes_in_many_frames),
		cmocka_unit_test(frames_of_two_channels_may_be_mixed),
		cmocka_unit_test(frames_at_the_wrong_place_are_a_fault),
		cmocka_unit_test(a_message_half_way_in_dies_with_the_connection),
		cmocka_unit_test(returns_are_told),
		cmocka_unit_test(too_long_a_body_is_not_kept),
		cmocka_unit_test(a_body_size_of_a_liar_allocates_nothing),
		cmocka_unit_test(headers_that_fill_a_frame_are_told_of),
		cmocka_unit_test(spoiled_headers_do_not_end_the_connection),
		cmocka_unit_test(memory_stays_flat_over_many_messages),
		cmocka_unit_test(without_memory_the_message_comes_again_later),
	};

	return cmocka_run_group_tests_name("bus/content", tests, NULL, NULL);
}
