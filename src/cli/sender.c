/*
 * Where a call goes and what is added to it: queue, exchange and key of the call itself, else the routes; limits and priority of the
 * task's settings where the call says nothing. Calls of a long job mostly have the same name, so the last decision is kept.
 */
#include "cli/call.h"
#include "cli/out.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/map.h"
#include "base/text.h"

#include <stdio.h>
#include <unistd.h>

struct sender {
	struct cli *cli;
	struct client *client;
	struct routes *routes;
	char origin[300];
	char reply_to[ID_UUID_LEN + 1];
	struct map queues; /* name -> struct bus_topo_queue *, ours */
	/* of the name seen last */
	struct buf last;
	struct route_target target;
	const struct conf_task *task;
};

int
sender_new(struct sender **out, struct cli *cli, struct client *client)
{
	struct sender *s = must_alloc(sizeof(*s));
	struct errtext why = { "" };
	char host[256] = "localhost";
	enum err e;

	*s = (struct sender){ .cli = cli, .client = client };
	gethostname(host, sizeof(host) - 1);
	snprintf(s->origin, sizeof(s->origin), "gen%d@%s", (int)getpid(), host);
	id_uuid4(s->reply_to);
	map_init(&s->queues);
	buf_init(&s->last, 0);
	e = setup_routes(cli, &s->routes, &why);
	if (e != E_OK) {
		out_error("%s", why.text);
		sender_free(s);
		return exit_of(e);
	}
	*out = s;
	return 0;
}

static void
free_queue(void *p)
{
	struct bus_topo_queue *q = p;

	alloc_free((char *)q->name);
	alloc_free(q);
}

void
sender_free(struct sender *s)
{
	if (s == NULL)
		return;
	routes_free(s->routes);
	map_release(&s->queues, free_queue);
	buf_release(&s->last);
	alloc_free(s);
}

/* Always there, as Celery has it, except where a worker would send a reply that nobody waits for. */
static struct span
reply_to(const struct sender *s)
{
	struct span queue = client_reply_to(s->client);

	if (queue.ptr != NULL)
		return queue;
	return span_starts(span_of(s->cli->conf.o.result_backend), "rpc://") ? SPAN_NONE
									     : span_of(s->reply_to);
}

static const struct bus_topo_queue *
find_queue(struct sender *s, struct span name)
{
	struct bus_topo_queue *q = map_get(&s->queues, name);

	if (q != NULL)
		return q;
	q = must_alloc(sizeof(*q));
	*q = setup_queue(s->cli, must_dup(name));
	if (map_set(&s->queues, name, q, NULL) != E_OK) {
		free_queue(q);
		return NULL;
	}
	return q;
}

/* Where the routes send this name, and its settings. */
static void
look_up(struct sender *s, struct span name)
{
	if (s->last.len > 0 && span_eq(buf_span(&s->last), name))
		return;
	buf_reset(&s->last);
	buf_add(&s->last, name);
	s->target = routes_find(s->routes, name);
	s->task = conf_find_task(&s->cli->conf, name);
}

static enum err
to_queue(struct sender *s, struct span name, struct span *exchange, struct span *key, struct errtext *t)
{
	const struct bus_topo_queue *q;

	if (!text_is_plain(name, 255))
		return err_set(t, E_FORMAT,
			"the name of a queue is not 1-255 bytes of UTF-8 without control characters");
	q = find_queue(s, name);
	if (q == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	setup_road(q, exchange, key);
	/* Not to be created: a message that no queue takes comes back and says so. */
	return q->must_exist ? E_OK : client_ensure_queue(s->client, q, t);
}

static enum err
aim(struct sender *s, const struct call *c, struct span *exchange, struct span *key, struct errtext *t)
{
	if (c->exchange.ptr != NULL || c->routing_key.ptr != NULL) {
		if (c->queue.ptr != NULL)
			return err_set(t, E_FORMAT, "queue and exchange are both given: choose one");
		*exchange = c->exchange.ptr != NULL ? c->exchange : SPAN("");
		*key = c->routing_key.ptr != NULL ? c->routing_key : SPAN("");
		if ((exchange->len > 0 && !text_is_plain(*exchange, 255)) ||
			(key->len > 0 && !text_is_plain(*key, 255)))
			return err_set(t, E_FORMAT,
				"exchange and routing key are at most 255 bytes of UTF-8 without control characters");
		return E_OK;
	}
	if (c->queue.ptr != NULL)
		return to_queue(s, c->queue, exchange, key, t);
	if (s->target.exchange.len == 0 && s->target.queue.ptr != NULL)
		return to_queue(s, s->target.queue, exchange, key, t);
	*exchange = s->target.exchange;
	*key = s->target.routing_key;
	return E_OK;
}

static void
add_defaults(const struct sender *s, const struct call *c, struct task_call *to)
{
	const struct conf_task *d = s->task;

	if (to->priority_plus1 == 0 && d != NULL)
		to->priority_plus1 = (int)d->priority + 1;
	if (to->priority_plus1 == 0)
		to->priority_plus1 = s->target.priority + 1;
	to->transient = setup_is_transient(s->cli, d, s->target.delivery_mode);
	if (d == NULL)
		return;
	if (to->expires == 0 && d->expires != 0)
		to->expires = to->now + d->expires * 1000;
	if (to->time_limit == 0)
		to->time_limit = (double)d->time_limit / 1000;
	if (to->soft_time_limit == 0)
		to->soft_time_limit = (double)d->soft_time_limit / 1000;
	if (!c->has_ignore_result)
		to->ignore_result = d->ignore_result;
	to->compress = d->compress;
}

enum err
sender_send(struct sender *s, const struct call *c, uint64_t tag, client_sent_fn *fn, void *owner,
	struct errtext *t)
{
	struct span exchange = SPAN(""), key = SPAN("");
	struct task_call to = {
		.id = c->id,
		.name = c->name,
		.args = c->args,
		.kwargs = c->kwargs,
		.origin = span_of(s->origin),
		.reply_to = reply_to(s),
		.eta = c->eta,
		.expires = c->expires,
		.now = clock_wall_us(),
		.time_limit = c->time_limit,
		.soft_time_limit = c->soft_time_limit,
		.priority_plus1 = c->priority_plus1,
		.ignore_result = c->ignore_result,
		.user_headers = c->headers.count > 0 ? &c->headers : NULL,
	};
	enum err e;

	if (c->name.len == 0)
		return err_set(t, E_FORMAT, "there is no task name");
	look_up(s, c->name);
	e = aim(s, c, &exchange, &key, t);
	if (e != E_OK)
		return e;
	add_defaults(s, c, &to);
	return client_send(s->client, &to, exchange, key, tag, fn, owner, t);
}

enum err
sender_route(
	struct sender *s, struct task_call *call, struct span *exchange, struct span *key, struct errtext *t)
{
	struct call c = { .has_ignore_result = call->ignore_result };
	enum err e;

	if (call->name.len == 0)
		return err_set(t, E_FORMAT, "there is no task name");
	look_up(s, call->name);
	if (exchange->ptr != NULL && exchange->len > 0) {
		c.exchange = *exchange;
		c.routing_key = *key;
	} else if (key->ptr != NULL) {
		c.queue = *key;
	}
	e = aim(s, &c, exchange, key, t);
	if (e != E_OK)
		return e;
	call->origin = span_of(s->origin);
	if (call->reply_to.len == 0)
		call->reply_to = reply_to(s);
	add_defaults(s, &c, call);
	return E_OK;
}
