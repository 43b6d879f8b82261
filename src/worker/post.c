/*
 * The way of a message: make sure that its road is there (queue and bindings, once per road and connection), publish, confirm. One road
 * is made at a time; mail waits in order meanwhile. Any failure forgets the road and tries again in a second.
 */
#include "worker/post.h"

#include "base/clock.h"
#include "base/fail.h"
#include "base/log.h"
#include "core/ladder.h"
#include "wire/dead.h"
#include "wire/forward.h"
#include "worker/job.h"
#include "worker/state.h"

#define RETRY_MS 1000

static void pump(struct post *o);

/* The road this job's mail takes; "" = its own queue, which is there. */
static void
road_of(const struct job *j, char *out, size_t size)
{
	const struct mail *m = &j->request.mail;

	out[0] = '\0';
	if (m->kind == MAIL_DEAD)
		snprintf(out, size, "dead/%.*s", SPAN_FMT(j->request.queue));
	else if (m->delay_s > 0)
		snprintf(out, size, "later/%.*s", SPAN_FMT(j->request.queue));
}

static void
delay(struct post *o, struct job *j, const char *why)
{
	LOG(MAIL_DELAYED, LOG_SPAN("id", j->request.task.id), LOG_SPAN("queue", j->request.queue), LOG_STR("why", why));
	if (!list_is_linked(&j->wait))
		list_push(&o->waiting, &j->wait);
	loop_timer_arm(&o->retry, RETRY_MS);
}

/* --- publishing -------------------------------------------------------------------------------------------------------- */

static void
on_published(void *owner, const struct bus_pub_result *r)
{
	struct job *j = owner;
	struct post *o = &j->pool->worker->post;
	char road[300];

	j->publish_id = 0;
	if (r->end == BUS_PUB_CONFIRMED) {
		FAIL_POINT("R2");
		if (j->request.mail.kind == MAIL_DEAD)
			LOG(DEAD_LETTER, LOG_SPAN("id", j->request.task.id), LOG_SPAN("queue", j->request.queue),
				LOG_STR("reason", j->request.mail.reason));
		job_on_published(j);
		return;
	}
	/* Deleted by somebody, or full: begin with the road again. */
	road_of(j, road, sizeof(road));
	map_del(&o->known, span_of(road));
	delay(o, j, r->text);
}

static enum err
encode_dead(struct post *o, struct job *j, struct msg *m)
{
	struct dead_letter letter = {
		.reason = span_of(j->request.mail.reason),
		.error = span_of(j->request.mail.error.text),
		.queue = j->request.queue,
		.host = span_of(o->worker->conf->node),
		.attempts = j->request.task.retries + 1,
		.now = clock_wall_us(),
	};

	return dead_encode(m, j->msg, &letter);
}

static enum err
encode_forward(struct job *j, struct msg *m)
{
	const struct mail *mail = &j->request.mail;
	struct forward f = { .exchange = SPAN(""), .routing_key = j->request.queue, .is_retry = mail->kind == MAIL_RETRY, .eta = mail->eta };
	char key[256];
	enum err e;

	if (mail->kind == MAIL_LOST)
		f.lost = j->request.lost;
	if (mail->delay_s > 0) {
		e = ladder_message_key(key, mail->delay_s, j->request.queue);
		if (e != E_OK)
			return e;
		f.exchange = SPAN(LADDER_TOP);
		f.routing_key = span_of(key);
	}
	return forward_encode(m, j->msg, &j->request.task, &f);
}

static void
publish(struct post *o, struct job *j)
{
	struct msg m;
	enum err e;

	msg_init(&m, 0);
	e = j->request.mail.kind == MAIL_DEAD ? encode_dead(o, j, &m) : encode_forward(j, &m);
	if (e == E_OK)
		e = bus_publish(o->worker->pub, &m, on_published, j, &j->publish_id);
	msg_release(&m);
	if (e != E_OK)
		delay(o, j, err_name(e));
}

/* --- roads ------------------------------------------------------------------------------------------------------------- */

static void
on_road(void *owner, const struct bus_topo_report *r)
{
	struct post *o = owner;
	static char known;

	o->topo = NULL;
	o->ladder = NULL;
	if (r->err == E_OK && map_set(&o->known, span_of(o->building), &known, NULL) != E_OK)
		abort();
	o->building[0] = '\0';
	if (r->err == E_OK)
		pump(o);
	else if (!list_is_empty(&o->waiting))
		delay(o, container_of(o->waiting.next, struct job, wait), r->text);
}

static enum err
build_dead(struct post *o, struct job *j)
{
	char name[256], key[256];
	struct bus_topo_queue q = { .name = name, .exchange = DEAD_EXCHANGE, .exchange_type = "direct", .routing_key = key };

	dead_queue_name(name, j->request.queue);
	snprintf(key, sizeof(key), "%.*s", SPAN_FMT(j->request.queue));
	return bus_topo_ensure(&o->topo, o->worker->publish, &q, 1, on_road, o);
}

static enum err
build_ladder(struct post *o, struct job *j)
{
	struct bus_ladder_level levels[LADDER_LEVELS];
	char queue[256], key[256];
	enum err e = ladder_binding_key(key, j->request.queue);

	if (e != E_OK)
		return e;
	for (int i = 0; i < LADDER_LEVELS; i++) {
		int level = LADDER_LEVELS - 1 - i;

		ladder_level_name(levels[i].name, level);
		ladder_level_key(levels[i].one, level, true);
		ladder_level_key(levels[i].zero, level, false);
		levels[i].ttl_ms = INT64_C(1000) << level;
	}
	snprintf(queue, sizeof(queue), "%.*s", SPAN_FMT(j->request.queue));
	return bus_ladder_ensure(&o->ladder, o->worker->publish, levels, LADDER_LEVELS, LADDER_END, queue, key, on_road, o);
}

static void
pump(struct post *o)
{
	while (o->building[0] == '\0' && !list_is_empty(&o->waiting)) {
		struct job *j = container_of(o->waiting.next, struct job, wait);
		char road[300];
		enum err e;

		road_of(j, road, sizeof(road));
		if (road[0] == '\0' || map_get(&o->known, span_of(road)) != NULL) {
			list_unlink(&j->wait);
			publish(o, j);
			continue;
		}
		if (!bus_conn_is_up(o->worker->publish))
			return;
		snprintf(o->building, sizeof(o->building), "%s", road);
		e = j->request.mail.kind == MAIL_DEAD ? build_dead(o, j) : build_ladder(o, j);
		if (e != E_OK) {
			o->building[0] = '\0';
			delay(o, j, err_name(e));
			return;
		}
	}
}

static void
on_retry(void *owner)
{
	pump(owner);
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

enum err
post_init(struct post *o, struct worker *w)
{
	o->worker = w;
	list_init(&o->waiting);
	map_init(&o->known);
	return loop_timer_init(&o->retry, w->loop, on_retry, o);
}

void
post_release(struct post *o)
{
	if (o->worker == NULL)
		return;
	bus_topo_cancel(o->topo);
	bus_ladder_cancel(o->ladder);
	loop_timer_release(&o->retry);
	map_release(&o->known, NULL);
}

void
post_send(struct post *o, struct job *j)
{
	list_push(&o->waiting, &j->wait);
	pump(o);
}

void
post_drop(struct post *o, struct job *j)
{
	if (j->publish_id != 0)
		bus_pub_cancel(o->worker->pub, j->publish_id);
	j->publish_id = 0;
}

void
post_on_up(struct post *o)
{
	/* Another broker of the list may not have them. */
	map_release(&o->known, NULL);
	map_init(&o->known);
	pump(o);
}
