/*
 * Runner frames on their way out: one line each, without blanks, keys in the order of the golden frames.
 */
#include "wire/run.h"

#include "base/js.h"
#include "wire/field.h"

static void
add_error(struct js *w, const struct run_error *e)
{
	if (!e->type.ptr) {
		js_null(w);
		return;
	}
	js_object(w);
	js_key(w, "type");
	js_string(w, e->type);
	js_key(w, "module");
	js_string(w, e->module);
	js_key(w, "message");
	js_raw(w, e->message.ptr ? e->message : SPAN("[]"));
	js_key(w, "traceback");
	js_string(w, e->traceback);
	js_object_end(w);
}

static void
add_retry(struct js *w, const struct run_frame *f)
{
	js_object(w);
	js_key(w, "countdown");
	if (f->has_countdown)
		field_add_seconds(w, f->countdown);
	else
		js_null(w);
	js_key(w, "eta");
	js_string(w, f->eta);
	js_key(w, "max_retries");
	if (f->max_retries >= 0)
		js_int(w, f->max_retries);
	else
		js_null(w);
	js_key(w, "error");
	add_error(w, &f->error);
	js_object_end(w);
}

static void
add_outcome(struct js *w, const struct run_frame *f)
{
	switch (f->outcome) {
	case RUN_RESULT:
		js_key(w, "result");
		js_raw(w, f->result);
		break;
	case RUN_ERROR:
		js_key(w, "error");
		add_error(w, &f->error);
		break;
	case RUN_RETRY:
		js_key(w, "retry");
		add_retry(w, f);
		break;
	case RUN_IGNORE:
		js_key(w, "ignore");
		js_bool(w, true);
		break;
	case RUN_REJECT:
		js_key(w, "reject");
		js_object(w);
		js_key(w, "requeue");
		js_bool(w, f->requeue);
		js_key(w, "reason");
		js_string(w, f->reason);
		js_object_end(w);
		break;
	}
}

static void
add_routes(struct js *w, const struct run_frame *f)
{
	if (f->routes.ptr != NULL) {
		js_key(w, "routes");
		js_raw(w, f->routes);
		return;
	}
	js_key(w, "at");
	js_int(w, f->place);
	js_key(w, "error");
	add_error(w, &f->error);
}

static void
add_members(struct js *w, const struct run_frame *f)
{
	if (f->type != RUN_HELLO && f->type != RUN_STOP) {
		js_key(w, "id");
		js_string(w, f->id);
	}
	switch (f->type) {
	case RUN_HELLO:
		js_key(w, "protocol");
		js_int(w, f->protocol);
		js_key(w, "language");
		js_string(w, f->language);
		js_key(w, "pid");
		js_int(w, f->pid);
		js_key(w, "tasks");
		js_raw(w, f->tasks.ptr ? f->tasks : SPAN("[]"));
		if (f->takes_routes) {
			js_key(w, "routes");
			js_bool(w, true);
		}
		break;
	case RUN_RUN:
		js_key(w, "name");
		js_string(w, f->name);
		js_key(w, "args");
		js_raw(w, f->args.ptr ? f->args : SPAN("[]"));
		js_key(w, "kwargs");
		js_raw(w, f->kwargs.ptr ? f->kwargs : SPAN("{}"));
		js_key(w, "request");
		js_raw(w, f->request.ptr ? f->request : SPAN("{}"));
		break;
	case RUN_STATE:
		js_key(w, "state");
		js_string(w, f->state);
		js_key(w, "meta");
		js_raw(w, f->meta);
		break;
	case RUN_DONE:
		add_outcome(w, f);
		break;
	case RUN_CANCEL:
		js_key(w, "reason");
		js_string(w, f->reason);
		break;
	case RUN_ROUTE:
		js_key(w, "calls");
		js_raw(w, f->calls.ptr ? f->calls : SPAN("[]"));
		break;
	case RUN_ROUTED:
		add_routes(w, f);
		break;
	case RUN_STOP:
		break;
	}
}

void
run_encode(struct buf *b, const struct run_frame *f)
{
	struct js w;

	js_init(&w, b);
	w.compact = true;
	js_object(&w);
	js_key(&w, run_type_names[f->type]);
	js_object(&w);
	add_members(&w, f);
	js_object_end(&w);
	js_object_end(&w);
	buf_addc(b, '\n');
}

static void
add_limit(struct js *w, double seconds)
{
	if (seconds >= 0)
		field_add_seconds(w, seconds);
	else
		js_null(w);
}

static void
add_delivery(struct js *w, const struct run_request *r)
{
	js_key(w, "delivery_info");
	js_object(w);
	js_key(w, "exchange");
	js_string(w, r->exchange);
	js_key(w, "routing_key");
	js_string(w, r->routing_key);
	js_key(w, "priority");
	if (r->priority >= 0)
		js_int(w, r->priority);
	else
		js_null(w);
	js_key(w, "redelivered");
	js_bool(w, r->redelivered);
	js_object_end(w);
}

static void
add_text(struct js *w, const char *key, struct span text)
{
	js_key(w, key);
	js_string(w, text);
}

static void
add_some(struct js *w, const char *key, struct span json)
{
	if (json.ptr == NULL)
		return;
	js_key(w, key);
	js_raw(w, json);
}

void
run_add_request(struct buf *b, const struct run_request *r)
{
	struct js w;

	js_init(&w, b);
	w.compact = true;
	js_object(&w);
	add_text(&w, "id", r->id);
	add_text(&w, "task", r->name);
	add_text(&w, "root_id", r->root_id);
	add_text(&w, "parent_id", r->parent_id);
	add_text(&w, "group", r->group);
	js_key(&w, "group_index");
	if (r->group_index >= 0)
		js_int(&w, r->group_index);
	else
		js_null(&w);
	js_key(&w, "retries");
	js_int(&w, r->retries);
	add_text(&w, "eta", r->eta);
	add_text(&w, "expires", r->expires);
	js_key(&w, "timelimit");
	js_array(&w);
	add_limit(&w, r->time_limit);
	add_limit(&w, r->soft_time_limit);
	js_array_end(&w);
	add_text(&w, "correlation_id", r->correlation_id);
	add_text(&w, "reply_to", r->reply_to);
	add_text(&w, "origin", r->origin);
	add_text(&w, "shadow", r->shadow);
	add_text(&w, "hostname", r->hostname);
	add_delivery(&w, r);
	js_key(&w, "headers");
	js_raw(&w, r->headers.ptr ? r->headers : SPAN("{}"));
	add_some(&w, "callbacks", r->callbacks);
	add_some(&w, "errbacks", r->errbacks);
	add_some(&w, "chain", r->chain);
	add_some(&w, "chord", r->chord);
	if (r->ignore_result) {
		js_key(&w, "ignore_result");
		js_bool(&w, true);
	}
	if (r->replaced_task_nesting > 0) {
		js_key(&w, "replaced_task_nesting");
		js_int(&w, r->replaced_task_nesting);
	}
	js_object_end(&w);
}
