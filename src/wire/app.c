/*
 * The decoder of what an application says of itself. The line is checked once, then its members are walked; what is kept is copied, so that
 * the line, which holds passwords, can be wiped.
 */
#include "wire/app.h"

#include "wire/field.h"
#include "wire/headers.h"

#include <math.h>

#define LINE_DEPTH_MAX 64

struct decoder {
	struct arena *a;
	struct errtext *t;
};

static enum err
no_memory(const struct decoder *d)
{
	return err_set(d->t, E_NOMEM, "out of memory while reading what the application says");
}

static enum err
refuse(const struct decoder *d, const char *what, struct span value, const char *wanted)
{
	return err_set(d->t, E_FORMAT, "what the application says: '%s' is %s, not %s", what,
		field_kind_name(value), wanted);
}

/* Absent and null give "". */
static enum err
text(const struct decoder *d, const char *what, struct span value, const char **out)
{
	struct span s, copy;
	enum err e = field_text(value, d->a, &s);

	if (e == E_FORMAT)
		return refuse(d, what, value, "text");
	copy = e == E_OK ? arena_dup(d->a, s.ptr != NULL ? s : SPAN("")) : SPAN_NONE;
	if (copy.ptr == NULL)
		return no_memory(d);
	*out = copy.ptr;
	return E_OK;
}

static enum err
flag(const struct decoder *d, const char *what, struct span value, bool *out)
{
	enum jscan_kind kind = jscan_kind(value);

	if (kind != JSCAN_TRUE && kind != JSCAN_FALSE)
		return refuse(d, what, value, "true or false");
	*out = kind == JSCAN_TRUE;
	return E_OK;
}

/* A raw object or array; absent gives an empty one. */
static enum err
raw(const struct decoder *d, const char *what, struct span value, enum jscan_kind kind, struct span *out)
{
	value = field_some(value);
	if (value.ptr != NULL && jscan_kind(value) != kind)
		return refuse(d, what, value, kind == JSCAN_ARRAY ? "an array" : "an object");
	*out = arena_dup(d->a, value.ptr != NULL ? value : kind == JSCAN_ARRAY ? SPAN("[]") : SPAN("{}"));
	return out->ptr != NULL ? E_OK : no_memory(d);
}

/* One element of an array of objects, or of an object's members. */
typedef enum err item_fn(const struct decoder *d, struct span key, struct span value, void *item);

static enum err
items(const struct decoder *d, const char *what, struct span value, enum jscan_kind kind, size_t size,
	item_fn *fn, void **out, size_t *n)
{
	size_t count = 0, i = 0;
	struct jscan_iter it;
	enum err e = E_OK;
	char *list;

	*n = 0;
	value = field_some(value);
	if (value.ptr != NULL && jscan_kind(value) != kind)
		return refuse(d, what, value, kind == JSCAN_ARRAY ? "an array" : "an object");
	if (value.ptr != NULL)
		count = jscan_count(value);
	list = arena_zero(d->a, (count + 1) * size);
	if (list == NULL)
		return no_memory(d);
	if (count > 0 && jscan_begin(&it, value))
		while (e == E_OK && i < count && jscan_next(&it)) {
			if (jscan_kind(it.value) != JSCAN_OBJECT)
				return refuse(d, what, it.value, "an object");
			e = fn(d, it.key, it.value, list + i++ * size);
		}
	*out = list;
	*n = i;
	return e;
}

/* --- queues ---------------------------------------------------------------------------------------------------------- */

static enum err
binding(const struct decoder *d, struct span key UNUSED, struct span value, void *item)
{
	struct app_binding *b = item;
	struct span exchange, type, routing_key;
	const struct field fields[] = {
		{ SPAN("exchange"), &exchange },
		{ SPAN("exchange_type"), &type },
		{ SPAN("routing_key"), &routing_key },
	};
	enum err e;

	fields_get(value, fields, ARRAY_LEN(fields));
	e = text(d, "exchange", exchange, &b->exchange);
	if (e == E_OK)
		e = text(d, "exchange_type", type, &b->exchange_type);
	return e == E_OK ? text(d, "routing_key", routing_key, &b->routing_key) : e;
}

