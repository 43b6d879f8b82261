/*
 * Calls that are asked about, and answers to them. The worker knows of a message what a signature says; what Celery adds to it before a router
 * sees it (the options of the task's class, queues for their names) is the child's to add, which knows the application.
 */
#include "wire/routing.h"

#include "base/js.h"
#include "base/jscan.h"
#include "wire/field.h"

static void
add_priority(struct js *w, const char *key, int plus1)
{
	if (plus1 <= 0)
		return;
	js_key(w, key);
	js_int(w, plus1 - 1);
}

void
routing_add_call(struct buf *b, const struct routing_call *c)
{
	struct js w;

	js_init(&w, b);
	w.compact = true;
	js_object(&w);
	js_key(&w, "name");
	js_string(&w, c->name);
	js_key(&w, "args");
	js_raw(&w, c->args.ptr != NULL ? c->args : SPAN("[]"));
	js_key(&w, "kwargs");
	js_raw(&w, c->kwargs.ptr != NULL ? c->kwargs : SPAN("{}"));
	js_key(&w, "options");
	js_raw(&w, c->options.ptr != NULL ? c->options : SPAN("{}"));
	add_priority(&w, "priority", c->priority_plus1);
	add_priority(&w, "parent_priority", c->parent_priority_plus1);
	js_object_end(&w);
}

static enum err
wrong(struct errtext *t, const char *key, struct span value)
{
	return err_set(t, E_FORMAT, "a route whose '%s' is %s", key, field_kind_name(value));
}

static enum err
keep(struct arena *a, struct span *text)
{
	*text = arena_dup(a, *text);
	return text->ptr != NULL ? E_OK : E_NOMEM;
}

static enum err
read_text(struct span value, const char *key, struct arena *a, struct span *out, struct errtext *t)
{
	enum err e = field_text(value, a, out);

	if (e == E_FORMAT || (e == E_OK && out->ptr == NULL))
		return wrong(t, key, value);
	return e == E_OK ? keep(a, out) : e;
}

enum err
routing_read_answer(struct routing_answer *out, struct span json, struct arena *a, struct errtext *t)
{
	struct span exchange, key, priority, mode, headers, expiration, compression;
	const struct field fields[] = {
		{ SPAN("exchange"), &exchange },
		{ SPAN("routing_key"), &key },
		{ SPAN("priority"), &priority },
		{ SPAN("delivery_mode"), &mode },
		{ SPAN("headers"), &headers },
		{ SPAN("expiration"), &expiration },
		{ SPAN("compression"), &compression },
	};
	int64_t n = 0;
	enum err e;

	*out = (struct routing_answer){ .expiration_s = -1 };
	if (jscan_kind(json) != JSCAN_OBJECT)
		return err_set(t, E_FORMAT, "a route is %s, not an object", field_kind_name(json));
	fields_get(json, fields, ARRAY_LEN(fields));
	if ((e = read_text(exchange, "exchange", a, &out->exchange, t)) != E_OK ||
		(e = read_text(key, "routing_key", a, &out->routing_key, t)) != E_OK)
		return e;
	/* Longer ones AMQP cannot say; without a queue's name the default exchange throws everything away. */
	if (out->exchange.len > 255 || out->routing_key.len > 255)
		return err_set(t, E_FORMAT, "a route with a name of more than 255 bytes");
	if (out->exchange.len == 0 && out->routing_key.len == 0)
		return err_set(t, E_FORMAT, "a route that names no queue");
	if (field_some(priority).ptr != NULL) {
		if (!jscan_int(priority, &n) || n < 0 || n > 255)
			return wrong(t, "priority", priority);
		out->priority_plus1 = (int)n + 1;
	}
	if (field_some(mode).ptr != NULL) {
		if ((out->delivery_mode = field_delivery_mode(mode)) == 0)
			return wrong(t, "delivery_mode", mode);
	}
	if (field_some(expiration).ptr != NULL &&
		(!jscan_double(expiration, &out->expiration_s) || !(out->expiration_s >= 0) ||
			out->expiration_s > 1e9))
		return wrong(t, "expiration", expiration);
	out->is_compressed = jscan_kind(compression) == JSCAN_TRUE;
	if (field_some(headers).ptr == NULL)
		return E_OK;
	if (jscan_kind(headers) != JSCAN_OBJECT)
		return wrong(t, "headers", headers);
	out->headers = headers;
	return keep(a, &out->headers);
}
