/*
 * Celery task messages on their way out, protocol 2: the headers, properties and body that a Celery 5.2
 * client would write for the same call, in the same order. Later releases add headers that may be absent
 * (stamps, nesting); they are left out, which every release accepts. The body is put together in the
 * message's arena in one piece.
 */
#include "wire/task.h"

#include "base/id.h"
#include "base/text.h"
#include "wire/field.h"
#include "wire/inflate.h"

#include <inttypes.h>
#include <math.h>

#define SHORTSTR_MAX 255 /* AMQP's short strings: correlation_id, reply_to */
#define KWARGSREPR_MAX 1024
#define EXPIRATION_MAX INT64_C(315360000000) /* milliseconds, ten years; RabbitMQ's */

static enum err
check_json(struct span json, enum jscan_kind a, enum jscan_kind b, const char *what, struct errtext *t)
{
	const struct jscan_limits lim = task_json_limits(&task_limits_default, json.len);
	enum jscan_kind kind;
	enum err e;

	if (!json.ptr)
		return E_OK;
	e = jscan_check(json, &lim, NULL, t);
	if (e != E_OK)
		return err_prefix(t, e, "%s", what);
	kind = jscan_kind(span_trim(json));
	if (kind == a || kind == b)
		return E_OK;
	return err_set(t, E_FORMAT, "%s is %s, not %s", what, field_kind_name(span_trim(json)),
		a == JSCAN_ARRAY ? "an array" : "an object");
}

static enum err
check_call(const struct task_call *c, struct errtext *t)
{
	enum err e;

	if (!task_name_is_valid(c->name))
		return err_set(
			t, E_FORMAT, "the task name is not 1-255 bytes of UTF-8 without control characters");
	if (c->id.ptr && !task_id_is_valid(c->id))
		return err_set(
			t, E_FORMAT, "the task id is not 1-200 bytes of UTF-8 without control characters");
	if (c->reply_to.len > SHORTSTR_MAX)
		return err_set(
			t, E_FORMAT, "reply_to has %zu bytes, AMQP allows %d", c->reply_to.len, SHORTSTR_MAX);
	if (c->priority_plus1 < 0 || c->priority_plus1 > 256)
		return err_set(t, E_FORMAT, "priority %d is outside 0-255", c->priority_plus1 - 1);
	if (!(c->time_limit >= 0) || !(c->soft_time_limit >= 0) || isinf(c->time_limit) ||
		isinf(c->soft_time_limit))
		return err_set(t, E_FORMAT, "a time limit is no duration");
	if ((e = check_json(c->args, JSCAN_ARRAY, JSCAN_ARRAY, "args", t)) != E_OK ||
		(e = check_json(c->kwargs, JSCAN_OBJECT, JSCAN_OBJECT, "kwargs", t)) != E_OK ||
		(e = check_json(c->callbacks, JSCAN_ARRAY, JSCAN_OBJECT, "callbacks", t)) != E_OK ||
		(e = check_json(c->errbacks, JSCAN_ARRAY, JSCAN_OBJECT, "errbacks", t)) != E_OK ||
		(e = check_json(c->chain, JSCAN_ARRAY, JSCAN_ARRAY, "chain", t)) != E_OK)
		return e;
	return check_json(c->chord, JSCAN_OBJECT, JSCAN_OBJECT, "chord", t);
}

enum err
task_encode_body(const struct task_call *c, struct msg *m, struct errtext *t)
{
	const struct span parts[] = {
		SPAN("["),
		c->args.ptr ? c->args : SPAN("[]"),
		SPAN(", "),
		c->kwargs.ptr ? c->kwargs : SPAN("{}"),
		SPAN(", {\"callbacks\": "),
		c->callbacks.ptr ? c->callbacks : SPAN("null"),
		SPAN(", \"errbacks\": "),
		c->errbacks.ptr ? c->errbacks : SPAN("null"),
		SPAN(", \"chain\": "),
		c->chain.ptr ? c->chain : SPAN("null"),
		SPAN(", \"chord\": "),
		c->chord.ptr ? c->chord : SPAN("null"),
		SPAN("}]"),
	};
	size_t i, n = 0;
	char *body, *p;

	for (i = 0; i < ARRAY_LEN(parts); i++) {
		if (parts[i].len > task_limits_default.body_max - n)
			return err_set(t, E_TOOBIG, "the body would have more than %zu bytes",
				task_limits_default.body_max);
		n += parts[i].len;
	}
	body = p = arena_alloc(&m->arena, n);
	if (!body)
		return E_NOMEM;
	for (i = 0; i < ARRAY_LEN(parts); i++) {
		memcpy(p, parts[i].ptr, parts[i].len);
		p += parts[i].len;
	}
	m->body = (struct span){ body, n };
	return c->compress ? deflate_body(m->body, &m->arena, &m->body) : E_OK;
}

/* Texts of this call that go into the arena: the first failed copy fails all. */
struct keeper {
	struct arena *a;
	enum err e;
};

static struct span
keep(struct keeper *k, struct span s)
{
	struct span copy;

	if (!s.ptr || k->e != E_OK)
		return SPAN_NONE;
	copy = arena_dup(k->a, s);
	if (!copy.ptr)
		k->e = E_NOMEM;
	return copy;
}

static struct span
keep_time(struct keeper *k, us_t when)
{
	char text[TEXT_TIME_MAX];

	return when ? keep(k, (struct span){ text, text_format_time(when, text) }) : SPAN_NONE;
}

