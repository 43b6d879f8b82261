/*
 * The protocol: declare the queue (x-single-active-consumer), consume, and be patient. Everyone who joins an empty queue, or has stood by for long,
 * puts a baton in; the holder keeps the one that knows most and acknowledges the others, so there can be too many
 * for a moment but never none for good. Before taking over it asks one more question: what else waited in the queue arrives before
 * the answer.
 *
 * A baton: {"until": 1795229760651564, "node": "beat@host", "schedule": "5f0c..."}, in microseconds since the epoch.
 */
#include "beat/lease.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/js.h"
#include "base/jscan.h"

#define ASK_MS 1000
#define GOOD_MS 5000
/* Often enough that the broker's own limit for holding a message (consumer_timeout, half an hour) is never met. */
#define TELL_MS 300000
#define SEED_MS 30000
/* No clock is right that is further ahead than this. */
#define AHEAD_US (INT64_C(86400) * 1000000)

bool
lease_holds(const struct lease *l)
{
	return l->state == LEASE_LEADING && clock_boot_ms() < l->good_until;
}

static void
leave(struct lease *l, const char *why)
{
	bool led = l->state == LEASE_LEADING;

	l->state = LEASE_AWAY;
	l->yielding = false;
	l->has_baton = false;
	l->asked = 0;
	l->good_until = 0;
	loop_timer_disarm(&l->timer);
	if (led)
		l->ops->on_lost(l->owner, why);
}

/* --- the baton --------------------------------------------------------------------------------------------------------- */

static void tell(struct lease *l);

static void
on_told(void *owner, const struct bus_pub_result *r)
{
	struct lease *l = owner;

	l->telling = false;
	if (r->end != BUS_PUB_CONFIRMED)
		l->told = 0; /* the queue is gone; the consumer hears of it too, and joins again */
	else if (l->state == LEASE_LEADING && l->mark > l->told)
		tell(l);
}

static void
tell(struct lease *l)
{
	struct msg m;
	struct buf b;
	struct js w;

	if (l->telling)
		return;
	msg_init(&m, 0);
	buf_init(&b, 0);
	js_init(&w, &b);
	js_object(&w);
	js_key(&w, "until");
	js_int(&w, l->mark);
	js_key(&w, "node");
	js_text(&w, l->node);
	js_key(&w, "schedule");
	js_text(&w, l->schedule);
	js_object_end(&w);
	m.exchange = SPAN("");
	m.routing_key = span_of(l->queue);
	m.content_type = SPAN("application/json");
	m.delivery_mode = 2;
	m.body = buf_span(&b);
	/* When there is no room now, the next mark or the timer tries again. */
	l->telling = b.err == E_OK && bus_publish(l->pub, &m, on_told, l, &l->telling_id) == E_OK;
	if (l->telling) {
		l->told = l->mark;
		l->told_at = clock_boot_ms();
	}
	buf_release(&b);
	msg_release(&m);
}

void
lease_mark(struct lease *l, us_t until)
{
	if (until <= l->mark)
		return;
	l->mark = until;
	if (l->state == LEASE_LEADING)
		tell(l);
}

bool
lease_is_told(const struct lease *l)
{
	return l->state != LEASE_LEADING || (!l->telling && l->told >= l->mark);
}

static void
ack(struct lease *l, struct bus_tag tag)
{
	/* Too late: the broker has it back already, and its next holder does this. */
	(void)!bus_ack(l->chan, tag);
}

/* --- questions --------------------------------------------------------------------------------------------------------- */

static void
on_answer(void *owner, const struct bus_answer *a)
{
	struct lease *l = owner;

	if (a->err != E_OK)
		return; /* on_close follows */
	l->good_until = l->asked + GOOD_MS;
	l->asked = 0;
	if (l->state != LEASE_TAKING_OVER)
		return;
	l->state = LEASE_LEADING;
	l->told = l->baton_until;
	if (l->mark < l->baton_until)
		l->mark = l->baton_until;
	l->told_at = clock_boot_ms();
	l->ops->on_lead(l->owner, l->baton_until);
}

static void
ask(struct lease *l)
{
	struct bus_queue q = { .name = span_of(l->queue), .passive = true };

	if (l->asked != 0)
		return;
	l->asked = clock_boot_ms();
	if (bus_queue_declare(l->chan, &q, on_answer, l) != E_OK)
		l->asked = 0;
}

static enum err open_chan(struct lease *l);

static void
on_timer(void *owner)
{
	struct lease *l = owner;

	if (l->yielding) {
		l->yielding = false;
		if (open_chan(l) != E_OK)
			lease_yield(l, SEED_MS);
		return;
	}
	if (l->state == LEASE_STANDING_BY) {
		tell(l);
		loop_timer_arm(&l->timer, SEED_MS);
		return;
	}
	if (l->state != LEASE_LEADING && l->state != LEASE_TAKING_OVER)
		return;
	ask(l);
	if (l->state == LEASE_LEADING && (l->mark > l->told || clock_boot_ms() - l->told_at >= TELL_MS))
		tell(l);
	loop_timer_arm(&l->timer, ASK_MS);
}

