/*
 * One delivery: decode, decide, do. The file applies what core/request.c asks for and turns every answer into the next
 * event. A job ends in exactly one way, job_finish: acknowledged, given back, or forgotten because its channel is gone.
 */
#include "worker/job.h"

#include "backend/note.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/id.h"
#include "wire/dead.h"
#include "wire/forward.h"
#include "worker/letter.h"
#include "worker/report.h"
#include "worker/state.h"

/* Of a quorum queue: how often it was delivered before. */
#define DELIVERIES_HEADER "x-delivery-count"

static void
on_timer_due(void *owner)
{
	struct job *j = owner;
	struct effects fx = { .count = 0 };

	if (j->request.state == REQUEST_CHECKING) {
		runs_claim(j);
		return;
	}
	request_on_due(&j->request, clock_wall_us(), &fx);
	job_apply(j, &fx);
}

static bool
on_ledger(void *owner, enum flow_todo todo, enum err e, const char *why)
{
	struct job *j = owner;
	struct effects fx = { .count = 0 };

	j->asked_backend_at = 0;
	request_on_flow(&j->request, todo, e, why, &fx);
	return job_apply(j, &fx);
}

static struct job *
job_new(struct pool *p, struct bus_delivery *d, size_t consumer)
{
	struct job *j = must_alloc(sizeof(*j));

	j->pool = p;
	j->msg = d->msg;
	j->tag = d->tag;
	j->consumer = consumer;
	buf_init(&j->next_state, 256);
	buf_init(&j->next_meta, 0);
	buf_init(&j->output, 0);
	request_init(&j->request, &p->worker->rules);
	ledger_init(&j->ledger, p->worker->backend, &j->request.flow, on_ledger, j);
	j->request.redelivered = d->redelivered;
	list_init(&j->letters);
	/* Not the routing key: with a topic exchange that is no queue's name, and copies and dead letters would lead nowhere. */
	j->request.queue = feed_queue(&p->feed, consumer);
	j->delivered_at = loop_now(p->worker->loop);
	j->reading = reload_hold(&p->worker->reload);
	list_push(&p->jobs, &j->link);
	return j;
}

void
job_free(struct job *j)
{
	struct list *it, *tmp;

	list_unlink(&j->link);
	list_unlink(&j->wait);
	LIST_EACH (&j->letters, it, tmp)
		post_drop(&j->pool->worker->post, container_of(it, struct letter, link));
	question_free(j->question);
	ledger_release(&j->ledger);
	/* No-op unless it is asked for the result just now. */
	backend_load_cancel(j->pool->worker->backend, j);
	backend_note_cancel(j->pool->worker->backend, j);
	limiter_cancel(&j->pool->worker->limiter, j);
	backend_store_cancel(&j->state);
	backend_store_release(&j->state);
	backend_store_cancel(&j->final);
	backend_store_release(&j->final);
	loop_timer_release(&j->timer);
	request_release(&j->request);
	buf_release(&j->next_state);
	buf_release(&j->next_meta);
	buf_release(&j->output);
	bus_msg_free(j->msg);
	reload_let_go(&j->pool->worker->reload, j->reading);
	alloc_free(j);
}

enum settle { SETTLE_ACK, SETTLE_REJECT, SETTLE_REQUEUE, SETTLE_FORGET };

static void
job_finish(struct job *j, enum settle how)
{
	struct pool *p = j->pool;
	enum err e = E_OK;

	if (how == SETTLE_ACK || how == SETTLE_REJECT)
		FAIL_POINT("P6");
	if (how == SETTLE_ACK && !j->tag_lost)
		e = bus_ack(p->feed.chan, j->tag);
	else if (how != SETTLE_FORGET && !j->tag_lost)
		e = bus_nack(p->feed.chan, j->tag, how == SETTLE_REQUEUE);
	/* E_CLOSED: the channel ended this very turn; the broker delivers the message again, and its stored result answers that. */
	if (e == E_OK && !j->tag_lost && how != SETTLE_FORGET)
		feed_on_settled(&p->feed, j->consumer);
	/* A copy for later is the same attempt, which is not over. */
	runs_end(j,
		(how == SETTLE_ACK || how == SETTLE_REJECT || j->request.acked) &&
			j->request.mail.kind != MAIL_LATER);
	p->worker->processed++;
	job_free(j);
	pool_on_job_gone(p);
}

