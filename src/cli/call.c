/*
 * Reading descriptions of tasks. A line of NDJSON is looked at in place: arguments are slices of it, nothing is built but the headers.
 */
#include "cli/call.h"

#include "base/js.h"
#include "base/text.h"
#include "wire/headers.h"

enum key {
	K_TASK,
	K_ID,
	K_ARGS,
	K_KWARGS,
	K_QUEUE,
	K_EXCHANGE,
	K_ROUTING_KEY,
	K_COUNTDOWN,
	K_ETA,
	K_EXPIRES,
	K_PRIORITY,
	K_TIME_LIMIT,
	K_SOFT_TIME_LIMIT,
	K_IGNORE_RESULT,
	K_HEADERS,
	KEYS
};
static const char *const keys[KEYS] = {
	"task",
	"id",
	"args",
	"kwargs",
	"queue",
	"exchange",
	"routing_key",
	"countdown",
	"eta",
	"expires",
	"priority",
	"time_limit",
	"soft_time_limit",
	"ignore_result",
	"headers",
};

static enum err
no_memory(struct errtext *t)
{
	return err_set(t, E_NOMEM, "out of memory");
}

void
call_add_args(struct buf *b, const char *const *args, size_t n, bool as_text)
{
	struct jscan_limits lim = { .depth_max = 64 };
	size_t i;

	buf_addc(b, '[');
	for (i = 0; i < n; i++) {
		buf_adds(b, i > 0 ? ", " : "");
		if (!as_text && jscan_check(span_of(args[i]), &lim, NULL, NULL) == E_OK)
			buf_add(b, span_trim(span_of(args[i])));
		else
			js_add_string(b, span_of(args[i]));
	}
	buf_addc(b, ']');
}

enum err
call_parse_time(struct span text, us_t now, us_t *out, struct errtext *t)
{
	ms_t from_now;

	if (text_parse_duration(text, &from_now)) {
		*out = now + from_now * 1000;
		return E_OK;
	}
	if (text_parse_time(text, out))
		return E_OK;
	return err_set(t, E_FORMAT,
		"'%.*s' is neither a time such as 2030-01-02T03:04:05Z nor a duration such as 90s",
		SPAN_FMT(text));
}

/* A text value: borrowed, or decoded into the arena when there are escapes in it. */
static enum err
get_text(struct call *c, const char *key, struct span value, struct span *out, struct errtext *t)
{
	struct buf b;

	*out = SPAN_NONE;
	if (jscan_kind(value) != JSCAN_STRING)
		return err_set(t, E_FORMAT, "%s must be a string", key);
	if (jscan_plain_string(value, out))
		return E_OK;
	buf_init(&b, 0);
	jscan_add_string(&b, value);
	*out = b.err == E_OK ? arena_dup(c->arena, (struct span){ buf_text(&b), b.len }) : SPAN_NONE;
	buf_release(&b);
	return out->ptr != NULL ? E_OK : no_memory(t);
}

enum err
call_add_header(struct call *c, struct span pair, bool always_text, struct errtext *t)
{
	struct jscan_limits lim = { .depth_max = 64 };
	struct span rest = pair, key = span_split(&rest, '=');
	struct val v = val_string(rest);
	enum err e;

	if (rest.ptr == NULL || key.len == 0 || key.len > 255)
		return err_set(t, E_FORMAT, "'%.*s' is not KEY=VALUE", SPAN_FMT(pair));
	if (!always_text && jscan_check(rest, &lim, NULL, NULL) == E_OK) {
		e = headers_read_value(&v, span_trim(rest), c->arena);
		if (e != E_OK)
			return no_memory(t);
	}
	return table_set(&c->headers, c->arena, key, v) == E_OK ? E_OK : no_memory(t);
}

static enum err
get_time(struct call *c, enum key k, struct span value, us_t now, us_t *out, struct errtext *t)
{
	struct span text;
	double seconds;
	enum err e;

	if (jscan_kind(value) == JSCAN_NUMBER && jscan_double(value, &seconds) && seconds > -1e9 &&
		seconds < 1e10) {
		*out = now + (us_t)(seconds * 1e6);
		return E_OK;
	}
	e = get_text(c, keys[k], value, &text, t);
	if (e == E_OK)
		e = call_parse_time(text, now, out, t);
	return e == E_OK ? e
			 : err_set(t, e, "%s must be a number of seconds, a duration or an ISO time", keys[k]);
}

