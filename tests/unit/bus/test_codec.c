/* bus/codec: frames from bytes in any pieces, messages both ways, and everything that a frame must not be. */
#include "bus/codec.h"

#include "lib/torture.h"

static void
be32_put(char *p, uint32_t v)
{
	p[0] = (char)(v >> 24);
	p[1] = (char)(v >> 16);
	p[2] = (char)(v >> 8);
	p[3] = (char)v;
}

static void
add_frame(struct buf *b, int type, uint16_t channel, struct span payload)
{
	char head[BUS_FRAME_HEAD];

	codec_put_head(head, type, channel, payload.len);
	buf_add(b, (struct span){ head, sizeof(head) });
	buf_add(b, payload);
	buf_addc(b, (char)AMQP_FRAME_END);
}

/* A stream with every kind of frame: tune, heartbeat, a message of 10 bytes in two frames, an empty body frame. */
static void
add_sample(struct buf *b)
{
	amqp_connection_tune_t tune = { 7, 8, 9 };
	amqp_pool_t pool;
	struct msg m;

	init_amqp_pool(&pool, 4096);
	msg_init(&m, 0);
	m.correlation_id = SPAN("id");
	m.body = SPAN("0123456789");
	assert_ok(codec_add_method(b, 0, AMQP_CONNECTION_TUNE_METHOD, &tune, BUS_FRAME_MAX));
	codec_add_heartbeat(b);
	assert_ok(codec_add_header(b, 3, &m, &pool));
	codec_add_body(b, 3, m.body, 4 + BUS_FRAME_EXTRA);
	add_frame(b, AMQP_FRAME_BODY, 3, SPAN(""));
	empty_amqp_pool(&pool);
	msg_release(&m);
}

/* Feeds all in pieces of n and writes down what comes out. */
static void
transcribe(struct buf *out, struct span all, size_t n)
{
	struct fault fault;
	struct span piece;
	struct codec c;
	struct frame f;
	enum err e;

	codec_init(&c);
	while (all.len > 0) {
		piece = (struct span){ all.ptr, n < all.len ? n : all.len };
		all.ptr += piece.len;
		all.len -= piece.len;
		while ((e = codec_next(&c, &piece, &f, &fault)) == E_OK) {
			if (f.type == AMQP_FRAME_METHOD)
				buf_addf(out, "m%d:%x:%d ", f.channel, (unsigned)f.method,
					((amqp_connection_tune_t *)f.args)->heartbeat);
			else if (f.type == AMQP_FRAME_HEADER)
				buf_addf(out, "h%d:%llu:%.*s ", f.channel, (unsigned long long)f.body_size,
					SPAN_FMT(span_of_amqp(f.props->correlation_id)));
			else if (f.type == AMQP_FRAME_BODY)
				buf_addf(out, "%.*s%s", SPAN_FMT(f.piece), f.end ? "." : "");
			else
				buf_adds(out, "beat ");
		}
		assert_int_equal(e, E_AGAIN);
		assert_int_equal(piece.len, 0);
	}
	codec_release(&c);
}

static void
frames_come_out_whole_in_whatever_pieces_they_come(void **state UNUSED)
{
	struct buf all, out;

	buf_init(&all, 0);
	buf_init(&out, 0);
	add_sample(&all);
	for (size_t n = 1; n <= all.len; n++) {
		transcribe(&out, buf_span(&all), n);
		assert_buf(&out, "m0:a001e:9 beat h3:10:id 0123.4567.89..");
	}
	buf_release(&all);
	buf_release(&out);
}

/* A content header with these encoded properties (flags and all), decoded. */
static enum err
decode_header(struct codec *c, struct span props, struct frame *f, struct fault *fault)
{
	struct buf b;
	struct span in;
	enum err e;

	buf_init(&b, 0);
	buf_add(&b, (struct span){ "\0\x3c\0\0\0\0\0\0\0\0\0\0", 12 });
	buf_add(&b, props);
	codec_reset(c);
	c->begun = true;
	/* The frame is copied by feeding it in two pieces, so that it may be looked at after b is gone. */
	{
		struct buf framed;

		buf_init(&framed, 0);
		add_frame(&framed, AMQP_FRAME_HEADER, 1, buf_span(&b));
		in = (struct span){ framed.data, 5 };
		assert_int_equal(codec_next(c, &in, f, fault), E_AGAIN);
		in = (struct span){ framed.data + 5, framed.len - 5 };
		e = codec_next(c, &in, f, fault);
		buf_release(&framed);
	}
	buf_release(&b);
	return e;
}

/* Flags with content type, headers and correlation id; then these. `table` is the encoded headers. */
static enum err
decode_with_headers(struct codec *c, struct span table, struct frame *f, struct fault *fault)
{
	struct buf b;
	enum err e;

	buf_init(&b, 0);
	buf_add(&b, (struct span){ "\xa4\x00\x04json", 7 });
	buf_add(&b, table);
	buf_adds(&b, "\2id");
	e = decode_header(c, buf_span(&b), f, fault);
	buf_release(&b);
	return e;
}

