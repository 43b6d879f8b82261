/* See builtin.h. Arguments are read in place; what is started is written as a signature, and from then on it is canvas like any other. */
#include "core/builtin.h"

#include "base/js.h"
#include "wire/sig.h"

/* Of one series, as of one message. */
#define RESULTS_MAX ((size_t)64 << 20)

enum builtin
builtin_find(struct span name)
{
	static const struct {
		const char *name;
		enum builtin builtin;
	} names[] = {
		{ "celery.map", BUILTIN_MAP },
		{ "celery.starmap", BUILTIN_STARMAP },
		{ "celery.accumulate", BUILTIN_ACCUMULATE },
		{ "celery.backend_cleanup", BUILTIN_CLEANUP },
		{ "celery.chunks", BUILTIN_CHUNKS },
		{ "celery.group", BUILTIN_GROUP },
		{ "celery.chord", BUILTIN_CHORD },
		{ "celery.chain", BUILTIN_CHAIN },
	};

	if (!span_starts(name, "celery."))
		return BUILTIN_NONE;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_is(name, names[i].name))
			return names[i].builtin;
	return BUILTIN_NONE;
}

bool
builtin_is_series(enum builtin b)
{
	return b == BUILTIN_MAP || b == BUILTIN_STARMAP;
}

/* By its name, or by its place as Python allows; SPAN_NONE when absent or null. */
static struct span
argument(const struct task *t, const char *name, size_t place)
{
	struct span raw = jscan_member(t->kwargs, name);
	struct jscan_iter it;

	if (raw.ptr == NULL && jscan_begin(&it, t->args))
		for (size_t i = 0; jscan_next(&it); i++)
			if (i == place)
				raw = it.value;
	return jscan_kind(raw) == JSCAN_NULL ? SPAN_NONE : raw;
}

/* --- series -------------------------------------------------------------------------------------------------------------- */

enum err
series_init(struct series *s, enum builtin b, const struct task *t, struct arena *a, struct errtext *why)
{
	struct span task = argument(t, "task", 0), items = argument(t, "it", 1);
	struct sig sig;
	enum err e;

	*s = (struct series){ .is_star = b == BUILTIN_STARMAP };
	buf_init(&s->args, 0);
	buf_init(&s->results, RESULTS_MAX);
	if (task.ptr == NULL || jscan_kind(items) != JSCAN_ARRAY)
		return err_set(
			why, E_FORMAT, "%.*s needs 'task', a signature, and 'it', a list", SPAN_FMT(t->name));
	e = sig_decode(&sig, task, a, why);
	if (e != E_OK)
		return e;
	if (sig.type != SIG_PLAIN || builtin_find(sig.task) != BUILTIN_NONE)
		return err_set(why, E_FORMAT, "%.*s can only run a plain task, not %.*s", SPAN_FMT(t->name),
			SPAN_FMT(sig.task));
	s->name = sig.task;
	buf_addc(&s->results, '[');
	return jscan_begin(&s->items, items) ? s->results.err : E_FORMAT;
}

void
series_release(struct series *s)
{
	buf_release(&s->args);
	buf_release(&s->results);
}

bool
series_next(struct series *s)
{
	if (!jscan_next(&s->items)) {
		buf_addc(&s->results, ']');
		return false;
	}
	buf_reset(&s->args);
	/* What is no list is handed on as it is: the task says what it thinks of it. */
	if (s->is_star && jscan_kind(s->items.value) == JSCAN_ARRAY)
		buf_add(&s->args, s->items.value);
	else
		buf_addf(&s->args, "[%.*s]", SPAN_FMT(s->items.value));
	return true;
}

void
series_add(struct series *s, struct span result)
{
	buf_adds(&s->results, s->n_results++ > 0 ? ", " : "");
	buf_add(&s->results, result.len > 0 ? result : SPAN("null"));
}

/* --- tasks without a run ------------------------------------------------------------------------------------------------- */

static void
fail(struct builtin_end *out, const char *type, const char *text)
{
	out->type = type;
	err_set(&out->error, E_FORMAT, "%s", text);
}

static void
accumulate(struct builtin_end *out, const struct task *t)
{
	struct span index = jscan_member(t->kwargs, "index");
	struct jscan_iter it;
	int64_t i = 0;

	out->value = t->args;
	if (index.ptr == NULL || jscan_kind(index) == JSCAN_NULL)
		return;
	out->value = SPAN_NONE;
	if (!jscan_int(index, &i)) {
		fail(out, "TypeError", "tuple indices must be integers");
		return;
	}
	if (i < 0)
		i += (int64_t)jscan_count(t->args);
	if (jscan_begin(&it, t->args))
		for (int64_t at = 0; jscan_next(&it); at++)
			if (at == i)
				out->value = it.value;
	if (out->value.ptr == NULL)
		fail(out, "IndexError", "tuple index out of range");
}

