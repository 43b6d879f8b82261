/*
 * The beat_schedule of Celery applications, as entries like those of the configuration: each is written as the JSON that schedule_read takes, so
 * from there on everything goes the same way. What cannot be carried out is left out by name; an option that means nothing here is said.
 */
#include "cli/schedule_app.h"

#include "base/js.h"
#include "base/jscan.h"

/* Options of apply_async with the same name and meaning in the section schedule. */
static const char *const options[] = { "queue", "exchange", "routing_key", "priority", "expires",
	"time_limit", "soft_time_limit", "headers", "ignore_result" };
/* Those about publishing, which is confirmed here in any case. */
static const char *const moot[] = { "retry", "retry_policy", "confirm_timeout", "mandatory" };

static enum err
no_memory(struct errtext *t)
{
	return err_set(t, E_NOMEM, "out of memory");
}

static enum err
note(struct schedule_maker *m, const struct cli_app *a, const char *entry, bool left_out, const char *text,
	struct errtext *t)
{
	struct schedule_note *all = arena_zero(&m->cli->arena, (m->n_notes + 1) * sizeof(*all));
	struct span copy = arena_dup(&m->cli->arena, span_of(text));

	if (all == NULL || copy.ptr == NULL)
		return no_memory(t);
	if (m->n_notes > 0)
		memcpy(all, m->notes, m->n_notes * sizeof(*all));
	all[m->n_notes++] = (struct schedule_note){
		.app = a->module, .entry = entry, .text = copy.ptr, .left_out = left_out
	};
	m->notes = all;
	return E_OK;
}

static bool
is_in(struct span word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_is(word, words[i]))
			return true;
	return false;
}

/* Celery takes blanks within a field; between fields they separate. */
static void
add_field(struct buf *b, struct span crontab, const char *name)
{
	struct buf text;

	buf_init(&text, 0);
	jscan_add_string(&text, jscan_member(crontab, name));
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] != ' ')
			buf_addc(b, text.data[i]);
	buf_addc(b, ' ');
	buf_release(&text);
}

