/* See fork.h. Frames of a template are short and rare, so they are looked up member by member. */
#include "wire/fork.h"

#include "base/js.h"
#include "wire/field.h"

static enum err
text(struct span object, const char *key, struct arena *a, struct span *out, struct errtext *t)
{
	enum err e = field_text(jscan_member(object, key), a, out);

	if (e == E_FORMAT)
		return err_set(t, e, "'%s' is %s, not text", key, field_kind_name(jscan_member(object, key)));
	return e == E_OK ? E_OK : err_set(t, e, "out of memory");
}

static enum err
integer(struct span object, const char *key, int64_t *out, struct errtext *t)
{
	struct span value = jscan_member(object, key);

	return jscan_int(value, out)
		? E_OK
		: err_set(t, E_FORMAT, "'%s' is %s, not an integer", key, field_kind_name(value));
}

static enum err
decode_hello(struct fork_frame *f, struct span body, struct arena *a, struct errtext *t)
{
	enum err e = integer(body, "protocol", &f->protocol, t);

	if (e == E_OK && jscan_kind(jscan_member(body, "template")) != JSCAN_TRUE)
		return err_set(t, E_FORMAT, "it is no template");
	return e == E_OK ? text(body, "unsafe", a, &f->unsafe, t) : e;
}

static enum err
decode_exited(struct fork_frame *f, struct span body, struct errtext *t)
{
	int64_t code = 0;
	enum err e;

	f->signaled = field_some(jscan_member(body, "signal")).ptr != NULL;
	e = integer(body, f->signaled ? "signal" : "code", &code, t);
	if (e == E_OK && (code < 0 || code > 255))
		return err_set(t, E_FORMAT, "no end of a process");
	f->code = (int)code;
	return e;
}

static enum err
decode_body(struct fork_frame *f, struct span body, struct arena *a, struct errtext *t)
{
	enum err e;

	if (f->type == FORK_HELLO)
		return decode_hello(f, body, a, t);
	e = text(body, "slot", a, &f->slot, t);
	if (e == E_OK && f->slot.len == 0)
		e = err_set(t, E_FORMAT, "'slot' is missing or empty");
	if (e == E_OK && f->type == FORK_FAILED)
		return text(body, "error", a, &f->error, t);
	if (e == E_OK)
		e = integer(body, "pid", &f->pid, t);
	if (e == E_OK && (f->pid <= 1 || f->pid > INT32_MAX))
		e = err_set(t, E_FORMAT, "'pid' is no number of a process");
	return e == E_OK && f->type == FORK_EXITED ? decode_exited(f, body, t) : e;
}

enum err
fork_decode(struct fork_frame *f, struct span line, struct arena *a, struct errtext *t)
{
	static const char *const names[] = {
		[FORK_HELLO] = "hello", [FORK_FORKED] = "forked", [FORK_EXITED] = "exited", [FORK_FAILED] = "failed"
	};
	struct jscan_iter it;
	size_t i;
	enum err e;

	*f = (struct fork_frame){ .type = FORK_HELLO };
	e = jscan_check(line, NULL, NULL, t);
	if (e != E_OK)
		return err_prefix(t, e, "frame");
	line = span_trim(line);
	if (jscan_kind(line) != JSCAN_OBJECT || !jscan_begin(&it, line) || !jscan_next(&it))
		return err_set(t, E_FORMAT, "frame: not an object with one member");
	for (i = 0; i < ARRAY_LEN(names) && !span_is(it.key, names[i]); i++)
		;
	if (i == ARRAY_LEN(names) || jscan_kind(it.value) != JSCAN_OBJECT)
		return err_set(t, E_FORMAT, "frame: none of hello, forked, exited, failed");
	f->type = (enum fork_type)i;
	e = decode_body(f, it.value, a, t);
	return e == E_OK ? E_OK : err_prefix(t, e, "%s frame", names[i]);
}

static void
begin(struct js *w, struct buf *b, const char *name)
{
	js_init(w, b);
	w->compact = true;
	js_object(w);
	js_key(w, name);
	js_object(w);
}

static void
end(struct js *w)
{
	js_object_end(w);
	js_object_end(w);
	buf_addc(w->b, '\n');
}

void
fork_add_request(struct buf *b, struct span slot, struct span env, int64_t rlimit_as)
{
	struct span value = env, key = span_split(&value, '=');
	struct js w;

	begin(&w, b, "fork");
	js_key(&w, "slot");
	js_string(&w, slot);
	js_key(&w, "env");
	js_object(&w);
	if (value.ptr != NULL) {
		js_key_span(&w, key);
		js_string(&w, value);
	}
	js_object_end(&w);
	js_key(&w, "rlimit_as");
	if (rlimit_as > 0)
		js_int(&w, rlimit_as);
	else
		js_null(&w);
	end(&w);
}

void
fork_add_reap(struct buf *b, struct span slot)
{
	struct js w;

	begin(&w, b, "reap");
	js_key(&w, "slot");
	js_string(&w, slot);
	end(&w);
}

void
fork_add_stop(struct buf *b)
{
	struct js w;

	begin(&w, b, "stop");
	end(&w);
}
