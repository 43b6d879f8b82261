/*
 * Publishing with confirms. Every message is one allocation that holds its frames as they go out, from bus_publish until its end.
 *
 *	bus_publish --> all (by id) --pump--> flight (by the channel's sequence number) --confirm, return, 404--> fn, freed
 *	                 ^                       |
 *	                 +---- connection or channel lost: all that is in flight is to be sent again ----+
 *
 * `all` keeps the order of bus_publish: what has an id below next_send is in flight, the rest waits. Nothing is sent from inside
 * bus_publish: the pump runs once, later in the turn, so a burst of publishes leaves together and fn is never called from inside.
 *
 * A basic.return does not say which publish it belongs to. The broker handles publishes in order and sends the return of one before
 * its confirm, so it belongs to the oldest message in flight that has the same exchange, routing key and correlation id and has
 * not been returned yet. Should two be alike in all of these, the broker routes them alike.
 *
 * A channel.close does not say it either. When it names an exchange, all messages to that exchange (and key, if it names one) end (one sent before the exchange
 * was deleted may have arrived: its sender is told of a failure that was none). When one message is in flight, it was that one.
 * Otherwise those in flight are sent again one at a time (`careful`), until the bad one has shown itself.
 */
#include "bus/publish.h"

#include "bus/inner.h"
#include "bus/ring.h"

#define OUT_MAX ((size_t)4 << 20) /* what we let wait in the stream while confirms are to come */
#define SPAN_FACTOR 4             /* one message that is never confirmed stops us after so many windows */

struct pub_item {
	uint64_t id;
	uint64_t seq; /* 0: waits */
	bus_pub_fn *fn;
	void *owner;
	bool cancelled;
	int returned;    /* the code of basic.return, 0 = none */
	size_t head_len; /* basic.publish and header frames */
	size_t body_len;
	size_t corr_len;
	size_t size;  /* of bytes */
	char bytes[]; /* head, body as one frame, correlation id */
};

struct bus_pub {
	struct loop *loop;
	struct bus_chan *chan;
	loop_fn *on_drain;
	void *owner;
	size_t window, bytes_max, pending_max;

	struct ring all, flight;
	uint64_t next_send; /* the first id that is not in flight */
	uint64_t careful;   /* one at a time up to this id */
	size_t bytes;
	bool ready; /* channel open and in confirm mode */
	bool full;  /* E_AGAIN was returned: on_drain is owed */
	bool closed;
	struct loop_task pumping;
	struct buf head; /* scratch */
	amqp_pool_t pool;
};

static struct span
item_exchange(const struct pub_item *it)
{
	/* frame head 7, class and method 4, ticket 2 */
	const char *p = it->bytes + BUS_FRAME_HEAD + 6;

	return (struct span){ p + 1, (unsigned char)*p };
}

static struct span
item_key(const struct pub_item *it)
{
	struct span x = item_exchange(it);

	return (struct span){ x.ptr + x.len + 1, (unsigned char)x.ptr[x.len] };
}

static struct span
item_correlation(const struct pub_item *it)
{
	return (struct span){ it->bytes + it->size - it->corr_len, it->corr_len };
}

/* After the owner closed publisher or connection nothing more is told. */
static bool
is_silent(const struct bus_pub *p)
{
	return p->closed || p->chan->conn == NULL;
}

/* --- ends --- */

static void
forget(struct bus_pub *p, struct pub_item *it)
{
	ring_clear(&p->all, it->id);
	if (it->seq != 0)
		ring_clear(&p->flight, it->seq);
	p->bytes -= it->size;
	alloc_free(it);
}

static void
end_item(struct bus_pub *p, struct pub_item *it, enum bus_pub_end end, int code, const char *cause)
{
	struct bus_pub_result r = { end, code, "" };
	bus_pub_fn *fn = it->cancelled ? NULL : it->fn;
	struct span x = item_exchange(it), key = item_key(it);
	void *owner = it->owner;
	struct errtext text;

	if (end != BUS_PUB_CONFIRMED) {
		if (end == BUS_PUB_RETURNED && x.len == 0)
			(void)err_set(&text, E_REFUSED,
				"there is no queue '%.*s' for a message to the default exchange with that "
				"routing key (%s)",
				SPAN_FMT(key), cause);
		else if (end == BUS_PUB_RETURNED)
			(void)err_set(&text, E_REFUSED,
				"no queue takes messages to exchange '%.*s' with routing key '%.*s' (%s)",
				SPAN_FMT(x), SPAN_FMT(key), cause);
		else
			(void)err_set(&text, E_REFUSED,
				"the broker does not take the message to exchange '%.*s' with routing key "
				"'%.*s': %s",
				SPAN_FMT(x), SPAN_FMT(key), cause);
		r.text = text.text;
	}
	forget(p, it);
	if (fn != NULL)
		fn(owner, &r);
}

