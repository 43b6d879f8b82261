/* warren worker: fills the worker's settings from flags and configuration and hands over. */
#include "config.h"

#include "cli/app.h"
#include "cli/out.h"
#include "cli/schedule.h"

#include "base/log.h"

struct worker_flags {
	struct runner_flags runner;
	struct opt_list queues, exclude_queues, pool;
	struct opt_list include;
	const char *autoscale, *optimization;
	bool json_logs, quiet, beat, without_gossip, without_mingle, without_heartbeat;
};

static const struct opt_row rows[] = {
	RUNNER_FLAGS(worker_flags, runner),
	FLAG(worker_flags, queues, list, .short_flag = 'Q', .min = 1,
		.help = "queues to take tasks from [the default queue]"),
	FLAG(worker_flags, exclude_queues, list, .short_flag = 'X',
		.help = "queues to take no tasks from, of those it would"),
	FLAG(worker_flags, pool, list, .short_flag = 'P', .arg = "NAME,...",
		.help = "run only these pools of the configuration"),
	FLAG(worker_flags, autoscale, text, .def = "", .arg = "MAX,MIN",
		.help = "with -A, --module or --runner: at least MIN slots, up to MAX when they are needed, instead of -c"),
	FLAG(worker_flags, beat, bool, .short_flag = 'B',
		.help = "also send periodic tasks, as warren beat does"),
	FLAG(worker_flags, json_logs, bool, .help = "the same as --log-format json"),
	FLAG(worker_flags, quiet, bool, .short_flag = 'q', .help = "no banner"),
	FLAG(worker_flags, include, list, .short_flag = 'I', .arg = "MODULE,...",
		.help = "with -A: further modules with tasks"),
	/* Words of Celery's that change nothing here, so that its command lines work as they are. */
	FLAG(worker_flags, optimization, text, .short_flag = 'O', .def = "", .flags = OPT_HIDDEN,
		.help = "no effect"),
	FLAG(worker_flags, without_gossip, bool, .flags = OPT_HIDDEN, .help = "no effect"),
	FLAG(worker_flags, without_mingle, bool, .flags = OPT_HIDDEN, .help = "no effect"),
	FLAG(worker_flags, without_heartbeat, bool, .flags = OPT_HIDDEN, .help = "the same as --heartbeat 0"),
};

/* For queues that the worker is told of while it runs. */
static void
add_known_queues(struct cli *cli, struct worker_conf *w)
{
	const struct conf *c = &cli->conf;
	struct bus_topo_queue *queues = arena_zero(&cli->arena, (c->n_queues + 1) * sizeof(*queues));

	w->queues_must_exist = !c->o.create_queues;
	w->known_queues = queues;
	for (size_t i = 0; queues != NULL && i < c->n_queues; i++)
		queues[w->n_known_queues++] = setup_queue(cli, c->queues[i].item.name);
}

/* The flag concerns the pool that is made of flags. */
static enum err
add_autoscale(struct cli *cli, const struct worker_flags *f, struct pool_conf *pools, struct errtext *t)
{
	if (*f->autoscale == '\0')
		return E_OK;
	if (!setup_has_runner(&f->runner))
		return err_set(t, E_CONF,
			"--autoscale needs -A, --module or --runner; the pools of the configuration have a key `autoscale`");
	if (cli->conf.origin[CONF_OPT_concurrency].source == CONF_FLAG)
		return err_set(t, E_CONF, "-c and --autoscale are both given: keep one of them");
	return setup_autoscale(f->autoscale, &pools[0].scaling, t);
}

static bool
is_excluded(const struct opt_list *names, const char *queue)
{
	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->items[i], queue) == 0)
			return true;
	return false;
}

static enum err
no_queue_left(const char *pool, struct errtext *t)
{
	return err_set(t, E_CONF,
		"-X leaves pool %s no queue to take tasks from: name others with -Q, or leave -X out", pool);
}

/* Where the queues are named beside it, before the application is imported, which may take its time. */
static enum err
check_excluded(const struct worker_flags *f, struct errtext *t)
{
	for (size_t i = 0; i < f->queues.n; i++)
		if (!is_excluded(&f->exclude_queues, f->queues.items[i]))
			return E_OK;
	return f->queues.n > 0 ? no_queue_left("default", t) : E_OK;
}

