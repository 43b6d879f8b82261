/* See dead.h. The body is never touched, so that a replay sends what the producer sent. */
#include "wire/dead.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "wire/inflate.h"
#include "wire/task.h"

struct builder {
	struct msg *to;
	enum err err;
};

/* Readers of headers take them for UTF-8, and some fall over anything else; a child's last words may be anything. */
static struct span
copy_text(struct builder *b, struct span text)
{
	struct span copy = SPAN_NONE;
	struct buf clean;

	if (text.ptr == NULL)
		text = SPAN("");
	if (text_is_utf8(text))
		return arena_dup(&b->to->arena, text);
	buf_init(&clean, 0);
	text_add_printable(&clean, text, 0);
	if (clean.err == E_OK)
		copy = arena_dup(&b->to->arena, buf_span(&clean));
	buf_release(&clean);
	return copy;
}

static void
set(struct builder *b, const char *key, struct span text)
{
	struct span copy;

	if (b->err != E_OK)
		return;
	copy = copy_text(b, text);
	b->err = copy.ptr == NULL ? E_NOMEM
				  : table_set(&b->to->headers, &b->to->arena, span_of(key), val_string(copy));
}

static void
set_int(struct builder *b, const char *key, int64_t n)
{
	if (b->err == E_OK)
		b->err = table_set(&b->to->headers, &b->to->arena, span_of(key), val_int(n));
}

/* Its end, from the start of a line when there is one. */
static void
set_output(struct builder *b, struct span output)
{
	struct span rest;

	table_del(&b->to->headers, "x-warren-output");
	if (output.len > DEAD_OUTPUT_MAX) {
		output.ptr += output.len - DEAD_OUTPUT_MAX;
		output.len = DEAD_OUTPUT_MAX;
		rest = output;
		span_split(&rest, '\n');
		if (rest.len > 0)
			output = rest;
	}
	output = span_trim(output);
	if (output.len > 0)
		set(b, "x-warren-output", output);
}

/* --- headers that are too large ---------------------------------------------------------------------------------------- */

/* Of a frame of 128 KiB, less what the other properties may take and what is added when it is passed on once more: a letter whose headers
 * fill a frame could not be replayed. */
#define HEADERS_MAX 110000
#define LEFT_OUT_MAX 255

static size_t val_size(const struct val *v);

static size_t
table_size(const struct table *t)
{
	size_t n = 4;

	for (size_t i = 0; i < t->count; i++)
		n += 1 + t->pairs[i].key.len + val_size(&t->pairs[i].value);
	return n;
}

/* Bytes on the wire, at most. Tables of a broker are not deep. */
static size_t
val_size(const struct val *v)
{
	size_t n = 5;

	switch (v->type) {
	case VAL_STRING:
	case VAL_BYTES:
		return n + v->u.string.len;
	case VAL_ARRAY:
		for (size_t i = 0; i < v->u.array.count; i++)
			n += val_size(&v->u.array.items[i]);
		return n;
	case VAL_TABLE:
		return 1 + table_size(v->u.table);
	default:
		return 1 + sizeof(int64_t);
	}
}

/* The largest that is not ours; NULL: there is none. */
static struct pair *
largest(const struct table *t)
{
	struct pair *found = NULL;

	for (size_t i = 0; i < t->count; i++)
		if (!span_starts(t->pairs[i].key, "x-warren-") &&
			(found == NULL || val_size(&t->pairs[i].value) > val_size(&found->value)))
			found = &t->pairs[i];
	return found;
}

static void
leave_out(struct builder *b)
{
	struct table *t = &b->to->headers;
	size_t size = table_size(t);
	struct buf names;
	struct pair *p;

	if (size <= HEADERS_MAX)
		return;
	buf_init(&names, LEFT_OUT_MAX);
	while (size + LEFT_OUT_MAX > HEADERS_MAX && (p = largest(t)) != NULL) {
		size -= 1 + p->key.len + val_size(&p->value);
		buf_adds(&names, names.len > 0 ? ", " : "");
		buf_add(&names, p->key);
		*p = t->pairs[--t->count];
	}
	if (b->err == E_OK && names.err == E_NOMEM)
		b->err = E_NOMEM;
	set(b, "x-warren-left-out", buf_span(&names));
	buf_release(&names);
}

void
dead_queue_name(char out[256], struct span origin)
{
	snprintf(out, 256, DEAD_QUEUE_PREFIX "%.*s", SPAN_FMT(origin));
}

