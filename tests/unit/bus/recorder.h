/* A channel whose every event is written down, and deliveries cut into their frames. */
#ifndef WARREN_TESTS_BUS_RECORDER_H
#define WARREN_TESTS_BUS_RECORDER_H

#include "unit/bus/fixture.h"

#include "bus/codec.h"

struct rec {
	struct fx *x;
	struct bus_chan *ch;
	size_t opens, closes, n_got, cancels, returns;
	struct bus_close closed;
	struct errtext close_text;
	struct bus_delivery got[64];
	struct errtext cancelled, returned;
	int return_code;
	bool close_in_callback;
};

static inline void
rec_open(void *owner)
{
	((struct rec *)owner)->opens++;
}

static inline void
rec_close(void *owner, const struct bus_close *why)
{
	struct rec *r = owner;

	r->closes++;
	r->closed = *why;
	(void)err_set(&r->close_text, E_OK, "%s", why->text);
}

static inline void
rec_deliver(void *owner, struct bus_delivery *d)
{
	struct rec *r = owner;

	assert_true(r->n_got < ARRAY_LEN(r->got));
	r->got[r->n_got++] = *d;
	if (r->close_in_callback) {
		bus_chan_close(r->ch);
		r->ch = NULL;
	}
}

static inline void
rec_cancel(void *owner, struct span consumer)
{
	struct rec *r = owner;

	r->cancels++;
	(void)err_set(&r->cancelled, E_OK, "%.*s", SPAN_FMT(consumer));
}

static inline void
rec_return(void *owner, const struct bus_return *ret)
{
	struct rec *r = owner;

	r->returns++;
	r->return_code = ret->code;
	(void)err_set(&r->returned, E_OK, "%s|%.*s|%.*s|%.*s", ret->text, SPAN_FMT(ret->exchange),
		SPAN_FMT(ret->routing_key), SPAN_FMT(ret->correlation_id));
}

static const struct bus_chan_ops rec_ops = {
	.on_open = rec_open,
	.on_close = rec_close,
	.on_deliver = rec_deliver,
	.on_cancel = rec_cancel,
	.on_return = rec_return,
};

static inline bool
rec_is_open(void *owner)
{
	return bus_chan_is_open(((struct rec *)owner)->ch);
}

static inline void
rec_start(struct rec *r, struct fx *x)
{
	*r = (struct rec){ .x = x };
	assert_ok(bus_chan_new(&r->ch, x->conn, &rec_ops, r));
	fake_until(x->fake, rec_is_open, r);
}

static inline void
rec_end(struct rec *r)
{
	bus_chan_close(r->ch);
	for (size_t i = 0; i < r->n_got; i++)
		bus_msg_free(r->got[i].msg);
}

static inline bool
got_one(void *owner)
{
	return ((struct rec *)owner)->n_got > 0;
}

/* The frames of one delivery, as pieces: method, header, then the body in frames of `frame` bytes. */
static inline size_t
cut(struct span out[], struct buf *b, uint16_t channel, const struct msg *m, size_t frame)
{
	amqp_basic_deliver_t d = { .consumer_tag = amqp_of_span(SPAN("c")), .delivery_tag = 1 };
	amqp_pool_t pool;
	size_t n = 0, at, size;

	init_amqp_pool(&pool, 4096);
	buf_init(b, 0);
	assert_ok(codec_add_method(b, channel, AMQP_BASIC_DELIVER_METHOD, &d, BUS_FRAME_MAX));
	assert_ok(codec_add_header(b, channel, m, &pool));
	codec_add_body(b, channel, m->body, frame + BUS_FRAME_EXTRA);
	for (at = 0; at < b->len; at += size) {
		size = BUS_FRAME_EXTRA +
			((size_t)(unsigned char)b->data[at + 5] << 8 | (unsigned char)b->data[at + 6]);
		out[n++] = (struct span){ b->data + at, size };
	}
	empty_amqp_pool(&pool);
	return n;
}

#endif
