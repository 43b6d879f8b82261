/*
 * See event.h. Written as Celery 5.2 writes the same event, in the same order, but for utcoffset, which is left out. Read leniently: a
 * monitor has to live with events of any version and of custom types.
 */
#include "wire/event.h"

#include "base/js.h"
#include "wire/field.h"

enum kind { TEXT, INT, NUMBER, BOOL, SIGNAL, LOAD };

/* clang-format off */
enum member {
	M_HOSTNAME, M_UTCOFFSET, M_PID, M_CLOCK, M_TIMESTAMP, M_UUID, M_NAME, M_ARGS, M_KWARGS, M_ROOT_ID, M_PARENT_ID, M_RETRIES, M_ETA,
	M_EXPIRES, M_QUEUE, M_EXCHANGE, M_ROUTING_KEY, M_RESULT, M_EXCEPTION, M_TRACEBACK, M_RUNTIME, M_TERMINATED, M_EXPIRED, M_REQUEUE,
	M_SIGNUM, M_FREQ, M_ACTIVE, M_PROCESSED, M_LOADAVG, M_SW_IDENT, M_SW_VER, M_SW_SYS, M_COUNT
};
/* clang-format on */

static const struct {
	const char *name;
	enum kind kind;
	size_t offset;
} members[M_COUNT] = {
#define MEMBER(id, kind, field) [id] = { #field, kind, offsetof(struct evt, field) }
	MEMBER(M_HOSTNAME, TEXT, hostname),
	MEMBER(M_UTCOFFSET, INT, utcoffset),
	MEMBER(M_PID, INT, pid),
	MEMBER(M_CLOCK, INT, clock),
	MEMBER(M_TIMESTAMP, NUMBER, timestamp),
	MEMBER(M_UUID, TEXT, uuid),
	MEMBER(M_NAME, TEXT, name),
	MEMBER(M_ARGS, TEXT, args),
	MEMBER(M_KWARGS, TEXT, kwargs),
	MEMBER(M_ROOT_ID, TEXT, root_id),
	MEMBER(M_PARENT_ID, TEXT, parent_id),
	MEMBER(M_RETRIES, INT, retries),
	MEMBER(M_ETA, TEXT, eta),
	MEMBER(M_EXPIRES, TEXT, expires),
	MEMBER(M_QUEUE, TEXT, queue),
	MEMBER(M_EXCHANGE, TEXT, exchange),
	MEMBER(M_ROUTING_KEY, TEXT, routing_key),
	MEMBER(M_RESULT, TEXT, result),
	MEMBER(M_EXCEPTION, TEXT, exception),
	MEMBER(M_TRACEBACK, TEXT, traceback),
	MEMBER(M_RUNTIME, NUMBER, runtime),
	MEMBER(M_TERMINATED, BOOL, terminated),
	MEMBER(M_EXPIRED, BOOL, expired),
	MEMBER(M_REQUEUE, BOOL, requeue),
	MEMBER(M_SIGNUM, SIGNAL, signum),
	MEMBER(M_FREQ, NUMBER, freq),
	MEMBER(M_ACTIVE, INT, active),
	MEMBER(M_PROCESSED, INT, processed),
	MEMBER(M_LOADAVG, LOAD, loadavg),
	MEMBER(M_SW_IDENT, TEXT, sw_ident),
	MEMBER(M_SW_VER, TEXT, sw_ver),
	MEMBER(M_SW_SYS, TEXT, sw_sys),
#undef MEMBER
};

/* clang-format off */
#define MEMBERS(...) (const unsigned char[]){ __VA_ARGS__, M_COUNT }
/* clang-format on */
#define OF_WORKER MEMBERS(M_FREQ, M_ACTIVE, M_PROCESSED, M_LOADAVG, M_SW_IDENT, M_SW_VER, M_SW_SYS)

