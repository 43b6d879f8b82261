/*
 * What the settings of a Celery application mean here: one row for each that the runner hands on (WORKER_SETTINGS of _celery_settings.py).
 * A setting without a row, or with a value that cannot be taken, becomes a note: nothing is passed over in silence. docs/coming-from-celery.md
 * has the same table for people.
 */
#include "cli/app.h"

#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum how {
	AS_IS,    /* true, false, a whole number, a text */
	SECONDS,  /* a number; None = 0, "for ever" */
	KIB,      /* a number of KiB */
	OF_TASKS, /* as AS_IS or SECONDS, by the row of tasks: it names; for tasks that do not say otherwise */
	QUIET,    /* read elsewhere, or always so: nothing to say */
	NOTE,     /* has no effect */
	UNLESS,   /* has no effect, unless it has this value, which is how it is here anyway */
};

struct row {
	const char *setting;
	enum how how;
	const char *means;    /* the option, or the key under tasks: */
	const char *note;     /* NOTE, UNLESS */
	const char *harmless; /* UNLESS: the value as JSON */
};

static const struct row rows[] = {
	{ "accept_content", QUIET, NULL, NULL, NULL },
	{ "beat_cron_starting_deadline", QUIET, NULL, NULL, NULL },
	{ "beat_max_loop_interval", QUIET, NULL, NULL, NULL },
	{ "redis_socket_connect_timeout", SECONDS, "connect_timeout", NULL, NULL },
	{ "broker_connection_timeout", SECONDS, "connect_timeout", NULL, NULL },
	{ "broker_heartbeat", SECONDS, "broker_heartbeat", NULL, NULL },
	{ "broker_use_ssl", QUIET, NULL, NULL, NULL }, /* in the URL; see note_tls */
	{ "broker_native_delayed_delivery_queue_type", UNLESS, NULL,
		"the delay queues are made by whoever comes first; the worker makes quorum queues",
		"\"quorum\"" },
	{ "broker_transport_options", UNLESS, NULL, "they are for Celery's own connections",
		"{\"confirm_publish\":true}" },
	{ "control_exchange", AS_IS, "control_exchange", NULL, NULL },
	{ "control_queue_durable", UNLESS, NULL,
		"the queue of remote control ends with the worker's connection", "false" },
	{ "control_queue_exclusive", UNLESS, NULL,
		"the queue of remote control always belongs to the worker's connection alone", "true" },
	{ "control_queue_expires", SECONDS, "control_queue_expires", NULL, NULL },
	{ "control_queue_ttl", SECONDS, "control_queue_ttl", NULL, NULL },
	{ "enable_utc", UNLESS, NULL, "times in messages are UTC", "true" },
	{ "event_exchange", AS_IS, "event_exchange", NULL, NULL },
	{ "event_queue_durable", QUIET, NULL, NULL, NULL },
	{ "event_queue_exclusive", QUIET, NULL, NULL, NULL },
	{ "event_queue_expires", QUIET, NULL, NULL, NULL },
	{ "event_queue_prefix", QUIET, NULL, NULL, NULL },
	{ "event_queue_ttl", QUIET, NULL, NULL, NULL },
	{ "redis_backend_use_ssl", QUIET, NULL, NULL, NULL },
	{ "redis_backend_health_check_interval", QUIET, NULL, NULL, NULL },
	{ "redis_socket_timeout", SECONDS, "result_timeout", NULL, NULL },
	{ "result_backend_transport_options", QUIET, NULL, NULL, NULL },
	{ "result_expires", SECONDS, "result_expires", NULL, NULL },
	{ "result_extended", AS_IS, "result_extended", NULL, NULL },
	{ "result_persistent", AS_IS, "result_persistent", NULL, NULL },
	{ "task_acks_late", OF_TASKS, "acks_late", NULL, NULL },
	{ "task_acks_on_failure", OF_TASKS, "acks_on_failure_or_timeout", NULL, NULL },
	{ "task_acks_on_timeout", OF_TASKS, "acks_on_failure_or_timeout", NULL, NULL },
	{ "task_acks_on_failure_or_timeout", OF_TASKS, "acks_on_failure_or_timeout", NULL, NULL },
	{ "task_create_missing_queues", QUIET, NULL, NULL, NULL },
	{ "task_create_missing_queue_type", QUIET, NULL, NULL, NULL },
	{ "task_create_missing_queue_exchange_type", QUIET, NULL, NULL, NULL },
	{ "task_default_delivery_mode", AS_IS, "delivery_mode", NULL, NULL },
	{ "task_default_exchange", QUIET, NULL, NULL, NULL },
	{ "task_default_exchange_type", QUIET, NULL, NULL, NULL },
	{ "task_default_priority", OF_TASKS, "priority", NULL, NULL },
	{ "task_default_queue", AS_IS, "default_queue", NULL, NULL },
	{ "task_default_queue_type", QUIET, NULL, NULL, NULL },
	{ "task_default_rate_limit", OF_TASKS, "rate_limit", NULL, NULL },
	{ "task_default_routing_key", QUIET, NULL, NULL, NULL },
	{ "task_ignore_result", AS_IS, "ignore_result", NULL, NULL },
	{ "task_inherit_parent_priority", OF_TASKS, "inherit_priority", NULL, NULL },
	{ "task_queue_max_priority", QUIET, NULL, NULL, NULL },
	{ "task_reject_on_worker_lost", OF_TASKS, "reject_on_worker_lost", NULL, NULL },
	{ "task_send_sent_event", AS_IS, "sent_events", NULL, NULL },
	{ "task_soft_time_limit", SECONDS, "soft_time_limit", NULL, NULL },
	{ "task_store_errors_even_if_ignored", QUIET, NULL, NULL, NULL },
	{ "task_time_limit", SECONDS, "time_limit", NULL, NULL },
	{ "task_track_started", AS_IS, "track_started", NULL, NULL },
	{ "timezone", QUIET, NULL, NULL, NULL },
	{ "worker_concurrency", AS_IS, "concurrency", NULL, NULL },
	{ "worker_deduplicate_successful_tasks", UNLESS, NULL,
		"a redelivered task whose result is final never runs again", "true" },
	{ "worker_detect_quorum_queues", QUIET, NULL, NULL, NULL },
	{ "worker_direct", QUIET, NULL, NULL, NULL },
	{ "worker_disable_rate_limits", QUIET, NULL, NULL, NULL },
	{ "worker_enable_remote_control", AS_IS, "remote_control", NULL, NULL },
	{ "worker_max_memory_per_child", KIB, "max_memory_per_child", NULL, NULL },
	{ "worker_max_tasks_per_child", AS_IS, "max_tasks_per_child", NULL, NULL },
	{ "worker_prefetch_multiplier", AS_IS, "prefetch_multiplier", NULL, NULL },
	{ "worker_send_task_events", AS_IS, "events", NULL, NULL },
	{ "worker_soft_shutdown_timeout", NOTE, NULL, "see --drain-timeout", NULL },
};

