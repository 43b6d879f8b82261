/*
 * A channel: its life, the messages that arrive on it frame by frame, acknowledgements. The synchronous methods are in calls.c.
 *
 *	         conn up           open-ok
 *	 closed ---------> opening --------> open --channel.close by the server--> wait --back-off--> opening
 *	    ^--------------- connection lost, from any state ---------------'
 *
 * A message comes as method, header and body frames; frames of other channels may stand between them, so each channel puts its own
 * together (`in`). Its bytes are copied once, from the stream's piece into the message's arena, after the size in the header was
 * held against message_max.
 */
#include "bus/inner.h"

#define REOPEN_MIN_MS 100
#define REOPEN_MAX_MS 5000
#define LASTING_MS 10000 /* a channel that stayed open for so long starts again with the shortest back-off */
/* A broker that is well answers at once, or after some seconds; one that never does would leave a worker standing that looks alive. */
#define ANSWER_MS 60000
#define PROPS_MAX \
	((size_t)8 << 20) /* what a message may take beside its body; a header frame cannot need more */

static void
open_now(struct bus_chan *ch)
{
	amqp_channel_open_t m = { amqp_empty_bytes };

	ch->state = CHAN_CLOSED;
	if (conn_send(ch->conn, ch->number, AMQP_CHANNEL_OPEN_METHOD, &m) != E_OK)
		return;
	ch->state = CHAN_OPENING;
	ch->asked_at = loop_now(ch->loop);
	chan_expect(ch);
}

static void
on_reopen(void *owner)
{
	open_now(owner);
}

void
chan_expect(struct bus_chan *ch)
{
	if (!ch->patience.armed)
		loop_timer_arm(&ch->patience, ANSWER_MS);
}

static void
on_patience(void *owner)
{
	struct bus_chan *ch = owner;
	ms_t since = ch->state == CHAN_OPENING ? ch->asked_at : calls_since(ch), waited;
	struct errtext why;

	if (since < 0)
		return;
	/* With an alarm the broker does not even read. */
	if (ch->conn->blocked)
		since = loop_now(ch->loop);
	else if (since < ch->conn->unblocked_at)
		since = ch->conn->unblocked_at;
	waited = loop_now(ch->loop) - since;
	if (waited < ANSWER_MS) {
		loop_timer_arm(&ch->patience, ANSWER_MS - waited);
		return;
	}
	(void)err_set(&why, E_TIMEOUT, "the broker has not answered on channel %u for %d seconds",
		(unsigned)ch->number, ANSWER_MS / 1000);
	conn_lost(ch->conn, E_TIMEOUT, 0, why.text);
}

static void
drop_content(struct bus_chan *ch)
{
	bus_msg_free(ch->in.d.msg);
	ch->in = (struct content){ 0 };
}

static void
tell_close(struct bus_chan *ch, const struct bus_close *why)
{
	if (ch->conn != NULL && ch->ops.on_close != NULL)
		ch->ops.on_close(ch->owner, why);
}

void
chan_on_up(struct bus_chan *ch)
{
	if (ch->number <= ch->conn->channel_max) {
		open_now(ch);
		return;
	}
	tell_close(ch,
		&(struct bus_close){ false, AMQP_CHANNEL_ERROR,
			"the broker does not allow so many channels on a connection" });
}

void
chan_on_lost(struct bus_chan *ch, const char *why)
{
	bool was_open = ch->state == CHAN_OPEN;

	ch->state = CHAN_CLOSED;
	loop_timer_disarm(&ch->reopen);
	loop_timer_disarm(&ch->patience);
	drop_content(ch);
	calls_fail(ch, 0, 0, why);
	if (was_open)
		tell_close(ch, &(struct bus_close){ false, 0, why });
}

void
chan_wake(struct bus_chan *ch)
{
	if (ch->on_wake != NULL && ch->state == CHAN_OPEN)
		ch->on_wake(ch->owner);
}

static void
on_open_ok(struct bus_chan *ch)
{
	if (ch->state != CHAN_OPENING) {
		conn_fault(ch->conn, AMQP_COMMAND_INVALID,
			"channel.open-ok for channel %u, which nobody opened", (unsigned)ch->number);
		return;
	}
	ch->state = CHAN_OPEN;
	ch->epoch = ++ch->conn->chan_epoch;
	ch->opened_at = loop_now(ch->loop);
	if (ch->ops.on_open != NULL)
		ch->ops.on_open(ch->owner);
}

