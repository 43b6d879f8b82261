/*
 * The fake broker. Reads frames with a small parser of its own (so that it does not share the client's mistakes), decodes them with
 * librabbitmq, and writes with bus/codec.
 */
#include "fake/fakebroker.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus/codec.h"

#define PATIENCE_MS 10000
#define ODD_MAX 32

struct fake {
	struct loop *loop;
	int fd;
	struct loop_fd readable;
	bool eof, deaf;
	bool greeted; /* the protocol header came */
	struct buf in, out;
	struct loop_timer flush;
	struct list got, done;   /* struct fake_in: waiting for the test, and handed to it */
	struct fake_in *partial; /* a publish whose body is not whole */
	uint64_t body_left;
	bool want_header;
	bool mute_all;
	uint32_t odd[ODD_MAX]; /* methods for which it is the other way round */
	size_t n_odd;
	amqp_connection_tune_t tune;
	size_t chop;
	uint64_t published[BUS_CHANNEL_MAX + 1]; /* the confirm number by channel; 0 = not in confirm mode */
	uint16_t last_channel;
};

static bool
answers(const struct fake *f, uint32_t method)
{
	for (size_t i = 0; i < f->n_odd; i++)
		if (f->odd[i] == method)
			return f->mute_all;
	return !f->mute_all;
}

/* --- writing --- */

/* All that the socket takes, or one piece. Never turns the loop: this may run inside one of its callbacks. */
static void
flush(void *owner)
{
	struct fake *f = owner;
	size_t n = f->chop > 0 && f->chop < f->out.len ? f->chop : f->out.len;
	ssize_t sent = send(f->fd, f->out.data, n, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent > 0)
		buf_drop(&f->out, (size_t)sent);
	else if (errno != EAGAIN)
		buf_reset(&f->out); /* the client is gone; the test sees that elsewhere */
	if (f->out.len > 0)
		loop_timer_arm(&f->flush, sent > 0 ? 0 : 1);
}

static void
write_all(struct fake *f, struct span bytes)
{
	bool idle = f->out.len == 0;

	buf_add(&f->out, bytes);
	assert_int_equal(f->out.err, E_OK);
	if (idle && f->chop == 0)
		flush(f);
	else if (idle)
		loop_timer_arm(&f->flush, 0);
}

void
fake_send_raw(struct fake *f, struct span bytes)
{
	write_all(f, bytes);
}

void
fake_send(struct fake *f, uint16_t channel, uint32_t method, void *args)
{
	struct buf b;

	buf_init(&b, 0);
	assert_int_equal(codec_add_method(&b, channel, method, args, BUS_FRAME_MAX), E_OK);
	write_all(f, buf_span(&b));
	buf_release(&b);
}

void
fake_send_content(
	struct fake *f, uint16_t channel, uint32_t method, void *args, const struct msg *m, size_t frame_max)
{
	amqp_pool_t pool;
	struct buf b;

	init_amqp_pool(&pool, 4096);
	buf_init(&b, 0);
	assert_int_equal(codec_add_method(&b, channel, method, args, BUS_FRAME_MAX), E_OK);
	assert_int_equal(codec_add_header(&b, channel, m, &pool), E_OK);
	codec_add_body(&b, channel, m->body, frame_max > 0 ? frame_max : BUS_FRAME_MAX);
	assert_int_equal(b.err, E_OK);
	write_all(f, buf_span(&b));
	buf_release(&b);
	empty_amqp_pool(&pool);
}

void
fake_deliver(struct fake *f, uint16_t channel, const char *consumer, uint64_t tag, const struct msg *m)
{
	amqp_basic_deliver_t d = {
		.consumer_tag = amqp_of_span(span_of(consumer)),
		.delivery_tag = tag,
		.exchange = amqp_of_span(m->exchange),
		.routing_key = amqp_of_span(m->routing_key),
	};

	fake_send_content(f, channel, AMQP_BASIC_DELIVER_METHOD, &d, m, 0);
}

