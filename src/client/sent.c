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

void
client_tell_sent(struct client *c, const struct msg *m)
{
	struct evt e = { .type = EVENT_TASK_SENT,
		.hostname = table_get_string(&m->headers, "origin"),
		.pid = getpid(),
		.timestamp = (double)clock_wall_us() / 1e6 };
	struct msg told;
	struct buf body;
	char key[64];

	if (!open_chan(c))
		return;
	e.clock = lamport_forward(&c->clock);
	evt_fill_sent(&e, m, SPAN_NONE);
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
