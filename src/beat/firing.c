/*
 * From due times to confirmed messages. One tick does the work: ask the plan what is due, while the lease holds; the timer is armed for the next
 * due time.
 *
 *   planned -> (asking whether the last run has ended) -> under way (send.h) -> settled -> planned
 *                `------ the lease does not hold ------------'---> planned as before
 */
#include "beat/inside.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define LOOK_MS 1000              /* the clock of the wall may be set: look at it so often */
#define BACK_MIN INT64_C(2000000) /* less is the clock being kept right */
#define ASLEEP_MIN_MS 4000
#define BATCH 200 /* entries of one turn of the loop */

static bool
may_send(const struct beat *b)
{
	return b->phase == BEAT_LEADING && lease_holds(&b->lease) && share_allows(b);
}

/* --- what is settled --------------------------------------------------------------------------------------------------- */

void
firing_mark(void *owner)
{
	struct beat *b = owner;
	us_t until = b->looked;

	if (b->phase != BEAT_LEADING)
		return;
	for (size_t i = 0; i < b->book.n; i++) {
		const struct entry *e = b->book.entries[i];
		us_t due = e->phase == ENTRY_PLANNED ? (e->plan.planned ? e->plan.due : SCHEDULE_NEVER)
						     : e->fire.due;

		/* One that cannot be sent does not hold up the others. */
		if (e->phase != ENTRY_RESTING && due <= until)
			until = due - 1;
	}
	lease_mark(&b->lease, until);
}

static void
settle(struct beat *b, struct entry *e, us_t due)
{
	plan_done(&b->plan, &e->plan, due);
	b->dirty = true;
	share_note(b, e);
	loop_defer(b->loop, LOOP_FLUSH, &b->marking, firing_mark, b);
}

/* --- firing ------------------------------------------------------------------------------------------------------------ */

static void
fire(struct beat *b, struct entry *e)
{
	LOG(BEAT_SENDING, LOG_STR("entry", e->conf->name), LOG_STR("task", e->conf->task),
		LOG_STR("id", e->id));
	send_entry(&b->send, e);
}

static void
rest(struct beat *b, struct entry *e, const char *why)
{
	LOG(BEAT_UNSURE, LOG_STR("entry", e->conf->name), LOG_STR("why", why));
	send_rest(&b->send, e);
}

static void
on_last_run(void *owner, enum err err, const struct result *r, const char *why)
{
	struct entry *e = owner;
	struct beat *b = e->owner;
	struct plan_fire last = { .due = e->ran };
	bool ended = err == E_OK && result_is_ready(r->state);

	list_unlink(&e->link);
	e->phase = ENTRY_PLANNED;
	if (err != E_OK && err != E_MISSING) {
		rest(b, e, why);
		return;
	}
	if (!may_send(b)) {
		plan_undo(&b->plan, &e->plan);
		return;
	}
	/* Nothing stored: it waits in its queue, or it expired there. */
	last.following = schedule_next(&e->plan.schedule, last.due);
	if (err == E_MISSING)
		ended = entry_expires(e, &last) <= clock_wall_us();
	if (ended) {
		fire(b, e);
		return;
	}
	LOG(BEAT_OVERLAP, LOG_STR("entry", e->conf->name), LOG_STR("task", e->conf->task));
	settle(b, e, e->fire.due);
}

/* Whether the run before this one is over. */
static void
ask_about_last(struct beat *b, struct entry *e)
{
	char id[ID_UUID_LEN + 1];
	enum err err = entry_make_id(b->conf->group, e->conf->name, e->ran, id, NULL);

	if (err == E_OK)
		err = backend_load(b->backend, span_of(id), on_last_run, e);
	if (err != E_OK) {
		rest(b, e, "the result backend cannot be asked now");
		return;
	}
	e->phase = ENTRY_ASKING;
	list_push(&b->asking, &e->link);
}

static void
on_due(struct beat *b, const struct plan_fire *f)
{
	struct entry *e = container_of(f->entry, struct entry, plan);
	char first[TEXT_TIME_MAX], due[TEXT_TIME_MAX];
	struct errtext t = { "" };

	text_format_time(f->due, due);
	if (f->given_up != SCHEDULE_NEVER) {
		text_format_time(f->given_up, first);
		if (f->run)
			LOG(BEAT_MISSED, LOG_STR("entry", e->conf->name), LOG_STR("first", first),
				LOG_STR("due", due));
		else
			LOG(BEAT_SKIPPED, LOG_STR("entry", e->conf->name), LOG_STR("first", first),
				LOG_STR("due", due));
	}
	if (!f->run) {
		b->dirty = true;
		share_note(b, e);
		return;
	}
	e->fire = *f;
	if (entry_make_id(b->conf->group, e->conf->name, f->due, e->id, &t) != E_OK) {
		LOG(BEAT_NOT_SENT, LOG_STR("entry", e->conf->name), LOG_STR("task", e->conf->task),
			LOG_STR("why", t.text));
		settle(b, e, f->due);
	} else if (e->conf->skip_overlap && e->ran != INT64_MIN)
		ask_about_last(b, e);
	else
		fire(b, e);
}