static void
add_crontab(struct js *w, struct span crontab, const char *timezone)
{
	static const char *const names[] = { "minute", "hour", "day_of_month", "month_of_year",
		"day_of_week" };
	struct buf fields;

	buf_init(&fields, 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		add_field(&fields, crontab, names[i]);
	js_key(w, "crontab");
	js_string(w, span_trim(buf_span(&fields)));
	js_key(w, "timezone");
	js_text(w, timezone);
	buf_release(&fields);
}

/* By the application's setting; without one it is UTC, or this machine's when that is switched off. */
static const char *
timezone_of(struct schedule_maker *m, const struct app *app)
{
	const char *name = app_get_text(app->settings, "timezone", &m->cli->arena);
	bool utc = true;

	if (name != NULL)
		return name;
	return app_get_bool(app->settings, "enable_utc", &utc) && !utc ? "local" : "UTC";
}

static enum err
add_options(struct schedule_maker *m, const struct cli_app *a, const char *name, struct span given,
	struct js *w, struct errtext *t)
{
	struct errtext text;
	struct jscan_iter it;
	enum err e = E_OK;

	if (!jscan_begin(&it, given))
		return E_OK;
	while (e == E_OK && jscan_next(&it)) {
		bool is_text = jscan_kind(it.value) == JSCAN_STRING, is_expiry = span_is(it.key, "expires");

		if (is_in(it.key, options, ARRAY_LEN(options)) && !(is_expiry && is_text)) {
			js_key_span(w, it.key);
			js_raw(w, it.value);
			continue;
		}
		if (jscan_kind(it.value) == JSCAN_NULL || is_in(it.key, moot, ARRAY_LEN(moot)) ||
			(span_is(it.key, "serializer") && span_is(it.value, "\"json\"")) ||
			(span_is(it.key, "delivery_mode") && span_is(it.value, "2")))
			continue;
		err_set(&text, E_CONF,
			is_expiry ? "its option %.*s is a moment; only a time span has an effect here"
				  : "its option %.*s has no effect here",
			SPAN_FMT(it.key));
		e = note(m, a, name, false, text.text, t);
	}
	return e;
}

/* The entry as JSON; *why says what keeps it from being one. */
static enum err
translate(struct schedule_maker *m, const struct cli_app *a, const char *name, struct span entry,
	struct buf *json, const char **why, struct errtext *t)
{
	struct span crontab = jscan_member(entry, "crontab"), every = jscan_member(entry, "every");
	struct js w;
	enum err e;

	*why = NULL;
	js_init(&w, json);
	js_object(&w);
	js_key(&w, "task");
	js_raw(&w, jscan_member(entry, "task"));
	js_key(&w, "args");
	js_raw(&w, jscan_member(entry, "args"));
	js_key(&w, "kwargs");
	js_raw(&w, jscan_member(entry, "kwargs"));
	if (crontab.ptr != NULL)
		add_crontab(&w, crontab, timezone_of(m, &a->app));
	else if (every.ptr != NULL) {
		js_key(&w, "every");
		js_raw(&w, every);
	} else if (jscan_member(entry, "solar").ptr != NULL)
		*why = "solar schedules are not supported";
	else
		*why = "a schedule of this kind is not supported";
	e = add_options(m, a, name, jscan_member(entry, "options"), &w, t);
	js_object_end(&w);
	return e == E_OK && json->err != E_OK ? no_memory(t) : e;
}

static bool
is_known(const struct schedule_maker *m, const char *name)
{
	const struct conf *c = &m->cli->conf;

	for (size_t i = 0; i < c->n_schedule; i++)
		if (strcmp(c->schedule[i].item.name, name) == 0)
			return true;
	for (size_t i = m->n_of_file; i < m->n_entries; i++)
		if (strcmp(m->entries[i].name, name) == 0)
			return true;
	return false;
}

static enum err
add_entry(struct schedule_maker *m, const struct cli_app *a, struct span entry, struct zones *zones,
	struct errtext *t)
{
	const char *name = app_get_text(entry, "name", &m->cli->arena), *why = NULL;
	struct conf_schedule s = m->defaults;
	struct errtext wrong = { "" };
	struct entry check;
	struct buf json;
	enum err e;

	/* The configuration goes before; another pool may have the same application. */
	if (name == NULL || is_known(m, name))
		return E_OK;
	s.item.name = name;
	buf_init(&json, 0);
	e = translate(m, a, name, entry, &json, &why, t);
	if (e == E_OK && why == NULL) {
		e = schedule_make(m, &s, buf_span(&json), &m->entries[m->n_entries], &m->cli->arena, &wrong);
		if (e == E_OK)
			e = entry_init(&check, &m->entries[m->n_entries], zones, &wrong);
		if (e == E_OK)
			m->n_entries++;
		else if (e != E_NOMEM) {
			why = wrong.text;
			e = E_OK;
		}
	}
	if (e == E_OK && why != NULL)
		e = note(m, a, name, true, why, t);
	buf_release(&json);
	return e;
}

size_t
schedule_count_apps(const struct cli *cli)
{
	size_t n = 0;

	for (size_t i = 0; i < cli->n_apps; i++)
		n += jscan_count(cli->apps[i].app.schedule);
	return n;
}

enum err
schedule_add_apps(struct schedule_maker *m, struct zones *zones, struct errtext *t)
{
	struct jscan_iter it;
	enum err e = E_OK;

	for (size_t i = 0; e == E_OK && i < m->cli->n_apps; i++) {
		const struct cli_app *a = &m->cli->apps[i];

		if (jscan_begin(&it, a->app.schedule))
			while (e == E_OK && jscan_next(&it))
				e = add_entry(m, a, it.value, zones, t);
	}
	return e;
}

enum err
schedule_ask_app(struct cli *cli, const char *module, struct errtext *t)
{
	struct runner_flags r = { .app = module };
	struct opt_list none = { .n = 0 };
	const char *node;
	enum err e;

	if (*module == '\0')
		return E_OK;
	e = setup_node(cli, cli->conf.o.beat_name, &node, t);
	if (e != E_OK)
		return err_prefix(t, E_CONF, "beat_name");
	e = app_ask(cli, &r, &none, &none, node, t);
	if (e == E_OK && cli->n_apps == 0)
		e = err_set(t, E_CONF, "-A %s: there is no Celery application in it", module);
	return e;
}
