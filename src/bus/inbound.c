/*
 * What comes in on a connection: bytes -> frames -> to the handshake, to the connection itself (channel 0) or to a channel.
 *
 * Whatever a broker must not send ends the connection with the reply code that AMQP has for it; nothing here asserts on input. Every
 * hand-over may call back, and the owner may close the connection or have it dial anew from there: the loop over the bytes of one
 * stream ends as soon as that stream is no longer the connection's.
 */
#include "bus/inner.h"

void
conn_wake_all(struct bus_conn *c)
{
	for (size_t i = 1; i < c->n_slots && c->state == CONN_OPEN; i++)
		if (c->slots[i].chan != NULL)
			chan_wake(c->slots[i].chan);
}

static void
set_blocked(struct bus_conn *c, bool blocked, struct span reason)
{
	struct errtext text;

	if (c->blocked == blocked)
		return;
	c->blocked = blocked;
	c->unblocked_at = loop_now(c->loop);
	(void)err_set(&text, E_OK, "%.*s", SPAN_FMT(reason));
	if (c->ops.on_blocked != NULL)
		c->ops.on_blocked(c->owner, blocked, text.text);
	if (!blocked)
		conn_wake_all(c);
}

static void
on_method_0(struct bus_conn *c, const struct frame *f)
{
	if (c->state == CONN_HELLO) {
		hello_on_method(c, f);
		return;
	}
	switch (f->method) {
	case AMQP_CONNECTION_CLOSE_METHOD:
		conn_closed_by_server(c, f->args);
		return;
	case AMQP_CONNECTION_BLOCKED_METHOD:
		set_blocked(c, true, span_of_amqp(((amqp_connection_blocked_t *)f->args)->reason));
		return;
	case AMQP_CONNECTION_UNBLOCKED_METHOD:
		set_blocked(c, false, SPAN(""));
		return;
	default:
		conn_fault(c, AMQP_COMMAND_INVALID, "%s came on channel 0 of an open connection",
			amqp_method_name(f->method));
	}
}

/* On a channel that we closed: all is thrown away until the broker agrees. */
static void
on_closing_slot(struct bus_conn *c, struct conn_slot *slot, const struct frame *f)
{
	amqp_channel_close_ok_t ok = { 0 };

	if (f->type != AMQP_FRAME_METHOD)
		return;
	if (f->method == AMQP_CHANNEL_CLOSE_OK_METHOD)
		slot->closing = false;
	else if (f->method == AMQP_CHANNEL_CLOSE_METHOD)
		(void)!conn_send(c, f->channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
}

static void
on_frame(struct bus_conn *c, const struct frame *f)
{
	struct conn_slot *slot = f->channel < c->n_slots ? &c->slots[f->channel] : NULL;

	if (f->type == AMQP_FRAME_HEARTBEAT)
		return;
	if (f->channel == 0 && f->type == AMQP_FRAME_METHOD)
		on_method_0(c, f);
	else if (f->channel == 0)
		conn_fault(c, AMQP_UNEXPECTED_FRAME, "content on channel 0");
	else if (c->state != CONN_OPEN || slot == NULL || (slot->chan == NULL && !slot->closing))
		conn_fault(c, AMQP_CHANNEL_ERROR, "a frame on channel %u, which is not open",
			(unsigned)f->channel);
	else if (slot->closing)
		on_closing_slot(c, slot, f);
	else
		chan_on_frame(slot->chan, f);
}

void
conn_on_data(struct bus_conn *c, struct span bytes)
{
	const struct stream *s = c->stream;
	struct fault fault;
	struct frame f;
	enum err e = E_OK;

	while (c->stream == s && s != NULL) {
		e = codec_next(&c->codec, &bytes, &f, &fault);
		if (e != E_OK)
			break;
		if (c->state != CONN_CLOSING)
			on_frame(c, &f);
		else if (f.type == AMQP_FRAME_METHOD && f.channel == 0 &&
			(f.method == AMQP_CONNECTION_CLOSE_OK_METHOD ||
				f.method == AMQP_CONNECTION_CLOSE_METHOD))
			conn_finish(c);
	}
	if (e == E_OK || e == E_AGAIN)
		return;
	if (c->state == CONN_CLOSING)
		conn_finish(c);
	else if (e == E_FORMAT)
		conn_fault(c, fault.code, "%s", fault.why.text);
	else
		conn_lost(c, e, 0, "out of memory");
}
