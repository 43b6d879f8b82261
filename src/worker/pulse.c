/*
 * See pulse.h. Task events of one turn of the loop leave as one array under key task.multi, as Celery's worker sends them. They go over the
 * publishing connection: a broker in alarm then blocks them and not the acknowledgements.
 */
#include "worker/pulse.h"

#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/cast.h"
#include "worker/job.h"
#include "worker/letter.h"
#include "worker/state.h"

/* More than this waiting to be written: the broker does not keep up. */
#define BACKLOG_MAX ((size_t)1 << 20)
/* One message at most; Celery's monitors read them as a whole. */
#define BATCH_EVENTS 100
#define BATCH_BYTES ((size_t)64 << 10)
#define RESULT_SHOWN 1024
#define HEARTBEAT_MS 2000
#define TELL_MS 60000

static ms_t
interval(const struct pulse *p)
{
	ms_t set = p->worker->conf->heartbeat_ms;

	return set > 0 ? set : HEARTBEAT_MS;
}

/* --- sending ----------------------------------------------------------------------------------------------------------- */

static void
send(struct pulse *p, const char *key, const char *from, struct span body, size_t n)
{
	struct msg m;
	enum err e;

	msg_init(&m, 0);
	e = p->is_ready ? evt_encode(&m, span_of(p->worker->conf->event_exchange), key, span_of(from), body)
			: E_CLOSED;
	if (e == E_OK)
		e = bus_cast(p->chan, &m, BACKLOG_MAX);
	msg_release(&m);
	if (e == E_OK)
		p->sent += n;
	else
		p->dropped += n;
}

static void
on_flush(void *owner)
{
	struct pulse *p = owner;

	if (p->n_batch == 0)
		return;
	buf_addc(&p->batch, ']');
	if (p->batch.err != E_OK)
		p->dropped += p->n_batch;
	else
		send(p, EVENT_TASK_MULTI, p->worker->conf->node, buf_span(&p->batch), p->n_batch);
	buf_reset(&p->batch);
	p->n_batch = 0;
}

/* The part that every event has. */
static struct evt
event_of(struct pulse *p, enum evt_type type)
{
	return (struct evt){
		.type = type,
		.hostname = span_of(p->worker->conf->node),
		.pid = getpid(),
		.clock = lamport_forward(&p->worker->clock),
		.timestamp = (double)clock_wall_us() / 1e6,
	};
}

static void
add_to_batch(struct pulse *p, const struct evt *e)
{
	buf_adds(&p->batch, p->n_batch == 0 ? "[" : ", ");
	evt_add(&p->batch, e);
	p->n_batch++;
	if (p->n_batch >= BATCH_EVENTS || p->batch.len >= BATCH_BYTES)
		on_flush(p);
	else
		loop_defer(p->worker->loop, LOOP_FLUSH, &p->flush, on_flush, p);
}

/* --- the worker itself ------------------------------------------------------------------------------------------------- */

static void
round_load(double load[3])
{
	if (getloadavg(load, 3) != 3)
		load[0] = load[1] = load[2] = 0;
	for (int i = 0; i < 3; i++)
		load[i] = (double)(int64_t)(load[i] * 100 + 0.5) / 100;
}

static void
send_worker_event(struct pulse *p, enum evt_type type)
{
	struct evt e = event_of(p, type);
	struct utsname system;
	char key[64];
	struct buf b;

	e.freq = (double)interval(p) / 1000;
	e.active = (int64_t)worker_active(p->worker);
	e.processed = (int64_t)p->worker->accepted;
	round_load(e.loadavg);
	e.sw_ident = SPAN("warren");
	e.sw_ver = span_of(p->worker->conf->version);
	e.sw_sys = uname(&system) == 0 ? span_of(system.sysname) : SPAN("Linux");
	evt_routing_key(key, type);
	buf_init(&b, 0);
	evt_add(&b, &e);
	if (b.err == E_OK)
		send(p, key, p->worker->conf->node, buf_span(&b), 1);
	buf_release(&b);
}

void
pulse_beat(struct pulse *p)
{
	if (p->is_alive && p->is_ready)
		send_worker_event(p, EVENT_WORKER_HEARTBEAT);
}

