/*
 * Queues that must be there, one after the other. A passive declare of a queue that is missing closes its channel (404), so the
 * creating happens on a new one:
 *
 *	channel open -> declare passively --ok--> next queue
 *	                     `-- 404 --> new channel -> exchange, queue, binding --ok--> next queue
 *
 * The three creating methods are sent together: they are idempotent, and when one fails, the channel is gone and the report made.
 */
#include "bus/topo.h"

#include "base/alloc.h"
#include "bus/inner.h"

struct topo_queue {
	char *name, *exchange, *type, *key;
	bool quorum, must_exist, keep_bound;
	int max_priority;
};

struct bus_topo {
	struct bus_conn *conn;
	struct loop *loop;
	struct bus_chan *chan;
	bus_topo_fn *fn;
	void *owner;
	struct topo_queue *queues;
	size_t n, at, created;
	bool creating; /* queue `at` is missing */
	bool ended;
	struct loop_task empty;
};

static void step(struct bus_topo *t);

static void
topo_free(void *p)
{
	struct bus_topo *t = p;

	for (size_t i = 0; i < t->n; i++) {
		alloc_free(t->queues[i].name);
		alloc_free(t->queues[i].exchange);
		alloc_free(t->queues[i].type);
		alloc_free(t->queues[i].key);
	}
	alloc_free(t->queues);
	alloc_free(t);
}

/* No callback afterwards. */
static void
finish(struct bus_topo *t)
{
	t->ended = true;
	loop_undefer(&t->empty);
	bus_chan_close(t->chan);
	t->chan = NULL;
	loop_reap(t->loop, topo_free, t);
}

static void
report(struct bus_topo *t, enum err e, const char *text)
{
	struct bus_topo_report r = { .err = e, .text = text, .created = t->created };

	if (t->ended)
		return;
	if (e != E_OK && t->at < t->n)
		r.queue = t->queues[t->at].name;
	finish(t);
	t->fn(t->owner, &r);
}

static void
failed(struct bus_topo *t, const struct bus_answer *a)
{
	struct errtext text;

	if (a->err == E_REFUSED)
		(void)err_set(&text, a->err, "queue '%s': %s", t->queues[t->at].name, a->text);
	else
		(void)err_set(&text, a->err, "the connection was lost while queue '%s' was looked at",
			t->queues[t->at].name);
	report(t, a->err, text.text);
}

static void
next(struct bus_topo *t)
{
	t->creating = false;
	t->at++;
	if (t->at == t->n)
		report(t, E_OK, "");
	else
		step(t);
}

/* An error of one of the calls that are not the last of their kind. */
static void
on_part(void *owner, const struct bus_answer *a)
{
	if (a->err != E_OK)
		failed(owner, a);
}

static void
on_created(void *owner, const struct bus_answer *a)
{
	struct bus_topo *t = owner;

	if (a->err != E_OK) {
		failed(t, a);
		return;
	}
	t->created++;
	next(t);
}

static void
on_bound(void *owner, const struct bus_answer *a)
{
	if (a->err != E_OK)
		failed(owner, a);
	else
		next(owner);
}

static enum err
declare_exchange(struct bus_topo *t, const struct topo_queue *q)
{
	struct bus_exchange exchange = {
		.name = span_of(q->exchange), .type = span_of(q->type), .durable = true
	};

	return strncmp(q->exchange, "amq.", 4) == 0 ? E_OK : bus_exchange_declare(t->chan, &exchange, on_part, t);
}

static enum err
bind_queue(struct bus_topo *t, const struct topo_queue *q, bus_answer_fn *fn)
{
	return bus_queue_bind(t->chan, span_of(q->name), span_of(q->exchange), span_of(q->key), fn, t);
}

/* The queue is there; somebody may have deleted its exchange. */
static void
bind_again(struct bus_topo *t)
{
	const struct topo_queue *q = &t->queues[t->at];
	struct errtext text;
	enum err e = declare_exchange(t, q);

	if (e == E_OK)
		e = bind_queue(t, q, on_bound);
	if (e == E_OK)
		return;
	(void)err_set(&text, e, "queue '%s': %s", q->name, err_name(e));
	report(t, e, text.text);
}

static const struct bus_chan_ops chan_ops;

