/* Remote control: questions about the worker as a whole. */
#include "worker/ctl.h"

#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/usage.h"

void
ctl_ping(struct ctl *c)
{
	ctl_ok(c, "pong");
}

void
ctl_clock(struct ctl *c)
{
	js_object(c->js);
	js_key(c->js, "clock");
	js_int(c->js, c->worker->clock.value);
	js_object_end(c->js);
}

/* --- mingle ------------------------------------------------------------------------------------------------------------ */

/* {id: [time, id]}, the time on the sender's own clock, which means nothing here: they count from now on. */
static void
take_revoked(struct ctl *c)
{
	struct jscan_iter it;
	struct buf id;
	bool any = false;

	if (!jscan_begin(&it, control_arg(c->req, "revoked")) || !it.is_object)
		return;
	buf_init(&id, 0);
	while (jscan_next(&it)) {
		struct span quoted = { it.key.ptr - 1, it.key.len + 2 };

		buf_reset(&id);
		jscan_add_string(&id, quoted);
		if (id.err != E_OK || !task_id_is_valid(buf_span(&id)))
			continue;
		revocation_add(&c->worker->revocation, buf_span(&id));
		any = true;
	}
	buf_release(&id);
	if (any)
		revocation_apply(&c->worker->revocation);
}

/* A Python peer compares the time with its own monotonic clock. */
static void
add_revoked(struct ctl *c)
{
	double mono = (double)clock_mono_us() / 1e6;
	struct revoked_walk w = { .at = NULL };

	js_object(c->js);
	while (revoked_next(&c->worker->revocation.ids.texts, clock_wall_us(), &w)) {
		js_key_span(c->js, w.text);
		js_array(c->js);
		js_double(c->js, mono);
		js_string(c->js, w.text);
		js_array_end(c->js);
	}
	js_object_end(c->js);
}

void
ctl_hello(struct ctl *c)
{
	struct span from;

	if (!ctl_need_text(c, "from_node", &from))
		return;
	if (span_is(from, c->worker->conf->node)) {
		js_null(c->js);
		return;
	}
	LOG(CONTROL_HELLO, LOG_SPAN("node", from));
	take_revoked(c);
	js_object(c->js);
	js_key(c->js, "revoked");
	add_revoked(c);
	js_key(c->js, "clock");
	js_int(c->js, lamport_forward(&c->worker->clock));
	js_object_end(c->js);
}

/* --- tasks and queues -------------------------------------------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Of the attributes that Celery shows here a task of ours can have one. */
static bool
wants_rates(struct ctl *c)
{
	struct control_texts walk = { .started = false };
	struct span item;
	bool any = false;

	while (control_next_text(c->req, "taskinfoitems", &walk, &item)) {
		if (span_is(item, "rate_limit"))
			return true;
		any = true;
	}
	return !any;
}

static void
add_registered(struct ctl *c, struct span name, bool with_rate)
{
	const struct task_rule *rule = task_rules_find(&c->worker->rules.tasks, name);
	char rate[RULE_RATE_MAX];
	struct buf b;

	if (!with_rate || rule->rate <= 0) {
		js_string(c->js, name);
		return;
	}
	rule_format_rate(rule->rate, rate);
	buf_init(&b, 0);
	buf_add(&b, name);
	buf_addf(&b, " [rate_limit=%s]", rate);
	js_string(c->js, buf_span(&b));
	buf_release(&b);
}

void
ctl_registered(struct ctl *c)
{
	bool builtins = control_arg_flag(c->req, "builtins", false), with_rate = wants_rates(c);
	struct worker *w = c->worker;
	struct span *names;
	size_t n = 0, most = 1, i;

	for (i = 0; i < w->n_pools; i++)
		most += w->pools[i].tasks.count;
	names = must_alloc(sizeof(*names) * most);
	for (i = 0; i < w->n_pools; i++) {
		struct map_iter it = { 0 };

		while (map_next(&w->pools[i].tasks, &it))
			if (builtins || !span_starts(it.key, "celery."))
				names[n++] = it.key;
	}
	qsort(names, n, sizeof(*names), compare);
	js_array(c->js);
	for (i = 0; i < n; i++)
		if (i == 0 || !span_eq(names[i], names[i - 1]))
			add_registered(c, names[i], with_rate);
	js_array_end(c->js);
	alloc_free(names);
}

static void
add_nulls(struct js *js, const char *const *keys)
{
	for (; *keys != NULL; keys++) {
		js_key(js, *keys);
		js_null(js);
	}
}

static void
add_exchange(struct js *js, const struct bus_topo_queue *q)
{
	js_object(js);
	js_key(js, "name");
	js_text(js, q->exchange != NULL ? q->exchange : q->name);
	js_key(js, "type");
	js_text(js, q->exchange_type != NULL ? q->exchange_type : "direct");
	add_nulls(js, (const char *const[]){ "arguments", NULL });
	js_key(js, "durable");
	js_bool(js, true);
	js_key(js, "passive");
	js_bool(js, false);
	js_key(js, "auto_delete");
	js_bool(js, false);
	add_nulls(js, (const char *const[]){ "delivery_mode", NULL });
	js_key(js, "no_declare");
	js_bool(js, false);
	js_object_end(js);
}

