/*
 * Bytes -> frames -> bytes. Knows no connection, no channel state, no clock.
 *
 * amqp_handle_input is not used for the way in. It would copy every byte into a pool of its own, body bytes once more than needed; it
 * keeps some 400 KiB per connection and channel; it aborts the process when called in a state it does not like; and it decodes a
 * header table before anybody could look how deep it is, by recursion without limit. So the envelope is read here (type, channel,
 * size, payload, end byte), payloads are decoded where they lie, bodies are passed on in the pieces they come in, and a table is
 * checked before librabbitmq decodes it.
 *
 *	     +--------+---------+------+---------+-----+
 *	     | type 1 | channel | size | payload | end |        held: a method or header frame that is not whole yet
 *	     +--------+----2----+--4---+--size---+--1--+        in_body: head read, body_left bytes and the end byte to come
 *
 * Trouble inside a content header is no fault of the connection: the message is passed on as spoiled, so that a message which cannot be
 * decoded can be put aside instead of coming back after each reconnect. Only methods that a server may send are decoded at all.
 */
#include "bus/codec.h"

#define CLASS_BASIC 60
/* Of a frame for headers. Who passes a message on adds to them, and one that leaves no room for that could neither be sent again nor be put
 * aside with the reason. */
#define HEADER_SPARE 16384

