/*
 * See control.h. The queue is exclusive to our connection and goes with it, so that two workers of one name cannot split the commands
 * between them: the second one is refused by the broker (405), says so, and works without remote control until the name is free. The
 * same happens for a while after a lost connection of which the broker does not know yet.
 */
#include "worker/control.h"

#include <stdarg.h>

#include "base/log.h"
#include "bus/cast.h"
#include "worker/ctl.h"
#include "worker/inquiry.h"

/* How long a worker waits for the name before it complains: its former self may just be going away. */
#define PATIENCE_MS 2000
#define BACKLOG_MAX ((size_t)16 << 20)
#define AMQP_RESOURCE_LOCKED 405

static const struct {
	const char *name, *alias;
	void (*run)(struct ctl *c);
} commands[] = {
	{ "ping", NULL, ctl_ping },
	{ "active", "dump_active", ctl_active },
	{ "reserved", "dump_reserved", ctl_reserved },
	{ "scheduled", "dump_schedule", ctl_scheduled },
	{ "revoked", "dump_revoked", ctl_revoked },
	{ "registered", "dump_tasks", ctl_registered },
	{ "stats", NULL, ctl_stats },
	{ "active_queues", NULL, ctl_active_queues },
	{ "conf", "dump_conf", ctl_conf },
	{ "report", NULL, ctl_report },
	{ "query_task", NULL, ctl_query_task },
	{ "clock", NULL, ctl_clock },
	{ "memsample", NULL, ctl_memsample },
	{ "memdump", NULL, ctl_memdump },
	{ "objgraph", NULL, ctl_objgraph },
	{ "hello", NULL, ctl_hello },
	{ "heartbeat", NULL, ctl_heartbeat },
	{ "enable_events", NULL, ctl_enable_events },
	{ "disable_events", NULL, ctl_disable_events },
	{ "election", NULL, ctl_election },
	{ "revoke", NULL, ctl_revoke },
	{ "terminate", NULL, ctl_terminate },
	{ "revoke_by_stamped_headers", NULL, ctl_revoke_by_stamped_headers },
	{ "rate_limit", NULL, ctl_rate_limit },
	{ "time_limit", NULL, ctl_time_limit },
	{ "add_consumer", NULL, ctl_add_consumer },
	{ "cancel_consumer", NULL, ctl_cancel_consumer },
	{ "pool_grow", NULL, ctl_pool_grow },
	{ "pool_shrink", NULL, ctl_pool_shrink },
	{ "pool_restart", NULL, ctl_pool_restart },
	{ "autoscale", NULL, ctl_autoscale },
	{ "shutdown", NULL, ctl_shutdown },
};

/* --- answers ----------------------------------------------------------------------------------------------------------- */

static void
add_answer(struct ctl *c, const char *key, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	js_object(c->js);
	js_key(c->js, key);
	js_text(c->js, text);
	js_object_end(c->js);
}

void
ctl_ok(struct ctl *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_answer(c, "ok", fmt, ap);
	va_end(ap);
}

void
ctl_error(struct ctl *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_answer(c, "error", fmt, ap);
	va_end(ap);
}

bool
ctl_need_text(struct ctl *c, const char *key, struct span *out)
{
	if (control_arg_text(c->req, key, out) && out->len > 0)
		return true;
	ctl_error(c, "TypeError(\"%.*s() needs argument '%s'\")", SPAN_FMT(c->req->method), key);
	return false;
}

/* The exchange is declared by whoever answers, as kombu does: the broker would close the channel if it was not there. */
static enum err
send(struct control *c, const struct control_request *r, struct span answer)
{
	struct bus_exchange x = { .name = r->reply_exchange, .type = SPAN("direct") };
	struct worker *w = c->worker;
	struct msg m;
	enum err e = E_OK;

	msg_init(&m, 0);
	if (r->reply_exchange.len > 0)
		e = bus_exchange_declare(c->outbox, &x, NULL, NULL);
	if (e == E_OK)
		e = control_encode_reply(&m, r, span_of(w->conf->node), answer, lamport_forward(&w->clock));
	if (e == E_OK)
		e = bus_cast(c->outbox, &m, BACKLOG_MAX);
	msg_release(&m);
	return e;
}

