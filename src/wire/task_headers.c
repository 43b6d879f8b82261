/*
 * Protocol 2: what the headers of a task message say. They are found in one walk over the table and read
 * by type; "" stands for null, as many ports send it.
 */
#include "wire/task_read.h"

struct header {
	struct span key;
	const struct val *value; /* NULL when absent or void */
};

enum {
	H_TASK,
	H_ID,
	H_SHADOW,
	H_ETA,
	H_EXPIRES,
	H_GROUP,
	H_GROUP_INDEX,
	H_RETRIES,
	H_TIMELIMIT,
	H_ROOT_ID,
	H_PARENT_ID,
	H_LANG,
	H_ARGSREPR,
	H_KWARGSREPR,
	H_ORIGIN,
	H_IGNORE_RESULT,
	H_NESTING,
	H_COUNT
};

static void
find_headers(const struct table *t, struct header h[H_COUNT])
{
	size_t i, j;

	for (i = 0; i < t->count; i++)
		for (j = 0; j < H_COUNT; j++)
			if (span_eq(t->pairs[i].key, h[j].key)) {
				h[j].value = t->pairs[i].value.type == VAL_VOID ? NULL : &t->pairs[i].value;
				break;
			}
}

/* "" stands for null with many ports. False when it is no text. */
static bool
header_text(const struct header *h, struct span *out)
{
	*out = SPAN_NONE;
	if (!h->value)
		return true;
	if (h->value->type != VAL_STRING && h->value->type != VAL_BYTES)
		return false;
	if (h->value->u.string.len)
		*out = h->value->u.string;
	return true;
}

static enum task_fault
header_int(struct reader *r, const struct header *h, int64_t *out)
{
	if (!h->value)
		return TASK_FINE;
	if (h->value->type != VAL_INT)
		return FAULT(r, TASK_FAULT_HEADER, "'%.*s' is no integer", SPAN_FMT(h->key));
	*out = h->value->u.integer;
	return TASK_FINE;
}

static enum task_fault
header_limit(struct reader *r, const struct val *v, double *out)
{
	if (v->type == VAL_VOID)
		return TASK_FINE;
	if (v->type == VAL_INT)
		return reader_set_limit(r, (double)v->u.integer, out);
	if (v->type == VAL_DOUBLE)
		return reader_set_limit(r, v->u.number, out);
	return FAULT(r, TASK_FAULT_HEADER, "'timelimit' holds something other than numbers");
}

/* Hard limit first, whatever Celery's protocol page says. A pair of another length sets nothing. */
static enum task_fault
header_timelimit(struct reader *r, const struct header *h)
{
	enum task_fault f;

	if (!h->value)
		return TASK_FINE;
	if (h->value->type != VAL_ARRAY)
		return FAULT(r, TASK_FAULT_HEADER, "'timelimit' is no array");
	if (h->value->u.array.count != 2)
		return TASK_FINE;
	f = header_limit(r, &h->value->u.array.items[0], &r->t->time_limit);
	return f != TASK_FINE ? f : header_limit(r, &h->value->u.array.items[1], &r->t->soft_time_limit);
}

static enum task_fault
header_numbers(struct reader *r, struct header h[H_COUNT])
{
	int64_t retries = 0, group_index = -1;
	const struct val *v = h[H_IGNORE_RESULT].value;
	enum task_fault f;

	if (v && v->type != VAL_BOOL && v->type != VAL_INT)
		return FAULT(r, TASK_FAULT_HEADER, "'ignore_result' is no boolean");
	if (v)
		r->t->ignore_result = v->type == VAL_BOOL ? v->u.boolean : v->u.integer != 0;
	if ((f = header_int(r, &h[H_RETRIES], &retries)) != TASK_FINE ||
		(f = header_int(r, &h[H_GROUP_INDEX], &group_index)) != TASK_FINE ||
		(f = header_int(r, &h[H_NESTING], &r->t->replaced_task_nesting)) != TASK_FINE ||
		(f = reader_set_counts(r, retries, group_index)) != TASK_FINE)
		return f;
	return header_timelimit(r, &h[H_TIMELIMIT]);
}

enum task_fault
reader_headers(struct reader *r)
{
	struct header h[H_COUNT] = {
		[H_TASK] = { SPAN("task"), NULL },
		[H_ID] = { SPAN("id"), NULL },
		[H_SHADOW] = { SPAN("shadow"), NULL },
		[H_ETA] = { SPAN("eta"), NULL },
		[H_EXPIRES] = { SPAN("expires"), NULL },
		[H_GROUP] = { SPAN("group"), NULL },
		[H_GROUP_INDEX] = { SPAN("group_index"), NULL },
		[H_RETRIES] = { SPAN("retries"), NULL },
		[H_TIMELIMIT] = { SPAN("timelimit"), NULL },
		[H_ROOT_ID] = { SPAN("root_id"), NULL },
		[H_PARENT_ID] = { SPAN("parent_id"), NULL },
		[H_LANG] = { SPAN("lang"), NULL },
		[H_ARGSREPR] = { SPAN("argsrepr"), NULL },
		[H_KWARGSREPR] = { SPAN("kwargsrepr"), NULL },
		[H_ORIGIN] = { SPAN("origin"), NULL },
		[H_IGNORE_RESULT] = { SPAN("ignore_result"), NULL },
		[H_NESTING] = { SPAN("replaced_task_nesting"), NULL },
	};
	const struct {
		struct span *out;
		int h;
		bool shown_only; /* what is only shown must not cost a task its life */
	} texts[] = {
		{ &r->t->name, H_TASK, false },
		{ &r->t->id, H_ID, false },
		{ &r->t->eta_text, H_ETA, false },
		{ &r->t->expires_text, H_EXPIRES, false },
		{ &r->t->group, H_GROUP, false },
		{ &r->t->root_id, H_ROOT_ID, false },
		{ &r->t->parent_id, H_PARENT_ID, false },
		{ &r->t->shadow, H_SHADOW, true },
		{ &r->t->lang, H_LANG, true },
		{ &r->t->argsrepr, H_ARGSREPR, true },
		{ &r->t->kwargsrepr, H_KWARGSREPR, true },
		{ &r->t->origin, H_ORIGIN, true },
	};
	enum task_fault f;
	size_t i;

	find_headers(&r->m->headers, h);
	if (!h[H_ID].value)
		return FAULT(r, TASK_FAULT_NOT_A_TASK, "header 'id' is missing");
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		if (!header_text(&h[texts[i].h], texts[i].out) && !texts[i].shown_only)
			return FAULT(r, TASK_FAULT_HEADER, "'%.*s' is no text", SPAN_FMT(h[texts[i].h].key));
	}
	if ((f = reader_check_identity(r)) != TASK_FINE || (f = reader_set_times(r)) != TASK_FINE)
		return f;
	return header_numbers(r, h);
}
