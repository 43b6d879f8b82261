/*
 * The wiring of a worker: it owns the loop, the two broker connections, the backend and the pools, and passes their ups and downs on.
 *
 *   starting -> running -> draining -> stopping
 *
 * Starting ends when every pool has a child that said hello and all consumers are registered. Draining: consumers cancelled, what has
 * not begun given back, what runs may finish until the drain time-out. Stopping: children end, then the connections, then the loop.
 */
#include "worker/worker.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backend/chords.h"
#include "backend/note.h"
#include "base/clock.h"
#include "base/log.h"
#include "worker/banner.h"
#include "worker/state.h"

#define TOPOLOGY_RETRY_MS 5000
#define LINGER_MS 2000
/* From the end of the drain time-out until all is given up: children have 3 s of it, the broker the rest. */
#define INTERRUPT_MS 8000
/* When nothing runs any more, what has ended and is not told to backend and broker yet has so long. */
#define LAST_MS 3000
/* For the service manager: the clean-up of processes and connections after that. */
#define EXIT_MS 5000
/* Output, errors, channel and pidfd of a child; what is open for a moment at a start, connections, name resolution. */
#define DESCRIPTORS_PER_SLOT 4
#define DESCRIPTORS_SPARE 40

bool
worker_is_stopping(const struct worker *w)
{
	return w->phase >= WORKER_DRAINING;
}

/* --- the end ----------------------------------------------------------------------------------------------------------- */

/* Another scheduler may go on at once, however long the tasks take. */
static void
stop_guest(struct worker *w)
{
	if (w->conf->guest != NULL)
		w->conf->guest->stop(w->conf->guest->owner);
}

static bool
guest_is_stopped(const struct worker *w)
{
	return w->conf->guest == NULL || w->conf->guest->is_stopped(w->conf->guest->owner);
}

static void
on_guest_stopped(void *owner)
{
	worker_check_drained(owner);
}

static void
stop_slots(struct worker *w, bool at_once)
{
	w->phase = WORKER_STOPPING;
	loop_timer_disarm(&w->drain);
	for (size_t i = 0; i < w->n_pools; i++)
		pool_stop_slots(&w->pools[i], at_once);
	if (at_once) {
		outbox_hand_over(&w->outbox);
		loop_timer_arm(&w->drain, LAST_MS);
	}
	worker_check_drained(w);
}

void
worker_check_drained(struct worker *w)
{
	size_t running = 0, down = 0;

	if (w->phase < WORKER_DRAINING)
		return;
	for (size_t i = 0; i < w->n_pools; i++) {
		running += pool_running(&w->pools[i]);
		down += pool_is_down(&w->pools[i]);
	}
	if (w->phase == WORKER_DRAINING && running == 0)
		stop_slots(w, false);
	else if (w->phase == WORKER_STOPPING && running == 0 && down == w->n_pools && guest_is_stopped(w))
		loop_stop(w->loop, w->exit_code);
}

/* First they are asked and the copies of their messages published; what then is still there goes back as it came. */
static void
on_drain_over(void *owner)
{
	struct worker *w = owner;

	if (w->phase == WORKER_STOPPING) {
		/* What waits for backend or broker even now runs again: that is allowed, and not to end is not. */
		for (size_t i = 0; i < w->n_pools; i++)
			pool_return_all(&w->pools[i]);
		return;
	}
	if (w->is_interrupting) {
		stop_slots(w, true);
		return;
	}
	outbox_hand_over(&w->outbox);
	LOG(DRAIN_OVER);
	w->is_interrupting = true;
	loop_timer_arm(&w->drain, INTERRUPT_MS);
	for (size_t i = 0; i < w->n_pools; i++)
		pool_interrupt(&w->pools[i]);
}

