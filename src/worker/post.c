/*
 * The way of a letter: make sure that its road is there (queue and bindings, once per road and connection), publish, confirm. One road
 * is made at a time; letters wait in order meanwhile. Any failure forgets the road and tries again in a second; letters of other roads go on.
 */
#include "worker/post.h"

#include "base/fail.h"
#include "base/log.h"
#include "core/ladder.h"
#include "wire/dead.h"
#include "worker/job.h"
#include "worker/state.h"

/* Between attempts, when the broker refuses: as long as nothing gets through, twice as long each time. */
#define RETRY_MS 1000
#define RETRY_MAX_MS 30000

struct expected_queue {
	struct list link; /* post.expected */
	char queue[256], key[256];
};

static void pump(struct post *o);

static void
delay(struct post *o, struct letter *l, const char *why)
{
	LOG(MAIL_DELAYED, LOG_SPAN("id", l->about), LOG_SPAN("queue", l->origin), LOG_STR("why", why));
	list_unlink(&l->wait);
	list_push(&o->hindered, &l->wait);
	if (o->retry.armed)
		return;
	o->pause_ms = o->pause_ms == 0           ? RETRY_MS
		: o->pause_ms * 2 < RETRY_MAX_MS ? o->pause_ms * 2
						 : RETRY_MAX_MS;
	loop_timer_arm(&o->retry, o->pause_ms);
}

/* --- publishing -------------------------------------------------------------------------------------------------------- */

static void
on_published(void *owner, const struct bus_pub_result *r)
{
	struct letter *l = owner;
	struct post *o = &l->worker->post;

	l->publish_id = 0;
	if (r->end == BUS_PUB_CONFIRMED) {
		o->pause_ms = 0;
		FAIL_POINT("R2");
		if (l->is_task)
			pulse_on_sent(&l->worker->pulse, l);
		l->fn(l);
		return;
	}
	/* Deleted by somebody, or full: begin with the road again. */
	map_del(&o->known, span_of(l->road));
	delay(o, l, r->text);
}

/* False when the publisher has no room: post_on_room follows. */
static bool
publish(struct post *o, struct letter *l)
{
	enum err e = bus_publish(o->worker->pub, &l->msg, on_published, l, &l->publish_id);

	if (e == E_AGAIN && bus_pub_pending(o->worker->pub) > 0) {
		list_push_front(&o->waiting, &l->wait);
		return false;
	}
	if (e != E_OK)
		delay(o, l, err_name(e));
	return true;
}

/* --- roads ------------------------------------------------------------------------------------------------------------- */

/* All letters of this road: it is made no more often than once for each attempt, and complained of for the first. */
static void
delay_road(struct post *o, const char *road, const char *why)
{
	struct list *it, *tmp;
	bool any = false;

	LIST_EACH (&o->waiting, it, tmp) {
		struct letter *l = container_of(it, struct letter, wait);

		if (strcmp(l->road, road) != 0)
			continue;
		if (!any) {
			any = true;
			delay(o, l, why);
		} else {
			list_unlink(it);
			list_push(&o->hindered, it);
		}
	}
}

static void
on_road(void *owner, const struct bus_topo_report *r)
{
	struct post *o = owner;
	static char known;

	o->topo = NULL;
	o->ladder = NULL;
	if (r->err == E_OK) {
		if (map_set(&o->known, span_of(o->building), &known, NULL) != E_OK)
			abort();
	} else if (!o->is_for_expected) {
		delay_road(o, o->building, r->text);
	} else if (r->err != E_CLOSED) {
		LOG(LADDER_REFUSED, LOG_STR("why", r->text));
	}
	o->is_for_expected = false;
	o->building[0] = '\0';
	pump(o);
}

static enum err
build_queue(struct post *o, const char *name, const char *exchange, const char *key)
{
	struct bus_topo_queue q = { .name = name,
		.exchange = exchange,
		.exchange_type = "direct",
		.routing_key = key,
		.keep_bound = true };

	return bus_topo_ensure(&o->topo, o->worker->publish, &q, 1, on_road, o);
}

