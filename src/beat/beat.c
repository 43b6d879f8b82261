/*
 * The wiring: connection, lease, sender, plan, state. One tick does the work: ask the plan what is due, while the lease holds.
 *
 *   standing by --on_lead--> leading: plan made anew from what is settled --on_lost--> standing by, plan and sends dropped
 *
 * Everything due up to the watermark is settled: run, or given up by the missed rule. It travels with the baton to the next leader, after every
 * change; the state file, for restarts, may lag behind it and is written every few seconds.
 */
#include "beat/beat.h"

#include <signal.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "beat/lease.h"
#include "beat/send.h"
#include "beat/state.h"

#define LOOK_MS 1000 /* the clock of the wall may be set: look at it so often */
#define SAVE_MS 10000
#define BATCH 200 /* entries of one turn of the loop */
#define STOP_MS 2000
#define LINGER_MS 2000
#define FUTURE (INT64_C(86400) * 1000000)

struct beat {
	const struct beat_conf *conf;
	struct loop *loop;
	struct bus_conn *conn;
	struct backend *backend;
	struct send send;
	struct lease lease;
	struct zones zones;
	struct state state;
	struct plan plan;
	struct entry *entries;
	size_t n_entries;
	us_t looked; /* what was due up to here has been taken out of the plan */
	bool leading, stopping, dirty, save_failed;
	struct list asking; /* entries that wait for the backend's answer */
	struct loop_timer tick, save, stop;
	struct loop_task marking;
	struct loop_signal sigterm, sigint, sigquit;
};

static void on_tick(void *owner);

/* --- what is settled --------------------------------------------------------------------------------------------------- */

/* A clock that ran ahead by more than a day, once: its traces must not silence an entry for years. */
static us_t
sane(us_t done, us_t now)
{
	return done > now + FUTURE ? now : done;
}