static void
tell_dropped(struct pulse *p)
{
	if (p->dropped > p->told)
		LOG(EVENTS_DROPPED, LOG_INT("count", p->dropped - p->told));
	p->told = p->dropped;
}

/* Now and then: a broker that cannot keep up, for hours perhaps, is no reason to flood the log as well. */
static void
tell_dropped_rarely(struct pulse *p)
{
	ms_t now = loop_now(p->worker->loop);

	if (p->dropped == p->told || (p->told > 0 && now - p->told_at < TELL_MS))
		return;
	p->told_at = now;
	tell_dropped(p);
}

static void
on_beat(void *owner)
{
	struct pulse *p = owner;

	pulse_beat(p);
	tell_dropped_rarely(p);
	loop_timer_arm(&p->beat, interval(p));
}

/* Both are there: the worker, and the way to say so. */
static void
say_online(struct pulse *p)
{
	if (p->is_alive && p->is_ready && p->worker->conf->heartbeat_ms >= 0) {
		send_worker_event(p, EVENT_WORKER_ONLINE);
		loop_timer_arm(&p->beat, interval(p));
	}
}

void
pulse_start(struct pulse *p)
{
	if (p->is_alive)
		return;
	p->is_alive = true;
	say_online(p);
}

void
pulse_stop(struct pulse *p)
{
	loop_timer_disarm(&p->beat);
	if (p->is_alive && p->is_ready && p->worker->conf->heartbeat_ms >= 0)
		send_worker_event(p, EVENT_WORKER_OFFLINE);
	p->is_alive = false;
}

bool
pulse_set_tasks(struct pulse *p, bool on)
{
	bool news = p->with_tasks != on;

	p->with_tasks = on;
	return news;
}

/* --- tasks ------------------------------------------------------------------------------------------------------------- */

/* The text that was sent along, or else what Celery would have made of it. */
static struct span
args_text(struct buf *part, struct span sent, struct span raw, bool as_args)
{
	if (sent.ptr != NULL)
		return sent;
	buf_reset(part);
	if (as_args)
		task_add_argsrepr(part, raw);
	else
		task_add_repr(part, raw, RESULT_SHOWN);
	return buf_span(part);
}

static void
send_received(struct pulse *p, const struct task *t, struct evt *e)
{
	struct buf kwargs;

	buf_init(&kwargs, 0);
	e->name = t->shadow.len > 0 ? t->shadow : t->name;
	e->args = args_text(&p->part, t->argsrepr, t->args, true);
	e->kwargs = args_text(&kwargs, t->kwargsrepr, t->kwargs, false);
	e->root_id = t->root_id;
	e->parent_id = t->parent_id;
	e->retries = t->retries;
	e->eta = t->eta_text;
	e->expires = t->expires_text;
	add_to_batch(p, e);
	buf_release(&kwargs);
}

static void
send_failed(struct pulse *p, const struct report *r, struct evt *e)
{
	e->exception = r->error.ptr != NULL ? r->error : r->text;
	e->traceback = r->traceback;
	add_to_batch(p, e);
}

/* What Celery calls this end. EVENT_OTHER: it has no word for it. */
static enum evt_type
type_of(const struct job *j, const struct report *r)
{
	switch (r->kind) {
	case REPORT_RECEIVED:
		return EVENT_TASK_RECEIVED;
	case REPORT_STARTED:
		return EVENT_TASK_STARTED;
	case REPORT_SUCCEEDED:
		return EVENT_TASK_SUCCEEDED;
	case REPORT_FAILED:
	case REPORT_HARD_LIMIT:
	case REPORT_MEMORY_LIMIT:
	case REPORT_UNKNOWN:
	case REPORT_REFUSED:
		return EVENT_TASK_FAILED;
	case REPORT_LOST:
		return j->request.mail.kind == MAIL_LOST ? EVENT_TASK_RETRIED : EVENT_TASK_FAILED;
	case REPORT_RETRY:
	case REPORT_INTERRUPTED:
		return EVENT_TASK_RETRIED;
	case REPORT_REVOKED:
		return EVENT_TASK_REVOKED;
	case REPORT_REJECTED:
		return EVENT_TASK_REJECTED;
	case REPORT_DELAYED:
	case REPORT_LIMITED:
	case REPORT_SOFT_LIMIT:
	case REPORT_IGNORED:
	case REPORT_INVALID:
	case REPORT_DONE_BEFORE:
	case REPORT_HELD_OFF:
	case REPORT_MOVED_ON:
	case REPORT_COMES_AGAIN:
	case REPORT_PARKED:
		break;
	}
	return EVENT_OTHER;
}