static void
add_arguments(struct js *js, const struct bus_topo_queue *q)
{
	js_key(js, "queue_arguments");
	if (!q->quorum && q->max_priority <= 0) {
		js_null(js);
		return;
	}
	js_object(js);
	if (q->quorum) {
		js_key(js, "x-queue-type");
		js_text(js, "quorum");
	}
	if (q->max_priority > 0) {
		js_key(js, "x-max-priority");
		js_int(js, q->max_priority);
	}
	js_object_end(js);
}

/* Every key that Celery's has: Flower's page of a worker fails on a missing one. */
static void
add_queue(struct js *js, const struct bus_topo_queue *q)
{
	js_object(js);
	js_key(js, "name");
	js_text(js, q->name);
	js_key(js, "exchange");
	add_exchange(js, q);
	js_key(js, "routing_key");
	js_text(js, q->routing_key != NULL ? q->routing_key : q->name);
	add_arguments(js, q);
	add_nulls(js, (const char *const[]){ "binding_arguments", "consumer_arguments", NULL });
	js_key(js, "durable");
	js_bool(js, true);
	js_key(js, "exclusive");
	js_bool(js, false);
	js_key(js, "auto_delete");
	js_bool(js, false);
	js_key(js, "no_ack");
	js_bool(js, false);
	add_nulls(js, (const char *const[]){ "alias", NULL });
	js_key(js, "bindings");
	js_array(js);
	js_array_end(js);
	add_nulls(js,
		(const char *const[]){
			"no_declare", "expires", "message_ttl", "max_length", "max_length_bytes", NULL });
	js_key(js, "max_priority");
	if (q->max_priority > 0)
		js_int(js, q->max_priority);
	else
		js_null(js);
	js_object_end(js);
}

void
ctl_active_queues(struct ctl *c)
{
	struct worker *w = c->worker;

	js_array(c->js);
	for (size_t i = 0; i < w->n_pools; i++)
		for (size_t k = 0; k < w->pools[i].n_queues; k++)
			if (w->pools[i].queues[k].wanted)
				add_queue(c->js, &w->pools[i].queues[k].topo);
	js_array_end(c->js);
}

/* --- settings ---------------------------------------------------------------------------------------------------------- */

void
ctl_conf(struct ctl *c)
{
	const struct worker_conf *conf = c->worker->conf;
	const char *text =
		control_arg_flag(c->req, "with_defaults", false) ? conf->settings_all : conf->settings;

	js_raw(c->js, text != NULL ? span_of(text) : SPAN("{}"));
}

void
ctl_report(struct ctl *c)
{
	struct worker *w = c->worker;
	struct utsname system = { .sysname = "?" };
	struct buf b;

	buf_init(&b, 0);
	/* Fails for a bad pointer only; then the fields stay as they are. */
	if (uname(&system) != 0)
		system.release[0] = system.machine[0] = '\0';
	buf_addf(&b, "\nsoftware -> warren:%s rabbitmq:%s\n", w->conf->version,
		bus_conn_server_version(w->consume));
	buf_addf(&b, "platform -> system:%s arch:%s kernel:%s\n", system.sysname, system.machine,
		system.release);
	buf_addf(&b, "broker -> %s\nresults -> %s\n", bus_conn_url(w->consume), backend_url(w->backend));
	for (size_t i = 0; i < w->n_pools; i++) {
		const struct pool *p = &w->pools[i];

		buf_addf(&b, "pool %s -> %zu slots, runner", p->conf->name, p->size);
		for (size_t k = 0; p->conf->runner[k] != NULL; k++)
			buf_addf(&b, " %s", p->conf->runner[k]);
		buf_adds(&b, ", queues");
		for (size_t k = 0; k < p->n_queues; k++)
			if (p->queues[k].wanted)
				buf_addf(&b, " %s", p->queues[k].topo.name);
		buf_addc(&b, '\n');
	}
	buf_addf(&b, "settings -> %s\n", w->conf->settings != NULL ? w->conf->settings : "{}");
	js_object(c->js);
	js_key(c->js, "ok");
	js_string(c->js, buf_span(&b));
	js_object_end(c->js);
	buf_release(&b);
}

/* --- memory ------------------------------------------------------------------------------------------------------------ */

void
ctl_memsample(struct ctl *c)
{
	struct buf b;

	buf_init(&b, 0);
	text_add_size(&b, usage_rss(getpid()));
	js_string(c->js, buf_span(&b));
	buf_release(&b);
}

/* The worker and each of its children. */
void
ctl_memdump(struct ctl *c)
{
	struct worker *w = c->worker;
	struct buf b;

	buf_init(&b, 0);
	buf_adds(&b, "worker: ");
	text_add_size(&b, usage_rss(getpid()));
	for (size_t i = 0; i < w->n_pools; i++)
		for (size_t k = 0; k < w->pools[i].n_slots; k++) {
			const struct slot *s = w->pools[i].slots[k];

			if (s->child == NULL)
				continue;
			buf_addf(&b, "\npool %s, slot %d: ", w->pools[i].conf->name, s->index);
			text_add_size(&b, usage_rss(child_pid(s->child)));
		}
	js_string(c->js, buf_span(&b));
	buf_release(&b);
}

void
ctl_objgraph(struct ctl *c)
{
	ctl_error(c, "ImportError('objgraph shows Python objects: this worker has none')");
}
