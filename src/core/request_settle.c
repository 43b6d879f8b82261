/*
 * The steps that every end of a request is made of: what is stored, what becomes a letter, and when the delivery is acknowledged. A result
 * is durable before anything else is sent because of it.
 */
#include "core/request_inner.h"

struct effect *
request_add(struct effects *out, enum effect_type type)
{
	struct effect *e;

	assert(out->count < EFFECTS_MAX);
	e = &out->items[out->count++];
	memset(e, 0, sizeof(*e));
	e->type = type;
	return e;
}

struct report *
request_report(struct effects *out, enum report_kind kind)
{
	struct effect *e = request_add(out, EFF_REPORT);

	e->u.report.kind = kind;
	return &e->u.report;
}

/* The part of a result that is the same in every state. */
void
request_fill_result(const struct request *r, struct result *res, const char *state)
{
	const struct task *t = &r->task;

	res->task_id = t->id;
	res->state = span_of(state);
	res->parent_id = t->parent_id;
	res->group_id = t->group;
	res->reply_to = t->reply_to;
	res->correlation_id = t->correlation_id;
	res->extended = r->rules->result_extended;
	res->name = t->name;
	res->args = t->args;
	res->kwargs = t->kwargs;
	res->worker = span_of(r->rules->node);
	res->queue = r->queue;
	res->retries = t->retries;
}

void
request_settle(struct request *r, struct effects *out)
{
	r->state = REQUEST_SETTLED;
	request_add(out, r->acked ? EFF_FORGET : r->refused ? EFF_REJECT : EFF_ACK);
}

static void
add_flow(struct effects *out, enum flow_todo todo)
{
	request_add(out, EFF_FLOW)->u.todo = todo;
}

/* Stored, or nothing to store: what comes next. */
void
request_after_store(struct request *r, struct effects *out)
{
	enum flow_todo todo = flow_next(&r->flow);

	if (todo != FLOW_NOTHING) {
		r->state = REQUEST_COUNTING;
		add_flow(out, todo);
		return;
	}
	if (r->mail.kind == MAIL_NONE && r->flow.count == 0) {
		request_after_mail(r, out);
		return;
	}
	r->state = REQUEST_PUBLISHING;
	request_add(out, EFF_MAIL);
}

/* Everything is with the broker. */
void
request_after_mail(struct request *r, struct effects *out)
{
	enum flow_todo todo = flow_next_after_sending(&r->flow);

	if (todo == FLOW_NOTHING) {
		request_settle(r, out);
		return;
	}
	r->state = REQUEST_CLOSING;
	add_flow(out, todo);
}

/*
 * The backend will never take it: the message is kept, so that a person can decide. What it could not count is not tried again, but what
 * was to be sent is sent.
 */
static void
give_up_flow(struct request *r, enum flow_todo todo, const char *why)
{
	struct errtext text;

	(void)err_set(&text, E_REFUSED, "the result backend refused what its canvas needs: %s", why);
	if (r->mail.kind == MAIL_NONE)
		request_go_dead(r, "canvas", text.text);
	flow_give_up(&r->flow, todo);
}

void
request_on_flow(struct request *r, enum flow_todo todo, enum err e, const char *why, struct effects *out)
{
	assert(r->state == REQUEST_COUNTING || r->state == REQUEST_CLOSING);
	/* Counters that cannot be closed expire by themselves; whoever counts there again finds what is there now. */
	if (e == E_OK || todo == FLOW_CLOSE)
		flow_on_done(&r->flow, todo);
	else
		give_up_flow(r, todo, why);
	if (r->state == REQUEST_CLOSING)
		request_after_mail(r, out);
	else
		request_after_store(r, out);
}

/* Whether an end of this kind leaves a result. Errors are kept even when results are ignored by the worker's setting, as
 * Celery 5.2 does; a message's own ignore_result silences both. */
bool
request_leaves_result(const struct request *r, bool is_error)
{
	if (!r->rules->has_backend || r->task.id.len == 0 || r->no_store)
		return false;
	if (r->rules->only_replies && r->task.reply_to.len == 0)
		return false;
	if (r->must_store)
		return true;
	if (r->task.ignore_result)
		return false;
	return is_error || !r->rule->ignore_result;
}