/* What a type has between the head (hostname, pid, clock) and the tail (timestamp, type). */
static const struct {
	const char *name;
	const unsigned char *members;
} types[EVENT_OTHER] = {
	[EVENT_TASK_SENT] = { "task-sent",
		MEMBERS(M_UUID, M_ROOT_ID, M_PARENT_ID, M_NAME, M_ARGS, M_KWARGS, M_RETRIES, M_ETA, M_EXPIRES,
			M_QUEUE, M_EXCHANGE, M_ROUTING_KEY) },
	[EVENT_TASK_RECEIVED] = { "task-received",
		MEMBERS(M_UUID, M_NAME, M_ARGS, M_KWARGS, M_ROOT_ID, M_PARENT_ID, M_RETRIES, M_ETA,
			M_EXPIRES) },
	[EVENT_TASK_STARTED] = { "task-started", MEMBERS(M_UUID) },
	[EVENT_TASK_SUCCEEDED] = { "task-succeeded", MEMBERS(M_UUID, M_RESULT, M_RUNTIME) },
	[EVENT_TASK_FAILED] = { "task-failed", MEMBERS(M_UUID, M_EXCEPTION, M_TRACEBACK) },
	[EVENT_TASK_RETRIED] = { "task-retried", MEMBERS(M_UUID, M_EXCEPTION, M_TRACEBACK) },
	[EVENT_TASK_REVOKED] = { "task-revoked", MEMBERS(M_UUID, M_TERMINATED, M_SIGNUM, M_EXPIRED) },
	[EVENT_TASK_REJECTED] = { "task-rejected", MEMBERS(M_UUID, M_REQUEUE) },
	[EVENT_WORKER_ONLINE] = { "worker-online", OF_WORKER },
	[EVENT_WORKER_HEARTBEAT] = { "worker-heartbeat", OF_WORKER },
	[EVENT_WORKER_OFFLINE] = { "worker-offline", OF_WORKER },
};

const char *
evt_type_name(enum evt_type type)
{
	assert(type < EVENT_OTHER);
	return types[type].name;
}

bool
evt_is_of_task(enum evt_type type)
{
	return type <= EVENT_TASK_REJECTED;
}

void
evt_fill_sent(struct evt *e, const struct msg *m, struct span delayed_for)
{
	bool is_delayed = delayed_for.len > 0, is_direct = is_delayed || m->exchange.len == 0;

	e->uuid = m->correlation_id;
	e->root_id = table_get_string(&m->headers, "root_id");
	e->parent_id = table_get_string(&m->headers, "parent_id");
	e->name = table_get_string(&m->headers, "task");
	e->args = table_get_string(&m->headers, "argsrepr");
	e->kwargs = table_get_string(&m->headers, "kwargsrepr");
	e->eta = table_get_string(&m->headers, "eta");
	e->expires = table_get_string(&m->headers, "expires");
	e->routing_key = is_delayed ? delayed_for : m->routing_key;
	e->queue = is_direct ? e->routing_key : SPAN_NONE;
	e->exchange = is_direct ? SPAN("") : m->exchange;
	if (!table_get_int(&m->headers, "retries", &e->retries))
		e->retries = 0;
}

/* --- writing ----------------------------------------------------------------------------------------------------------- */

static void
add_load(struct js *w, const double load[3])
{
	int i;

	js_array(w);
	for (i = 0; i < 3; i++)
		js_double(w, load[i]);
	js_array_end(w);
}

static void
add_member(struct js *w, const struct evt *e, unsigned m)
{
	const char *field = (const char *)e + members[m].offset;

	js_key(w, members[m].name);
	switch (members[m].kind) {
	case TEXT:
		js_string(w, *(const struct span *)(const void *)field);
		break;
	case INT:
		js_int(w, *(const int64_t *)(const void *)field);
		break;
	case NUMBER:
		js_double(w, *(const double *)(const void *)field);
		break;
	case BOOL:
		js_bool(w, *(const bool *)(const void *)field);
		break;
	case SIGNAL:
		if (e->signum > 0)
			js_int(w, e->signum);
		else
			js_null(w);
		break;
	case LOAD:
		add_load(w, e->loadavg);
		break;
	}
}

void
evt_add(struct buf *b, const struct evt *e)
{
	const unsigned char *m;
	struct js w;

	assert(e->type < EVENT_OTHER);
	js_init(&w, b);
	js_object(&w);
	add_member(&w, e, M_HOSTNAME);
	add_member(&w, e, M_PID);
	add_member(&w, e, M_CLOCK);
	for (m = types[e->type].members; *m != M_COUNT; m++)
		add_member(&w, e, *m);
	add_member(&w, e, M_TIMESTAMP);
	js_key(&w, "type");
	js_text(&w, types[e->type].name);
	js_object_end(&w);
}

