/*
 * See control.h. What comes in was written by whoever may publish to the exchange: it is checked as a whole first, then taken apart
 * without copies. What goes out is byte for byte what kombu writes.
 */
#include "wire/control.h"

#include <regex.h>

#include "base/js.h"
#include "base/text.h"
#include "wire/field.h"

/* Patterns are matched against each node's name by each node: long ones have no use. */
#define PATTERN_MAX 1000
/* Of its repetitions, multiplied: libc writes out what is repeated, so that "((a{1,255}){1,255}){1,20}" takes gigabytes, and so does "a" with 40
 * plus signs, each of them twice what was before it. */
#define REPEAT_MAX 1000

void
control_exchange_name(char out[CONTROL_NAME_MAX + 1], struct span name)
{
	snprintf(out, CONTROL_NAME_MAX + 1, "%.*s.pidbox", SPAN_FMT(name));
}

void
control_reply_exchange_name(char out[CONTROL_NAME_MAX + 1], struct span name)
{
	snprintf(out, CONTROL_NAME_MAX + 1, "reply.%.*s.pidbox", SPAN_FMT(name));
}

void
control_queue_name(char out[CONTROL_NAME_MAX + 1], struct span name, struct span node)
{
	snprintf(out, CONTROL_NAME_MAX + 1, "%.*s.%.*s.pidbox", SPAN_FMT(node), SPAN_FMT(name));
}

void
control_reply_queue_name(char out[CONTROL_NAME_MAX + 1], struct span name, struct span key)
{
	snprintf(out, CONTROL_NAME_MAX + 1, "%.*s.reply.%.*s.pidbox", SPAN_FMT(key), SPAN_FMT(name));
}

/* --- requests, coming ------------------------------------------------------------------------------------------------- */

/* Member `what` as text, or an error that names it. */
static enum err
take_text(struct span raw, struct arena *a, const char *what, struct span *out, struct errtext *t)
{
	enum err e = field_text(raw, a, out);

	return e == E_FORMAT
		? err_set(t, e, "'%s' of a control request is %s, not text", what, field_kind_name(raw))
		: e;
}

static enum err
take_reply_to(struct control_request *r, struct span raw, struct errtext *t)
{
	struct span exchange, key;
	const struct field fields[] = { { SPAN("exchange"), &exchange }, { SPAN("routing_key"), &key } };
	enum err e;

	raw = field_some(raw);
	if (raw.ptr == NULL)
		return E_OK;
	if (jscan_kind(raw) != JSCAN_OBJECT)
		return err_set(t, E_FORMAT, "'reply_to' of a control request is %s, not an object",
			field_kind_name(raw));
	fields_get(raw, fields, ARRAY_LEN(fields));
	e = take_text(exchange, r->arena, "reply_to.exchange", &r->reply_exchange, t);
	if (e == E_OK)
		e = take_text(key, r->arena, "reply_to.routing_key", &r->reply_key, t);
	if (e == E_OK && (r->reply_exchange.len > 255 || r->reply_key.len > 255))
		e = err_set(t, E_FORMAT, "'reply_to' of a control request is too long");
	return e;
}

static int64_t
clock_of(const struct msg *m)
{
	int64_t clock;

	return table_get_int(&m->headers, "clock", &clock) && clock > 0 ? clock : 0;
}

static enum err
check_json_object(const struct msg *m, const char *what, struct errtext *t)
{
	enum err e;

	if (m->content_type.ptr != NULL && !span_is(m->content_type, "application/json"))
		return err_set(t, E_FORMAT, "a %s of type '%.*s', not application/json", what,
			SPAN_FMT(m->content_type));
	e = jscan_check(m->body, NULL, NULL, t);
	if (e != E_OK)
		return err_prefix(t, e, "a %s is not JSON", what);
	if (jscan_kind(span_trim(m->body)) != JSCAN_OBJECT)
		return err_set(
			t, E_FORMAT, "a %s is %s, not an object", what, field_kind_name(span_trim(m->body)));
	return E_OK;
}

enum err
control_decode(struct control_request *r, struct msg *m, struct errtext *t)
{
	struct span method, pattern, matcher, ticket, reply_to;
	const struct field fields[] = {
		{ SPAN("method"), &method },
		{ SPAN("arguments"), &r->arguments },
		{ SPAN("destination"), &r->destination },
		{ SPAN("pattern"), &pattern },
		{ SPAN("matcher"), &matcher },
		{ SPAN("ticket"), &ticket },
		{ SPAN("reply_to"), &reply_to },
	};
	enum err e;

	memset(r, 0, sizeof(*r));
	r->arena = &m->arena;
	e = check_json_object(m, "control request", t);
	if (e != E_OK)
		return e;
	fields_get(span_trim(m->body), fields, ARRAY_LEN(fields));
	r->clock = clock_of(m);
	r->destination = field_some(r->destination);
	r->arguments = field_some(r->arguments);
	if (r->arguments.ptr == NULL)
		r->arguments = SPAN("{}");
	if (jscan_kind(r->arguments) != JSCAN_OBJECT)
		return err_set(t, E_FORMAT, "'arguments' of a control request is %s, not an object",
			field_kind_name(r->arguments));
	e = take_text(method, r->arena, "method", &r->method, t);
	if (e == E_OK && r->method.ptr == NULL)
		e = err_set(t, E_FORMAT, "a control request without 'method'");
	if (e == E_OK)
		e = take_text(pattern, r->arena, "pattern", &r->pattern, t);
	if (e == E_OK)
		e = take_text(matcher, r->arena, "matcher", &r->matcher, t);
	if (e == E_OK)
		e = take_text(ticket, r->arena, "ticket", &r->ticket, t);
	return e == E_OK ? take_reply_to(r, reply_to, t) : e;
}