static enum err
arguments(const struct decoder *d, struct span object, struct table *out)
{
	struct jscan_iter it;

	object = field_some(object);
	if (object.ptr == NULL)
		return E_OK;
	if (jscan_kind(object) != JSCAN_OBJECT || !jscan_begin(&it, object))
		return refuse(d, "arguments", object, "an object");
	/* RabbitMQ knows no argument that is a list or table. */
	while (jscan_next(&it))
		if (jscan_kind(it.value) == JSCAN_ARRAY || jscan_kind(it.value) == JSCAN_OBJECT)
			return refuse(d, "arguments", it.value, "a plain value");
	/* What is read borrows from what it is read from. */
	object = arena_dup(d->a, object);
	if (object.ptr == NULL || headers_read_object(out, object, d->a) != E_OK)
		return no_memory(d);
	/* None: as if it were not there. */
	for (size_t i = out->count; i > 0; i--)
		if (out->pairs[i - 1].value.type == VAL_VOID)
			memmove(&out->pairs[i - 1], &out->pairs[i], (out->count-- - i) * sizeof(*out->pairs));
	return E_OK;
}

static enum err
queue(const struct decoder *d, struct span key, struct span value, void *item)
{
	struct app_queue *q = item;
	struct span name, durable, auto_delete, exclusive, args, more;
	const struct field fields[] = {
		{ SPAN("name"), &name },
		{ SPAN("durable"), &durable },
		{ SPAN("auto_delete"), &auto_delete },
		{ SPAN("exclusive"), &exclusive },
		{ SPAN("arguments"), &args },
		{ SPAN("bindings"), &more },
	};
	void *list = NULL;
	enum err e;

	fields_get(value, fields, ARRAY_LEN(fields));
	if ((e = text(d, "name", name, &q->name)) != E_OK ||
		(e = binding(d, key, value, &q->binding)) != E_OK ||
		(e = flag(d, "durable", durable, &q->durable)) != E_OK ||
		(e = flag(d, "auto_delete", auto_delete, &q->auto_delete)) != E_OK ||
		(e = flag(d, "exclusive", exclusive, &q->exclusive)) != E_OK ||
		(e = arguments(d, args, &q->arguments)) != E_OK)
		return e;
	if (*q->name == '\0')
		return err_set(d->t, E_FORMAT, "what the application says: a queue has no name");
	e = items(d, "bindings", more, JSCAN_ARRAY, sizeof(*q->more), binding, &list, &q->n_more);
	q->more = list;
	return e;
}

/* --- routes, tasks, notes ---------------------------------------------------------------------------------------------- */

static enum err
route_pattern(const struct decoder *d, struct span glob, struct span regex, const char **out)
{
	const char *inner;
	struct span copy;
	struct buf b;
	enum err e;

	if (glob.ptr != NULL)
		return text(d, "pattern", glob, out);
	e = text(d, "regex", regex, &inner);
	if (e != E_OK)
		return e;
	buf_init(&b, 0);
	buf_addf(&b, "/%s/", inner);
	copy = b.err == E_OK ? arena_dup(d->a, buf_span(&b)) : SPAN_NONE;
	buf_release(&b);
	if (copy.ptr == NULL)
		return no_memory(d);
	*out = copy.ptr;
	return E_OK;
}

