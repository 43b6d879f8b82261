/*
 * Celery task messages on their way in. A message is taken apart, not built up: the body is checked once
 * (form, depth, number of containers) and then cut into raw slices; headers are read by type. Whatever a
 * peer may send, the answer is a task or a fault with a sentence, and never more memory than the limits
 * allow.
 *
 *   headers -> content type -> inflate -> check -> blank newlines -> protocol 2: headers + [args, kwargs, embed]
 *                                                                 -> protocol 1: one object
 *                                                                 -> both: headers win
 */
#include "wire/task_read.h"

#include "base/text.h"
#include "wire/field.h"
#include "wire/inflate.h"

#include <strings.h>

const struct task_limits task_limits_default = {
	.body_max = (size_t)64 << 20,
	.depth_max = 1000,
	.containers_max = 200000,
	.container_bytes = 32,
};

struct jscan_limits
task_json_limits(const struct task_limits *lim, size_t len)
{
	size_t by_length = lim->container_bytes > 0 ? len / lim->container_bytes : 0;

	return (struct jscan_limits){ .depth_max = lim->depth_max,
		.containers_max = by_length > lim->containers_max ? by_length : lim->containers_max };
}

const char *
task_fault_name(enum task_fault f)
{
	static const char *const names[] = {
		[TASK_FINE] = "fine",
		[TASK_FAULT_NOT_A_TASK] = "not-a-task",
		[TASK_FAULT_CONTENT_TYPE] = "content-type",
		[TASK_FAULT_COMPRESSION] = "compression",
		[TASK_FAULT_MALFORMED] = "malformed",
		[TASK_FAULT_TOO_BIG] = "too-big",
		[TASK_FAULT_HEADER] = "header",
		[TASK_FAULT_NOMEM] = "out-of-memory",
	};

	return names[f];
}

bool
task_id_is_valid(struct span id)
{
	return text_is_plain(id, 200);
}

bool
task_name_is_valid(struct span name)
{
	return text_is_plain(name, 255);
}

/* A stranger's short word for a sentence. */
static struct span
shown(struct span word)
{
	return text_is_plain(word, 64) ? word : SPAN("(unprintable)");
}

static bool
content_is_json(const struct msg *m)
{
	struct span type = m->content_type, coding = m->content_encoding, base;
	static const char *const codings[] = { "utf-8", "utf8", "us-ascii", "ascii", "binary" };
	size_t i;

	base = span_trim(span_split(&type, ';'));
	if (base.len &&
		(base.len != strlen("application/json") ||
			strncasecmp(base.ptr, "application/json", base.len) != 0))
		return false;
	if (!coding.len)
		return true;
	for (i = 0; i < ARRAY_LEN(codings); i++)
		if (coding.len == strlen(codings[i]) && strncasecmp(coding.ptr, codings[i], coding.len) == 0)
			return true;
	return false;
}

static enum task_fault
inflate_if_needed(struct reader *r, bool *ours)
{
	const struct val *v = table_get(&r->m->headers, "compression");
	struct errtext *why = r->why;
	enum err e;

	*ours = false;
	if (!v || v->type == VAL_VOID || (v->type == VAL_STRING && !v->u.string.len))
		return TASK_FINE;
	if (v->type != VAL_STRING)
		return FAULT(r, TASK_FAULT_HEADER, "'compression' is no text");
	if (!inflate_knows(v->u.string))
		return FAULT(r, TASK_FAULT_COMPRESSION,
			"the body is compressed with '%.*s'; only zlib and gzip can be read",
			SPAN_FMT(shown(v->u.string)));
	*ours = true;
	e = inflate_body(r->m->body, r->lim->body_max, &r->m->arena, &r->body);
	if (e == E_TOOBIG) {
		err_set(why, e, "the body inflates to more than %zu bytes", r->lim->body_max);
		return TASK_FAULT_TOO_BIG;
	}
	if (e == E_FORMAT)
		return FAULT(r, TASK_FAULT_COMPRESSION, "the compressed body is broken or cut short");
	return e == E_OK ? TASK_FINE : reader_no_memory(r);
}

