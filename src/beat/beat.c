/*
 * The wiring: connection, lease, sender, plan, state file, Redis; their ups and downs are passed on here.
 *
 *   standing by --on_lead--> taking stock (what Redis knows) --beat_go--> leading: plan made from what is settled
 *        ^------------------------on_lost, plan and sends dropped------------------------'
 *
 * Everything due up to the watermark is settled: run, or given up by the missed rule. It travels with the baton to the next leader, after every
 * change. What each entry did travels through Redis when there is one (share.h), and through the state file over restarts (keep.c).
 */
#include "beat/inside.h"

#include <signal.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/log.h"

#define SAVE_MS 10000
#define STOP_MS 2000
#define LINGER_MS 2000
#define RETRY_MAX_MS 2000 /* a scheduler that is not connected cannot take over */
#define FUTURE (INT64_C(86400) * 1000000)

/* --- leading ----------------------------------------------------------------------------------------------------------- */

us_t
beat_sane(us_t done, us_t now)
{
	return done > now + FUTURE ? now : done;
}

static void
on_stand_by(void *owner)
{
	struct beat *b = owner;

	LOG(BEAT_STANDS_BY, LOG_STR("node", b->conf->node));
}

void
beat_compare(struct beat *b, struct span node, struct span schedule)
{
	char other[256];

	/* What it had itself before it began anew is no other. */
	if (schedule.len == 0 || span_is(node, b->conf->node) || span_is(schedule, b->schedule) ||
		span_is(schedule, b->warned_of))
		return;
	snprintf(b->warned_of, sizeof(b->warned_of), "%.*s", SPAN_FMT(schedule));
	snprintf(other, sizeof(other), "%.*s", SPAN_FMT(node));
	LOG(BEAT_OTHER_SCHEDULE, LOG_STR("node", b->conf->node), LOG_STR("other", other),
		LOG_STR("group", b->conf->group));
}

void
beat_go(struct beat *b)
{
	us_t now = clock_wall_us();

	LOG(BEAT_LEADS, LOG_STR("node", b->conf->node), LOG_INT("entries", b->book.n));
	b->phase = BEAT_LEADING;
	for (size_t i = 0; i < b->book.n; i++) {
		struct entry *e = b->book.entries[i];

		e->plan.done = beat_sane(e->plan.done, now);
		if (e->plan.done < b->until)
			e->plan.done = b->until;
		firing_plan(b, e);
	}
	b->looked = b->until;
	b->dirty = true;
	b->ticked = clock_boot_ms();
	firing_arm(b, 0);
}

static void
on_lead(void *owner, us_t until)
{
	struct beat *b = owner;

	beat_compare(b, span_of(b->lease.baton_node), span_of(b->lease.baton_schedule));
	FAIL_POINT("B1");
	firing_drop(b);
	b->until = beat_sane(until, clock_wall_us());
	b->phase = BEAT_TAKING_STOCK;
	if (!share_take(b))
		beat_go(b);
}