static void
drain(struct worker *w)
{
	char state[96];
	size_t running = 0;

	w->phase = WORKER_DRAINING;
	stop_guest(w);
	pulse_stop(&w->pulse);
	mender_stop(&w->mender);
	for (size_t i = 0; i < w->n_pools; i++) {
		feed_stop(&w->pools[i].feed);
		pool_return_waiting(&w->pools[i]);
		running += pool_running(&w->pools[i]);
	}
	/* Its own patience, TimeoutStopSec, was set by somebody who did not know for how long tasks of this worker may go on. */
	snprintf(state, sizeof(state), "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=%lld",
		(long long)(w->conf->drain_ms + INTERRUPT_MS + LAST_MS + EXIT_MS) * 1000);
	notify_say(&w->notify, state);
	LOG(DRAINING, LOG_INT("running", running), LOG_INT("seconds", w->conf->drain_ms / 1000));
	loop_timer_arm(&w->drain, w->conf->drain_ms);
	worker_check_drained(w);
}

static void
cold_stop(struct worker *w)
{
	if (w->phase == WORKER_STOPPING)
		return;
	LOG(COLD_STOP);
	stop_guest(w);
	pulse_stop(&w->pulse);
	mender_stop(&w->mender);
	notify_say(&w->notify, "STOPPING=1\nSTATUS=stopping at once");
	for (size_t i = 0; i < w->n_pools; i++) {
		feed_stop(&w->pools[i].feed);
		pool_return_waiting(&w->pools[i]);
	}
	stop_slots(w, true);
}

static void
on_terminate(void *owner)
{
	struct worker *w = owner;

	if (w->phase < WORKER_DRAINING)
		drain(w);
	else
		cold_stop(w);
}

void
worker_shutdown(struct worker *w)
{
	on_terminate(w);
}

static void
on_quit(void *owner)
{
	cold_stop(owner);
}

void
worker_fail(struct worker *w, const char *fmt, ...)
{
	va_list ap;

	if (w->phase != WORKER_STARTING)
		return;
	va_start(ap, fmt);
	vsnprintf(w->error.text, sizeof(w->error.text), fmt, ap);
	va_end(ap);
	w->exit_code = 1;
	cold_stop(w);
}

/* --- connections ------------------------------------------------------------------------------------------------------- */

/* One that was added while the worker runs must not stand in the way of the others. */
static void
drop_refused(struct worker *w, const struct bus_topo_report *r)
{
	for (size_t i = 0; i < w->n_pools; i++)
		for (size_t k = 0; k < w->pools[i].n_queues; k++)
			if (w->pools[i].queues[k].added && r->queue != NULL &&
				strcmp(w->pools[i].queues[k].topo.name, r->queue) == 0)
				pool_drop_queue(&w->pools[i], k, r->text);
}

/* Celery's clients look at the exchange of a queue: tasks of a direct one they never send to the delay ladder. */
static void
expect_delayed(struct worker *w, const struct pool *p)
{
	for (size_t i = 0; i < p->n_queues; i++) {
		const struct bus_topo_queue *q = &p->queues[i].topo;

		if (p->queues[i].wanted && q->exchange_type != NULL && strcmp(q->exchange_type, "topic") == 0)
			post_expect(&w->post, q->name, q->routing_key != NULL ? q->routing_key : q->name);
	}
}

static void
on_topology(void *owner, const struct bus_topo_report *r)
{
	struct worker *w = owner;
	bool all = true;

	w->topo = NULL;
	/* Lost with the connection: the next up begins again. */
	if (r->err == E_CLOSED)
		return;
	if (r->err != E_OK) {
		drop_refused(w, r);
		LOG(QUEUE_REFUSED, LOG_STR("queue", r->queue), LOG_STR("why", r->text),
			LOG_INT("retry", TOPOLOGY_RETRY_MS / 1000));
		loop_timer_arm(&w->topo_retry, TOPOLOGY_RETRY_MS);
		return;
	}
	for (size_t i = 0; i < w->n_pools; i++)
		all &= pool_on_topology(&w->pools[i]);
	for (size_t i = 0; i < w->n_pools; i++) {
		feed_on_topology(&w->pools[i].feed, true);
		expect_delayed(w, &w->pools[i]);
	}
	if (!all)
		worker_ensure_queues(w);
}