static void
confirm_one(struct bus_pub *p, struct pub_item *it, bool ack)
{
	if (!ack)
		end_item(p, it, BUS_PUB_NACKED, 0, "it answered with basic.nack (a full queue?)");
	else if (it->returned != 0)
		end_item(p, it, BUS_PUB_RETURNED, it->returned, "NO_ROUTE");
	else
		end_item(p, it, BUS_PUB_CONFIRMED, 0, "");
}

static void pump(void *owner);

static void
pump_later(struct bus_pub *p)
{
	loop_defer(p->loop, LOOP_DECIDE, &p->pumping, pump, p);
}

static void
on_confirm(void *owner, uint64_t seq, bool multiple, bool ack)
{
	struct bus_pub *p = owner;
	uint64_t n = multiple ? p->flight.low : seq, last = seq;
	struct pub_item *it;

	/* With `multiple`, 0 stands for all. A number that we have not used yet is nothing we could act on. */
	if (last >= p->flight.next || (multiple && seq == 0))
		last = multiple ? p->flight.next - 1 : 0;
	for (; n <= last && !is_silent(p); n++) {
		it = ring_get(&p->flight, n);
		if (it != NULL)
			confirm_one(p, it, ack);
	}
	if (!is_silent(p))
		pump_later(p);
}

static void
on_return(void *owner, const struct bus_return *r)
{
	struct bus_pub *p = owner;
	struct pub_item *it;

	for (uint64_t n = p->flight.low; n < p->flight.next; n++) {
		it = ring_get(&p->flight, n);
		if (it == NULL || it->returned != 0)
			continue;
		if (span_eq(item_key(it), r->routing_key) && span_eq(item_exchange(it), r->exchange) &&
			item_correlation(it).len == r->correlation_id.len &&
			(r->correlation_id.len == 0 || span_eq(item_correlation(it), r->correlation_id))) {
			it->returned = r->code != 0 ? r->code : AMQP_NO_ROUTE;
			return;
		}
	}
}

/* What stands between these two words. */
static struct span
between(const char *text, const char *before, const char *after)
{
	const char *from = strstr(text, before), *to;

	if (from == NULL)
		return SPAN_NONE;
	from += strlen(before);
	to = strstr(from, after);
	return to == NULL ? SPAN_NONE : (struct span){ from, (size_t)(to - from) };
}

/* Whether the text names the message's exchange, as RabbitMQ words 404 and 403; where keys have permissions of their own, its key too. */
static bool
is_named(const struct pub_item *it, const char *text)
{
	struct span exchange = between(text, "exchange '", "' in vhost"),
		    key = between(text, "access to topic '", "' in exchange '");

	return exchange.len > 0 && span_eq(item_exchange(it), exchange) &&
		(key.ptr == NULL || span_eq(item_key(it), key));
}

/* Ends the messages that channel.close was about, or gets careful. */
static void
blame(struct bus_pub *p, const struct bus_close *why)
{
	enum bus_pub_end end = why->code == AMQP_NOT_FOUND ? BUS_PUB_NO_EXCHANGE : BUS_PUB_REFUSED;
	uint64_t last = p->all.next - 1;
	bool found = false;
	struct pub_item *it;

	if (p->flight.count == 0)
		return;
	if (p->flight.count == 1) {
		end_item(p, ring_get(&p->flight, p->flight.low), end, why->code, why->text);
		return;
	}
	for (uint64_t id = p->all.low; id <= last && !is_silent(p); id++) {
		it = ring_get(&p->all, id);
		if (it == NULL || !is_named(it, why->text))
			continue;
		found = true;
		end_item(p, it, end, why->code, why->text);
	}
	if (!found)
		p->careful = p->next_send - 1;
}

/* --- sending --- */

/* Nothing is in flight any more; what was is the first to be sent again. */
static void
unsend(struct bus_pub *p)
{
	struct pub_item *it;

	for (uint64_t n = p->flight.low; n < p->flight.next; n++) {
		it = ring_get(&p->flight, n);
		if (it == NULL)
			continue;
		it->seq = 0;
		it->returned = 0;
		if (it->cancelled)
			forget(p, it);
	}
	ring_reset(&p->flight);
	p->next_send = p->all.low;
}

