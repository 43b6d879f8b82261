/*
 * Protocol 1: the body of a task message is one object that holds everything. The same object beneath
 * protocol 2 headers gives only arguments and what follows.
 */
#include "wire/task_read.h"

#include "wire/field.h"

static enum task_fault
object_text(struct reader *r, const char *key, struct span value, struct span *out)
{
	enum err e = field_text(value, &r->m->arena, out);

	if (e == E_FORMAT)
		return FAULT(r, TASK_FAULT_HEADER, "'%s' is %s, not text", key, field_kind_name(value));
	if (!out->len)
		*out = SPAN_NONE;
	return e == E_OK ? TASK_FINE : reader_no_memory(r);
}

static enum task_fault
object_int(struct reader *r, const char *key, struct span value, int64_t *out)
{
	if (field_some(value).ptr && !jscan_int(value, out))
		return FAULT(r, TASK_FAULT_HEADER, "'%s' is no integer", key);
	return TASK_FINE;
}

static enum task_fault
object_timelimit(struct reader *r, struct span pair)
{
	double *const out[] = { &r->t->time_limit, &r->t->soft_time_limit };
	struct jscan_iter it;
	enum task_fault f;
	double seconds;
	size_t i;

	if (!field_some(pair).ptr)
		return TASK_FINE;
	if (jscan_kind(pair) != JSCAN_ARRAY || !jscan_begin(&it, pair))
		return FAULT(r, TASK_FAULT_HEADER, "'timelimit' is no array");
	if (jscan_count(pair) != ARRAY_LEN(out))
		return TASK_FINE;
	for (i = 0; i < ARRAY_LEN(out) && jscan_next(&it); i++) {
		if (!field_some(it.value).ptr)
			continue;
		if (!jscan_double(it.value, &seconds))
			return FAULT(r, TASK_FAULT_HEADER, "'timelimit' holds something other than numbers");
		f = reader_set_limit(r, seconds, out[i]);
		if (f != TASK_FINE)
			return f;
	}
	return TASK_FINE;
}

/* What protocol 1 keeps beside the arguments. */
struct object_facts {
	struct span task, id, group, taskset, group_index, retries, eta, expires, timelimit;
};

static enum task_fault
read_object_facts(struct reader *r, const struct object_facts *o)
{
	int64_t retries = 0, group_index = -1;
	enum task_fault f;

	r->t->protocol = 1;
	if (!field_some(o->task).ptr || !field_some(o->id).ptr)
		return FAULT(
			r, TASK_FAULT_NOT_A_TASK, "neither header 'task' nor a body with 'task' and 'id'");
	if ((f = object_text(r, "task", o->task, &r->t->name)) != TASK_FINE ||
		(f = object_text(r, "id", o->id, &r->t->id)) != TASK_FINE ||
		(f = object_text(r, "group", field_some(o->group).ptr ? o->group : o->taskset,
			 &r->t->group)) != TASK_FINE ||
		(f = object_text(r, "eta", o->eta, &r->t->eta_text)) != TASK_FINE ||
		(f = object_text(r, "expires", o->expires, &r->t->expires_text)) != TASK_FINE ||
		(f = reader_check_identity(r)) != TASK_FINE)
		return f;
	if ((f = reader_set_times(r)) != TASK_FINE ||
		(f = object_int(r, "retries", o->retries, &retries)) != TASK_FINE ||
		(f = object_int(r, "group_index", o->group_index, &group_index)) != TASK_FINE ||
		(f = reader_set_counts(r, retries, group_index)) != TASK_FINE)
		return f;
	return object_timelimit(r, o->timelimit);
}

enum task_fault
reader_object_body(struct reader *r, bool has_task_header)
{
	struct object_facts o;
	struct span args, kwargs, callbacks, errbacks, chord;
	const struct field fields[] = {
		{ SPAN("task"), &o.task },
		{ SPAN("id"), &o.id },
		{ SPAN("args"), &args },
		{ SPAN("kwargs"), &kwargs },
		{ SPAN("group"), &o.group },
		{ SPAN("taskset"), &o.taskset },
		{ SPAN("group_index"), &o.group_index },
		{ SPAN("retries"), &o.retries },
		{ SPAN("eta"), &o.eta },
		{ SPAN("expires"), &o.expires },
		{ SPAN("timelimit"), &o.timelimit },
		{ SPAN("callbacks"), &callbacks },
		{ SPAN("errbacks"), &errbacks },
		{ SPAN("chord"), &chord },
	};
	enum task_fault f;

	fields_get(r->body, fields, ARRAY_LEN(fields));
	if (has_task_header && !args.ptr)
		return FAULT(r, TASK_FAULT_MALFORMED, "the body is an object without args");
	f = has_task_header ? TASK_FINE : read_object_facts(r, &o);
	if (f != TASK_FINE)
		return f;
	f = reader_set_arguments(r, args.ptr ? args : SPAN("[]"), kwargs.ptr ? kwargs : SPAN("{}"));
	return f != TASK_FINE ? f : reader_set_follow_ups(r, callbacks, errbacks, SPAN_NONE, chord);
}