void
worker_ensure_queues(struct worker *w)
{
	struct bus_topo_queue *all = NULL;
	size_t n = 0;

	if (w->topo != NULL || worker_is_stopping(w) || !bus_conn_is_up(w->consume))
		return;
	for (size_t i = 0; i < w->n_pools; i++) {
		struct pool *p = &w->pools[i];

		all = must_resize(all, sizeof(*all) * (n + p->n_queues + 1));
		for (size_t k = 0; k < p->n_queues; k++) {
			p->queues[k].asked = p->queues[k].wanted;
			if (p->queues[k].wanted)
				all[n++] = p->queues[k].topo;
		}
	}
	if (bus_topo_ensure(&w->topo, w->consume, all, n, on_topology, w) != E_OK)
		loop_timer_arm(&w->topo_retry, TOPOLOGY_RETRY_MS);
	alloc_free(all);
}

static void
on_topology_retry(void *owner)
{
	worker_ensure_queues(owner);
}

static void
on_consume_up(void *owner)
{
	struct worker *w = owner;

	LOG(WORKER_CONNECTED, LOG_STR("url", bus_conn_url(w->consume)));
	worker_ensure_queues(w);
	outbox_look(&w->outbox);
	/* What was revoked meanwhile nobody could tell us. */
	if (!backend_keeps(w->backend) || backend_is_up(w->backend))
		revocation_load(&w->revocation);
}

/* What to look at first, for the most common causes. */
static const char *
hint_for(const struct bus_down *d)
{
	if (d->code != 0)
		return "";
	return d->err == E_REFUSED ? ": is RabbitMQ running?" : "";
}

static void
log_down(const struct bus_down *d)
{
	char retry[32];

	snprintf(retry, sizeof(retry), "%.1f", (double)d->retry_ms / 1000);
	if (d->was_up)
		LOG(WORKER_LOST, LOG_STR("url", d->url), LOG_STR("why", d->text), LOG_STR("retry", retry));
	else
		LOG(WORKER_UNREACHABLE, LOG_STR("url", d->url), LOG_STR("why", d->text),
			LOG_STR("hint", hint_for(d)), LOG_STR("retry", retry));
}

#define AMQP_NOT_IMPLEMENTED 540

static void
on_consume_down(void *owner, const struct bus_down *d)
{
	struct worker *w = owner;
	bool learnt = false;

	w->was_ready = false;
	outbox_on_broker_down(&w->outbox);
	for (size_t i = 0; i < w->n_pools; i++) {
		feed_on_topology(&w->pools[i].feed, false);
		if (d->code == AMQP_NOT_IMPLEMENTED)
			learnt |= feed_on_shared_refused(&w->pools[i].feed);
	}
	if (d->was_up && !worker_is_stopping(w))
		notify_say(&w->notify, "STATUS=lost the broker, connecting again");
	if (learnt)
		LOG(WINDOW_SPREAD);
	else
		log_down(d);
}

static void
on_publish_up(void *owner)
{
	struct worker *w = owner;

	post_on_up(&w->post);
}

static void
on_publish_down(void *owner UNUSED, const struct bus_down *d)
{
	/* The consuming connection meets the same broker and says so; this line is for the case that only this one is lost. */
	if (d->was_up)
		log_down(d);
}

static void
on_publish_blocked(void *owner UNUSED, bool blocked, const char *reason)
{
	if (blocked)
		LOG(BROKER_BLOCKED, LOG_STR("why", reason));
	else
		LOG(BROKER_UNBLOCKED);
}

static void
on_backend_up(void *owner)
{
	struct worker *w = owner;

	LOG(BACKEND_CONNECTED, LOG_STR("url", backend_url(w->backend)));
	revocation_load(&w->revocation);
	runs_on_backend_up(&w->runs);
	outbox_look(&w->outbox);
}

static void
on_backend_down(void *owner, const char *url, const char *why, ms_t retry_ms, bool was_up)
{
	struct worker *w = owner;
	char retry[32];

	revocation_on_backend_down(&w->revocation);
	outbox_look(&w->outbox);
	snprintf(retry, sizeof(retry), "%.1f", (double)retry_ms / 1000);
	if (was_up)
		LOG(BACKEND_LOST, LOG_STR("url", url), LOG_STR("why", why), LOG_STR("retry", retry),
			LOG_INT("waiting", backend_pending(w->backend)));
	else
		LOG(BACKEND_UNREACHABLE, LOG_STR("url", url), LOG_STR("why", why), LOG_STR("retry", retry));
}

