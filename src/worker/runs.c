/*
 * See runs.h. A note is one command, sent with everything else of the turn and not waited for; one timer renews them all. Only who asks waits
 * for an answer.
 */
#include "worker/runs.h"

#include "backend/note.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "worker/job.h"
#include "worker/report.h"
#include "worker/state.h"

/* While the backend is away: how often a job that has to ask tries it. */
#define ASK_AGAIN_MS 500

static struct runs *
runs_of(const struct job *j)
{
	return &j->pool->worker->runs;
}

static struct note
note_of(const struct job *j, enum note_state state)
{
	struct note n = request_note(&j->request, state);

	n.owner = span_of(runs_of(j)->owner);
	return n;
}

/* --- writing ----------------------------------------------------------------------------------------------------------- */

static void
on_noted(void *owner, enum err e, const char *why)
{
	struct runs *r = owner;

	if (e == E_CLOSED)
		return;
	if (e != E_OK && !r->is_refused)
		LOG(RUNS_NOT_NOTED, LOG_STR("why", why));
	r->is_refused = e != E_OK;
}

static void
write_note(struct job *j, const struct note *n)
{
	struct runs *r = runs_of(j);
	enum err e = backend_note(r->worker->backend, n, on_noted, r);

	/* Not up, or its queue is full: written with the next renewal. */
	j->noted_at = e == E_OK ? loop_now(r->worker->loop) : 0;
}

void
runs_begin(struct job *j)
{
	struct note n = note_of(j, j->request.state < REQUEST_RUNNING ? NOTE_TAKEN : NOTE_RUNS);

	j->has_note = true;
	write_note(j, &n);
}

static void
renew_all(struct runs *r, ms_t older_than)
{
	for (size_t i = 0; i < r->worker->n_pools; i++) {
		struct list *it, *tmp;

		LIST_EACH (&r->worker->pools[i].jobs, it, tmp) {
			struct job *j = container_of(it, struct job, link);

			if (j->has_note && j->noted_at <= older_than)
				runs_begin(j);
		}
	}
}

static void
on_renew(void *owner)
{
	struct runs *r = owner;

	loop_timer_arm(&r->renew, r->lease_ms / 6 + 1);
	renew_all(r, loop_now(r->worker->loop) - r->lease_ms / 3);
}

void
runs_on_backend_up(struct runs *r)
{
	renew_all(r, loop_now(r->worker->loop));
}

void
runs_end_with_result(struct job *j)
{
	struct note n = request_note_end(&j->request);

	/* Notes that are not taken (a user without rights for their keys) must not cost the result. */
	if (!j->has_note || runs_of(j)->is_refused)
		return;
	n.owner = span_of(runs_of(j)->owner);
	backend_store_with_note(&j->final, &n);
}

void
runs_end(struct job *j, bool is_over)
{
	struct note n = is_over ? request_note_end(&j->request) : request_note(&j->request, NOTE_FREE);

	if (!j->has_note)
		return;
	n.owner = span_of(runs_of(j)->owner);
	j->has_note = false;
	/* A note that cannot be changed now lapses with its lease. */
	if (backend_note(runs_of(j)->worker->backend, &n, on_noted, runs_of(j)) != E_OK)
		return;
}

/* --- moving on --------------------------------------------------------------------------------------------------------- */

static void
on_moved(void *owner, enum err e, const char *why)
{
	struct job *j = owner;

	on_noted(runs_of(j), e, why);
	/* Not noted: should this worker die before the ack, the task runs once more. That is no reason to wait. */
	j->has_note = false;
	job_on_moved(j);
}

bool
runs_move(struct job *j, const struct note_next *next)
{
	struct note n = note_of(j, NOTE_MOVED);
	struct buf words;
	enum err e;

	buf_init(&words, 0);
	note_add_next(&words, next);
	n.words = buf_span(&words);
	e = words.err == E_OK ? backend_note(runs_of(j)->worker->backend, &n, on_moved, j) : words.err;
	buf_release(&words);
	if (e == E_OK)
		return false;
	j->has_note = false;
	return job_on_moved(j);
}

/* --- asking ------------------------------------------------------------------------------------------------------------ */

/* The same attempt goes on here, or is about to: a message that was published twice. To Redis both would be this worker, whose run it is. */
static bool
runs_here(const struct job *j)
{
	const struct request *mine = &j->request;

	for (size_t i = 0; i < j->pool->worker->n_pools; i++) {
		struct list *it, *tmp;

		LIST_EACH (&j->pool->worker->pools[i].jobs, it, tmp) {
			const struct job *other = container_of(it, struct job, link);
			const struct request *r = &other->request;

			if (other != j && (r->is_noted || other->is_claiming) &&
				span_eq(r->task.id, mine->task.id) && r->task.retries == mine->task.retries &&
				r->came_lost == mine->came_lost && r->came_requeued == mine->came_requeued)
				return true;
		}
	}
	return false;
}

static void
ask_later(struct job *j)
{
	if (!j->waits_for_backend)
		report_waits_for_backend(j);
	j->waits_for_backend = true;
	job_arm(j, ASK_AGAIN_MS);
}

static void
on_claimed(void *owner, enum err e, const struct note_answer *a, const char *why)
{
	struct job *j = owner;

	j->is_claiming = false;
	if (e == E_CLOSED || e == E_AGAIN) {
		ask_later(j);
		return;
	}
	j->waits_for_backend = false;
	if (e != E_OK)
		report_check_failed(j, why);
	else if (a->verdict == NOTE_IS_FREE) {
		j->has_note = true;
		j->noted_at = loop_now(j->pool->worker->loop);
	}
	job_on_claimed(j, e == E_OK ? a : NULL);
}

bool
runs_claim(struct job *j)
{
	struct runs *r = runs_of(j);
	struct note_answer held = {
		.verdict = NOTE_IS_HELD, .left_ms = r->lease_ms, .words = span_of(r->worker->conf->node)
	};
	struct note n = note_of(j, NOTE_TAKEN);
	enum err e;

	if (runs_here(j))
		return job_on_claimed(j, &held);
	e = backend_claim(r->worker->backend, &n, request_wants_result(&j->request), on_claimed, j);
	j->is_claiming = e == E_OK;
	if (e != E_OK)
		ask_later(j);
	return false;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

enum err
runs_init(struct runs *r, struct worker *w, ms_t lease_ms)
{
	enum err e;

	r->worker = w;
	r->lease_ms = lease_ms;
	snprintf(r->owner, sizeof(r->owner), "%016llx", (unsigned long long)id_random_u64());
	e = loop_timer_init(&r->renew, w->loop, on_renew, r);
	if (e == E_OK && lease_ms > 0)
		loop_timer_arm(&r->renew, lease_ms / 6 + 1);
	return e;
}

void
runs_release(struct runs *r)
{
	loop_timer_release(&r->renew);
}
