/*
 * warren/task.h: what a task says while it runs and how it ends. States are sent at once; the outcome is only
 * noted here and sent when the task's function has returned, so the last word counts.
 */
#include "host/call.h"

#include "base/js.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* Beyond this a double does not hold every integer. */
#define EXACT_MAX 9007199254740992.0
/* How deep a value stands in its frame, which must not be deeper than JSON may be. */
#define FRAME_DEPTH 2

/* Adds JSON of the module's making, on one line. */
static enum err
add_checked(struct buf *b, const char *json, struct errtext *t)
{
	const struct jscan_limits limits = { .depth_max = JSCAN_DEPTH_MAX - FRAME_DEPTH };
	struct jscan_facts facts;
	struct span text = span_of(json);
	size_t from = b->len, i;
	enum err e = jscan_check(text, &limits, &facts, t);

	if (e != E_OK)
		return e;
	buf_add(b, text);
	if (b->err != E_OK)
		return err_set(t, b->err, "out of memory");
	/* Inside of strings they would be escaped. */
	if (facts.has_newline)
		for (i = from; i < b->len; i++)
			if (b->data[i] == '\n' || b->data[i] == '\r')
				b->data[i] = ' ';
	return E_OK;
}

/* --- states --------------------------------------------------------------------------------------------- */

static bool
send_state(struct warren_task *t, struct span state, const struct buf *meta)
{
	struct run_frame f = { .type = RUN_STATE, .id = t->run->id, .state = state, .meta = buf_span(meta) };

	/* A worker that is gone will not be back; the done frame meets the same error, and there it is told. */
	return meta->err == E_OK && channel_send(t->channel, &f, NULL) == E_OK;
}

static void
add_number(struct js *w, const char *key, double d)
{
	js_key(w, key);
	if (d == floor(d) && fabs(d) < EXACT_MAX)
		js_int(w, (int64_t)d);
	else
		js_double(w, d);
}

void
warren_progress(struct warren_task *t, double current, double total, const char *step)
{
	struct buf meta;
	struct js w;

	buf_init(&meta, 0);
	js_init(&w, &meta);
	js_object(&w);
	add_number(&w, "current", current);
	add_number(&w, "total", total);
	if (step) {
		js_key(&w, "step");
		js_text(&w, step);
	}
	js_object_end(&w);
	if (!send_state(t, SPAN("PROGRESS"), &meta) && meta.err != E_OK)
		t->memory->no_memory = true;
	buf_release(&meta);
}

static bool
is_state_name(const char *s)
{
	if (!s || !isupper((unsigned char)*s))
		return false;
	while (isupper((unsigned char)*s) || isdigit((unsigned char)*s) || *s == '_')
		s++;
	return *s == '\0';
}

bool
warren_state(struct warren_task *t, const char *state, const char *meta_json)
{
	struct buf meta;
	bool fine;

	if (!is_state_name(state))
		return false;
	buf_init(&meta, 0);
	fine = add_checked(&meta, meta_json ? meta_json : "null", NULL) == E_OK &&
		send_state(t, span_of(state), &meta);
	buf_release(&meta);
	return fine;
}

bool
warren_cancelled(const struct warren_task *t)
{
	return call_is_cancelled(t);
}

void
warren_on_cancel(struct warren_task *t, void (*fn)(void *arg), void *arg)
{
	call_on_cancel(t, fn, arg);
}

/* --- results -------------------------------------------------------------------------------------------- */

static struct js
begin_result(struct warren_task *t)
{
	struct js w;

	buf_reset(&t->value);
	js_init(&w, &t->value);
	t->done.outcome = RUN_RESULT;
	t->ended = true;
	return w;
}

enum warren_end
warren_return_null(struct warren_task *t)
{
	struct js w = begin_result(t);

	js_null(&w);
	return WARREN_DONE;
}

enum warren_end
warren_return_int(struct warren_task *t, int64_t i)
{
	struct js w = begin_result(t);

	js_int(&w, i);
	return WARREN_DONE;
}

enum warren_end
warren_return_double(struct warren_task *t, double d)
{
	struct js w = begin_result(t);

	js_double(&w, d);
	return WARREN_DONE;
}

enum warren_end
warren_return_bool(struct warren_task *t, bool b)
{
	struct js w = begin_result(t);

	js_bool(&w, b);
	return WARREN_DONE;
}

enum warren_end
warren_return_text(struct warren_task *t, const char *text)
{
	struct js w = begin_result(t);

	js_text(&w, text);
	return WARREN_DONE;
}

enum warren_end
warren_return_json(struct warren_task *t, const char *json)
{
	struct errtext why;
	enum err e;

	begin_result(t);
	e = add_checked(&t->value, json ? json : "null", &why);
	if (e == E_OK || e == E_NOMEM)
		return WARREN_DONE;
	return warren_fail(t, "ValueError", "the result is not JSON: %s", why.text);
}

/* --- errors --------------------------------------------------------------------------------------------- */

/* The text lives in the call's arena. SPAN_NONE when out of memory, which fails the call. */
static struct span
format(struct warren_task *t, const char *fmt, va_list args)
{
	va_list again;
	char *text = NULL;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n >= 0)
		text = arena_alloc(t->arena, (size_t)n + 1);
	if (!text) {
		t->memory->no_memory = true;
		return SPAN_NONE;
	}
	vsnprintf(text, (size_t)n + 1, fmt, args);
	return (struct span){ text, (size_t)n };
}

enum warren_end
warren_fail(struct warren_task *t, const char *type, const char *fmt, ...)
{
	va_list args;
	struct span text, name = SPAN("RuntimeError");

	va_start(args, fmt);
	text = format(t, fmt, args);
	va_end(args);
	if (type && type[0])
		name = span_of(call_dup(t, span_of(type)));
	call_end_error(t, RUN_ERROR, name, SPAN_NONE, text);
	return WARREN_FAILED;
}

enum warren_end
warren_fail_cancelled(struct warren_task *t)
{
	call_end_error(t, RUN_ERROR, SPAN("SoftTimeLimitExceeded"), SPAN("billiard.exceptions"), SPAN_NONE);
	return WARREN_FAILED;
}

enum warren_end
warren_retry(struct warren_task *t, double seconds, int max_retries, const char *type, const char *fmt, ...)
{
	va_list args;
	struct span text = SPAN_NONE, name = SPAN_NONE;

	if (type && type[0]) {
		va_start(args, fmt);
		text = format(t, fmt, args);
		va_end(args);
		name = span_of(call_dup(t, span_of(type)));
	}
	call_end_error(t, RUN_RETRY, name, SPAN_NONE, text);
	t->done.has_countdown = isfinite(seconds) && seconds >= 0;
	t->done.countdown = t->done.has_countdown ? seconds : 0;
	t->done.eta = SPAN_NONE;
	t->done.max_retries = max_retries >= 0 ? max_retries : -1;
	return WARREN_RETRY;
}

enum warren_end
warren_ignore(struct warren_task *t)
{
	t->done.outcome = RUN_IGNORE;
	t->ended = true;
	return WARREN_IGNORE;
}

enum warren_end
warren_reject(struct warren_task *t, bool requeue, const char *reason)
{
	t->done.outcome = RUN_REJECT;
	t->done.requeue = requeue;
	t->done.reason = reason ? span_of(call_dup(t, span_of(reason))) : SPAN_NONE;
	t->ended = true;
	return WARREN_REJECT;
}