void
fake_ack(struct fake *f, uint16_t channel, uint64_t tag, bool multiple)
{
	fake_send(f, channel, AMQP_BASIC_ACK_METHOD, &(amqp_basic_ack_t){ tag, multiple });
}

void
fake_nack(struct fake *f, uint16_t channel, uint64_t tag, bool multiple)
{
	fake_send(f, channel, AMQP_BASIC_NACK_METHOD,
		&(amqp_basic_nack_t){ .delivery_tag = tag, .multiple = multiple });
}

void
fake_return(struct fake *f, uint16_t channel, const struct fake_in *publish)
{
	const amqp_basic_publish_t *p = publish->args;
	amqp_basic_return_t r = {
		.reply_code = AMQP_NO_ROUTE,
		.reply_text = amqp_of_span(SPAN("NO_ROUTE")),
		.exchange = p->exchange,
		.routing_key = p->routing_key,
	};

	fake_send_content(f, channel, AMQP_BASIC_RETURN_METHOD, &r, &publish->msg, 0);
}

void
fake_close_channel(struct fake *f, uint16_t channel, int code, const char *text, uint32_t method)
{
	amqp_channel_close_t m = {
		.reply_code = (uint16_t)code,
		.reply_text = amqp_of_span(span_of(text)),
		.class_id = (uint16_t)(method >> 16),
		.method_id = (uint16_t)method,
	};

	f->published[channel] = 0;
	fake_send(f, channel, AMQP_CHANNEL_CLOSE_METHOD, &m);
}

void
fake_close(struct fake *f, int code, const char *text)
{
	amqp_connection_close_t m = { .reply_code = (uint16_t)code,
		.reply_text = amqp_of_span(span_of(text)) };

	fake_send(f, 0, AMQP_CONNECTION_CLOSE_METHOD, &m);
}

void
fake_block(struct fake *f, bool blocked)
{
	if (blocked)
		fake_send(f, 0, AMQP_CONNECTION_BLOCKED_METHOD,
			&(amqp_connection_blocked_t){ amqp_of_span(SPAN("low on memory")) });
	else
		fake_send(f, 0, AMQP_CONNECTION_UNBLOCKED_METHOD, &(amqp_connection_unblocked_t){ 0 });
}

/* --- what a broker answers by itself --- */

static void
send_start(struct fake *f)
{
	amqp_table_entry_t props[] = {
		{ amqp_of_span(SPAN("product")),
			{ AMQP_FIELD_KIND_UTF8, { .bytes = amqp_of_span(SPAN("Fake")) } } },
		{ amqp_of_span(SPAN("version")),
			{ AMQP_FIELD_KIND_UTF8, { .bytes = amqp_of_span(SPAN("1.2.3")) } } },
	};
	amqp_connection_start_t m = {
		.version_minor = 9,
		.server_properties = { ARRAY_LEN(props), props },
		.mechanisms = amqp_of_span(SPAN("AMQPLAIN PLAIN")),
		.locales = amqp_of_span(SPAN("en_US")),
	};

	fake_send(f, 0, AMQP_CONNECTION_START_METHOD, &m);
}

/* Replies without a field that matters. */
static const struct {
	uint32_t to, with;
} plain_replies[] = {
	{ AMQP_CONNECTION_OPEN_METHOD, AMQP_CONNECTION_OPEN_OK_METHOD },
	{ AMQP_CONNECTION_CLOSE_METHOD, AMQP_CONNECTION_CLOSE_OK_METHOD },
	{ AMQP_CHANNEL_OPEN_METHOD, AMQP_CHANNEL_OPEN_OK_METHOD },
	{ AMQP_CHANNEL_CLOSE_METHOD, AMQP_CHANNEL_CLOSE_OK_METHOD },
	{ AMQP_EXCHANGE_DECLARE_METHOD, AMQP_EXCHANGE_DECLARE_OK_METHOD },
	{ AMQP_EXCHANGE_BIND_METHOD, AMQP_EXCHANGE_BIND_OK_METHOD },
	{ AMQP_QUEUE_BIND_METHOD, AMQP_QUEUE_BIND_OK_METHOD },
	{ AMQP_QUEUE_PURGE_METHOD, AMQP_QUEUE_PURGE_OK_METHOD },
	{ AMQP_QUEUE_DELETE_METHOD, AMQP_QUEUE_DELETE_OK_METHOD },
	{ AMQP_BASIC_QOS_METHOD, AMQP_BASIC_QOS_OK_METHOD },
	{ AMQP_BASIC_GET_METHOD, AMQP_BASIC_GET_EMPTY_METHOD },
	{ AMQP_CONFIRM_SELECT_METHOD, AMQP_CONFIRM_SELECT_OK_METHOD },
};