/* Options of tasks that have another name or no meaning under tasks:; the queue is a route, retries are counted in the child. */
static const struct row task_rows[] = {
	{ "max_retries", QUIET, NULL, NULL, NULL },
	{ "default_retry_delay", QUIET, NULL, NULL, NULL },
	{ "store_errors_even_if_ignored", QUIET, NULL, NULL, NULL },
	{ "queue", QUIET, NULL, NULL, NULL },
	{ "exchange", QUIET, NULL, NULL, NULL },
	{ "routing_key", QUIET, NULL, NULL, NULL },
	{ "acks_on_failure", OF_TASKS, "acks_on_failure_or_timeout", NULL, NULL },
	{ "acks_on_timeout", OF_TASKS, "acks_on_failure_or_timeout", NULL, NULL },
};

static const struct row *
find_row(const struct row *list, size_t n, struct span name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (span_is(name, list[i].setting))
			return &list[i];
	return NULL;
}

/* Both are copied. */
static enum err
add_note(struct cli *cli, struct cli_app *a, const char *setting, const char *note, struct errtext *t)
{
	struct app_note *all = arena_zero(&cli->arena, (a->n_notes + 1) * sizeof(*all));
	struct span name = arena_dup(&cli->arena, span_of(setting)),
		    text = arena_dup(&cli->arena, span_of(note));

	if (all == NULL || name.ptr == NULL || text.ptr == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	if (a->n_notes > 0)
		memcpy(all, a->notes, a->n_notes * sizeof(*all));
	all[a->n_notes] = (struct app_note){ name.ptr, text.ptr };
	a->notes = all;
	a->n_notes++;
	return E_OK;
}

/* The value as a person would write it for a row of this type; false when it cannot be. None means "none at all" where a row has that. */
static bool
write_value(struct buf *b, const struct opt_row *row, enum how how, struct span value)
{
	double number;

	switch (jscan_kind(value)) {
	case JSCAN_NULL:
		if (row->type != OPT_T_dur && row->type != OPT_T_size && row->type != OPT_T_int)
			return false;
		buf_adds(b, "0");
		return true;
	case JSCAN_TRUE:
	case JSCAN_FALSE:
		buf_add(b, value);
		return true;
	case JSCAN_NUMBER:
		if (!jscan_double(value, &number) || !isfinite(number) || fabs(number) > 1e12)
			return false;
		if (how == KIB)
			buf_addf(b, "%" PRId64, (int64_t)(number * 1024));
		else if (number == floor(number))
			buf_addf(b, "%" PRId64, (int64_t)number);
		else
			buf_addf(b, "%.6f", number);
		return true;
	case JSCAN_STRING:
		jscan_add_string(b, value);
		return b->err == E_OK;
	default:
		return false;
	}
}

/* A value that the row does not take is a note, not an end: the application ran with it under Celery. */
static enum err
not_taken(struct cli *cli, struct cli_app *a, struct span setting, struct span value, const char *why,
	struct errtext *t)
{
	char name[200], note[400];
	struct buf shown;
	enum err e;

	buf_init(&shown, 0);
	text_add_printable(&shown, value, 60);
	snprintf(name, sizeof(name), "%.*s", SPAN_FMT(setting));
	snprintf(note, sizeof(note), "its value %s is not taken%s%s", buf_text(&shown),
		*why != '\0' ? ": " : "", why);
	buf_release(&shown);
	e = add_note(cli, a, name, note, t);
	return e;
}

static enum err
set_option(struct cli *cli, struct cli_app *a, const struct row *row, struct span value, struct errtext *t)
{
	const struct opt_row *option = opt_find(conf_rows, CONF_OPTIONS, span_of(row->means));
	char where[300];
	struct errtext why = { "" };
	struct buf text;
	enum err e = E_FORMAT;

	assert(option != NULL);
	/* With several applications the first one counts. */
	if (cli->conf.origin[option - conf_rows].source == CONF_APP &&
		!span_starts(span_of(cli->conf.origin[option - conf_rows].where), a->module))
		return add_note(
			cli, a, row->setting, "another application of this worker has set it already", t);
	snprintf(where, sizeof(where), "%s: %s", a->module, row->setting);
	buf_init(&text, 0);
	if (write_value(&text, option, row->how, value))
		e = conf_set(&cli->conf, option, buf_span(&text), CONF_APP, where, &why);
	buf_release(&text);
	if (e == E_OK || e == E_NOMEM)
		return e == E_OK ? e : err_set(t, e, "out of memory");
	return not_taken(cli, a, span_of(row->setting), value, why.text, t);
}

/* Into an entry under tasks:; a key that this warren does not have is a note. */
static enum err
set_task_key(struct cli *cli, struct cli_app *a, struct conf_task *item, const char *key, struct span setting,
	struct span value, struct errtext *t)
{
	const struct conf_section *sec = conf_section("tasks");
	const struct opt_row *row = opt_find(sec->rows, sec->n_rows, span_of(key));
	struct errtext why = { "" };
	struct buf text;
	enum err e = E_FORMAT;

	if (row == NULL)
		return not_taken(cli, a, setting, value, "", t);
	/* None: as if it were not set. */
	if (jscan_kind(value) == JSCAN_NULL)
		return E_OK;
	buf_init(&text, 0);
	if (write_value(&text, row, AS_IS, value))
		e = conf_set_item(&cli->conf, sec, item, row, buf_span(&text), &why);
	buf_release(&text);
	if (e == E_OK || e == E_NOMEM)
		return e == E_OK ? e : err_set(t, e, "out of memory");
	return not_taken(cli, a, setting, value, why.text, t);
}

static enum err
apply_setting(struct cli *cli, struct cli_app *a, struct span name, struct span value, struct errtext *t)
{
	const struct row *row = find_row(rows, ARRAY_LEN(rows), name);

	if (row == NULL)
		return not_taken(cli, a, name, value, "", t);
	switch (row->how) {
	case AS_IS:
	case SECONDS:
	case KIB:
		return set_option(cli, a, row, value, t);
	case UNLESS:
		return span_is(value, row->harmless) ? E_OK : add_note(cli, a, row->setting, row->note, t);
	case NOTE:
		return add_note(cli, a, row->setting, row->note, t);
	case OF_TASKS: /* see app_merge_tasks */
	case QUIET:
		return E_OK;
	}
	return E_OK;
}

/* --- URLs ------------------------------------------------------------------------------------------------------------- */

static bool
is_set(const struct cli *cli, enum conf_option option)
{
	return cli->conf.origin[option].source > CONF_APP;
}

static bool
same_brokers(const struct opt_list *have, const struct app *app)
{
	size_t i;

	if (have->n != app->n_brokers)
		return false;
	for (i = 0; i < have->n; i++)
		if (strcmp(have->items[i], app->brokers[i]) != 0)
			return false;
	return true;
}

static enum err
apply_brokers(struct cli *cli, const struct cli_app *a, struct errtext *t)
{
	const struct conf_origin *from = &cli->conf.origin[CONF_OPT_broker];
	struct span items[APP_BROKERS_MAX], scheme;
	char where[300];
	size_t i;

	if (a->app.n_brokers == 0 || is_set(cli, CONF_OPT_broker))
		return E_OK;
	if (from->source == CONF_APP)
		return same_brokers(&cli->conf.o.broker, &a->app)
			? E_OK
			: err_set(t, E_CONF,
				  "%s and %.*s use different brokers, and a worker has one: say which with "
				  "--broker, WARREN_BROKER or the "
				  "configuration, or start a worker for each",
				  a->module, (int)strcspn(from->where, ":"), from->where);
	for (i = 0; i < a->app.n_brokers; i++) {
		items[i] = scheme = span_of(a->app.brokers[i]);
		scheme = span_split(&scheme, ':');
		/* Only the scheme is shown: the rest may hold a password. */
		if (!span_is(scheme, "amqp") && !span_is(scheme, "amqps") && !span_is(scheme, "pyamqp"))
			return err_set(t, E_CONF,
				"%s uses a broker of the kind %.*s://, and warren works with RabbitMQ alone: "
				"set an amqp:// URL as "
				"its broker_url, or for this worker with WARREN_BROKER or the configuration",
				a->module, SPAN_FMT(scheme));
	}
	snprintf(where, sizeof(where), "%s: broker_url", a->module);
	return conf_set_items(
		&cli->conf, &conf_rows[CONF_OPT_broker], items, a->app.n_brokers, CONF_APP, where, t);
}

static enum err
apply_backend(struct cli *cli, const struct cli_app *a, struct errtext *t)
{
	static const char *const known[] = { "redis", "rediss", "unix", "redis+socket", "rpc" };
	const struct conf_origin *from = &cli->conf.origin[CONF_OPT_result_backend];
	struct span url = span_of(a->app.result_backend), scheme = url;
	char where[300];
	size_t i;

	if (url.len == 0 || is_set(cli, CONF_OPT_result_backend))
		return E_OK;
	if (from->source == CONF_APP)
		return span_is(url, cli->conf.o.result_backend)
			? E_OK
			: err_set(t, E_CONF,
				  "%s and %.*s use different result backends, and a worker has one: say "
				  "which with --result-backend, "
				  "WARREN_RESULT_BACKEND or the configuration, or start a worker for each",
				  a->module, (int)strcspn(from->where, ":"), from->where);
	scheme = span_split(&scheme, ':');
	for (i = 0; i < ARRAY_LEN(known) && !span_is(scheme, known[i]); i++)
		;
	if (i == ARRAY_LEN(known))
		return err_set(t, E_CONF,
			"%s uses a result backend of the kind %.*s, and warren stores results in Redis, or sends "
			"them to whoever sent the task: set a redis:// URL, or rpc://, as its "
			"result_backend, or give this worker WARREN_RESULT_BACKEND (none: no results)",
			a->module, SPAN_FMT(scheme));
	snprintf(where, sizeof(where), "%s: result_backend", a->module);
	return conf_set(&cli->conf, &conf_rows[CONF_OPT_result_backend], url, CONF_APP, where, t);
}

/* The application's TLS is part of its URLs: with others, which are plain, there is none, and that must not go unsaid. */
static enum err
note_tls(struct cli *cli, struct cli_app *a, const char *setting, enum conf_option option, const char *url,
	const char *secure, struct errtext *t)
{
	char note[200];
	bool wanted;

	if (!app_get_bool(a->app.settings, setting, &wanted) || !wanted || !is_set(cli, option) ||
		span_starts(span_of(url), secure))
		return E_OK;
	snprintf(note, sizeof(note),
		"it is part of the application's own URL, and the worker was given another one: for TLS begin that with %s",
		secure);
	return add_note(cli, a, setting, note, t);
}

/* {"global_keyprefix": "x", "result_chord_ordered": false} and what is Celery's own. */
static enum err
apply_transport(struct cli *cli, struct cli_app *a, struct errtext *t)
{
	static const struct row prefix = { "result_backend_transport_options", AS_IS, "result_key_prefix",
		NULL, NULL };
	static const struct row ordered = { "result_backend_transport_options", AS_IS, "result_chord_ordered",
		NULL, NULL };
	struct span all = jscan_member(a->app.settings, prefix.setting);
	struct jscan_iter it;
	enum err e = E_OK;
	char name[200];

	if (jscan_kind(all) != JSCAN_OBJECT || !jscan_begin(&it, all))
		return E_OK;
	while (e == E_OK && jscan_next(&it)) {
		snprintf(name, sizeof(name), "%s: %.*s", prefix.setting, SPAN_FMT(it.key));
		if (span_is(it.key, "global_keyprefix"))
			e = set_option(cli, a, &prefix, it.value, t);
		else if (span_is(it.key, "result_chord_ordered"))
			e = set_option(cli, a, &ordered, it.value, t);
		else
			e = add_note(cli, a, name, "it is for Celery's own connections", t);
	}
	return e;
}

enum err
app_apply(struct cli *cli, struct cli_app *a, struct errtext *t)
{
	struct jscan_iter it;
	enum err e = apply_brokers(cli, a, t);
	size_t i;

	if (e == E_OK)
		e = apply_backend(cli, a, t);
	if (e == E_OK)
		e = apply_transport(cli, a, t);
	if (e == E_OK && cli->conf.o.broker.n > 0)
		e = note_tls(cli, a, "broker_use_ssl", CONF_OPT_broker, cli->conf.o.broker.items[0],
			"amqps://", t);
	if (e == E_OK && span_starts(span_of(cli->conf.o.result_backend), "redis://"))
		e = note_tls(cli, a, "redis_backend_use_ssl", CONF_OPT_result_backend,
			cli->conf.o.result_backend, "rediss://", t);
	/* In the order of the table: where two mean the same option the later one counts. */
	for (i = 0; e == E_OK && i < ARRAY_LEN(rows); i++) {
		struct span value = jscan_member(a->app.settings, rows[i].setting);

		if (value.ptr != NULL)
			e = apply_setting(cli, a, span_of(rows[i].setting), value, t);
	}
	if (e == E_OK && jscan_begin(&it, a->app.settings))
		while (e == E_OK && jscan_next(&it))
			if (find_row(rows, ARRAY_LEN(rows), it.key) == NULL)
				e = apply_setting(cli, a, it.key, it.value, t);
	return e;
}

/* --- tasks ------------------------------------------------------------------------------------------------------------ */

static enum err
new_entry(struct cli *cli, const struct conf_section *sec, const char *name, struct conf_task *to,
	struct errtext *t)
{
	memset(to, 0, sizeof(*to));
	if (opt_set_defaults(sec->rows, sec->n_rows, to, &cli->conf.arena) != E_OK)
		return err_set(t, E_NOMEM, "out of memory");
	to->item.name = name;
	return E_OK;
}

/* What the settings of an application say of all its tasks. */
static enum err
general_rule(struct cli *cli, struct cli_app *a, struct conf_task *to, struct errtext *t)
{
	enum err e = new_entry(cli, conf_section("tasks"), "*", to, t);
	bool no_rates;
	size_t i;

	(void)app_get_bool(a->app.settings, "worker_disable_rate_limits", &no_rates);
	for (i = 0; e == E_OK && i < ARRAY_LEN(rows); i++) {
		struct span value = jscan_member(a->app.settings, rows[i].setting);

		if (rows[i].how != OF_TASKS || value.ptr == NULL ||
			(no_rates && strcmp(rows[i].means, "rate_limit") == 0))
			continue;
		e = set_task_key(cli, a, to, rows[i].means, span_of(rows[i].setting), value, t);
	}
	return e;
}

static enum err
own_rule(struct cli *cli, struct cli_app *a, const struct app_task *task, struct conf_task *to,
	struct errtext *t)
{
	struct jscan_iter it;
	enum err e = E_OK;
	bool no_rates;
	char what[300];

	(void)app_get_bool(a->app.settings, "worker_disable_rate_limits", &no_rates);
	if (!jscan_begin(&it, task->options))
		return E_OK;
	while (e == E_OK && jscan_next(&it)) {
		const struct row *row = find_row(task_rows, ARRAY_LEN(task_rows), it.key);
		char key[64];

		snprintf(key, sizeof(key), "%.*s", SPAN_FMT(it.key));
		snprintf(what, sizeof(what), "%s of %s", key, task->name);
		if (row != NULL &&
			(row->how == QUIET || (row->how == UNLESS && span_is(it.value, row->harmless))))
			continue;
		if (row != NULL && row->how != OF_TASKS) {
			e = add_note(cli, a, what, row->note, t);
			continue;
		}
		if (no_rates && strcmp(key, "rate_limit") == 0)
			continue;
		e = set_task_key(cli, a, to, row != NULL ? row->means : key, span_of(what), it.value, t);
	}
	return e;
}

/* Celery's own tasks (celery.chord_unlock and the like) do not come here as tasks to be run. */
static bool
is_celerys_own(const char *name)
{
	return span_starts(span_of(name), "celery.");
}

struct merge {
	const struct conf_section *sec;
	struct conf_task *all;
	size_t n;
};

/* Lowest first: the application's settings, its task, the file. */
static enum err
merge_one(struct cli *cli, struct merge *m, const char *name, const struct conf_task *general,
	const struct conf_task *own, const struct conf_task *file, struct errtext *t)
{
	struct conf_task *to = &m->all[m->n];
	enum err e = new_entry(cli, m->sec, name, to, t);

	if (e != E_OK)
		return e;
	if (general != NULL)
		conf_overlay_item(m->sec, to, general);
	if (own != NULL)
		conf_overlay_item(m->sec, to, own);
	if (file != NULL) {
		conf_overlay_item(m->sec, to, file);
		to->item.line = file->item.line;
	}
	m->n++;
	return E_OK;
}

/* Celery gives task_default_priority to tasks that the application knows, not to those it only has a name of. */
static bool
has_priority(const struct merge *m, const struct conf_task *general)
{
	return conf_is_given(m->sec, general, "priority");
}

static struct conf_task
without_priority(const struct merge *m, const struct conf_task *general)
{
	struct conf_task rest = *general;

	rest.item.given &=
		~((uint64_t)1 << (opt_find(m->sec->rows, m->sec->n_rows, SPAN("priority")) - m->sec->rows));
	return rest;
}

/* `all`: also those without options of their own, which the rule for the rest does not speak of. */
static enum err
merge_app(struct cli *cli, struct merge *m, struct cli_app *a, const struct conf_task *general, bool all,
	struct errtext *t)
{
	struct conf_task own;
	enum err e = E_OK;
	size_t i;

	for (i = 0; e == E_OK && i < a->app.n_tasks; i++) {
		const struct app_task *task = &a->app.tasks[i];

		if (is_celerys_own(task->name))
			continue;
		e = new_entry(cli, m->sec, task->name, &own, t);
		if (e == E_OK)
			e = own_rule(cli, a, task, &own, t);
		if (e == E_OK && (own.item.given != 0 || all))
			e = merge_one(cli, m, task->name, general, &own,
				conf_find_task(&cli->conf, span_of(task->name)), t);
	}
	return e;
}

enum err
app_merge_tasks(struct cli *cli, struct errtext *t)
{
	struct merge m = { .sec = conf_section("tasks") };
	struct conf_task *general = must_alloc(cli->n_apps * sizeof(*general)), rest = { 0 };
	size_t max = cli->conf.n_tasks + 1, i;
	enum err e = E_OK;

	for (i = 0; i < cli->n_apps; i++)
		max += cli->apps[i].app.n_tasks;
	m.all = arena_zero(&cli->conf.arena, max * sizeof(*m.all));
	if (m.all == NULL)
		e = err_set(t, E_NOMEM, "out of memory");
	for (i = 0; e == E_OK && i < cli->n_apps; i++) {
		e = general_rule(cli, &cli->apps[i], &general[i], t);
		if (e == E_OK)
			e = merge_app(cli, &m, &cli->apps[i], &general[i],
				i > 0 || has_priority(&m, &general[i]), t);
	}
	if (e == E_OK)
		rest = without_priority(&m, &general[0]);
	/* For names of no application's own it is not known whose they are: the settings of the first one count. */
	for (i = 0; e == E_OK && i < cli->conf.n_tasks; i++)
		e = merge_one(cli, &m, cli->conf.tasks[i].item.name, &rest, NULL, &cli->conf.tasks[i], t);
	if (e == E_OK && rest.item.given != 0)
		e = merge_one(cli, &m, "*", &rest, NULL, NULL, t);
	if (e == E_OK) {
		cli->conf.tasks = m.all;
		cli->conf.n_tasks = m.n;
	}
	alloc_free(general);
	return e;
}
