/* See forward.h. */
#include "wire/forward.h"

#include "base/text.h"

static const struct {
	const char *header;
	size_t offset;
} counters[] = {
	{ "x-warren-lost", offsetof(struct forward_counts, lost) },
	{ "x-warren-requeued", offsetof(struct forward_counts, requeued) },
	{ "x-warren-held", offsetof(struct forward_counts, held) },
	{ "x-warren-interrupted", offsetof(struct forward_counts, interrupted) },
	{ "x-warren-turn", offsetof(struct forward_counts, turn) },
	{ "x-warren-cluster-turn", offsetof(struct forward_counts, cluster_turn) },
};

/* Larger ones are nonsense, and would not bear to be counted on. */
#define COUNT_MAX (INT64_MAX / 4)

void
forward_counts_read(struct forward_counts *c, const struct table *headers)
{
	for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
		int64_t n;
		bool is_there = table_get_int(headers, counters[i].header, &n) && n > 0 && n <= COUNT_MAX;

		*(int64_t *)((char *)c + counters[i].offset) = is_there ? n : 0;
	}
}

static enum err
set(struct msg *m, const char *key, struct val v)
{
	return table_set(&m->headers, &m->arena, span_of(key), v);
}

static enum err
set_text(struct msg *m, const char *key, struct span text)
{
	struct span copy = arena_dup(&m->arena, text);

	return copy.ptr == NULL ? E_NOMEM : set(m, key, val_string(copy));
}

static enum err
set_eta(struct msg *m, us_t eta)
{
	char when[TEXT_TIME_MAX];
	size_t len;

	if (eta == 0)
		return set(m, "eta", val_void());
	len = text_format_time(eta, when);
	return set_text(m, "eta", (struct span){ when, len });
}

static enum err
set_route(struct msg *m, const struct forward *f)
{
	m->exchange = arena_dup(&m->arena, f->exchange);
	m->routing_key = arena_dup(&m->arena, f->routing_key);
	return m->exchange.ptr == NULL || m->routing_key.ptr == NULL ? E_NOMEM : E_OK;
}

enum err
forward_counts_write(struct msg *m, const struct forward_counts *c)
{
	enum err e = E_OK;

	for (size_t i = 0; i < ARRAY_LEN(counters) && e == E_OK; i++) {
		int64_t n = *(const int64_t *)((const char *)c + counters[i].offset);

		if (n > 0) {
			m->has_headers = true;
			e = set(m, counters[i].header, val_int(n));
		} else {
			table_del(&m->headers, counters[i].header);
		}
	}
	return e;
}

static enum err
next_attempt(struct msg *m, const struct task *t, us_t eta)
{
	enum err e = set(m, "retries", val_int(t->retries + 1));

	if (e == E_OK)
		e = set_eta(m, eta);
	/* As Celery does: the first retry of a top-level task names itself as its parent. */
	if (e == E_OK && t->parent_id.len == 0)
		e = set_text(m, "parent_id", t->id);
	return e;
}

static enum err
encode_protocol_1(struct msg *to, const struct msg *original, const struct task *t, const struct forward *f)
{
	struct task_call call = {
		.id = t->id,
		.name = t->name,
		.args = t->args,
		.kwargs = t->kwargs,
		.callbacks = t->callbacks,
		.errbacks = t->errbacks,
		.chord = t->chord,
		.group = t->group,
		.parent_id = t->id,
		.root_id = t->id,
		.group_index_plus1 = t->group_index + 1,
		.retries = t->retries + 1,
		.eta = f->eta,
		.time_limit = t->time_limit > 0 ? t->time_limit : 0,
		.soft_time_limit = t->soft_time_limit > 0 ? t->soft_time_limit : 0,
		.priority_plus1 = original->priority + 1,
		.reply_to = original->reply_to,
		.transient = original->delivery_mode == 1,
	};
	enum err e = task_encode(&call, to, NULL);

	if (e == E_OK && t->expires_text.len > 0)
		e = set_text(to, "expires", t->expires_text);
	return e;
}

enum err
forward_encode(struct msg *to, const struct msg *original, const struct task *t, const struct forward *f)
{
	enum err e;

	if (f->is_retry && t->protocol == 1) {
		e = encode_protocol_1(to, original, t, f);
	} else {
		e = msg_copy(to, original);
		if (e == E_OK && f->is_retry)
			e = next_attempt(to, t, f->eta);
	}
	if (e != E_OK)
		return e;
	msg_make_ours(to);
	to->expiration = SPAN_NONE;
	e = forward_counts_write(to, &f->been);
	if (e == E_OK)
		e = set_route(to, f);
	return e == E_OK && f->is_retry ? forward_change_apply(to, t, &f->change) : e;
}