static enum err
route(const struct decoder *d, struct span key UNUSED, struct span value, void *item)
{
	struct app_route *r = item;
	struct span pattern, regex, queue_name, exchange, routing_key, priority, mode;
	const struct field fields[] = {
		{ SPAN("pattern"), &pattern },
		{ SPAN("regex"), &regex },
		{ SPAN("queue"), &queue_name },
		{ SPAN("exchange"), &exchange },
		{ SPAN("routing_key"), &routing_key },
		{ SPAN("priority"), &priority },
		{ SPAN("delivery_mode"), &mode },
	};
	int64_t number;
	enum err e;

	fields_get(value, fields, ARRAY_LEN(fields));
	r->priority = -1;
	if (jscan_int(priority, &number) && number >= 0 && number <= 255)
		r->priority = (int)number;
	r->delivery_mode = field_delivery_mode(mode);
	if ((e = route_pattern(d, pattern, regex, &r->pattern)) != E_OK ||
		(e = text(d, "queue", queue_name, &r->queue)) != E_OK ||
		(e = text(d, "exchange", exchange, &r->exchange)) != E_OK)
		return e;
	return text(d, "routing_key", routing_key, &r->routing_key);
}

static enum err
task(const struct decoder *d, struct span key, struct span value, void *item)
{
	struct app_task *to = item;
	struct span quoted = { key.ptr - 1, key.len + 2 };
	enum err e = text(d, "tasks", quoted, &to->name);

	return e == E_OK ? raw(d, "tasks", value, JSCAN_OBJECT, &to->options) : e;
}

static enum err
note(const struct decoder *d, struct span key UNUSED, struct span value, void *item)
{
	struct app_note *to = item;
	enum err e = text(d, "setting", jscan_member(value, "setting"), &to->setting);

	return e == E_OK ? text(d, "note", jscan_member(value, "note"), &to->note) : e;
}

/* --- the whole ------------------------------------------------------------------------------------------------------- */

static enum err
brokers(const struct decoder *d, struct span value, struct app *app)
{
	struct jscan_iter it;
	enum err e = E_OK;

	value = field_some(value);
	if (value.ptr == NULL)
		return E_OK;
	if (jscan_kind(value) == JSCAN_STRING) {
		app->n_brokers = 1;
		return text(d, "broker", value, &app->brokers[0]);
	}
	if (jscan_kind(value) != JSCAN_ARRAY || !jscan_begin(&it, value))
		return refuse(d, "broker", value, "text or an array");
	while (e == E_OK && jscan_next(&it)) {
		if (app->n_brokers == APP_BROKERS_MAX)
			return err_set(d->t, E_TOOBIG, "what the application says: more than %d brokers",
				APP_BROKERS_MAX);
		e = text(d, "broker", it.value, &app->brokers[app->n_brokers++]);
	}
	return e;
}

static enum err
application(const struct decoder *d, struct span object, struct app *app)
{
	struct span framework, version, name, broker, backend, settings, queues, routes, schedule, tasks,
		notes;
	const struct field fields[] = {
		{ SPAN("framework"), &framework },
		{ SPAN("version"), &version },
		{ SPAN("name"), &name },
		{ SPAN("broker"), &broker },
		{ SPAN("result_backend"), &backend },
		{ SPAN("settings"), &settings },
		{ SPAN("queues"), &queues },
		{ SPAN("routes"), &routes },
		{ SPAN("schedule"), &schedule },
		{ SPAN("tasks"), &tasks },
		{ SPAN("notes"), &notes },
	};
	void *list = NULL;
	enum err e;

	if (jscan_kind(object) != JSCAN_OBJECT)
		return refuse(d, "app", object, "an object");
	fields_get(object, fields, ARRAY_LEN(fields));
	if ((e = text(d, "framework", framework, &app->framework)) != E_OK ||
		(e = text(d, "version", version, &app->version)) != E_OK ||
		(e = text(d, "name", name, &app->name)) != E_OK || (e = brokers(d, broker, app)) != E_OK ||
		(e = text(d, "result_backend", backend, &app->result_backend)) != E_OK ||
		(e = raw(d, "settings", settings, JSCAN_OBJECT, &app->settings)) != E_OK ||
		(e = raw(d, "schedule", schedule, JSCAN_ARRAY, &app->schedule)) != E_OK)
		return e;
	e = items(d, "queues", queues, JSCAN_ARRAY, sizeof(*app->queues), queue, &list, &app->n_queues);
	if (e != E_OK)
		return e;
	app->queues = list;
	e = items(d, "routes", routes, JSCAN_ARRAY, sizeof(*app->routes), route, &list, &app->n_routes);
	if (e != E_OK)
		return e;
	app->routes = list;
	e = items(d, "tasks", tasks, JSCAN_OBJECT, sizeof(*app->tasks), task, &list, &app->n_tasks);
	if (e != E_OK)
		return e;
	app->tasks = list;
	e = items(d, "notes", notes, JSCAN_ARRAY, sizeof(*app->notes), note, &list, &app->n_notes);
	if (e == E_OK)
		app->notes = list;
	return e;
}