/* --- results ------------------------------------------------------------------------------------------------------- */

static void
on_final_stored(struct backend_store *s, enum err e, const char *why)
{
	struct job *j = container_of(s, struct job, final);
	struct effects fx = { .count = 0 };

	FAIL_POINT("P5");
	j->asked_backend_at = 0;
	if (e == E_OK && s->has_note)
		j->has_note = false;
	if (e == E_MISSING) {
		report_reply_lost(j, why);
		e = E_OK;
	}
	request_on_stored(&j->request, e, why, clock_wall_us(), &fx);
	job_apply(j, &fx);
}

static void store_state(struct job *j, const struct result *r);

static void
on_state_stored(struct backend_store *s, enum err e, const char *why)
{
	struct job *j = container_of(s, struct job, state);
	struct result r = { .task_id = j->request.task.id };

	FAIL_POINT("P3");
	j->state_busy = false;
	if (e == E_MISSING)
		report_reply_lost(j, why);
	else if (e != E_OK)
		report_state_refused(j, why);
	if (j->next_state.len == 0)
		return;
	r.state = buf_span(&j->next_state);
	r.value = buf_span(&j->next_meta);
	store_state(j, &r);
	buf_reset(&j->next_state);
	buf_reset(&j->next_meta);
}

/* One state is under way at a time, and of those that come meanwhile only the newest is kept: a task that reports progress in a
 * tight loop costs the backend no more than it can take. */
static void
store_state(struct job *j, const struct result *r)
{
	enum err e;

	if (j->state_busy) {
		buf_reset(&j->next_state);
		buf_reset(&j->next_meta);
		buf_add(&j->next_state, r->state);
		buf_add(&j->next_meta, r->value);
		return;
	}
	e = backend_store(j->pool->worker->backend, &j->state, r, on_state_stored);
	j->state_busy = e == E_OK;
	if (e != E_OK)
		report_state_refused(j, err_name(e));
}

static bool
store_final(struct job *j, const struct result *r)
{
	struct effects fx = { .count = 0 };
	enum err e;

	FAIL_POINT("P4");
	buf_reset(&j->next_state);
	runs_end_with_result(j);
	j->asked_backend_at = loop_now(j->pool->worker->loop);
	e = backend_store(j->pool->worker->backend, &j->final, r, on_final_stored);
	if (e == E_OK)
		return false;
	request_on_stored(&j->request, E_REFUSED, err_name(e), clock_wall_us(), &fx);
	return job_apply(j, &fx);
}

static void
on_checked(void *owner, enum err e, const struct result *r, const char *why)
{
	struct job *j = owner;
	struct effects fx = { .count = 0 };

	/* Not readable: running it again is allowed, losing it is not. */
	if (e != E_OK && e != E_MISSING)
		report_check_failed(j, why);
	request_on_checked(&j->request, e == E_OK ? r : NULL, clock_wall_us(), &fx);
	job_apply(j, &fx);
}

static bool
check(struct job *j)
{
	struct effects fx = { .count = 0 };

	if (backend_load(j->pool->worker->backend, j->request.task.id, on_checked, j) == E_OK)
		return false;
	request_on_checked(&j->request, NULL, clock_wall_us(), &fx);
	return job_apply(j, &fx);
}

void
job_arm(struct job *j, ms_t delay)
{
	if (j->timer.loop == NULL && loop_timer_init(&j->timer, j->pool->worker->loop, on_timer_due, j) != E_OK)
		abort();
	loop_timer_arm(&j->timer, delay < 1 ? 1 : delay);
}

static void
ack_early(struct job *j)
{
	/* E_CLOSED: it will be delivered again, here or elsewhere, as it would have been without. */
	if (!j->tag_lost && bus_ack(j->pool->feed.chan, j->tag) == E_OK)
		feed_on_settled(&j->pool->feed, j->consumer);
	/* Whatever happens to the channel now, this delivery is not its business any more. */
	j->tag_lost = true;
}