static void
on_lost(void *owner, const char *why)
{
	struct beat *b = owner;
	bool led = b->phase == BEAT_LEADING;

	b->phase = BEAT_STANDING_BY;
	/* Before what the connection says of it, which sounds like a fault of the broker. */
	if (led && !b->stopping)
		firing_wake(b);
	if (!b->stopping)
		loop_timer_disarm(&b->tick);
	firing_drop(b);
	share_lose(b);
	/* One that has not begun to lead has not said so either. */
	if (led)
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

/* Whoever it belongs to may live on: the lead must not. */
static void
let_go(struct beat *b)
{
	lease_close(&b->lease);
	send_close(&b->send);
	share_close(b);
	bus_conn_close(b->conn, LINGER_MS);
	b->conn = NULL;
}

static void
stopped(struct beat *b)
{
	if (b->stopped)
		return;
	b->stopped = true;
	loop_timer_disarm(&b->tick);
	loop_timer_disarm(&b->stop);
	keep_save(b);
	let_go(b);
	LOG(BEAT_STOPPED, LOG_STR("node", b->conf->node));
	b->on_stopped(b->owner);
}

bool
beat_is_stopped(const struct beat *b)
{
	return b->stopped;
}

static void
on_stop_over(void *owner)
{
	stopped(owner);
}

/* What was sent is confirmed, and the next leader knows. */
static void
on_look_again(void *owner)
{
	struct beat *b = owner;

	firing_mark(b);
	if (send_pending(&b->send) == 0 && lease_is_told(&b->lease) && share_is_written(b))
		stopped(b);
	else
		loop_timer_arm(&b->tick, 20);
}

void
beat_stop(struct beat *b)
{
	if (b->stopping)
		return;
	b->stopping = true;
	loop_timer_arm(&b->stop, STOP_MS);
	loop_timer_release(&b->tick);
	if (loop_timer_init(&b->tick, b->loop, on_look_again, b) == E_OK)
		loop_timer_arm(&b->tick, 0);
}

/* --- set-up ------------------------------------------------------------------------------------------------------------ */

/* A sum, for their order means nothing. */
static uint64_t
digest_of(const struct entry_conf *c)
{
	struct buf b;
	uint64_t h;

	buf_init(&b, 0);
	buf_addf(&b, "%s %s ", c->name, c->task);
	entry_add_schedule(&b, c);
	h = entry_digest(buf_span(&b));
	buf_release(&b);
	return h;
}

/* A new entry, and one that was changed, begin now. */
static enum err
open_entries(struct beat *b, struct errtext *t)
{
	us_t now = clock_wall_us();
	uint64_t digest = 0;
	enum err e = E_OK;

	for (size_t i = 0; e == E_OK && i < b->conf->n_entries; i++) {
		const struct entry_conf *c = &b->conf->entries[i];
		struct entry *en;

		e = book_add(&b->book, c, &en, t);
		if (e == E_OK && c->skip_overlap && !backend_keeps(b->backend))
			e = err_set(t, E_CONF,
				"overlap: skip needs a result backend that keeps results, in Redis, to see whether "
				"the last run has ended");
		if (e != E_OK) {
			err_prefix(t, e, "schedule '%s'", c->name);
			break;
		}
		en->owner = b;
		en->plan.done = now;
		en->ran = INT64_MIN;
		keep_recall(b, en);
		digest += digest_of(c);
	}
	snprintf(b->schedule, sizeof(b->schedule), "%zu-%016llx", b->conf->n_entries,
		(unsigned long long)digest);
	/* What Redis adds is not known yet. */
	if (e == E_OK && b->conf->store.url == NULL) {
		keep_forget_others(b);
		keep_trim(b);
	}
	b->dirty = true;
	return e;
}

static enum err
open_connection(struct beat *b, struct errtext *t)
{
	static const struct bus_conn_ops conn_ops = {
		.on_up = on_up, .on_down = on_down, .on_blocked = on_blocked
	};
	static const struct lease_ops lease_ops = {
		.on_stand_by = on_stand_by, .on_lead = on_lead, .on_lost = on_lost, .on_refused = on_refused
	};
	struct bus_conf conf = b->conf->broker;
	enum err e;

	conf.name = b->conf->node;
	conf.retry_max_ms = RETRY_MAX_MS;
	if (conf.heartbeat_s == 0 || conf.heartbeat_s > LEASE_HEARTBEAT_S)
		conf.heartbeat_s = LEASE_HEARTBEAT_S;
	e = bus_conn_new(&b->conn, b->loop, &conf, &conn_ops, b, t);
	if (e != E_OK)
		return e;
	e = send_open(&b->send, b->conn, b->conf->origin, &firing_send_ops, b);
	if (e == E_OK)
		e = lease_open(&b->lease, b->conn, b->send.pub, b->conf->group, b->conf->node, b->schedule,
			&lease_ops, b);
	return e == E_OK ? E_OK : err_set(t, e, "cannot set up publishing: %s", err_name(e));
}

static enum err
open_timers(struct beat *b, struct errtext *t)
{
	enum err e = loop_timer_init(&b->tick, b->loop, firing_tick, b);

	if (e == E_OK)
		e = loop_timer_init(&b->save, b->loop, keep_on_timer, b);
	if (e == E_OK)
		e = loop_timer_init(&b->stop, b->loop, on_stop_over, b);
	return e == E_OK ? E_OK : err_set(t, e, "%s", err_name(e));
}

enum err
beat_open(struct beat **out, struct loop *l, const struct beat_conf *conf, void (*on_stopped)(void *owner),
	void *owner, struct errtext *t)
{
	static const struct backend_events events = { .on_up = on_backend_up, .on_down = on_backend_down };
	struct backend_conf none = { .url = "none" };
	struct beat *b = must_alloc(sizeof(*b));
	bool asks = conf->store.url != NULL; /* entries that come later may skip overlaps */
	enum err e;

	*b = (struct beat){ .conf = conf,
		.loop = l,
		.on_stopped = on_stopped,
		.owner = owner,
		.state = { .folder = -1, .lock = -1 } };
	for (size_t i = 0; i < conf->n_entries; i++)
		asks = asks || conf->entries[i].skip_overlap;
	LOG(BEAT_STARTING);
	book_init(&b->book, &conf->maker);
	list_init(&b->asking);
	plan_init(&b->plan, conf->grace_ms * 1000);
	e = open_timers(b, t);
	if (e == E_OK)
		e = backend_open(&b->backend, l, asks ? &conf->backend : &none, &events, b, t);
	if (e == E_OK) {
		keep_open(b);
		e = open_entries(b, t);
	}
	if (e == E_OK)
		e = share_open(b, t);
	if (e == E_OK)
		e = open_connection(b, t);
	if (e != E_OK) {
		beat_close(b);
		return e;
	}
	keep_save(b);
	loop_timer_arm(&b->save, SAVE_MS);
	bus_conn_start(b->conn);
	*out = b;
	return E_OK;
}

void
beat_close(struct beat *b)
{
	if (b == NULL)
		return;
	let_go(b);
	backend_close(b->backend);
	plan_release(&b->plan);
	loop_undefer(&b->marking);
	loop_undefer(&b->trimming);
	loop_timer_release(&b->tick);
	loop_timer_release(&b->save);
	loop_timer_release(&b->stop);
	state_close(&b->state);
	book_release(&b->book);
	alloc_free(b);
}

/* --- a process of its own ---------------------------------------------------------------------------------------------- */

struct daemon {
	struct loop *loop;
	struct beat *beat;
	struct loop_signal sigterm, sigint, sigquit, sighup;
	const struct beat_renewal *renewal;
	bool checking,
		hup_again; /* a SIGHUP while the settings are checked: they may have changed meanwhile */
	bool again;
};

static void
on_signal(void *owner)
{
	struct daemon *d = owner;

	d->again = false;
	d->renewal->cancel(d->renewal->owner);
	if (d->beat != NULL)
		beat_stop(d->beat);
}

static void on_hup(void *owner);

static void
on_checked(void *owner, enum err e, const char *why)
{
	struct daemon *d = owner;

	d->checking = false;
	if (d->hup_again)
		on_hup(d);
	else if (e != E_OK)
		LOG(RELOAD_REFUSED, LOG_STR("why", why));
	else {
		LOG(BEAT_RENEWS, LOG_STR("node", d->beat->conf->node));
		d->again = true;
		beat_stop(d->beat);
	}
}

static void
on_hup(void *owner)
{
	struct daemon *d = owner;
	struct errtext t = { "" };

	if (d->beat == NULL || d->beat->stopping)
		return;
	d->hup_again = d->checking;
	if (d->checking)
		return;
	if (d->renewal->check(d->renewal->owner, d->loop, on_checked, d, &t) == E_OK)
		d->checking = true;
	else
		LOG(RELOAD_REFUSED, LOG_STR("why", t.text));
}

static void
on_stopped(void *owner)
{
	struct daemon *d = owner;

	loop_stop(d->loop, 0);
}

static enum err
daemon_open(struct daemon *d, const struct beat_conf *conf, struct errtext *t)
{
	enum err e;

	d->loop = loop_new(t);
	if (d->loop == NULL)
		return E_SYS;
	e = loop_signal_init(&d->sigterm, d->loop, SIGTERM, on_signal, d);
	if (e == E_OK)
		e = loop_signal_init(&d->sigint, d->loop, SIGINT, on_signal, d);
	if (e == E_OK)
		e = loop_signal_init(&d->sigquit, d->loop, SIGQUIT, on_signal, d);
	if (e == E_OK)
		e = loop_signal_init(&d->sighup, d->loop, SIGHUP, on_hup, d);
	if (e != E_OK)
		return err_set(t, e, "cannot watch signals: %s", err_name(e));
	return beat_open(&d->beat, d->loop, conf, on_stopped, d, t);
}

int
beat_run(const struct beat_conf *conf, const struct beat_renewal *renewal, bool *again, struct errtext *t)
{
	struct daemon d = { .renewal = renewal };
	int code = 1;

	t->text[0] = '\0';
	if (daemon_open(&d, conf, t) == E_OK)
		code = loop_run(d.loop);
	*again = d.again && code == 0;
	renewal->cancel(renewal->owner);
	beat_close(d.beat);
	loop_signal_release(&d.sighup);
	loop_signal_release(&d.sigterm);
	loop_signal_release(&d.sigint);
	loop_signal_release(&d.sigquit);
	if (d.loop != NULL)
		loop_settle(d.loop, LINGER_MS);
	loop_free(d.loop);
	return code;
}
