/*
 * What a task has changed in the message of its retry: retry(args=..., queue=..., priority=...). The names of the options are Celery's
 * (docs/runner-protocol.md, "done"); one that is null, or of a wrong type, is as if it were not there.
 */
#include "wire/forward.h"

#include "base/text.h"
#include "wire/field.h"
#include "wire/headers.h"

#include <math.h>

static enum err
set(struct msg *m, const char *key, struct val v)
{
	return table_set(&m->headers, &m->arena, span_of(key), v);
}

static enum err
set_buf(struct msg *m, const char *key, const struct buf *b)
{
	struct span copy =
		b->err == E_OK ? arena_dup(&m->arena, b->len > 0 ? buf_span(b) : SPAN("")) : SPAN_NONE;

	return copy.ptr != NULL ? set(m, key, val_string(copy)) : E_NOMEM;
}

static enum err
set_reprs(struct msg *m, const struct forward_change *c)
{
	struct buf b;
	enum err e;

	buf_init(&b, 0);
	task_add_argsrepr(&b, c->args);
	e = set_buf(m, "argsrepr", &b);
	if (e == E_OK) {
		buf_reset(&b);
		task_add_repr(&b, c->kwargs, 1024);
		e = set_buf(m, "kwargsrepr", &b);
	}
	buf_release(&b);
	return e;
}

/* The body anew, since nothing in it can be replaced in place; it is not compressed any more. */
static enum err
set_body(struct msg *m, const struct task *t, const struct forward_change *c)
{
	struct span link = field_some(jscan_member(c->options, "link")),
		    link_error = field_some(jscan_member(c->options, "link_error"));
	struct task_call call = {
		.name = t->name,
		.args = c->args.ptr != NULL ? c->args : t->args,
		.kwargs = c->kwargs.ptr != NULL ? c->kwargs : t->kwargs,
		.callbacks = link.ptr != NULL ? link : t->callbacks,
		.errbacks = link_error.ptr != NULL ? link_error : t->errbacks,
		.chain = t->chain,
		.chord = t->chord,
	};
	enum err e;

	if (c->args.ptr == NULL && link.ptr == NULL && link_error.ptr == NULL)
		return E_OK;
	e = task_encode_body(&call, m, NULL);
	m->content_type = SPAN("application/json");
	m->content_encoding = SPAN("utf-8");
	table_del(&m->headers, "compression");
	return e == E_OK && c->args.ptr != NULL ? set_reprs(m, c) : e;
}

static enum err
text_option(struct msg *m, const struct forward_change *c, const char *key, struct span *out)
{
	struct span value = jscan_member(c->options, key), text;

	*out = SPAN_NONE;
	if (jscan_kind(value) != JSCAN_STRING)
		return E_OK;
	if (field_text(value, &m->arena, &text) != E_OK)
		return E_NOMEM;
	*out = arena_dup(&m->arena, text.ptr != NULL ? text : SPAN(""));
	return out->ptr != NULL ? E_OK : E_NOMEM;
}

/* A queue by the default exchange; else an exchange with its key. */
static enum err
set_road(struct msg *m, const struct forward_change *c)
{
	struct span queue, exchange, key;
	enum err e = text_option(m, c, "queue", &queue);

	if (e == E_OK)
		e = text_option(m, c, "exchange", &exchange);
	if (e == E_OK)
		e = text_option(m, c, "routing_key", &key);
	if (e != E_OK)
		return e;
	if (queue.len > 0) {
		m->exchange = SPAN("");
		m->routing_key = queue;
	} else if (exchange.len > 0 || key.len > 0) {
		m->exchange = exchange.ptr != NULL ? exchange : SPAN("");
		m->routing_key = key.ptr != NULL ? key : SPAN("");
	}
	return E_OK;
}

/* Seconds from now, or a time. */
static enum err
set_expires(struct msg *m, const struct forward_change *c)
{
	struct span value = jscan_member(c->options, "expires"), text;
	char when[TEXT_TIME_MAX];
	double seconds;
	enum err e;

	if (jscan_kind(value) == JSCAN_NUMBER && jscan_double(value, &seconds) && fabs(seconds) < 1e9) {
		text = (struct span){ when, text_format_time(c->now + (us_t)(seconds * 1e6), when) };
		text = arena_dup(&m->arena, text);
		return text.ptr != NULL ? set(m, "expires", val_string(text)) : E_NOMEM;
	}
	e = text_option(m, c, "expires", &text);
	return e == E_OK && text.len > 0 ? set(m, "expires", val_string(text)) : e;
}

static struct val
limit_of(const struct forward_change *c, const char *key, double old)
{
	double seconds = old;

	/* One without end would make the next attempt's message one that nobody takes. */
	if (jscan_kind(jscan_member(c->options, key)) == JSCAN_NUMBER &&
		(!jscan_double(jscan_member(c->options, key), &seconds) || !isfinite(seconds)))
		seconds = old;
	return seconds > 0 ? (struct val){ .type = VAL_DOUBLE, .u.number = seconds } : val_void();
}

static enum err
set_limits(struct msg *m, const struct task *t, const struct forward_change *c)
{
	struct val *limits;

	if (jscan_kind(jscan_member(c->options, "time_limit")) != JSCAN_NUMBER &&
		jscan_kind(jscan_member(c->options, "soft_time_limit")) != JSCAN_NUMBER)
		return E_OK;
	limits = arena_alloc(&m->arena, 2 * sizeof(*limits));
	if (limits == NULL)
		return E_NOMEM;
	limits[0] = limit_of(c, "time_limit", t->time_limit);
	limits[1] = limit_of(c, "soft_time_limit", t->soft_time_limit);
	return set(m, "timelimit", (struct val){ .type = VAL_ARRAY, .u.array = { limits, 2 } });
}

static enum err
set_headers(struct msg *m, const struct forward_change *c)
{
	struct span headers = jscan_member(c->options, "headers");

	if (jscan_kind(headers) != JSCAN_OBJECT)
		return E_OK;
	headers = arena_dup(&m->arena, headers);
	return headers.ptr != NULL ? headers_read_object(&m->headers, headers, &m->arena) : E_NOMEM;
}

enum err
forward_change_apply(struct msg *m, const struct task *t, const struct forward_change *c)
{
	struct span shadow = SPAN_NONE;
	int64_t priority;
	enum err e;

	if (jscan_int(jscan_member(c->options, "priority"), &priority) && priority >= 0 && priority <= 255)
		m->priority = (int)priority;
	e = set_body(m, t, c);
	if (e == E_OK)
		e = set_road(m, c);
	if (e == E_OK)
		e = set_expires(m, c);
	if (e == E_OK)
		e = set_limits(m, t, c);
	if (e == E_OK)
		e = text_option(m, c, "shadow", &shadow);
	if (e == E_OK && shadow.len > 0)
		e = set(m, "shadow", val_string(shadow));
	return e == E_OK ? set_headers(m, c) : e;
}

bool
forward_change_moves(const struct forward_change *c)
{
	static const char *const keys[] = { "queue", "exchange", "routing_key" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (jscan_kind(jscan_member(c->options, keys[i])) == JSCAN_STRING)
			return true;
	return false;
}