static void
headers_too_deep_are_cut_out_before_they_are_decoded(void **state UNUSED)
{
	static char table[130000];
	struct fault fault;
	struct codec c;
	struct frame f;
	size_t at = 0;

	codec_init(&c);
	/* Arrays in arrays as far as a frame reaches: librabbitmq alone would recurse 20,000 times. */
	be32_put(table, 100000 + 2);
	table[4] = 1;
	table[5] = 'k';
	for (at = 6; at + 5 <= 4 + 100000 + 2; at += 5) {
		table[at] = 'A';
		be32_put(table + at + 1, (uint32_t)(4 + 100000 + 2 - at - 5));
	}
	assert_ok(decode_with_headers(&c, (struct span){ table, 4 + 100000 + 2 }, &f, &fault));
	assert_string_equal(f.spoiled, "its headers are nested too deep");
	assert_non_null(f.props);
	assert_false(f.props->_flags & AMQP_BASIC_HEADERS_FLAG);
	assert_span(span_of_amqp(f.props->content_type), "json");
	assert_span(span_of_amqp(f.props->correlation_id), "id");
	codec_release(&c);
}

static void
properties_that_do_not_decode_spoil_the_message_only(void **state UNUSED)
{
	static const struct {
		struct span props;
		bool some; /* something of it could be read */
	} cases[] = {
		{ { "\x00\x01\x00\x00", 4 }, false },         /* a second word of flags */
		{ { "\x80\x00", 2 }, false },                 /* content type, but nothing there */
		{ { "\x80\x00\x05json", 7 }, false },         /* cut */
		{ { "\x20\x00\xff\xff\xff\xff", 6 }, false }, /* headers longer than the frame */
		{ { "\x60\x00\xff", 3 }, false },
		{ { "\x20\x00\0\0\0\4\1kz\0", 10 }, true }, /* a type that does not exist */
		{ { "\x04\x00\x09xx", 5 }, false },         /* correlation id cut */
	};
	struct fault fault;
	struct codec c;
	struct frame f;

	codec_init(&c);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_ok(decode_header(&c, cases[i].props, &f, &fault));
		assert_non_null(f.spoiled);
		assert_int_equal(f.props != NULL, cases[i].some);
	}
	assert_ok(decode_header(&c, (struct span){ "\0\0", 2 }, &f, &fault));
	assert_null(f.spoiled);
	assert_non_null(f.props);
	codec_release(&c);
}

static void
every_property_survives(void **state UNUSED)
{
	struct fault fault;
	struct msg m, back;
	amqp_pool_t pool;
	struct codec c;
	struct frame f;
	struct span in;
	struct buf b;

	codec_init(&c);
	c.begun = true;
	init_amqp_pool(&pool, 4096);
	buf_init(&b, 0);
	msg_init(&m, 0);
	msg_init(&back, 0);
	m.content_type = SPAN("ct");
	m.content_encoding = SPAN("ce");
	m.correlation_id = SPAN("ci");
	m.reply_to = SPAN("rt");
	m.expiration = SPAN("60");
	m.message_id = SPAN("mi");
	m.type = SPAN("ty");
	m.user_id = SPAN("ui");
	m.app_id = SPAN("");
	m.delivery_mode = 1;
	m.priority = 0;
	m.timestamp = 0;
	m.has_headers = true;
	assert_ok(codec_add_header(&b, 1, &m, &pool));
	in = buf_span(&b);
	assert_ok(codec_next(&c, &in, &f, &fault));
	assert_ok(codec_take_props(&back, f.props));
	assert_span(back.content_type, "ct");
	assert_span(back.content_encoding, "ce");
	assert_span(back.correlation_id, "ci");
	assert_span(back.reply_to, "rt");
	assert_span(back.expiration, "60");
	assert_span(back.message_id, "mi");
	assert_span(back.type, "ty");
	assert_span(back.user_id, "ui");
	assert_span(back.app_id, "");
	assert_int_equal(back.delivery_mode, 1);
	assert_int_equal(back.priority, 0);
	assert_int_equal(back.timestamp, 0);
	assert_true(back.has_headers);
	assert_int_equal(back.headers.count, 0);
	msg_release(&m);
	msg_release(&back);
	empty_amqp_pool(&pool);
	buf_release(&b);
	codec_release(&c);
}

