/*
 * The written form of signatures. Six keys are known, others are left aside (older releases send
 * chord_size); arguments and options stay raw, since whoever applies a signature merges them as text.
 */
#include "wire/sig.h"

#include "base/alloc.h"
#include "base/js.h"
#include "wire/field.h"

static const char *const type_names[] = {
	[SIG_PLAIN] = NULL,
	[SIG_CHAIN] = "chain",
	[SIG_GROUP] = "group",
	[SIG_CHORD] = "chord",
};

/* Types beyond the three are plain tasks with a nickname (map, starmap, chunks). */
static enum err
read_type(struct span value, struct arena *a, enum sig_type *out)
{
	struct span text;
	enum err e = field_text(value, a, &text);
	size_t i;

	*out = SIG_PLAIN;
	for (i = SIG_CHAIN; e == E_OK && i < ARRAY_LEN(type_names); i++)
		if (span_is(text, type_names[i]))
			*out = (enum sig_type)i;
	return e;
}

static enum err
wrong(struct errtext *t, const char *key, struct span value)
{
	return err_set(t, E_FORMAT, "signature: '%s' is %s", key, field_kind_name(value));
}

enum err
sig_decode(struct sig *s, struct span json, struct arena *a, struct errtext *t)
{
	struct span task, type, immutable;
	const struct field fields[] = {
		{ SPAN("task"), &task },
		{ SPAN("args"), &s->args },
		{ SPAN("kwargs"), &s->kwargs },
		{ SPAN("options"), &s->options },
		{ SPAN("subtask_type"), &type },
		{ SPAN("immutable"), &immutable },
	};
	const struct {
		const char *key;
		struct span *value;
		enum jscan_kind kind;
	} raws[] = {
		{ "args", &s->args, JSCAN_ARRAY },
		{ "kwargs", &s->kwargs, JSCAN_OBJECT },
		{ "options", &s->options, JSCAN_OBJECT },
	};
	enum err e;
	size_t i;

	*s = (struct sig){ 0 };
	json = span_trim(json);
	if (jscan_kind(json) != JSCAN_OBJECT)
		return err_set(t, E_FORMAT, "a signature is %s, not an object", field_kind_name(json));
	fields_get(json, fields, ARRAY_LEN(fields));
	for (i = 0; i < ARRAY_LEN(raws); i++) {
		*raws[i].value = field_some(*raws[i].value);
		if (raws[i].value->ptr && jscan_kind(*raws[i].value) != raws[i].kind)
			return wrong(t, raws[i].key, *raws[i].value);
	}
	e = field_text(task, a, &s->task);
	if (e == E_FORMAT || (e == E_OK && !s->task.len))
		return err_set(t, E_FORMAT, "signature: 'task' is not the name of a task");
	if (e == E_OK)
		e = read_type(type, a, &s->type);
	if (e == E_FORMAT)
		return wrong(t, "subtask_type", type);
	if (e != E_OK)
		return err_set(t, e, "out of memory while reading a signature");
	if (field_some(immutable).ptr && jscan_kind(immutable) != JSCAN_TRUE &&
		jscan_kind(immutable) != JSCAN_FALSE)
		return wrong(t, "immutable", immutable);
	s->immutable = jscan_kind(immutable) == JSCAN_TRUE;
	return E_OK;
}

void
sig_encode(struct buf *b, const struct sig *s)
{
	struct js w;

	js_init(&w, b);
	js_object(&w);
	js_key(&w, "task");
	js_string(&w, s->task);
	js_key(&w, "args");
	js_raw(&w, s->args.ptr ? s->args : SPAN("[]"));
	js_key(&w, "kwargs");
	js_raw(&w, s->kwargs.ptr ? s->kwargs : SPAN("{}"));
	js_key(&w, "options");
	js_raw(&w, s->options.ptr ? s->options : SPAN("{}"));
	js_key(&w, "subtask_type");
	js_text(&w, type_names[s->type]);
	js_key(&w, "immutable");
	js_bool(&w, s->immutable);
	js_object_end(&w);
}

bool
sig_option_text(const struct sig *s, const char *key, struct arena *a, struct span *out)
{
	return field_text(jscan_member(s->options, key), a, out) == E_OK && out->ptr;
}