static bool
may_send(const struct bus_pub *p)
{
	const struct bus_conn *c = p->chan->conn;
	size_t window = p->all.low <= p->careful ? 1 : p->window;
	size_t most = c->write_max / 2 < OUT_MAX ? c->write_max / 2 : OUT_MAX;

	if (!p->ready || c->blocked || p->flight.count >= window ||
		ring_span(&p->flight) >= SPAN_FACTOR * p->window)
		return false;
	/* With none in flight no confirm would wake us, but then the stream's on_drain does. */
	return p->flight.count == 0 || stream_pending(c->stream) < most;
}

/* The body is stored as one frame. Where the broker wants smaller ones it is cut up, which is a copy for large bodies only. */
static enum err
write_item(struct bus_pub *p, const struct pub_item *it)
{
	struct bus_conn *c = p->chan->conn;
	size_t frame_max = c->frame_max;
	struct span whole = { it->bytes, it->size - it->corr_len };
	struct buf b;
	enum err e;

	if (it->head_len > frame_max)
		return E_TOOBIG;
	if (it->body_len + BUS_FRAME_EXTRA <= frame_max)
		return conn_write(c, whole);
	buf_init(&b, 0);
	buf_add(&b, (struct span){ it->bytes, it->head_len });
	codec_add_body(&b, p->chan->number,
		(struct span){ it->bytes + it->head_len + BUS_FRAME_HEAD, it->body_len }, frame_max);
	e = b.err != E_OK ? b.err : conn_write(c, buf_span(&b));
	buf_release(&b);
	return e;
}

/* False: no more can be sent now. */
static bool
send_next(struct bus_pub *p)
{
	struct pub_item *it;
	enum err e;

	while (p->next_send < p->all.next && ring_get(&p->all, p->next_send) == NULL)
		p->next_send++;
	it = ring_get(&p->all, p->next_send);
	if (it == NULL || !may_send(p))
		return false;
	e = ring_reserve(&p->flight);
	if (e == E_OK)
		e = write_item(p, it);
	if (e == E_OK) {
		it->seq = p->flight.next;
		e = ring_push(&p->flight, it);
		p->next_send++;
	}
	if (e == E_TOOBIG) {
		end_item(p, it, BUS_PUB_REFUSED, AMQP_FRAME_ERROR,
			"its headers do not fit into a frame of this broker");
		return !is_silent(p);
	}
	/* E_AGAIN: the stream's on_drain wakes us. E_CLOSED: the next on_open does. */
	if (e == E_NOMEM)
		conn_break(p->chan->conn, e, "out of memory");
	return e == E_OK;
}

/* Half of the room must be free again before it is said, or every confirm would say it. */
static bool
has_room(const struct bus_pub *p)
{
	return p->all.count <= p->pending_max / 2 && p->bytes <= p->bytes_max / 2 &&
		ring_span(&p->all) < SPAN_FACTOR * p->pending_max;
}

static void
pump(void *owner)
{
	struct bus_pub *p = owner;

	if (is_silent(p))
		return;
	while (send_next(p))
		;
	if (is_silent(p) || !p->full || !has_room(p))
		return;
	p->full = false;
	if (p->on_drain != NULL)
		p->on_drain(p->owner);
}

static void
on_selected(void *owner, const struct bus_answer *a)
{
	struct bus_pub *p = owner;

	p->ready = a->err == E_OK;
	if (p->ready)
		pump_later(p);
}

static void
on_open(void *owner)
{
	struct bus_pub *p = owner;
	enum err e = bus_confirm_select(p->chan, on_selected, p);

	if (e == E_NOMEM)
		conn_break(p->chan->conn, e, "out of memory");
}

static void
on_close(void *owner, const struct bus_close *why)
{
	struct bus_pub *p = owner;

	p->ready = false;
	if (why->by_server)
		blame(p, why);
	if (!is_silent(p))
		unsend(p);
}

static void
on_wake(void *owner)
{
	pump_later(owner);
}

/* --- from above --- */

static void
pub_free(void *owner)
{
	struct bus_pub *p = owner;

	for (uint64_t id = p->all.low; id < p->all.next; id++)
		alloc_free(ring_get(&p->all, id));
	ring_release(&p->all);
	ring_release(&p->flight);
	buf_release(&p->head);
	empty_amqp_pool(&p->pool);
	alloc_free(p);
}

