/*
 * The decisions of one task's life; see request.h for the states. Celery's rules for what is stored and acknowledged are in
 * celery-wire.md sections 1.12, 3.3, 5.2 and 5.4. Two differences are on purpose: an acknowledgement comes last, after the
 * result is durable; and what cannot be run goes to the dead-letter exchange instead of being dropped.
 */
#include "core/request.h"

#include <signal.h>

#include "base/js.h"
#include "base/text.h"
#include "core/ladder.h"

/* A queue name that still fits a routing key with the ladder's digits before it. */
#define LADDER_QUEUE_MAX (255 - LADDER_PREFIX_LEN)

static struct effect *
add(struct effects *out, enum effect_type type)
{
	struct effect *e;

	assert(out->count < EFFECTS_MAX);
	e = &out->items[out->count++];
	memset(e, 0, sizeof(*e));
	e->type = type;
	return e;
}

static struct report *
add_report(struct effects *out, enum report_kind kind)
{
	struct effect *e = add(out, EFF_REPORT);

	e->u.report.kind = kind;
	return &e->u.report;
}

void
request_init(struct request *r, const struct request_rules *rules)
{
	memset(r, 0, sizeof(*r));
	r->rules = rules;
	buf_init(&r->scratch, 0);
	buf_init(&r->note, 0);
	buf_init(&r->detail, 0);
}

void
request_release(struct request *r)
{
	buf_release(&r->scratch);
	buf_release(&r->note);
	buf_release(&r->detail);
}

const char *
request_state_name(enum request_state s)
{
	static const char *const names[] = {
		[REQUEST_NEW] = "new",
		[REQUEST_CHECKING] = "checking",
		[REQUEST_HELD] = "held",
		[REQUEST_WAITING] = "waiting",
		[REQUEST_RUNNING] = "running",
		[REQUEST_STORING] = "storing",
		[REQUEST_PUBLISHING] = "publishing",
		[REQUEST_SETTLED] = "settled",
	};

	return names[s];
}

/* The part of a result that is the same in every state. */
static void
fill_result(const struct request *r, struct result *res, const char *state)
{
	const struct task *t = &r->task;

	res->task_id = t->id;
	res->state = span_of(state);
	res->parent_id = t->parent_id;
	res->group_id = t->group;
	res->extended = r->rules->result_extended;
	res->name = t->name;
	res->args = t->args;
	res->kwargs = t->kwargs;
	res->worker = span_of(r->rules->node);
	res->queue = r->queue;
	res->retries = t->retries;
}

static void
settle(struct request *r, struct effects *out)
{
	r->state = REQUEST_SETTLED;
	add(out, r->acked ? EFF_FORGET : EFF_ACK);
}

/* Stored, or nothing to store: what comes next. */
static void
after_store(struct request *r, struct effects *out)
{
	if (r->mail.kind == MAIL_NONE) {
		settle(r, out);
		return;
	}
	r->state = REQUEST_PUBLISHING;
	add(out, EFF_MAIL);
}

/* Whether an end of this kind leaves a result. Errors are kept even when results are ignored by the worker's setting, as
 * Celery 5.2 does; a message's own ignore_result silences both. */
static bool
leaves_result(const struct request *r, bool is_error)
{
	if (!r->rules->has_backend || r->task.id.len == 0 || r->task.ignore_result)
		return false;
	return is_error || !(r->rules->ignore_result || r->rule->ignore_result);
}

static void
store_final(struct request *r, const char *state, struct span value, struct span traceback, us_t wall, struct effects *out)
{
	struct effect *e;

	if (!leaves_result(r, strcmp(state, "SUCCESS") != 0)) {
		after_store(r, out);
		return;
	}
	r->state = REQUEST_STORING;
	e = add(out, EFF_STORE);
	fill_result(r, &e->u.result, state);
	e->u.result.value = value;
	e->u.result.traceback = traceback;
	e->u.result.date_done = wall;
}

static void
store_error(struct request *r, const char *state, const struct result_error *err, struct span traceback, us_t wall,
	struct effects *out)
{
	buf_reset(&r->scratch);
	result_add_error(&r->scratch, err);
	store_final(r, state, buf_span(&r->scratch), traceback, wall, out);
}

static void
go_dead(struct request *r, const char *reason, const char *error)
{
	r->mail.kind = MAIL_DEAD;
	r->mail.reason = reason;
	snprintf(r->mail.error.text, sizeof(r->mail.error.text), "%s", error);
}

