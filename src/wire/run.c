/*
 * Runner frames on their way in. A frame is one line of JSON, an object with one member that names it. The
 * line is checked once and its members are walked; arguments, results and meta stay slices of it. Both
 * sides use the same code, so a frame of the wrong direction decodes too: what to make of it is for the
 * receiver to say.
 */
#include "wire/run.h"

#include "base/alloc.h"
#include "wire/field.h"

#include <math.h>

const char *const run_type_names[RUN_TYPE_COUNT] = {
	[RUN_HELLO] = "hello",
	[RUN_RUN] = "run",
	[RUN_STATE] = "state",
	[RUN_DONE] = "done",
	[RUN_CANCEL] = "cancel",
	[RUN_STOP] = "stop",
	[RUN_ROUTE] = "route",
	[RUN_ROUTED] = "routed",
};

struct decoder {
	struct run_frame *f;
	struct arena *a;
	struct errtext *t;
	const char *name; /* of the frame */
};

static enum err
refuse(struct decoder *d, const char *key, struct span value, const char *wanted)
{
	return err_set(
		d->t, E_FORMAT, "%s frame: '%s' is %s, not %s", d->name, key, field_kind_name(value), wanted);
}

static enum err
text(struct decoder *d, const char *key, struct span value, struct span *out)
{
	enum err e = field_text(value, d->a, out);

	if (e == E_FORMAT)
		return refuse(d, key, value, "text");
	return e == E_OK ? E_OK : err_set(d->t, e, "out of memory while reading a %s frame", d->name);
}

static enum err
needed_text(struct decoder *d, const char *key, struct span value, struct span *out)
{
	enum err e = text(d, key, value, out);

	if (e == E_OK && !out->len)
		return err_set(d->t, E_FORMAT, "%s frame: '%s' is missing or empty", d->name, key);
	return e;
}

static enum err
integer(struct decoder *d, const char *key, struct span value, int64_t *out)
{
	if (field_some(value).ptr && !jscan_int(value, out))
		return refuse(d, key, value, "an integer in range");
	return E_OK;
}

static enum err
of_kind(struct decoder *d, const char *key, struct span value, enum jscan_kind kind)
{
	if (jscan_kind(value) == kind)
		return E_OK;
	return refuse(d, key, value, kind == JSCAN_ARRAY ? "an array" : "an object");
}

static enum err
decode_hello(struct decoder *d, struct span body)
{
	struct span protocol, language, pid, routes, name;
	const struct field fields[] = {
		{ SPAN("protocol"), &protocol },
		{ SPAN("language"), &language },
		{ SPAN("pid"), &pid },
		{ SPAN("tasks"), &d->f->tasks },
		{ SPAN("routes"), &routes },
	};
	struct jscan_iter it;
	enum err e;

	fields_get(body, fields, ARRAY_LEN(fields));
	if (!jscan_int(protocol, &d->f->protocol))
		return refuse(d, "protocol", protocol, "an integer in range");
	if ((e = text(d, "language", language, &d->f->language)) != E_OK ||
		(e = integer(d, "pid", pid, &d->f->pid)) != E_OK ||
		(e = of_kind(d, "tasks", d->f->tasks, JSCAN_ARRAY)) != E_OK)
		return e;
	d->f->takes_routes = jscan_kind(routes) == JSCAN_TRUE;
	if (jscan_begin(&it, d->f->tasks))
		while (e == E_OK && jscan_next(&it))
			e = needed_text(d, "tasks", it.value, &name);
	return e;
}

static enum err
decode_run(struct decoder *d, struct span body)
{
	struct run_frame *f = d->f;
	struct span id, name;
	const struct field fields[] = {
		{ SPAN("id"), &id },
		{ SPAN("name"), &name },
		{ SPAN("args"), &f->args },
		{ SPAN("kwargs"), &f->kwargs },
		{ SPAN("request"), &f->request },
	};
	enum err e;

	fields_get(body, fields, ARRAY_LEN(fields));
	if ((e = needed_text(d, "id", id, &f->id)) != E_OK ||
		(e = needed_text(d, "name", name, &f->name)) != E_OK ||
		(e = of_kind(d, "args", f->args, JSCAN_ARRAY)) != E_OK ||
		(e = of_kind(d, "kwargs", f->kwargs, JSCAN_OBJECT)) != E_OK)
		return e;
	return of_kind(d, "request", f->request, JSCAN_OBJECT);
}

