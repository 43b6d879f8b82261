/*
 * Results as Celery's backends store them: written byte for byte as Celery 5.2 writes the same data, read
 * from any version. Values are raw JSON on both ways. What is read comes from a store that others write
 * to: it is checked, and names of classes found in it are text for a person, never anything to load.
 */
#include "wire/result.h"

#include "base/alloc.h"
#include "base/js.h"
#include "base/text.h"
#include "wire/field.h"
#include "wire/task.h"

#define ERROR_TEXT_MAX 1000

/* Sorted. One name a line would be three screens. */
/* clang-format off */
static const char *const python_builtins[] = {
	"ArithmeticError",
	"AssertionError",
	"AttributeError",
	"BaseException",
	"BaseExceptionGroup",
	"BlockingIOError",
	"BrokenPipeError",
	"BufferError",
	"BytesWarning",
	"ChildProcessError",
	"ConnectionAbortedError",
	"ConnectionError",
	"ConnectionRefusedError",
	"ConnectionResetError",
	"DeprecationWarning",
	"EOFError",
	"EncodingWarning",
	"EnvironmentError",
	"Exception",
	"ExceptionGroup",
	"FileExistsError",
	"FileNotFoundError",
	"FloatingPointError",
	"FutureWarning",
	"GeneratorExit",
	"IOError",
	"ImportError",
	"ImportWarning",
	"IndentationError",
	"IndexError",
	"InterruptedError",
	"IsADirectoryError",
	"KeyError",
	"KeyboardInterrupt",
	"LookupError",
	"MemoryError",
	"ModuleNotFoundError",
	"NameError",
	"NotADirectoryError",
	"NotImplementedError",
	"OSError",
	"OverflowError",
	"PendingDeprecationWarning",
	"PermissionError",
	"ProcessLookupError",
	"RecursionError",
	"ReferenceError",
	"ResourceWarning",
	"RuntimeError",
	"RuntimeWarning",
	"StopAsyncIteration",
	"StopIteration",
	"SyntaxError",
	"SyntaxWarning",
	"SystemError",
	"SystemExit",
	"TabError",
	"TimeoutError",
	"TypeError",
	"UnboundLocalError",
	"UnicodeDecodeError",
	"UnicodeEncodeError",
	"UnicodeError",
	"UnicodeTranslateError",
	"UnicodeWarning",
	"UserWarning",
	"ValueError",
	"Warning",
	"ZeroDivisionError",
};
/* clang-format on */

