/*
 * From a dead letter back to the message it was. A copy is made, the marks of its death are taken off, and only when something inside the body
 * has to change is the body put together anew, from raw slices: what is not edited keeps its bytes.
 */
#include "wire/dead.h"

#include "base/text.h"
#include "wire/field.h"
#include "wire/forward.h"
#include "wire/inflate.h"
#include "wire/task.h"

#define MARK "x-warren-"
#define KWARGSREPR_MAX 1024

static enum err
no_memory(struct errtext *t)
{
	return err_set(t, E_NOMEM, "out of memory while putting the message together");
}

static enum err
check_edit(struct span json, enum jscan_kind kind, const char *what, struct errtext *t)
{
	const struct jscan_limits lim = task_json_limits(&task_limits_default, json.len);
	enum err e;

	if (json.ptr == NULL)
		return E_OK;
	e = jscan_check(json, &lim, NULL, t);
	if (e != E_OK)
		return err_prefix(t, e, "the new %s", what);
	json = span_trim(json);
	if (jscan_kind(json) == kind)
		return E_OK;
	return err_set(t, E_FORMAT, "the new %s are %s, not %s", what, field_kind_name(json),
		kind == JSCAN_ARRAY ? "an array" : "an object");
}

enum err
dead_restore_check(const struct dead_restore *r, struct errtext *t)
{
	enum err e = check_edit(r->args, JSCAN_ARRAY, "args", t);

	return e == E_OK ? check_edit(r->kwargs, JSCAN_OBJECT, "kwargs", t) : e;
}

static void
strip_marks(struct msg *m)
{
	size_t i, kept = 0;

	for (i = 0; i < m->headers.count; i++)
		if (!span_starts(m->headers.pairs[i].key, MARK))
			m->headers.pairs[kept++] = m->headers.pairs[i];
	m->headers.count = kept;
	msg_make_ours(m);
}

static enum err
set_route(struct msg *to, const struct msg *letter, const struct dead_restore *r, struct errtext *t)
{
	struct span queue = r->queue;

	if (queue.len == 0)
		queue = table_get_string(&letter->headers, "x-warren-queue");
	/* A stranger's letter, put aside by the broker: it kept its key. */
	if (queue.len == 0)
		queue = letter->routing_key;
	if (queue.len == 0)
		return err_set(t, E_MISSING, "the letter does not say which queue it came from: choose one");
	to->exchange = SPAN("");
	to->routing_key = arena_dup(&to->arena, queue);
	return to->routing_key.ptr == NULL ? no_memory(t) : E_OK;
}

static bool
has_passed(us_t expires, const struct dead_restore *r)
{
	return !r->keep_expires && expires != INT64_MIN && expires <= r->now;
}

/* Headers of protocol 2; those of another type than expected are left for the worker to judge. */
static void
restore_headers(struct msg *to, const struct dead_restore *r, bool *had_expired)
{
	struct span text = table_get_string(&to->headers, "expires");
	us_t expires = INT64_MIN;
	int64_t retries;
	size_t i;

	*had_expired = text.len > 0 && text_parse_time(text, &expires) && has_passed(expires, r);
	for (i = 0; i < to->headers.count; i++) {
		struct pair *p = &to->headers.pairs[i];

		if (*had_expired && span_is(p->key, "expires"))
			p->value = val_void();
		else if (span_is(p->key, "retries") && table_get_int(&to->headers, "retries", &retries))
			p->value = val_int(0);
	}
}

/* The JSON text of the body; the task was decoded, so it can be inflated. */
static enum err
clear_body(struct msg *m, struct span *out, struct errtext *t)
{
	enum err e;

	*out = span_trim(m->body);
	if (table_get_string(&m->headers, "compression").len == 0)
		return E_OK;
	e = inflate_body(m->body, task_limits_default.body_max, &m->arena, out);
	if (e != E_OK)
		return err_set(t, e, "the compressed body cannot be read: %s", err_name(e));
	*out = span_trim(*out);
	return E_OK;
}

static void
add_array(struct buf *b, const struct task *t, struct span body)
{
	struct span embed = SPAN("{}");
	struct jscan_iter it;

	if (jscan_begin(&it, body))
		while (jscan_next(&it))
			embed = it.value;
	buf_addc(b, '[');
	buf_add(b, t->args);
	buf_adds(b, ", ");
	buf_add(b, t->kwargs);
	buf_adds(b, ", ");
	buf_add(b, embed);
	buf_addc(b, ']');
}

