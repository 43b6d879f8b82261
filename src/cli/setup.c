/* Broker, backend, routes and client from the settings. Pools are in pools.c. */
#include "cli/setup.h"

#include "cli/app.h"
#include "cli/out.h"

#include "base/log.h"
#include "base/text.h"
#include "core/limit.h"

#include <unistd.h>

/* Celery also writes pyamqp:// and means the same. */
static const char *
broker_url(struct cli *cli, const char *url)
{
	struct span s = span_of(url), copy;

	if (!span_starts(s, "pyamqp"))
		return url;
	copy = arena_dup(&cli->arena, (struct span){ s.ptr + 2, s.len - 2 });
	return copy.ptr != NULL ? copy.ptr : url;
}

static const char *
or_null(const char *text)
{
	return *text != '\0' ? text : NULL;
}

static struct stream_tls_conf
tls_conf(const struct options *o)
{
	return (struct stream_tls_conf){
		.ca_file = or_null(o->tls_ca_file),
		.cert_file = or_null(o->tls_cert_file),
		.key_file = or_null(o->tls_key_file),
		.no_verify = !o->tls_verify,
	};
}

void
setup_broker(struct cli *cli, struct bus_conf *out)
{
	const struct options *o = &cli->conf.o;
	const char **urls = arena_alloc(&cli->arena, o->broker.n * sizeof(*urls));
	size_t i;

	*out = (struct bus_conf){
		.n_urls = urls != NULL ? o->broker.n : 0,
		.urls = urls,
		.heartbeat_s = (int)(o->broker_heartbeat / 1000),
		.connect_ms = o->connect_timeout,
		.tls = tls_conf(o),
	};
	for (i = 0; i < out->n_urls; i++)
		urls[i] = broker_url(cli, o->broker.items[i]);
}

void
setup_backend(struct cli *cli, struct backend_conf *out)
{
	const struct options *o = &cli->conf.o;

	*out = (struct backend_conf){
		.url = *o->result_backend != '\0' ? o->result_backend : "none",
		/* Upwards: less than a second is not for ever. */
		.result_expires_s = (o->result_expires + 999) / 1000,
		.key_prefix = or_null(o->result_key_prefix),
		.chords_unordered = !o->result_chord_ordered,
		.tls = tls_conf(o),
		.command_ms = o->result_timeout,
		.is_persistent = o->result_persistent,
	};
}

int
setup_delivery_mode(const char *word)
{
	return strcmp(word, "transient") == 0 ? 1 : strcmp(word, "persistent") == 0 ? 2 : 0;
}

bool
setup_is_transient(const struct cli *cli, const struct conf_task *task, int of_route)
{
	int mode = task != NULL ? setup_delivery_mode(task->delivery_mode) : 0;

	if (mode == 0)
		mode = of_route;
	return (mode != 0 ? mode : setup_delivery_mode(cli->conf.o.delivery_mode)) == 1;
}

/* The queue of a task goes before the routes of its application, as in Celery; what stands in the file goes before both. */
static size_t
add_app_routes(struct cli *cli, const struct app *app, struct route *rules)
{
	size_t n = 0, i;

	for (i = 0; i < app->n_tasks; i++) {
		const struct app_task *task = &app->tasks[i];
		double priority = -1;
		struct route r = {
			.pattern = task->name,
			.queue = app_get_text(task->options, "queue", &cli->arena),
			.exchange = app_get_text(task->options, "exchange", &cli->arena),
			.routing_key = app_get_text(task->options, "routing_key", &cli->arena),
		};

		if (!app_get_number(task->options, "priority", &priority) || priority < 0 || priority > 255)
			priority = -1;
		r.priority = (int)priority;
		/* To Celery one without the other is nothing. */
		if (r.exchange == NULL || r.routing_key == NULL)
			r.exchange = r.routing_key = NULL;
		if (r.queue != NULL || r.exchange != NULL)
			rules[n++] = r;
	}
	for (i = 0; i < app->n_routes; i++) {
		const struct app_route *from = &app->routes[i];

		if (*from->queue == '\0' && *from->exchange == '\0')
			continue;
		rules[n++] = (struct route){
			.pattern = from->pattern,
			.queue = or_null(from->queue),
			.exchange = or_null(from->exchange),
			.routing_key = *from->exchange != '\0' ? or_null(from->routing_key) : NULL,
			.priority = from->priority,
			.delivery_mode = from->delivery_mode,
		};
	}
	return n;
}