/* --- requests ---------------------------------------------------------------------------------------------------------- */

static void
carry_out(struct ctl *c)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (span_is(c->req->method, commands[i].name) ||
			(commands[i].alias != NULL && span_is(c->req->method, commands[i].alias))) {
			commands[i].run(c);
			return;
		}
	ctl_error(c, "KeyError('%.*s')", SPAN_FMT(c->req->method));
}

void
control_answer(struct control *c, const struct control_request *r, struct span answer)
{
	enum err e = send(c, r, answer);

	if (e != E_OK)
		LOG(CONTROL_UNANSWERED, LOG_SPAN("method", r->method), LOG_STR("why", err_name(e)));
}

/* True when the message is kept. */
static bool
on_request(struct control *c, const struct control_request *r, struct msg *m)
{
	struct ctl ctl = { .worker = c->worker, .req = r, .msg = m };
	struct buf answer;
	struct js js;

	lamport_forward(&c->worker->clock);
	lamport_adjust(&c->worker->clock, r->clock);
	if (!control_is_for(r, span_of(c->worker->conf->node)))
		return false;
	buf_init(&answer, 0);
	js_init(&js, &answer);
	ctl.js = &js;
	carry_out(&ctl);
	LOG(CONTROL_REQUEST, LOG_SPAN("method", r->method));
	if (answer.err != E_OK)
		LOG(CONTROL_UNANSWERED, LOG_SPAN("method", r->method), LOG_STR("why", err_name(answer.err)));
	else if (r->reply_exchange.ptr != NULL && !ctl.is_silent && !ctl.is_kept)
		control_answer(c, r, buf_span(&answer));
	buf_release(&answer);
	return ctl.is_kept;
}

static void
on_deliver(void *owner, struct bus_delivery *d)
{
	struct control_request r;
	struct errtext t;
	enum err e = E_OK;
	bool is_kept = false;

	if (d->spoiled != NULL)
		e = err_set(&t, E_TOOBIG, "%s", d->spoiled);
	if (e == E_OK)
		e = control_decode(&r, d->msg, &t);
	if (e == E_OK)
		is_kept = on_request(owner, &r, d->msg);
	else
		LOG(CONTROL_INVALID, LOG_STR("why", t.text));
	if (!is_kept)
		bus_msg_free(d->msg);
}

/* --- the queue --------------------------------------------------------------------------------------------------------- */

static void
settle(struct control *c)
{
	c->is_settled = true;
	worker_check_ready(c->worker);
}

static void
on_listening(void *owner, const struct bus_answer *a)
{
	struct control *c = owner;

	if (a->err != E_OK)
		return;
	if (c->has_complained)
		LOG(CONTROL_BACK, LOG_STR("queue", c->queue));
	loop_timer_disarm(&c->patience);
	c->name_taken = c->has_complained = false;
	settle(c);
}

