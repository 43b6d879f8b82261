/*
 *   waiting --(its queue is there)--> sent --(confirm)--> on_sent
 *      `--(queue or broker refuses)----`----> resting --> on_rested
 *
 * One queue is made sure of at a time; entries behind the one it is for wait in order.
 */
#include "beat/send.h"

#include "base/clock.h"
#include "base/fail.h"

#define REST_MS 3000

static void pump(struct send *s);

static void
move(struct entry *e, struct list *to, enum entry_phase phase)
{
	list_unlink(&e->link);
	list_push(to, &e->link);
	e->phase = phase;
}

void
send_rest(struct send *s, struct entry *e)
{
	move(e, &s->resting, ENTRY_RESTING);
	if (!s->rest.armed)
		loop_timer_arm(&s->rest, REST_MS);
}

static void
fail(struct send *s, struct entry *e, const char *why)
{
	send_rest(s, e);
	s->ops->on_failed(s->owner, e, why);
}

static void
on_rest_over(void *owner)
{
	struct send *s = owner;
	struct list *it;

	while ((it = list_pop(&s->resting)) != NULL) {
		struct entry *e = container_of(it, struct entry, link);

		e->phase = ENTRY_PLANNED;
		s->ops->on_rested(s->owner, e);
	}
}

static void
on_published(void *owner, const struct bus_pub_result *r)
{
	struct entry *e = owner;
	struct send *s = e->sender;

	e->publish_id = 0;
	if (r->end != BUS_PUB_CONFIRMED) {
		if (e->conf->queue != NULL)
			map_del(&s->known, span_of(e->conf->queue->name));
		fail(s, e, r->text);
		return;
	}
	FAIL_POINT("B3");
	list_unlink(&e->link);
	e->phase = ENTRY_PLANNED;
	s->ops->on_sent(s->owner, e);
}

/* false when there is no room now: on_drain goes on. */
static bool
publish(struct send *s, struct entry *en)
{
	struct errtext t = { "" };
	struct msg m;
	enum err e;

	msg_init(&m, 0);
	FAIL_POINT("B2");
	e = entry_encode(en, s->origin, clock_wall_us(), &m, &t);
	if (e == E_OK)
		e = bus_publish(s->pub, &m, on_published, en, &en->publish_id);
	msg_release(&m);
	if (e == E_AGAIN)
		return false;
	if (e == E_OK)
		move(en, &s->sent, ENTRY_SENT);
	else
		fail(s, en, t.text[0] ? t.text : err_name(e));
	return true;
}

static void
on_queue(void *owner, const struct bus_topo_report *r)
{
	struct send *s = owner;
	struct entry *e = s->building;
	static char known;

	s->topo = NULL;
	s->building = NULL;
	/* Lost with the connection: whoever owns us drops everything. */
	if (r->err == E_CLOSED)
		return;
	if (r->err != E_OK)
		fail(s, e, r->text);
	else if (map_set(&s->known, span_of(e->conf->queue->name), &known, NULL) != E_OK)
		fail(s, e, "out of memory");
	pump(s);
}

static void
pump(struct send *s)
{
	while (s->building == NULL && !list_is_empty(&s->waiting)) {
		struct entry *e = container_of(s->waiting.next, struct entry, link);
		const struct bus_topo_queue *q = e->conf->queue;

		if (q == NULL || map_get(&s->known, span_of(q->name)) != NULL) {
			if (!publish(s, e))
				return;
			continue;
		}
		if (bus_topo_ensure(&s->topo, s->conn, q, 1, on_queue, s) == E_OK)
			s->building = e;
		else
			fail(s, e, "out of memory");
	}
}

static void
on_drain(void *owner)
{
	pump(owner);
}

enum err
send_open(struct send *s, struct bus_conn *conn, const char *origin, const struct send_ops *ops, void *owner)
{
	enum err e;

	*s = (struct send){ .conn = conn, .origin = origin, .ops = ops, .owner = owner };
	list_init(&s->waiting);
	list_init(&s->sent);
	list_init(&s->resting);
	map_init(&s->known);
	e = loop_timer_init(&s->rest, bus_conn_loop(conn), on_rest_over, s);
	return e == E_OK ? bus_pub_new(&s->pub, conn, &(struct bus_pub_conf){ 0 }, on_drain, s) : e;
}

void
send_close(struct send *s)
{
	if (s->conn == NULL)
		return;
	send_drop(s);
	bus_pub_close(s->pub);
	loop_timer_release(&s->rest);
	map_release(&s->known, NULL);
	*s = (struct send){ 0 };
}

void
send_entry(struct send *s, struct entry *e)
{
	e->sender = s;
	move(e, &s->waiting, ENTRY_WAITING);
	pump(s);
}

static void
drop(struct send *s, struct entry *e)
{
	list_unlink(&e->link);
	if (e->publish_id != 0)
		bus_pub_cancel(s->pub, e->publish_id);
	e->publish_id = 0;
	e->phase = ENTRY_PLANNED;
}

void
send_forget(struct send *s, struct entry *e)
{
	if (e->phase != ENTRY_WAITING && e->phase != ENTRY_SENT && e->phase != ENTRY_RESTING)
		return;
	drop(s, e);
	if (s->building != e)
		return;
	/* The names of its queue go with it. */
	bus_topo_cancel(s->topo);
	s->topo = NULL;
	s->building = NULL;
	pump(s);
}

static void
drop_list(struct send *s, struct list *head)
{
	while (!list_is_empty(head))
		drop(s, container_of(head->next, struct entry, link));
}

void
send_drop(struct send *s)
{
	bus_topo_cancel(s->topo);
	s->topo = NULL;
	s->building = NULL;
	drop_list(s, &s->waiting);
	drop_list(s, &s->sent);
	drop_list(s, &s->resting);
	loop_timer_disarm(&s->rest);
	map_release(&s->known, NULL);
	map_init(&s->known);
}

size_t
send_pending(const struct send *s)
{
	return list_count(&s->waiting) + list_count(&s->sent);
}
