/*
 * Event task-sent: tells monitors of a task that was sent, when the client was asked to. Without a promise: what the broker does not take at once is
 * lost, and nobody waits for it, but for the channel to open, once.
 */
#include "client/inside.h"

#include "base/clock.h"
#include "base/js.h"
#include "bus/cast.h"
#include "wire/event.h"

#include <unistd.h>

#define BACKLOG_MAX ((size_t)4 << 20)

static void
on_open(void *owner)
{
	struct client *c = owner;
	struct bus_exchange x = { .name = span_of(c->event_exchange), .type = SPAN("topic"), .durable = true };

	/* Refused: the channel closes, and what is cast meanwhile goes nowhere. */
	c->told_open = bus_exchange_declare(c->told, &x, NULL, NULL) == E_OK;
}

static void
on_close(void *owner, const struct bus_close *why UNUSED)
{
	((struct client *)owner)->told_open = false;
}

static bool
open_chan(struct client *c)
{
	static const struct bus_chan_ops ops = { .on_open = on_open, .on_close = on_close };

	if (c->told != NULL)
		return c->told_open;
	return bus_chan_new(&c->told, c->conn, &ops, c) == E_OK &&
		client_turn_until(c, &c->told_open, c->stall_ms);
}

static struct span
header(const struct msg *m, const char *key)
{
	return table_get_string(&m->headers, key);
}

static void
fill(struct evt *e, const struct client *c, const struct msg *m)
{
	int64_t retries = 0;

	*e = (struct evt){
		.type = EVENT_TASK_SENT,
		.hostname = header(m, "origin"),
		.pid = getpid(),
		.clock = c->clock.value,
		.timestamp = (double)clock_wall_us() / 1e6,
		.uuid = m->correlation_id,
		.root_id = header(m, "root_id"),
		.parent_id = header(m, "parent_id"),
		.name = header(m, "task"),
		.args = header(m, "argsrepr"),
		.kwargs = header(m, "kwargsrepr"),
		.eta = header(m, "eta"),
		.expires = header(m, "expires"),
		.queue = m->exchange.len == 0 ? m->routing_key : SPAN_NONE,
		.exchange = m->exchange.ptr != NULL ? m->exchange : SPAN(""),
		.routing_key = m->routing_key,
	};
	if (table_get_int(&m->headers, "retries", &retries))
		e->retries = retries;
}

void
client_tell_sent(struct client *c, const struct msg *m)
{
	struct msg told;
	struct buf body;
	struct evt e;
	char key[64];

	if (!open_chan(c))
		return;
	lamport_forward(&c->clock);
	fill(&e, c, m);
	evt_routing_key(key, e.type);
	buf_init(&body, 0);
	evt_add(&body, &e);
	msg_init(&told, 0);
	if (body.err == E_OK &&
		evt_encode(&told, span_of(c->event_exchange), key, e.hostname, buf_span(&body)) == E_OK)
		c->untold += bus_cast(c->told, &told, BACKLOG_MAX) != E_OK;
	msg_release(&told);
	buf_release(&body);
}
