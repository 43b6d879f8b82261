/* Turns reports of core/request.c into lines people know from Celery. Values are a stranger's: cut and escaped by the log. */
#include "worker/report.h"

#include "base/log.h"
#include "worker/job.h"
#include "worker/state.h"

#define VALUE_SHOWN 512

static struct span
shown_name(const struct job *j)
{
	const struct task *t = &j->request.task;

	return t->shadow.len > 0 ? t->shadow : t->name;
}

static void
report_success(const struct job *j, const struct report *r)
{
	struct buf text;

	if (!log_is_on(LOG_INFO))
		return;
	buf_init(&text, 0);
	task_add_repr(&text, r->value, VALUE_SHOWN);
	LOG(TASK_SUCCEEDED, LOG_SPAN("task", shown_name(j)), LOG_SPAN("id", j->request.task.id),
		LOG_SEC("runtime", r->runtime_us), LOG_SPAN("result", buf_span(&text)));
	buf_release(&text);
}

static void
report_failure(const struct job *j, const struct report *r)
{
	LOG(TASK_FAILED, LOG_SPAN("task", shown_name(j)), LOG_SPAN("id", j->request.task.id),
		LOG_SPAN("error", r->error.len > 0 ? r->error : r->text),
		LOG_LINES("traceback", r->traceback), LOG_SEC("runtime", r->runtime_us));
}

/* Not over: it runs again, or for the first time, later or elsewhere. */
static void
report_later(const struct job *j, const struct report *r)
{
	struct span name = shown_name(j), id = j->request.task.id;
	int64_t delay_us = (int64_t)(r->delay_s * 1e6);

	switch (r->kind) {
	case REPORT_RETRY:
		LOG(TASK_RETRY, LOG_SPAN("task", name), LOG_SPAN("id", id), LOG_SEC("delay", delay_us),
			LOG_SPAN("error", r->error.len > 0 ? r->error : r->text));
		break;
	case REPORT_DELAYED:
		LOG(TASK_DELAYED, LOG_SPAN("task", name), LOG_SPAN("id", id), LOG_SPAN("eta", r->text));
		break;
	case REPORT_LIMITED:
		LOG(TASK_LIMITED, LOG_SPAN("task", name), LOG_SPAN("id", id), LOG_SEC("delay", delay_us));
		break;
	case REPORT_HELD_OFF:
		LOG(TASK_HELD_OFF, LOG_SPAN("task", name), LOG_SPAN("id", id), LOG_SPAN("node", r->text),
			LOG_SEC("delay", delay_us));
		break;
	case REPORT_COMES_AGAIN:
		LOG(TASK_COMES_AGAIN, LOG_SPAN("task", name), LOG_SPAN("id", id), LOG_SEC("delay", delay_us));
		break;
	case REPORT_MOVED_ON:
		LOG(TASK_MOVED_ON, LOG_SPAN("task", name), LOG_SPAN("id", id));
		break;
	default:
		break;
	}
}

