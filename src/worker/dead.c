/*
 * The way of a dead letter: make sure its queue is there (once per origin and connection), publish, confirm. One queue is made at a
 * time; letters wait in order meanwhile. Any failure forgets what was known and tries again in a second.
 */
#include "worker/dead.h"

#include "base/clock.h"
#include "base/log.h"
#include "wire/dead.h"
#include "worker/job.h"
#include "worker/state.h"

#define RETRY_MS 1000

static void pump(struct dead_office *o);

static void
wait_again(struct dead_office *o, struct job *j, const char *why)
{
	LOG(DEAD_DELAYED, LOG_SPAN("id", j->request.task.id), LOG_SPAN("queue", j->request.queue), LOG_STR("why", why));
	list_push(&o->waiting, &j->wait);
	loop_timer_arm(&o->retry, RETRY_MS);
}

static void
on_published(void *owner, const struct bus_pub_result *r)
{
	struct job *j = owner;
	struct dead_office *o = &j->pool->worker->dead;

	j->publish_id = 0;
	if (r->end == BUS_PUB_CONFIRMED) {
		LOG(DEAD_LETTER, LOG_SPAN("id", j->request.task.id), LOG_SPAN("queue", j->request.queue),
			LOG_STR("reason", j->request.dead.reason));
		job_on_published(j);
		return;
	}
	/* Deleted by somebody, or full: begin with the queue again. */
	map_del(&o->known, j->request.queue);
	wait_again(o, j, r->text);
}

static void
publish(struct dead_office *o, struct job *j)
{
	struct dead_letter letter = {
		.reason = span_of(j->request.dead.reason),
		.error = span_of(j->request.dead.error.text),
		.queue = j->request.queue,
		.host = span_of(o->worker->conf->node),
		.attempts = j->request.task.retries + 1,
		.now = clock_wall_us(),
	};
	struct msg m;
	enum err e;

	msg_init(&m, 0);
	e = dead_encode(&m, j->msg, &letter);
	if (e == E_OK)
		e = bus_publish(o->worker->pub, &m, on_published, j, &j->publish_id);
	msg_release(&m);
	if (e != E_OK)
		wait_again(o, j, err_name(e));
}

static void
on_ensured(void *owner, const struct bus_topo_report *r)
{
	struct dead_office *o = owner;
	struct job *j = container_of(o->waiting.next, struct job, wait);
	static char known;

	o->topo = NULL;
	if (list_is_empty(&o->waiting))
		return;
	if (r->err != E_OK) {
		LOG(DEAD_DELAYED, LOG_SPAN("id", j->request.task.id), LOG_SPAN("queue", j->request.queue), LOG_STR("why", r->text));
		loop_timer_arm(&o->retry, RETRY_MS);
		return;
	}
	/* The first letter may have changed meanwhile: know the queue that was made, by its name. */
	if (map_set(&o->known, span_of(r->queue + strlen(DEAD_QUEUE_PREFIX)), &known, NULL) != E_OK)
		abort();
	pump(o);
}

static void
pump(struct dead_office *o)
{
	while (o->topo == NULL && !list_is_empty(&o->waiting)) {
		struct job *j = container_of(o->waiting.next, struct job, wait);
		char name[256], key[256];
		struct bus_topo_queue q = { .name = name, .exchange = DEAD_EXCHANGE, .exchange_type = "direct", .routing_key = key };

		if (map_get(&o->known, j->request.queue) != NULL) {
			list_unlink(&j->wait);
			publish(o, j);
			continue;
		}
		if (!bus_conn_is_up(o->worker->publish))
			return;
		dead_queue_name(name, j->request.queue);
		snprintf(key, sizeof(key), "%.*s", SPAN_FMT(j->request.queue));
		if (bus_topo_ensure(&o->topo, o->worker->publish, &q, 1, on_ensured, o) != E_OK) {
			loop_timer_arm(&o->retry, RETRY_MS);
			return;
		}
	}
}

static void
on_retry(void *owner)
{
	pump(owner);
}

enum err
dead_init(struct dead_office *o, struct worker *w)
{
	o->worker = w;
	list_init(&o->waiting);
	map_init(&o->known);
	return loop_timer_init(&o->retry, w->loop, on_retry, o);
}

void
dead_release(struct dead_office *o)
{
	if (o->worker == NULL)
		return;
	bus_topo_cancel(o->topo);
	loop_timer_release(&o->retry);
	map_release(&o->known, NULL);
}

void
dead_send(struct dead_office *o, struct job *j)
{
	list_push(&o->waiting, &j->wait);
	pump(o);
}

void
dead_drop(struct dead_office *o, struct job *j)
{
	if (j->publish_id != 0)
		bus_pub_cancel(o->worker->pub, j->publish_id);
	j->publish_id = 0;
}

void
dead_on_up(struct dead_office *o)
{
	/* Another broker of the list may not have the queues. */
	map_release(&o->known, NULL);
	map_init(&o->known);
	pump(o);
}
