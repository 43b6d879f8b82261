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
add_scalar(struct js *w, const yaml_node_t *n)
{
	struct span s = { (const char *)n->data.scalar.value, n->data.scalar.length };
	bool is_plain = n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (is_plain && (s.len == 0 || span_is(s, "~") || is_one_of(s, "null", "Null", "NULL")))
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
add(struct js *w, yaml_document_t *doc, const yaml_node_t *n, int depth)
{
	const yaml_node_t *key;
	enum err e = w->b->err;

	if (depth > DEPTH_MAX)
		return E_TOOBIG;
	if (n->type == YAML_SCALAR_NODE) {
		add_scalar(w, n);
	} else if (n->type == YAML_SEQUENCE_NODE) {
		js_array(w);
		for (yaml_node_item_t *i = n->data.sequence.items.start;
			e == E_OK && i < n->data.sequence.items.top; i++)
			e = add(w, doc, yaml_document_get_node(doc, *i), depth + 1);
		js_array_end(w);
	} else {
		js_object(w);
		for (yaml_node_pair_t *p = n->data.mapping.pairs.start;
			e == E_OK && p < n->data.mapping.pairs.top; p++) {
			key = yaml_document_get_node(doc, p->key);
			if (key->type != YAML_SCALAR_NODE)
				return E_FORMAT;
			js_key_span(w,
				(struct span){
					(const char *)key->data.scalar.value, key->data.scalar.length });
			e = add(w, doc, yaml_document_get_node(doc, p->value), depth + 1);
		}
		js_object_end(w);
	}
	return e != E_OK ? e : w->b->err;
}

enum err
yaml_to_json(struct buf *b, yaml_document_t *doc, const yaml_node_t *n)
{
	struct js w;

	js_init(&w, b);
	return add(&w, doc, n, 1);
}