enum err
dead_encode(struct msg *to, const struct msg *original, const struct dead_letter *d)
{
	struct builder b = { .to = to };
	char when[TEXT_TIME_MAX];
	struct span key;

	b.err = msg_copy(to, original);
	if (b.err != E_OK)
		return b.err;
	msg_make_ours(to);
	/* A dead letter stays until somebody looks at it, also across a restart of the broker. */
	to->expiration = SPAN_NONE;
	to->delivery_mode = 2;
	to->has_headers = true;
	set(&b, "x-warren-reason", d->reason);
	set(&b, "x-warren-error", d->error);
	set(&b, "x-warren-queue", d->queue);
	set(&b, "x-warren-exchange", original->exchange);
	set(&b, "x-warren-host", d->host);
	set(&b, "x-warren-time", (struct span){ when, text_format_time(d->now, when) });
	set_output(&b, d->output);
	set_int(&b, "x-warren-attempts", d->attempts);
	if (d->process_died)
		set_int(&b, d->signal != 0 ? "x-warren-signal" : "x-warren-exit-code",
			d->signal != 0 ? d->signal : d->exit_code);
	if (d->process_died && d->peak_memory > 0)
		set_int(&b, "x-warren-peak-memory", d->peak_memory);
	leave_out(&b);
	to->exchange = SPAN(DEAD_EXCHANGE);
	key = arena_dup(&to->arena, d->queue);
	to->routing_key = key;
	return b.err == E_OK && key.ptr == NULL ? E_NOMEM : b.err;
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

static struct span
some(struct span s)
{
	return s.len > 0 ? s : SPAN_NONE;
}

static struct span
header(const struct msg *m, const char *key)
{
	return some(table_get_string(&m->headers, key));
}

static uint64_t
fnv(uint64_t hash, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ (unsigned char)s.ptr[i]) * UINT64_C(0x100000001b3);
	/* So that "a","b" is not "ab","". */
	return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

static void
set_handle(struct dead_facts *f, const struct msg *m)
{
	uint64_t hash = fnv(UINT64_C(0xcbf29ce484222325), m->body);

	hash = fnv(hash, f->time_text);
	hash = fnv(hash, f->queue);
	snprintf(f->handle, sizeof(f->handle), "@%016" PRIx64, hash);
}

/* Protocol 2 says both in headers, protocol 1 in its body. */
static void
read_identity(struct dead_facts *f, struct msg *m)
{
	struct task t;

	f->task = header(m, "task");
	f->id = header(m, "id");
	if (f->task.ptr == NULL && f->id.ptr == NULL &&
		task_decode(&t, m, &task_limits_default, NULL) == TASK_FINE) {
		f->task = t.name;
		f->id = t.id;
	}
	if (f->id.ptr == NULL)
		f->id = some(m->correlation_id);
}

void
dead_read(struct dead_facts *f, struct msg *m)
{
	*f = (struct dead_facts){
		.reason = header(m, "x-warren-reason"),
		.error = header(m, "x-warren-error"),
		.queue = header(m, "x-warren-queue"),
		.exchange = header(m, "x-warren-exchange"),
		.host = header(m, "x-warren-host"),
		.output = header(m, "x-warren-output"),
		.time_text = header(m, "x-warren-time"),
		.time = INT64_MIN,
		.attempts = -1,
	};
	if (f->queue.ptr == NULL)
		f->queue = some(m->routing_key);
	if (f->time_text.ptr != NULL && !text_parse_time(f->time_text, &f->time))
		f->time = INT64_MIN;
	if (!table_get_int(&m->headers, "x-warren-attempts", &f->attempts))
		f->attempts = -1;
	read_identity(f, m);
	set_handle(f, m);
}

bool
dead_is_ended(const struct dead_facts *f)
{
	return span_is(f->reason, DEAD_REASON_ROUTE);
}

struct span
dead_name(const struct dead_facts *f)
{
	return f->id.ptr != NULL ? f->id : span_of(f->handle);
}

struct span
dead_body(struct msg *m)
{
	struct span codec = table_get_string(&m->headers, "compression"), clear;

	if (codec.len == 0 || !inflate_knows(codec) ||
		inflate_body(m->body, task_limits_default.body_max, &m->arena, &clear) != E_OK)
		return m->body;
	return clear;
}