static bool
is_name(struct arena *a, struct span raw, struct span node)
{
	struct span name;

	return field_text(raw, a, &name) == E_OK && name.ptr != NULL && span_eq(name, node);
}

static bool
is_among(const struct control_request *r, struct span node)
{
	struct jscan_iter it;

	if (!jscan_begin(&it, r->destination))
		return is_name(r->arena, r->destination, node);
	while (jscan_next(&it))
		if (!it.is_object && is_name(r->arena, it.value, node))
			return true;
	return false;
}

/* How often libc writes out what stands before a "{m,n}" whose inside is at the beginning of rest: the larger of the two. */
static int64_t
repeats_of(struct span rest)
{
	struct span inner = span_split(&rest, '}'), low = span_split(&inner, ',');
	int64_t n;

	if (!text_parse_int(inner.len > 0 ? inner : low, &n) || n < 1)
		return 1;
	return n > REPEAT_MAX ? REPEAT_MAX + 1 : n;
}

/* Whether it stays small once written out, and is matched in little time: what refers back to a group may take for ever. */
static bool
is_cheap_regex(struct span pattern)
{
	int64_t all = 1;

	for (size_t i = 0; i < pattern.len && all <= REPEAT_MAX; i++) {
		struct span rest = { pattern.ptr + i + 1, pattern.len - i - 1 };

		if (pattern.ptr[i] == '\\') {
			if (rest.len > 0 && rest.ptr[0] >= '1' && rest.ptr[0] <= '9')
				return false;
			i++;
		} else if (pattern.ptr[i] == '+') {
			all *= 2;
		} else if (pattern.ptr[i] == '{') {
			all *= repeats_of(rest);
		}
	}
	return all <= REPEAT_MAX;
}

/* Python's re.match is anchored at the start only. The leftmost match is the one at the start if there is one. */
static bool
matches_regex(struct span pattern, struct span node)
{
	regmatch_t at;
	char *text = pattern.len <= PATTERN_MAX && is_cheap_regex(pattern) ? alloc_dup(pattern) : NULL,
	     *name = alloc_dup(node);
	regex_t re;
	bool yes = false;

	if (text != NULL && name != NULL && regcomp(&re, text, REG_EXTENDED) == 0) {
		yes = regexec(&re, name, 1, &at, 0) == 0 && at.rm_so == 0;
		regfree(&re);
	}
	alloc_free(text);
	alloc_free(name);
	return yes;
}

bool
control_is_for(const struct control_request *r, struct span node)
{
	bool anyone = r->destination.ptr == NULL || jscan_count(r->destination) == 0;

	/* One name instead of a list of names is nobody's protocol, but has only one meaning. */
	if (!anyone || jscan_kind(r->destination) == JSCAN_STRING)
		return is_among(r, node);
	if (r->pattern.len == 0 || r->matcher.len == 0)
		return true;
	if (span_is(r->matcher, "glob"))
		return r->pattern.len <= PATTERN_MAX && text_glob(r->pattern, node);
	return span_is(r->matcher, "pcre") && matches_regex(r->pattern, node);
}

/* --- arguments --------------------------------------------------------------------------------------------------------- */

struct span
control_arg(const struct control_request *r, const char *key)
{
	struct span raw = jscan_member(r->arguments, key);

	return raw.ptr != NULL ? field_some(raw) : SPAN_NONE;
}

static bool
to_text(const struct control_request *r, struct span raw, struct span *out)
{
	if (jscan_kind(raw) == JSCAN_NUMBER) {
		*out = raw;
		return true;
	}
	return jscan_kind(raw) == JSCAN_STRING && field_text(raw, r->arena, out) == E_OK;
}

bool
control_arg_text(const struct control_request *r, const char *key, struct span *out)
{
	return to_text(r, control_arg(r, key), out);
}

bool
control_arg_flag(const struct control_request *r, const char *key, bool otherwise)
{
	struct span raw = jscan_member(r->arguments, key);
	double d;

	switch (jscan_kind(raw)) {
	case JSCAN_NONE:
		return otherwise;
	case JSCAN_NULL:
	case JSCAN_FALSE:
		return false;
	case JSCAN_TRUE:
		return true;
	case JSCAN_NUMBER:
		return !jscan_double(raw, &d) || d != 0;
	case JSCAN_STRING:
		return raw.len > 2;
	case JSCAN_ARRAY:
	case JSCAN_OBJECT:
		return jscan_count(raw) > 0;
	}
	return otherwise;
}