static enum err
build_ladder(struct post *o, const char *queue, const char *suffix)
{
	struct bus_ladder_level levels[LADDER_LEVELS];
	char key[256];
	enum err e = ladder_binding_key(key, span_of(suffix));

	if (e != E_OK)
		return e;
	for (int i = 0; i < LADDER_LEVELS; i++) {
		int level = LADDER_LEVELS - 1 - i;

		ladder_level_name(levels[i].name, level);
		ladder_level_key(levels[i].one, level, true);
		ladder_level_key(levels[i].zero, level, false);
		levels[i].ttl_ms = INT64_C(1000) << level;
	}
	return bus_ladder_ensure(
		&o->ladder, o->worker->publish, levels, LADDER_LEVELS, LADDER_END, queue, key, on_road, o);
}

static enum err
build_road(struct post *o, const struct letter *l)
{
	struct span to = letter_queue(l);
	char queue[256], name[256];

	snprintf(queue, sizeof(queue), "%.*s", SPAN_FMT(to));
	if (span_starts(span_of(l->road), "later/"))
		return build_ladder(o, queue, queue);
	if (span_starts(span_of(l->road), "queue/"))
		return build_queue(o, queue, NULL, NULL);
	dead_queue_name(name, to);
	return build_queue(o, name, DEAD_EXCHANGE, queue);
}

/* Letters go first; when the connection is lost meanwhile, the worker expects it anew. */
static void
build_expected(struct post *o)
{
	while (o->building[0] == '\0' && !list_is_empty(&o->expected) && bus_conn_is_up(o->worker->publish)) {
		struct expected_queue *q = container_of(list_pop(&o->expected), struct expected_queue, link);

		snprintf(o->building, sizeof(o->building), "expected/%.200s", q->queue);
		o->is_for_expected = build_ladder(o, q->queue, q->key) == E_OK;
		if (!o->is_for_expected)
			o->building[0] = '\0';
		alloc_free(q);
	}
}

static void
pump(struct post *o)
{
	while (o->building[0] == '\0' && !list_is_empty(&o->waiting)) {
		struct letter *l = container_of(o->waiting.next, struct letter, wait);
		enum err e;

		if (l->road[0] == '\0' || map_get(&o->known, span_of(l->road)) != NULL) {
			list_unlink(&l->wait);
			if (!publish(o, l))
				return;
			continue;
		}
		if (!bus_conn_is_up(o->worker->publish))
			return;
		snprintf(o->building, sizeof(o->building), "%s", l->road);
		e = build_road(o, l);
		if (e != E_OK) {
			o->building[0] = '\0';
			delay_road(o, l->road, err_name(e));
		}
	}
	build_expected(o);
}

/* Those that were hindered come last. */
static void
try_again(struct post *o)
{
	struct list *it;

	while ((it = list_pop(&o->hindered)) != NULL)
		list_push(&o->waiting, it);
	pump(o);
}

static void
on_retry(void *owner)
{
	try_again(owner);
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

enum err
post_init(struct post *o, struct worker *w)
{
	o->worker = w;
	list_init(&o->waiting);
	list_init(&o->hindered);
	list_init(&o->expected);
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
	while (!list_is_empty(&o->expected))
		alloc_free(container_of(list_pop(&o->expected), struct expected_queue, link));
}

void
post_send(struct post *o, struct letter *l)
{
	list_push(&o->waiting, &l->wait);
	pump(o);
}

void
post_drop(struct post *o, struct letter *l)
{
	if (l->publish_id != 0)
		bus_pub_cancel(o->worker->pub, l->publish_id);
	letter_free(l);
}

void
post_on_up(struct post *o)
{
	/* Another broker of the list may not have them. */
	map_release(&o->known, NULL);
	map_init(&o->known);
	try_again(o);
}

void
post_expect(struct post *o, const char *queue, const char *key)
{
	struct expected_queue *q = must_alloc(sizeof(*q));

	snprintf(q->queue, sizeof(q->queue), "%s", queue);
	snprintf(q->key, sizeof(q->key), "%s", key);
	list_push(&o->expected, &q->link);
	pump(o);
}

void
post_on_room(void *owner)
{
	pump(owner);
}