static struct span
keep_repr(struct keeper *k, struct span json, bool as_tuple)
{
	struct span copy = SPAN_NONE;
	struct buf b;

	buf_init(&b, 0);
	json = span_trim(json);
	if (as_tuple)
		task_add_argsrepr(&b, json);
	else
		task_add_repr(&b, json, KWARGSREPR_MAX);
	if (b.err == E_OK)
		copy = keep(k, buf_span(&b));
	else
		k->e = b.err;
	buf_release(&b);
	return copy;
}

/* The hard limit first. Whole seconds stay integers, as a Celery client sends them. */
static struct val
keep_limits(struct keeper *k, double hard, double soft)
{
	const double limits[] = { hard, soft };
	struct val *items = arena_alloc(k->a, ARRAY_LEN(limits) * sizeof(*items));
	size_t i;

	if (!items) {
		k->e = E_NOMEM;
		return val_void();
	}
	for (i = 0; i < ARRAY_LEN(limits); i++) {
		if (!(limits[i] > 0))
			items[i] = val_void();
		else if (limits[i] == floor(limits[i]) && limits[i] < 1e15)
			items[i] = val_int((int64_t)limits[i]);
		else
			items[i] = (struct val){ .type = VAL_DOUBLE, .u.number = limits[i] };
	}
	return (struct val){ .type = VAL_ARRAY, .u.array = { items, ARRAY_LEN(limits) } };
}

static enum err
add_user_headers(const struct task_call *c, struct msg *m)
{
	struct table copy;
	enum err e;
	size_t i;

	if (!c->user_headers)
		return E_OK;
	e = table_copy(&copy, c->user_headers, &m->arena);
	for (i = 0; e == E_OK && i < copy.count; i++)
		e = table_set(&m->headers, &m->arena, copy.pairs[i].key, copy.pairs[i].value);
	return e;
}

static enum err
add_headers(const struct task_call *c, struct msg *m)
{
	struct keeper k = { &m->arena, E_OK };
	const struct span id = m->correlation_id;
	const struct pair pairs[] = {
		{ SPAN("lang"), val_text("c") },
		{ SPAN("task"), val_string(keep(&k, c->name)) },
		{ SPAN("id"), val_string(id) },
		{ SPAN("shadow"), val_string(keep(&k, c->shadow)) },
		{ SPAN("eta"), val_string(keep_time(&k, c->eta)) },
		{ SPAN("expires"), val_string(keep_time(&k, c->expires)) },
		{ SPAN("group"), val_string(keep(&k, c->group)) },
		{ SPAN("group_index"),
			c->group_index_plus1 > 0 ? val_int(c->group_index_plus1 - 1) : val_void() },
		{ SPAN("retries"), val_int(c->retries) },
		{ SPAN("timelimit"), keep_limits(&k, c->time_limit, c->soft_time_limit) },
		{ SPAN("root_id"), val_string(c->root_id.ptr ? keep(&k, c->root_id) : id) },
		{ SPAN("parent_id"), val_string(keep(&k, c->parent_id)) },
		{ SPAN("argsrepr"), val_string(keep_repr(&k, c->args.ptr ? c->args : SPAN("[]"), true)) },
		{ SPAN("kwargsrepr"),
			val_string(keep_repr(&k, c->kwargs.ptr ? c->kwargs : SPAN("{}"), false)) },
		{ SPAN("origin"), val_string(keep(&k, c->origin)) },
		{ SPAN("ignore_result"), val_bool(c->ignore_result) },
	};
	enum err e = k.e;
	size_t i;

	m->headers = (struct table){ NULL, 0, 0 };
	m->has_headers = true;
	for (i = 0; e == E_OK && i < ARRAY_LEN(pairs); i++)
		e = table_add(&m->headers, &m->arena, pairs[i].key, pairs[i].value);
	if (e == E_OK)
		e = add_user_headers(c, m);
	if (e == E_OK && c->compress)
		e = table_set(&m->headers, &m->arena, SPAN("compression"), val_text(COMPRESSION_ZLIB));
	return e;
}

enum err
task_set_expiration(struct msg *m, int64_t ms)
{
	struct keeper k = { &m->arena, E_OK };
	char text[24];

	m->expiration = SPAN_NONE;
	/* The broker would close the channel over a larger one. The header `expires` counts, as it does on the delay ladder. */
	if (ms > EXPIRATION_MAX)
		return E_OK;
	snprintf(text, sizeof(text), "%" PRId64, ms > 0 ? ms : 0);
	m->expiration = keep(&k, span_of(text));
	return k.e;
}

static enum err
add_properties(const struct task_call *c, struct msg *m)
{
	struct keeper k = { &m->arena, E_OK };
	char uuid[ID_UUID_LEN + 1];
	struct span id = c->id;

	if (!id.ptr) {
		id_uuid4(uuid);
		id = (struct span){ uuid, ID_UUID_LEN };
	}
	m->content_type = SPAN("application/json");
	m->content_encoding = SPAN("utf-8");
	m->correlation_id = keep(&k, id);
	m->reply_to = keep(&k, c->reply_to);
	m->delivery_mode = c->transient ? 1 : 2;
	m->priority = c->priority_plus1 ? c->priority_plus1 - 1 : 0;
	if (k.e != E_OK || !c->expires)
		return k.e;
	/* Already expired is "0": the broker drops it unless a consumer takes it at once. */
	return task_set_expiration(m, c->expires > c->now ? (c->expires - c->now) / 1000 : 0);
}

enum err
task_encode(const struct task_call *call, struct msg *m, struct errtext *t)
{
	enum err e = check_call(call, t);

	if (e != E_OK)
		return e;
	e = add_properties(call, m);
	if (e == E_OK)
		e = add_headers(call, m);
	if (e == E_OK)
		e = task_encode_body(call, m, t);
	if (e == E_NOMEM)
		err_set(t, e, "out of memory while writing the message");
	return e;
}