static void
mark(void *owner)
{
	struct beat *b = owner;
	us_t until = b->looked;

	if (!b->leading)
		return;
	for (size_t i = 0; i < b->n_entries; i++) {
		const struct entry *e = &b->entries[i];
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
	loop_defer(b->loop, LOOP_FLUSH, &b->marking, mark, b);
}

static void
save(struct beat *b)
{
	struct errtext t = { "" };
	struct buf text;
	enum err e = E_OK;

	if (!b->dirty || b->state.path == NULL)
		return;
	buf_init(&text, 0);
	for (size_t i = 0; e == E_OK && i < b->n_entries; i++) {
		const struct entry *en = &b->entries[i];

		buf_reset(&text);
		entry_add_schedule(&text, en->conf);
		e = state_set(&b->state, span_of(en->conf->name),
			&(struct state_row){ buf_text(&text), en->plan.done, en->ran, en->runs });
	}
	buf_release(&text);
	if (e == E_OK)
		e = state_save(&b->state, &t);
	else
		err_set(&t, e, "%s", err_name(e));
	b->dirty = e != E_OK;
	if (e != E_OK && !b->save_failed)
		LOG(BEAT_STATE_UNSAVED, LOG_STR("why", t.text));
	else if (e == E_OK && b->save_failed)
		LOG(BEAT_STATE_SAVED, LOG_STR("path", b->state.path));
	b->save_failed = e != E_OK;
}

static void
on_save(void *owner)
{
	struct beat *b = owner;

	save(b);
	loop_timer_arm(&b->save, SAVE_MS);
}

/* --- firing ------------------------------------------------------------------------------------------------------------ */

static void
arm(struct beat *b, ms_t delay)
{
	loop_timer_arm(&b->tick, delay);
}

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

	if (e->phase != ENTRY_ASKING)
		return; /* asked by a leader that we are no more */
	list_unlink(&e->link);
	e->phase = ENTRY_PLANNED;
	if (err != E_OK && err != E_MISSING) {
		rest(b, e, why);
		return;
	}
	if (!lease_holds(&b->lease)) {
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
	arm(b, 0);
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
	arm(b, 0);
}

/* Nothing is under way any more. Answers of the backend that still come are not wanted then. */
static void
drop(struct beat *b)
{
	struct list *it;

	while ((it = list_pop(&b->asking)) != NULL)
		container_of(it, struct entry, link)->phase = ENTRY_PLANNED;
	send_drop(&b->send);
	plan_release(&b->plan);
	plan_init(&b->plan, b->conf->grace_ms * 1000);
}

static void
plan_all(struct beat *b)
{
	for (size_t i = 0; i < b->n_entries; i++)
		if (plan_add(&b->plan, &b->entries[i].plan) != E_OK)
			abort();
}

static void
on_tick(void *owner)
{
	struct beat *b = owner;
	us_t now = clock_wall_us(), at;
	struct plan_fire f;
	int n = 0;

	if (!b->leading || b->stopping)
		return;
	if (!lease_holds(&b->lease)) {
		/* What has not reached the broker must not reach it late: it is due again, and the missed rule decides. */
		if (send_pending(&b->send) > 0) {
			drop(b);
			plan_all(b);
		}
		arm(b, LOOK_MS);
		return;
	}
	while (n < BATCH && lease_holds(&b->lease) && plan_due(&b->plan, now, &f)) {
		on_due(b, &f);
		n++;
	}
	at = plan_at(&b->plan);
	if (at > now && now > b->looked)
		b->looked = now;
	if (n > 0)
		loop_defer(b->loop, LOOP_FLUSH, &b->marking, mark, b);
	/* Rounded up, and never far: the clock may be set meanwhile. */
	arm(b,
		at <= now                            ? (n > 0 ? 0 : LOOK_MS)
			: at - now >= LOOK_MS * 1000 ? LOOK_MS
						     : (at - now + 999) / 1000);
}

/* --- leading ----------------------------------------------------------------------------------------------------------- */

static void
on_stand_by(void *owner)
{
	struct beat *b = owner;

	LOG(BEAT_STANDS_BY, LOG_STR("node", b->conf->node));
}

static void
on_lead(void *owner, us_t until)
{
	struct beat *b = owner;
	us_t now = clock_wall_us();

	until = sane(until, now);
	LOG(BEAT_LEADS, LOG_STR("node", b->conf->node), LOG_INT("entries", b->n_entries));
	drop(b);
	for (size_t i = 0; i < b->n_entries; i++) {
		struct plan_entry *p = &b->entries[i].plan;

		p->done = sane(p->done, now);
		if (p->done < until)
			p->done = until;
	}
	plan_all(b);
	b->looked = until;
	b->leading = b->dirty = true;
	arm(b, 0);
}

static void
on_lost(void *owner, const char *why)
{
	struct beat *b = owner;

	b->leading = false;
	if (!b->stopping)
		loop_timer_disarm(&b->tick);
	drop(b);
	LOG(BEAT_LEADS_NO_MORE, LOG_STR("node", b->conf->node), LOG_STR("why", why));
}

static void
on_refused(void *owner, const char *why)
{
	struct beat *b = owner;

	LOG(BEAT_REFUSED, LOG_STR("queue", b->conf->group), LOG_STR("why", why));
}

/* --- the broker -------------------------------------------------------------------------------------------------------- */

static void
on_up(void *owner)
{
	struct beat *b = owner;

	LOG(WORKER_CONNECTED, LOG_STR("url", bus_conn_url(b->conn)));
}

static void
on_down(void *owner UNUSED, const struct bus_down *d)
{
	char retry[32];

	snprintf(retry, sizeof(retry), "%.1f", (double)d->retry_ms / 1000);
	if (d->was_up)
		LOG(WORKER_LOST, LOG_STR("url", d->url), LOG_STR("why", d->text), LOG_STR("retry", retry));
	else
		LOG(WORKER_UNREACHABLE, LOG_STR("url", d->url), LOG_STR("why", d->text), LOG_STR("hint", ""),
			LOG_STR("retry", retry));
}

static void
on_blocked(void *owner UNUSED, bool blocked, const char *reason)
{
	if (blocked)
		LOG(BROKER_BLOCKED, LOG_STR("why", reason));
	else
		LOG(BROKER_UNBLOCKED);
}

static void
on_backend_up(void *owner UNUSED)
{
}

static void
on_backend_down(void *owner UNUSED, const char *url, const char *why, ms_t retry_ms, bool was_up UNUSED)
{
	char retry[32];

	snprintf(retry, sizeof(retry), "%.1f", (double)retry_ms / 1000);
	LOG(BACKEND_UNREACHABLE, LOG_STR("url", url), LOG_STR("why", why), LOG_STR("retry", retry));
}

/* --- the end ----------------------------------------------------------------------------------------------------------- */

/* What was sent is confirmed, and the next leader knows. */
static void
check_stopped(struct beat *b)
{
	if (b->stopping && send_pending(&b->send) == 0 && lease_is_told(&b->lease))
		loop_stop(b->loop, 0);
}

static void
on_stop_over(void *owner)
{
	struct beat *b = owner;

	loop_stop(b->loop, 0);
}

static void
on_look_again(void *owner)
{
	struct beat *b = owner;

	mark(b);
	check_stopped(b);
	loop_timer_arm(&b->tick, 20);
}

static void
on_signal(void *owner)
{
	struct beat *b = owner;

	if (b->stopping)
		return;
	b->stopping = true;
	loop_timer_arm(&b->stop, STOP_MS);
	loop_timer_release(&b->tick);
	if (loop_timer_init(&b->tick, b->loop, on_look_again, b) == E_OK)
		loop_timer_arm(&b->tick, 0);
}

/* --- set-up ------------------------------------------------------------------------------------------------------------ */

static void
open_state(struct beat *b)
{
	struct errtext t = { "" };

	switch (state_open(&b->state, b->conf->state_path, &t)) {
	case STATE_READ:
	case STATE_NEW:
		LOG(BEAT_STATE, LOG_STR("path", b->state.path));
		break;
	case STATE_PUT_ASIDE:
		LOG(BEAT_STATE_CORRUPT, LOG_STR("why", t.text));
		break;
	case STATE_NONE:
		LOG(BEAT_STATE_NONE, LOG_STR("why", t.text));
		break;
	}
}

/* A new entry, and one that was changed, begin now. */
static enum err
open_entries(struct beat *b, struct errtext *t)
{
	us_t now = clock_wall_us();
	struct buf text;
	enum err e = E_OK;

	b->entries = must_alloc((b->conf->n_entries + 1) * sizeof(*b->entries));
	buf_init(&text, 0);
	for (size_t i = 0; e == E_OK && i < b->conf->n_entries; i++) {
		const struct entry_conf *c = &b->conf->entries[i];
		const struct state_row *row = state_get(&b->state, span_of(c->name));
		struct entry *en = &b->entries[i];

		e = entry_init(en, c, &b->zones, t);
		if (e == E_OK && c->skip_overlap && backend_is_none(b->backend))
			e = err_set(t, E_CONF,
				"overlap: skip needs a result backend, to see whether the last run has "
				"ended");
		if (e != E_OK) {
			err_prefix(t, e, "schedule '%s'", c->name);
			break;
		}
		en->owner = b;
		en->plan.done = now;
		en->ran = INT64_MIN;
		buf_reset(&text);
		entry_add_schedule(&text, c);
		if (row && strcmp(row->schedule, buf_text(&text)) == 0) {
			en->plan.done = sane(row->done, now);
			en->ran = row->ran;
			en->runs = row->runs;
		}
		b->n_entries = i + 1;
	}
	buf_release(&text);
	b->dirty = true;
	return e;
}

/* What is no entry any more is forgotten. */
static void
forget_others(struct beat *b)
{
	struct map_iter it = { 0 };
	struct map names;
	static char here;

	map_init(&names);
	for (size_t i = 0; i < b->n_entries; i++)
		if (map_set(&names, span_of(b->entries[i].conf->name), &here, NULL) != E_OK)
			abort();
	while (map_next(&b->state.rows, &it))
		if (map_get(&names, it.key) == NULL)
			state_forget(&b->state, it.key);
	map_release(&names, NULL);
}

static enum err
open_connection(struct beat *b, struct errtext *t)
{
	static const struct bus_conn_ops conn_ops = {
		.on_up = on_up, .on_down = on_down, .on_blocked = on_blocked
	};
	static const struct send_ops send_ops = {
		.on_sent = on_sent, .on_failed = on_failed, .on_rested = on_rested
	};
	static const struct lease_ops lease_ops = {
		.on_stand_by = on_stand_by, .on_lead = on_lead, .on_lost = on_lost, .on_refused = on_refused
	};
	struct bus_conf conf = b->conf->broker;
	enum err e;

	conf.name = b->conf->node;
	if (conf.heartbeat_s == 0 || conf.heartbeat_s > LEASE_HEARTBEAT_S)
		conf.heartbeat_s = LEASE_HEARTBEAT_S;
	e = bus_conn_new(&b->conn, b->loop, &conf, &conn_ops, b, t);
	if (e != E_OK)
		return e;
	e = send_open(&b->send, b->conn, b->conf->origin, &send_ops, b);
	if (e == E_OK)
		e = lease_open(&b->lease, b->conn, b->send.pub, b->conf->group, b->conf->node, &lease_ops, b);
	return e == E_OK ? E_OK : err_set(t, e, "cannot set up publishing: %s", err_name(e));
}

static enum err
open_loop(struct beat *b, struct errtext *t)
{
	enum err e;

	b->loop = loop_new(t);
	if (b->loop == NULL)
		return E_SYS;
	e = loop_signal_init(&b->sigterm, b->loop, SIGTERM, on_signal, b);
	if (e == E_OK)
		e = loop_signal_init(&b->sigint, b->loop, SIGINT, on_signal, b);
	if (e == E_OK)
		e = loop_signal_init(&b->sigquit, b->loop, SIGQUIT, on_signal, b);
	if (e == E_OK)
		e = loop_timer_init(&b->tick, b->loop, on_tick, b);
	if (e == E_OK)
		e = loop_timer_init(&b->save, b->loop, on_save, b);
	if (e == E_OK)
		e = loop_timer_init(&b->stop, b->loop, on_stop_over, b);
	return e == E_OK ? E_OK : err_set(t, e, "cannot watch signals: %s", err_name(e));
}

static enum err
beat_open(struct beat *b, struct errtext *t)
{
	static const struct backend_events events = { .on_up = on_backend_up, .on_down = on_backend_down };
	struct backend_conf none = { .url = "none" };
	bool asks = false;
	enum err e;

	for (size_t i = 0; i < b->conf->n_entries; i++)
		asks = asks || b->conf->entries[i].skip_overlap;
	zones_init(&b->zones);
	list_init(&b->asking);
	plan_init(&b->plan, b->conf->grace_ms * 1000);
	e = open_loop(b, t);
	if (e == E_OK)
		e = backend_open(&b->backend, b->loop, asks ? &b->conf->backend : &none, &events, b, t);
	if (e != E_OK)
		return e;
	open_state(b);
	e = open_entries(b, t);
	if (e == E_OK)
		e = open_connection(b, t);
	if (e != E_OK)
		return e;
	forget_others(b);
	save(b);
	loop_timer_arm(&b->save, SAVE_MS);
	bus_conn_start(b->conn);
	return E_OK;
}

static void
beat_close(struct beat *b)
{
	lease_close(&b->lease);
	send_close(&b->send);
	bus_conn_close(b->conn, LINGER_MS);
	backend_close(b->backend);
	plan_release(&b->plan);
	loop_undefer(&b->marking);
	loop_timer_release(&b->tick);
	loop_timer_release(&b->save);
	loop_timer_release(&b->stop);
	loop_signal_release(&b->sigterm);
	loop_signal_release(&b->sigint);
	loop_signal_release(&b->sigquit);
	if (b->loop != NULL)
		loop_settle(b->loop, LINGER_MS);
	loop_free(b->loop);
	state_close(&b->state);
	zones_release(&b->zones);
	alloc_free(b->entries);
}

int
beat_run(const struct beat_conf *conf, struct errtext *t)
{
	struct beat b = { .conf = conf, .state = { .folder = -1, .lock = -1 } };
	int code = 1;

	t->text[0] = '\0';
	LOG(BEAT_STARTING);
	if (beat_open(&b, t) == E_OK) {
		code = loop_run(b.loop);
		save(&b);
		LOG(BEAT_STOPPED, LOG_STR("node", conf->node));
	}
	beat_close(&b);
	return code;
}
