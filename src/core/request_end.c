/*
 * How a run ends: with a frame of its child, at a limit, by a signal, or with the death of the child; and what the backend and the broker
 * say to what follows. The rules are in celery-wire.md 3.3, 5.1 and 5.4-5.6.
 */
#include "core/request_inner.h"

#include <signal.h>

#include "base/js.h"
#include "base/text.h"
#include "core/ladder.h"

static void
on_state(struct request *r, const struct run_frame *f, struct effects *out)
{
	struct effect *e;

	r->has_state = true;
	if (!request_leaves_result(r, false))
		return;
	e = request_add(out, EFF_STATE);
	request_fill_result(r, &e->u.result, "");
	e->u.result.state = f->state;
	e->u.result.value = f->meta;
	e->u.result.traceback = f->traceback;
	e->u.result.children = f->children;
}

/* Raised, or killed at its time limit. */
static void
end_failed(struct request *r, const char *why)
{
	if (r->rule->dead_on_failure || r->rule->reject_on_failure)
		request_go_dead(r, "failed", why);
	r->refused = r->rule->reject_on_failure;
}

void
request_show_error(struct request *r, struct report *rep, const struct result_error *err)
{
	buf_reset(&r->detail);
	result_add_error_repr(&r->detail, err);
	rep->error = buf_span(&r->detail);
}

struct report *
request_report_error(struct request *r, const struct result_error *err, struct effects *out)
{
	struct report *rep = request_report(out, REPORT_FAILED);

	buf_reset(&r->note);
	result_add_error_text(&r->note, err);
	rep->text = buf_span(&r->note);
	request_show_error(r, rep, err);
	return rep;
}

static void
on_error(struct request *r, const struct run_error *cause, const struct request_now *now, struct effects *out)
{
	struct result_error err = { .type = cause->type, .module = cause->module, .message = cause->message };
	struct report *rep = request_report_error(r, &err, out);

	rep->traceback = cause->traceback;
	rep->runtime_us = now->mono_us - r->started_us;
	end_failed(r, buf_text(&r->note));
	request_end_error(r, "FAILURE", &err, cause->traceback, now->wall, out);
}

/* RETRY is a state on the way, with the cause as its result; the copy is what counts, so it alone is waited for. */
static void
run_again(struct request *r, const struct run_error *cause, struct span traceback, double delay_s,
	const struct request_now *now, struct effects *out)
{
	struct result_error err = { .type = cause->type, .module = cause->module, .message = cause->message };
	struct report *rep = request_report(out, REPORT_RETRY);
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
	rep->traceback = traceback;
	rep->delay_s = delay_s;
	rep->runtime_us = now->mono_us - r->started_us;
	if (request_leaves_result(r, false)) {
		e = request_add(out, EFF_STATE);
		request_fill_result(r, &e->u.result, "RETRY");
		e->u.result.value = r->scratch.len > 0 ? buf_span(&r->scratch) : SPAN_NONE;
		e->u.result.traceback = traceback;
		e->u.result.children = r->own_children;
	}
	r->mail = (struct mail){ .kind = MAIL_RETRY };
	if (delay_s > 0)
		r->mail.eta = now->wall + (us_t)(delay_s * 1e6);
	if (r->mail.eta != 0 && r->queue.len <= LADDER_QUEUE_MAX)
		r->mail.delay_s = ladder_delay_s(r->mail.eta, now->wall);
	request_move(r, r->mail.eta, out);
}

/* The delay a retry frame asks for; an eta that cannot be read counts as none. */
static struct retry_wish
wish_of(const struct run_frame *f, us_t wall)
{
	struct retry_wish wish = {
		.has_delay = f->has_countdown, .delay_s = f->countdown, .max_retries = INT64_MIN
	};
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
		run_again(r, &f->error, f->error.type.ptr != NULL ? f->error.traceback : f->traceback,
			v.delay_s, now, out);
		return;
	}
	if (cause.type.ptr == NULL) {
		struct buf message;

		buf_init(&message, 0);
		snprintf(text, sizeof(text), "Can't retry %.*s[%.*s] args:%.*s kwargs:%.*s",
			SPAN_FMT(r->task.name), SPAN_FMT(r->task.id), SPAN_FMT(r->task.argsrepr),
			SPAN_FMT(r->task.kwargsrepr));
		buf_addc(&message, '[');
		js_add_string(&message, span_of(text));
		buf_addc(&message, ']');
		cause = (struct run_error){ .type = SPAN("MaxRetriesExceededError"),
			.module = SPAN("celery.exceptions"),
			.message = buf_span(&message) };
		on_error(r, &cause, now, out);
		buf_release(&message);
		return;
	}
	on_error(r, &cause, now, out);
}