bool
control_arg_number(const struct control_request *r, const char *key, double *out)
{
	struct span raw = control_arg(r, key), text;

	if (jscan_kind(raw) == JSCAN_NUMBER)
		return jscan_double(raw, out);
	return to_text(r, raw, &text) && text_parse_double(span_trim(text), out);
}

bool
control_next_text(const struct control_request *r, const char *key, struct control_texts *w, struct span *out)
{
	if (!w->started) {
		struct span raw = control_arg(r, key);

		w->started = true;
		w->single = !jscan_begin(&w->it, raw) || w->it.is_object;
		if (w->single)
			return to_text(r, raw, out);
	}
	if (w->single)
		return false;
	while (jscan_next(&w->it))
		if (to_text(r, w->it.value, out))
			return true;
	return false;
}

/* --- going ------------------------------------------------------------------------------------------------------------- */

/* Properties as kombu sets them, and the body out of b, which is released. */
static enum err
fill(struct msg *to, const char *exchange, struct span key, int delivery_mode, struct buf *b)
{
	enum err e = b->err;

	to->content_type = SPAN("application/json");
	to->content_encoding = SPAN("utf-8");
	to->delivery_mode = delivery_mode;
	to->priority = 0;
	to->has_headers = true;
	if (e == E_OK) {
		to->exchange = arena_dup(&to->arena, span_of(exchange));
		to->routing_key = arena_dup(&to->arena, key);
		to->body = arena_dup(&to->arena, buf_span(b));
		if (to->exchange.ptr == NULL || to->routing_key.ptr == NULL || to->body.ptr == NULL)
			e = E_NOMEM;
	}
	buf_release(b);
	return e;
}

static enum err
add_header(struct msg *to, const char *key, struct val v)
{
	if (v.type == VAL_STRING) {
		v.u.string = arena_dup(&to->arena, v.u.string);
		if (v.u.string.ptr == NULL)
			return E_NOMEM;
	}
	return table_add(&to->headers, &to->arena, span_of(key), v);
}

static void
add_destination(struct js *w, const struct control_call *call)
{
	size_t i;

	js_key(w, "destination");
	if (call->n_destination == 0) {
		js_null(w);
		return;
	}
	js_array(w);
	for (i = 0; i < call->n_destination; i++)
		js_text(w, call->destination[i]);
	js_array_end(w);
}

enum err
control_encode(struct msg *to, const struct control_call *call)
{
	struct buf b;
	struct js w;
	enum err e;
	char exchange[CONTROL_NAME_MAX + 1];

	buf_init(&b, 0);
	js_init(&w, &b);
	js_object(&w);
	js_key(&w, "method");
	js_string(&w, call->method);
	js_key(&w, "arguments");
	js_raw(&w, call->arguments.ptr != NULL ? call->arguments : SPAN("{}"));
	add_destination(&w, call);
	js_key(&w, "pattern");
	js_string(&w, call->pattern);
	js_key(&w, "matcher");
	js_string(&w, call->matcher);
	if (call->ticket.ptr != NULL) {
		js_key(&w, "ticket");
		js_string(&w, call->ticket);
		js_key(&w, "reply_to");
		js_object(&w);
		js_key(&w, "exchange");
		control_reply_exchange_name(exchange, call->name);
		js_text(&w, exchange);
		js_key(&w, "routing_key");
		js_string(&w, call->reply_key);
		js_object_end(&w);
	}
	js_object_end(&w);
	control_exchange_name(exchange, call->name);
	e = fill(to, exchange, SPAN(""), 2, &b);
	if (e == E_OK)
		e = add_header(to, "clock", val_int(call->clock));
	if (e == E_OK)
		e = add_header(to, "expires",
			call->expires > 0 ? (struct val){ .type = VAL_DOUBLE, .u.number = call->expires }
					  : val_int(0));
	return e;
}

enum err
control_encode_reply(
	struct msg *to, const struct control_request *r, struct span node, struct span answer, int64_t clock)
{
	struct buf b;
	struct js w;
	enum err e;
	char exchange[256];

	snprintf(exchange, sizeof(exchange), "%.*s", SPAN_FMT(r->reply_exchange));
	buf_init(&b, 0);
	js_init(&w, &b);
	js_object(&w);
	js_key_span(&w, node);
	js_raw(&w, answer);
	js_object_end(&w);
	e = fill(to, exchange, r->reply_key.ptr != NULL ? r->reply_key : SPAN(""), 1, &b);
	if (e == E_OK)
		e = add_header(to, "ticket", val_string(r->ticket));
	if (e == E_OK)
		e = add_header(to, "clock", val_int(clock));
	return e;
}

enum err
control_decode_reply(struct control_reply *r, const struct msg *m, struct errtext *t)
{
	enum err e = check_json_object(m, "control reply", t);

	memset(r, 0, sizeof(*r));
	if (e != E_OK)
		return e;
	r->ticket = table_get_string(&m->headers, "ticket");
	r->clock = clock_of(m);
	r->nodes = span_trim(m->body);
	return E_OK;
}
