/*
 * See remote.h. One channel and, for answers, one queue per call; both go with it.
 *
 *   open channel -> declare, bind, consume -> cast the request -> answers until the time is over
 *
 * The exchanges are declared, with the arguments everybody uses: where no worker has ever been they are not there yet, and publishing to
 * nothing would close the channel.
 */
#include "client/remote.h"

#include "base/clock.h"
#include "base/id.h"
#include "bus/cast.h"
#include "client/inside.h"
#include "wire/control.h"

#define BACKLOG_MAX ((size_t)16 << 20)

struct asking {
	struct client *client;
	const struct remote_call *call;
	struct bus_chan *chan;
	remote_answer_fn *fn; /* NULL: no answers are wanted */
	void *owner;
	char exchange[CONTROL_NAME_MAX + 1];
	char key[ID_UUID_LEN + 1], ticket[ID_UUID_LEN + 1];
	bool *has_answered; /* one for each of call->nodes */
	size_t missing;     /* of them */
	bool moved;         /* something happened: look */
	bool ready, lost;   /* the way is there; it is gone */
	bool over;          /* nothing more to wait for */
	struct errtext why;
};

/* --- answers ----------------------------------------------------------------------------------------------------------- */

static void
tick_off(struct asking *a, struct span node)
{
	size_t i;

	for (i = 0; i < a->call->n_nodes; i++)
		if (!a->has_answered[i] && span_is(node, a->call->nodes[i])) {
			a->has_answered[i] = true;
			a->missing--;
		}
	a->over = a->call->n_nodes > 0 && a->missing == 0;
}

static void
take_answers(struct asking *a, const struct control_reply *r)
{
	struct jscan_iter it;
	struct buf node;

	if (!jscan_begin(&it, r->nodes))
		return;
	buf_init(&node, 0);
	while (jscan_next(&it)) {
		buf_reset(&node);
		jscan_add_string(&node, (struct span){ it.key.ptr - 1, it.key.len + 2 });
		if (node.err != E_OK)
			break;
		a->fn(a->owner, buf_span(&node), it.value);
		tick_off(a, buf_span(&node));
	}
	buf_release(&node);
}

/* What is no answer to this request, or no answer at all, is somebody else's mistake: passed over. */
static void
on_deliver(void *owner, struct bus_delivery *d)
{
	struct asking *a = owner;
	struct control_reply r;

	if (d->spoiled == NULL && control_decode_reply(&r, d->msg, NULL) == E_OK &&
		span_is(r.ticket, a->ticket)) {
		lamport_adjust(&a->client->clock, r.clock);
		take_answers(a, &r);
	}
	bus_msg_free(d->msg);
}

/* --- the way ----------------------------------------------------------------------------------------------------------- */

static void
fail(struct asking *a, enum err e, const char *why)
{
	if (a->lost)
		return;
	err_set(&a->why, e, "%s", why != NULL && *why != '\0' ? why : err_name(e));
	a->lost = a->over = a->moved = true;
}

/* The last of the declarations is answered: all went well. */
static void
on_ready(void *owner, const struct bus_answer *answer)
{
	struct asking *a = owner;

	if (answer->err != E_OK)
		return; /* on_close tells */
	a->ready = a->moved = true;
}

static void
on_open(void *owner)
{
	struct asking *a = owner;
	struct span of = span_of(a->client->control_exchange);
	struct bus_exchange all = { .name = span_of(a->exchange), .type = SPAN("fanout") };
	struct bus_exchange back = { .type = SPAN("direct") };
	struct pair expires = { SPAN("x-expires"), val_int(CONTROL_QUEUE_EXPIRES_MS) };
	struct table args = { .pairs = &expires, .count = 1, .cap = 1 };
	char name[CONTROL_NAME_MAX + 1], reply[CONTROL_NAME_MAX + 1];
	struct bus_queue q = { .exclusive = true, .auto_delete = true, .args = &args };
	enum err e;

	/* A second open follows a loss; what was asked is lost with it. */
	if (a->lost)
		return;
	control_reply_exchange_name(reply, of);
	back.name = span_of(reply);
	control_reply_queue_name(name, of, span_of(a->key));
	q.name = span_of(name);
	e = bus_exchange_declare(a->chan, &all, a->fn == NULL ? on_ready : NULL, a);
	if (e == E_OK && a->fn != NULL)
		e = bus_exchange_declare(a->chan, &back, NULL, NULL);
	if (e == E_OK && a->fn != NULL)
		e = bus_queue_declare(a->chan, &q, NULL, NULL);
	if (e == E_OK && a->fn != NULL)
		e = bus_queue_bind(a->chan, q.name, back.name, span_of(a->key), NULL, NULL);
	if (e == E_OK && a->fn != NULL)
		e = bus_consume(a->chan, q.name, SPAN("answers"), true, true, NULL, on_ready, a);
	if (e != E_OK)
		fail(a, e, NULL);
}