enum err
setup_routes(struct cli *cli, struct routes **out, struct errtext *t)
{
	const struct conf *c = &cli->conf;
	size_t max = c->n_routes + 1, n, i;
	struct route *rules;
	enum err e;

	for (i = 0; i < cli->n_apps; i++)
		max += cli->apps[i].app.n_tasks + cli->apps[i].app.n_routes;
	rules = must_alloc(max * sizeof(*rules));
	for (n = 0; n < c->n_routes; n++)
		rules[n] = (struct route){
			.pattern = c->routes[n].item.name,
			.queue = or_null(c->routes[n].queue),
			.exchange = or_null(c->routes[n].exchange),
			.routing_key = or_null(c->routes[n].routing_key),
			.priority = (int)c->routes[n].priority,
			.delivery_mode = setup_delivery_mode(c->routes[n].delivery_mode),
			.is_given = true,
		};
	for (i = 0; i < cli->n_apps; i++)
		n += add_app_routes(cli, &cli->apps[i].app, rules + n);
	e = routes_new(out, rules, n, c->o.default_queue, t);
	alloc_free(rules);
	return e != E_OK && c->file != NULL ? err_prefix(t, e, "%s", c->file) : e;
}

static double
seconds(ms_t d)
{
	return (double)d / 1000;
}

static enum err
set_rates(struct task_rule *r, const struct conf_task *task, const struct options *o, struct errtext *t)
{
	const char *backend = o->result_backend;

	r->rate_burst = task->rate_limit_burst;
	r->rate_key = or_null(task->rate_limit_key);
	if (!rule_parse_rate(span_of(task->rate_limit), &r->rate))
		return err_set(t, E_CONF, "task '%s': rate_limit '%s' is no rate: write 10/s, 100/m or 1000/h",
			task->item.name, task->rate_limit);
	if (!rule_parse_rate(span_of(task->cluster_rate_limit), &r->cluster_rate))
		return err_set(t, E_CONF,
			"task '%s': cluster_rate_limit '%s' is no rate: write 10/s, 100/m or 1000/h",
			task->item.name, task->cluster_rate_limit);
	if (r->rate_key != NULL && !limit_path_is_valid(span_of(r->rate_key)))
		return err_set(t, E_CONF,
			"task '%s': rate_limit_key '%s' leads to no argument: write kwargs.NAME or args.NUMBER",
			task->item.name, r->rate_key);
	if (r->cluster_rate > 0 && !span_starts(span_of(backend), "redis") &&
		!span_starts(span_of(backend), "unix"))
		return err_set(t, E_CONF,
			"task '%s': cluster_rate_limit is counted in Redis: it needs a result_backend there",
			task->item.name);
	return E_OK;
}

