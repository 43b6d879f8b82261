/*
 * What a broker may send, from the codec through the connection to channels, calls and publisher.
 *
 *	byte 0   1 = begin before the handshake, else behind it, with two channels open and calls and publishes under way
 *	         2 = what follows are records (type, channel, 2 bytes of length, payload) that are made into whole frames
 *	byte 1   size of the pieces it arrives in; 0 = all at once
 *
 * Nothing may crash; each publish ends at most once; nothing is told after close.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "bus/codec.h"
#include "bus/inner.h"
#include "bus/publish.h"

#include "fuzz.h"

#define N_PUBLISHED 4

struct run {
	struct bus_conn *conn;
	struct bus_chan *ch;
	struct bus_pub *pub;
	unsigned ends[N_PUBLISHED];
	bool closed;
};

static struct loop *loop;

static void
on_up(void *owner)
{
	CHECK(!((struct run *)owner)->closed);
}

static void
on_down(void *owner, const struct bus_down *d)
{
	CHECK(!((struct run *)owner)->closed && d->text != NULL && d->url != NULL && d->retry_ms > 0);
}

static void
on_answer(void *owner, const struct bus_answer *a)
{
	struct run *r = owner;

	CHECK(!r->closed && a->text != NULL);
	if (a->delivery != NULL)
		bus_msg_free(a->delivery->msg);
}

static void
on_open(void *owner)
{
	struct run *r = owner;
	const struct bus_queue q = { .name = SPAN("q") };

	CHECK(!r->closed);
	CHECK(bus_queue_declare(r->ch, &q, on_answer, r) == E_OK);
	CHECK(bus_consume(r->ch, q.name, SPAN("c"), false, false, NULL, on_answer, r) == E_OK);
	CHECK(bus_get(r->ch, q.name, false, on_answer, r) == E_OK);
	CHECK(bus_get(r->ch, q.name, false, NULL, NULL) == E_OK);
}

static void
on_close(void *owner, const struct bus_close *why)
{
	CHECK(!((struct run *)owner)->closed && why->text != NULL);
}

static void
on_deliver(void *owner, struct bus_delivery *d)
{
	struct run *r = owner;

	CHECK(!r->closed && d->msg != NULL && d->msg->body.ptr != NULL);
	/* Every byte is there to be read. */
	(void)!memchr(d->msg->body.ptr, '\xff', d->msg->body.len);
	(void)!memchr(d->msg->exchange.ptr, '\xff', d->msg->exchange.len);
	for (size_t i = 0; i < d->msg->headers.count; i++)
		(void)!memchr(d->msg->headers.pairs[i].key.ptr, '\xff', d->msg->headers.pairs[i].key.len);
	CHECK(bus_ack(r->ch, d->tag) == E_OK);
	bus_msg_free(d->msg);
}

static void
on_cancel(void *owner, struct span consumer)
{
	CHECK(!((struct run *)owner)->closed && consumer.len < 256);
}

static void
on_end(void *owner, const struct bus_pub_result *res)
{
	unsigned *n = owner;

	CHECK(res->text != NULL);
	CHECK(++*n == 1);
}

static void
begin(struct run *r)
{
	static const char *const urls[] = { "amqp://u:p@127.0.0.1:1/v" };
	static const struct bus_conf conf = { .urls = urls, .n_urls = 1, .message_max = 1 << 20 };
	static const struct bus_conn_ops conn_ops = { on_up, on_down, NULL };
	static const struct bus_chan_ops chan_ops = {
		.on_open = on_open, .on_close = on_close, .on_deliver = on_deliver, .on_cancel = on_cancel
	};
	static const struct bus_pub_conf pub_conf;

	CHECK(bus_conn_new(&r->conn, loop, &conf, &conn_ops, r, NULL) == E_OK);
	CHECK(bus_chan_new(&r->ch, r->conn, &chan_ops, r) == E_OK);
	CHECK(bus_pub_new(&r->pub, r->conn, &pub_conf, NULL, NULL) == E_OK);
	for (size_t i = 0; i < N_PUBLISHED; i++) {
		struct msg m;

		msg_init(&m, 0);
		m.exchange = i % 2 == 0 ? SPAN("") : SPAN("x");
		m.routing_key = SPAN("q");
		m.correlation_id = i < 2 ? SPAN("i") : SPAN_NONE;
		CHECK(bus_publish(r->pub, &m, on_end, &r->ends[i], NULL) == E_OK);
		msg_release(&m);
	}
}

