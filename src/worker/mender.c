/*
 *   waiting -> looking -> (checking -> marking, counting, announcing -> sending -> closing) -> waiting
 *
 * Everything is the same as at the end of a task, only that there is no delivery to acknowledge. Should this worker die meanwhile, the chord is found again.
 */
#include "worker/mender.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "core/resume.h"
#include "worker/letter.h"
#include "worker/state.h"

static void go_on(struct mender *m);

/* Not all workers at once. */
static void
wait(struct mender *m)
{
	ms_t every = m->worker->conf->chord_check_ms;

	if (every > 0 && !worker_is_stopping(m->worker))
		loop_timer_arm(&m->timer, every + (ms_t)(id_random_u64() % (uint64_t)(every / 4 + 1)));
}

static void
finish(struct mender *m)
{
	m->is_busy = false;
	flow_release(&m->flow);
	flow_init(&m->flow);
	wait(m);
}

static void
give_up(struct mender *m, const char *why)
{
	LOG(CHORD_STUCK, LOG_STR("group", m->group), LOG_STR("why", why));
	finish(m);
}

/* --- sending ------------------------------------------------------------------------------------------------------------- */

static void
close_chord(struct mender *m)
{
	enum flow_todo todo = flow_next_after_sending(&m->flow);

	if (todo == FLOW_NOTHING)
		finish(m);
	else
		ledger_begin(&m->ledger, todo);
}

static void
on_confirmed(struct letter *l)
{
	struct mender *m = l->owner;

	letter_free(l);
	if (list_is_empty(&m->letters))
		close_chord(m);
}

static void
post(struct mender *m)
{
	struct errtext why = { "" };
	struct list *it, *tmp;
	struct letter *l;

	for (size_t i = 0; i < m->flow.count; i++) {
		if (letter_of_flow(&l, m->worker, &m->letters, &m->flow.steps[i],
			    question_answer(m->question, i), on_confirmed, m, &why) == E_OK)
			continue;
		while ((it = m->letters.next) != &m->letters)
			letter_free(container_of(it, struct letter, link));
		give_up(m, why.text);
		return;
	}
	LIST_EACH (&m->letters, it, tmp)
		post_send(&m->worker->post, container_of(it, struct letter, link));
	if (m->flow.count == 0)
		close_chord(m);
}

static void
on_routed(void *owner)
{
	struct mender *m = owner;

	if (m->question->err == E_REFUSED)
		give_up(m, m->question->why.text);
	else
		post(m);
	question_free(m->question);
	m->question = NULL;
}

/* Whose chord it is nobody can tell: the first application that has routers is asked. */
static void
send(struct mender *m)
{
	struct worker *w = m->worker;

	for (size_t i = 0; i < w->n_pools && m->question == NULL; i++)
		m->question = guide_ask(&w->pools[i].guide, &m->flow, on_routed, m);
	if (m->question == NULL)
		post(m);
}

static bool
on_ledger(void *owner, enum flow_todo todo, enum err e, const char *why)
{
	struct mender *m = owner;

	if (e != E_OK) {
		give_up(m, why);
		return false;
	}
	flow_on_done(&m->flow, todo);
	if (todo == FLOW_CLOSE)
		finish(m);
	else
		go_on(m);
	return false;
}

static void
go_on(struct mender *m)
{
	enum flow_todo todo = flow_next(&m->flow);

	if (todo != FLOW_NOTHING)
		ledger_begin(&m->ledger, todo);
	else
		send(m);
}

/* --- looking ------------------------------------------------------------------------------------------------------------- */

static void
on_body_checked(void *owner, enum err e, const struct result *r UNUSED, const char *why)
{
	struct mender *m = owner;

	if (e == E_MISSING) {
		LOG(CHORD_RESUMED, LOG_STR("group", m->group), LOG_STR("body", m->body));
		go_on(m);
	} else if (e == E_OK) {
		/* The body has begun, or ended: only the counters were left behind. */
		close_chord(m);
	} else if (e == E_CLOSED || e == E_TIMEOUT) {
		finish(m);
	} else {
		give_up(m, why);
	}
}

static void
check_body(struct mender *m, struct span body)
{
	snprintf(m->body, sizeof(m->body), "%.*s", SPAN_FMT(body));
	if (body.len == 0)
		on_body_checked(m, E_MISSING, NULL, "");
	else if (backend_load(m->worker->backend, body, on_body_checked, m) != E_OK)
		finish(m);
}

static void
on_looked(struct backend_chord *op, enum err e, const struct chord_count *c, const char *why)
{
	struct mender *m = container_of(op, struct mender, op);
	struct errtext text = { "" };
	struct span body;

	m->is_looking = false;
	snprintf(m->group, sizeof(m->group), "%.*s", SPAN_FMT(e == E_OK ? c->group : SPAN("")));
	if (e != E_OK) {
		give_up(m, why);
		return;
	}
	if (c->group.ptr == NULL) {
		wait(m);
		return;
	}
	m->is_busy = true;
	e = resume_chord(&m->flow, c, clock_wall_us(), &body, &text);
	if (e != E_OK)
		give_up(m, text.text);
	else if (m->flow.n_closes == 0)
		finish(m);
	else
		check_body(m, body);
}

static void
on_time(void *owner)
{
	struct mender *m = owner;
	int64_t quiet_s = m->worker->conf->chord_check_ms / 1000;

	if (m->is_looking || m->is_busy || worker_is_stopping(m->worker))
		return;
	m->is_looking =
		backend_chord_look(m->worker->backend, &m->op, quiet_s > 0 ? quiet_s : 1, on_looked) == E_OK;
	if (!m->is_looking)
		wait(m);
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

enum err
mender_init(struct mender *m, struct worker *w)
{
	m->worker = w;
	flow_init(&m->flow);
	list_init(&m->letters);
	ledger_init(&m->ledger, w->backend, &m->flow, on_ledger, m);
	return loop_timer_init(&m->timer, w->loop, on_time, m);
}

void
mender_start(struct mender *m)
{
	if (backend_has_chords(m->worker->backend) && !m->timer.armed && !m->is_looking && !m->is_busy)
		wait(m);
}

/* What is under way comes to its end, or is found again by another worker. */
void
mender_stop(struct mender *m)
{
	loop_timer_disarm(&m->timer);
}

void
mender_release(struct mender *m)
{
	struct list *it;

	if (m->worker == NULL)
		return;
	while ((it = m->letters.next) != &m->letters)
		post_drop(&m->worker->post, container_of(it, struct letter, link));
	question_free(m->question);
	ledger_release(&m->ledger);
	backend_load_cancel(m->worker->backend, m);
	backend_chord_cancel(&m->op);
	backend_chord_release(&m->op);
	loop_timer_release(&m->timer);
	flow_release(&m->flow);
}