static bool
has_task(const struct app *app, const char *name)
{
	for (size_t i = 0; i < app->n_tasks; i++)
		if (strcmp(app->tasks[i].name, name) == 0)
			return true;
	return false;
}

/* Those of the hello that differ from the settings in nothing. */
static enum err
other_tasks(const struct decoder *d, struct span names, struct app *app)
{
	struct app_task *all = arena_zero(d->a, (app->n_tasks + jscan_count(names) + 1) * sizeof(*all));
	struct jscan_iter it;
	const char *name;
	enum err e = E_OK;

	if (all == NULL)
		return no_memory(d);
	if (app->n_tasks > 0)
		memcpy(all, app->tasks, app->n_tasks * sizeof(*all));
	app->tasks = all;
	if (jscan_kind(names) != JSCAN_ARRAY || !jscan_begin(&it, names))
		return E_OK;
	while (e == E_OK && jscan_next(&it)) {
		e = text(d, "tasks", it.value, &name);
		if (e == E_OK && !has_task(app, name))
			all[app->n_tasks++] = (struct app_task){ name, SPAN("{}") };
	}
	return e;
}

enum err
app_decode(struct app_reply *out, struct span line, struct arena *a, struct errtext *t)
{
	static const struct jscan_limits limits = { .depth_max = LINE_DEPTH_MAX };
	struct decoder d = { a, t };
	struct span hello, failed, app;
	enum err e = jscan_check(line, &limits, NULL, t);

	*out = (struct app_reply){ .answer = APP_NONE };
	if (e != E_OK)
		return err_prefix(t, e, "what the application says");
	line = span_trim(line);
	hello = jscan_member(line, "hello");
	failed = jscan_member(line, "failed");
	if (jscan_kind(failed) == JSCAN_OBJECT) {
		out->answer = APP_FAILED;
		return text(&d, "error", jscan_member(failed, "error"), &out->error);
	}
	if (jscan_kind(hello) != JSCAN_OBJECT)
		return err_set(t, E_FORMAT, "what the application says: neither hello nor failed");
	app = field_some(jscan_member(hello, "app"));
	if (app.ptr == NULL)
		return E_OK;
	out->answer = APP_CELERY;
	e = application(&d, app, &out->app);
	return e == E_OK ? other_tasks(&d, jscan_member(hello, "tasks"), &out->app) : e;
}

/* --- single values --------------------------------------------------------------------------------------------------- */

bool
app_get_bool(struct span object, const char *name, bool *out)
{
	enum jscan_kind kind = jscan_kind(jscan_member(object, name));

	*out = kind == JSCAN_TRUE;
	return kind == JSCAN_TRUE || kind == JSCAN_FALSE;
}

bool
app_get_number(struct span object, const char *name, double *out)
{
	struct span value = jscan_member(object, name);

	return jscan_kind(value) == JSCAN_NUMBER && jscan_double(value, out) && isfinite(*out);
}

const char *
app_get_text(struct span object, const char *name, struct arena *a)
{
	struct span value = jscan_member(object, name), s;

	if (jscan_kind(value) != JSCAN_STRING || field_text(value, a, &s) != E_OK)
		return NULL;
	return arena_dup(a, s).ptr;
}

bool
app_is_null(struct span object, const char *name)
{
	return jscan_kind(jscan_member(object, name)) == JSCAN_NULL;
}