static void
add_object(struct buf *b, const struct task *t, struct span body, bool drop_expires)
{
	struct jscan_iter it;

	buf_adds(b, "{\"args\": ");
	buf_add(b, t->args);
	buf_adds(b, ", \"kwargs\": ");
	buf_add(b, t->kwargs);
	for (bool more = jscan_begin(&it, body); more && jscan_next(&it);) {
		if (span_is(it.key, "args") || span_is(it.key, "kwargs"))
			continue;
		buf_adds(b, ", \"");
		buf_add(b, it.key);
		buf_adds(b, "\": ");
		if (drop_expires && span_is(it.key, "expires"))
			buf_adds(b, "null");
		else if (span_is(it.key, "retries"))
			buf_adds(b, "0");
		else
			buf_add(b, it.value);
	}
	buf_addc(b, '}');
}

static enum err
set_repr(struct msg *m, const char *key, struct span json, bool as_tuple)
{
	struct span copy = SPAN_NONE;
	struct buf b;

	/* Who did not send one does not get one. */
	if (table_get(&m->headers, key) == NULL)
		return E_OK;
	buf_init(&b, 0);
	if (as_tuple)
		task_add_argsrepr(&b, json);
	else
		task_add_repr(&b, json, KWARGSREPR_MAX);
	if (b.err == E_OK)
		copy = arena_dup(&m->arena, buf_span(&b));
	buf_release(&b);
	return copy.ptr == NULL ? E_NOMEM : table_set(&m->headers, &m->arena, span_of(key), val_string(copy));
}

static enum err
rewrite(struct msg *to, const struct task *t, bool drop_expires, struct errtext *why)
{
	struct span body, copy = SPAN_NONE;
	struct buf b;
	enum err e = clear_body(to, &body, why);

	if (e != E_OK)
		return e;
	buf_init(&b, task_limits_default.body_max);
	if (jscan_kind(body) == JSCAN_OBJECT)
		add_object(&b, t, body, drop_expires);
	else
		add_array(&b, t, body);
	e = b.err;
	if (e == E_OK)
		copy = arena_dup(&to->arena, buf_span(&b));
	buf_release(&b);
	if (e == E_TOOBIG)
		return err_set(
			why, e, "the body would have more than %zu bytes", task_limits_default.body_max);
	if (copy.ptr == NULL)
		return no_memory(why);
	to->body = copy;
	table_del(&to->headers, "compression");
	if (set_repr(to, "argsrepr", t->args, true) != E_OK ||
		set_repr(to, "kwargsrepr", t->kwargs, false) != E_OK)
		return no_memory(why);
	return E_OK;
}

enum err
dead_restore(struct msg *to, const struct msg *letter, const struct dead_restore *r, bool *had_expired,
	struct errtext *t)
{
	bool edits = r->args.ptr != NULL || r->kwargs.ptr != NULL, in_body;
	enum task_fault fault;
	struct errtext why;
	struct task task;
	enum err e;

	*had_expired = false;
	e = dead_restore_check(r, t);
	if (e != E_OK)
		return e;
	e = msg_copy(to, letter);
	if (e != E_OK)
		return err_set(t, e, "the message cannot be copied: %s", err_name(e));
	strip_marks(to);
	e = set_route(to, letter, r, t);
	if (e != E_OK)
		return e;
	restore_headers(to, r, had_expired);
	if (!edits && span_is(table_get_string(&letter->headers, MARK "reason"), DEAD_REASON_ROUTE) &&
		forward_counts_write(to, &(struct forward_counts){ .held = 1 }) != E_OK)
		return no_memory(t);
	/* Without a header `task` it can only be protocol 1, whose facts are in its body. */
	if (!edits && table_get(&to->headers, "task") != NULL)
		return E_OK;
	fault = task_decode(&task, to, &task_limits_default, &why);
	if (fault == TASK_FAULT_NOMEM)
		return no_memory(t);
	if (fault != TASK_FINE)
		return edits
			? err_set(t, E_FORMAT, "it cannot be edited, only replayed as it is: %s", why.text)
			: E_OK;
	in_body = task.protocol == 1 && has_passed(task.expires, r);
	*had_expired |= in_body;
	if (!edits && !in_body && (task.protocol != 1 || task.retries == 0))
		return E_OK;
	if (r->args.ptr != NULL)
		task.args = span_trim(r->args);
	if (r->kwargs.ptr != NULL)
		task.kwargs = span_trim(r->kwargs);
	return rewrite(to, &task, in_body, t);
}