/* Known, not expired, not done before: hold it until it is due, or run it. */
static void
hold_or_run(struct request *r, us_t wall, struct effects *out)
{
	int64_t delay_s = r->task.eta == INT64_MIN ? 0 : ladder_delay_s(r->task.eta, wall);
	struct report *rep;

	if (r->task.eta == INT64_MIN || r->task.eta <= wall) {
		r->state = REQUEST_WAITING;
		add(out, EFF_RUN);
	} else if (delay_s == 0 || r->queue.len > LADDER_QUEUE_MAX) {
		/* Due within a second, or of a queue whose name leaves no room for the ladder's digits. */
		r->state = REQUEST_HELD;
		add(out, EFF_HOLD)->u.until = r->task.eta;
	} else {
		r->mail = (struct mail){ .kind = MAIL_LATER, .delay_s = delay_s };
		rep = add_report(out, REPORT_DELAYED);
		rep->text = r->task.eta_text;
		rep->delay_s = (double)delay_s;
		after_store(r, out);
	}
}

/* `why` is one of Celery's words: revoked, expired, terminated. */
static void
end_revoked(struct request *r, struct span why, int signum, us_t wall, struct effects *out)
{
	struct result_error err = { .type = SPAN("TaskRevokedError"), .module = SPAN("celery.exceptions"), .text = why };
	struct report *rep = add_report(out, REPORT_REVOKED);

	rep->text = why;
	rep->signum = signum;
	store_error(r, "REVOKED", &err, SPAN_NONE, wall, out);
}

/* True when it had expired and is on its way out. */
static bool
revoke_expired(struct request *r, us_t wall, struct effects *out)
{
	if (r->task.expires == INT64_MIN || r->task.expires >= wall)
		return false;
	end_revoked(r, SPAN("expired"), 0, wall, out);
	return true;
}

void
request_on_received(struct request *r, const struct request_arrival *in, struct effects *out)
{
	struct report *rep;

	assert(r->state == REQUEST_NEW);
	r->rule = task_rules_find(&r->rules->tasks, r->task.name);
	if (in->fault != TASK_FINE) {
		go_dead(r, task_fault_name(in->fault), in->why);
		add_report(out, REPORT_INVALID)->text = span_of(r->mail.error.text);
		after_store(r, out);
		return;
	}
	if (!in->is_known) {
		struct result_error err = { .type = SPAN("NotRegistered"),
			.module = SPAN("celery.exceptions"),
			.text = r->task.name };

		go_dead(r, "unknown-task", "no runner of this pool has registered a task of this name");
		result_add_error_repr(&r->detail, &err);
		rep = add_report(out, REPORT_UNKNOWN);
		rep->text = span_of(r->mail.error.text);
		rep->error = buf_span(&r->detail);
		store_error(r, "FAILURE", &err, SPAN_NONE, in->wall, out);
		return;
	}
	add_report(out, REPORT_RECEIVED);
	if (revoke_expired(r, in->wall, out))
		return;
	if (in->is_revoked) {
		end_revoked(r, SPAN("revoked"), 0, in->wall, out);
		return;
	}
	if (r->redelivered && leaves_result(r, false)) {
		r->state = REQUEST_CHECKING;
		add(out, EFF_CHECK);
		return;
	}
	hold_or_run(r, in->wall, out);
}

void
request_on_checked(struct request *r, bool is_final, us_t wall, struct effects *out)
{
	assert(r->state == REQUEST_CHECKING);
	if (is_final) {
		add_report(out, REPORT_DONE_BEFORE);
		settle(r, out);
		return;
	}
	if (r->revoked)
		end_revoked(r, SPAN("revoked"), 0, wall, out);
	else
		hold_or_run(r, wall, out);
}

void
request_on_due(struct request *r, us_t wall, struct effects *out)
{
	assert(r->state == REQUEST_HELD);
	if (!revoke_expired(r, wall, out))
		hold_or_run(r, wall, out);
}

/* What the message says goes before the rule. */
static double
limit_of(double in_message, double in_rule)
{
	return in_message > 0 ? in_message : in_rule;
}

static double
hard_limit(const struct request *r)
{
	return limit_of(r->task.time_limit, r->rule->time_limit);
}

static double
soft_limit(const struct request *r)
{
	return limit_of(r->task.soft_time_limit, r->rule->soft_time_limit);
}

static void
add_limits(const struct request *r, struct effects *out)
{
	double hard = hard_limit(r), soft = soft_limit(r);
	struct effect *e;

	if (hard <= 0 && soft <= 0)
		return;
	e = add(out, EFF_LIMIT);
	e->u.limit.soft_ms = soft > 0 ? (ms_t)(soft * 1000) + 1 : 0;
	e->u.limit.hard_ms = hard > 0 ? (ms_t)(hard * 1000) + 1 : 0;
}