static void
add(struct buf *b, uint16_t channel, uint32_t method, void *args)
{
	CHECK(codec_add_method(b, channel, method, args, BUS_FRAME_MAX) == E_OK);
}

/* What a broker sends until both channels are ready. */
static void
feed_opening(struct run *r)
{
	amqp_connection_start_t start = { .version_minor = 9, .mechanisms = amqp_of_span(SPAN("PLAIN")) };
	amqp_connection_tune_t tune = { 9, 131072, 60 };
	char zero[64] = { 0 };
	struct buf b;

	buf_init(&b, 0);
	add(&b, 0, AMQP_CONNECTION_START_METHOD, &start);
	add(&b, 0, AMQP_CONNECTION_TUNE_METHOD, &tune);
	add(&b, 0, AMQP_CONNECTION_OPEN_OK_METHOD, zero);
	add(&b, 1, AMQP_CHANNEL_OPEN_OK_METHOD, zero);
	add(&b, 2, AMQP_CHANNEL_OPEN_OK_METHOD, zero);
	add(&b, 2, AMQP_CONFIRM_SELECT_OK_METHOD, zero);
	conn_on_data(r->conn, buf_span(&b));
	buf_release(&b);
	loop_turn(loop, 0);
	CHECK(bus_conn_is_up(r->conn) && bus_chan_is_open(r->ch));
}

static void
add_records(struct buf *b, struct span in)
{
	char head[BUS_FRAME_HEAD];
	size_t len;

	while (in.len >= 4) {
		len = (size_t)(unsigned char)in.ptr[2] << 8 | (unsigned char)in.ptr[3];
		if (len > in.len - 4)
			len = in.len - 4;
		codec_put_head(head, in.ptr[0], (unsigned char)in.ptr[1], len);
		buf_add(b, (struct span){ head, sizeof(head) });
		buf_add(b, (struct span){ in.ptr + 4, len });
		buf_addc(b, (char)AMQP_FRAME_END);
		in.ptr += 4 + len;
		in.len -= 4 + len;
	}
}

static void
feed(struct run *r, struct span all, size_t piece)
{
	while (all.len > 0) {
		size_t n = piece == 0 || piece > all.len ? all.len : piece;
		/* In memory of its own, so that a step over its end is seen. */
		char *copy = alloc_dup((struct span){ all.ptr, n });

		CHECK(copy != NULL);
		conn_on_data(r->conn, (struct span){ copy, n });
		alloc_free(copy);
		loop_turn(loop, 0);
		all.ptr += n;
		all.len -= n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = { 0 };
	struct span in;
	struct buf b;
	int fds[2];

	if (size < 2)
		return 0;
	in = (struct span){ (const char *)data + 2, size - 2 };
	if (loop == NULL)
		loop = loop_new(NULL);
	CHECK(loop != NULL);
	/* Time stands still, so that nothing is dialled after a loss. */
	clock_fake(INT64_C(1000000) * 1000, INT64_C(1700000000) * 1000000);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	begin(&r);
	CHECK(bus_conn_start_fd(r.conn, fds[0], NULL) == E_OK);
	if ((data[0] & 1) == 0)
		feed_opening(&r);
	buf_init(&b, 0);
	if ((data[0] & 2) != 0)
		add_records(&b, in);
	else
		buf_add(&b, in);
	CHECK(b.err == E_OK);
	if (b.len > 0)
		feed(&r, buf_span(&b), data[1]);
	buf_release(&b);
	bus_conn_close(r.conn, 0);
	r.closed = true;
	loop_turn(loop, 0);
	bus_chan_close(r.ch);
	bus_pub_close(r.pub);
	loop_turn(loop, 0);
	close(fds[1]);
	return 0;
}