static void
on_backend_delay(void *owner, const char *why, ms_t retry_ms)
{
	struct worker *w = owner;
	char retry[32];

	snprintf(retry, sizeof(retry), "%.1f", (double)retry_ms / 1000);
	LOG(BACKEND_DELAY, LOG_STR("url", backend_url(w->backend)), LOG_STR("why", why),
		LOG_STR("retry", retry));
}

void
worker_check_ready(struct worker *w)
{
	struct buf b;

	if (w->phase > WORKER_RUNNING || !w->control.is_settled)
		return;
	for (size_t i = 0; i < w->n_pools; i++)
		if (!w->pools[i].is_ready || !feed_is_consuming(&w->pools[i].feed))
			return;
	if (w->was_ready)
		return;
	w->was_ready = true;
	w->phase = WORKER_RUNNING;
	if (!w->banner_shown && !w->conf->quiet_banner) {
		buf_init(&b, 0);
		banner_add(&b, w);
		/* A closed stdout is no reason to stop working. */
		if (write(STDOUT_FILENO, buf_span(&b).ptr, b.len) < 0)
			LOG(BANNER_LOST);
		buf_release(&b);
	}
	w->banner_shown = true;
	LOG(WORKER_READY, LOG_STR("node", w->conf->node));
	pulse_start(&w->pulse);
	mender_start(&w->mender);
	notify_say(&w->notify, "READY=1\nSTATUS=consuming");
}

/* --- set-up ------------------------------------------------------------------------------------------------------------ */

/* Whatever has come must be able to go again, as a retry or a dead letter: its body, cut into frames, and its headers. */
#define SEND_MAX (BUS_MESSAGE_MAX + BUS_MESSAGE_MAX / 128)

static enum err
open_connections(struct worker *w, struct errtext *t)
{
	static const struct bus_conn_ops consume_ops = { .on_up = on_consume_up, .on_down = on_consume_down };
	static const struct bus_conn_ops publish_ops = {
		.on_up = on_publish_up, .on_down = on_publish_down, .on_blocked = on_publish_blocked
	};
	static const struct backend_events events = {
		.on_up = on_backend_up, .on_down = on_backend_down, .on_delay = on_backend_delay
	};
	struct bus_conf conf = w->conf->broker;
	struct backend_conf backend = w->conf->backend;
	char name[300];
	enum err e;

	conf.name = name;
	snprintf(name, sizeof(name), "%s consume", w->conf->node);
	e = bus_conn_new(&w->consume, w->loop, &conf, &consume_ops, w, t);
	if (e != E_OK)
		return e;
	snprintf(name, sizeof(name), "%s publish", w->conf->node);
	conf.write_max = SEND_MAX;
	e = bus_conn_new(&w->publish, w->loop, &conf, &publish_ops, w, t);
	if (e != E_OK)
		return e;
	backend.broker = w->publish;
	e = backend_open(&w->backend, w->loop, &backend, &events, w, t);
	if (e != E_OK)
		return e;
	e = bus_pub_new(
		&w->pub, w->publish, &(struct bus_pub_conf){ .bytes_max = SEND_MAX }, post_on_room, &w->post);
	if (e == E_OK)
		e = post_init(&w->post, w);
	if (e == E_OK)
		e = mender_init(&w->mender, w);
	if (e == E_OK)
		e = pulse_open(&w->pulse, w);
	if (e == E_OK)
		e = control_open(&w->control, w);
	return e == E_OK ? E_OK : err_set(t, e, "cannot set up publishing: %s", err_name(e));
}

