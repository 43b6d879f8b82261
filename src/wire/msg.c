/*
 * Messages and AMQP tables as plain data. A message owns one arena; tables, keys and texts live there and
 * go with it. Tables are small (a task has about twenty headers), so they are searched from front to back;
 * only the decoder, which a stranger feeds, must not pay for a search with each pair and uses table_add.
 */
#include "wire/msg.h"

/* A peer's table may nest as deep as a frame is long; copying is recursive and must end before the stack
 * does. */
#define COPY_DEPTH_MAX 128

static struct pair *
find(const struct table *t, struct span key)
{
	size_t i;

	for (i = t->count; i > 0; i--)
		if (span_eq(t->pairs[i - 1].key, key))
			return &t->pairs[i - 1];
	return NULL;
}

const struct val *
table_get(const struct table *t, const char *key)
{
	struct pair *p = find(t, span_of(key));

	return p ? &p->value : NULL;
}

struct span
table_get_string(const struct table *t, const char *key)
{
	const struct val *v = table_get(t, key);

	return v && v->type == VAL_STRING ? v->u.string : SPAN_NONE;
}

bool
table_get_int(const struct table *t, const char *key, int64_t *out)
{
	const struct val *v = table_get(t, key);

	if (!v || v->type != VAL_INT)
		return false;
	*out = v->u.integer;
	return true;
}

enum err
table_add(struct table *t, struct arena *a, struct span key, struct val v)
{
	struct pair *grown;
	size_t cap;

	if (t->count == t->cap) {
		cap = t->cap ? t->cap * 2 : 8;
		if (cap > SIZE_MAX / sizeof(*grown))
			return E_NOMEM;
		grown = arena_alloc(a, cap * sizeof(*grown));
		if (!grown)
			return E_NOMEM;
		if (t->count)
			memcpy(grown, t->pairs, t->count * sizeof(*grown));
		t->pairs = grown;
		t->cap = cap;
	}
	t->pairs[t->count++] = (struct pair){ key, v };
	return E_OK;
}

enum err
table_set(struct table *t, struct arena *a, struct span key, struct val v)
{
	struct pair *p = find(t, key);

	if (!p)
		return table_add(t, a, key, v);
	p->value = v;
	return E_OK;
}

static void
del_if(struct table *t, bool (*unwanted)(struct span key, const char *arg), const char *arg)
{
	size_t i, kept = 0;

	for (i = 0; i < t->count; i++)
		if (!unwanted(t->pairs[i].key, arg))
			t->pairs[kept++] = t->pairs[i];
	t->count = kept;
}

void
table_del(struct table *t, const char *key)
{
	del_if(t, span_is, key);
}

static enum err table_copy_deep(
	struct table *to, const struct table *from, struct arena *a, int depth) MUSTCHECK;
static enum err val_copy(struct val *to, const struct val *from, struct arena *a, int depth) MUSTCHECK;

static enum err
span_copy(struct span *to, struct span from, struct arena *a)
{
	*to = SPAN_NONE;
	if (!from.ptr)
		return E_OK;
	*to = arena_dup(a, from);
	return to->ptr ? E_OK : E_NOMEM;
}

static enum err
array_copy(struct val *to, const struct val *from, struct arena *a, int depth)
{
	size_t i, n = from->u.array.count;
	struct val *items;
	enum err e = E_OK;

	if (n > SIZE_MAX / sizeof(*items))
		return E_NOMEM;
	items = arena_alloc(a, (n ? n : 1) * sizeof(*items)); /* an empty array still needs a place */
	if (!items)
		return E_NOMEM;
	for (i = 0; i < n && e == E_OK; i++)
		e = val_copy(&items[i], &from->u.array.items[i], a, depth + 1);
	to->u.array.items = items;
	return e;
}