enum err
setup_rules(struct cli *cli, struct task_rules *out, struct errtext *t)
{
	const struct conf *c = &cli->conf;
	const struct options *o = &c->o;
	const struct conf_section *sec = conf_section("tasks");
	struct task_rule *rules = arena_zero(&cli->arena, (c->n_tasks + 1) * sizeof(*rules));
	size_t i;

	if (rules == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	for (i = 0; i < c->n_tasks; i++) {
		const struct conf_task *task = &c->tasks[i];

		rules[i] = (struct task_rule){
			.pattern = task->item.name,
			.time_limit = seconds(task->time_limit > 0 ? task->time_limit : o->time_limit),
			.soft_time_limit = seconds(task->soft_time_limit > 0 ? task->soft_time_limit : o->soft_time_limit),
			.memory_limit = task->memory_limit,
			.retry = {
				.max_retries = task->max_retries,
				.delay_s = seconds(task->default_retry_delay),
				.backoff_s = seconds(task->retry_backoff),
				.backoff_max_s = seconds(task->retry_backoff_max),
				.jitter = task->retry_jitter,
				.errors = task->autoretry_for.n > 0 ? task->autoretry_for.items : NULL,
			},
			.expires = seconds(task->expires),
			.priority_plus1 = (int)task->priority + 1,
			.delivery_mode = setup_delivery_mode(task->delivery_mode),
			.inherit_priority = task->inherit_priority,
			.max_lost = task->reject_on_worker_lost ? task->max_lost : 0,
			.ignore_result = conf_is_given(sec, task, "ignore_result") ? task->ignore_result : o->ignore_result,
			.track_started = conf_is_given(sec, task, "track_started") ? task->track_started : o->track_started,
			.no_events = !task->send_events,
			.acks_early = !task->acks_late,
			.dead_on_failure = task->dead_letter_failed,
			.reject_on_failure = !task->acks_on_failure_or_timeout,
		};
		if (set_rates(&rules[i], task, o, t) != E_OK)
			return E_CONF;
		/* Of an application, as Celery has it: the hard limit simply comes first. */
		if (task->item.line > 0 && task->time_limit > 0 && task->soft_time_limit >= task->time_limit)
			return err_set(t, E_CONF,
				"%s:%d: task '%s': soft_time_limit is not shorter than time_limit", c->file,
				task->item.line, task->item.name);
	}
	*out = (struct task_rules){ .fallback = task_rule_default, .rules = rules, .count = c->n_tasks };
	out->fallback.time_limit = seconds(o->time_limit);
	out->fallback.soft_time_limit = seconds(o->soft_time_limit);
	out->fallback.ignore_result = o->ignore_result;
	out->fallback.track_started = o->track_started;
	return E_OK;
}

static struct bus_topo_binding *
more_bindings(struct cli *cli, const struct app_queue *q)
{
	struct bus_topo_binding *more = arena_zero(&cli->arena, (q->n_more + 1) * sizeof(*more));
	size_t i;

	if (more == NULL)
		more = must_alloc((q->n_more + 1) * sizeof(*more));
	for (i = 0; i < q->n_more; i++)
		more[i] = (struct bus_topo_binding){ q->more[i].exchange, q->more[i].exchange_type,
			q->more[i].routing_key };
	return more;
}

/* As the application declares it. */
static struct bus_topo_queue
queue_of_app(struct cli *cli, const struct app_queue *q, const char *name)
{
	const struct app_binding *b = &q->binding;
	bool plain = strcmp(b->exchange, name) == 0 && strcmp(b->exchange_type, "direct") == 0 &&
		strcmp(b->routing_key, name) == 0;

	return (struct bus_topo_queue){
		.name = name,
		.exchange = b->exchange,
		.exchange_type = or_null(b->exchange_type),
		.routing_key = b->routing_key,
		.transient = !q->durable,
		.auto_delete = q->auto_delete,
		.args = q->arguments.count > 0 ? &q->arguments : NULL,
		.more = more_bindings(cli, q),
		.n_more = q->n_more,
		/* Celery's workers bind at each start, so a binding that is new in the application gets there. */
		.keep_bound = *b->exchange != '\0' && (!plain || q->n_more > 0),
	};
}

struct bus_topo_queue
setup_queue(struct cli *cli, const char *name)
{
	const struct conf_queue *q = conf_find_queue(&cli->conf, span_of(name));
	const struct app_queue *of_app = q == NULL ? app_find_queue(cli, name) : NULL;
	struct bus_topo_queue out = { .name = name };

	if (of_app != NULL)
		out = queue_of_app(cli, of_app, name);
	else if (q != NULL)
		out = (struct bus_topo_queue){
			.name = name,
			.exchange = or_null(q->exchange),
			.exchange_type = q->exchange_type,
			.routing_key = or_null(q->routing_key),
			.quorum = strcmp(q->type, "quorum") == 0,
			.max_priority = (int)q->max_priority,
		};
	out.must_exist = !cli->conf.o.create_queues;
	return out;
}

/* A queue with an exchange of another kind than direct is reached through that exchange, as Celery does it. */
void
setup_road(const struct bus_topo_queue *q, struct span *exchange, struct span *key)
{
	*exchange = SPAN("");
	*key = span_of(q->name);
	if (q->exchange_type != NULL && strcmp(q->exchange_type, "direct") != 0) {
		*exchange = span_of(q->exchange != NULL ? q->exchange : q->name);
		*key = span_of(q->routing_key != NULL ? q->routing_key : q->name);
	}
}

void
setup_log(const struct options *o, const char *process, bool json)
{
	struct log_conf conf = {
		.process = process, .fd = STDERR_FILENO, .json = json || strcmp(o->log_format, "json") == 0
	};
	const char *no_color = getenv("NO_COLOR");

	if (!log_parse_level(span_of(o->log_level), &conf.level))
		conf.level = LOG_INFO;
	conf.color = !conf.json && isatty(STDERR_FILENO) && (no_color == NULL || *no_color == '\0');
	log_setup(&conf);
}

enum err
setup_node(struct cli *cli, const char *pattern, const char **out, struct errtext *t)
{
	char host[256] = "localhost";
	struct span copy;
	struct buf b;
	enum err e;

	gethostname(host, sizeof(host) - 1);
	buf_init(&b, 0);
	e = text_node_name(pattern, host, &b, t);
	if (e == E_OK) {
		copy = arena_dup(&cli->arena, buf_span(&b));
		*out = copy.ptr;
		if (copy.ptr == NULL)
			e = err_set(t, E_NOMEM, "out of memory");
	}
	buf_release(&b);
	return e;
}

int
setup_client(struct cli *cli, bool with_broker, struct client **out)
{
	struct client_conf conf = { .connect_ms = cli->conf.o.connect_timeout,
		.sent_events = cli->conf.o.sent_events,
		.control_exchange = cli->conf.o.control_exchange,
		.event_exchange = cli->conf.o.event_exchange };
	struct errtext why = { "" };
	enum err e;

	if (with_broker)
		setup_broker(cli, &conf.broker);
	setup_backend(cli, &conf.backend);
	e = client_new(out, &conf, &why);
	if (e == E_OK)
		return 0;
	out_error("%s", why.text);
	return exit_of(e);
}

static void
add_name(const char **names, size_t *n, const char *name)
{
	size_t i;

	for (i = 0; i < *n; i++)
		if (strcmp(names[i], name) == 0)
			return;
	if (*name != '\0')
		names[(*n)++] = name;
}

static const char **
new_names(struct cli *cli, size_t max)
{
	const char **names = arena_zero(&cli->arena, (max + 1) * sizeof(*names));

	return names != NULL ? names : must_alloc((max + 1) * sizeof(*names));
}

const char *const *
setup_known_queues(struct cli *cli)
{
	const struct conf *c = &cli->conf;
	size_t n = 0, max = c->n_queues + c->n_routes + 1, i, k;
	const char **names;

	for (i = 0; i < c->n_pools; i++)
		max += c->pools[i].queues.n;
	names = new_names(cli, max);
	add_name(names, &n, c->o.default_queue);
	for (i = 0; i < c->n_pools; i++)
		for (k = 0; k < c->pools[i].queues.n; k++)
			add_name(names, &n, c->pools[i].queues.items[k]);
	for (i = 0; i < c->n_queues; i++)
		add_name(names, &n, c->queues[i].item.name);
	for (i = 0; i < c->n_routes; i++)
		add_name(names, &n, c->routes[i].queue);
	return names;
}

const char *const *
setup_queue_names(struct cli *cli)
{
	const char **names;
	size_t n = 0, i;

	names = new_names(cli, cli->n_args);
	for (i = 0; i < cli->n_args; i++)
		add_name(names, &n, cli->args[i]);
	return n > 0 ? names : setup_known_queues(cli);
}