enum err
bus_pub_new(struct bus_pub **out, struct bus_conn *c, const struct bus_pub_conf *conf, loop_fn *on_drain,
	void *owner)
{
	static const struct bus_chan_ops ops = {
		.on_open = on_open,
		.on_close = on_close,
		.on_confirm = on_confirm,
		.on_return = on_return,
	};
	struct bus_pub *p = alloc_zero(sizeof(*p));
	enum err e;

	*out = NULL;
	if (p == NULL)
		return E_NOMEM;
	p->loop = c->loop;
	p->on_drain = on_drain;
	p->owner = owner;
	p->window = conf->window > 0 ? conf->window : 1000;
	p->bytes_max = conf->bytes_max > 0 ? conf->bytes_max : (size_t)64 << 20;
	p->pending_max = p->window + (conf->queue_max > 0 ? conf->queue_max : 10000);
	p->next_send = 1;
	ring_reset(&p->all);
	ring_reset(&p->flight);
	buf_init(&p->head, 4 * BUS_FRAME_MAX);
	init_amqp_pool(&p->pool, 4096);
	e = bus_chan_new(&p->chan, c, &ops, p);
	if (e != E_OK) {
		pub_free(p);
		return e;
	}
	p->chan->on_wake = on_wake;
	*out = p;
	return E_OK;
}

void
bus_pub_close(struct bus_pub *p)
{
	if (p == NULL || p->closed)
		return;
	p->closed = true;
	loop_undefer(&p->pumping);
	bus_chan_close(p->chan);
	loop_reap(p->loop, pub_free, p);
}

/* The item with its frames; what p->head holds goes first. */
static struct pub_item *
new_item(const struct bus_pub *p, const struct msg *m)
{
	size_t body = m->body.len > 0 ? m->body.len + BUS_FRAME_EXTRA : 0;
	size_t size = p->head.len + body + m->correlation_id.len;
	struct pub_item *it = alloc_bytes(sizeof(*it) + size);
	char *at;

	if (it == NULL)
		return NULL;
	*it = (struct pub_item){
		.head_len = p->head.len,
		.body_len = m->body.len,
		.corr_len = m->correlation_id.len,
		.size = size,
	};
	memcpy(it->bytes, p->head.data, p->head.len);
	at = it->bytes + p->head.len;
	if (body > 0) {
		codec_put_head(at, AMQP_FRAME_BODY, p->chan->number, m->body.len);
		memcpy(at + BUS_FRAME_HEAD, m->body.ptr, m->body.len);
		at[BUS_FRAME_HEAD + m->body.len] = (char)AMQP_FRAME_END;
	}
	if (m->correlation_id.len > 0)
		memcpy(at + body, m->correlation_id.ptr, m->correlation_id.len);
	return it;
}

/* Into p->head. */
static enum err
encode_head(struct bus_pub *p, const struct msg *m)
{
	size_t most = p->bytes_max < p->chan->conn->write_max ? p->bytes_max : p->chan->conn->write_max;
	enum err e;

	buf_reset(&p->head);
	e = codec_add_publish(&p->head, p->chan->number, m, &p->pool);
	if (e != E_OK)
		return e;
	/* What is added at most: 8 bytes for each frame of 4 KiB, the smallest that a broker may ask for, and the correlation id. */
	return m->body.len > most || p->head.len + m->body.len + m->body.len / 256 + 512 > most ? E_TOOBIG
												: E_OK;
}

enum err
bus_pub_check(struct bus_pub *p, const struct msg *m)
{
	return is_silent(p) ? E_OK : encode_head(p, m);
}

enum err
bus_publish(struct bus_pub *p, const struct msg *m, bus_pub_fn *fn, void *owner, uint64_t *id)
{
	struct pub_item *it;
	enum err e;

	if (is_silent(p))
		return E_CLOSED;
	if (p->all.count >= p->pending_max || ring_span(&p->all) >= SPAN_FACTOR * p->pending_max) {
		p->full = true;
		return E_AGAIN;
	}
	e = encode_head(p, m);
	if (e != E_OK)
		return e;
	if (p->head.len + m->body.len + 512 > p->bytes_max - p->bytes) {
		p->full = true;
		return E_AGAIN;
	}
	it = new_item(p, m);
	if (it == NULL)
		return E_NOMEM;
	it->fn = fn;
	it->owner = owner;
	it->id = p->all.next;
	e = ring_push(&p->all, it);
	if (e != E_OK) {
		alloc_free(it);
		return e;
	}
	p->bytes += it->size;
	if (id != NULL)
		*id = it->id;
	pump_later(p);
	return E_OK;
}

void
bus_pub_cancel(struct bus_pub *p, uint64_t id)
{
	struct pub_item *it = ring_get(&p->all, id);

	if (it == NULL)
		return;
	if (it->seq != 0)
		it->cancelled = true;
	else
		forget(p, it);
	if (!is_silent(p))
		pump_later(p);
}

size_t
bus_pub_pending(const struct bus_pub *p)
{
	return p->all.count;
}
