/*
 * libyaml's events, one ahead; its own tree of a document is some ten times the text, and is there as a whole. Depth is bounded, so the
 * recursion is too.
 */
#include "conf/doc.h"

#include <stdarg.h>
#include <stdio.h>

#define DEPTH_MAX 64

enum err
doc_fail(const struct doc *d, int line, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(d->t, E_CONF, "%s:%d: %s", d->path, line, text);
}

enum err
doc_no_memory(const struct doc *d)
{
	return err_set(d->t, E_NOMEM, "%s: out of memory", d->path);
}

bool
doc_is_null(const struct doc_value *v)
{
	struct span s = v->text;

	return v->kind == DOC_TEXT && v->is_plain &&
		(s.len == 0 || span_is(s, "~") || span_is(s, "null") || span_is(s, "Null") ||
			span_is(s, "NULL"));
}

/* --- events ------------------------------------------------------------------------------------------------------------ */

static int
line_here(const struct doc *d)
{
	return (int)d->event.start_mark.line + 1;
}

static enum err
step(struct doc *d)
{
	const yaml_parser_t *p = &d->parser;

	yaml_event_delete(&d->event);
	if (yaml_parser_parse(&d->parser, &d->event))
		return E_OK;
	if (p->error == YAML_MEMORY_ERROR)
		return doc_no_memory(d);
	return doc_fail(d, (int)p->problem_mark.line + 1, "%s%s%s",
		p->problem != NULL ? p->problem : "not YAML", p->context != NULL ? " " : "",
		p->context != NULL ? p->context : "");
}

static enum err build(struct doc *d, struct arena *a, int depth, struct doc_value **out);

/* Up to the end of the list or table, which is read too. */
static enum err
build_items(struct doc *d, struct arena *a, yaml_event_type_t end, int depth, struct doc_value *of)
{
	const struct doc_value **at = &of->first;
	struct doc_value *item;
	enum err e = step(d);

	while (e == E_OK && d->event.type != end) {
		e = build(d, a, depth + 1, &item);
		if (e != E_OK)
			break;
		*at = item;
		at = &item->next;
	}
	return e == E_OK ? step(d) : e;
}

/* A struct of its own, for it stands beside others here; what hangs on it is shared. */
static enum err
build_alias(struct doc *d, struct doc_value *v)
{
	const struct doc_value *of = map_get(&d->anchors, span_of((const char *)d->event.data.alias.anchor));

	if (of == NULL)
		return doc_fail(d, v->line, "*%s: there is no such anchor before it",
			(const char *)d->event.data.alias.anchor);
	*v = *of;
	v->line = line_here(d);
	v->next = NULL;
	return step(d);
}

static const yaml_char_t *
anchor_here(const struct doc *d)
{
	return d->event.type == YAML_SCALAR_EVENT            ? d->event.data.scalar.anchor
		: d->event.type == YAML_SEQUENCE_START_EVENT ? d->event.data.sequence_start.anchor
		: d->event.type == YAML_MAPPING_START_EVENT  ? d->event.data.mapping_start.anchor
							     : NULL;
}

static enum err
build_text(struct doc *d, struct arena *a, struct doc_value *v)
{
	v->is_plain = d->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	v->text = arena_dup(
		a, (struct span){ (const char *)d->event.data.scalar.value, d->event.data.scalar.length });
	return v->text.ptr == NULL ? doc_no_memory(d) : step(d);
}

static enum err
build_value(struct doc *d, struct arena *a, int depth, struct doc_value *v)
{
	switch (d->event.type) {
	case YAML_ALIAS_EVENT:
		return build_alias(d, v);
	case YAML_SEQUENCE_START_EVENT:
		v->kind = DOC_LIST;
		return build_items(d, a, YAML_SEQUENCE_END_EVENT, depth, v);
	case YAML_MAPPING_START_EVENT:
		v->kind = DOC_TABLE;
		return build_items(d, a, YAML_MAPPING_END_EVENT, depth, v);
	default:
		assert(d->event.type == YAML_SCALAR_EVENT);
		return build_text(d, a, v);
	}
}

static enum err
build(struct doc *d, struct arena *a, int depth, struct doc_value **out)
{
	const yaml_char_t *anchor = anchor_here(d);
	struct span name = anchor != NULL ? arena_dup(&d->kept, span_of((const char *)anchor)) : SPAN_NONE;
	struct doc_value *v;
	enum err e;

	if (depth > DEPTH_MAX)
		return doc_fail(d, line_here(d), "it is too large or nested too deep");
	if (anchor != NULL)
		a = &d->kept;
	v = arena_zero(a, sizeof(*v));
	if (v == NULL || (anchor != NULL && name.ptr == NULL))
		return doc_no_memory(d);
	v->line = line_here(d);
	e = build_value(d, a, depth, v);
	if (e == E_OK && anchor != NULL && map_set(&d->anchors, name, v, NULL) != E_OK)
		e = doc_no_memory(d);
	*out = v;
	return e;
}

/* --- the document ------------------------------------------------------------------------------------------------------ */

enum err
doc_open(struct doc *d, const char *path, struct span text, struct errtext *t)
{
	enum err e = E_OK;

	*d = (struct doc){ .path = path, .t = t };
	map_init(&d->anchors);
	if (!yaml_parser_initialize(&d->parser))
		return doc_no_memory(d);
	yaml_parser_set_input_string(&d->parser, (const unsigned char *)text.ptr, text.len);
	do
		e = step(d);
	while (e == E_OK &&
		(d->event.type == YAML_STREAM_START_EVENT || d->event.type == YAML_DOCUMENT_START_EVENT));
	return e;
}

void
doc_close(struct doc *d)
{
	yaml_event_delete(&d->event);
	yaml_parser_delete(&d->parser);
	map_release(&d->anchors, NULL);
	arena_release(&d->kept);
}

bool
doc_is_empty(const struct doc *d)
{
	return d->event.type == YAML_STREAM_END_EVENT;
}

enum err
doc_enter(struct doc *d, bool *entered)
{
	*entered = d->event.type == YAML_MAPPING_START_EVENT;
	return *entered ? step(d) : E_OK;
}

enum err
doc_key(struct doc *d, struct arena *a, const struct doc_value **out)
{
	*out = NULL;
	return d->event.type == YAML_MAPPING_END_EVENT ? step(d) : doc_read(d, a, out);
}

enum err
doc_read(struct doc *d, struct arena *a, const struct doc_value **out)
{
	struct doc_value *v;
	enum err e = build(d, a, 1, &v);

	*out = e == E_OK ? v : NULL;
	return e;
}

enum err
doc_end(struct doc *d)
{
	enum err e = E_OK;

	if (d->event.type == YAML_DOCUMENT_END_EVENT)
		e = step(d);
	if (e == E_OK && d->event.type == YAML_DOCUMENT_START_EVENT) {
		e = step(d);
		if (e == E_OK)
			e = doc_fail(d, line_here(d), "a second document starts here: there must be one");
	}
	return e;
}