/* An error of a kind that the rule retries by itself. */
static bool
retry_by_rule(
	struct request *r, const struct run_error *cause, const struct request_now *now, struct effects *out)
{
	struct retry_wish none = { .max_retries = INT64_MIN };
	struct retry_verdict v;

	if (!retry_covers(&r->rule->retry, cause->type, cause->module))
		return false;
	v = retry_decide(&r->rule->retry, &none, r->task.retries, now->random);
	if (v.again)
		run_again(r, cause, cause->traceback, v.delay_s, now, out);
	return v.again;
}

/* Celery puts it back into the queue, from where it returns at once, for as long as the task insists; here it takes its time. */
static void
give_back(struct request *r, const struct request_now *now, struct effects *out)
{
	r->mail = (struct mail){ .kind = MAIL_REQUEUE };
	if (r->queue.len <= LADDER_QUEUE_MAX)
		r->mail.delay_s = retry_requeue_delay_s(r->been.requeued, now->random);
	r->been.requeued++;
	request_move(r, r->mail.delay_s > 0 ? now->wall + r->mail.delay_s * 1000000 : 0, out);
}

static void
on_reject(struct request *r, const struct run_frame *f, const struct request_now *now, struct effects *out)
{
	request_report(out, REPORT_REJECTED)->text = f->reason;
	if (f->requeue && !r->acked) {
		give_back(r, now, out);
		return;
	}
	r->refused = true;
	buf_reset(&r->note);
	buf_adds(&r->note, "the task rejected its message");
	if (f->reason.len > 0) {
		buf_adds(&r->note, ": ");
		text_add_printable(&r->note, f->reason, 300);
	}
	request_go_dead(r, "rejected", buf_text(&r->note));
	request_after_store(r, out);
}

void
request_on_frame(
	struct request *r, const struct run_frame *f, const struct request_now *now, struct effects *out)
{
	bool has_memory;

	assert(r->state == REQUEST_RUNNING);
	if (f->type == RUN_STATE) {
		on_state(r, f, out);
		return;
	}
	assert(f->type == RUN_DONE);
	has_memory = request_take_more(r, f, now->wall);
	/* Another run with the old arguments would be the wrong one. */
	if (!has_memory && f->outcome == RUN_RETRY) {
		request_go_dead(r, "retry", "out of memory for the arguments of its retry");
		request_after_store(r, out);
		return;
	}
	switch (f->outcome) {
	case RUN_RESULT:
		if (builtin_is_series(r->builtin))
			request_end_series(r, now->mono_us - r->started_us, now->wall, out);
		else
			request_end_success(r, f->result, now->mono_us - r->started_us, now->wall, out);
		break;
	case RUN_ERROR:
		/* A child that calls error callbacks has counted the retries. */
		if (f->errbacks_called.ptr != NULL || !retry_by_rule(r, &f->error, now, out))
			on_error(r, &f->error, now, out);
		break;
	case RUN_RETRY:
		on_retry(r, f, now, out);
		break;
	case RUN_IGNORE:
		r->is_ignored = true;
		request_report(out, REPORT_IGNORED)->runtime_us = now->mono_us - r->started_us;
		request_settle(r, out);
		break;
	case RUN_REJECT:
		on_reject(r, f, now, out);
		break;
	}
}

void
request_on_soft_limit(struct request *r, struct effects *out)
{
	if (r->state != REQUEST_RUNNING)
		return;
	buf_reset(&r->note);
	buf_addf(&r->note, "%g", request_soft_limit(r));
	request_report(out, REPORT_SOFT_LIMIT)->text = buf_span(&r->note);
	request_add(out, EFF_CANCEL);
}

static void
add_kill(struct effects *out, int signum, const char *why)
{
	struct effect *e = request_add(out, EFF_KILL);

	e->u.kill.signum = signum;
	e->u.kill.why = why;
}

void
request_on_hard_limit(struct request *r, const struct request_now *now, struct effects *out)
{
	struct result_error err = { .type = SPAN("TimeLimitExceeded"), .module = SPAN("billiard.exceptions") };
	struct report *rep;
	char seconds[40], why[80];

	if (r->state != REQUEST_RUNNING)
		return;
	snprintf(seconds, sizeof(seconds), "[%g]", request_hard_limit(r));
	err.message = span_of(seconds);
	buf_reset(&r->note);
	buf_addf(&r->note, "%g", request_hard_limit(r));
	rep = request_report(out, REPORT_HARD_LIMIT);
	rep->text = buf_span(&r->note);
	rep->runtime_us = now->mono_us - r->started_us;
	request_show_error(r, rep, &err);
	add_kill(out, SIGKILL, "was killed at its time limit");
	snprintf(why, sizeof(why), "it was killed at its time limit (%g s)", request_hard_limit(r));
	end_failed(r, why);
	request_end_error(r, "FAILURE", &err, SPAN_NONE, now->wall, out);
}

