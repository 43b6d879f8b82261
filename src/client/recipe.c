/* See recipe.h. Text to text: nothing is built, and values pass through as they stand. */
#include "client/recipe.h"

#include "base/jscan.h"

#define NESTING_MAX 32

static enum err add_part(struct buf *b, struct span json, int depth, struct errtext *t);

/* The parts of a list, with its brackets. */
static enum err
add_list(struct buf *b, struct span list, const char *what, int depth, struct errtext *t)
{
	struct jscan_iter it;
	enum err e = E_OK;
	bool first = true;

	if (jscan_kind(list) != JSCAN_ARRAY || jscan_count(list) == 0)
		return err_set(t, E_FORMAT, "%s is a list of at least one part", what);
	buf_addc(b, '[');
	if (jscan_begin(&it, list))
		for (; e == E_OK && jscan_next(&it); first = false) {
			buf_adds(b, first ? "" : ", ");
			e = add_part(b, it.value, depth + 1, t);
		}
	buf_addc(b, ']');
	return e;
}

/* --- options -------------------------------------------------------------------------------------------------------------- */

static bool
is_option(struct span key)
{
	static const char *const names[] = { "queue", "exchange", "routing_key", "countdown", "eta",
		"expires", "priority", "time_limit", "soft_time_limit", "ignore_result", "shadow", "headers",
		"stamped_headers" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_is(key, names[i]))
			return true;
	return false;
}

static bool
is_part_of_it(struct span key)
{
	static const char *const names[] = { "task", "args", "kwargs", "immutable", "chain", "group", "chord",
		"header", "body" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (span_is(key, names[i]))
			return true;
	return false;
}

static enum err
add_links(struct buf *b, struct span links, int depth, struct errtext *t)
{
	enum err e;

	if (jscan_kind(links) == JSCAN_ARRAY)
		return add_list(b, links, "a list of links", depth, t);
	buf_addc(b, '[');
	e = add_part(b, links, depth + 1, t);
	buf_addc(b, ']');
	return e;
}

static enum err
add_options(struct buf *b, struct span object, int depth, struct errtext *t)
{
	struct jscan_iter it;
	enum err e = E_OK;
	bool first = true;

	buf_adds(b, "\"options\": {");
	if (jscan_begin(&it, object))
		while (e == E_OK && jscan_next(&it)) {
			struct span key = span_is(it.key, "id") ? SPAN("task_id") : it.key;
			bool is_link = span_is(key, "link") || span_is(key, "link_error");

			if (is_part_of_it(key))
				continue;
			if (!is_link && !is_option(key) && !span_is(it.key, "id"))
				return err_set(t, E_FORMAT,
					"unknown key '%.*s': a part is a task, chain, group or chord, with "
					"options such as queue, "
					"countdown, link",
					SPAN_FMT(it.key));
			buf_addf(b, "%s\"%.*s\": ", first ? "" : ", ", SPAN_FMT(key));
			first = false;
			if (is_link)
				e = add_links(b, it.value, depth, t);
			else
				buf_add(b, it.value);
		}
	buf_addc(b, '}');
	return e;
}

/* --- parts ---------------------------------------------------------------------------------------------------------------- */

static void
begin(struct buf *b, const char *type)
{
	buf_addf(b, "{\"task\": \"celery.%s\", \"args\": [], \"subtask_type\": \"%s\", \"immutable\": false, ",
		type, type);
}

static enum err
add_tasks(struct buf *b, const char *type, struct span list, struct span options, int depth, struct errtext *t)
{
	enum err e;

	begin(b, type);
	buf_adds(b, "\"kwargs\": {\"tasks\": ");
	e = add_list(b, list, type, depth, t);
	buf_adds(b, "}, ");
	if (e == E_OK)
		e = add_options(b, options, depth, t);
	buf_addc(b, '}');
	return e;
}

static enum err
add_chord(struct buf *b, struct span chord, struct span options, int depth, struct errtext *t)
{
	struct span header = jscan_member(chord, "header"), body = jscan_member(chord, "body");
	enum err e;

	if (jscan_kind(chord) != JSCAN_OBJECT || header.ptr == NULL || body.ptr == NULL)
		return err_set(t, E_FORMAT, "a chord is {\"header\": [part, ...], \"body\": part}");
	begin(b, "chord");
	buf_adds(b, "\"kwargs\": {\"kwargs\": {}, \"header\": ");
	e = add_list(b, header, "the header of a chord", depth, t);
	buf_adds(b, ", \"body\": ");
	if (e == E_OK)
		e = add_part(b, body, depth + 1, t);
	buf_adds(b, "}, ");
	if (e == E_OK)
		e = add_options(b, options, depth, t);
	buf_addc(b, '}');
	return e;
}

static enum err
add_task(struct buf *b, struct span object, int depth, struct errtext *t)
{
	static const char *const keys[] = { "task", "args", "kwargs", "immutable" };
	static const char *const defaults[] = { NULL, "[]", "{}", "false" };
	enum err e;

	buf_addc(b, '{');
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct span value = jscan_member(object, keys[i]);

		buf_addf(b, "\"%s\": ", keys[i]);
		buf_add(b, value.ptr != NULL ? value : span_of(defaults[i]));
		buf_adds(b, ", ");
	}
	buf_adds(b, "\"subtask_type\": null, ");
	e = add_options(b, object, depth, t);
	buf_addc(b, '}');
	return e;
}

static enum err
add_part(struct buf *b, struct span json, int depth, struct errtext *t)
{
	struct span value;

	if (depth > NESTING_MAX)
		return err_set(t, E_TOOBIG, "parts in parts, more than %d deep", NESTING_MAX);
	if (jscan_kind(json) == JSCAN_ARRAY)
		return add_tasks(b, "group", json, SPAN("{}"), depth, t);
	if (jscan_kind(json) != JSCAN_OBJECT)
		return err_set(t, E_FORMAT,
			"a part is an object such as {\"task\": \"add\", \"args\": [1, 2]}, or a list of "
			"parts");
	if (jscan_member(json, "options").ptr != NULL || jscan_member(json, "subtask_type").ptr != NULL) {
		buf_add(b, json);
		return E_OK;
	}
	if ((value = jscan_member(json, "chain")).ptr != NULL)
		return add_tasks(b, "chain", value, json, depth, t);
	if ((value = jscan_member(json, "group")).ptr != NULL)
		return add_tasks(b, "group", value, json, depth, t);
	if ((value = jscan_member(json, "chord")).ptr != NULL)
		return add_chord(b, value, json, depth, t);
	if (jscan_member(json, "header").ptr != NULL)
		return add_chord(b, json, json, depth, t);
	if (jscan_kind(jscan_member(json, "task")) != JSCAN_STRING)
		return err_set(t, E_FORMAT, "a part without 'task', 'chain', 'group' or 'chord'");
	return add_task(b, json, depth, t);
}

enum err
recipe_add_signature(struct buf *b, struct span json, enum recipe_kind kind, struct errtext *t)
{
	const struct jscan_limits lim = { .depth_max = 64, .containers_max = 1000000 };
	enum err e = jscan_check(json, &lim, NULL, t);

	json = span_trim(json);
	if (e != E_OK)
		return e;
	if (kind == RECIPE_CHORD)
		e = add_chord(b, json, SPAN("{}"), 0, t);
	else if (kind == RECIPE_ANY)
		e = add_part(b, json, 0, t);
	else
		e = add_tasks(b, kind == RECIPE_CHAIN ? "chain" : "group", json, SPAN("{}"), 0, t);
	return e == E_OK ? b->err : e;
}