static uint16_t
be16(const char *p)
{
	return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

static uint32_t
be32(const char *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void
put16(char *p, unsigned v)
{
	p[0] = (char)(v >> 8);
	p[1] = (char)v;
}

static void
put32(char *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

void
codec_init(struct codec *c)
{
	*c = (struct codec){ .frame_max = BUS_FRAME_MAX };
	init_amqp_pool(&c->pool, 4096);
	buf_init(&c->held, BUS_FRAME_MAX);
}

void
codec_release(struct codec *c)
{
	empty_amqp_pool(&c->pool);
	buf_release(&c->held);
}

void
codec_reset(struct codec *c)
{
	codec_release(c);
	codec_init(c);
}

#define FAULT(fault, reply, ...) ((fault)->code = (reply), err_set(&(fault)->why, E_FORMAT, __VA_ARGS__))

/* What a server may send to a client that uses no transactions and no nowait. */
static bool
method_is_known(uint32_t method)
{
	switch (method) {
	case AMQP_CONNECTION_START_METHOD:
	case AMQP_CONNECTION_SECURE_METHOD:
	case AMQP_CONNECTION_TUNE_METHOD:
	case AMQP_CONNECTION_OPEN_OK_METHOD:
	case AMQP_CONNECTION_CLOSE_METHOD:
	case AMQP_CONNECTION_CLOSE_OK_METHOD:
	case AMQP_CONNECTION_BLOCKED_METHOD:
	case AMQP_CONNECTION_UNBLOCKED_METHOD:
	case AMQP_CHANNEL_OPEN_OK_METHOD:
	case AMQP_CHANNEL_CLOSE_METHOD:
	case AMQP_CHANNEL_CLOSE_OK_METHOD:
	case AMQP_EXCHANGE_DECLARE_OK_METHOD:
	case AMQP_EXCHANGE_BIND_OK_METHOD:
	case AMQP_QUEUE_DECLARE_OK_METHOD:
	case AMQP_QUEUE_BIND_OK_METHOD:
	case AMQP_QUEUE_PURGE_OK_METHOD:
	case AMQP_QUEUE_DELETE_OK_METHOD:
	case AMQP_BASIC_QOS_OK_METHOD:
	case AMQP_BASIC_CONSUME_OK_METHOD:
	case AMQP_BASIC_CANCEL_METHOD:
	case AMQP_BASIC_CANCEL_OK_METHOD:
	case AMQP_BASIC_RETURN_METHOD:
	case AMQP_BASIC_DELIVER_METHOD:
	case AMQP_BASIC_GET_OK_METHOD:
	case AMQP_BASIC_GET_EMPTY_METHOD:
	case AMQP_BASIC_ACK_METHOD:
	case AMQP_BASIC_NACK_METHOD:
	case AMQP_CONFIRM_SELECT_OK_METHOD:
		return true;
	default:
		return false;
	}
}

/* `bytes` is behind class and method id. */
static enum err
decode_method(struct codec *c, struct frame *f, struct span bytes, struct fault *fault)
{
	size_t used;
	int res;

	if (!method_is_known(f->method))
		return FAULT(fault, AMQP_NOT_IMPLEMENTED, "method %u of class %u is not for a client",
			(unsigned)(f->method & 0xffff), (unsigned)(f->method >> 16));
	/* The one method with a table in it that comes from a server. */
	if (f->method == AMQP_CONNECTION_START_METHOD &&
		(bytes.len < 2 ||
			bus_table_check((struct span){ bytes.ptr + 2, bytes.len - 2 }, &used) != E_OK))
		return FAULT(fault, AMQP_SYNTAX_ERROR, "connection.start has a malformed table");
	res = amqp_decode_method(f->method, &c->pool, amqp_of_span(bytes), &f->args);
	if (res == AMQP_STATUS_NO_MEMORY)
		return E_NOMEM;
	if (res < 0)
		return FAULT(
			fault, AMQP_SYNTAX_ERROR, "malformed arguments in %s", amqp_method_name(f->method));
	return E_OK;
}

/* Where the headers table lies in encoded properties: the bytes before and behind it. False: there is none, or no telling. */
static bool
find_headers(struct span props, unsigned flags, size_t *at)
{
	size_t off = 2;

	for (unsigned flag = AMQP_BASIC_CONTENT_TYPE_FLAG; flag > AMQP_BASIC_HEADERS_FLAG; flag >>= 1) {
		if ((flags & flag) == 0)
			continue;
		if (off >= props.len)
			return false;
		off += 1 + (size_t)(unsigned char)props.ptr[off];
	}
	*at = off;
	return (flags & AMQP_BASIC_HEADERS_FLAG) != 0 && off <= props.len;
}

/* The same properties without the headers; NULL ptr when out of memory. */
static struct span
cut_headers(struct codec *c, struct span props, unsigned flags, size_t at, size_t used)
{
	size_t len = props.len - used;
	char *p = amqp_pool_alloc(&c->pool, len);

	if (p == NULL)
		return SPAN_NONE;
	put16(p, flags & ~(unsigned)AMQP_BASIC_HEADERS_FLAG);
	memcpy(p + 2, props.ptr + 2, at - 2);
	memcpy(p + at, props.ptr + at + used, props.len - at - used);
	return (struct span){ p, len };
}

static enum err
decode_props(struct codec *c, struct frame *f, struct span props)
{
	size_t at, used;
	unsigned flags;
	void *decoded;
	enum err e;
	int res;

	f->props = NULL;
	f->spoiled = "its properties do not decode";
	flags = be16(props.ptr);
	/* Bit 0 says that more flags follow; class basic has no more. */
	if ((flags & 1) != 0)
		return E_OK;
	if (find_headers(props, flags, &at)) {
		e = bus_table_check((struct span){ props.ptr + at, props.len - at }, &used);
		if (e != E_OK) {
			f->spoiled = e == E_TOOBIG ? "its headers are nested too deep"
						   : "its headers do not decode";
			if (used == 0)
				return E_OK;
			props = cut_headers(c, props, flags, at, used);
			if (props.ptr == NULL)
				return E_NOMEM;
		} else {
			f->spoiled = NULL;
		}
	} else if ((flags & AMQP_BASIC_HEADERS_FLAG) == 0) {
		f->spoiled = NULL;
	}
	res = amqp_decode_properties(CLASS_BASIC, &c->pool, amqp_of_span(props), &decoded);
	if (res == AMQP_STATUS_NO_MEMORY)
		return E_NOMEM;
	if (res < 0)
		f->spoiled = "its properties do not decode";
	else
		f->props = decoded;
	return E_OK;
}

static enum err
decode_header(struct codec *c, struct frame *f, struct span payload, struct fault *fault)
{
	enum err e;

	if (payload.len < 14)
		return FAULT(fault, AMQP_FRAME_ERROR, "content header of %zu bytes", payload.len);
	if (be16(payload.ptr) != CLASS_BASIC)
		return FAULT(fault, AMQP_FRAME_ERROR, "content header of class %u", be16(payload.ptr));
	f->body_size = (uint64_t)be32(payload.ptr + 4) << 32 | be32(payload.ptr + 8);
	e = decode_props(c, f, (struct span){ payload.ptr + 12, payload.len - 12 });
	if (e == E_OK && f->spoiled == NULL && payload.len > BUS_FRAME_MAX - HEADER_SPARE)
		f->spoiled = "its headers fill a frame, which leaves no room to pass it on";
	return e;
}

/* `bytes` is a whole frame. */
static enum err
decode_frame(struct codec *c, struct frame *f, struct span bytes, struct fault *fault)
{
	struct span payload = { bytes.ptr + BUS_FRAME_HEAD, bytes.len - BUS_FRAME_EXTRA };

	if ((unsigned char)bytes.ptr[bytes.len - 1] != AMQP_FRAME_END)
		return FAULT(fault, AMQP_FRAME_ERROR, "a frame of %zu bytes does not end with its end byte",
			bytes.len);
	c->begun = true;
	if (f->type == AMQP_FRAME_HEARTBEAT)
		return E_OK;
	if (f->type == AMQP_FRAME_HEADER)
		return decode_header(c, f, payload, fault);
	if (payload.len < 4)
		return FAULT(fault, AMQP_FRAME_ERROR, "method frame of %zu bytes", payload.len);
	f->method = be32(payload.ptr);
	return decode_method(c, f, (struct span){ payload.ptr + 4, payload.len - 4 }, fault);
}

static enum err
check_head(const struct codec *c, const char *head, struct fault *fault)
{
	int type = (unsigned char)head[0];
	size_t size = be32(head + 3);

	if (!c->begun && memcmp(head, "AMQP", 4) == 0)
		return FAULT(fault, AMQP_NOT_IMPLEMENTED, "the broker does not speak AMQP 0-9-1");
	if (!c->begun && type != AMQP_FRAME_METHOD)
		return FAULT(fault, AMQP_FRAME_ERROR, "what answers there is not an AMQP broker");
	if (type != AMQP_FRAME_METHOD && type != AMQP_FRAME_HEADER && type != AMQP_FRAME_BODY &&
		type != AMQP_FRAME_HEARTBEAT)
		return FAULT(fault, AMQP_FRAME_ERROR, "frame of unknown type %d", type);
	if (size > c->frame_max - BUS_FRAME_EXTRA)
		return FAULT(fault, AMQP_FRAME_ERROR, "frame with %zu bytes, %zu allowed", size,
			c->frame_max - BUS_FRAME_EXTRA);
	return E_OK;
}

/* Moves bytes from *in until `held` has `want` of them. */
static enum err
hold(struct codec *c, struct span *in, size_t want)
{
	size_t n = want > c->held.len ? want - c->held.len : 0;

	if (n > in->len)
		n = in->len;
	buf_add(&c->held, (struct span){ in->ptr, n });
	if (c->held.err != E_OK)
		return c->held.err;
	in->ptr += n;
	in->len -= n;
	return c->held.len >= want ? E_OK : E_AGAIN;
}

static enum err
next_piece(struct codec *c, struct span *in, struct frame *f, struct fault *fault)
{
	size_t n = in->len < c->body_left ? in->len : c->body_left;

	*f = (struct frame){ .type = AMQP_FRAME_BODY, .channel = c->body_channel, .piece = { in->ptr, n } };
	in->ptr += n;
	in->len -= n;
	c->body_left -= n;
	if (in->len > 0) {
		if ((unsigned char)*in->ptr != AMQP_FRAME_END)
			return FAULT(fault, AMQP_FRAME_ERROR, "a body frame does not end with its end byte");
		in->ptr++;
		in->len--;
		f->end = true;
		c->in_body = false;
	}
	return f->end || n > 0 ? E_OK : E_AGAIN;
}

/* Room for the usual stays; after a table of a thousand nodes the pages go back. */
static void
recycle(amqp_pool_t *pool)
{
	if (pool->pages.num_blocks > 4)
		empty_amqp_pool(pool);
	else
		recycle_amqp_pool(pool);
}

enum err
codec_next(struct codec *c, struct span *in, struct frame *f, struct fault *fault)
{
	struct span whole;
	const char *head;
	size_t total;
	enum err e;

	recycle(&c->pool);
	if (c->held_used)
		buf_reset(&c->held);
	c->held_used = false;
	if (c->in_body)
		return next_piece(c, in, f, fault);
	if (in->len == 0)
		return E_AGAIN;
	if (c->held.len > 0 || in->len < BUS_FRAME_HEAD) {
		e = hold(c, in, BUS_FRAME_HEAD);
		if (e != E_OK)
			return e;
	}
	head = c->held.len > 0 ? c->held.data : in->ptr;
	e = check_head(c, head, fault);
	if (e != E_OK)
		return e;
	*f = (struct frame){ .type = (unsigned char)head[0], .channel = be16(head + 1) };
	total = be32(head + 3) + (size_t)BUS_FRAME_EXTRA;
	if (f->type == AMQP_FRAME_BODY) {
		if (c->held.len == 0) {
			in->ptr += BUS_FRAME_HEAD;
			in->len -= BUS_FRAME_HEAD;
		}
		buf_reset(&c->held);
		c->in_body = true;
		c->body_left = total - BUS_FRAME_EXTRA;
		c->body_channel = f->channel;
		return next_piece(c, in, f, fault);
	}
	if (c->held.len > 0 || in->len < total) {
		e = hold(c, in, total);
		if (e != E_OK)
			return e;
		c->held_used = true;
		whole = buf_span(&c->held);
	} else {
		whole = (struct span){ in->ptr, total };
		in->ptr += total;
		in->len -= total;
	}
	return decode_frame(c, f, whole, fault);
}

void
codec_put_head(char out[BUS_FRAME_HEAD], int type, uint16_t channel, size_t payload)
{
	out[0] = (char)type;
	put16(out + 1, channel);
	put32(out + 3, (uint32_t)payload);
}

/* Makes a frame of the payload that was written into the room of b, behind the place for its head. */
static void
frame_finish(struct buf *b, int type, uint16_t channel, size_t payload)
{
	codec_put_head(b->data + b->len, type, channel, payload);
	b->data[b->len + BUS_FRAME_HEAD + payload] = (char)AMQP_FRAME_END;
	buf_grew(b, payload + BUS_FRAME_EXTRA);
}

enum err
codec_add_method(struct buf *b, uint16_t channel, uint32_t method, void *args, size_t frame_max)
{
	/* The library does not tell how much it needs, only whether what it got was enough. */
	size_t room = 2048;
	amqp_bytes_t out;
	char *p;
	int res;

	for (;; room = frame_max) {
		p = buf_room(b, room);
		if (p == NULL)
			return b->err;
		put32(p + BUS_FRAME_HEAD, method);
		out = (amqp_bytes_t){ room - BUS_FRAME_EXTRA - 4, p + BUS_FRAME_HEAD + 4 };
		res = amqp_encode_method(method, args, out);
		if (res >= 0)
			break;
		if (room >= frame_max)
			return E_TOOBIG;
	}
	frame_finish(b, AMQP_FRAME_METHOD, channel, (size_t)res + 4);
	return E_OK;
}

static bool
set_short(amqp_basic_properties_t *p, amqp_bytes_t *field, amqp_flags_t flag, struct span s)
{
	if (s.ptr == NULL)
		return true;
	p->_flags |= flag;
	*field = amqp_of_span(s);
	return s.len <= UINT8_MAX;
}

static enum err
props_of_msg(amqp_basic_properties_t *p, const struct msg *m, amqp_pool_t *pool)
{
	*p = (amqp_basic_properties_t){ 0 };
	if (!set_short(p, &p->content_type, AMQP_BASIC_CONTENT_TYPE_FLAG, m->content_type) ||
		!set_short(p, &p->content_encoding, AMQP_BASIC_CONTENT_ENCODING_FLAG, m->content_encoding) ||
		!set_short(p, &p->correlation_id, AMQP_BASIC_CORRELATION_ID_FLAG, m->correlation_id) ||
		!set_short(p, &p->reply_to, AMQP_BASIC_REPLY_TO_FLAG, m->reply_to) ||
		!set_short(p, &p->expiration, AMQP_BASIC_EXPIRATION_FLAG, m->expiration) ||
		!set_short(p, &p->message_id, AMQP_BASIC_MESSAGE_ID_FLAG, m->message_id) ||
		!set_short(p, &p->type, AMQP_BASIC_TYPE_FLAG, m->type) ||
		!set_short(p, &p->user_id, AMQP_BASIC_USER_ID_FLAG, m->user_id) ||
		!set_short(p, &p->app_id, AMQP_BASIC_APP_ID_FLAG, m->app_id))
		return E_TOOBIG;
	/* A task that a broker's restart loses is not what anybody expects. */
	p->_flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
	p->delivery_mode = m->delivery_mode == 0 ? AMQP_DELIVERY_PERSISTENT : (uint8_t)m->delivery_mode;
	if (m->priority >= 0) {
		p->_flags |= AMQP_BASIC_PRIORITY_FLAG;
		p->priority = m->priority > UINT8_MAX ? UINT8_MAX : (uint8_t)m->priority;
	}
	if (m->timestamp >= 0) {
		p->_flags |= AMQP_BASIC_TIMESTAMP_FLAG;
		p->timestamp = (uint64_t)m->timestamp;
	}
	if (!m->has_headers)
		return E_OK;
	p->_flags |= AMQP_BASIC_HEADERS_FLAG;
	return bus_table_export(&p->headers, &m->headers, pool);
}

enum err
codec_add_header(struct buf *b, uint16_t channel, const struct msg *m, amqp_pool_t *pool)
{
	amqp_basic_properties_t props;
	size_t room = 4096;
	amqp_bytes_t out;
	enum err e;
	char *p;
	int res;

	recycle(pool);
	e = props_of_msg(&props, m, pool);
	if (e != E_OK)
		return e;
	for (;; room = BUS_FRAME_MAX) {
		p = buf_room(b, room);
		if (p == NULL)
			return b->err;
		out = (amqp_bytes_t){ room - BUS_FRAME_EXTRA - 12, p + BUS_FRAME_HEAD + 12 };
		res = amqp_encode_properties(CLASS_BASIC, &props, out);
		if (res >= 0)
			break;
		if (room >= BUS_FRAME_MAX)
			return E_TOOBIG;
	}
	p += BUS_FRAME_HEAD;
	put16(p, CLASS_BASIC);
	put16(p + 2, 0);
	put32(p + 4, (uint32_t)((uint64_t)m->body.len >> 32));
	put32(p + 8, (uint32_t)m->body.len);
	frame_finish(b, AMQP_FRAME_HEADER, channel, (size_t)res + 12);
	return E_OK;
}

enum err
codec_add_publish(struct buf *b, uint16_t channel, const struct msg *m, amqp_pool_t *pool)
{
	amqp_basic_publish_t args = {
		.exchange = amqp_of_span(m->exchange),
		.routing_key = amqp_of_span(m->routing_key),
		.mandatory = 1,
	};
	enum err e;

	if (m->exchange.len > UINT8_MAX || m->routing_key.len > UINT8_MAX)
		return E_TOOBIG;
	e = codec_add_method(b, channel, AMQP_BASIC_PUBLISH_METHOD, &args, BUS_FRAME_MAX);
	return e != E_OK ? e : codec_add_header(b, channel, m, pool);
}

void
codec_add_body(struct buf *b, uint16_t channel, struct span body, size_t frame_max)
{
	size_t most = frame_max - BUS_FRAME_EXTRA, n;
	char head[BUS_FRAME_HEAD];

	for (; body.len > 0; body.ptr += n, body.len -= n) {
		n = body.len < most ? body.len : most;
		codec_put_head(head, AMQP_FRAME_BODY, channel, n);
		buf_add(b, (struct span){ head, sizeof(head) });
		buf_add(b, (struct span){ body.ptr, n });
		buf_addc(b, (char)AMQP_FRAME_END);
	}
}

void
codec_add_heartbeat(struct buf *b)
{
	char frame[BUS_FRAME_EXTRA];

	codec_put_head(frame, AMQP_FRAME_HEARTBEAT, 0, 0);
	frame[BUS_FRAME_HEAD] = (char)AMQP_FRAME_END;
	buf_add(b, (struct span){ frame, sizeof(frame) });
}

static bool
take_short(struct msg *m, struct span *to, const amqp_basic_properties_t *p, amqp_flags_t flag,
	amqp_bytes_t from)
{
	if ((p->_flags & flag) == 0)
		return true;
	*to = arena_dup(&m->arena, span_of_amqp(from));
	return to->ptr != NULL;
}

enum err
codec_take_props(struct msg *m, const amqp_basic_properties_t *p)
{
	if (!take_short(m, &m->content_type, p, AMQP_BASIC_CONTENT_TYPE_FLAG, p->content_type) ||
		!take_short(m, &m->content_encoding, p, AMQP_BASIC_CONTENT_ENCODING_FLAG, p->content_encoding) ||
		!take_short(m, &m->correlation_id, p, AMQP_BASIC_CORRELATION_ID_FLAG, p->correlation_id) ||
		!take_short(m, &m->reply_to, p, AMQP_BASIC_REPLY_TO_FLAG, p->reply_to) ||
		!take_short(m, &m->expiration, p, AMQP_BASIC_EXPIRATION_FLAG, p->expiration) ||
		!take_short(m, &m->message_id, p, AMQP_BASIC_MESSAGE_ID_FLAG, p->message_id) ||
		!take_short(m, &m->type, p, AMQP_BASIC_TYPE_FLAG, p->type) ||
		!take_short(m, &m->user_id, p, AMQP_BASIC_USER_ID_FLAG, p->user_id) ||
		!take_short(m, &m->app_id, p, AMQP_BASIC_APP_ID_FLAG, p->app_id))
		return E_NOMEM;
	if ((p->_flags & AMQP_BASIC_DELIVERY_MODE_FLAG) != 0)
		m->delivery_mode = p->delivery_mode;
	if ((p->_flags & AMQP_BASIC_PRIORITY_FLAG) != 0)
		m->priority = p->priority;
	if ((p->_flags & AMQP_BASIC_TIMESTAMP_FLAG) != 0)
		m->timestamp = (int64_t)p->timestamp;
	if ((p->_flags & AMQP_BASIC_HEADERS_FLAG) == 0)
		return E_OK;
	m->has_headers = true;
	return bus_table_import(&m->headers, &p->headers, &m->arena);
}