static enum err
get_number(enum key k, struct span value, double min, double max, double *out, struct errtext *t)
{
	if (jscan_kind(value) == JSCAN_NUMBER && jscan_double(value, out) && *out >= min && *out <= max)
		return E_OK;
	return err_set(t, E_FORMAT, "%s must be a number from %.0f to %.0f", keys[k], min, max);
}

static enum err
set_key(struct call *c, enum key k, struct span v, us_t now, struct errtext *t)
{
	enum err e = E_OK;
	double n;

	switch (k) {
	case K_TASK:
		return get_text(c, keys[k], v, &c->name, t);
	case K_ID:
		return get_text(c, keys[k], v, &c->id, t);
	case K_QUEUE:
		return get_text(c, keys[k], v, &c->queue, t);
	case K_EXCHANGE:
		return get_text(c, keys[k], v, &c->exchange, t);
	case K_ROUTING_KEY:
		return get_text(c, keys[k], v, &c->routing_key, t);
	case K_ARGS:
		c->args = v;
		return jscan_kind(v) == JSCAN_ARRAY ? E_OK : err_set(t, E_FORMAT, "args must be an array");
	case K_KWARGS:
		c->kwargs = v;
		return jscan_kind(v) == JSCAN_OBJECT ? E_OK : err_set(t, E_FORMAT, "kwargs must be an object");
	case K_COUNTDOWN:
	case K_ETA:
		return get_time(c, k, v, now, &c->eta, t);
	case K_EXPIRES:
		return get_time(c, k, v, now, &c->expires, t);
	case K_PRIORITY:
		e = get_number(k, v, 0, 255, &n, t);
		c->priority_plus1 = e == E_OK ? (int)n + 1 : 0;
		return e;
	case K_TIME_LIMIT:
		return get_number(k, v, 0, 1e9, &c->time_limit, t);
	case K_SOFT_TIME_LIMIT:
		return get_number(k, v, 0, 1e9, &c->soft_time_limit, t);
	case K_IGNORE_RESULT:
		c->ignore_result = jscan_kind(v) == JSCAN_TRUE;
		c->has_ignore_result = true;
		return c->ignore_result || jscan_kind(v) == JSCAN_FALSE
			? E_OK
			: err_set(t, E_FORMAT, "ignore_result must be true or false");
	case K_HEADERS:
		if (jscan_kind(v) != JSCAN_OBJECT)
			return err_set(t, E_FORMAT, "headers must be an object");
		return headers_read_object(&c->headers, v, c->arena) == E_OK ? E_OK : no_memory(t);
	case KEYS:
		break;
	}
	return e;
}

static enum err
unknown_key(struct span key, struct errtext *t)
{
	struct nearest near;
	struct buf b;
	enum err e;
	size_t i;

	nearest_init(&near, key);
	for (i = 0; i < KEYS; i++)
		nearest_try(&near, keys[i]);
	buf_init(&b, 0);
	text_add_printable(&b, key, 60);
	buf_addc(&b, '\'');
	nearest_add(&b, &near);
	e = err_set(t, E_FORMAT, "unknown key '%s", buf_text(&b));
	buf_release(&b);
	return e;
}

enum err
call_read_line(struct call *c, struct span line, us_t now, struct errtext *t)
{
	struct jscan_limits lim = { .depth_max = 64, .containers_max = 200000 };
	struct jscan_iter it;
	enum err e;
	size_t k;

	line = span_trim(line);
	e = jscan_check(line, &lim, NULL, t);
	if (e != E_OK)
		return e;
	if (jscan_kind(line) == JSCAN_ARRAY) {
		c->args = line;
		return E_OK;
	}
	if (jscan_kind(line) != JSCAN_OBJECT || !jscan_begin(&it, line))
		return err_set(t, E_FORMAT, "the line is neither an object nor an array");
	while (e == E_OK && jscan_next(&it)) {
		for (k = 0; k < KEYS && !span_is(it.key, keys[k]); k++)
			;
		if (k == KEYS)
			e = unknown_key(it.key, t);
		else if (jscan_kind(it.value) != JSCAN_NULL)
			e = set_key(c, (enum key)k, it.value, now, t);
	}
	return e;
}
