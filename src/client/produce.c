/*
 * Sending, and questions about queues. Sends only fill the publisher; the loop turns when the window is full, now and then in between so that
 * broker and encoder work at the same time, and in client_flush. When the window is full it is let run half empty, so that
 * a long job costs one system call for hundreds of messages and the broker is never idle.
 */
#include "client/inside.h"

#include "base/clock.h"

#include <stdio.h>

#define TURN_EVERY 128
/* A broker that closes the connection over the question itself would do so for ever. */
#define ENSURE_TRIES 3

/* One send without a fate. */
struct sending {
	struct list link;
	struct client *client;
	client_sent_fn *fn;
	void *owner;
	uint64_t tag;
	size_t id_len;
	char id[];
};

static void
sending_free(struct sending *s)
{
	list_unlink(&s->link);
	s->client->n_sends--;
	alloc_free(s);
}

void
client_close_sends(struct client *c)
{
	struct list *it, *tmp;

	bus_pub_close(c->pub);
	c->pub = NULL;
	LIST_EACH (&c->sends, it, tmp)
		sending_free(container_of(it, struct sending, link));
}

static void
on_published(void *owner, const struct bus_pub_result *r)
{
	struct sending *s = owner;
	struct client_sent sent = { .text = r->text, .id = { s->id, s->id_len }, .tag = s->tag };

	switch (r->end) {
	case BUS_PUB_CONFIRMED:
		sent.err = E_OK;
		break;
	case BUS_PUB_RETURNED:
	case BUS_PUB_NO_EXCHANGE:
		sent.err = E_MISSING;
		break;
	case BUS_PUB_NACKED:
	case BUS_PUB_REFUSED:
		sent.err = E_REFUSED;
		break;
	}
	s->client->fates++;
	s->fn(s->owner, &sent);
	sending_free(s);
}

bool
client_is_blocked(const struct client *c)
{
	return c->conn != NULL && bus_conn_is_blocked(c->conn);
}

/* Why nothing moves, for a person. */
static enum err
stalled(struct client *c, struct errtext *t)
{
	size_t n = c->n_sends;

	if (!bus_conn_is_up(c->conn))
		return err_set(t, E_CLOSED,
			"%s; messages without a confirm, which may or may not have arrived: %zu",
			c->why.text[0] != '\0' ? c->why.text : "the broker cannot be reached", n);
	if (bus_conn_is_blocked(c->conn))
		return err_set(t, E_TIMEOUT,
			"%s has blocked publishers (memory or disk alarm); messages without a confirm: %zu",
			bus_conn_url(c->conn), n);
	return err_set(t, E_TIMEOUT, "%s sent no confirm for %.3g s; messages without one: %zu",
		bus_conn_url(c->conn), (double)c->stall_ms / 1000, n);
}

/* Until at most `left` sends have no fate. As long as fates come in there is no deadline. */
static enum err
wait_for_fates(struct client *c, size_t left, struct errtext *t)
{
	ms_t deadline = clock_mono_ms() + c->stall_ms;
	uint64_t seen = c->fates;
	ms_t now;

	c->unturned = 0;
	while (c->n_sends > left) {
		now = clock_mono_ms();
		if (c->fates != seen) {
			seen = c->fates;
			deadline = now + c->stall_ms;
		}
		if (now >= deadline)
			return stalled(c, t);
		loop_turn(c->loop, deadline - now);
	}
	return E_OK;
}

static enum err
open_pub(struct client *c, struct errtext *t)
{
	struct bus_pub_conf conf = { .window = c->window, .bytes_max = c->bytes_max, .queue_max = c->window };
	enum err e = client_connect_broker(c, t);

	if (e != E_OK || c->pub != NULL)
		return e;
	e = bus_pub_new(&c->pub, c->conn, &conf, NULL, c);
	return e == E_OK ? e : err_set(t, e, "cannot open a channel: %s", err_name(e));
}

