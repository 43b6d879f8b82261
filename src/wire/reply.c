/* See reply.h. */
#include "wire/reply.h"

#include "base/js.h"

void
reply_encode(struct buf *b, const struct result *r)
{
	struct js w;

	js_init(&w, b);
	js_object(&w);
	js_key(&w, "task_id");
	js_string(&w, r->task_id);
	result_add_outcome(&w, r);
	js_object_end(&w);
}

void
reply_address(
	struct msg *m, struct span reply_to, struct span correlation_id, struct span body, bool is_persistent)
{
	m->exchange = SPAN("");
	m->routing_key = reply_to;
	m->correlation_id = correlation_id;
	m->content_type = SPAN("application/json");
	m->content_encoding = SPAN("utf-8");
	m->delivery_mode = is_persistent ? 2 : 1;
	m->priority = 0;
	m->has_headers = true;
	m->body = body;
}