/* --- effects ------------------------------------------------------------------------------------------------------- */

static bool
all_confirmed(struct job *j)
{
	struct effects fx = { .count = 0 };

	request_on_published(&j->request, &fx);
	return job_apply(j, &fx);
}

static void
drop_question(struct job *j)
{
	question_free(j->question);
	j->question = NULL;
}

static void
free_letters(struct job *j)
{
	struct list *it, *tmp;

	LIST_EACH (&j->letters, it, tmp)
		letter_free(container_of(it, struct letter, link));
}

/* A next attempt with larger arguments, which no attempt would get out, is none. */
static void
write_mail(struct job *j)
{
	struct request *r = &j->request;
	struct letter *l;
	enum err e = letter_of_mail(&l, j);

	if (e == E_OK && r->mail.kind == MAIL_RETRY &&
		(e = bus_pub_check(j->pool->worker->pub, &l->msg)) != E_OK)
		letter_free(l);
	if (e == E_OK)
		return;
	if (r->mail.kind == MAIL_RETRY && e != E_NOMEM) {
		report_unrouted(j, "the message of its next attempt is too big to be sent");
		request_on_unsendable(r, "retry", "the message of its next attempt is too big to be sent");
		e = letter_of_mail(&l, j);
	}
	if (e != E_OK)
		abort(); /* out of memory */
}

/*
 * All are written before the first is posted: when a step cannot be written none is sent, and the whole message is a dead letter, for a
 * person to look at.
 */
static bool
write_letters(struct job *j)
{
	struct request *r = &j->request;
	struct list *it, *tmp;
	struct errtext why = { "" };
	struct letter *l;
	enum err e = E_OK;

	for (size_t i = 0; i < r->flow.count && e == E_OK && r->state != REQUEST_PARKING; i++)
		e = letter_of_step(&l, j, &r->flow.steps[i], question_answer(j->question, i), &why);
	drop_question(j);
	if (e != E_OK) {
		free_letters(j);
		err_prefix(&why, e, "cannot write a follow-up");
		report_unrouted(j, why.text);
		request_on_unsendable(r, "canvas", why.text);
	}
	if (r->mail.kind != MAIL_NONE)
		write_mail(j);
	LIST_EACH (&j->letters, it, tmp)
		post_send(&j->pool->worker->post, container_of(it, struct letter, link));
	return list_is_empty(&j->letters) && all_confirmed(j);
}

static void
on_routed(void *owner)
{
	struct job *j = owner;

	if (j->question->err == E_REFUSED) {
		report_unrouted(j, j->question->why.text);
		request_on_unsendable(&j->request, DEAD_REASON_ROUTE, j->question->why.text);
	}
	write_letters(j);
}

/* A router that is code is asked where they go; the delivery waits for that too. */
static bool
send_letters(struct job *j)
{
	if (j->request.state != REQUEST_PARKING)
		j->question = guide_ask(&j->pool->guide, &j->request.flow, on_routed, j);
	return j->question == NULL && write_letters(j);
}