static void
answer(struct fake *f, const struct fake_in *in)
{
	union {
		amqp_channel_open_ok_t open;
		amqp_queue_declare_ok_t declare;
		amqp_basic_consume_ok_t consume;
		amqp_basic_cancel_ok_t cancel;
		char zero[64];
	} m = { .zero = { 0 } };

	if (in->method == AMQP_CHANNEL_OPEN_METHOD)
		f->last_channel = in->channel;
	if (in->method == AMQP_CONFIRM_SELECT_METHOD)
		f->published[in->channel] = 1;
	if (in->method == AMQP_CHANNEL_CLOSE_METHOD)
		f->published[in->channel] = 0;
	if (!answers(f, in->method))
		return;
	switch (in->method) {
	case AMQP_CONNECTION_START_OK_METHOD:
		fake_send(f, 0, AMQP_CONNECTION_TUNE_METHOD, &f->tune);
		return;
	case AMQP_QUEUE_DECLARE_METHOD:
		m.declare.queue = ((amqp_queue_declare_t *)in->args)->queue;
		fake_send(f, in->channel, AMQP_QUEUE_DECLARE_OK_METHOD, &m);
		return;
	case AMQP_BASIC_CONSUME_METHOD:
		m.consume.consumer_tag = ((amqp_basic_consume_t *)in->args)->consumer_tag;
		fake_send(f, in->channel, AMQP_BASIC_CONSUME_OK_METHOD, &m);
		return;
	case AMQP_BASIC_CANCEL_METHOD:
		m.cancel.consumer_tag = ((amqp_basic_cancel_t *)in->args)->consumer_tag;
		fake_send(f, in->channel, AMQP_BASIC_CANCEL_OK_METHOD, &m);
		return;
	case AMQP_BASIC_PUBLISH_METHOD:
		if (f->published[in->channel] != 0)
			fake_ack(f, in->channel, f->published[in->channel]++, false);
		return;
	default:
		for (size_t i = 0; i < ARRAY_LEN(plain_replies); i++)
			if (plain_replies[i].to == in->method)
				fake_send(f, in->channel, plain_replies[i].with, &m);
	}
}

/* --- reading --- */

static void
take_in(struct fake *f, struct fake_in *in)
{
	list_push(&f->got, &in->link);
	answer(f, in);
}

static uint32_t
u32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void
on_method_frame(struct fake *f, uint16_t channel, struct span payload)
{
	struct fake_in *in = alloc_zero(sizeof(*in));
	amqp_bytes_t encoded;

	assert_non_null(in);
	assert_null(f->partial);
	assert_true(payload.len >= 4);
	in->channel = channel;
	in->method = u32(payload.ptr);
	in->bytes = alloc_dup(payload);
	msg_init(&in->msg, 0);
	init_amqp_pool(&in->pool, 4096);
	encoded = (amqp_bytes_t){ payload.len - 4, in->bytes + 4 };
	assert_int_equal(amqp_decode_method(in->method, &in->pool, encoded, &in->args), 0);
	if (in->method != AMQP_BASIC_PUBLISH_METHOD) {
		take_in(f, in);
		return;
	}
	in->msg.exchange = span_of_amqp(((amqp_basic_publish_t *)in->args)->exchange);
	in->msg.routing_key = span_of_amqp(((amqp_basic_publish_t *)in->args)->routing_key);
	f->partial = in;
	f->want_header = true;
}