void
evt_routing_key(char out[64], enum evt_type type)
{
	char *p;

	snprintf(out, 64, "%s", evt_type_name(type));
	for (p = out; *p != '\0'; p++)
		if (*p == '-')
			*p = '.';
}

enum err
evt_encode(struct msg *to, struct span exchange, const char *key, struct span node, struct span body)
{
	struct arena *a = &to->arena;
	struct span host = arena_dup(a, node);

	to->exchange = arena_dup(a, exchange);
	to->routing_key = arena_dup(a, span_of(key));
	to->content_type = SPAN("application/json");
	to->content_encoding = SPAN("utf-8");
	to->delivery_mode = 1;
	to->priority = 0;
	to->has_headers = true;
	to->body = arena_dup(a, body);
	if (host.ptr == NULL || to->exchange.ptr == NULL || to->routing_key.ptr == NULL ||
		to->body.ptr == NULL)
		return E_NOMEM;
	return table_add(&to->headers, a, SPAN("hostname"), val_string(host));
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

enum err
evt_begin(struct evt_reader *r, struct msg *m, struct errtext *t)
{
	struct span body = span_trim(m->body);
	enum err e;

	memset(r, 0, sizeof(*r));
	r->arena = &m->arena;
	e = jscan_check(m->body, NULL, NULL, t);
	if (e != E_OK)
		return err_prefix(t, e, "an event is not JSON");
	if (jscan_kind(body) == JSCAN_OBJECT)
		r->single = body;
	else if (jscan_kind(body) != JSCAN_ARRAY || !jscan_begin(&r->it, body))
		return err_set(t, E_FORMAT, "an event is %s, not an object", field_kind_name(body));
	return E_OK;
}

static void
take_load(double load[3], struct span raw)
{
	struct jscan_iter it;
	int i = 0;

	if (!jscan_begin(&it, raw))
		return;
	while (i < 3 && jscan_next(&it))
		if (!jscan_double(it.value, &load[i++]))
			return;
}

static void
take_member(struct evt *e, unsigned m, struct span raw, struct arena *a)
{
	char *field = (char *)e + members[m].offset;
	struct span text;
	int64_t i;
	double d;

	switch (members[m].kind) {
	case TEXT:
		if (field_text(raw, a, &text) == E_OK)
			*(struct span *)(void *)field = text;
		break;
	case INT:
	case SIGNAL:
		if (jscan_int(raw, &i))
			*(int64_t *)(void *)field = i;
		break;
	case NUMBER:
		if (jscan_double(raw, &d))
			*(double *)(void *)field = d;
		break;
	case BOOL:
		*(bool *)(void *)field = jscan_kind(raw) == JSCAN_TRUE;
		break;
	case LOAD:
		take_load(e->loadavg, raw);
		break;
	}
}

static enum evt_type
type_of(struct span name)
{
	int i;

	for (i = 0; i < EVENT_OTHER; i++)
		if (span_is(name, types[i].name))
			break;
	return (enum evt_type)i;
}

static bool
take(struct evt *e, struct span object, struct arena *a)
{
	struct jscan_iter it;
	unsigned m;

	*e = (struct evt){ .pid = -1, .clock = -1, .json = object };
	if (jscan_kind(object) != JSCAN_OBJECT || !jscan_begin(&it, object))
		return false;
	while (jscan_next(&it)) {
		if (span_is(it.key, "type") && field_text(it.value, a, &e->type_name) != E_OK)
			return false;
		for (m = 0; m < M_COUNT; m++)
			if (span_is(it.key, members[m].name)) {
				take_member(e, m, it.value, a);
				break;
			}
	}
	e->type = type_of(e->type_name);
	return e->type_name.len > 0;
}

bool
evt_next(struct evt_reader *r, struct evt *e)
{
	struct span single = r->single;

	if (single.ptr != NULL) {
		r->single = SPAN_NONE;
		return take(e, single, r->arena);
	}
	while (r->it.rest.ptr != NULL && jscan_next(&r->it))
		if (take(e, r->it.value, r->arena))
			return true;
	return false;
}
