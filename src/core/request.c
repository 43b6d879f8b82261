/*
 * The decisions of one task's life up to its end (request_end.c); see request.h for the states. Celery's rules for what is stored and acknowledged are in
 * celery-wire.md sections 1.12, 3.3, 5.2 and 5.4. Two differences are on purpose: an acknowledgement comes last, after the
 * result is durable; and what cannot be run goes to the dead-letter exchange instead of being dropped.
 */
#include "core/request_inner.h"

#include "base/js.h"
#include "core/ladder.h"

#define DELIVERIES_MAX 20

void
request_init(struct request *r, const struct request_rules *rules)
{
	memset(r, 0, sizeof(*r));
	r->rules = rules;
	buf_init(&r->scratch, 0);
	buf_init(&r->note, 0);
	buf_init(&r->detail, 0);
	flow_init(&r->flow);
}

void
request_release(struct request *r)
{
	buf_release(&r->scratch);
	buf_release(&r->note);
	buf_release(&r->detail);
	flow_release(&r->flow);
	series_release(&r->series);
	arena_release(&r->arena);
}

const char *
request_state_name(enum request_state s)
{
	static const char *const names[] = {
		[REQUEST_NEW] = "new",
		[REQUEST_CHECKING] = "checking",
		[REQUEST_HELD] = "held",
		[REQUEST_ASKING] = "asking",
		[REQUEST_WAITING] = "waiting",
		[REQUEST_RUNNING] = "running",
		[REQUEST_STORING] = "storing",
		[REQUEST_PARKING] = "parking",
		[REQUEST_COUNTING] = "counting",
		[REQUEST_PUBLISHING] = "publishing",
		[REQUEST_CLOSING] = "closing",
		[REQUEST_SETTLED] = "settled",
	};

	return names[s];
}

void
request_hold(struct request *r, us_t until, struct effects *out)
{
	r->state = REQUEST_HELD;
	r->due = until;
	request_add(out, EFF_HOLD)->u.until = until;
}

/* Its time has come, and its turn: asked for when it must be, else run. */
static void
claim_or_run(struct request *r, us_t wall, struct effects *out)
{
	if (request_must_claim(r)) {
		r->state = REQUEST_CHECKING;
		r->has_asked = true;
		request_add(out, EFF_CLAIM);
		return;
	}
	r->state = REQUEST_WAITING;
	/* The turns it had are used up: another run of it, after the death of its child, needs new ones. */
	r->been.turn = r->been.cluster_turn = 0;
	if (!request_end_builtin(r, wall, out))
		request_add(out, EFF_RUN);
}

/* Known, not expired, not done before: hold it until it is due, wait for its turn, ask for it, or run it. */
void
request_go_on(struct request *r, us_t wall, struct effects *out)
{
	int64_t delay_s = r->task.eta == INT64_MIN ? 0 : ladder_delay_s(r->task.eta, wall);
	bool soon = delay_s == 0 && r->may_wait;
	struct report *rep;

	if (r->task.eta == INT64_MIN || r->task.eta <= wall) {
		if (rule_is_limited(r->rule) && !r->has_turn) {
			r->state = REQUEST_ASKING;
			request_add(out, EFF_TURN);
		} else {
			claim_or_run(r, wall, out);
		}
	} else if (soon || r->queue.len > LADDER_QUEUE_MAX) {
		/* Due within a second, or of a queue whose name leaves no room for the ladder's digits. */
		request_hold(r, r->task.eta, out);
	} else {
		/* Within a second, but too many wait here already: late by less than that, rather than in the way of others. */
		if (delay_s == 0)
			delay_s = 1;
		r->mail = (struct mail){ .kind = MAIL_LATER, .delay_s = delay_s };
		/* The copy is not marked as redelivered, and must ask all the same. */
		if (r->redelivered)
			r->been.held++;
		rep = request_report(out, REPORT_DELAYED);
		rep->text = r->task.eta_text;
		rep->delay_s = (double)delay_s;
		request_after_store(r, out);
	}
}

/* True when it had expired and is on its way out. */
static bool
revoke_expired(struct request *r, us_t wall, struct effects *out)
{
	if (r->task.expires == INT64_MIN || r->task.expires >= wall)
		return false;
	request_end_revoked(r, SPAN("expired"), 0, wall, out);
	return true;
}

/* Rather not run at all than run and drop what should follow. */
static bool
refuse_canvas(struct request *r, us_t wall, struct effects *out)
{
	struct result_error err = { .type = SPAN("NotImplementedError"), .module = SPAN("builtins") };
	struct errtext why = { "" };

	if (flow_check(&r->task, r->rules->has_chords, &why) == E_OK)
		return false;
	request_go_dead(r, "canvas", why.text);
	err.text = span_of(r->mail.error.text);
	request_report(out, REPORT_REFUSED)->text = err.text;
	request_end_error(r, "FAILURE", &err, SPAN_NONE, wall, out);
	return true;
}