static void
on_content_frame(struct fake *f, int type, struct span payload)
{
	struct fake_in *in = f->partial;
	void *props;
	char *body;

	assert_non_null(in);
	assert_int_equal(f->want_header, type == AMQP_FRAME_HEADER);
	if (type == AMQP_FRAME_HEADER) {
		f->want_header = false;
		f->body_left = (uint64_t)u32(payload.ptr + 4) << 32 | u32(payload.ptr + 8);
		assert_int_equal(
			amqp_decode_properties(60, &in->pool,
				amqp_of_span((struct span){ payload.ptr + 12, payload.len - 12 }), &props),
			0);
		assert_int_equal(codec_take_props(&in->msg, props), E_OK);
		body = arena_alloc(&in->msg.arena, f->body_left + 1);
		assert_non_null(body);
		in->msg.body = (struct span){ body, 0 };
	} else {
		assert_true(payload.len <= f->body_left);
		body = (char *)(uintptr_t)in->msg.body.ptr;
		memcpy(body + in->msg.body.len, payload.ptr, payload.len);
		in->msg.body.len += payload.len;
		f->body_left -= payload.len;
	}
	if (f->body_left > 0)
		return;
	f->partial = NULL;
	take_in(f, in);
}

static bool
read_frame(struct fake *f)
{
	const char *p = f->in.data;
	struct fake_in *beat;
	struct span payload;
	size_t size;

	if (!f->greeted) {
		if (f->in.len < 8)
			return false;
		assert_memory_equal(p, "AMQP\0\0\x09\x01", 8);
		buf_drop(&f->in, 8);
		f->greeted = true;
		if (answers(f, AMQP_CONNECTION_START_METHOD))
			send_start(f);
		return true;
	}
	if (f->in.len < BUS_FRAME_HEAD)
		return false;
	size = u32(p + 3);
	assert_true(size <= BUS_FRAME_MAX - BUS_FRAME_EXTRA);
	if (f->in.len < size + BUS_FRAME_EXTRA)
		return false;
	assert_int_equal((unsigned char)p[BUS_FRAME_HEAD + size], AMQP_FRAME_END);
	payload = (struct span){ p + BUS_FRAME_HEAD, size };
	if (p[0] == AMQP_FRAME_HEARTBEAT) {
		beat = alloc_zero(sizeof(*beat));
		assert_non_null(beat);
		beat->method = FAKE_HEARTBEAT;
		list_push(&f->got, &beat->link);
	} else if (p[0] == AMQP_FRAME_METHOD) {
		on_method_frame(f, (uint16_t)((unsigned char)p[1] << 8 | (unsigned char)p[2]), payload);
	} else {
		on_content_frame(f, p[0], payload);
	}
	buf_drop(&f->in, size + BUS_FRAME_EXTRA);
	return true;
}

static void
on_readable(void *owner)
{
	struct fake *f = owner;
	char *room;
	ssize_t n;

	while (!f->eof && (room = buf_room(&f->in, 65536)) != NULL) {
		n = recv(f->fd, room, 65536, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			f->eof = true;
			loop_fd_release(&f->readable);
			break;
		}
		buf_grew(&f->in, (size_t)n);
	}
	while (read_frame(f))
		;
}

/* --- life and waiting --- */

