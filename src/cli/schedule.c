/* Texts are handed on as they are; beat/entry.c parses and checks them. */
#include "cli/schedule_app.h"

#include "conf/optjson.h"

/* A leader that takes over waits for it. */
#define COMMAND_MS 2000

static const char *
or_null(const char *text)
{
	return *text != '\0' ? text : NULL;
}

static const char *
terminated(struct arena *a, struct span s)
{
	return s.ptr ? arena_dup(a, s).ptr : NULL;
}

/* A queue and how it is reached: one for all entries that go there. It lives as long as the maker. */
struct road {
	struct bus_topo_queue queue;
	const char *exchange, *routing_key;
};

static const struct road *
find_road(struct schedule_maker *m, struct span queue)
{
	struct road *road = map_get(&m->roads, queue);
	struct arena *a = &m->cli->arena;
	struct span exchange, key;
	const char *name;

	if (road != NULL)
		return road;
	road = arena_zero(a, sizeof(*road));
	name = terminated(a, queue);
	if (road == NULL || name == NULL)
		return NULL;
	road->queue = setup_queue(m->cli, name);
	setup_road(&road->queue, &exchange, &key);
	road->exchange = terminated(a, exchange);
	road->routing_key = terminated(a, key);
	if (!road->exchange || !road->routing_key || map_set(&m->roads, queue, road, NULL) != E_OK)
		return NULL;
	return road;
}

/* Queue, exchange and key of the entry itself, else the routes. */
static enum err
aim(struct schedule_maker *m, const struct conf_schedule *s, struct entry_conf *e, struct arena *a,
	struct errtext *t)
{
	struct route_target target = routes_find(m->routes, span_of(s->task));
	const struct conf_task *d = conf_find_task(&m->cli->conf, span_of(s->task));
	const struct road *road;

	e->transient = setup_is_transient(m->cli, d, target.delivery_mode);
	if (e->priority < 0)
		e->priority = target.priority;
	if (*s->exchange != '\0' || *s->routing_key != '\0') {
		if (*s->queue != '\0')
			return err_set(t, E_CONF, "queue and exchange are both given: choose one");
		e->exchange = s->exchange;
		e->routing_key = s->routing_key;
		return E_OK;
	}
	if (*s->queue != '\0' || (target.exchange.len == 0 && target.queue.ptr != NULL)) {
		road = find_road(m, *s->queue != '\0' ? span_of(s->queue) : target.queue);
		if (road == NULL)
			return err_set(t, E_NOMEM, "out of memory");
		/* Not to be created: a message that no queue takes comes back and says so. */
		e->queue = road->queue.must_exist ? NULL : &road->queue;
		e->exchange = road->exchange;
		e->routing_key = road->routing_key;
		return E_OK;
	}
	e->exchange = terminated(a, target.exchange);
	e->routing_key = terminated(a, target.routing_key);
	return e->exchange && e->routing_key ? E_OK : err_set(t, E_NOMEM, "out of memory");
}

static double
seconds(ms_t d)
{
	return (double)d / 1000;
}

static void
fill(const struct conf *c, const struct conf_schedule *s, struct entry_conf *e)
{
	const struct conf_task *d = conf_find_task(c, span_of(s->task));

	*e = (struct entry_conf){
		.name = s->item.name,
		.task = or_null(s->task),
		.every = s->every,
		.cron = or_null(s->cron),
		.crontab = or_null(s->crontab),
		.at = or_null(s->at),
		.timezone = or_null(s->timezone),
		.start = or_null(s->start),
		.end = or_null(s->end),
		.args = or_null(s->args),
		.kwargs = or_null(s->kwargs),
		.headers = s->headers.n > 0 ? s->headers.items : NULL,
		.missed = strcmp(s->missed, "skip") == 0 ? MISSED_SKIP
			: strcmp(s->missed, "all") == 0  ? MISSED_ALL
							 : MISSED_ONCE,
		.missed_max = s->missed_max,
		.skip_overlap = strcmp(s->overlap, "skip") == 0,
		.jitter = s->jitter,
		.expires = s->expires,
		.time_limit = seconds(s->time_limit),
		.soft_time_limit = seconds(s->soft_time_limit),
		.priority = (int)s->priority,
		.ignore_result = s->ignore_result,
	};
	if (d == NULL)
		return;
	if (e->priority < 0)
		e->priority = (int)d->priority;
	if (e->time_limit == 0)
		e->time_limit = seconds(d->time_limit);
	if (e->soft_time_limit == 0)
		e->soft_time_limit = seconds(d->soft_time_limit);
	e->ignore_result = e->ignore_result || d->ignore_result;
	e->compress = d->compress;
}

static enum err
make(struct schedule_maker *m, const struct conf_schedule *s, struct entry_conf *e, struct arena *a,
	struct errtext *t)
{
	fill(&m->cli->conf, s, e);
	return aim(m, s, e, a, t);
}

enum err
schedule_make(struct schedule_maker *m, struct conf_schedule *s, struct span json, struct entry_conf *out,
	struct arena *a, struct errtext *t)
{
	enum err e = schedule_read(s, json, a, t);

	return e == E_OK ? make(m, s, out, a, t) : e;
}

