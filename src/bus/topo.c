/*
 * Queues that must be there, one after the other. A passive declare of a queue that is missing closes its channel (404), so the
 * creating happens on a new one:
 *
 *	channel open -> declare passively --ok--> next queue
 *	                     `-- 404 --> new channel -> exchange, queue, binding --ok--> next queue
 *
 * The creating methods are sent together: they are idempotent, and when one fails, the channel is gone and the report made.
 */
#include "bus/topo.h"

#include "base/alloc.h"
#include "bus/inner.h"

struct topo_binding {
	char *exchange, *type, *key;
};

struct topo_queue {
	char *name;
	struct topo_binding *bindings; /* its own first; those to the default exchange are left out */
	size_t n_bindings;
	bool must_exist, keep_bound, transient, auto_delete;
	struct arena arena; /* of the arguments */
	struct table args;
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
		struct topo_queue *q = &t->queues[i];

		for (size_t k = 0; k < q->n_bindings; k++) {
			alloc_free(q->bindings[k].exchange);
			alloc_free(q->bindings[k].type);
			alloc_free(q->bindings[k].key);
		}
		alloc_free(q->bindings);
		alloc_free(q->name);
		arena_release(&q->arena);
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

/* First, so that none of it is there when an exchange of that name is of another type. */
static enum err
declare_exchanges(struct bus_topo *t, const struct topo_queue *q)
{
	enum err e = E_OK;

	for (size_t i = 0; e == E_OK && i < q->n_bindings; i++) {
		const struct topo_binding *b = &q->bindings[i];
		struct bus_exchange exchange = {
			.name = span_of(b->exchange), .type = span_of(b->type), .durable = !q->transient
		};

		if (strncmp(b->exchange, "amq.", 4) != 0)
			e = bus_exchange_declare(t->chan, &exchange, on_part, t);
	}
	return e;
}

/* The answer to the last binding goes to fn. */
static enum err
bind_queue(struct bus_topo *t, const struct topo_queue *q, bus_answer_fn *fn)
{
	enum err e = E_OK;

	for (size_t i = 0; e == E_OK && i < q->n_bindings; i++)
		e = bus_queue_bind(t->chan, span_of(q->name), span_of(q->bindings[i].exchange),
			span_of(q->bindings[i].key), i + 1 < q->n_bindings ? on_part : fn, t);
	return e;
}

/* The queue is there; somebody may have deleted its exchange. */
static void
bind_again(struct bus_topo *t)
{
	const struct topo_queue *q = &t->queues[t->at];
	struct errtext text;
	enum err e = declare_exchanges(t, q);

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

	if (a->err == E_OK && t->queues[t->at].keep_bound && t->queues[t->at].n_bindings > 0) {
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
		if (e != E_OK) {
			(void)err_set(
				&text, e, "queue '%s': no channel to create it on", t->queues[t->at].name);
			report(t, e, text.text);
		}
	}
}

static enum err
create(struct bus_topo *t, const struct topo_queue *q)
{
	struct bus_queue queue = {
		.name = span_of(q->name),
		.durable = !q->transient,
		.auto_delete = q->auto_delete,
		.args = q->args.count > 0 ? &q->args : NULL,
	};
	enum err e = declare_exchanges(t, q);

	if (e == E_OK)
		e = bus_queue_declare(t->chan, &queue, q->n_bindings > 0 ? on_part : on_created, t);
	return e == E_OK ? bind_queue(t, q, on_created) : e;
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
	struct bus_topo *t = owner;
	struct errtext text;

	(void)err_set(&text, E_CLOSED, "queue '%s': %s", t->at < t->n ? t->queues[t->at].name : "", why->text);
	report(t, why->by_server ? E_REFUSED : E_CLOSED, text.text);
}

static const struct bus_chan_ops chan_ops = { .on_open = on_open, .on_close = on_close };

static void
on_empty(void *owner)
{
	report(owner, E_OK, "");
}

/* Every queue is bound to the default exchange by itself. */
static enum err
copy_binding(struct topo_queue *to, const char *exchange, const char *type, const char *key)
{
	struct topo_binding *b = &to->bindings[to->n_bindings];

	if (*exchange == '\0')
		return E_OK;
	to->n_bindings++;
	b->exchange = alloc_dup(span_of(exchange));
	b->type = alloc_dup(span_of(type != NULL && *type != '\0' ? type : "direct"));
	b->key = alloc_dup(span_of(key));
	return b->exchange != NULL && b->type != NULL && b->key != NULL ? E_OK : E_NOMEM;
}

static enum err
copy_args(struct topo_queue *to, const struct bus_topo_queue *from)
{
	enum err e = E_OK;

	if (from->args != NULL)
		e = table_copy(&to->args, from->args, &to->arena);
	if (e == E_OK && from->quorum)
		e = table_set(&to->args, &to->arena, SPAN("x-queue-type"), val_string(SPAN("quorum")));
	if (e == E_OK && from->max_priority > 0)
		e = table_set(&to->args, &to->arena, SPAN("x-max-priority"), val_int(from->max_priority));
	return e;
}

static enum err
copy_queue(struct topo_queue *to, const struct bus_topo_queue *from)
{
	enum err e;

	arena_init(&to->arena, 0);
	to->must_exist = from->must_exist;
	to->keep_bound = from->keep_bound;
	to->transient = from->transient;
	to->auto_delete = from->auto_delete;
	to->name = alloc_dup(span_of(from->name));
	to->bindings = alloc_zero((from->n_more + 1) * sizeof(*to->bindings));
	if (to->name == NULL || to->bindings == NULL)
		return E_NOMEM;
	e = copy_binding(to, from->exchange != NULL ? from->exchange : from->name, from->exchange_type,
		from->routing_key != NULL ? from->routing_key : from->name);
	for (size_t i = 0; e == E_OK && i < from->n_more; i++)
		e = copy_binding(
			to, from->more[i].exchange, from->more[i].exchange_type, from->more[i].routing_key);
	return e == E_OK ? copy_args(to, from) : e;
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