/*
 * Where runs are not noted, a quorum queue's own count of deliveries is all there is against a task that takes its workers down with it. They
 * are not all runs, so it may take more of them: as many as RabbitMQ 4 allows.
 */
static bool
refuse_poison(struct request *r, us_t wall, struct effects *out)
{
	struct result_error err = { .type = SPAN("WorkerLostError"), .module = SPAN("billiard.exceptions") };

	if (r->rules->has_notes || r->deliveries <= DELIVERIES_MAX || r->deliveries <= r->rule->max_lost)
		return false;
	buf_reset(&r->note);
	buf_addf(&r->note,
		"this message was delivered %lld times and came back each time: the task may end its workers",
		(long long)r->deliveries);
	err.text = buf_span(&r->note);
	request_report(out, REPORT_LOST)->text = err.text;
	request_go_dead(r, "lost", buf_text(&r->note));
	request_end_error(r, "FAILURE", &err, SPAN_NONE, wall, out);
	return true;
}

void
request_on_received(struct request *r, const struct request_arrival *in, struct effects *out)
{
	struct report *rep;

	assert(r->state == REQUEST_NEW);
	r->may_wait = in->may_wait;
	r->rule = task_rules_find(&r->rules->tasks, r->task.name);
	if (in->fault != TASK_FINE) {
		request_go_dead(r, task_fault_name(in->fault), in->why);
		request_report(out, REPORT_INVALID)->text = span_of(r->mail.error.text);
		request_after_store(r, out);
		return;
	}
	if (!in->is_known) {
		struct result_error err = { .type = SPAN("NotRegistered"),
			.module = SPAN("celery.exceptions"),
			.text = r->task.name };

		request_go_dead(
			r, "unknown-task", "no runner of this pool has registered a task of this name");
		rep = request_report(out, REPORT_UNKNOWN);
		rep->text = span_of(r->mail.error.text);
		request_show_error(r, rep, &err);
		request_end_error(r, "FAILURE", &err, SPAN_NONE, in->wall, out);
		return;
	}
	if (refuse_canvas(r, in->wall, out))
		return;
	request_report(out, REPORT_RECEIVED);
	if (revoke_expired(r, in->wall, out))
		return;
	if (in->is_revoked) {
		request_end_revoked(r, SPAN("revoked"), 0, in->wall, out);
		return;
	}
	if (refuse_poison(r, in->wall, out))
		return;
	if ((r->redelivered || r->been.held > 0) && !r->rules->has_notes && request_leaves_result(r, false)) {
		r->state = REQUEST_CHECKING;
		request_add(out, EFF_CHECK);
		return;
	}
	request_go_on(r, in->wall, out);
}

void
request_on_checked(struct request *r, const struct result *stored, us_t wall, struct effects *out)
{
	char state[16];

	assert(r->state == REQUEST_CHECKING);
	if (stored == NULL || !result_is_ready(stored->state)) {
		if (r->revoked)
			request_end_revoked(r, SPAN("revoked"), 0, wall, out);
		else
			request_go_on(r, wall, out);
		return;
	}
	request_report(out, REPORT_DONE_BEFORE);
	/* Whether they were sent before is not known: they go again, under the same ids; and all that was to be stored and counted is so again. */
	r->follows_again = true;
	snprintf(state, sizeof(state), "%.*s", SPAN_FMT(stored->state));
	request_follow(r, state, stored->value, stored->traceback, wall);
	request_after_store(r, out);
}

/* The later one of both counts; 0 = now. `turn` is 0 also when one of them gave none. */
static struct limit_turn
later_of(const struct limit_turn *a, const struct limit_turn *b)
{
	struct limit_turn t = a->wait > b->wait ? *a : *b;

	if ((a->wait > 0 && a->turn == 0) || (b->wait > 0 && b->turn == 0))
		t.turn = 0;
	return t;
}

/* The limits are out of reach: somewhere else it holds up nobody meanwhile. */
#define ASK_AGAIN_S 5

static void
wait_elsewhere(struct request *r, int64_t delay_s, struct effects *out)
{
	r->mail = (struct mail){ .kind = MAIL_LATER, .delay_s = delay_s };
	/* As with a copy that is not due. */
	if (r->redelivered)
		r->been.held++;
	request_report(out, REPORT_LIMITED)->delay_s = (double)delay_s;
	request_after_store(r, out);
}

void
request_on_turn(
	struct request *r, const struct request_turn *in, const struct request_now *now, struct effects *out)
{
	struct limit_turn t = later_of(&in->worker, &in->cluster);
	bool no_ladder = r->queue.len > LADDER_QUEUE_MAX;
	struct limit_verdict v = limit_decide(&t, in->may_hold || no_ladder, now->random);