static bool
apply_one(struct job *j, const struct effect *e)
{
	switch (e->type) {
	case EFF_CHECK:
		return check(j);
	case EFF_HOLD:
		job_arm(j, (e->u.until - clock_wall_us()) / 1000 + 1);
		return false;
	case EFF_CLAIM:
		j->asked_backend_at = loop_now(j->pool->worker->loop);
		return runs_claim(j);
	case EFF_NOTE:
		runs_begin(j);
		return false;
	case EFF_MOVE:
		return runs_move(j, &e->u.next);
	case EFF_TURN:
		return limiter_ask(&j->pool->worker->limiter, j);
	case EFF_RUN:
		pool_enqueue(j->pool, j);
		return false;
	case EFF_ARM_STARTED:
		loop_timer_arm(&j->slot->timer, e->u.delay);
		return false;
	case EFF_LIMIT:
		slot_arm_limits(j->slot, e->u.limit.soft_ms, e->u.limit.hard_ms, e->u.limit.memory_max);
		return false;
	case EFF_CANCEL:
		slot_cancel(j->slot, "soft_time_limit");
		return false;
	case EFF_KILL:
		slot_kill_task(j->slot, e->u.kill.signum, e->u.kill.why);
		j->slot = NULL;
		return false;
	case EFF_STATE:
		store_state(j, &e->u.result);
		return false;
	case EFF_STORE:
		return store_final(j, &e->u.result);
	case EFF_FLOW:
		j->asked_backend_at = loop_now(j->pool->worker->loop);
		return ledger_begin(&j->ledger, (enum flow_todo)e->u.todo);
	case EFF_MAIL:
		return send_letters(j);
	case EFF_REPORT:
		report_task(j, &e->u.report);
		return false;
	case EFF_ACK_EARLY:
		ack_early(j);
		return false;
	case EFF_ACK:
		job_finish(j, SETTLE_ACK);
		return true;
	case EFF_REJECT:
		job_finish(j, SETTLE_REJECT);
		return true;
	case EFF_FORGET:
		job_finish(j, SETTLE_FORGET);
		return true;
	}
	return false;
}

bool
job_apply(struct job *j, const struct effects *fx)
{
	for (size_t i = 0; i < fx->count; i++)
		if (apply_one(j, &fx->items[i]))
			return true;
	return false;
}

static struct request_now
now_of(void)
{
	return (struct request_now){
		.mono_us = clock_mono_us(), .wall = clock_wall_us(), .random = id_random_u64()
	};
}

/* --- events -------------------------------------------------------------------------------------------------------- */

void
job_begin(struct pool *p, struct bus_delivery *d, size_t consumer)
{
	struct job *j = job_new(p, d, consumer);
	struct request_arrival in = { .wall = clock_wall_us() };
	struct span runs;
	struct effects fx = { .count = 0 };
	struct request *r = &j->request;

	forward_counts_read(&r->been, &j->msg->headers);
	r->came_lost = r->been.lost;
	r->came_requeued = r->been.requeued;
	if (!table_get_int(&j->msg->headers, DELIVERIES_HEADER, &r->deliveries))
		r->deliveries = 0;
	if (d->spoiled != NULL) {
		in.fault = TASK_FAULT_TOO_BIG;
		in.why = d->spoiled;
	} else {
		in.fault = task_decode(&j->request.task, j->msg, &p->worker->limits, &j->why);
		in.why = j->why.text;
	}
	FAIL_POINT("P1");
	in.is_revoked = in.fault == TASK_FINE && revocation_covers(&p->worker->revocation, &j->request.task);
	in.is_known = in.fault == TASK_FINE && pool_knows(p, j->request.task.name);
	if (in.fault == TASK_FINE && !pool_names(p, j->request.task.name) &&
		request_is_builtin(&j->request, &runs))
		in.is_known = runs.ptr == NULL || pool_knows(p, runs);
	in.may_wait = in.fault == TASK_FINE && j->request.task.eta != INT64_MIN && pool_may_wait(p);
	request_on_received(&j->request, &in, &fx);
	job_apply(j, &fx);
}

void
job_adopt(struct job *j, struct bus_delivery *d, size_t consumer)
{
	j->tag = d->tag;
	j->tag_lost = false;
	j->delivered_at = loop_now(j->pool->worker->loop);
	j->consumer = consumer;
	report_adopted(j);
	bus_msg_free(d->msg);
}

bool
job_on_started(struct job *j, struct slot *s, int64_t child_pid)
{
	struct effects fx = { .count = 0 };

	list_unlink(&j->wait);
	j->slot = s;
	j->started = clock_wall_us();
	request_on_started(&j->request, child_pid, clock_mono_us(), &fx);
	return job_apply(j, &fx);
}

bool
job_on_started_due(struct job *j)
{
	struct effects fx = { .count = 0 };

	FAIL_POINT("P2");
	request_on_started_due(&j->request, &fx);
	return job_apply(j, &fx);
}