static void
on_sent(void *owner, struct entry *e)
{
	struct beat *b = owner;

	e->runs++;
	e->ran = e->fire.due;
	settle(b, e, e->fire.due);
	firing_arm(b, 0);
}

static void
on_failed(void *owner UNUSED, struct entry *e, const char *why)
{
	LOG(BEAT_NOT_SENT, LOG_STR("entry", e->conf->name), LOG_STR("task", e->conf->task),
		LOG_STR("why", why));
}

static void
on_rested(void *owner, struct entry *e)
{
	struct beat *b = owner;

	plan_undo(&b->plan, &e->plan);
	firing_arm(b, 0);
}

/* --- under way, and no more -------------------------------------------------------------------------------------------- */

const struct send_ops firing_send_ops = { .on_sent = on_sent, .on_failed = on_failed, .on_rested = on_rested };

void
firing_arm(struct beat *b, ms_t delay)
{
	if (!b->stopping)
		loop_timer_arm(&b->tick, delay);
}

void
firing_plan(struct beat *b, struct entry *e)
{
	if (!e->paused && plan_add(&b->plan, &e->plan) != E_OK)
		abort();
}

void
firing_unplan(struct beat *b, struct entry *e)
{
	if (e->phase == ENTRY_ASKING) {
		backend_load_cancel(b->backend, e);
		list_unlink(&e->link);
		e->phase = ENTRY_PLANNED;
	}
	send_forget(&b->send, e);
	plan_remove(&b->plan, &e->plan);
}

void
firing_drop(struct beat *b)
{
	struct list *it;

	while ((it = list_pop(&b->asking)) != NULL) {
		struct entry *e = container_of(it, struct entry, link);

		backend_load_cancel(b->backend, e);
		e->phase = ENTRY_PLANNED;
	}
	send_drop(&b->send);
	plan_release(&b->plan);
	plan_init(&b->plan, b->conf->grace_ms * 1000);
}

/* Nothing is due until it has passed what is settled: who looks at night must not have to guess why. */
static void
watch_clock(struct beat *b, us_t now)
{
	char settled[TEXT_TIME_MAX];

	if (now >= b->looked)
		b->is_back = false;
	if (b->is_back || b->looked - now < BACK_MIN)
		return;
	b->is_back = true;
	text_format_time(b->looked, settled);
	LOG(BEAT_CLOCK_BACK, LOG_STR("node", b->conf->node), LOG_STR("until", settled),
		LOG_INT("seconds", (b->looked - now) / 1000000));
}

void
firing_wake(struct beat *b)
{
	ms_t now = clock_boot_ms(), asleep = now - b->ticked;

	b->ticked = now;
	if (asleep >= ASLEEP_MIN_MS)
		LOG(BEAT_WAS_ASLEEP, LOG_STR("node", b->conf->node), LOG_INT("seconds", asleep / 1000));
}

void
firing_tick(void *owner)
{
	struct beat *b = owner;
	us_t now = clock_wall_us(), at;
	struct plan_fire f;
	int n = 0;

	if (b->phase != BEAT_LEADING || b->stopping)
		return;
	firing_wake(b);
	watch_clock(b, now);
	if (!may_send(b)) {
		/* What has not reached the broker must not reach it late: it is due again, and the missed rule decides. */
		if (send_pending(&b->send) > 0) {
			firing_drop(b);
			for (size_t i = 0; i < b->book.n; i++)
				firing_plan(b, b->book.entries[i]);
		}
		firing_arm(b, LOOK_MS);
		return;
	}
	while (n < BATCH && may_send(b) && plan_due(&b->plan, now, &f)) {
		on_due(b, &f);
		n++;
	}
	at = plan_at(&b->plan);
	if (at > now && now > b->looked)
		b->looked = now;
	if (n > 0)
		loop_defer(b->loop, LOOP_FLUSH, &b->marking, firing_mark, b);
	/* Rounded up, and never far: the clock may be set meanwhile. */
	firing_arm(b,
		at <= now                            ? (n > 0 ? 0 : LOOK_MS)
			: at - now >= LOOK_MS * 1000 ? LOOK_MS
						     : (at - now + 999) / 1000);
}