static void
copy_text(struct span value, char *out, size_t size)
{
	struct buf b;

	buf_init(&b, 0);
	if (jscan_kind(value) == JSCAN_STRING)
		jscan_add_string(&b, value);
	snprintf(out, size, "%s", buf_text(&b));
	buf_release(&b);
}

/* Keeps it in the place of another one. */
static void
take(struct lease *l, struct bus_tag tag, int64_t until, struct span body)
{
	if (l->has_baton)
		ack(l, l->baton);
	l->has_baton = true;
	l->baton = tag;
	l->baton_until = until;
	copy_text(jscan_member(body, "node"), l->baton_node, sizeof(l->baton_node));
	copy_text(jscan_member(body, "schedule"), l->baton_schedule, sizeof(l->baton_schedule));
}

static void
on_deliver(void *owner, struct bus_delivery *d)
{
	struct lease *l = owner;
	struct span body = d->msg->body;
	int64_t until = 0;

	/* A baton of a stranger says nothing, but it is one. */
	if (jscan_check(body, NULL, NULL, NULL) == E_OK && jscan_kind(body) == JSCAN_OBJECT)
		(void)!jscan_int(jscan_member(body, "until"), &until);
	else
		body = SPAN("{}");
	/* As it is, no mark of ours would pass it: it would be handed on, and for all who lead after us nothing was ever missed. */
	if (until > clock_wall_us() + AHEAD_US)
		until = clock_wall_us();
	if (l->has_baton && until < l->baton_until)
		ack(l, d->tag);
	else
		take(l, d->tag, until, body);
	bus_msg_free(d->msg);
	if (l->state == LEASE_STANDING_BY || l->state == LEASE_JOINING) {
		l->state = LEASE_TAKING_OVER;
		ask(l);
		loop_timer_arm(&l->timer, ASK_MS);
	}
}

/* --- joining ----------------------------------------------------------------------------------------------------------- */

static void
on_consuming(void *owner, const struct bus_answer *a)
{
	struct lease *l = owner;

	if (a->err != E_OK || l->state != LEASE_JOINING)
		return;
	l->state = LEASE_STANDING_BY;
	loop_timer_arm(&l->timer, SEED_MS);
	l->ops->on_stand_by(l->owner);
}

static void
on_declared(void *owner, const struct bus_answer *a)
{
	struct lease *l = owner;

	if (a->err == E_REFUSED)
		l->ops->on_refused(l->owner, a->text);
	if (a->err != E_OK)
		return; /* the channel opens again by itself */
	if (a->messages == 0)
		tell(l);
	if (bus_consume(l->chan, span_of(l->queue), span_of(l->node), false, false, NULL, on_consuming, l) !=
		E_OK)
		leave(l, "the channel is closed");
}

static void
join(struct lease *l)
{
	struct pair pair = { SPAN("x-single-active-consumer"), val_bool(true) };
	struct table args = { .pairs = &pair, .count = 1 };
	struct bus_queue q = { .name = span_of(l->queue), .durable = true, .args = &args };

	l->state = LEASE_JOINING;
	if (bus_queue_declare(l->chan, &q, on_declared, l) != E_OK)
		leave(l, "the channel is closed");
}

static void
on_open(void *owner)
{
	join(owner);
}

static void
on_close(void *owner, const struct bus_close *why)
{
	leave(owner, why->text);
}

static void
on_cancel(void *owner, struct span consumer UNUSED)
{
	leave(owner, "the queue was deleted");
	join(owner);
}

static enum err
open_chan(struct lease *l)
{
	static const struct bus_chan_ops chan_ops = {
		.on_open = on_open, .on_close = on_close, .on_deliver = on_deliver, .on_cancel = on_cancel
	};

	return bus_chan_new(&l->chan, l->conn, &chan_ops, l);
}

void
lease_yield(struct lease *l, ms_t delay)
{
	bus_chan_close(l->chan);
	l->chan = NULL;
	leave(l, "it yields");
	l->yielding = true;
	loop_timer_arm(&l->timer, delay);
}

enum err
lease_open(struct lease *l, struct bus_conn *conn, struct bus_pub *pub, const char *queue, const char *node,
	const char *schedule, const struct lease_ops *ops, void *owner)
{
	enum err e;

	*l = (struct lease){ .loop = bus_conn_loop(conn),
		.conn = conn,
		.pub = pub,
		.queue = queue,
		.node = node,
		.schedule = schedule,
		.ops = ops,
		.owner = owner };
	e = loop_timer_init(&l->timer, l->loop, on_timer, l);
	return e == E_OK ? open_chan(l) : e;
}

void
lease_close(struct lease *l)
{
	if (l->loop == NULL)
		return;
	if (l->telling)
		bus_pub_cancel(l->pub, l->telling_id);
	bus_chan_close(l->chan);
	loop_timer_release(&l->timer);
	*l = (struct lease){ 0 };
}
