/*
 * The values of a task, whichever protocol brought them: checked once, here, and put into the task.
 */
#include "wire/task_read.h"

#include "base/text.h"
#include "wire/field.h"

#include <limits.h>
#include <math.h>

enum task_fault
reader_no_memory(struct reader *r)
{
	err_set(r->why, E_NOMEM, "out of memory while reading the message");
	return TASK_FAULT_NOMEM;
}

enum task_fault
reader_check_identity(struct reader *r)
{
	if (!task_name_is_valid(r->t->name))
		return FAULT(r, TASK_FAULT_HEADER,
			"'task' is not 1-255 bytes of UTF-8 without control characters");
	if (!task_id_is_valid(r->t->id))
		return FAULT(
			r, TASK_FAULT_HEADER, "'id' is not 1-200 bytes of UTF-8 without control characters");
	return TASK_FINE;
}

static enum task_fault
read_time(struct reader *r, const char *key, struct span text, us_t *out)
{
	if (text.ptr && !text_parse_time(text, out))
		return FAULT(r, TASK_FAULT_HEADER, "'%s' is no ISO 8601 time", key);
	return TASK_FINE;
}

enum task_fault
reader_set_times(struct reader *r)
{
	enum task_fault f = read_time(r, "eta", r->t->eta_text, &r->t->eta);

	return f != TASK_FINE ? f : read_time(r, "expires", r->t->expires_text, &r->t->expires);
}

/* 0 is what Celery takes for "no limit", too. */
enum task_fault
reader_set_limit(struct reader *r, double seconds, double *out)
{
	if (!(seconds >= 0) || isinf(seconds))
		return FAULT(r, TASK_FAULT_HEADER, "'timelimit' holds a number that is no duration");
	*out = seconds > 0 ? seconds : -1;
	return TASK_FINE;
}

enum task_fault
reader_set_counts(struct reader *r, int64_t retries, int64_t group_index)
{
	if (retries < 0)
		return FAULT(r, TASK_FAULT_HEADER, "'retries' is negative");
	if (group_index < -1 || group_index > INT_MAX)
		return FAULT(r, TASK_FAULT_HEADER, "'group_index' is out of range");
	r->t->retries = retries;
	r->t->group_index = (int)group_index;
	return TASK_FINE;
}

/* The parts of embed, or of a protocol 1 body, that say what follows. */
enum task_fault
reader_set_follow_ups(
	struct reader *r, struct span callbacks, struct span errbacks, struct span chain, struct span chord)
{
	const struct {
		const char *key;
		struct span value;
		struct span *out;
		bool array, object;
	} parts[] = {
		{ "callbacks", callbacks, &r->t->callbacks, true, true },
		{ "errbacks", errbacks, &r->t->errbacks, true, true },
		{ "chain", chain, &r->t->chain, true, false },
		{ "chord", chord, &r->t->chord, false, true },
	};
	enum jscan_kind kind;
	size_t i;

	for (i = 0; i < ARRAY_LEN(parts); i++) {
		*parts[i].out = field_some(parts[i].value);
		kind = jscan_kind(*parts[i].out);
		if (kind != JSCAN_NONE && !(parts[i].array && kind == JSCAN_ARRAY) &&
			!(parts[i].object && kind == JSCAN_OBJECT))
			return FAULT(r, TASK_FAULT_MALFORMED, "'%s' is %s", parts[i].key,
				field_kind_name(*parts[i].out));
	}
	return TASK_FINE;
}

enum task_fault
reader_set_arguments(struct reader *r, struct span args, struct span kwargs)
{
	if (jscan_kind(args) != JSCAN_ARRAY)
		return FAULT(r, TASK_FAULT_MALFORMED, "args is %s, not an array", field_kind_name(args));
	if (jscan_kind(kwargs) != JSCAN_OBJECT)
		return FAULT(r, TASK_FAULT_MALFORMED, "kwargs is %s, not an object", field_kind_name(kwargs));
	r->t->args = args;
	r->t->kwargs = kwargs;
	return TASK_FINE;
}