/* An optional array or object; null is as if it were not there. */
static enum err
some_of_kind(struct decoder *d, const char *key, struct span value, enum jscan_kind kind, struct span *out)
{
	*out = field_some(value);
	return out->ptr != NULL ? of_kind(d, key, value, kind) : E_OK;
}

static enum err
decode_state(struct decoder *d, struct span body)
{
	struct span id, state, children, traceback;
	const struct field fields[] = {
		{ SPAN("id"), &id },
		{ SPAN("state"), &state },
		{ SPAN("meta"), &d->f->meta },
		{ SPAN("children"), &children },
		{ SPAN("traceback"), &traceback },
	};
	enum err e;

	fields_get(body, fields, ARRAY_LEN(fields));
	if ((e = needed_text(d, "id", id, &d->f->id)) != E_OK ||
		(e = needed_text(d, "state", state, &d->f->state)) != E_OK ||
		(e = text(d, "traceback", traceback, &d->f->traceback)) != E_OK)
		return e;
	return some_of_kind(d, "children", children, JSCAN_ARRAY, &d->f->children);
}

static enum err
decode_cancel(struct decoder *d, struct span body)
{
	struct span id, reason;
	const struct field fields[] = {
		{ SPAN("id"), &id },
		{ SPAN("reason"), &reason },
	};
	enum err e;

	fields_get(body, fields, ARRAY_LEN(fields));
	e = needed_text(d, "id", id, &d->f->id);
	return e == E_OK ? text(d, "reason", reason, &d->f->reason) : e;
}

/* --- done -----------------------------------------------------------------------------------------------
 * ----------- */

/* Constructor arguments; one text is taken for the only one. */
static enum err
read_message(struct decoder *d, struct span value, struct span *out)
{
	char *p;

	*out = field_some(value);
	if (!out->ptr || jscan_kind(value) == JSCAN_ARRAY)
		return E_OK;
	if (jscan_kind(value) != JSCAN_STRING)
		return refuse(d, "message", value, "an array");
	p = arena_alloc(d->a, value.len + 2);
	if (!p)
		return err_set(d->t, E_NOMEM, "out of memory while reading a %s frame", d->name);
	p[0] = '[';
	memcpy(p + 1, value.ptr, value.len);
	p[value.len + 1] = ']';
	*out = (struct span){ p, value.len + 2 };
	return E_OK;
}

static enum err
decode_error(struct decoder *d, struct span body)
{
	struct run_error *to = &d->f->error;
	struct span type, module, message, traceback;
	const struct field fields[] = {
		{ SPAN("type"), &type },
		{ SPAN("module"), &module },
		{ SPAN("message"), &message },
		{ SPAN("traceback"), &traceback },
	};
	enum err e = of_kind(d, "error", body, JSCAN_OBJECT);

	if (e != E_OK)
		return e;
	fields_get(body, fields, ARRAY_LEN(fields));
	if ((e = needed_text(d, "type", type, &to->type)) != E_OK ||
		(e = text(d, "module", module, &to->module)) != E_OK ||
		(e = text(d, "traceback", traceback, &to->traceback)) != E_OK)
		return e;
	return read_message(d, message, &to->message);
}

