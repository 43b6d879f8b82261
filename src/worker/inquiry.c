/* See inquiry.h. */
#include "worker/inquiry.h"

#include "worker/ctl.h"

struct fate {
	struct inquiry *inquiry;
	struct span id;
	const char *state; /* NULL = not here */
};

struct inquiry {
	struct list link; /* control.inquiries while it waits */
	struct worker *worker;
	struct control_request req;
	struct msg *msg; /* owner, while it waits */
	bool terminate;
	struct buf names, terminated;
	struct fate *fates;
	size_t count, due;
};

struct inquiry *
inquiry_new(struct ctl *c, bool terminate)
{
	struct inquiry *q = must_alloc(sizeof(*q));

	*q = (struct inquiry){ .worker = c->worker, .req = *c->req, .terminate = terminate };
	buf_init(&q->names, 0);
	buf_init(&q->terminated, 0);
	return q;
}

static void
inquiry_free(struct inquiry *q)
{
	list_unlink(&q->link);
	for (size_t i = 0; i < q->count; i++)
		backend_load_cancel(q->worker->backend, &q->fates[i]);
	buf_release(&q->names);
	buf_release(&q->terminated);
	alloc_free(q->fates);
	if (q->msg != NULL)
		bus_msg_free(q->msg);
	alloc_free(q);
}

static void
add_name(struct buf *b, struct span name)
{
	buf_adds(b, b->len > 0 ? ", " : "");
	buf_add(b, name);
}

void
inquiry_add(struct inquiry *q, struct span id, const char *state, bool is_terminated)
{
	q->fates = must_resize(q->fates, sizeof(*q->fates) * (q->count + 1));
	q->fates[q->count++] = (struct fate){ .inquiry = q, .id = id, .state = state };
	add_name(&q->names, id);
	if (is_terminated)
		add_name(&q->terminated, id);
}

struct span
inquiry_names(const struct inquiry *q)
{
	return buf_span(&q->names);
}

static void
add_text(const struct inquiry *q, struct buf *b)
{
	if (!q->terminate) {
		buf_adds(b, "tasks ");
		buf_add(b, buf_span(&q->names));
		buf_adds(b, " flagged as revoked");
	} else if (q->terminated.len == 0) {
		buf_adds(b, "terminate: tasks unknown");
	} else {
		buf_adds(b, "terminate: ");
		buf_add(b, buf_span(&q->terminated));
	}
}

static void
write_answer(const struct inquiry *q, struct js *js)
{
	struct buf text;

	buf_init(&text, 0);
	add_text(q, &text);
	js_object(js);
	js_key(js, "ok");
	js_string(js, buf_span(&text));
	js_key(js, "tasks");
	js_object(js);
	for (size_t i = 0; i < q->count; i++) {
		js_key_span(js, q->fates[i].id);
		js_text(js, q->fates[i].state != NULL ? q->fates[i].state : "unknown");
	}
	js_object_end(js);
	js_object_end(js);
	buf_release(&text);
}

static void
on_loaded(void *owner, enum err e, const struct result *r, const char *why UNUSED)
{
	struct fate *f = owner;
	struct inquiry *q = f->inquiry;
	struct buf answer;
	struct js js;

	/* Whatever hinders the backend: unknown is the truth then. */
	if (e == E_OK && result_is_ready(r->state))
		f->state = "finished";
	if (--q->due > 0)
		return;
	buf_init(&answer, 0);
	js_init(&js, &answer);
	write_answer(q, &js);
	if (answer.err == E_OK)
		control_answer(&q->worker->control, &q->req, buf_span(&answer));
	buf_release(&answer);
	inquiry_free(q);
}

void
inquiry_begin(struct inquiry *q, struct ctl *c)
{
	struct backend *b = q->worker->backend;

	for (size_t i = 0; i < q->count && c->req->reply_exchange.ptr != NULL && backend_is_up(b); i++)
		if (q->fates[i].state == NULL &&
			backend_load(b, q->fates[i].id, on_loaded, &q->fates[i]) == E_OK)
			q->due++;
	if (q->due == 0) {
		write_answer(q, c->js);
		inquiry_free(q);
		return;
	}
	c->is_kept = true;
	q->msg = c->msg;
	list_push(&q->worker->control.inquiries, &q->link);
}

void
inquiries_release(struct list *inquiries)
{
	struct list *it, *tmp;

	LIST_EACH (inquiries, it, tmp)
		inquiry_free(container_of(it, struct inquiry, link));
}