	assert(r->state == REQUEST_ASKING);
	if (r->revoked) {
		request_end_revoked(r, SPAN("revoked"), 0, now->wall, out);
		return;
	}
	if (revoke_expired(r, now->wall, out))
		return;
	if (in->err != E_OK) {
		/* It keeps the turns it has. */
		v = (struct limit_verdict){ .way = LIMIT_LATER, .delay_s = ASK_AGAIN_S };
	} else {
		r->been.turn = in->worker.turn;
		r->been.cluster_turn = in->cluster.turn;
	}
	r->has_turn = v.way == LIMIT_RUN;
	if (r->has_turn)
		claim_or_run(r, now->wall, out);
	else if (v.way == LIMIT_HOLD || no_ladder)
		request_hold(r, now->wall + (v.way == LIMIT_HOLD ? t.wait : (us_t)v.delay_s * 1000000), out);
	else
		wait_elsewhere(r, v.delay_s, out);
}

void
request_on_due(struct request *r, us_t wall, struct effects *out)
{
	assert(r->state == REQUEST_HELD);
	if (!revoke_expired(r, wall, out))
		request_go_on(r, wall, out);
}

/* At least as long as is said. */
static ms_t
limit_ms(double seconds)
{
	return seconds > 0 ? (ms_t)((seconds < RULE_LIMIT_MAX ? seconds : RULE_LIMIT_MAX) * 1000) + 1 : 0;
}

static void
add_limits(const struct request *r, struct effects *out)
{
	double hard = request_hard_limit(r), soft = request_soft_limit(r);
	struct effect *e;

	if (hard <= 0 && soft <= 0 && r->rule->memory_limit <= 0)
		return;
	e = request_add(out, EFF_LIMIT);
	e->u.limit.memory_max = r->rule->memory_limit;
	e->u.limit.soft_ms = limit_ms(soft);
	e->u.limit.hard_ms = limit_ms(hard);
}

void
request_on_started(struct request *r, int64_t child_pid, int64_t mono_us, struct effects *out)
{
	assert(r->state == REQUEST_WAITING);
	r->state = REQUEST_RUNNING;
	r->child_pid = child_pid;
	r->started_us = mono_us;
	/* Of those who came again it is known when they begin: who kills its worker at once is counted. */
	if (r->is_noted)
		request_add(out, EFF_NOTE);
	if (r->rule->acks_early) {
		r->acked = true;
		request_add(out, EFF_ACK_EARLY);
	}
	if ((r->rule->track_started && request_leaves_result(r, false)) || r->rules->has_notes)
		request_add(out, EFF_ARM_STARTED)->u.delay = r->rules->started_after_ms;
	add_limits(r, out);
	request_report(out, REPORT_STARTED);
}

static void
note_run(struct request *r, struct effects *out)
{
	if (!r->rules->has_notes || r->is_noted || r->task.id.len == 0)
		return;
	r->is_noted = true;
	request_add(out, EFF_NOTE);
}

void
request_on_started_due(struct request *r, struct effects *out)
{
	struct effect *e;

	if (r->state != REQUEST_RUNNING)
		return;
	note_run(r, out);
	if (!r->rule->track_started || r->has_state || !request_leaves_result(r, false))
		return;
	buf_reset(&r->scratch);
	buf_addf(&r->scratch, "{\"pid\": %lld, \"hostname\": ", (long long)r->child_pid);
	js_add_string(&r->scratch, span_of(r->rules->node));
	buf_addc(&r->scratch, '}');
	e = request_add(out, EFF_STATE);
	request_fill_result(r, &e->u.result, "STARTED");
	e->u.result.value = buf_span(&r->scratch);
}

void
request_on_revoked(struct request *r, us_t wall, struct effects *out)
{
	switch (r->state) {
	case REQUEST_CHECKING:
	case REQUEST_ASKING:
		/* The answer is on its way; it decides first whether there is anything left to revoke. */
		r->revoked = true;
		break;
	case REQUEST_HELD:
	case REQUEST_WAITING:
		request_end_revoked(r, SPAN("revoked"), 0, wall, out);
		break;
	case REQUEST_NEW:
	case REQUEST_RUNNING:
	case REQUEST_STORING:
	case REQUEST_PARKING:
	case REQUEST_COUNTING:
	case REQUEST_PUBLISHING:
	case REQUEST_CLOSING:
	case REQUEST_SETTLED:
		break;
	}
}

void
request_on_channel_lost(struct request *r, struct effects *out)
{
	switch (r->state) {
	case REQUEST_NEW:
	case REQUEST_CHECKING:
	case REQUEST_HELD:
	case REQUEST_ASKING:
	case REQUEST_WAITING:
		r->state = REQUEST_SETTLED;
		request_add(out, EFF_FORGET);
		break;
	case REQUEST_RUNNING:
	case REQUEST_STORING:
	case REQUEST_PARKING:
	case REQUEST_COUNTING:
		/* Its message goes to somebody else now. */
		note_run(r, out);
		break;
	case REQUEST_PUBLISHING:
	case REQUEST_CLOSING:
	case REQUEST_SETTLED:
		break;
	}
}
