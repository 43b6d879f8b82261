/* Remote control: revoking tasks. The words of the answers are Celery's; beside them stands what became of each task, see inquiry.h. */
#include "worker/ctl.h"

#include <signal.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "worker/inquiry.h"
#include "worker/job.h"

void
ctl_revoked(struct ctl *c)
{
	struct revoked_walk w = { .at = NULL };

	js_array(c->js);
	while (revoked_next(&c->worker->revocation.ids.texts, clock_wall_us(), &w))
		js_string(c->js, w.text);
	js_array_end(c->js);
}

/* "SIGKILL", "kill", "9"; absent: SIGTERM. 0: no such signal. */
static int
signal_of(struct ctl *c)
{
	struct span text;
	int64_t number;

	if (!control_arg_text(c->req, "signal", &text) || text.len == 0)
		return SIGTERM;
	if (text_parse_int(text, &number))
		return number > 0 && number < NSIG ? (int)number : 0;
	if (text.len > 3 && strncasecmp(text.ptr, "SIG", 3) == 0)
		text = (struct span){ text.ptr + 3, text.len - 3 };
	for (int i = 1; i < NSIG; i++) {
		const char *name = sigabbrev_np(i);

		if (name != NULL && strlen(name) == text.len && strncasecmp(name, text.ptr, text.len) == 0)
			return i;
	}
	return 0;
}

static void
revoke_one(struct ctl *c, struct span id, bool terminate, int signum, struct inquiry *q)
{
	struct job *j = worker_find_job(c->worker, id);
	const char *state = "unknown";

	revocation_add(&c->worker->revocation, id);
	if (j != NULL)
		state = j->request.state < REQUEST_RUNNING    ? "waiting"
			: j->request.state == REQUEST_RUNNING ? "running"
							      : "finished";
	inquiry_add(q, id, j != NULL ? state : NULL, terminate && j != NULL);
	if (j == NULL)
		return;
	if (terminate) {
		LOG(TASK_TERMINATED, LOG_SPAN("id", id), LOG_INT("signal", signum));
		job_on_terminated(j, signum);
	} else {
		job_on_revoked(j);
	}
}

static void
revoke_ids(struct ctl *c, bool terminate)
{
	struct control_texts w = { .started = false };
	int signum = signal_of(c);
	struct inquiry *q;
	struct span id;

	if (signum == 0) {
		ctl_error(c, "ValueError('unknown signal')");
		return;
	}
	q = inquiry_new(c, terminate);
	while (control_next_text(c->req, "task_id", &w, &id))
		if (task_id_is_valid(id))
			revoke_one(c, id, terminate, signum, q);
	if (inquiry_names(q).len > 0)
		LOG(TASKS_FLAGGED, LOG_SPAN("ids", inquiry_names(q)));
	inquiry_begin(q, c);
}

void
ctl_revoke(struct ctl *c)
{
	revoke_ids(c, control_arg_flag(c->req, "terminate", false));
}

void
ctl_terminate(struct ctl *c)
{
	revoke_ids(c, true);
}

/* --- stamps ------------------------------------------------------------------------------------------------------------ */

/* One name with its value or values, which the answer shows as Python would: "'mid': ['m1']". */
static void
take_header(struct ctl *c, struct span name, struct span values, struct buf *shown)
{
	struct control_request one = { .arguments = SPAN_NONE, .arena = c->req->arena };
	struct control_texts w = { .started = false };
	struct span value;
	struct buf wrapped;

	buf_init(&wrapped, 0);
	buf_adds(&wrapped, "{\"v\": ");
	buf_add(&wrapped, values);
	buf_addc(&wrapped, '}');
	one.arguments = buf_span(&wrapped);
	buf_addf(shown, "%s'%.*s': ", shown->len > 0 ? ", " : "", SPAN_FMT(name));
	task_add_repr(shown, values, 1024);
	while (control_next_text(&one, "v", &w, &value))
		revocation_add_stamp(&c->worker->revocation, name, value);
	buf_release(&wrapped);
}

/* Headers come as an object, or as a list of "name=value". */
static bool
take_headers(struct ctl *c, struct buf *shown)
{
	struct control_texts w = { .started = false };
	struct span raw = control_arg(c->req, "headers"), text, name;
	struct jscan_iter it;
	struct buf quoted;

	if (jscan_begin(&it, raw) && it.is_object) {
		while (jscan_next(&it))
			take_header(c, it.key, it.value, shown);
		return shown->len > 0;
	}
	while (control_next_text(c->req, "headers", &w, &text)) {
		name = span_split(&text, '=');
		if (text.ptr == NULL)
			continue;
		buf_init(&quoted, 0);
		js_add_string(&quoted, text);
		take_header(c, name, buf_span(&quoted), shown);
		buf_release(&quoted);
	}
	return shown->len > 0;
}

/* Ends what runs and has one of the stamps. */
static size_t
terminate_covered(struct ctl *c, int signum)
{
	size_t n = 0;

	for (size_t i = 0; i < c->worker->n_pools; i++) {
		struct list *it, *tmp;

		LIST_EACH (&c->worker->pools[i].jobs, it, tmp) {
			struct job *j = container_of(it, struct job, link);

			if (j->request.state != REQUEST_RUNNING ||
				!revocation_covers(&c->worker->revocation, &j->request.task))
				continue;
			job_on_terminated(j, signum);
			n++;
		}
	}
	return n;
}

void
ctl_revoke_by_stamped_headers(struct ctl *c)
{
	bool terminate = control_arg_flag(c->req, "terminate", false);
	int signum = signal_of(c);
	struct buf shown;

	if (signum == 0) {
		ctl_error(c, "ValueError('unknown signal')");
		return;
	}
	buf_init(&shown, 0);
	if (!take_headers(c, &shown)) {
		ctl_error(c, "TypeError(\"revoke_by_stamped_headers() needs argument 'headers'\")");
	} else {
		revocation_apply(&c->worker->revocation);
		if (!terminate)
			ctl_ok(c, "headers {%.*s} flagged as revoked, but not terminated",
				SPAN_FMT(buf_span(&shown)));
		else if (terminate_covered(c, signum) == 0)
			ctl_ok(c, "headers {%.*s} were not terminated", SPAN_FMT(buf_span(&shown)));
		else
			ctl_ok(c, "headers {%.*s} revoked", SPAN_FMT(buf_span(&shown)));
	}
	buf_release(&shown);
}