/* -X. A name that no pool has changes nothing, as with Celery. */
static enum err
leave_out(struct cli *cli, const struct opt_list *names, struct pool_conf *p, struct errtext *t)
{
	struct bus_topo_queue *kept = arena_zero(&cli->arena, (p->n_queues + 1) * sizeof(*kept));
	size_t n = 0;

	if (kept == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	for (size_t i = 0; i < p->n_queues; i++)
		if (!is_excluded(names, p->queues[i].name))
			kept[n++] = p->queues[i];
	if (n == 0)
		return no_queue_left(p->name, t);
	p->queues = kept;
	p->n_queues = n;
	return E_OK;
}

static void
log_note(const char *module, const char *setting, const char *note)
{
	LOG(APP_SETTING, LOG_STR("app", module), LOG_STR("setting", setting), LOG_STR("note", note));
}

/* All but the pools, the rules and the routes. */
static void
fill(struct cli *cli, bool quiet, struct worker_conf *w)
{
	const struct options *o = &cli->conf.o;

	w->version = PACKAGE_VERSION;
	w->consumer_timeout_ms = o->consumer_timeout;
	w->outbox_after_ms = o->outbox_after;
	w->all_ask = strcmp(o->deduplicate, "all") == 0;
	w->result_extended = o->result_extended;
	w->message_max = o->message_max;
	w->result_max = o->result_max;
	w->output_max = o->output_max;
	w->route_ms = o->route_timeout;
	w->chord_check_ms = o->chord_check;
	w->drain_ms = o->drain_timeout;
	w->events = o->events;
	w->heartbeat_ms = o->heartbeat > 0 ? o->heartbeat : -1;
	w->no_control = !o->remote_control;
	w->control_ttl_ms = o->control_queue_ttl;
	w->control_expires_ms = o->control_queue_expires;
	w->control_exchange = o->control_exchange;
	w->event_exchange = o->event_exchange;
	w->sent_events = o->sent_events;
	w->is_transient = setup_delivery_mode(o->delivery_mode) == 1;
	w->quiet_banner = quiet;
	add_known_queues(cli, w);
	setup_broker(cli, &w->broker);
	setup_backend(cli, &w->backend);
	w->backend.lease_ms = o->lease;
	w->settings = setup_settings(cli, false);
	w->settings_all = setup_settings(cli, true);
}

/* Everything of the settings; the node is known. Applications have been asked. */
static enum err
make(struct cli *cli, const struct worker_flags *f, struct worker_conf *w, struct routes **routes,
	struct errtext *t)
{
	struct pool_conf *pools;
	enum err e = setup_pools(cli, &f->runner, &f->queues, &f->pool, &pools, &w->n_pools, t);

	if (e == E_OK) {
		w->pools = pools;
		e = add_autoscale(cli, f, pools, t);
		for (size_t i = 0; e == E_OK && f->exclude_queues.n > 0 && i < w->n_pools; i++)
			e = leave_out(cli, &f->exclude_queues, &pools[i], t);
	}
	if (e == E_OK)
		e = setup_rules(cli, &w->tasks, t);
	if (e == E_OK)
		e = setup_routes(cli, routes, t);
	w->routes = *routes;
	if (e == E_OK)
		fill(cli, f->quiet, w);
	return e;
}

/* --- read again --------------------------------------------------------------------------------------------------------- */

struct reading {
	struct cli cli; /* the command line is that of the first */
	struct routes *routes;
	struct worker_conf conf;
};

struct reader {
	struct cli *first;
	struct worker_reader reader;
};

static void
log_kept(const char *name, const char *where)
{
	LOG(RELOAD_KEPT, LOG_STR("name", name), LOG_STR("where", where));
}

static void
drop(void *owner UNUSED, const struct worker_conf *conf)
{
	struct reading *r = container_of(conf, struct reading, conf);

	routes_free(r->routes);
	conf_release(&r->cli.conf);
	arena_release(&r->cli.arena);
	alloc_free(r);
}

static enum err
read_again(void *owner, const struct worker_conf **out, struct errtext *t)
{
	const struct reader *reader = owner;
	const struct cli *first = reader->first;
	struct reading *r = must_alloc(sizeof(*r));
	enum err e;

	r->cli = (struct cli){ .cmd = first->cmd,
		.common = first->common,
		.flags = first->flags,
		.given = first->given,
		.n_given = first->n_given };
	arena_init(&r->cli.arena, 0);
	e = conf_load_again(&r->cli.conf, &first->conf, first->common.config, t);
	if (e == E_OK)
		e = app_apply_again(&r->cli, first, t);
	/* What is kept has its place before anything is made of it; who reads the log learns of it in any case. */
	if (e == E_OK)
		conf_keep(&r->cli.conf, &first->conf, log_kept);
	if (e == E_OK) {
		e = setup_node(&r->cli, r->cli.conf.o.node_name, &r->conf.node, t);
		if (e == E_OK)
			e = make(&r->cli, r->cli.flags, &r->conf, &r->routes, t);
	}
	*out = &r->conf;
	if (e != E_OK)
		drop(owner, &r->conf);
	return e;
}

static void
adopted(void *owner, const struct worker_conf *conf)
{
	const struct reader *reader = owner;
	const struct reading *r = container_of(conf, struct reading, conf);
	const struct worker_flags *f = r->cli.flags;

	setup_log(&r->cli.conf.o, "worker", f->json_logs);
	if (f->beat && !conf_is_same_section(&r->cli.conf, &reader->first->conf, conf_section("schedule")))
		log_kept("schedule", "sent by this worker, -B");
	LOG(RELOADED, LOG_STR("file", r->cli.conf.file != NULL ? r->cli.conf.file : "environment and flags"));
}

/* -A app -I more is -A app,more. */
static enum err
add_include(struct cli *cli, struct worker_flags *f, struct errtext *t)
{
	struct span all;
	struct buf b;

	if (f->include.n == 0)
		return E_OK;
	if (*f->runner.app == '\0')
		return err_set(t, E_CONF, "-I needs -A: it names further modules for the same children");
	buf_init(&b, 0);
	buf_adds(&b, f->runner.app);
	for (size_t i = 0; i < f->include.n; i++)
		buf_addf(&b, ",%s", f->include.items[i]);
	all = b.err == E_OK ? arena_dup(&cli->arena, buf_span(&b)) : SPAN_NONE;
	buf_release(&b);
	if (all.ptr == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	f->runner.app = all.ptr;
	return E_OK;
}

/* Celery's -P chooses a kind of pool. There is one here, and it is what most command lines ask for. */
static enum err
take_kind_of_pool(struct worker_flags *f, struct errtext *t)
{
	static const char *const others[] = { "solo", "threads", "eventlet", "gevent" };
	const char *kind = f->pool.n == 1 ? f->pool.items[0] : "";

	if (!setup_has_runner(&f->runner))
		return E_OK;
	if (strcmp(kind, "prefork") == 0 || strcmp(kind, "processes") == 0)
		f->pool.n = 0;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (strcmp(kind, others[i]) == 0)
			return err_set(t, E_CONF,
				"-P %s: tasks run in processes here, one at a time in each: leave it out, and say how many with -c",
				kind);
	return E_OK;
}

/* What a command line of Celery's means here. */
static enum err
understand(struct cli *cli, struct worker_flags *f, struct errtext *t)
{
	enum err e = add_include(cli, f, t);

	if (e == E_OK)
		e = take_kind_of_pool(f, t);
	if (e == E_OK)
		e = check_excluded(f, t);
	if (e == E_OK && f->without_heartbeat)
		e = conf_set(&cli->conf, &conf_rows[CONF_OPT_heartbeat], SPAN("0"), CONF_FLAG,
			"--without-heartbeat", t);
	return e;
}

static int
worker_main(struct cli *cli)
{
	const struct worker_flags *f = cli->flags;
	const struct options *o = &cli->conf.o;
	struct reader reader = { .first = cli };
	struct worker_conf w = { .n_pools = 0, .reader = &reader.reader };
	struct schedule_guest guest = { .beat = NULL };
	struct errtext why = { "" };
	struct routes *routes = NULL;
	enum err e;
	int code;

	reader.reader = (struct worker_reader){
		.read = read_again, .adopted = adopted, .drop = drop, .owner = &reader
	};
	e = understand(cli, cli->flags, &why);
	if (e == E_OK)
		e = setup_node(cli, o->node_name, &w.node, &why) == E_OK
			? E_OK
			: err_prefix(&why, E_CONF, "node_name");
	if (e == E_OK)
		e = app_ask(cli, &f->runner, &f->queues, &f->pool, w.node, &why);
	if (e == E_OK)
		e = make(cli, f, &w, &routes, &why);
	if (e == E_OK && f->beat)
		e = schedule_guest_init(&guest, cli, &w, &why);
	if (e != E_OK) {
		out_error("worker: %s", why.text);
		code = exit_of(e);
	} else {
		setup_log(o, "worker", f->json_logs);
		app_each_note(cli, log_note);
		schedule_log_notes(&guest.maker);
		code = worker_run(&w, &why);
		if (why.text[0] != '\0')
			out_error("worker: %s", why.text);
	}
	schedule_guest_release(&guest);
	routes_free(routes);
	return code;
}

const struct cmd cmd_worker = {
	.name = "worker",
	.args = "",
	.summary = "take tasks from queues and run them",
	.details =
		"With -A, --module or --runner it has one pool, made from the flags; without them the pools of the configuration. SIGTERM: takes no "
		"more tasks, lets the running ones finish (--drain-timeout), and ends. SIGHUP: reads its settings again. With -B it is a scheduler too (see warren beat): one of any number, so "
		"every worker may have it.",
	.examples = "  warren worker -A tasks -Q celery,mail -c 4 -n w1@%h -l info\n"
		    "  warren worker --module ./libtasks.so -Q processing -c 8\n"
		    "  warren worker --config warren.yaml -P gpu\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct worker_flags),
	.strangers = celery_worker_flags,
	.groups = CONF_BIT(CONF_GROUPS) - 1,
	.run = worker_main,
};
