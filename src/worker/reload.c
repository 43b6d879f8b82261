/*
 * Everything is checked before anything is changed: the reader has looked at the settings, and here each pool makes sure that it could start
 * its children by them. Only then they count. Pools that are new or gone need a restart; a pool that is gone stays as it was.
 */
#include "worker/reload.h"

#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "worker/state.h"

/* --- readings ----------------------------------------------------------------------------------------------------------- */

static struct reading *
add_reading(struct reload *r, const struct worker_conf *conf)
{
	struct reading *reading = must_alloc(sizeof(*reading));

	reading->conf = conf;
	list_push(&r->readings, &reading->link);
	return reading;
}

static void
drop_unused(struct reload *r)
{
	const struct worker_reader *reader = r->worker->conf->reader;
	struct list *it, *tmp;

	LIST_EACH (&r->readings, it, tmp) {
		struct reading *reading = container_of(it, struct reading, link);

		if (reading == r->now || reading->pinned || reading->tasks > 0)
			continue;
		list_unlink(&reading->link);
		reader->drop(reader->owner, reading->conf);
		alloc_free(reading);
	}
}

struct reading *
reload_hold(struct reload *r)
{
	r->now->tasks++;
	return r->now;
}

void
reload_let_go(struct reload *r, struct reading *reading)
{
	if (--reading->tasks == 0 && reading != r->now)
		drop_unused(r);
}

void
reload_pin(struct reload *r)
{
	r->now->pinned = true;
}

/* --- what changes ------------------------------------------------------------------------------------------------------- */

static const struct pool_conf *
find_pool(const struct worker_conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_pools; i++)
		if (strcmp(conf->pools[i].name, name) == 0)
			return &conf->pools[i];
	return NULL;
}

static void
name_new_pools(const struct worker *w, const struct worker_conf *conf)
{
	char name[300];

	for (size_t i = 0; i < conf->n_pools; i++) {
		bool known = false;

		for (size_t k = 0; k < w->n_pools; k++)
			known |= strcmp(w->pools[k].conf->name, conf->pools[i].name) == 0;
		if (known)
			continue;
		snprintf(name, sizeof(name), "pools: %.250s", conf->pools[i].name);
		LOG(RELOAD_KEPT, LOG_STR("name", name), LOG_STR("where", "new"));
	}
}

/* Slots as the new settings have them, for the descriptors they need. */
static enum err
check_room(struct worker *w, const struct worker_conf *conf, struct errtext *t)
{
	size_t more = 0;

	for (size_t i = 0; i < w->n_pools; i++) {
		const struct pool_conf *c = find_pool(conf, w->pools[i].conf->name);
		size_t size = c == NULL ? 0 : c->scaling.max > 0 ? c->scaling.max : (size_t)c->concurrency;

		more += size > w->pools[i].size ? size - w->pools[i].size : 0;
	}
	return worker_make_room(w, more, t);
}

static void
apply(struct worker *w, const struct worker_conf *conf)
{
	struct task_rule **overrides = w->rules.tasks.overrides;
	size_t n = w->rules.tasks.n_overrides;

	w->live.tasks = conf->tasks;
	w->live.routes = conf->routes;
	w->live.known_queues = conf->known_queues;
	w->live.n_known_queues = conf->n_known_queues;
	w->live.queues_must_exist = conf->queues_must_exist;
	w->live.output_max = conf->output_max;
	w->live.drain_ms = conf->drain_ms;
	w->live.route_ms = conf->route_ms;
	w->live.settings = conf->settings;
	w->live.settings_all = conf->settings_all;
	w->rules.all_ask = w->live.all_ask = conf->all_ask;
	w->rules.result_extended = w->live.result_extended = conf->result_extended;
	/* What remote control has set stays. */
	w->rules.tasks = conf->tasks;
	w->rules.tasks.overrides = overrides;
	w->rules.tasks.n_overrides = n;
}

static enum err
take_over(struct reload *r, const struct worker_conf *conf, struct errtext *t)
{
	struct worker *w = r->worker;
	struct pool_change *changes = must_alloc(sizeof(*changes) * (w->n_pools + 1));
	enum err e = check_room(w, conf, t);

	for (size_t i = 0; i < w->n_pools && e == E_OK; i++) {
		const struct pool_conf *c = find_pool(conf, w->pools[i].conf->name);

		if (c != NULL)
			e = pool_check_change(&changes[i], &w->pools[i], c, t);
	}
	if (e == E_OK) {
		bool some_stay = false;

		name_new_pools(w, conf);
		apply(w, conf);
		for (size_t i = 0; i < w->n_pools; i++) {
			some_stay |= changes[i].conf == NULL;
			if (changes[i].conf != NULL)
				pool_apply_change(&w->pools[i], &changes[i]);
			else
				LOG(RELOAD_KEPT, LOG_STR("name", w->pools[i].conf->name),
					LOG_STR("where", "a pool that is no longer there"));
		}
		/* A pool that is gone from them goes on by the old ones. */
		r->now->pinned |= some_stay;
		r->now = add_reading(r, conf);
	}
	for (size_t i = 0; i < w->n_pools; i++)
		pool_release_change(&changes[i]);
	alloc_free(changes);
	return e;
}

static void
tell_manager(struct worker *w, const char *state)
{
	char text[100];

	snprintf(text, sizeof(text), "%s\nMONOTONIC_USEC=%lld", state, (long long)clock_mono_us());
	notify_say(&w->notify, text);
}

static void
on_hup(void *owner)
{
	struct reload *r = owner;
	struct worker *w = r->worker;
	const struct worker_reader *reader = w->conf->reader;
	const struct worker_conf *conf;
	struct errtext t;
	enum err e;

	if (worker_is_stopping(w))
		return;
	tell_manager(w, "RELOADING=1");
	e = reader->read(reader->owner, &conf, &t);
	if (e == E_OK) {
		e = take_over(r, conf, &t);
		if (e == E_OK)
			reader->adopted(reader->owner, conf);
		else
			reader->drop(reader->owner, conf);
	}
	if (e != E_OK)
		LOG(RELOAD_REFUSED, LOG_STR("why", t.text));
	drop_unused(r);
	/* Ready is what it was before; a worker that was not says so when it is. */
	if (w->was_ready)
		notify_say(&w->notify, "READY=1");
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

enum err
reload_open(struct reload *r, struct worker *w)
{
	r->worker = w;
	list_init(&r->readings);
	r->now = add_reading(r, w->conf);
	/* Its node, broker and backend are those of the worker. */
	r->now->pinned = true;
	return w->conf->reader != NULL ? loop_signal_init(&r->hup, w->loop, SIGHUP, on_hup, r) : E_OK;
}

void
reload_close(struct reload *r)
{
	struct list *it, *tmp;

	if (r->worker == NULL)
		return;
	loop_signal_release(&r->hup);
	LIST_EACH (&r->readings, it, tmp) {
		struct reading *reading = container_of(it, struct reading, link);

		/* The first is the caller's. */
		if (reading->conf != &r->worker->live)
			r->worker->conf->reader->drop(r->worker->conf->reader->owner, reading->conf);
		list_unlink(&reading->link);
		alloc_free(reading);
	}
}
