/* The core schema of YAML 1.2, which is JSON's idea of values. Depth is bounded, so the recursion is too. */
#include "conf/yamljson.h"

#include "base/js.h"
#include "base/jscan.h"

#define DEPTH_MAX 32

static bool
is_one_of(struct span s, const char *a, const char *b, const char *c)
{
	return span_is(s, a) || span_is(s, b) || span_is(s, c);
}

static void
add_text(struct js *w, const struct doc_value *v)
{
	struct span s = v->text;
	bool is_plain = v->is_plain;

	if (doc_is_null(v))
		js_null(w);
	else if (is_plain && is_one_of(s, "true", "True", "TRUE"))
		js_bool(w, true);
	else if (is_plain && is_one_of(s, "false", "False", "FALSE"))
		js_bool(w, false);
	else if (is_plain && jscan_check(s, NULL, NULL, NULL) == E_OK && jscan_kind(s) == JSCAN_NUMBER)
		js_raw(w, s);
	else
		js_string(w, s);
}

static enum err
add(struct js *w, const struct doc_value *v, int depth)
{
	const struct doc_value *i;
	enum err e = w->b->err;

	if (depth > DEPTH_MAX)
		return E_TOOBIG;
	if (v->kind == DOC_TEXT) {
		add_text(w, v);
	} else if (v->kind == DOC_LIST) {
		js_array(w);
		for (i = v->first; e == E_OK && i != NULL; i = i->next)
			e = add(w, i, depth + 1);
		js_array_end(w);
	} else {
		js_object(w);
		for (i = v->first; e == E_OK && i != NULL; i = i->next->next) {
			if (i->kind != DOC_TEXT)
				return E_FORMAT;
			js_key_span(w, i->text);
			e = add(w, i->next, depth + 1);
		}
		js_object_end(w);
	}
	return e != E_OK ? e : w->b->err;
}

enum err
yaml_to_json(struct buf *b, const struct doc_value *v)
{
	struct js w;

	js_init(&w, b);
	return add(&w, v, 1);
}
