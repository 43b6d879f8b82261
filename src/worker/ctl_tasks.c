/* Remote control: the tasks a worker holds. */
#include "worker/ctl.h"

#include "base/text.h"
#include "worker/job.h"

static bool
is_active(const struct job *j)
{
	return j->request.state == REQUEST_RUNNING;
}

/* Delivered and not begun; those that only wait for their time are scheduled. */
static bool
is_reserved(const struct job *j)
{
	return j->request.state == REQUEST_CHECKING || j->request.state == REQUEST_ASKING ||
		j->request.state == REQUEST_WAITING;
}

static bool
is_scheduled(const struct job *j)
{
	return j->request.state == REQUEST_HELD;
}

static void
add_delivery_info(struct js *js, const struct job *j)
{
	js_key(js, "delivery_info");
	js_object(js);
	js_key(js, "exchange");
	js_string(js, j->msg->exchange.ptr != NULL ? j->msg->exchange : SPAN(""));
	js_key(js, "routing_key");
	js_string(js, j->request.queue);
	js_key(js, "priority");
	if (j->msg->priority >= 0)
		js_int(js, j->msg->priority);
	else
		js_null(js);
	js_key(js, "redelivered");
	js_bool(js, j->request.redelivered);
	js_object_end(js);
}

/* `safe`: as text for people, the form it was sent in. */
static void
add_args(struct js *js, const struct task *t, bool safe)
{
	struct buf b;

	if (!safe) {
		js_key(js, "args");
		js_raw(js, t->args);
		js_key(js, "kwargs");
		js_raw(js, t->kwargs);
		return;
	}
	buf_init(&b, 0);
	js_key(js, "args");
	if (t->argsrepr.ptr == NULL)
		task_add_argsrepr(&b, t->args);
	js_string(js, t->argsrepr.ptr != NULL ? t->argsrepr : buf_span(&b));
	buf_reset(&b);
	js_key(js, "kwargs");
	if (t->kwargsrepr.ptr == NULL)
		task_add_repr(&b, t->kwargs, 1024);
	js_string(js, t->kwargsrepr.ptr != NULL ? t->kwargsrepr : buf_span(&b));
	buf_release(&b);
}

static void
add_info(struct ctl *c, const struct job *j, bool safe)
{
	const struct task *t = &j->request.task;
	bool begun = j->request.state >= REQUEST_RUNNING && j->request.started_us > 0;
	struct js *js = c->js;

	js_object(js);
	js_key(js, "id");
	js_string(js, t->id);
	js_key(js, "name");
	js_string(js, t->shadow.len > 0 ? t->shadow : t->name);
	add_args(js, t, safe);
	js_key(js, "type");
	js_string(js, t->name);
	js_key(js, "hostname");
	js_text(js, c->worker->conf->node);
	js_key(js, "time_start");
	if (begun)
		js_double(js, (double)j->started / 1e6);
	else
		js_null(js);
	js_key(js, "acknowledged");
	js_bool(js, j->request.acked);
	add_delivery_info(js, j);
	js_key(js, "worker_pid");
	if (begun)
		js_int(js, j->request.child_pid);
	else
		js_null(js);
	js_object_end(js);
}

/* Calls fn for each job that is a task. */
static void
each(struct ctl *c, bool (*is)(const struct job *j), void (*fn)(struct ctl *c, const struct job *j))
{
	js_array(c->js);
	for (size_t i = 0; i < c->worker->n_pools; i++) {
		struct list *it, *tmp;

		LIST_EACH (&c->worker->pools[i].jobs, it, tmp) {
			const struct job *j = container_of(it, struct job, link);

			if (is(j) && j->request.task.id.len > 0)
				fn(c, j);
		}
	}
	js_array_end(c->js);
}

static void
add_plain(struct ctl *c, const struct job *j)
{
	add_info(c, j, control_arg_flag(c->req, "safe", false));
}

static void
add_scheduled(struct ctl *c, const struct job *j)
{
	char eta[TEXT_TIME_MAX];

	js_object(c->js);
	js_key(c->js, "eta");
	js_string(c->js, (struct span){ eta, text_format_time(j->request.due, eta) });
	js_key(c->js, "priority");
	js_int(c->js, 6);
	js_key(c->js, "request");
	add_info(c, j, false);
	js_object_end(c->js);
}

void
ctl_active(struct ctl *c)
{
	each(c, is_active, add_plain);
}

void
ctl_reserved(struct ctl *c)
{
	each(c, is_reserved, add_plain);
}

void
ctl_scheduled(struct ctl *c)
{
	each(c, is_scheduled, add_scheduled);
}

static void
add_found(struct ctl *c, const struct job *j)
{
	js_key_span(c->js, j->request.task.id);
	js_array(c->js);
	js_text(c->js, is_active(j) ? "active" : is_reserved(j) || is_scheduled(j) ? "reserved" : "ready");
	add_info(c, j, false);
	js_array_end(c->js);
}

void
ctl_query_task(struct ctl *c)
{
	struct control_texts w = { .started = false };
	struct span id;

	js_object(c->js);
	while (control_next_text(c->req, "ids", &w, &id)) {
		const struct job *j = worker_find_job(c->worker, id);

		if (j != NULL)
			add_found(c, j);
	}
	js_object_end(c->js);
}
