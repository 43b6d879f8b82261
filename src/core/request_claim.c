/*
 * Who may run an attempt (wire/note.h). A message that comes for the first time is run, and that is noted unless it is over at once. One that has been somewhere before,
 * because the broker delivers it again or because it is a copy, asks first: another worker may run it still, its end may be known, or its workers
 * may have died of it. What ends with a copy in its place is noted before the copy is sent, so that a worker that dies in between costs a second
 * copy, and no second run.
 */
#include "core/request_inner.h"

#include "core/ladder.h"

/* The longest time between two looks at a task that runs elsewhere. */
#define HELD_MAX_S 30

bool
request_must_claim(const struct request *r)
{
	if (!r->rules->has_notes || r->is_noted || r->task.id.len == 0)
		return false;
	return r->rules->all_ask || r->redelivered || r->task.retries > 0 || r->been.lost > 0 ||
		r->been.requeued > 0 || r->been.held > 0 || r->task.eta != INT64_MIN;
}

struct note
request_note(const struct request *r, enum note_state state)
{
	return (struct note){
		.id = r->task.id,
		.retries = r->task.retries,
		.lost = r->came_lost,
		.requeued = r->came_requeued,
		.state = state,
		.deaths = r->deaths,
		.words = state == NOTE_RUNS || state == NOTE_TAKEN ? span_of(r->rules->node) : SPAN(""),
	};
}

struct note
request_note_end(const struct request *r)
{
	/* What replaces it has its id, and may ask too. */
	struct note n = request_note(r, r->has_asked && !r->is_ignored ? NOTE_OVER : NOTE_FREE);

	n.deaths = 0;
	return n;
}

bool
request_wants_result(const struct request *r)
{
	return (r->redelivered || r->been.held > 0) && request_leaves_result(r, true);
}

/* Another worker runs it. This copy waits where nobody holds it, the longer the more often it has come. */
static void
hold_off(struct request *r, const struct note_answer *a, us_t wall, struct effects *out)
{
	int64_t left_s = a->left_ms / 1000 + 1,
		doubled = r->been.held < 5 ? INT64_C(1) << r->been.held : HELD_MAX_S, delay_s;
	struct report *rep = request_report(out, REPORT_HELD_OFF);

	delay_s = left_s > doubled ? left_s : doubled;
	if (delay_s > HELD_MAX_S)
		delay_s = HELD_MAX_S;
	rep->text = a->words;
	rep->delay_s = (double)delay_s;
	if (r->queue.len > LADDER_QUEUE_MAX) {
		request_hold(r, wall + delay_s * 1000000, out);
		return;
	}
	r->been.held++;
	r->mail = (struct mail){ .kind = MAIL_LATER, .delay_s = delay_s };
	request_after_store(r, out);
}

/* Its workers died of it, or with it; whether the task was to blame nobody knows, so it gets as many chances as with its children. */
static bool
is_poison(struct request *r, const struct note_answer *a, us_t wall, struct effects *out)
{
	struct result_error err = { .type = SPAN("WorkerLostError"), .module = SPAN("billiard.exceptions") };
	int64_t lost = r->been.lost + r->deaths;
	struct report *rep;

	if (r->deaths == 0 || lost <= r->rule->max_lost)
		return false;
	buf_reset(&r->note);
	buf_addf(&r->note, "the worker that ran this task, %.*s, ended without a word (run %lld of %lld)",
		SPAN_FMT(a->words), (long long)lost, (long long)r->rule->max_lost + 1);
	err.text = buf_span(&r->note);
	rep = request_report(out, REPORT_LOST);
	rep->text = err.text;
	request_show_error(r, rep, &err);
	r->been.lost = lost;
	request_go_dead(r, "lost", buf_text(&r->note));
	request_end_error(r, "FAILURE", &err, SPAN_NONE, wall, out);
	return true;
}

/* The attempt ended with a copy that may or may not have been sent. */
static void
send_again(struct request *r, const struct note_next *next, us_t wall, struct effects *out)
{
	static const enum mail_kind kinds[] = {
		[NOTE_RETRY] = MAIL_RETRY, [NOTE_LOST] = MAIL_LOST, [NOTE_REQUEUE] = MAIL_REQUEUE
	};

	request_report(out, REPORT_MOVED_ON);
	r->mail = (struct mail){ .kind = kinds[next->kind] };
	if (next->kind == NOTE_RETRY)
		r->mail.eta = next->due;
	if (next->due != 0 && r->queue.len <= LADDER_QUEUE_MAX)
		r->mail.delay_s = ladder_delay_s(next->due, wall);
	r->been.lost = next->lost;
	r->been.requeued = next->requeued;
	request_after_store(r, out);
}

void
request_on_claimed(struct request *r, const struct note_answer *a, us_t wall, struct effects *out)
{
	struct note_next next;

	assert(r->state == REQUEST_CHECKING);
	if (a != NULL && a->verdict == NOTE_IS_DONE) {
		request_on_checked(r, a->stored, wall, out);
		return;
	}
	if (a == NULL || a->verdict == NOTE_IS_FREE) {
		r->is_noted = true;
		r->deaths = a != NULL ? a->deaths : 0;
		if (r->revoked)
			request_end_revoked(r, SPAN("revoked"), 0, wall, out);
		else if (a == NULL || !is_poison(r, a, wall, out))
			request_go_on(r, wall, out);
		return;
	}
	if (a->verdict == NOTE_IS_HELD) {
		hold_off(r, a, wall, out);
	} else if (a->verdict == NOTE_HAS_MOVED && note_read_next(a->words, &next)) {
		send_again(r, &next, wall, out);
	} else {
		request_report(out, REPORT_DONE_BEFORE);
		request_after_store(r, out);
	}
}

void
request_move(struct request *r, us_t due, struct effects *out)
{
	static const enum note_next_kind kinds[] = {
		[MAIL_RETRY] = NOTE_RETRY, [MAIL_LOST] = NOTE_LOST, [MAIL_REQUEUE] = NOTE_REQUEUE
	};

	if (!r->rules->has_notes || r->task.id.len == 0) {
		request_after_store(r, out);
		return;
	}
	r->state = REQUEST_STORING;
	request_add(out, EFF_MOVE)->u.next = (struct note_next){
		.kind = kinds[r->mail.kind], .lost = r->been.lost, .requeued = r->been.requeued, .due = due
	};
}

void
request_on_moved(struct request *r, struct effects *out)
{
	assert(r->state == REQUEST_STORING);
	request_after_store(r, out);
}