static bool
is_python_builtin(struct span type)
{
	size_t low = 0, high = ARRAY_LEN(python_builtins), mid, len, shorter;
	int order;

	while (type.len && low < high) {
		mid = low + (high - low) / 2;
		len = strlen(python_builtins[mid]);
		shorter = type.len < len ? type.len : len;
		order = memcmp(type.ptr, python_builtins[mid], shorter);
		if (order == 0 && type.len == len)
			return true;
		if (order < 0 || (order == 0 && type.len < len))
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

void
result_add_error(struct buf *b, const struct result_error *e)
{
	struct span module = e->module;
	struct js w;

	if (!module.ptr)
		module = is_python_builtin(e->type) ? SPAN("builtins") : SPAN("celery.exceptions");
	js_init(&w, b);
	js_object(&w);
	js_key(&w, "exc_type");
	js_string(&w, e->type.ptr ? e->type : SPAN("Exception"));
	js_key(&w, "exc_message");
	if (e->message.ptr) {
		js_raw(&w, e->message);
	} else {
		js_array(&w);
		if (e->text.ptr)
			js_string(&w, e->text);
		js_array_end(&w);
	}
	js_key(&w, "exc_module");
	js_string(&w, module);
	js_object_end(&w);
}

/* Celery up to 5.3 writes UTC without an offset, later ones with; all read both. */
static void
add_date(struct js *w, us_t when)
{
	char text[TEXT_TIME_MAX];
	struct span s;

	if (!when) {
		js_null(w);
		return;
	}
	s = (struct span){ text, text_format_time(when, text) };
	if (span_ends(s, "+00:00"))
		s.len -= strlen("+00:00");
	js_string(w, s);
}

static void
add_extended(struct js *w, const struct result *r)
{
	js_key(w, "name");
	js_string(w, r->name);
	js_key(w, "args");
	js_raw(w, r->args);
	js_key(w, "kwargs");
	js_raw(w, r->kwargs);
	js_key(w, "worker");
	js_string(w, r->worker);
	js_key(w, "retries");
	js_int(w, r->retries);
	js_key(w, "queue");
	js_string(w, r->queue);
}

void
result_add_outcome(struct js *w, const struct result *r)
{
	js_key(w, "status");
	js_string(w, r->state);
	js_key(w, "result");
	js_raw(w, r->value);
	js_key(w, "traceback");
	js_string(w, r->traceback);
	js_key(w, "children");
	js_raw(w, r->children.ptr ? r->children : SPAN("[]"));
}

void
result_encode(struct buf *b, const struct result *r)
{
	struct js w;

	js_init(&w, b);
	js_object(&w);
	result_add_outcome(&w, r);
	js_key(&w, "date_done");
	add_date(&w, r->date_done);
	if (r->group_id.ptr) {
		js_key(&w, "group_id");
		js_string(&w, r->group_id);
	}
	if (r->parent_id.ptr) {
		js_key(&w, "parent_id");
		js_string(&w, r->parent_id);
	}
	if (r->extended)
		add_extended(&w, r);
	js_key(&w, "task_id");
	js_string(&w, r->task_id);
	js_object_end(&w);
}

/* A result is worth more than its date: what cannot be read counts as absent. */
static us_t
read_date(struct span value)
{
	struct span text;
	us_t when;

	if (jscan_kind(value) != JSCAN_STRING || !jscan_plain_string(value, &text) ||
		!text_parse_time(text, &when))
		return 0;
	return when;
}

enum err
result_decode(struct result *r, struct span json, struct arena *a, struct errtext *t)
{
	const struct jscan_limits lim = { .depth_max = JSCAN_DEPTH_MAX };
	struct span task_id, state, traceback, date_done, group_id, parent_id, name, worker, queue, retries;
	const struct field fields[] = {
		{ SPAN("status"), &state },
		{ SPAN("result"), &r->value },
		{ SPAN("traceback"), &traceback },
		{ SPAN("children"), &r->children },
		{ SPAN("date_done"), &date_done },
		{ SPAN("group_id"), &group_id },
		{ SPAN("parent_id"), &parent_id },
		{ SPAN("name"), &name },
		{ SPAN("args"), &r->args },
		{ SPAN("kwargs"), &r->kwargs },
		{ SPAN("worker"), &worker },
		{ SPAN("retries"), &retries },
		{ SPAN("queue"), &queue },
		{ SPAN("task_id"), &task_id },
	};
	const struct {
		const char *key;
		struct span *raw, *out;
	} texts[] = {
		{ "status", &state, &r->state },
		{ "traceback", &traceback, &r->traceback },
		{ "group_id", &group_id, &r->group_id },
		{ "parent_id", &parent_id, &r->parent_id },
		{ "name", &name, &r->name },
		{ "worker", &worker, &r->worker },
		{ "queue", &queue, &r->queue },
		{ "task_id", &task_id, &r->task_id },
	};
	enum err e;
	size_t i;

	*r = (struct result){ 0 };
	e = jscan_check(json, &lim, NULL, t);
	if (e != E_OK)
		return err_prefix(t, e, "the stored result");
	json = span_trim(json);
	if (jscan_kind(json) != JSCAN_OBJECT)
		return err_set(t, E_FORMAT, "the stored result is %s, not an object", field_kind_name(json));
	fields_get(json, fields, ARRAY_LEN(fields));
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		e = field_text(*texts[i].raw, a, texts[i].out);
		if (e == E_FORMAT)
			return err_set(t, e, "the stored result: '%s' is %s, not text", texts[i].key,
				field_kind_name(*texts[i].raw));
		if (e != E_OK)
			return err_set(t, e, "out of memory while reading a result");
	}
	if (!r->state.len)
		return err_set(t, E_FORMAT, "the stored result has no status");
	r->date_done = read_date(date_done);
	r->extended = name.ptr != NULL;
	if (field_some(retries).ptr && !jscan_int(retries, &r->retries))
		return err_set(t, E_FORMAT, "the stored result: 'retries' is no integer");
	return E_OK;
}

bool
result_is_ready(struct span state)
{
	return span_is(state, "SUCCESS") || span_is(state, "FAILURE") || span_is(state, "REVOKED");
}

bool
result_decode_error(struct result_error *e, struct span value, struct arena *a)
{
	struct span type, module;
	const struct field fields[] = {
		{ SPAN("exc_type"), &type },
		{ SPAN("exc_message"), &e->message },
		{ SPAN("exc_module"), &module },
	};

	*e = (struct result_error){ 0 };
	if (jscan_kind(value) != JSCAN_OBJECT)
		return false;
	fields_get(value, fields, ARRAY_LEN(fields));
	return field_text(type, a, &e->type) == E_OK && e->type.len &&
		field_text(module, a, &e->module) == E_OK;
}

/* As Python's str(): one argument stands for itself (KeyError shows its repr), several as a tuple. */
static void
add_message(struct buf *b, const struct result_error *e)
{
	struct jscan_iter it;
	struct span only = e->message;
	size_t n = 1;

	if (jscan_kind(e->message) == JSCAN_ARRAY && jscan_begin(&it, e->message))
		for (n = 0; n < 2 && jscan_next(&it); n++)
			only = it.value;
	if (!e->message.ptr)
		buf_add(b, e->text);
	else if (n == 1 && jscan_kind(only) == JSCAN_STRING && !span_is(e->type, "KeyError"))
		jscan_add_string(b, only);
	else if (n == 1)
		task_add_repr(b, only, ERROR_TEXT_MAX);
	else if (n > 1)
		task_add_argsrepr(b, e->message);
}

void
result_add_error_text(struct buf *b, const struct result_error *e)
{
	struct buf message;

	buf_init(&message, 0);
	add_message(&message, e);
	text_add_printable(b, e->type.len ? e->type : SPAN("Exception"), ERROR_TEXT_MAX);
	if (message.len) {
		buf_adds(b, ": ");
		text_add_printable(b, buf_span(&message), ERROR_TEXT_MAX);
	}
	if (message.err != E_OK && b->err == E_OK)
		b->err = message.err;
	buf_release(&message);
}

void
result_add_error_repr(struct buf *b, const struct result_error *e)
{
	struct buf text;
	struct jscan_iter it;
	bool first = true;

	buf_add(b, e->type.len ? e->type : SPAN("Exception"));
	buf_addc(b, '(');
	if (e->message.ptr && jscan_begin(&it, e->message) && !it.is_object) {
		for (; jscan_next(&it); first = false) {
			buf_adds(b, first ? "" : ", ");
			task_add_repr(b, it.value, ERROR_TEXT_MAX);
		}
	} else if (e->message.ptr) {
		task_add_repr(b, e->message, ERROR_TEXT_MAX);
	} else if (e->text.ptr) {
		buf_init(&text, 0);
		js_add_string(&text, e->text);
		task_add_repr(b, buf_span(&text), ERROR_TEXT_MAX);
		buf_release(&text);
	}
	buf_addc(b, ')');
}