/* The real clock: a test may have stopped the other one. */
static ms_t
now_ms(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	return (ms_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct fake *
fake_new(struct loop *l, int *client_fd)
{
	struct fake *f = alloc_zero(sizeof(*f));
	int fds[2];

	assert_non_null(f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	f->loop = l;
	f->fd = fds[0];
	*client_fd = fds[1];
	buf_init(&f->in, 0);
	buf_init(&f->out, 0);
	assert_int_equal(loop_timer_init(&f->flush, l, flush, f), E_OK);
	list_init(&f->got);
	list_init(&f->done);
	fake_tune(f, BUS_CHANNEL_MAX, BUS_FRAME_MAX, 60);
	assert_int_equal(loop_fd_init(&f->readable, l, f->fd, on_readable, f), E_OK);
	return f;
}

static void
free_in(struct fake_in *in)
{
	msg_release(&in->msg);
	empty_amqp_pool(&in->pool);
	alloc_free(in->bytes);
	alloc_free(in);
}

void
fake_free(struct fake *f)
{
	struct list *l;

	if (f == NULL)
		return;
	if (!f->eof && !f->deaf)
		loop_fd_release(&f->readable);
	close(f->fd);
	while ((l = list_pop(&f->got)) != NULL || (l = list_pop(&f->done)) != NULL)
		free_in(container_of(l, struct fake_in, link));
	if (f->partial != NULL)
		free_in(f->partial);
	loop_timer_release(&f->flush);
	buf_release(&f->in);
	buf_release(&f->out);
	alloc_free(f);
}

void
fake_answer(struct fake *f, uint32_t method, bool on)
{
	size_t kept = 0;

	if (method == 0) {
		f->mute_all = !on;
		f->n_odd = 0;
		return;
	}
	for (size_t i = 0; i < f->n_odd; i++)
		if (f->odd[i] != method)
			f->odd[kept++] = f->odd[i];
	f->n_odd = kept;
	if (on == f->mute_all) {
		assert_true(kept < ODD_MAX);
		f->odd[f->n_odd++] = method;
	}
}

void
fake_deaf(struct fake *f, bool deaf)
{
	if (deaf == f->deaf || f->eof)
		return;
	f->deaf = deaf;
	if (deaf)
		loop_fd_release(&f->readable);
	else
		assert_int_equal(loop_fd_init(&f->readable, f->loop, f->fd, on_readable, f), E_OK);
}

void
fake_tune(struct fake *f, uint16_t channel_max, uint32_t frame_max, uint16_t heartbeat)
{
	f->tune = (amqp_connection_tune_t){ channel_max, frame_max, heartbeat };
}

void
fake_chop(struct fake *f, size_t n)
{
	f->chop = n;
}

uint16_t
fake_last_channel(const struct fake *f)
{
	return f->last_channel;
}

const struct fake_in *
fake_take(struct fake *f, uint32_t method)
{
	struct list *l, *tmp;
	struct fake_in *in;

	LIST_EACH (&f->got, l, tmp) {
		in = container_of(l, struct fake_in, link);
		if (in->method != method)
			continue;
		list_unlink(l);
		list_push(&f->done, l);
		return in;
	}
	return NULL;
}

size_t
fake_count(struct fake *f, uint32_t method)
{
	struct list *l, *tmp;
	size_t n = 0;

	LIST_EACH (&f->got, l, tmp)
		n += container_of(l, struct fake_in, link)->method == method;
	return n;
}

void
fake_until(struct fake *f, bool (*cond)(void *owner), void *owner)
{
	ms_t by = now_ms() + PATIENCE_MS;

	while (!cond(owner)) {
		if (now_ms() > by)
			fail_msg("waited %d s in vain", PATIENCE_MS / 1000);
		loop_turn(f->loop, 5);
	}
}

struct wait {
	struct fake *f;
	uint32_t method;
	const struct fake_in *in;
};

static bool
has_come(void *owner)
{
	struct wait *w = owner;

	w->in = fake_take(w->f, w->method);
	return w->in != NULL;
}

const struct fake_in *
fake_expect(struct fake *f, uint32_t method)
{
	struct wait w = { f, method, NULL };
	ms_t by = now_ms() + PATIENCE_MS;

	while (!has_come(&w)) {
		if (f->eof || now_ms() > by)
			fail_msg("%s did not come%s",
				method == FAKE_HEARTBEAT ? "a heartbeat" : amqp_method_name(method),
				f->eof ? ": the client has hung up" : "");
		loop_turn(f->loop, 5);
	}
	return w.in;
}

void
fake_settle(struct fake *f)
{
	/* Each turn moves bytes one hop over the socketpair; answers to answers are at most a few hops away. */
	for (int i = 0; i < 8 || f->out.len > 0; i++)
		loop_turn(f->loop, 0);
}

static bool
is_eof(void *owner)
{
	return ((struct fake *)owner)->eof;
}

void
fake_expect_eof(struct fake *f)
{
	fake_until(f, is_eof, f);
}