static void
on_looked(void *owner, const struct bus_answer *a)
{
	struct bus_topo *t = owner;
	struct errtext text;
	enum err e;

	if (a->err == E_OK && t->queues[t->at].keep_bound) {
		bind_again(t);
	} else if (a->err == E_OK) {
		next(t);
	} else if (a->err != E_REFUSED || a->code != AMQP_NOT_FOUND) {
		failed(t, a);
	} else if (t->queues[t->at].must_exist) {
		(void)err_set(&text, E_MISSING, "queue '%s' does not exist", t->queues[t->at].name);
		report(t, E_MISSING, text.text);
	} else {
		t->creating = true;
		bus_chan_close(t->chan);
		e = bus_chan_new(&t->chan, t->conn, &chan_ops, t);
		if (e != E_OK)
			report(t, e, "no channel to create it on");
	}
}

static enum err
create(struct bus_topo *t, const struct topo_queue *q)
{
	struct bus_queue queue = { .name = span_of(q->name), .durable = true };
	bool bound = *q->exchange != '\0'; /* every queue is bound to the default exchange by itself */
	struct arena a;
	struct table args = { 0 };
	enum err e = E_OK;

	arena_init(&a, 0);
	if (q->quorum)
		e = table_set(&args, &a, SPAN("x-queue-type"), val_string(SPAN("quorum")));
	if (e == E_OK && q->max_priority > 0)
		e = table_set(&args, &a, SPAN("x-max-priority"), val_int(q->max_priority));
	if (args.count > 0)
		queue.args = &args;
	if (e == E_OK && bound)
		e = declare_exchange(t, q);
	if (e == E_OK)
		e = bus_queue_declare(t->chan, &queue, bound ? on_part : on_created, t);
	if (e == E_OK && bound)
		e = bind_queue(t, q, on_created);
	arena_release(&a);
	return e;
}

static void
step(struct bus_topo *t)
{
	const struct topo_queue *q = &t->queues[t->at];
	struct bus_queue passive = { .name = span_of(q->name), .passive = true };
	struct errtext text;
	enum err e;

	e = t->creating ? create(t, q) : bus_queue_declare(t->chan, &passive, on_looked, t);
	if (e == E_OK)
		return;
	(void)err_set(&text, e, "queue '%s': %s", q->name, err_name(e));
	report(t, e, text.text);
}

static void
on_open(void *owner)
{
	step(owner);
}

/* Calls under way have been answered before this. What is left is a loss between channel.open and the first call. */
static void
on_close(void *owner, const struct bus_close *why)
{
	report(owner, why->by_server ? E_REFUSED : E_CLOSED, why->text);
}

static const struct bus_chan_ops chan_ops = { .on_open = on_open, .on_close = on_close };

static void
on_empty(void *owner)
{
	report(owner, E_OK, "");
}

static enum err
copy_queue(struct topo_queue *to, const struct bus_topo_queue *from)
{
	to->name = alloc_dup(span_of(from->name));
	to->exchange = alloc_dup(span_of(from->exchange != NULL ? from->exchange : from->name));
	to->type = alloc_dup(span_of(from->exchange_type != NULL ? from->exchange_type : "direct"));
	to->key = alloc_dup(span_of(from->routing_key != NULL ? from->routing_key : from->name));
	to->quorum = from->quorum;
	to->must_exist = from->must_exist;
	to->keep_bound = from->keep_bound;
	to->max_priority = from->max_priority;
	return to->name != NULL && to->exchange != NULL && to->type != NULL && to->key != NULL ? E_OK
											       : E_NOMEM;
}

enum err
bus_topo_ensure(struct bus_topo **out, struct bus_conn *c, const struct bus_topo_queue *queues, size_t n,
	bus_topo_fn *fn, void *owner)
{
	struct bus_topo *t = alloc_zero(sizeof(*t));
	enum err e = E_NOMEM;

	*out = NULL;
	if (t == NULL)
		return E_NOMEM;
	t->conn = c;
	t->loop = c->loop;
	t->fn = fn;
	t->owner = owner;
	t->queues = alloc_zero(n * sizeof(*t->queues));
	if (t->queues != NULL) {
		t->n = n;
		e = E_OK;
	}
	for (size_t i = 0; i < n && e == E_OK; i++)
		e = copy_queue(&t->queues[i], &queues[i]);
	if (e == E_OK && n > 0)
		e = bus_chan_new(&t->chan, c, &chan_ops, t);
	else if (e == E_OK)
		loop_defer(t->loop, LOOP_DECIDE, &t->empty, on_empty, t);
	if (e != E_OK) {
		topo_free(t);
		return e;
	}
	*out = t;
	return E_OK;
}

void
bus_topo_cancel(struct bus_topo *t)
{
	if (t != NULL && !t->ended)
		finish(t);
}