void
request_on_started(struct request *r, int64_t child_pid, int64_t mono_us, struct effects *out)
{
	assert(r->state == REQUEST_WAITING);
	r->state = REQUEST_RUNNING;
	r->child_pid = child_pid;
	r->started_us = mono_us;
	if (r->rule->acks_early) {
		r->acked = true;
		add(out, EFF_ACK_EARLY);
	}
	if (r->rules->track_started && leaves_result(r, false))
		add(out, EFF_ARM_STARTED)->u.delay = r->rules->started_after_ms;
	add_limits(r, out);
	add_report(out, REPORT_STARTED);
}

void
request_on_started_due(struct request *r, struct effects *out)
{
	struct effect *e;

	if (r->state != REQUEST_RUNNING)
		return;
	buf_reset(&r->scratch);
	buf_addf(&r->scratch, "{\"pid\": %lld, \"hostname\": ", (long long)r->child_pid);
	js_add_string(&r->scratch, span_of(r->rules->node));
	buf_addc(&r->scratch, '}');
	e = add(out, EFF_STATE);
	fill_result(r, &e->u.result, "STARTED");
	e->u.result.value = buf_span(&r->scratch);
}

static void
on_state(struct request *r, const struct run_frame *f, struct effects *out)
{
	struct effect *e;

	if (!leaves_result(r, false))
		return;
	e = add(out, EFF_STATE);
	fill_result(r, &e->u.result, "");
	e->u.result.state = f->state;
	e->u.result.value = f->meta;
}

static void
on_error(struct request *r, const struct run_error *cause, const struct request_now *now, struct effects *out)
{
	struct result_error err = { .type = cause->type, .module = cause->module, .message = cause->message };
	struct report *rep = add_report(out, REPORT_FAILED);

	buf_reset(&r->note);
	result_add_error_text(&r->note, &err);
	rep->text = buf_span(&r->note);
	buf_reset(&r->detail);
	result_add_error_repr(&r->detail, &err);
	rep->error = buf_span(&r->detail);
	rep->traceback = cause->traceback;
	rep->runtime_us = now->mono_us - r->started_us;
	if (r->rule->dead_on_failure)
		go_dead(r, "failed", buf_text(&r->note));
	store_error(r, "FAILURE", &err, cause->traceback, now->wall, out);
}

/* RETRY is a state on the way, with the cause as its result; the copy is what counts, so it alone is waited for. */
static void
run_again(struct request *r, const struct run_error *cause, double delay_s, const struct request_now *now, struct effects *out)
{
	struct result_error err = { .type = cause->type, .module = cause->module, .message = cause->message };
	struct report *rep = add_report(out, REPORT_RETRY);
	struct effect *e;

	buf_reset(&r->note);
	buf_reset(&r->scratch);
	buf_reset(&r->detail);
	if (cause->type.ptr != NULL) {
		result_add_error_text(&r->note, &err);
		result_add_error_repr(&r->detail, &err);
		result_add_error(&r->scratch, &err);
	}
	rep->text = buf_span(&r->note);
	rep->error = r->detail.len > 0 ? buf_span(&r->detail) : SPAN_NONE;
	rep->traceback = cause->traceback;
	rep->delay_s = delay_s;
	rep->runtime_us = now->mono_us - r->started_us;
	if (leaves_result(r, false)) {
		e = add(out, EFF_STATE);
		fill_result(r, &e->u.result, "RETRY");
		e->u.result.value = r->scratch.len > 0 ? buf_span(&r->scratch) : SPAN_NONE;
		e->u.result.traceback = cause->traceback;
	}
	r->mail = (struct mail){ .kind = MAIL_RETRY };
	if (delay_s > 0)
		r->mail.eta = now->wall + (us_t)(delay_s * 1e6);
	if (r->mail.eta != 0 && r->queue.len <= LADDER_QUEUE_MAX)
		r->mail.delay_s = ladder_delay_s(r->mail.eta, now->wall);
	after_store(r, out);
}

/* The delay a retry frame asks for; an eta that cannot be read counts as none. */
static struct retry_wish
wish_of(const struct run_frame *f, us_t wall)
{
	struct retry_wish wish = { .has_delay = f->has_countdown, .delay_s = f->countdown, .max_retries = INT64_MIN };
	us_t eta;

	if (!f->has_countdown && f->eta.len > 0 && text_parse_time(f->eta, &eta)) {
		wish.has_delay = true;
		wish.delay_s = (double)(eta - wall) / 1e6;
	}
	if (f->max_retries >= 0)
		wish.max_retries = f->max_retries;
	/* No delay can be longer than the ladder; beyond that it would not fit a time either. */
	if (wish.delay_s > (double)LADDER_DELAY_MAX_S)
		wish.delay_s = (double)LADDER_DELAY_MAX_S;
	return wish;
}