static enum err
publish(struct client *c, const struct msg *m, struct sending *s, struct errtext *t)
{
	enum err e;

	for (;;) {
		e = bus_publish(c->pub, m, on_published, s, NULL);
		if (e != E_AGAIN)
			return e == E_OK ? e : err_set(t, e, "cannot queue the message: %s", err_name(e));
		/* s itself is counted already: with no other under way, waiting would not make room. */
		if (c->n_sends <= 1)
			return err_set(t, E_TOOBIG, "the message is larger than all that may wait to be sent");
		e = wait_for_fates(c, c->n_sends / 2, t);
		if (e != E_OK)
			return e;
	}
}

enum err
client_publish(struct client *c, const struct msg *m, uint64_t tag, client_sent_fn *fn, void *owner,
	struct errtext *t)
{
	struct sending *s;
	enum err e = c->pub != NULL ? E_OK : open_pub(c, t);

	if (e != E_OK)
		return e;
	s = alloc_bytes(sizeof(*s) + m->correlation_id.len);
	if (s == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	*s = (struct sending){
		.client = c, .fn = fn, .owner = owner, .tag = tag, .id_len = m->correlation_id.len
	};
	if (s->id_len > 0)
		memcpy(s->id, m->correlation_id.ptr, s->id_len);
	list_push(&c->sends, &s->link);
	c->n_sends++;
	e = publish(c, m, s, t);
	if (e != E_OK)
		sending_free(s);
	else if (++c->unturned >= TURN_EVERY)
		client_turn(c);
	return e;
}

enum err
client_send(struct client *c, const struct task_call *call, struct span exchange, struct span routing_key,
	uint64_t tag, client_sent_fn *fn, void *owner, struct errtext *t)
{
	struct msg m;
	enum err e;

	msg_init(&m, 0);
	e = task_encode(call, &m, t);
	m.exchange = exchange;
	m.routing_key = routing_key;
	if (e == E_OK)
		e = client_publish(c, &m, tag, fn, owner, t);
	if (e == E_OK && c->sent_events)
		client_tell_sent(c, &m);
	msg_release(&m);
	return e;
}

enum err
client_flush(struct client *c, struct errtext *t)
{
	return c->n_sends == 0 ? E_OK : wait_for_fates(c, 0, t);
}

size_t
client_pending(const struct client *c)
{
	return c->n_sends;
}

static void
ask_begin(struct client *c)
{
	c->ask = (struct client_ask){ .done = false };
}

static void
ask_end(struct client *c, enum err err, int code, const char *text)
{
	snprintf(c->ask.text, sizeof(c->ask.text), "%s", text != NULL ? text : err_name(err));
	c->ask.err = err;
	c->ask.code = code;
	c->ask.done = true;
}

static void
on_ensured(void *owner, const struct bus_topo_report *r)
{
	ask_end(owner, r->err, 0, r->text);
}

static bool
is_ensured(struct client *c, const char *name)
{
	if (c->ensured_epoch != bus_conn_epoch(c->conn)) {
		map_release(&c->ensured, NULL);
		map_init(&c->ensured);
		c->ensured_epoch = bus_conn_epoch(c->conn);
	}
	return map_get(&c->ensured, span_of(name)) != NULL;
}

/* A broker that was there and is away for a while keeps the next message waiting as it does those before. */
static enum err
connect_again(struct client *c, struct errtext *t)
{
	ms_t deadline = clock_mono_ms() + c->stall_ms;
	enum err e;

	do
		e = client_connect_broker(c, t);
	while (e != E_OK && c->conn != NULL && bus_conn_epoch(c->conn) > 0 && clock_mono_ms() < deadline);
	return e == E_OK || c->conn == NULL || bus_conn_epoch(c->conn) == 0 ? e : stalled(c, t);
}

enum err
client_ensure_queue(struct client *c, const struct bus_topo_queue *q, struct errtext *t)
{
	struct bus_topo *topo = NULL;
	int tries = 0;
	enum err e;

	do {
		e = connect_again(c, t);
		if (e != E_OK)
			return e;
		if (is_ensured(c, q->name))
			return E_OK;
		ask_begin(c);
		e = bus_topo_ensure(&topo, c->conn, q, 1, on_ensured, c);
		if (e != E_OK)
			return err_set(t, e, "queue '%s': %s", q->name, err_name(e));
		if (!client_turn_until(c, &c->ask.done, c->stall_ms)) {
			bus_topo_cancel(topo);
			return err_set(t, E_TIMEOUT, "queue '%s': %s did not answer within %.3g s", q->name,
				bus_conn_url(c->conn), (double)c->stall_ms / 1000);
		}
		/* Lost in between: the connection dials again, and client_connect_broker gives up when it cannot. */
	} while (c->ask.err == E_CLOSED && ++tries < ENSURE_TRIES);
	if (c->ask.err == E_CLOSED)
		return err_set(t, E_CLOSED,
			"queue '%s': %s closed the connection %d times when it was asked for it%s%s", q->name,
			bus_conn_url(c->conn), tries, c->why.text[0] != '\0' ? ": " : "", c->why.text);
	/* The text of a refusal by the broker names the queue already. */
	if (c->ask.err != E_OK)
		return err_set(t, c->ask.err, "%s", c->ask.text);
	e = map_set(&c->ensured, span_of(q->name), c, NULL);
	return e == E_OK ? e : err_set(t, e, "out of memory");
}

static void
on_chan_open(void *owner)
{
	((struct client *)owner)->chan_open = true;
}

static void
on_chan_close(void *owner, const struct bus_close *why)
{
	(void)why;
	((struct client *)owner)->chan_open = false;
}

static const struct bus_chan_ops chan_ops = { .on_open = on_chan_open, .on_close = on_chan_close };

static enum err
open_chan(struct client *c, struct errtext *t)
{
	enum err e = client_connect_broker(c, t);

	if (e == E_OK && c->chan == NULL) {
		c->chan_open = false;
		e = bus_chan_new(&c->chan, c->conn, &chan_ops, c);
		if (e != E_OK)
			return err_set(t, e, "cannot open a channel: %s", err_name(e));
	}
	if (e == E_OK && !bus_chan_is_open(c->chan)) {
		c->chan_open = false;
		if (!client_turn_until(c, &c->chan_open, c->stall_ms))
			return err_set(t, E_TIMEOUT, "%s did not open a channel within %.3g s",
				bus_conn_url(c->conn), (double)c->stall_ms / 1000);
	}
	return e;
}

static void
drop_chan(struct client *c)
{
	bus_chan_close(c->chan);
	c->chan = NULL;
}

static void
on_answer(void *owner, const struct bus_answer *a)
{
	struct client *c = owner;

	c->ask.messages = a->messages;
	c->ask.consumers = a->consumers;
	ask_end(c, a->err, a->code, a->text);
}

/* Waits for the answer to what was just asked about a queue. A refusal ends the channel; a new one is quicker than its back-off. */
static enum err
answer(struct client *c, struct span queue, enum err asked, struct errtext *t)
{
	if (asked != E_OK)
		return err_set(t, asked, "queue '%.*s': %s", SPAN_FMT(queue), err_name(asked));
	if (!client_turn_until(c, &c->ask.done, c->stall_ms)) {
		drop_chan(c);
		return err_set(t, E_TIMEOUT, "queue '%.*s': %s did not answer within %.3g s", SPAN_FMT(queue),
			bus_conn_url(c->conn), (double)c->stall_ms / 1000);
	}
	if (c->ask.err == E_OK)
		return E_OK;
	drop_chan(c);
	if (c->ask.code == 404)
		return err_set(t, E_MISSING, "there is no queue '%.*s'", SPAN_FMT(queue));
	return err_set(t, c->ask.err, "queue '%.*s': %s", SPAN_FMT(queue), c->ask.text);
}

enum err
client_queue_info(
	struct client *c, struct span queue, uint32_t *messages, uint32_t *consumers, struct errtext *t)
{
	struct bus_queue q = { .name = queue, .passive = true };
	enum err e = open_chan(c, t);

	if (e != E_OK)
		return e;
	ask_begin(c);
	e = answer(c, queue, bus_queue_declare(c->chan, &q, on_answer, c), t);
	*messages = c->ask.messages;
	*consumers = c->ask.consumers;
	return e;
}

enum err
client_queue_purge(struct client *c, struct span queue, uint32_t *purged, struct errtext *t)
{
	enum err e = open_chan(c, t);

	if (e != E_OK)
		return e;
	ask_begin(c);
	e = answer(c, queue, bus_queue_purge(c->chan, queue, on_answer, c), t);
	*purged = c->ask.messages;
	return e;
}
