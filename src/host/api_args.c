/*
 * warren/task.h: what was asked. Arguments stay the JSON they came as until one is asked for; then only that
 * one is read. What is handed out as text is a copy that ends with NUL and lives as long as the call.
 */
#include "host/call.h"

const char *
warren_id(const struct warren_task *t)
{
	return t->id;
}

const char *
warren_name(const struct warren_task *t)
{
	return t->name;
}

int64_t
warren_retries(const struct warren_task *t)
{
	int64_t n = 0;

	return jscan_int(jscan_member(t->run->request, "retries"), &n) ? n : 0;
}

static const char *
whole(const struct warren_task *t, const char **slot, struct span json)
{
	if (!*slot)
		*slot = call_dup(t, json);
	return *slot;
}

const char *
warren_request_json(const struct warren_task *t)
{
	return whole(t, &t->memory->request, t->run->request);
}

const char *
warren_args_json(const struct warren_task *t)
{
	return whole(t, &t->memory->args, t->run->args);
}

const char *
warren_kwargs_json(const struct warren_task *t)
{
	return whole(t, &t->memory->kwargs, t->run->kwargs);
}

size_t
warren_arg_count(const struct warren_task *t)
{
	return jscan_count(t->run->args);
}

static struct span
positional(const struct warren_task *t, size_t i)
{
	struct jscan_iter it;

	if (!jscan_begin(&it, t->run->args))
		return SPAN_NONE;
	while (jscan_next(&it))
		if (i-- == 0)
			return it.value;
	return SPAN_NONE;
}

static struct span
named(const struct warren_task *t, const char *key)
{
	return key ? jscan_member(t->run->kwargs, key) : SPAN_NONE;
}

static bool
read_bool(struct span value, bool *out)
{
	enum jscan_kind kind = jscan_kind(value);

	if (kind != JSCAN_TRUE && kind != JSCAN_FALSE)
		return false;
	*out = kind == JSCAN_TRUE;
	return true;
}

static bool
read_int(struct span value, int64_t *out)
{
	return jscan_kind(value) == JSCAN_NUMBER && jscan_int(value, out);
}

static bool
read_text(struct warren_task *t, struct span value, const char **out, size_t *len)
{
	struct span text;
	struct buf b;
	bool fine = false;

	if (jscan_kind(value) != JSCAN_STRING)
		return false;
	buf_init(&b, 0);
	if (!jscan_plain_string(value, &text)) {
		jscan_add_string(&b, value);
		text = b.len ? buf_span(&b) : SPAN("");
	}
	if (b.err != E_OK) {
		t->memory->no_memory = true;
	} else {
		*out = call_dup(t, text);
		if (len)
			*len = text.len;
		fine = !t->memory->no_memory;
	}
	buf_release(&b);
	return fine;
}

static const char *
read_json(struct warren_task *t, struct span value)
{
	return value.ptr ? call_dup(t, value) : NULL;
}

bool
warren_arg_int(const struct warren_task *t, size_t i, int64_t *out)
{
	return read_int(positional(t, i), out);
}

bool
warren_arg_double(const struct warren_task *t, size_t i, double *out)
{
	return jscan_double(positional(t, i), out);
}

bool
warren_arg_bool(const struct warren_task *t, size_t i, bool *out)
{
	return read_bool(positional(t, i), out);
}

bool
warren_arg_text(struct warren_task *t, size_t i, const char **out, size_t *len)
{
	return read_text(t, positional(t, i), out, len);
}

const char *
warren_arg_json(struct warren_task *t, size_t i)
{
	return read_json(t, positional(t, i));
}

bool
warren_kwarg_int(const struct warren_task *t, const char *key, int64_t *out)
{
	return read_int(named(t, key), out);
}

bool
warren_kwarg_double(const struct warren_task *t, const char *key, double *out)
{
	return jscan_double(named(t, key), out);
}

bool
warren_kwarg_bool(const struct warren_task *t, const char *key, bool *out)
{
	return read_bool(named(t, key), out);
}

bool
warren_kwarg_text(struct warren_task *t, const char *key, const char **out, size_t *len)
{
	return read_text(t, named(t, key), out, len);
}

const char *
warren_kwarg_json(struct warren_task *t, const char *key)
{
	return read_json(t, named(t, key));
}