static enum err
decode_retry(struct decoder *d, struct span body)
{
	struct run_frame *f = d->f;
	struct span countdown, eta, max_retries, error, args, kwargs, options, traceback;
	const struct field fields[] = {
		{ SPAN("countdown"), &countdown },
		{ SPAN("eta"), &eta },
		{ SPAN("max_retries"), &max_retries },
		{ SPAN("error"), &error },
		{ SPAN("args"), &args },
		{ SPAN("kwargs"), &kwargs },
		{ SPAN("options"), &options },
		{ SPAN("traceback"), &traceback },
	};
	enum err e = of_kind(d, "retry", body, JSCAN_OBJECT);

	if (e != E_OK)
		return e;
	fields_get(body, fields, ARRAY_LEN(fields));
	f->has_countdown = field_some(countdown).ptr != NULL;
	if (f->has_countdown && (!jscan_double(countdown, &f->countdown) || !isfinite(f->countdown)))
		return refuse(d, "countdown", countdown, "a finite number of seconds");
	if (field_some(max_retries).ptr && (!jscan_int(max_retries, &f->max_retries) || f->max_retries < 0))
		return refuse(d, "max_retries", max_retries, "an integer from 0 on");
	if ((field_some(args).ptr != NULL) != (field_some(kwargs).ptr != NULL))
		return err_set(d->t, E_FORMAT, "%s frame: of 'args' and 'kwargs' there is only one", d->name);
	if ((e = text(d, "eta", eta, &f->eta)) != E_OK ||
		(e = text(d, "traceback", traceback, &f->traceback)) != E_OK ||
		(e = some_of_kind(d, "args", args, JSCAN_ARRAY, &f->new_args)) != E_OK ||
		(e = some_of_kind(d, "kwargs", kwargs, JSCAN_OBJECT, &f->new_kwargs)) != E_OK ||
		(e = some_of_kind(d, "options", options, JSCAN_OBJECT, &f->options)) != E_OK)
		return e;
	return field_some(error).ptr ? decode_error(d, error) : E_OK;
}

static enum err
decode_reject(struct decoder *d, struct span body)
{
	struct span requeue, reason;
	const struct field fields[] = {
		{ SPAN("requeue"), &requeue },
		{ SPAN("reason"), &reason },
	};
	enum err e = of_kind(d, "reject", body, JSCAN_OBJECT);

	if (e != E_OK)
		return e;
	fields_get(body, fields, ARRAY_LEN(fields));
	d->f->requeue = jscan_kind(requeue) == JSCAN_TRUE;
	if (field_some(requeue).ptr && !d->f->requeue && jscan_kind(requeue) != JSCAN_FALSE)
		return refuse(d, "requeue", requeue, "true or false");
	return text(d, "reason", reason, &d->f->reason);
}

static enum err
decode_outcome(struct decoder *d, struct span value)
{
	switch (d->f->outcome) {
	case RUN_RESULT:
		d->f->result = value;
		return E_OK;
	case RUN_ERROR:
		return decode_error(d, value);
	case RUN_RETRY:
		return decode_retry(d, value);
	case RUN_IGNORE:
		return jscan_kind(value) == JSCAN_TRUE ? E_OK : refuse(d, "ignore", value, "true");
	case RUN_REJECT:
		return decode_reject(d, value);
	}
	return E_FORMAT;
}

static enum err
decode_done(struct decoder *d, struct span body)
{
	struct span id, children, store, called, outcomes[RUN_REJECT + 1];
	const struct field fields[] = {
		{ SPAN("id"), &id },
		{ SPAN("result"), &outcomes[RUN_RESULT] },
		{ SPAN("error"), &outcomes[RUN_ERROR] },
		{ SPAN("retry"), &outcomes[RUN_RETRY] },
		{ SPAN("ignore"), &outcomes[RUN_IGNORE] },
		{ SPAN("reject"), &outcomes[RUN_REJECT] },
		{ SPAN("children"), &children },
		{ SPAN("store"), &store },
		{ SPAN("errbacks_called"), &called },
	};
	size_t i, n = 0;
	enum err e;

	fields_get(body, fields, ARRAY_LEN(fields));
	e = needed_text(d, "id", id, &d->f->id);
	if (e != E_OK)
		return e;
	for (i = 0; i < ARRAY_LEN(outcomes); i++)
		if (outcomes[i].ptr) {
			d->f->outcome = (enum run_outcome)i;
			n++;
		}
	if (n != 1)
		return err_set(d->t, E_FORMAT, "done frame: %s of result, error, retry, ignore, reject",
			n ? "more than one" : "none");
	d->f->no_store = jscan_kind(store) == JSCAN_FALSE;
	d->f->must_store = jscan_kind(store) == JSCAN_TRUE;
	if ((e = some_of_kind(d, "children", children, JSCAN_ARRAY, &d->f->children)) != E_OK ||
		(e = some_of_kind(d, "errbacks_called", called, JSCAN_ARRAY, &d->f->errbacks_called)) != E_OK)
		return e;
	return decode_outcome(d, outcomes[d->f->outcome]);
}