/* Strings hold no raw newlines, so every one stands between tokens and may become a blank. */
static enum task_fault
blank_newlines(struct reader *r, bool ours)
{
	char *copy;
	size_t i;

	copy = ours ? (char *)(uintptr_t)r->body.ptr : arena_alloc(&r->m->arena, r->body.len);
	if (!copy)
		return reader_no_memory(r);
	for (i = 0; i < r->body.len; i++)
		copy[i] = r->body.ptr[i] == '\n' || r->body.ptr[i] == '\r' ? ' ' : r->body.ptr[i];
	r->body.ptr = copy;
	return TASK_FINE;
}

static enum task_fault
read_body(struct reader *r)
{
	struct jscan_limits lim;
	struct jscan_facts facts;
	enum task_fault f;
	bool ours;
	enum err e;

	if (!content_is_json(r->m))
		return FAULT(r, TASK_FAULT_CONTENT_TYPE,
			"content type '%.*s' with encoding '%.*s' cannot be read; send application/json in "
			"utf-8",
			SPAN_FMT(shown(r->m->content_type)), SPAN_FMT(shown(r->m->content_encoding)));
	r->body = r->m->body;
	if (r->lim->body_max && r->body.len > r->lim->body_max)
		return FAULT(r, TASK_FAULT_TOO_BIG, "the body has %zu bytes, more than %zu", r->body.len,
			r->lim->body_max);
	f = inflate_if_needed(r, &ours);
	if (f != TASK_FINE)
		return f;
	lim = task_json_limits(r->lim, r->body.len);
	e = jscan_check(r->body, &lim, &facts, r->why);
	if (e != E_OK) {
		err_prefix(r->why, e, "the body");
		return e == E_NOMEM     ? TASK_FAULT_NOMEM
			: e == E_TOOBIG ? TASK_FAULT_TOO_BIG
					: TASK_FAULT_MALFORMED;
	}
	r->body = span_trim(r->body);
	return facts.has_newline ? blank_newlines(r, ours) : TASK_FINE;
}

static enum task_fault
read_array_body(struct reader *r)
{
	struct span parts[3], callbacks, errbacks, chain, chord;
	const struct field fields[] = {
		{ SPAN("callbacks"), &callbacks },
		{ SPAN("errbacks"), &errbacks },
		{ SPAN("chain"), &chain },
		{ SPAN("chord"), &chord },
	};
	struct jscan_iter it;
	enum task_fault f;
	size_t n = 0;

	if (jscan_begin(&it, r->body))
		for (; n <= ARRAY_LEN(parts) && jscan_next(&it); n++)
			if (n < ARRAY_LEN(parts))
				parts[n] = it.value;
	if (n != ARRAY_LEN(parts))
		return FAULT(r, TASK_FAULT_MALFORMED, "the body is not an array of args, kwargs and embed");
	if (jscan_kind(parts[2]) != JSCAN_NULL && jscan_kind(parts[2]) != JSCAN_OBJECT)
		return FAULT(r, TASK_FAULT_MALFORMED, "embed is %s, not an object", field_kind_name(parts[2]));
	f = reader_set_arguments(r, parts[0], parts[1]);
	if (f != TASK_FINE)
		return f;
	fields_get(parts[2], fields, ARRAY_LEN(fields));
	return reader_set_follow_ups(r, callbacks, errbacks, chain, chord);
}

enum task_fault
task_decode(struct task *t, struct msg *m, const struct task_limits *limits, struct errtext *why)
{
	struct reader r = { .t = t, .m = m, .lim = limits, .why = why };
	const struct val *task = table_get(&m->headers, "task");
	bool has_task_header = task && task->type != VAL_VOID;
	enum task_fault f;

	*t = (struct task){
		.protocol = 2,
		.group_index = -1,
		.eta = INT64_MIN,
		.expires = INT64_MIN,
		.time_limit = -1,
		.soft_time_limit = -1,
		.priority_plus1 = m->priority + 1,
		.reply_to = m->reply_to,
		.correlation_id = m->correlation_id,
		.headers = m->has_headers ? &m->headers : NULL,
	};
	if (has_task_header && (f = reader_headers(&r)) != TASK_FINE)
		return f;
	f = read_body(&r);
	if (f != TASK_FINE)
		return f;
	if (jscan_kind(r.body) == JSCAN_OBJECT)
		return reader_object_body(&r, has_task_header);
	if (!has_task_header)
		return FAULT(&r, TASK_FAULT_NOT_A_TASK, "neither header 'task' nor a body that is a task");
	return read_array_body(&r);
}