static void
on_retry(struct request *r, const struct run_frame *f, const struct request_now *now, struct effects *out)
{
	struct retry_wish wish = wish_of(f, now->wall);
	struct retry_verdict v = retry_decide(&r->rule->retry, &wish, r->task.retries, now->random);
	struct run_error cause = f->error;
	char text[512];

	if (v.again) {
		run_again(r, &f->error, v.delay_s, now, out);
		return;
	}
	if (cause.type.ptr == NULL) {
		struct buf message;

		buf_init(&message, 0);
		snprintf(text, sizeof(text), "Can't retry %.*s[%.*s] args:%.*s kwargs:%.*s", SPAN_FMT(r->task.name),
			SPAN_FMT(r->task.id), SPAN_FMT(r->task.argsrepr), SPAN_FMT(r->task.kwargsrepr));
		buf_addc(&message, '[');
		js_add_string(&message, span_of(text));
		buf_addc(&message, ']');
		cause = (struct run_error){ .type = SPAN("MaxRetriesExceededError"), .module = SPAN("celery.exceptions"),
			.message = buf_span(&message) };
		on_error(r, &cause, now, out);
		buf_release(&message);
		return;
	}
	on_error(r, &cause, now, out);
}

/* An error of a kind that the rule retries by itself. */
static bool
retry_by_rule(struct request *r, const struct run_error *cause, const struct request_now *now, struct effects *out)
{
	struct retry_wish none = { .max_retries = INT64_MIN };
	struct retry_verdict v;

	if (!retry_covers(&r->rule->retry, cause->type, cause->module))
		return false;
	v = retry_decide(&r->rule->retry, &none, r->task.retries, now->random);
	if (v.again)
		run_again(r, cause, v.delay_s, now, out);
	return v.again;
}

static void
on_reject(struct request *r, const struct run_frame *f, struct effects *out)
{
	add_report(out, REPORT_REJECTED)->text = f->reason;
	if (f->requeue && !r->acked) {
		r->state = REQUEST_SETTLED;
		add(out, EFF_REQUEUE);
		return;
	}
	go_dead(r, "rejected", "the task rejected its message");
	after_store(r, out);
}

void
request_on_frame(struct request *r, const struct run_frame *f, const struct request_now *now, struct effects *out)
{
	struct report *rep;

	assert(r->state == REQUEST_RUNNING);
	if (f->type == RUN_STATE) {
		on_state(r, f, out);
		return;
	}
	assert(f->type == RUN_DONE);
	switch (f->outcome) {
	case RUN_RESULT:
		rep = add_report(out, REPORT_SUCCEEDED);
		rep->value = f->result;
		rep->runtime_us = now->mono_us - r->started_us;
		store_final(r, "SUCCESS", f->result, SPAN_NONE, now->wall, out);
		break;
	case RUN_ERROR:
		if (!retry_by_rule(r, &f->error, now, out))
			on_error(r, &f->error, now, out);
		break;
	case RUN_RETRY:
		on_retry(r, f, now, out);
		break;
	case RUN_IGNORE:
		add_report(out, REPORT_IGNORED)->runtime_us = now->mono_us - r->started_us;
		settle(r, out);
		break;
	case RUN_REJECT:
		on_reject(r, f, out);
		break;
	}
}

void
request_on_soft_limit(struct request *r, struct effects *out)
{
	if (r->state != REQUEST_RUNNING)
		return;
	buf_reset(&r->note);
	buf_addf(&r->note, "%g", soft_limit(r));
	add_report(out, REPORT_SOFT_LIMIT)->text = buf_span(&r->note);
	add(out, EFF_CANCEL);
}

static void
add_kill(struct effects *out, int signum, const char *why)
{
	struct effect *e = add(out, EFF_KILL);

	e->u.kill.signum = signum;
	e->u.kill.why = why;
}