bool
job_on_frame(struct job *j, const struct run_frame *f)
{
	struct request_now now = now_of();
	struct effects fx = { .count = 0 };

	if (f->type == RUN_DONE)
		j->slot = NULL;
	request_on_frame(&j->request, f, &now, &fx);
	return job_apply(j, &fx);
}

bool
job_on_lost(struct job *j, const char *how)
{
	struct request_now now = now_of();
	struct effects fx = { .count = 0 };

	j->slot = NULL;
	request_on_lost(&j->request, how, &now, &fx);
	return job_apply(j, &fx);
}

bool
job_on_interrupted(struct job *j)
{
	struct request_now now = now_of();
	struct effects fx = { .count = 0 };

	j->slot = NULL;
	/* The broker has it back already, and a copy would be one too many. */
	if (j->tag_lost && !j->request.acked) {
		job_finish(j, SETTLE_FORGET);
		return true;
	}
	request_on_interrupted(&j->request, &now, &fx);
	return job_apply(j, &fx);
}

bool
job_on_soft_limit(struct job *j)
{
	struct effects fx = { .count = 0 };

	request_on_soft_limit(&j->request, &fx);
	return job_apply(j, &fx);
}

bool
job_on_memory_limit(struct job *j, int64_t peak)
{
	struct request_now now = now_of();
	struct effects fx = { .count = 0 };

	request_on_memory_limit(&j->request, peak, &now, &fx);
	return job_apply(j, &fx);
}

bool
job_on_hard_limit(struct job *j)
{
	struct request_now now = now_of();
	struct effects fx = { .count = 0 };

	request_on_hard_limit(&j->request, &now, &fx);
	return job_apply(j, &fx);
}

/* Where it waits it does so no more; it may be on its way out now. */
static bool
leave(struct job *j, const struct effects *fx)
{
	if (fx->count > 0 && j->request.state > REQUEST_WAITING) {
		list_unlink(&j->wait);
		loop_timer_disarm(&j->timer);
	}
	return job_apply(j, fx);
}

bool
job_on_claimed(struct job *j, const struct note_answer *a)
{
	struct effects fx = { .count = 0 };

	j->asked_backend_at = 0;
	request_on_claimed(&j->request, a, clock_wall_us(), &fx);
	return job_apply(j, &fx);
}

bool
job_on_backend_away(struct job *j)
{
	struct effects fx = { .count = 0 };

	request_on_backend_away(&j->request, &fx);
	if (fx.count == 0)
		return false;
	j->asked_backend_at = 0;
	j->waits_for_backend = j->is_claiming = false;
	loop_timer_disarm(&j->timer);
	backend_note_cancel(j->pool->worker->backend, j);
	backend_store_cancel(&j->final);
	ledger_release(&j->ledger);
	return job_apply(j, &fx);
}

bool
job_on_moved(struct job *j)
{
	struct effects fx = { .count = 0 };

	request_on_moved(&j->request, &fx);
	return job_apply(j, &fx);
}

bool
job_on_revoked(struct job *j)
{
	struct effects fx = { .count = 0 };

	request_on_revoked(&j->request, clock_wall_us(), &fx);
	return leave(j, &fx);
}

bool
job_on_terminated(struct job *j, int signum)
{
	struct request_now now = now_of();
	struct effects fx = { .count = 0 };

	request_on_terminated(&j->request, signum, &now, &fx);
	return leave(j, &fx);
}

bool
job_on_confirmed(struct job *j, struct letter *l)
{
	if (j->request.mail.kind == MAIL_DEAD && span_starts(span_of(l->road), "dead/"))
		report_dead_letter(j);
	letter_free(l);
	return list_is_empty(&j->letters) && all_confirmed(j);
}

bool
job_on_channel_lost(struct job *j)
{
	struct effects fx = { .count = 0 };

	j->tag_lost = true;
	request_on_channel_lost(&j->request, &fx);
	return job_apply(j, &fx);
}

void
job_return(struct job *j)
{
	job_finish(j, SETTLE_REQUEUE);
}