static enum err
watch_signals(struct worker *w, struct errtext *t)
{
	enum err e = loop_signal_init(&w->sigterm, w->loop, SIGTERM, on_terminate, w);

	if (e == E_OK)
		e = loop_signal_init(&w->sigint, w->loop, SIGINT, on_terminate, w);
	if (e == E_OK)
		e = loop_signal_init(&w->sigquit, w->loop, SIGQUIT, on_quit, w);
	if (e == E_OK)
		e = reload_open(&w->reload, w);
	if (e == E_OK)
		e = notify_open(&w->notify, w->loop);
	if (e == E_OK)
		e = sweep_init(&w->sweep, w);
	if (e == E_OK)
		e = loop_timer_init(&w->drain, w->loop, on_drain_over, w);
	if (e == E_OK)
		e = loop_timer_init(&w->topo_retry, w->loop, on_topology_retry, w);
	return e == E_OK ? E_OK : err_set(t, e, "cannot watch signals: %s", err_name(e));
}

/* Without room for all its children a worker would take tasks that it cannot run, or no longer reach the broker. */
static enum err
ensure_descriptors(size_t slots, struct errtext *t)
{
	struct rlimit limit;
	rlim_t need = DESCRIPTORS_SPARE + (rlim_t)slots * DESCRIPTORS_PER_SLOT;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need)
		return E_OK;
	if (limit.rlim_max < need)
		return err_set(t, E_CONF,
			"%zu slots need about %llu file descriptors and the limit is %llu: raise it (ulimit -n, or "
			"LimitNOFILE= of the service), or have fewer slots",
			slots, (unsigned long long)need, (unsigned long long)limit.rlim_max);
	limit.rlim_cur = need;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0
		? E_OK
		: err_sys(t, "cannot raise the limit of file descriptors");
}

/* A pool that scales may have all its slots at once. */
static size_t
slots_of(const struct pool_conf *c)
{
	return c->scaling.max > 0 ? c->scaling.max : (size_t)c->concurrency;
}

enum err
worker_make_room(struct worker *w, size_t more, struct errtext *t)
{
	size_t slots = more;

	for (size_t i = 0; i < w->n_pools; i++)
		slots += w->pools[i].scaling.max > w->pools[i].size ? w->pools[i].scaling.max
								    : w->pools[i].size;
	return ensure_descriptors(slots, t);
}

static enum err
worker_open(struct worker *w, const struct worker_conf *conf, struct errtext *t)
{
	size_t slots = 0;
	enum err e;

	w->conf = conf;
	w->started = clock_mono_ms();
	map_init(&w->totals);
	revocation_init(&w->revocation, w);
	limiter_init(&w->limiter, w);
	buf_init(&w->frame, 0);
	buf_init(&w->part, 0);
	w->limits = task_limits_default;
	w->limits.body_max = (size_t)conf->message_max;
	for (size_t i = 0; i < conf->n_pools; i++)
		slots += slots_of(&conf->pools[i]);
	e = ensure_descriptors(slots, t);
	if (e != E_OK)
		return e;
	w->loop = loop_new(t);
	if (w->loop == NULL)
		return E_SYS;
	e = watch_signals(w, t);
	if (e == E_OK)
		e = open_connections(w, t);
	if (e == E_OK)
		e = runs_init(&w->runs, w, backend_has_notes(w->backend) ? conf->backend.lease_ms : 0);
	if (e == E_OK)
		e = outbox_open(&w->outbox, w, conf->outbox_after_ms);
	if (e != E_OK)
		return e;
	w->rules = (struct request_rules){
		.node = conf->node,
		.has_backend = !backend_is_none(w->backend),
		.only_replies = !backend_is_none(w->backend) && !backend_keeps(w->backend),
		.has_chords = backend_has_chords(w->backend),
		.has_notes = backend_has_notes(w->backend),
		.all_ask = conf->all_ask,
		.started_after_ms = 50,
		.result_extended = conf->result_extended,
		.tasks = conf->tasks,
	};
	w->pools = must_alloc(sizeof(*w->pools) * conf->n_pools);
	for (size_t i = 0; i < conf->n_pools && e == E_OK; i++) {
		e = pool_init(&w->pools[i], w, &conf->pools[i], t);
		w->n_pools = i + 1;
	}
	if (e == E_OK && conf->guest != NULL)
		e = conf->guest->open(conf->guest->owner, w->loop, on_guest_stopped, w, t);
	return e;
}