void
pulse_on_task(struct pulse *p, const struct job *j, const struct report *r)
{
	const struct task *t = &j->request.task;
	const struct task_rule *rule = j->request.rule;
	enum evt_type type = p->with_tasks ? type_of(j, r) : EVENT_OTHER;
	struct evt e;

	/* What is no task has no rule. */
	if (type == EVENT_OTHER || (rule != NULL && rule->no_events))
		return;
	e = event_of(p, type);
	e.uuid = t->id;
	switch (type) {
	case EVENT_TASK_RECEIVED:
		send_received(p, t, &e);
		return;
	case EVENT_TASK_SUCCEEDED:
		buf_reset(&p->part);
		task_add_repr(&p->part, r->value, RESULT_SHOWN);
		e.result = buf_span(&p->part);
		e.runtime = (double)r->runtime_us / 1e6;
		break;
	case EVENT_TASK_FAILED:
	case EVENT_TASK_RETRIED:
		send_failed(p, r, &e);
		return;
	case EVENT_TASK_REVOKED:
		e.terminated = span_is(r->text, "terminated");
		e.expired = span_is(r->text, "expired");
		e.signum = r->signum;
		break;
	case EVENT_TASK_REJECTED:
		/* Without requeue the message goes to the dead letters: to whoever asks, it was rejected. */
		e.requeue = j->request.mail.kind == MAIL_NONE;
		break;
	default:
		break;
	}
	add_to_batch(p, &e);
}

/* Told as Celery's worker tells it: by the client in it, which has a name of its own, and at once. */
void
pulse_on_sent(struct pulse *p, const struct letter *l)
{
	const char *host = strchr(p->worker->conf->node, '@');
	char client[300], key[64];
	struct buf b;
	struct evt e;

	if (!p->worker->conf->sent_events)
		return;
	snprintf(client, sizeof(client), "gen%d%s", (int)getpid(), host != NULL ? host : "@localhost");
	e = event_of(p, EVENT_TASK_SENT);
	e.hostname = span_of(client);
	evt_fill_sent(&e, &l->msg, span_starts(span_of(l->road), "later/") ? letter_queue(l) : SPAN_NONE);
	evt_routing_key(key, e.type);
	buf_init(&b, 0);
	evt_add(&b, &e);
	if (b.err == E_OK)
		send(p, key, client, buf_span(&b), 1);
	buf_release(&b);
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static void
on_declared(void *owner, const struct bus_answer *a)
{
	struct pulse *p = owner;

	if (a->err != E_OK)
		return;
	p->is_ready = true;
	say_online(p);
}

static void
on_open(void *owner)
{
	struct pulse *p = owner;
	struct bus_exchange x = {
		.name = span_of(p->worker->conf->event_exchange), .type = SPAN("topic"), .durable = true
	};

	/* E_CLOSED: the next open comes here again. */
	if (bus_exchange_declare(p->chan, &x, on_declared, p) != E_OK)
		p->is_ready = false;
}

static void
on_close(void *owner, const struct bus_close *why)
{
	struct pulse *p = owner;

	p->is_ready = false;
	if (why->by_server)
		LOG(EVENTS_REFUSED, LOG_STR("why", why->text));
}

enum err
pulse_open(struct pulse *p, struct worker *w)
{
	static const struct bus_chan_ops ops = { .on_open = on_open, .on_close = on_close };
	enum err e;

	p->worker = w;
	p->with_tasks = w->conf->events;
	buf_init(&p->batch, 0);
	buf_init(&p->part, 0);
	e = loop_timer_init(&p->beat, w->loop, on_beat, p);
	return e == E_OK ? bus_chan_new(&p->chan, w->publish, &ops, p) : e;
}

void
pulse_close(struct pulse *p)
{
	if (p->worker == NULL)
		return;
	on_flush(p);
	tell_dropped(p);
	loop_undefer(&p->flush);
	loop_timer_release(&p->beat);
	bus_chan_close(p->chan);
	buf_release(&p->batch);
	buf_release(&p->part);
}
