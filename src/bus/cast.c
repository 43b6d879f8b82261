/* See cast.h. One buffer for method, header and body, given to the stream at once, so that frames of others cannot come between. */
#include "bus/cast.h"

#include "bus/inner.h"

static enum err
add_frames(struct buf *b, const struct bus_chan *ch, const struct msg *m, amqp_pool_t *pool)
{
	amqp_basic_publish_t args = { .exchange = amqp_of_span(m->exchange),
		.routing_key = amqp_of_span(m->routing_key) };
	enum err e;

	if (m->exchange.len > UINT8_MAX || m->routing_key.len > UINT8_MAX)
		return E_TOOBIG;
	e = codec_add_method(b, ch->number, AMQP_BASIC_PUBLISH_METHOD, &args, ch->conn->frame_max);
	if (e == E_OK)
		e = codec_add_header(b, ch->number, m, pool);
	/* Headers of ours are small; a frame beyond what was agreed upon would end the connection. */
	if (e == E_OK && b->len > ch->conn->frame_max)
		e = E_TOOBIG;
	if (e == E_OK)
		codec_add_body(b, ch->number, m->body, ch->conn->frame_max);
	return e == E_OK ? b->err : e;
}

enum err
bus_cast(struct bus_chan *ch, const struct msg *m, size_t backlog_max)
{
	amqp_pool_t pool;
	struct buf b;
	enum err e;

	if (!bus_chan_is_open(ch))
		return E_CLOSED;
	if (ch->conn->blocked || stream_pending(ch->conn->stream) > backlog_max)
		return E_AGAIN;
	buf_init(&b, 0);
	init_amqp_pool(&pool, 4096);
	e = add_frames(&b, ch, m, &pool);
	if (e == E_OK)
		e = conn_write(ch->conn, buf_span(&b));
	empty_amqp_pool(&pool);
	buf_release(&b);
	return e;
}