/* A final end, as at the time limit: another run would need as much. */
void
request_on_memory_limit(struct request *r, int64_t peak, const struct request_now *now, struct effects *out)
{
	struct result_error err = { .type = SPAN("MemoryError"), .module = SPAN("builtins") };
	struct report *rep;
	char why[120];

	if (r->state != REQUEST_RUNNING)
		return;
	buf_reset(&r->note);
	buf_adds(&r->note, "memory limit ");
	text_add_size(&r->note, r->rule->memory_limit);
	buf_adds(&r->note, ", peak ");
	text_add_size(&r->note, peak);
	err.text = buf_span(&r->note);
	rep = request_report(out, REPORT_MEMORY_LIMIT);
	rep->text = err.text;
	rep->runtime_us = now->mono_us - r->started_us;
	request_show_error(r, rep, &err);
	add_kill(out, SIGKILL, "was killed at the memory limit of its task");
	snprintf(why, sizeof(why), "it was killed: %.80s", buf_text(&r->note));
	end_failed(r, why);
	request_end_error(r, "FAILURE", &err, SPAN_NONE, now->wall, out);
}

void
request_on_terminated(struct request *r, int signum, const struct request_now *now, struct effects *out)
{
	if (r->state != REQUEST_RUNNING) {
		request_on_revoked(r, now->wall, out);
		return;
	}
	add_kill(out, signum, "was ended because its task was terminated");
	request_end_revoked(r, SPAN("terminated"), signum, now->wall, out);
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
	r->been.lost += r->deaths + 1;
	buf_reset(&r->note);
	buf_addf(&r->note, "the process running this task %s", how);
	if (r->been.lost > 1)
		buf_addf(&r->note, " (run %lld of %lld)", (long long)r->been.lost,
			(long long)r->rule->max_lost + 1);
	err.text = buf_span(&r->note);
	rep = request_report(out, REPORT_LOST);
	rep->text = err.text;
	request_show_error(r, rep, &err);
	rep->runtime_us = now->mono_us - r->started_us;
	if (!r->acked && r->been.lost <= r->rule->max_lost) {
		r->mail = (struct mail){ .kind = MAIL_LOST };
		request_move(r, 0, out);
		return;
	}
	request_go_dead(r, "lost", buf_text(&r->note));
	request_end_error(r, "FAILURE", &err, SPAN_NONE, now->wall, out);
}

void
request_on_interrupted(struct request *r, const struct request_now *now, struct effects *out)
{
	struct report *rep;

	if (r->acked) {
		/* Nothing to give back: at most one run was asked for, and this was it. */
		request_on_lost(r, "was ended because the worker stopped", now, out);
		return;
	}
	assert(r->state == REQUEST_RUNNING);
	r->been.interrupted++;
	r->been.requeued++;
	rep = request_report(out, REPORT_INTERRUPTED);
	rep->runtime_us = now->mono_us - r->started_us;
	r->mail = (struct mail){ .kind = MAIL_REQUEUE };
	request_move(r, 0, out);
}

void
request_on_stored(struct request *r, enum err e, const char *why, us_t wall, struct effects *out)
{
	struct result_error err = { .type = SPAN("BackendStoreError"), .module = SPAN("celery.exceptions") };
	struct report *rep;

	assert(r->state == REQUEST_STORING);
	if (e == E_OK) {
		request_after_store(r, out);
		return;
	}
	if (r->refused_once) {
		/* Neither the result nor its replacement: keep the message, so that a person can decide. */
		if (r->mail.kind == MAIL_NONE)
			request_go_dead(r, "result-refused", why);
		request_after_store(r, out);
		return;
	}
	r->refused_once = true;
	buf_reset(&r->note);
	buf_addf(&r->note, "the result backend refused the result: %s", why);
	err.text = buf_span(&r->note);
	rep = request_report(out, REPORT_FAILED);
	rep->text = err.text;
	request_show_error(r, rep, &err);
	request_end_error(r, "FAILURE", &err, SPAN_NONE, wall, out);
}

void
request_on_published(struct request *r, struct effects *out)
{
	if (r->state == REQUEST_PARKING) {
		request_on_parked(r, out);
		return;
	}
	assert(r->state == REQUEST_PUBLISHING);
	request_after_mail(r, out);
}