static void
on_close(void *owner, const struct bus_close *why)
{
	fail(owner, E_CLOSED, why->text);
}

static void
on_cancel(void *owner, struct span consumer UNUSED)
{
	fail(owner, E_CLOSED, "the queue of the answers was deleted");
}

static enum err
open_way(struct asking *a, struct errtext *t)
{
	static const struct bus_chan_ops ops = {
		.on_open = on_open, .on_close = on_close, .on_deliver = on_deliver, .on_cancel = on_cancel
	};
	struct client *c = a->client;
	enum err e = client_connect_broker(c, t);

	if (e != E_OK)
		return e;
	e = bus_chan_new(&a->chan, c->conn, &ops, a);
	if (e != E_OK)
		return err_set(t, e, "cannot open a channel: %s", err_name(e));
	if (!client_turn_until(c, &a->moved, c->stall_ms))
		return err_set(t, E_TIMEOUT, "%s did not answer within %.3g s", bus_conn_url(c->conn),
			(double)c->stall_ms / 1000);
	if (!a->ready)
		return err_set(t, E_CLOSED, "%s: no remote control: %s", bus_conn_url(c->conn), a->why.text);
	return E_OK;
}

static enum err
send(struct asking *a, struct errtext *t)
{
	const struct remote_call *what = a->call;
	struct client *c = a->client;
	struct control_call call = {
		.name = span_of(c->control_exchange),
		.method = what->method,
		.arguments = what->arguments,
		.destination = what->nodes,
		.n_destination = what->n_nodes,
		.clock = lamport_forward(&c->clock),
	};
	struct msg m;
	enum err e;

	if (a->fn != NULL) {
		call.ticket = span_of(a->ticket);
		call.reply_key = span_of(a->key);
		call.expires = (double)clock_wall_us() / 1e6 + (double)what->timeout / 1000;
	}
	msg_init(&m, 0);
	e = control_encode(&m, &call);
	if (e == E_OK)
		e = bus_cast(a->chan, &m, BACKLOG_MAX);
	msg_release(&m);
	if (e == E_AGAIN)
		return err_set(t, E_REFUSED, "%s accepts no messages now (memory or disk alarm)",
			bus_conn_url(c->conn));
	return e == E_OK ? e : err_set(t, e, "cannot send the request: %s", err_name(e));
}

static enum err
begin(struct asking *a, struct errtext *t)
{
	enum err e;

	control_exchange_name(a->exchange, span_of(a->client->control_exchange));
	id_uuid4(a->key);
	id_uuid4(a->ticket);
	a->missing = a->call->n_nodes;
	a->has_answered = alloc_zero(a->call->n_nodes * sizeof(*a->has_answered) + 1);
	if (a->has_answered == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	e = open_way(a, t);
	return e == E_OK ? send(a, t) : e;
}

static void
end(struct asking *a)
{
	bus_chan_close(a->chan);
	alloc_free(a->has_answered);
}

enum err
remote_ask(struct client *c, const struct remote_call *call, remote_answer_fn *fn, void *owner,
	struct errtext *t)
{
	struct asking a = { .client = c, .call = call, .fn = fn, .owner = owner };
	enum err e = begin(&a, t);

	if (e == E_OK)
		client_turn_until(c, &a.over, call->timeout);
	if (e == E_OK && a.lost)
		e = err_set(t, E_CLOSED, "%s: lost while waiting for answers: %s", client_broker_url(c),
			a.why.text);
	end(&a);
	return e;
}

enum err
remote_tell(struct client *c, const struct remote_call *call, struct errtext *t)
{
	struct asking a = { .client = c, .call = call };
	struct bus_exchange all = { .type = SPAN("fanout") };
	enum err e = begin(&a, t);

	all.name = span_of(a.exchange);
	/* The broker does what comes on one channel in order: when this is answered, the request is in every queue. */
	a.moved = a.ready = false;
	if (e == E_OK && bus_exchange_declare(a.chan, &all, on_ready, &a) == E_OK)
		client_turn_until(c, &a.moved, c->stall_ms);
	if (e == E_OK && !a.ready)
		e = err_set(t, E_TIMEOUT, "%s did not confirm the request", client_broker_url(c));
	end(&a);
	return e;
}