static void
on_server_close(struct bus_chan *ch, const amqp_channel_close_t *m)
{
	amqp_channel_close_ok_t ok = { 0 };
	struct errtext text;

	(void)err_set(&text, E_REFUSED, "%.*s", SPAN_FMT(span_of_amqp(m->reply_text)));
	(void)!conn_send(ch->conn, ch->number, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
	if (ch->state == CHAN_OPEN && loop_now(ch->loop) - ch->opened_at >= LASTING_MS)
		ch->reopen_ms = REOPEN_MIN_MS;
	ch->state = CHAN_WAIT;
	loop_timer_arm(&ch->reopen, ch->reopen_ms);
	ch->reopen_ms = 2 * ch->reopen_ms < REOPEN_MAX_MS ? 2 * ch->reopen_ms : REOPEN_MAX_MS;
	calls_fail(ch, (uint32_t)m->class_id << 16 | m->method_id, m->reply_code, text.text);
	tell_close(ch, &(struct bus_close){ true, m->reply_code, text.text });
}

/* --- messages on their way in --- */

static struct msg *
new_msg(struct bus_chan *ch, amqp_bytes_t exchange, amqp_bytes_t routing_key)
{
	struct msg *m = alloc_zero(sizeof(*m));

	if (m == NULL)
		return NULL;
	msg_init(m, ch->conn->message_max + PROPS_MAX);
	m->exchange = arena_dup(&m->arena, span_of_amqp(exchange));
	m->routing_key = arena_dup(&m->arena, span_of_amqp(routing_key));
	if (m->exchange.ptr != NULL && m->routing_key.ptr != NULL)
		return m;
	bus_msg_free(m);
	return NULL;
}

void
bus_msg_free(struct msg *m)
{
	if (m == NULL)
		return;
	msg_release(m);
	alloc_free(m);
}

static void
no_memory(struct bus_chan *ch)
{
	conn_fault(ch->conn, AMQP_RESOURCE_ERROR, "out of memory for a message");
}

static void
begin_content(struct bus_chan *ch, const struct frame *f)
{
	struct content *in = &ch->in;
	amqp_bytes_t extra = amqp_empty_bytes;

	if (f->method == AMQP_BASIC_DELIVER_METHOD) {
		const amqp_basic_deliver_t *m = f->args;

		in->kind = CONTENT_DELIVER;
		in->d.tag = (struct bus_tag){ ch->epoch, m->delivery_tag };
		in->d.redelivered = m->redelivered != 0;
		in->d.msg = new_msg(ch, m->exchange, m->routing_key);
		extra = m->consumer_tag;
	} else if (f->method == AMQP_BASIC_GET_OK_METHOD) {
		const amqp_basic_get_ok_t *m = f->args;

		in->kind = CONTENT_GET;
		in->d.tag = (struct bus_tag){ ch->epoch, m->delivery_tag };
		in->d.redelivered = m->redelivered != 0;
		in->messages = m->message_count;
		in->d.msg = new_msg(ch, m->exchange, m->routing_key);
	} else {
		const amqp_basic_return_t *m = f->args;

		in->kind = CONTENT_RETURN;
		in->code = m->reply_code;
		in->d.msg = new_msg(ch, m->exchange, m->routing_key);
		extra = m->reply_text;
	}
	if (in->d.msg != NULL)
		in->d.consumer = arena_dup(&in->d.msg->arena, span_of_amqp(extra));
	if (in->d.msg == NULL || in->d.consumer.ptr == NULL)
		no_memory(ch);
}

/* The message is whole; `in` is emptied first, as the owner may do anything in its callback. */
static void
end_content(struct bus_chan *ch)
{
	struct content in = ch->in;
	struct msg *m = in.d.msg;

	ch->in = (struct content){ 0 };
	if (in.kind == CONTENT_RETURN) {
		struct bus_return r = { in.code, in.d.consumer.ptr, m->exchange, m->routing_key,
			m->correlation_id };

		if (ch->ops.on_return != NULL)
			ch->ops.on_return(ch->owner, &r);
		bus_msg_free(m);
	} else if (in.kind == CONTENT_GET) {
		if (!calls_answer(ch, AMQP_BASIC_GET_OK_METHOD, NULL, &in.d, in.messages)) {
			bus_msg_free(m);
			conn_fault(ch->conn, AMQP_COMMAND_INVALID, "basic.get-ok, but nobody asked");
		}
	} else if (ch->ops.on_deliver != NULL) {
		ch->ops.on_deliver(ch->owner, &in.d);
	} else {
		bus_msg_free(m);
	}
}

/* Makes room for the body, or notes that it is too long to be kept. */
static enum err
prepare_body(struct bus_chan *ch, uint64_t size)
{
	struct content *in = &ch->in;
	struct msg *m = in->d.msg;
	struct errtext why;

	in->left = size;
	if (in->kind == CONTENT_RETURN || size == 0)
		return E_OK;
	if (size > ch->conn->message_max) {
		(void)err_set(&why, E_TOOBIG, "its body has %llu bytes, %zu are allowed",
			(unsigned long long)size, ch->conn->message_max);
		in->d.spoiled = arena_dup(&m->arena, span_of(why.text)).ptr;
		return in->d.spoiled != NULL ? E_OK : E_NOMEM;
	}
	in->to = arena_alloc(&m->arena, (size_t)size);
	m->body = (struct span){ in->to, (size_t)size };
	return in->to != NULL ? E_OK : E_NOMEM;
}

static void
on_header(struct bus_chan *ch, const struct frame *f)
{
	struct content *in = &ch->in;
	struct msg *m = in->d.msg;
	enum err e = E_OK;

	in->has_header = true;
	m->body = SPAN("");
	in->d.spoiled = f->spoiled;
	if (f->props != NULL)
		e = codec_take_props(m, f->props);
	if (e == E_TOOBIG)
		in->d.spoiled = "its headers are too large";
	else if (e != E_OK) {
		no_memory(ch);
		return;
	}
	if (prepare_body(ch, f->body_size) != E_OK) {
		no_memory(ch);
		return;
	}
	if (in->left == 0)
		end_content(ch);
}

static void
on_body(struct bus_chan *ch, const struct frame *f)
{
	struct content *in = &ch->in;

	if (f->piece.len > in->left) {
		conn_fault(ch->conn, AMQP_UNEXPECTED_FRAME,
			"a body is longer than its header says, on channel %u", (unsigned)ch->number);
		return;
	}
	if (in->to != NULL) {
		memcpy(in->to, f->piece.ptr, f->piece.len);
		in->to += f->piece.len;
	}
	in->left -= f->piece.len;
	if (in->left == 0 && f->end)
		end_content(ch);
}

static void
on_cancelled(struct bus_chan *ch, const amqp_basic_cancel_t *m)
{
	amqp_basic_cancel_ok_t ok = { m->consumer_tag };

	if (!m->nowait)
		(void)!conn_send(ch->conn, ch->number, AMQP_BASIC_CANCEL_OK_METHOD, &ok);
	if (ch->ops.on_cancel != NULL)
		ch->ops.on_cancel(ch->owner, span_of_amqp(m->consumer_tag));
}

static void
on_confirm(struct bus_chan *ch, uint64_t seq, bool multiple, bool ack)
{
	if (ch->ops.on_confirm != NULL)
		ch->ops.on_confirm(ch->owner, seq, multiple, ack);
}

/* Open channels only. */
static void
on_method(struct bus_chan *ch, const struct frame *f)
{
	switch (f->method) {
	case AMQP_BASIC_DELIVER_METHOD:
	case AMQP_BASIC_GET_OK_METHOD:
	case AMQP_BASIC_RETURN_METHOD:
		begin_content(ch, f);
		return;
	case AMQP_BASIC_CANCEL_METHOD:
		on_cancelled(ch, f->args);
		return;
	case AMQP_BASIC_ACK_METHOD: {
		const amqp_basic_ack_t *m = f->args;

		on_confirm(ch, m->delivery_tag, m->multiple != 0, true);
		return;
	}
	case AMQP_BASIC_NACK_METHOD: {
		const amqp_basic_nack_t *m = f->args;

		on_confirm(ch, m->delivery_tag, m->multiple != 0, false);
		return;
	}
	default:
		if (!calls_answer(ch, f->method, f->args, NULL, 0))
			conn_fault(ch->conn, AMQP_COMMAND_INVALID, "%s on channel %u was not asked for",
				amqp_method_name(f->method), (unsigned)ch->number);
	}
}

void
chan_on_frame(struct bus_chan *ch, const struct frame *f)
{
	bool content = f->type != AMQP_FRAME_METHOD;
	bool expected = content
		? ch->in.kind != CONTENT_NONE && ch->in.has_header == (f->type == AMQP_FRAME_BODY)
		: ch->in.kind == CONTENT_NONE;

	if (!content && f->method == AMQP_CHANNEL_CLOSE_METHOD &&
		(ch->state == CHAN_OPEN || ch->state == CHAN_OPENING)) {
		drop_content(ch);
		on_server_close(ch, f->args);
	} else if (!expected) {
		conn_fault(ch->conn, AMQP_UNEXPECTED_FRAME, "a %s frame on channel %u at the wrong place",
			f->type == AMQP_FRAME_METHOD           ? "method"
				: f->type == AMQP_FRAME_HEADER ? "header"
							       : "body",
			(unsigned)ch->number);
	} else if (!content && f->method == AMQP_CHANNEL_OPEN_OK_METHOD) {
		on_open_ok(ch);
	} else if (ch->state != CHAN_OPEN) {
		conn_fault(ch->conn, AMQP_CHANNEL_ERROR, "a frame on channel %u, which is not open",
			(unsigned)ch->number);
	} else if (!content) {
		on_method(ch, f);
	} else if (f->type == AMQP_FRAME_HEADER) {
		on_header(ch, f);
	} else {
		on_body(ch, f);
	}
}

/* --- from above --- */

static void
chan_free(void *p)
{
	struct bus_chan *ch = p;

	loop_timer_release(&ch->reopen);
	loop_timer_release(&ch->patience);
	alloc_free(ch);
}

enum err
bus_chan_new(struct bus_chan **out, struct bus_conn *c, const struct bus_chan_ops *ops, void *owner)
{
	struct bus_chan *ch = alloc_zero(sizeof(*ch));
	enum err e;

	*out = NULL;
	if (ch == NULL)
		return E_NOMEM;
	ch->conn = c;
	ch->loop = c->loop;
	ch->ops = *ops;
	ch->owner = owner;
	ch->reopen_ms = REOPEN_MIN_MS;
	list_init(&ch->calls);
	e = loop_timer_init(&ch->reopen, c->loop, on_reopen, ch);
	if (e == E_OK)
		e = loop_timer_init(&ch->patience, c->loop, on_patience, ch);
	if (e == E_OK)
		e = conn_add_chan(c, ch);
	if (e != E_OK) {
		chan_free(ch);
		return e;
	}
	if (c->state == CONN_OPEN)
		open_now(ch);
	*out = ch;
	return E_OK;
}

void
chan_orphan(struct bus_chan *ch)
{
	ch->conn = NULL;
	ch->state = CHAN_CLOSED;
	loop_timer_disarm(&ch->reopen);
	loop_timer_disarm(&ch->patience);
	drop_content(ch);
	calls_drop(ch);
}

void
bus_chan_close(struct bus_chan *ch)
{
	amqp_channel_close_t m = { .reply_code = AMQP_REPLY_SUCCESS,
		.reply_text = amqp_of_span(SPAN("goodbye")) };
	bool told;

	if (ch == NULL || ch->state == CHAN_GONE)
		return;
	told = ch->conn != NULL && (ch->state == CHAN_OPEN || ch->state == CHAN_OPENING) &&
		conn_send(ch->conn, ch->number, AMQP_CHANNEL_CLOSE_METHOD, &m) == E_OK;
	if (ch->conn != NULL)
		conn_drop_chan(ch->conn, ch, told);
	ch->state = CHAN_GONE;
	ch->conn = NULL;
	loop_timer_disarm(&ch->reopen);
	loop_timer_disarm(&ch->patience);
	drop_content(ch);
	calls_drop(ch);
	loop_reap(ch->loop, chan_free, ch);
}

bool
bus_chan_is_open(const struct bus_chan *ch)
{
	return ch->state == CHAN_OPEN;
}

uint64_t
bus_chan_epoch(const struct bus_chan *ch)
{
	return ch->epoch;
}

/* A tag of an earlier epoch names some other delivery by now; acknowledging that one would lose a task. */
static bool
is_stale(const struct bus_chan *ch, struct bus_tag tag)
{
	return ch->state != CHAN_OPEN || tag.epoch != ch->epoch;
}

enum err
bus_ack(struct bus_chan *ch, struct bus_tag tag)
{
	amqp_basic_ack_t m = { .delivery_tag = tag.tag };

	return is_stale(ch, tag) ? E_CLOSED : conn_send(ch->conn, ch->number, AMQP_BASIC_ACK_METHOD, &m);
}

enum err
bus_nack(struct bus_chan *ch, struct bus_tag tag, bool requeue)
{
	amqp_basic_nack_t m = { .delivery_tag = tag.tag, .requeue = requeue };

	return is_stale(ch, tag) ? E_CLOSED : conn_send(ch->conn, ch->number, AMQP_BASIC_NACK_METHOD, &m);
}
