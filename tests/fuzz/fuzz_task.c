/*
 * Task messages. The bytes choose properties, headers of any type, and the body. What decodes as a task must keep the
 * contract of task.h, and a message written for the same task must decode to the same arguments.
 *
 *   flags, number of headers, { key, type, length, bytes }..., body
 */
#include "fuzz.h"

#include "base/jscan.h"
#include "base/text.h"
#include "wire/task.h"

static const char *const keys[] = { "task", "id", "lang", "shadow", "eta", "expires", "group", "group_index",
	"retries", "timelimit", "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result",
	"compression", "replaced_task_nesting", "x-mine" };

struct feed {
	const uint8_t *p, *end;
};

static uint8_t
next_byte(struct feed *f)
{
	return f->p < f->end ? *f->p++ : 0;
}

static struct span
next_span(struct feed *f)
{
	size_t n = next_byte(f);
	struct span s = { (const char *)f->p, n < (size_t)(f->end - f->p) ? n : (size_t)(f->end - f->p) };

	f->p += s.len;
	return s.len ? s : SPAN("");
}

static int64_t
as_int(struct span s)
{
	int64_t i = 0;
	size_t at;

	for (at = 0; at < s.len && at < 8; at++)
		i = (int64_t)((uint64_t)i << 8 | (uint8_t)s.ptr[at]);
	return i;
}

static struct val
next_val(struct feed *f, struct arena *a, int depth)
{
	enum val_type type = (enum val_type)(next_byte(f) % (VAL_TABLE + 1));
	struct span s = next_span(f);
	struct val v = { .type = type };
	size_t i;

	switch (type) {
	case VAL_BOOL:
		v.u.boolean = s.len > 0;
		break;
	case VAL_INT:
	case VAL_TIME:
		v.u.integer = as_int(s);
		break;
	case VAL_DOUBLE:
		v.u.number = (double)as_int(s) / 3;
		break;
	case VAL_STRING:
	case VAL_BYTES:
		v.u.string = s;
		break;
	case VAL_ARRAY:
		v.u.array.count = depth < 3 ? s.len % 4 : 0;
		v.u.array.items = arena_zero(a, 4 * sizeof(struct val));
		CHECK(v.u.array.items);
		for (i = 0; i < v.u.array.count; i++)
			v.u.array.items[i] = next_val(f, a, depth + 1);
		break;
	case VAL_TABLE:
		v.u.table = arena_zero(a, sizeof(*v.u.table));
		CHECK(v.u.table);
		break;
	case VAL_VOID:
	case VAL_DECIMAL:
		break;
	}
	return v;
}

static void
fill(struct msg *m, struct feed *f)
{
	static const char *const types[] = { "application/json", "APPLICATION/json ; x", "text/plain", NULL };
	uint8_t flags = next_byte(f);
	int n = next_byte(f) % 24;
	size_t key;

	m->content_type = span_of(types[flags & 3]);
	m->content_encoding = flags & 4 ? SPAN("utf-8") : SPAN_NONE;
	m->has_headers = (flags & 8) == 0;
	while (n-- > 0) {
		key = next_byte(f) % ARRAY_LEN(keys);
		CHECK(table_add(&m->headers, &m->arena, span_of(keys[key]), next_val(f, &m->arena, 0)) == E_OK);
	}
	m->body = (struct span){ (const char *)f->p, (size_t)(f->end - f->p) };
}

static void
check_raw(struct span raw, enum jscan_kind a, enum jscan_kind b, const struct task_limits *lim)
{
	const struct jscan_limits l = { lim->depth_max, lim->containers_max };

	CHECK(raw.len && (jscan_kind(raw) == a || jscan_kind(raw) == b));
	CHECK(jscan_check(raw, &l, NULL, NULL) == E_OK);
	CHECK(!memchr(raw.ptr, '\n', raw.len) && !memchr(raw.ptr, '\r', raw.len));
}

static void
check_task(const struct task *t, const struct task_limits *lim)
{
	struct buf b;

	CHECK(task_id_is_valid(t->id) && task_name_is_valid(t->name));
	CHECK(t->retries >= 0 && t->group_index >= -1);
	CHECK(t->time_limit < 0 || t->time_limit > 0);
	CHECK((t->eta == INT64_MIN) == (t->eta_text.ptr == NULL));
	check_raw(t->args, JSCAN_ARRAY, JSCAN_ARRAY, lim);
	check_raw(t->kwargs, JSCAN_OBJECT, JSCAN_OBJECT, lim);
	if (t->callbacks.ptr)
		check_raw(t->callbacks, JSCAN_ARRAY, JSCAN_OBJECT, lim);
	if (t->chain.ptr)
		check_raw(t->chain, JSCAN_ARRAY, JSCAN_ARRAY, lim);
	if (t->chord.ptr)
		check_raw(t->chord, JSCAN_OBJECT, JSCAN_OBJECT, lim);
	buf_init(&b, 0);
	task_add_argsrepr(&b, t->args);
	task_add_repr(&b, t->kwargs, 40);
	CHECK(b.err == E_OK && b.len > 0 && text_is_utf8(buf_span(&b)));
	buf_release(&b);
}

static void
check_again(const struct task *t, bool compress)
{
	const struct task_call call = { .id = t->id,
		.name = t->name,
		.args = t->args,
		.kwargs = t->kwargs,
		.callbacks = t->callbacks,
		.errbacks = t->errbacks,
		.chain = t->chain,
		.chord = t->chord,
		.retries = t->retries,
		.eta = t->eta == INT64_MIN ? 0 : t->eta,
		.compress = compress };
	struct task again;
	struct msg m;

	msg_init(&m, 0);
	CHECK(task_encode(&call, &m, NULL) == E_OK);
	CHECK(task_decode(&again, &m, &task_limits_default, NULL) == TASK_FINE);
	CHECK(span_eq(again.id, t->id) && span_eq(again.name, t->name) && again.retries == t->retries);
	CHECK(span_eq(again.args, t->args) && span_eq(again.kwargs, t->kwargs));
	CHECK(span_eq(again.callbacks, t->callbacks) && span_eq(again.errbacks, t->errbacks));
	CHECK(span_eq(again.chain, t->chain) && span_eq(again.chord, t->chord));
	CHECK(again.eta == (call.eta ? call.eta : INT64_MIN));
	msg_release(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* One level and a few containers below the default, since the message written again adds some. */
	const struct task_limits lim = { .body_max = 1 << 20, .depth_max = 60, .containers_max = 1000 };
	struct feed f = { data, data + size };
	struct errtext why = { "" };
	struct task t;
	struct msg m;
	enum task_fault fault;

	msg_init(&m, 0);
	fill(&m, &f);
	fault = task_decode(&t, &m, &lim, &why);
	CHECK((fault == TASK_FINE) == (why.text[0] == '\0'));
	if (fault == TASK_FINE) {
		check_task(&t, &lim);
		check_again(&t, size % 16 == 0);
	}
	msg_release(&m);
	return 0;
}
