/* Broker, backend, routes and client from the settings. Pools are in pools.c. */
#include "cli/setup.h"

#include "cli/out.h"

#include "base/log.h"
#include "base/text.h"

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
		.result_expires_s = o->result_expires / 1000,
		.key_prefix = or_null(o->result_key_prefix),
		.tls = tls_conf(o),
		.command_ms = o->result_timeout,
	};
}

enum err
setup_routes(const struct cli *cli, struct routes **out, struct errtext *t)
{
	const struct conf *c = &cli->conf;
	struct route *rules = must_alloc((c->n_routes + 1) * sizeof(*rules));
	enum err e;
	size_t i;

	for (i = 0; i < c->n_routes; i++)
		rules[i] = (struct route){
			.pattern = c->routes[i].item.name,
			.queue = or_null(c->routes[i].queue),
			.exchange = or_null(c->routes[i].exchange),
			.routing_key = or_null(c->routes[i].routing_key),
			.priority = (int)c->routes[i].priority,
		};
	e = routes_new(out, rules, c->n_routes, c->o.default_queue, t);
	alloc_free(rules);
	return e != E_OK && c->file != NULL ? err_prefix(t, e, "%s", c->file) : e;
}

static double
seconds(ms_t d)
{
	return (double)d / 1000;
}

enum err
setup_rules(struct cli *cli, struct task_rules *out, struct errtext *t)
{
	const struct conf *c = &cli->conf;
	struct task_rule *rules = arena_zero(&cli->arena, (c->n_tasks + 1) * sizeof(*rules));
	size_t i;

	if (rules == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	for (i = 0; i < c->n_tasks; i++) {
		const struct conf_task *task = &c->tasks[i];

		rules[i] = (struct task_rule){
			.pattern = task->item.name,
			.time_limit = seconds(task->time_limit),
			.soft_time_limit = seconds(task->soft_time_limit),
			.retry = {
				.max_retries = task->max_retries,
				.delay_s = seconds(task->default_retry_delay),
				.backoff_s = seconds(task->retry_backoff),
				.backoff_max_s = seconds(task->retry_backoff_max),
				.jitter = task->retry_jitter,
				.errors = task->autoretry_for.n > 0 ? task->autoretry_for.items : NULL,
			},
			.max_lost = task->reject_on_worker_lost ? task->max_lost : 0,
			.ignore_result = task->ignore_result,
			.acks_early = !task->acks_late,
			.dead_on_failure = task->dead_letter_failed,
			.reject_on_failure = !task->acks_on_failure_or_timeout,
		};
		if (task->time_limit > 0 && task->soft_time_limit >= task->time_limit)
			return err_set(t, E_CONF, "%s:%d: task '%s': soft_time_limit is not shorter than time_limit", c->file, task->item.line,
				task->item.name);
	}
	*out = (struct task_rules){ .fallback = task_rule_default, .rules = rules, .count = c->n_tasks };
	return E_OK;
}

struct bus_topo_queue
setup_queue(const struct cli *cli, const char *name)
{
	const struct conf_queue *q = conf_find_queue(&cli->conf, span_of(name));

	if (q == NULL)
		return (struct bus_topo_queue){ .name = name, .must_exist = !cli->conf.o.create_queues };
	return (struct bus_topo_queue){
		.name = name,
		.exchange = or_null(q->exchange),
		.exchange_type = q->exchange_type,
		.routing_key = or_null(q->routing_key),
		.quorum = strcmp(q->type, "quorum") == 0,
		.max_priority = (int)q->max_priority,
		.must_exist = !cli->conf.o.create_queues,
	};
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
	struct log_conf conf = { .process = process, .fd = STDERR_FILENO, .json = json || strcmp(o->log_format, "json") == 0 };
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
	struct client_conf conf = { .connect_ms = cli->conf.o.connect_timeout };
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