void
request_on_hard_limit(struct request *r, const struct request_now *now, struct effects *out)
{
	struct result_error err = { .type = SPAN("TimeLimitExceeded"), .module = SPAN("billiard.exceptions") };
	struct report *rep;
	char seconds[40];

	if (r->state != REQUEST_RUNNING)
		return;
	snprintf(seconds, sizeof(seconds), "[%g]", hard_limit(r));
	err.message = span_of(seconds);
	buf_reset(&r->note);
	buf_addf(&r->note, "%g", hard_limit(r));
	rep = add_report(out, REPORT_HARD_LIMIT);
	rep->text = buf_span(&r->note);
	rep->runtime_us = now->mono_us - r->started_us;
	buf_reset(&r->detail);
	result_add_error_repr(&r->detail, &err);
	rep->error = buf_span(&r->detail);
	add_kill(out, SIGKILL, "was killed at its time limit");
	store_error(r, "FAILURE", &err, SPAN_NONE, now->wall, out);
}

void
request_on_revoked(struct request *r, us_t wall, struct effects *out)
{
	switch (r->state) {
	case REQUEST_CHECKING:
		/* The answer is on its way; it decides first whether there is anything left to revoke. */
		r->revoked = true;
		break;
	case REQUEST_HELD:
	case REQUEST_WAITING:
		end_revoked(r, SPAN("revoked"), 0, wall, out);
		break;
	case REQUEST_NEW:
	case REQUEST_RUNNING:
	case REQUEST_STORING:
	case REQUEST_PUBLISHING:
	case REQUEST_SETTLED:
		break;
	}
}

void
request_on_terminated(struct request *r, int signum, const struct request_now *now, struct effects *out)
{
	if (r->state != REQUEST_RUNNING) {
		request_on_revoked(r, now->wall, out);
		return;
	}
	add_kill(out, signum, "was ended because its task was terminated");
	end_revoked(r, SPAN("terminated"), signum, now->wall, out);
}

/*
 * It may have been the child's fault, or the machine's, so the task gets another child; but a task that kills every child it meets must
 * not go round for ever. What counts is kept in a header of the message: it outlives this worker.
 */
void
request_on_lost(struct request *r, const char *how, const struct request_now *now, struct effects *out)
{
	struct result_error err = { .type = SPAN("WorkerLostError"), .module = SPAN("billiard.exceptions") };
	struct report *rep;

	assert(r->state == REQUEST_RUNNING);
	r->lost++;
	buf_reset(&r->note);
	buf_addf(&r->note, "the process running this task %s", how);
	if (r->lost > 1)
		buf_addf(&r->note, " (run %lld of %lld)", (long long)r->lost, (long long)(r->rule->max_lost + 1));
	err.text = buf_span(&r->note);
	rep = add_report(out, REPORT_LOST);
	rep->text = err.text;
	buf_reset(&r->detail);
	result_add_error_repr(&r->detail, &err);
	rep->error = buf_span(&r->detail);
	rep->runtime_us = now->mono_us - r->started_us;
	if (!r->acked && r->lost <= r->rule->max_lost) {
		r->mail = (struct mail){ .kind = MAIL_LOST };
		after_store(r, out);
		return;
	}
	go_dead(r, "lost", buf_text(&r->note));
	store_error(r, "FAILURE", &err, SPAN_NONE, now->wall, out);
}

void
request_on_stored(struct request *r, enum err e, const char *why, us_t wall, struct effects *out)
{
	struct result_error err = { .type = SPAN("BackendStoreError"), .module = SPAN("celery.exceptions") };
	struct report *rep;

	assert(r->state == REQUEST_STORING);
	if (e == E_OK) {
		after_store(r, out);
		return;
	}
	if (r->refused_once) {
		/* Neither the result nor its replacement: keep the message, so that a person can decide. */
		if (r->mail.kind == MAIL_NONE)
			go_dead(r, "result-refused", why);
		after_store(r, out);
		return;
	}
	r->refused_once = true;
	buf_reset(&r->note);
	buf_addf(&r->note, "the result backend refused the result: %s", why);
	err.text = buf_span(&r->note);
	buf_reset(&r->detail);
	result_add_error_repr(&r->detail, &err);
	rep = add_report(out, REPORT_FAILED);
	rep->text = err.text;
	rep->error = buf_span(&r->detail);
	store_error(r, "FAILURE", &err, SPAN_NONE, wall, out);
}

void
request_on_published(struct request *r, struct effects *out)
{
	assert(r->state == REQUEST_PUBLISHING);
	settle(r, out);
}

void
request_on_channel_lost(struct request *r, struct effects *out)
{
	switch (r->state) {
	case REQUEST_NEW:
	case REQUEST_CHECKING:
	case REQUEST_HELD:
	case REQUEST_WAITING:
		r->state = REQUEST_SETTLED;
		add(out, EFF_FORGET);
		break;
	case REQUEST_RUNNING:
	case REQUEST_STORING:
	case REQUEST_PUBLISHING:
	case REQUEST_SETTLED:
		break;
	}
}