static enum err
decode_stop(struct decoder *d UNUSED, struct span body UNUSED)
{
	return E_OK;
}

/* --- route and routed --------------------------------------------------------------------------------------------------- */

static enum err
decode_route(struct decoder *d, struct span body)
{
	struct span id;
	const struct field fields[] = {
		{ SPAN("id"), &id },
		{ SPAN("calls"), &d->f->calls },
	};
	enum err e;

	fields_get(body, fields, ARRAY_LEN(fields));
	e = needed_text(d, "id", id, &d->f->id);
	return e == E_OK ? of_kind(d, "calls", d->f->calls, JSCAN_ARRAY) : e;
}

static enum err
decode_routed(struct decoder *d, struct span body)
{
	struct run_frame *f = d->f;
	struct span id, routes, error, at;
	const struct field fields[] = {
		{ SPAN("id"), &id },
		{ SPAN("routes"), &routes },
		{ SPAN("error"), &error },
		{ SPAN("at"), &at },
	};
	enum err e;

	fields_get(body, fields, ARRAY_LEN(fields));
	if ((e = needed_text(d, "id", id, &f->id)) != E_OK ||
		(e = some_of_kind(d, "routes", routes, JSCAN_ARRAY, &f->routes)) != E_OK)
		return e;
	if ((f->routes.ptr != NULL) == (field_some(error).ptr != NULL))
		return err_set(d->t, E_FORMAT, "routed frame: %s of routes, error",
			f->routes.ptr != NULL ? "both" : "none");
	if (f->routes.ptr != NULL)
		return E_OK;
	if (!jscan_int(at, &f->place) || f->place < 0)
		return refuse(d, "at", at, "an integer from 0 on");
	return decode_error(d, error);
}

enum err
run_decode(struct run_frame *f, struct span line, struct arena *a, const struct jscan_limits *lim,
	struct errtext *t)
{
	static enum err (*const decode[RUN_TYPE_COUNT])(struct decoder *, struct span) = {
		[RUN_HELLO] = decode_hello,
		[RUN_RUN] = decode_run,
		[RUN_STATE] = decode_state,
		[RUN_DONE] = decode_done,
		[RUN_CANCEL] = decode_cancel,
		[RUN_STOP] = decode_stop,
		[RUN_ROUTE] = decode_route,
		[RUN_ROUTED] = decode_routed,
	};
	/* Values pass through as text: what Celery would have stored is as deep as the runner's language allows. */
	static const struct jscan_limits deepest = { .depth_max = JSCAN_DEPTH_MAX };
	struct decoder d = { .f = f, .a = a, .t = t };
	struct jscan_iter it;
	size_t i;
	enum err e;

	*f = (struct run_frame){ .max_retries = -1 };
	e = jscan_check(line, lim != NULL ? lim : &deepest, NULL, t);
	if (e != E_OK)
		return err_prefix(t, e, "frame");
	line = span_trim(line);
	if (jscan_kind(line) != JSCAN_OBJECT || !jscan_begin(&it, line) || !jscan_next(&it))
		return err_set(t, E_FORMAT, "frame: not an object with one member");
	for (i = 0; i < RUN_TYPE_COUNT && !span_is(it.key, run_type_names[i]); i++)
		;
	if (i == RUN_TYPE_COUNT)
		return err_set(t, E_FORMAT,
			"frame: its name is none of hello, run, state, done, cancel, stop, route, routed");
	f->type = (enum run_type)i;
	d.name = run_type_names[i];
	e = of_kind(&d, d.name, it.value, JSCAN_OBJECT);
	if (e == E_OK)
		e = decode[i](&d, it.value);
	if (e == E_OK && jscan_next(&it))
		return err_set(t, E_FORMAT, "%s frame: another member stands beside it", d.name);
	return e;
}

bool
run_next_task(const struct run_frame *f, struct run_tasks *w, struct arena *a, struct span *name)
{
	*name = SPAN_NONE;
	if (!w->started) {
		w->started = true;
		if (!jscan_begin(&w->it, f->tasks))
			w->it.rest = SPAN_NONE;
	}
	if (!f->tasks.ptr || !jscan_next(&w->it))
		return false;
	if (field_text(w->it.value, a, name) != E_OK)
		*name = SPAN_NONE;
	return true;
}
