/*
 * See listen.h. One channel; each open of it, the first and those after a loss, declares and binds anew.
 */
#include "client/listen.h"

#include "base/id.h"
#include "client/inside.h"

struct listen {
	struct client *client;
	struct bus_chan *chan;
	char key[256];
	char queue[sizeof(EVENT_QUEUE_PREFIX) + ID_UUID_LEN];
	listen_fn *fn;
	void *owner;
	struct loop_fd fd;
	bool moved; /* something to return for */
	bool bound, refused;
	uint64_t odd;
	struct errtext why;
};

static void
on_deliver(void *owner, struct bus_delivery *d)
{
	struct listen *l = owner;
	struct evt_reader r;
	struct evt e;

	if (d->spoiled != NULL || evt_begin(&r, d->msg, NULL) != E_OK)
		l->odd++;
	else
		while (evt_next(&r, &e))
			l->fn(l->owner, &e);
	l->moved = true;
	bus_msg_free(d->msg);
}

static void
on_consuming(void *owner, const struct bus_answer *a)
{
	struct listen *l = owner;

	if (a->err != E_OK)
		return; /* on_close tells */
	l->bound = l->moved = true;
}

static void
on_open(void *owner)
{
	struct listen *l = owner;
	struct bus_exchange x = {
		.name = span_of(l->client->event_exchange), .type = SPAN("topic"), .durable = true
	};
	struct pair pairs[] = {
		{ SPAN("x-expires"), val_int(EVENT_QUEUE_EXPIRES_MS) },
		{ SPAN("x-message-ttl"), val_int(EVENT_QUEUE_TTL_MS) },
	};
	struct table args = { .pairs = pairs, .count = ARRAY_LEN(pairs), .cap = ARRAY_LEN(pairs) };
	struct bus_queue q = {
		.name = span_of(l->queue), .exclusive = true, .auto_delete = true, .args = &args
	};
	enum err e = bus_exchange_declare(l->chan, &x, NULL, NULL);

	if (e == E_OK)
		e = bus_queue_declare(l->chan, &q, NULL, NULL);
	if (e == E_OK)
		e = bus_queue_bind(l->chan, q.name, x.name, span_of(l->key), NULL, NULL);
	if (e == E_OK)
		e = bus_consume(l->chan, q.name, SPAN("events"), true, true, NULL, on_consuming, l);
	/* E_CLOSED: the next open comes here again. */
	if (e != E_OK && e != E_CLOSED)
		l->refused = l->moved = true;
}

static void
on_close(void *owner, const struct bus_close *why)
{
	struct listen *l = owner;

	l->bound = false;
	l->moved = true;
	l->refused = why->by_server;
	err_set(&l->why, E_CLOSED, "%s", why->text);
}

static void
on_cancel(void *owner, struct span consumer UNUSED)
{
	struct listen *l = owner;

	/* Somebody deleted the queue. */
	l->bound = false;
	on_open(l);
}

static void
on_fd(void *owner)
{
	((struct listen *)owner)->moved = true;
}

static enum err
open_way(struct listen *l, struct errtext *t)
{
	static const struct bus_chan_ops ops = {
		.on_open = on_open, .on_close = on_close, .on_deliver = on_deliver, .on_cancel = on_cancel
	};
	struct client *c = l->client;
	enum err e = client_connect_broker(c, t);

	if (e != E_OK)
		return e;
	e = bus_chan_new(&l->chan, c->conn, &ops, l);
	if (e != E_OK)
		return err_set(t, e, "cannot open a channel: %s", err_name(e));
	while (!l->bound && !l->refused) {
		l->moved = false;
		if (!client_turn_until(c, &l->moved, c->stall_ms))
			return err_set(t, E_TIMEOUT, "%s did not answer within %.3g s", bus_conn_url(c->conn),
				(double)c->stall_ms / 1000);
	}
	return l->bound ? E_OK
			: err_set(t, E_REFUSED, "%s: no events: %s", bus_conn_url(c->conn), l->why.text);
}

enum err
listen_open(struct listen **out, struct client *c, struct span key, int fd, listen_fn *fn, void *owner,
	struct errtext *t)
{
	struct listen *l = alloc_zero(sizeof(*l));
	char id[ID_UUID_LEN + 1];
	enum err e;

	*out = NULL;
	if (l == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	l->client = c;
	l->fn = fn;
	l->owner = owner;
	id_uuid4(id);
	snprintf(l->key, sizeof(l->key), "%.*s", SPAN_FMT(key));
	snprintf(l->queue, sizeof(l->queue), EVENT_QUEUE_PREFIX "%s", id);
	e = open_way(l, t);
	if (e == E_OK && fd >= 0 && loop_fd_init(&l->fd, c->loop, fd, on_fd, l) != E_OK)
		e = err_set(t, E_SYS, "the descriptor cannot be waited for");
	if (e == E_OK)
		*out = l;
	else
		listen_close(l);
	return e;
}

void
listen_close(struct listen *l)
{
	if (l == NULL)
		return;
	loop_fd_release(&l->fd);
	bus_chan_close(l->chan);
	alloc_free(l);
}

bool
listen_wait(struct listen *l, ms_t timeout)
{
	l->moved = false;
	return client_turn_until(l->client, &l->moved, timeout);
}

bool
listen_is_up(const struct listen *l)
{
	return l->bound;
}

uint64_t
listen_odd(const struct listen *l)
{
	return l->odd;
}