static enum err
make_all(struct schedule_maker *m, struct errtext *t)
{
	const struct conf *c = &m->cli->conf;
	struct zones zones;
	struct entry check;
	enum err e = E_OK;

	m->entries = arena_zero(
		&m->cli->arena, (c->n_schedule + schedule_count_apps(m->cli) + 1) * sizeof(*m->entries));
	if (m->entries == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	zones_init(&zones);
	for (size_t i = 0; e == E_OK && i < c->n_schedule; i++) {
		const struct conf_schedule *s = &c->schedule[i];

		if (!s->enabled)
			continue;
		e = make(m, s, &m->entries[m->n_entries], &m->cli->arena, t);
		if (e == E_OK)
			e = entry_init(&check, &m->entries[m->n_entries], &zones, t);
		if (e != E_OK)
			err_prefix(t, e, "%s:%d: schedule '%s'", c->file ? c->file : "", s->item.line,
				s->item.name);
		m->n_entries++;
	}
	m->n_of_file = m->n_entries;
	if (e == E_OK)
		e = schedule_add_apps(m, &zones, t);
	zones_release(&zones);
	return e;
}

/* --- entries as JSON --------------------------------------------------------------------------------------------------- */

const struct opt_row *
schedule_rows(size_t *n)
{
	const struct conf_section *section = conf_section("schedule");

	*n = section->n_rows;
	return section->rows;
}

enum err
schedule_read(struct conf_schedule *s, struct span json, struct arena *a, struct errtext *t)
{
	size_t n;
	const struct opt_row *rows = schedule_rows(&n);

	return optjson_read(rows, n, s, json, a, t);
}

void
schedule_add_json(const struct schedule_maker *m, struct buf *b, const struct conf_schedule *s)
{
	size_t n;
	const struct opt_row *rows = schedule_rows(&n);

	optjson_add(b, rows, n, s, &m->defaults);
}

void
schedule_backend(struct cli *cli, struct backend_conf *out)
{
	setup_backend(cli, out);
	if (span_starts(span_of(out->url), "rpc://"))
		out->url = "none";
}

static bool
has_backend(struct cli *cli)
{
	struct backend_conf conf;

	schedule_backend(cli, &conf);
	return strcmp(conf.url, "none") != 0;
}

static void
free_made(void *owner UNUSED, struct entry_conf *conf)
{
	alloc_free(conf);
}

static enum err
make_one(void *owner, struct span name, struct span json, struct entry_conf **out, struct errtext *t)
{
	struct schedule_maker *m = owner;
	struct conf_schedule s = m->defaults;
	struct arena scratch = { 0 };
	struct entry_conf conf = { 0 };
	enum err e = E_OK;

	s.item.name = terminated(&scratch, name);
	if (s.item.name == NULL)
		e = err_set(t, E_NOMEM, "out of memory");
	if (e == E_OK)
		e = schedule_make(m, &s, json, &conf, &scratch, t);
	if (e == E_OK && !s.enabled)
		e = err_set(t, E_CONF, "enabled: false is for the configuration; entries in Redis are paused");
	if (e == E_OK && conf.skip_overlap && !has_backend(m->cli))
		e = err_set(t, E_CONF,
			"overlap: skip needs a result backend that keeps results, in Redis, to see whether "
			"the last run has ended");
	/* There may be thousands: no more is kept than what is said. */
	if (e == E_OK)
		*out = entry_conf_dup(&conf);
	arena_release(&scratch);
	return e;
}

struct entry_maker
schedule_entries(struct schedule_maker *m)
{
	return (struct entry_maker){ .make = make_one, .free = free_made, .owner = m };
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

enum err
schedule_open(struct schedule_maker *m, struct cli *cli, struct errtext *t)
{
	size_t n;
	const struct opt_row *rows = schedule_rows(&n);
	enum err e;

	*m = (struct schedule_maker){ .cli = cli };
	map_init(&m->roads);
	if (opt_set_defaults(rows, n, &m->defaults, &cli->arena) != E_OK)
		return err_set(t, E_NOMEM, "out of memory");
	e = setup_routes(cli, &m->routes, t);
	return e == E_OK ? make_all(m, t) : e;
}

void
schedule_release(struct schedule_maker *m)
{
	routes_free(m->routes);
	map_release(&m->roads, NULL);
	*m = (struct schedule_maker){ 0 };
}

static bool
is_redis(struct span url)
{
	return span_starts(url, "redis://") || span_starts(url, "rediss://") || span_starts(url, "unix://") ||
		span_starts(url, "redis+socket://");
}

void
setup_store(struct cli *cli, struct board_conf *out)
{
	const struct options *o = &cli->conf.o;
	struct backend_conf backend;
	const char *url = o->beat_store;

	setup_backend(cli, &backend);
	if (*url == '\0' && is_redis(span_of(backend.url)))
		url = backend.url;
	*out = (struct board_conf){
		.url = *url != '\0' && strcmp(url, "none") != 0 ? url : NULL,
		.prefix = backend.key_prefix,
		.group = o->beat_group,
		.tls = backend.tls,
		.connect_ms = o->connect_timeout,
		.command_ms = COMMAND_MS,
	};
}