static enum err
val_copy(struct val *to, const struct val *from, struct arena *a, int depth)
{
	if (depth > COPY_DEPTH_MAX)
		return E_TOOBIG;
	*to = *from;
	switch (from->type) {
	case VAL_STRING:
	case VAL_BYTES:
		return span_copy(&to->u.string, from->u.string, a);
	case VAL_ARRAY:
		return array_copy(to, from, a, depth);
	case VAL_TABLE:
		to->u.table = arena_zero(a, sizeof(*to->u.table));
		if (!to->u.table)
			return E_NOMEM;
		return table_copy_deep(to->u.table, from->u.table, a, depth + 1);
	case VAL_VOID:
	case VAL_BOOL:
	case VAL_INT:
	case VAL_DOUBLE:
	case VAL_TIME:
	case VAL_DECIMAL:
		break;
	}
	return E_OK;
}

static enum err
table_copy_deep(struct table *to, const struct table *from, struct arena *a, int depth)
{
	struct span key;
	struct val v;
	enum err e = E_OK;
	size_t i;

	*to = (struct table){ NULL, 0, 0 };
	for (i = 0; i < from->count && e == E_OK; i++) {
		e = span_copy(&key, from->pairs[i].key, a);
		if (e == E_OK)
			e = val_copy(&v, &from->pairs[i].value, a, depth);
		if (e == E_OK)
			e = table_add(to, a, key, v);
	}
	return e;
}

enum err
table_copy(struct table *to, const struct table *from, struct arena *a)
{
	return table_copy_deep(to, from, a, 0);
}

struct val
val_void(void)
{
	return (struct val){ .type = VAL_VOID };
}

struct val
val_bool(bool b)
{
	return (struct val){ .type = VAL_BOOL, .u.boolean = b };
}

struct val
val_int(int64_t i)
{
	return (struct val){ .type = VAL_INT, .u.integer = i };
}

struct val
val_string(struct span s)
{
	return s.ptr ? (struct val){ .type = VAL_STRING, .u.string = s } : val_void();
}

struct val
val_text(const char *s)
{
	return val_string(span_of(s));
}

void
msg_init(struct msg *m, size_t max_bytes)
{
	*m = (struct msg){ .priority = -1, .timestamp = -1 };
	arena_init(&m->arena, max_bytes);
}

void
msg_release(struct msg *m)
{
	arena_release(&m->arena);
	*m = (struct msg){ .priority = -1, .timestamp = -1 };
}

enum err
msg_copy(struct msg *to, const struct msg *from)
{
	const struct {
		struct span *to;
		struct span from;
	} spans[] = {
		{ &to->exchange, from->exchange },
		{ &to->routing_key, from->routing_key },
		{ &to->content_type, from->content_type },
		{ &to->content_encoding, from->content_encoding },
		{ &to->correlation_id, from->correlation_id },
		{ &to->reply_to, from->reply_to },
		{ &to->expiration, from->expiration },
		{ &to->message_id, from->message_id },
		{ &to->type, from->type },
		{ &to->user_id, from->user_id },
		{ &to->app_id, from->app_id },
		{ &to->body, from->body },
	};
	enum err e = E_OK;
	size_t i;

	for (i = 0; i < ARRAY_LEN(spans) && e == E_OK; i++)
		e = span_copy(spans[i].to, spans[i].from, &to->arena);
	if (e == E_OK)
		e = table_copy(&to->headers, &from->headers, &to->arena);
	to->has_headers = from->has_headers;
	to->delivery_mode = from->delivery_mode;
	to->priority = from->priority;
	to->timestamp = from->timestamp;
	return e;
}

static bool
is_of_the_first(struct span key, const char *arg UNUSED)
{
	return span_is(key, "x-death") || span_starts(key, "x-first-death-") ||
		span_starts(key, "x-last-death-") || span_is(key, "x-delivery-count") || span_is(key, "CC") ||
		span_is(key, "BCC");
}

void
msg_make_ours(struct msg *m)
{
	del_if(&m->headers, is_of_the_first, NULL);
	m->user_id = SPAN_NONE;
}
