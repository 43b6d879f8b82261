/* See outbox.h. */
#include "wire/outbox.h"

#include "wire/forward.h"

#define ID_HEADER "x-warren-outbox-id"
#define BYTES_HEADER "x-warren-outbox-bytes"
#define QUEUE_HEADER "x-warren-outbox-queue"

static enum err
set_text(struct msg *m, const char *key, struct span text)
{
	struct span copy = arena_dup(&m->arena, text);

	return copy.ptr == NULL ? E_NOMEM : table_set(&m->headers, &m->arena, span_of(key), val_string(copy));
}

static enum err
set_body(struct msg *m, struct span a, struct span b)
{
	char *body = arena_alloc(&m->arena, a.len + b.len + 1);

	if (body == NULL)
		return E_NOMEM;
	if (a.len > 0)
		memcpy(body, a.ptr, a.len);
	if (b.len > 0)
		memcpy(body + a.len, b.ptr, b.len);
	m->body = (struct span){ body, a.len + b.len };
	return E_OK;
}

enum err
outbox_encode(struct msg *to, const struct outbox_letter *l, const struct msg *task)
{
	enum err e = E_OK;

	if (task != NULL) {
		e = msg_copy(to, task);
		msg_make_ours(to);
	} else {
		to->content_type = SPAN("application/json");
		to->content_encoding = SPAN("utf-8");
	}
	to->delivery_mode = 2;
	to->expiration = SPAN_NONE;
	to->has_headers = true;
	if (e == E_OK)
		e = set_text(to, ID_HEADER, l->id);
	if (e == E_OK)
		e = table_set(&to->headers, &to->arena, SPAN(BYTES_HEADER), val_int((int64_t)l->result.len));
	if (e == E_OK && task != NULL)
		e = set_text(to, QUEUE_HEADER, l->queue);
	return e == E_OK ? set_body(to, l->result, task != NULL ? task->body : SPAN_NONE) : e;
}

enum err
outbox_decode(struct outbox_letter *l, const struct msg *m, struct errtext *why)
{
	int64_t bytes;

	*l = (struct outbox_letter){ .id = table_get_string(&m->headers, ID_HEADER),
		.queue = table_get_string(&m->headers, QUEUE_HEADER) };
	if (l->id.len == 0 || !table_get_int(&m->headers, BYTES_HEADER, &bytes))
		return err_set(why, E_FORMAT, "its headers do not say whose result it is");
	if (bytes <= 0 || (uint64_t)bytes > m->body.len)
		return err_set(why, E_FORMAT, "its result should have %lld bytes, and its body has %zu",
			(long long)bytes, m->body.len);
	l->result = (struct span){ m->body.ptr, (size_t)bytes };
	if (l->queue.len == 0)
		l->queue = SPAN_NONE;
	return E_OK;
}

enum err
outbox_restore(struct msg *to, const struct msg *m, const struct outbox_letter *l)
{
	struct forward_counts been;
	enum err e = msg_copy(to, m);

	if (e != E_OK)
		return e;
	msg_make_ours(to);
	table_del(&to->headers, ID_HEADER);
	table_del(&to->headers, BYTES_HEADER);
	table_del(&to->headers, QUEUE_HEADER);
	to->body = (struct span){ to->body.ptr + l->result.len, to->body.len - l->result.len };
	to->exchange = SPAN("");
	to->routing_key = arena_dup(&to->arena, l->queue);
	forward_counts_read(&been, &to->headers);
	been.held++;
	e = to->routing_key.ptr != NULL ? forward_counts_write(to, &been) : E_NOMEM;
	return e;
}