static void
add_starmap(struct js *w, struct span task, const struct span *items, size_t n)
{
	js_object(w);
	js_key(w, "task");
	js_text(w, "celery.starmap");
	js_key(w, "kwargs");
	js_object(w);
	js_key(w, "task");
	js_raw(w, task);
	js_key(w, "it");
	js_array(w);
	for (size_t i = 0; i < n; i++)
		js_raw(w, items[i]);
	js_array_end(w);
	js_object_end(w);
	js_key(w, "immutable");
	js_bool(w, true);
	js_object_end(w);
}

/* A group of series of at most so many items. */
static enum err
chunks(struct builtin_end *out, const struct task *t, struct arena *a)
{
	struct span task = argument(t, "task", 0), items = argument(t, "it", 1), *part;
	struct jscan_iter it;
	int64_t size = 0;
	size_t n = 0;
	struct buf b;
	struct js w;

	if (task.ptr == NULL || !jscan_int(argument(t, "n", 2), &size) || size < 1 ||
		!jscan_begin(&it, items) || it.is_object) {
		fail(out, "TypeError",
			"celery.chunks needs 'task', a signature, 'it', a list, and 'n', the size of a "
			"chunk");
		return E_OK;
	}
	part = arena_alloc(a, (jscan_count(items) + 1) * sizeof(*part));
	if (part == NULL)
		return E_NOMEM;
	buf_init(&b, 0);
	js_init(&w, &b);
	buf_adds(&b, "{\"task\": \"celery.group\", \"subtask_type\": \"group\", \"kwargs\": {\"tasks\": ");
	js_array(&w);
	while (jscan_next(&it)) {
		part[n++] = it.value;
		if ((int64_t)n == size) {
			add_starmap(&w, task, part, n);
			n = 0;
		}
	}
	if (n > 0)
		add_starmap(&w, task, part, n);
	js_array_end(&w);
	buf_adds(&b, "}}");
	return buf_keep(&b, a, &out->start);
}

/* celery.group(tasks, result, group_id, partial_args): what clients of long ago send. */
static enum err
group(struct builtin_end *out, const struct task *t, struct arena *a)
{
	struct span tasks = argument(t, "tasks", 0), id = argument(t, "group_id", 2);
	struct buf b;

	out->args = argument(t, "partial_args", 3);
	if (jscan_kind(tasks) != JSCAN_ARRAY) {
		fail(out, "TypeError", "celery.group needs 'tasks', a list of signatures");
		return E_OK;
	}
	buf_init(&b, 0);
	buf_addf(&b, "{\"task\": \"celery.group\", \"subtask_type\": \"group\", \"kwargs\": {\"tasks\": ");
	buf_add(&b, tasks);
	buf_adds(&b, "}, \"options\": {\"task_id\": ");
	buf_add(&b, id.ptr != NULL ? id : SPAN("null"));
	buf_adds(&b, "}}");
	return buf_keep(&b, a, &out->start);
}

/* celery.chord(header, body, partial_args). */
static enum err
chord(struct builtin_end *out, const struct task *t, struct arena *a)
{
	struct span header = argument(t, "header", 0), body = argument(t, "body", 1);
	struct buf b;

	out->args = argument(t, "partial_args", 2);
	if (header.ptr == NULL || body.ptr == NULL) {
		fail(out, "TypeError", "celery.chord needs 'header' and 'body'");
		return E_OK;
	}
	buf_init(&b, 0);
	buf_adds(&b, "{\"task\": \"celery.chord\", \"subtask_type\": \"chord\", \"kwargs\": {\"header\": ");
	buf_add(&b, header);
	buf_adds(&b, ", \"body\": ");
	buf_add(&b, body);
	buf_adds(&b, "}}");
	return buf_keep(&b, a, &out->start);
}

enum err
builtin_end(struct builtin_end *out, enum builtin b, const struct task *t, struct arena *a)
{
	*out = (struct builtin_end){ .value = SPAN("null") };
	switch (b) {
	case BUILTIN_ACCUMULATE:
		accumulate(out, t);
		break;
	case BUILTIN_CHUNKS:
		return chunks(out, t, a);
	case BUILTIN_GROUP:
		return group(out, t, a);
	case BUILTIN_CHORD:
		return chord(out, t, a);
	case BUILTIN_CHAIN:
		fail(out, "NotImplementedError", "chain is not a real task");
		break;
	case BUILTIN_CLEANUP: /* Redis lets results expire by itself */
	case BUILTIN_NONE:
	case BUILTIN_MAP:
	case BUILTIN_STARMAP:
		break;
	}
	return E_OK;
}
