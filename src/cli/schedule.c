/* The section schedule: of the settings as entries for the scheduler: texts are handed on, targets and what a task's settings add are found here. */
#include "cli/setup.h"

static const char *
or_null(const char *text)
{
	return *text != '\0' ? text : NULL;
}

static const char *
terminated(struct cli *cli, struct span s)
{
	return s.ptr ? arena_dup(&cli->arena, s).ptr : NULL;
}

/* Queue, exchange and key of the entry itself, else the routes. */
static enum err
aim(struct cli *cli, const struct conf_schedule *s, const struct routes *routes, struct entry_conf *e, struct errtext *t)
{
	struct route_target target = routes_find(routes, span_of(s->task));
	struct span exchange, key;

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
		e->queue = setup_queue(cli, *s->queue != '\0' ? s->queue : terminated(cli, target.queue));
		setup_road(&e->queue, &exchange, &key);
		/* Not to be created: a message that no queue takes comes back and says so. */
		if (e->queue.must_exist)
			e->queue.name = NULL;
	} else {
		exchange = target.exchange;
		key = target.routing_key;
	}
	e->exchange = terminated(cli, exchange);
	e->routing_key = terminated(cli, key);
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
		.missed = strcmp(s->missed, "skip") == 0 ? MISSED_SKIP : strcmp(s->missed, "all") == 0 ? MISSED_ALL : MISSED_ONCE,
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

enum err
setup_schedule(struct cli *cli, struct entry_conf **out, size_t *n, struct errtext *t)
{
	const struct conf *c = &cli->conf;
	struct entry_conf *entries = arena_zero(&cli->arena, (c->n_schedule + 1) * sizeof(*entries));
	struct routes *routes = NULL;
	struct entry check;
	struct zones zones;
	enum err e;

	*n = 0;
	*out = entries;
	if (entries == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	zones_init(&zones);
	e = setup_routes(cli, &routes, t);
	for (size_t i = 0; e == E_OK && i < c->n_schedule; i++) {
		const struct conf_schedule *s = &c->schedule[i];

		if (!s->enabled)
			continue;
		fill(c, s, &entries[*n]);
		e = aim(cli, s, routes, &entries[*n], t);
		if (e == E_OK)
			e = entry_init(&check, &entries[*n], &zones, t);
		if (e != E_OK)
			err_prefix(t, e, "%s:%d: schedule '%s'", c->file ? c->file : "", s->item.line, s->item.name);
		(*n)++;
	}
	routes_free(routes);
	zones_release(&zones);
	return e;
}