void
request_store_final(struct request *r, const char *state, struct span value, struct span traceback, us_t wall,
	struct effects *out)
{
	struct effect *e;

	if (!request_leaves_result(r, strcmp(state, "SUCCESS") != 0)) {
		request_after_store(r, out);
		return;
	}
	r->state = REQUEST_STORING;
	e = request_add(out, EFF_STORE);
	request_fill_result(r, &e->u.result, state);
	e->u.result.value = value;
	e->u.result.traceback = traceback;
	e->u.result.date_done = wall;
	e->u.result.children = request_children(r);
}

void
request_end_error(struct request *r, const char *state, const struct result_error *err, struct span traceback,
	us_t wall, struct effects *out)
{
	buf_reset(&r->scratch);
	result_add_error(&r->scratch, err);
	request_follow(r, state, buf_span(&r->scratch), traceback, wall);
	request_store_final(r, state, buf_span(&r->scratch), traceback, wall, out);
}

void
request_end_success(struct request *r, struct span value, int64_t runtime_us, us_t wall, struct effects *out)
{
	struct report *rep = request_report(out, REPORT_SUCCEEDED);

	rep->value = value;
	rep->runtime_us = runtime_us;
	request_follow(r, "SUCCESS", value, SPAN_NONE, wall);
	request_store_final(r, "SUCCESS", value, SPAN_NONE, wall, out);
}

void
request_go_dead(struct request *r, const char *reason, const char *error)
{
	r->mail.kind = MAIL_DEAD;
	r->mail.reason = reason;
	snprintf(r->mail.error.text, sizeof(r->mail.error.text), "%s", error);
}

/* A chord whose body is not sent stays open: what comes of the dead letter, or a worker that looks for such chords, sends it. */
void
request_on_unsendable(struct request *r, const char *reason, const char *why)
{
	assert(r->state == REQUEST_PUBLISHING);
	r->flow.count = 0;
	r->flow.n_closes = r->flow.closed;
	if (r->mail.kind == MAIL_NONE || r->mail.kind == MAIL_RETRY)
		request_go_dead(r, reason, why);
}

/*
 * flow_check has looked at every signature before the run, so what is left to fail is memory, or a task that was not run because of its signatures:
 * then the message is kept for a person, since its follow-ups cannot be sent.
 */
void
request_follow(struct request *r, const char *state, struct span value, struct span traceback, us_t wall)
{
	struct flow_end end = { .state = span_of(state), .value = value, .traceback = traceback, .now = wall };
	struct errtext why = { "" };
	enum err e;

	if (r->task.id.len == 0)
		return;
	if (r->rule->inherit_priority)
		end.priority_plus1 = r->task.priority_plus1;
	/* Of an end that turned into another one. */
	flow_release(&r->flow);
	flow_init(&r->flow);
	e = flow_on_end(&r->flow, &r->task, &end, &why);
	if (e == E_OK)
		return;
	flow_release(&r->flow);
	flow_init(&r->flow);
	if (r->mail.kind == MAIL_NONE)
		request_go_dead(r, "canvas", e == E_NOMEM ? "out of memory for its follow-ups" : why.text);
}

/* `why` is one of Celery's words: revoked, expired, terminated. */
void
request_end_revoked(struct request *r, struct span why, int signum, us_t wall, struct effects *out)
{
	struct result_error err = {
		.type = SPAN("TaskRevokedError"), .module = SPAN("celery.exceptions"), .text = why
	};
	struct report *rep = request_report(out, REPORT_REVOKED);

	rep->text = why;
	rep->signum = signum;
	request_end_error(r, "REVOKED", &err, SPAN_NONE, wall, out);
}

/* What the message says goes before the rule. */
static double
limit_of(double in_message, double in_rule)
{
	return in_message > 0 ? in_message : in_rule;
}

double
request_hard_limit(const struct request *r)
{
	return limit_of(r->task.time_limit, r->rule->time_limit);
}

double
request_soft_limit(const struct request *r)
{
	return limit_of(r->task.soft_time_limit, r->rule->soft_time_limit);
}