void
report_task(const struct job *j, const struct report *r)
{
	struct span name = shown_name(j), id = j->request.task.id;

	pulse_on_task(&j->pool->worker->pulse, j, r);
	switch (r->kind) {
	case REPORT_RECEIVED:
		LOG(TASK_RECEIVED, LOG_SPAN("task", name), LOG_SPAN("id", id));
		break;
	case REPORT_STARTED:
		worker_count_run(j->pool->worker, j->request.task.name);
		break;
	case REPORT_SUCCEEDED:
		report_success(j, r);
		break;
	case REPORT_FAILED:
		report_failure(j, r);
		break;
	case REPORT_LOST:
		LOG(TASK_LOST, LOG_SPAN("task", name), LOG_SPAN("id", id), LOG_SPAN("error", r->text));
		break;
	case REPORT_INTERRUPTED:
		LOG(TASK_INTERRUPTED, LOG_SPAN("task", name), LOG_SPAN("id", id),
			LOG_SEC("runtime", r->runtime_us));
		break;
	case REPORT_SOFT_LIMIT:
		LOG(TASK_SOFT_LIMIT, LOG_SPAN("task", name), LOG_SPAN("id", id), LOG_SPAN("seconds", r->text));
		break;
	case REPORT_HARD_LIMIT:
		LOG(TASK_HARD_LIMIT, LOG_SPAN("task", name), LOG_SPAN("id", id), LOG_SPAN("seconds", r->text));
		break;
	case REPORT_MEMORY_LIMIT:
		LOG(TASK_MEMORY_LIMIT, LOG_SPAN("task", name), LOG_SPAN("id", id), LOG_SPAN("why", r->text));
		break;
	case REPORT_REVOKED:
		if (span_is(r->text, "terminated"))
			LOG(TASK_TERMINATED_NOW, LOG_SPAN("task", name), LOG_SPAN("id", id),
				LOG_INT("signal", r->signum));
		else
			LOG(TASK_REVOKED, LOG_SPAN("task", name), LOG_SPAN("id", id),
				LOG_SPAN("why", r->text));
		break;
	case REPORT_IGNORED:
		LOG(TASK_IGNORED, LOG_SPAN("task", name), LOG_SPAN("id", id));
		break;
	case REPORT_REJECTED:
		LOG(TASK_REJECTED, LOG_SPAN("task", name), LOG_SPAN("id", id), LOG_SPAN("why", r->text));
		break;
	case REPORT_UNKNOWN:
		LOG(TASK_UNKNOWN, LOG_SPAN("task", name), LOG_SPAN("id", id),
			LOG_SPAN("queue", j->request.queue));
		break;
	case REPORT_REFUSED:
		LOG(TASK_REFUSED, LOG_SPAN("task", name), LOG_SPAN("id", id), LOG_SPAN("why", r->text));
		break;
	case REPORT_INVALID:
		LOG(MESSAGE_INVALID, LOG_SPAN("why", r->text), LOG_SPAN("queue", j->request.queue),
			LOG_INT("bytes", j->msg->body.len));
		break;
	case REPORT_PARKED:
		LOG(RESULT_PARKED, LOG_SPAN("task", name), LOG_SPAN("id", id),
			LOG_STR("queue", j->pool->worker->outbox.queue));
		break;
	case REPORT_RETRY:
	case REPORT_DELAYED:
	case REPORT_LIMITED:
	case REPORT_HELD_OFF:
	case REPORT_COMES_AGAIN:
	case REPORT_MOVED_ON:
		report_later(j, r);
		break;
	case REPORT_DONE_BEFORE:
		LOG(TASK_DONE_BEFORE, LOG_SPAN("task", name), LOG_SPAN("id", id));
		break;
	}
}

void
report_dead_letter(const struct job *j)
{
	LOG(DEAD_LETTER, LOG_SPAN("id", j->request.task.id), LOG_SPAN("queue", j->request.queue),
		LOG_STR("reason", j->request.mail.reason));
}

void
report_adopted(const struct job *j)
{
	LOG(TASK_ADOPTED, LOG_SPAN("task", shown_name(j)), LOG_SPAN("id", j->request.task.id));
}

void
report_unrouted(const struct job *j, const char *why)
{
	LOG(TASK_UNROUTED, LOG_SPAN("task", shown_name(j)), LOG_SPAN("id", j->request.task.id),
		LOG_STR("why", why));
}

void
report_reply_lost(const struct job *j, const char *why)
{
	LOG(REPLY_LOST, LOG_SPAN("task", shown_name(j)), LOG_SPAN("id", j->request.task.id),
		LOG_STR("why", why));
}

void
report_state_refused(const struct job *j, const char *why)
{
	LOG(STATE_REFUSED, LOG_SPAN("task", shown_name(j)), LOG_SPAN("id", j->request.task.id),
		LOG_STR("why", why));
}

void
report_waits_for_backend(const struct job *j)
{
	LOG(TASK_WAITS, LOG_SPAN("task", shown_name(j)), LOG_SPAN("id", j->request.task.id));
}

void
report_check_failed(const struct job *j, const char *why)
{
	LOG(RESULT_UNREADABLE, LOG_SPAN("task", shown_name(j)), LOG_SPAN("id", j->request.task.id),
		LOG_STR("why", why));
}