/* All in one go; the first refusal closes the channel, and with the last answer all is well. */
static void
listen(struct control *c)
{
	const struct worker_conf *conf = c->worker->conf;
	struct pair pairs[2];
	struct table args = { .pairs = pairs, .cap = ARRAY_LEN(pairs) };
	char name[CONTROL_NAME_MAX + 1];
	struct bus_exchange x = { .type = SPAN("fanout") };
	struct bus_queue q = {
		.name = span_of(c->queue), .exclusive = true, .auto_delete = true, .args = &args
	};
	enum err e;

	if (conf->control_expires_ms > 0)
		pairs[args.count++] = (struct pair){ SPAN("x-expires"), val_int(conf->control_expires_ms) };
	if (conf->control_ttl_ms > 0)
		pairs[args.count++] = (struct pair){ SPAN("x-message-ttl"), val_int(conf->control_ttl_ms) };
	control_exchange_name(name, span_of(conf->control_exchange));
	x.name = span_of(name);
	e = bus_exchange_declare(c->inbox, &x, NULL, NULL);
	if (e == E_OK)
		e = bus_queue_declare(c->inbox, &q, NULL, NULL);
	if (e == E_OK)
		e = bus_queue_bind(c->inbox, q.name, x.name, SPAN(""), NULL, NULL);
	if (e == E_OK)
		e = bus_consume(c->inbox, q.name, SPAN("control"), true, true, NULL, on_listening, c);
	/* E_CLOSED: the next open comes here again. */
	if (e != E_OK && e != E_CLOSED)
		LOG(CONTROL_REFUSED, LOG_STR("why", err_name(e)));
}

/* An order that is taken before answers can be sent is carried out, and whoever gave it waits for nothing. */
static void
listen_when_able_to_answer(struct control *c)
{
	if (c->listens || !bus_chan_is_open(c->inbox) || !bus_chan_is_open(c->outbox))
		return;
	c->listens = true;
	listen(c);
}

static void
on_inbox_open(void *owner)
{
	listen_when_able_to_answer(owner);
}

static void
on_name_taken(struct control *c)
{
	if (!c->name_taken)
		loop_timer_arm(&c->patience, PATIENCE_MS);
	c->name_taken = true;
	settle(c);
}

static void
on_patience_over(void *owner)
{
	struct control *c = owner;

	c->has_complained = true;
	LOG(CONTROL_NAME_TAKEN, LOG_STR("node", c->worker->conf->node));
}

static void
on_inbox_close(void *owner, const struct bus_close *why)
{
	struct control *c = owner;

	c->listens = false;
	if (!why->by_server)
		return;
	if (why->code == AMQP_RESOURCE_LOCKED) {
		on_name_taken(c);
		return;
	}
	/* Not allowed, or the exchange is of another kind: the tasks can do without. */
	if (!c->is_settled)
		LOG(CONTROL_REFUSED, LOG_STR("why", why->text));
	settle(c);
}

static void
on_inbox_cancel(void *owner, struct span tag UNUSED)
{
	/* Somebody deleted the queue. */
	listen(owner);
}

static void
on_outbox_open(void *owner)
{
	listen_when_able_to_answer(owner);
}

static void
on_outbox_close(void *owner UNUSED, const struct bus_close *why)
{
	/* An exchange for answers that is none of ours, and not as expected: only its own request goes without an answer. */
	if (why->by_server)
		LOG(CONTROL_UNANSWERED, LOG_STR("method", "?"), LOG_STR("why", why->text));
}

enum err
control_open(struct control *c, struct worker *w)
{
	static const struct bus_chan_ops in = { .on_open = on_inbox_open,
		.on_close = on_inbox_close,
		.on_deliver = on_deliver,
		.on_cancel = on_inbox_cancel };
	static const struct bus_chan_ops out = { .on_open = on_outbox_open, .on_close = on_outbox_close };
	enum err e;

	c->worker = w;
	list_init(&c->inquiries);
	if (w->conf->no_control) {
		c->is_settled = true;
		return E_OK;
	}
	control_queue_name(c->queue, span_of(w->conf->control_exchange), span_of(w->conf->node));
	e = loop_timer_init(&c->patience, w->loop, on_patience_over, c);
	if (e == E_OK)
		e = bus_chan_new(&c->inbox, w->consume, &in, c);
	return e == E_OK ? bus_chan_new(&c->outbox, w->publish, &out, c) : e;
}

void
control_close(struct control *c)
{
	if (c->worker != NULL)
		inquiries_release(&c->inquiries);
	bus_chan_close(c->inbox);
	bus_chan_close(c->outbox);
	loop_timer_release(&c->patience);
}