static void
worker_close(struct worker *w)
{
	if (w->conf->guest != NULL)
		w->conf->guest->close(w->conf->guest->owner);
	/* It may have asked a pool's guide. */
	mender_release(&w->mender);
	for (size_t i = 0; i < w->n_pools; i++)
		pool_release(&w->pools[i]);
	alloc_free(w->pools);
	post_release(&w->post);
	control_close(&w->control);
	pulse_close(&w->pulse);
	revocation_release(&w->revocation);
	runs_release(&w->runs);
	outbox_close(&w->outbox);
	limiter_release(&w->limiter);
	bus_topo_cancel(w->topo);
	bus_pub_close(w->pub);
	backend_close(w->backend);
	bus_conn_close(w->consume, LINGER_MS);
	bus_conn_close(w->publish, LINGER_MS);
	notify_close(&w->notify);
	sweep_release(&w->sweep);
	loop_timer_release(&w->drain);
	loop_timer_release(&w->topo_retry);
	loop_signal_release(&w->sigterm);
	loop_signal_release(&w->sigint);
	loop_signal_release(&w->sigquit);
	reload_close(&w->reload);
	map_release(&w->totals, alloc_free);
	for (size_t i = 0; i < w->rules.tasks.n_overrides; i++) {
		alloc_free((char *)(uintptr_t)w->rules.tasks.overrides[i]->pattern);
		alloc_free(w->rules.tasks.overrides[i]);
	}
	alloc_free(w->rules.tasks.overrides);
	buf_release(&w->frame);
	buf_release(&w->part);
	if (w->loop != NULL)
		loop_settle(w->loop, LINGER_MS);
	loop_free(w->loop);
}

static void
warn_of_limit(const struct worker_conf *conf, const char *pattern, double limit_s)
{
	if (limit_s * 1000 >= (double)conf->consumer_timeout_ms)
		LOG(LIMIT_TOO_LONG, LOG_STR("task", pattern), LOG_INT("limit", (int64_t)limit_s),
			LOG_INT("timeout", conf->consumer_timeout_ms / 1000));
}

/* The broker takes a message back that is not acknowledged in time, and closes the channel. */
static void
warn_of_timeout(const struct worker_conf *conf)
{
	if (conf->consumer_timeout_ms == 0)
		return;
	for (size_t i = 0; i < conf->tasks.count; i++)
		warn_of_limit(conf, conf->tasks.rules[i].pattern, conf->tasks.rules[i].time_limit);
	warn_of_limit(conf, "*", conf->tasks.fallback.time_limit);
	if (conf->outbox_after_ms >= conf->consumer_timeout_ms)
		LOG(OUTBOX_TOO_LATE, LOG_INT("after", conf->outbox_after_ms / 1000),
			LOG_INT("timeout", conf->consumer_timeout_ms / 1000));
}

int
worker_run(const struct worker_conf *given, struct errtext *t)
{
	struct worker w = { .phase = WORKER_STARTING, .notify.fd = -1, .live = *given };
	struct worker_conf *conf = &w.live;
	int code = 1;

	if (conf->message_max <= 0)
		conf->message_max = 64 << 20;
	if (conf->route_ms <= 0)
		conf->route_ms = 30000;
	if (conf->result_max <= 0)
		conf->result_max = 64 << 20;
	if (conf->output_max <= 0)
		conf->output_max = 64 << 10;
	if (conf->drain_ms <= 0)
		conf->drain_ms = 30000;
	t->text[0] = '\0';
	warn_of_timeout(conf);
	if (worker_open(&w, conf, t) == E_OK) {
		if (w.rules.only_replies)
			LOG(BACKEND_REPLIES, LOG_STR("url", backend_url(w.backend)));
		bus_conn_start(w.consume);
		bus_conn_start(w.publish);
		for (size_t i = 0; i < w.n_pools; i++)
			pool_start(&w.pools[i]);
		code = loop_run(w.loop);
		*t = w.error;
		LOG(WORKER_STOPPED, LOG_STR("node", conf->node), LOG_INT("code", code));
	}
	worker_close(&w);
	return code;
}