static void
what_does_not_fit_a_frame_is_refused(void **state UNUSED)
{
	static char big[BUS_FRAME_MAX];
	amqp_pool_t pool;
	struct msg m;
	struct buf b;

	init_amqp_pool(&pool, 4096);
	buf_init(&b, 0);
	msg_init(&m, 0);
	m.has_headers = true;
	assert_ok(table_set(
		&m.headers, &m.arena, SPAN("k"), val_string((struct span){ big, BUS_FRAME_MAX - 100 })));
	assert_ok(codec_add_header(&b, 1, &m, &pool));
	assert_ok(table_set(&m.headers, &m.arena, SPAN("k"), val_string((struct span){ big, BUS_FRAME_MAX })));
	assert_int_equal(codec_add_header(&b, 1, &m, &pool), E_TOOBIG);
	m.has_headers = false;
	m.reply_to = (struct span){ big, 256 };
	assert_int_equal(codec_add_header(&b, 1, &m, &pool), E_TOOBIG);
	m.reply_to.len = 255;
	assert_ok(codec_add_header(&b, 1, &m, &pool));
	m.routing_key = (struct span){ big, 256 };
	assert_int_equal(codec_add_publish(&b, 1, &m, &pool), E_TOOBIG);
	msg_release(&m);
	empty_amqp_pool(&pool);
	buf_release(&b);
}

static void
a_bad_end_of_a_body_frame_is_seen(void **state UNUSED)
{
	struct fault fault;
	struct codec c;
	struct frame f;
	struct span in = { "\3\0\1\0\0\0\2xy\xcd", 10 };

	codec_init(&c);
	c.begun = true;
	assert_int_equal(codec_next(&c, &in, &f, &fault), E_FORMAT);
	assert_int_equal(fault.code, 501);
	codec_release(&c);
}

static void
large_header_tables_leave_nothing_behind(void **state UNUSED)
{
	struct fault fault;
	struct codec c;
	struct frame f;
	struct buf table;

	codec_init(&c);
	buf_init(&table, 0);
	buf_add(&table, (struct span){ "\0\0\0\0", 4 });
	for (int i = 0; i < 15000; i++)
		buf_add(&table, (struct span){ "\1kF\0\0\0\0", 7 });
	be32_put(table.data, (uint32_t)table.len - 4);
	for (int i = 0; i < 3; i++) {
		assert_ok(decode_with_headers(&c, buf_span(&table), &f, &fault));
		assert_null(f.spoiled);
		assert_int_equal(f.props->headers.num_entries, 15000);
	}
	assert_int_equal(codec_next(&c, &(struct span){ "", 0 }, &f, &fault), E_AGAIN);
	assert_true(c.pool.pages.num_blocks <= 4);
	assert_int_equal(c.pool.large_blocks.num_blocks, 0);
	buf_release(&table);
	codec_release(&c);
}

static enum err
encode_once(void *arg)
{
	const struct msg *m = arg;
	amqp_pool_t pool;
	struct buf b;
	enum err e;

	init_amqp_pool(&pool, 4096);
	buf_init(&b, 0);
	e = codec_add_publish(&b, 1, m, &pool);
	buf_release(&b);
	empty_amqp_pool(&pool);
	return e;
}

static enum err
decode_once(void *arg)
{
	struct span in = *(struct span *)arg;
	struct fault fault;
	struct codec c;
	struct frame f;
	struct msg m;
	enum err e;

	codec_init(&c);
	c.begun = true;
	msg_init(&m, 0);
	/* In two pieces, so that the frame is held. */
	{
		struct span head = { in.ptr, 9 };

		in.ptr += 9;
		in.len -= 9;
		e = codec_next(&c, &head, &f, &fault);
	}
	if (e == E_AGAIN)
		e = codec_next(&c, &in, &f, &fault);
	if (e == E_OK)
		e = codec_take_props(&m, f.props);
	msg_release(&m);
	codec_release(&c);
	return e;
}

static void
no_memory_is_an_error(void **state UNUSED)
{
	struct span in;
	amqp_pool_t pool;
	struct msg m;
	struct buf b;

	init_amqp_pool(&pool, 4096);
	buf_init(&b, 0);
	msg_init(&m, 0);
	m.correlation_id = SPAN("id");
	m.has_headers = true;
	for (int i = 0; i < 20; i++) {
		struct span key = arena_dup(&m.arena, (struct span){ &"abcdefghijklmnopqrst"[i], 1 });

		assert_ok(table_set(&m.headers, &m.arena, key, val_text("a value of some length")));
	}
	torture(encode_once, &m);
	assert_ok(codec_add_header(&b, 1, &m, &pool));
	in = buf_span(&b);
	torture(decode_once, &in);
	buf_release(&b);
	msg_release(&m);
	empty_amqp_pool(&pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_out_whole_in_whatever_pieces_they_come),
		cmocka_unit_test(headers_too_deep_are_cut_out_before_they_are_decoded),
		cmocka_unit_test(properties_that_do_not_decode_spoil_the_message_only),
		cmocka_unit_test(every_property_survives),
		cmocka_unit_test(what_does_not_fit_a_frame_is_refused),
		cmocka_unit_test(a_bad_end_of_a_body_frame_is_seen),
		cmocka_unit_test(large_header_tables_leave_nothing_behind),
		cmocka_unit_test(no_memory_is_an_error),
	};

	return cmocka_run_group_tests_name("bus/codec", tests, NULL, NULL);
}
