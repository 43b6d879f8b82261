/*
 * Between deliveries and slots. Deliveries are handed out in order of arrival, once a turn, after everything readable has been
 * read; a pool has at most as many of them as slots, so one waits only while a child is being replaced.
 *
 * The number of slots may change. A pool that grows starts children first and takes more deliveries when they are up; one that shrinks asks the
 * broker for less first, and lets a slot go when no delivery can come for it any more and its task has ended.
 */
#include "worker/pool.h"

#include <signal.h>

#include "base/log.h"
#include "worker/childenv.h"
#include "worker/job.h"
#include "worker/state.h"

static void
on_dispatch(void *owner)
{
	struct pool *p = owner;

	while (!list_is_empty(&p->waiting) && !list_is_empty(&p->idle)) {
		struct slot *s = container_of(p->idle.next, struct slot, link);
		struct job *j = container_of(p->waiting.next, struct job, wait);

		slot_run(s, j);
	}
}

static void
dispatch_soon(struct pool *p)
{
	loop_defer(p->worker->loop, LOOP_DECIDE, &p->dispatch, on_dispatch, p);
}

/* --- how many slots ----------------------------------------------------------------------------------------------------- */

static size_t
live_slots(const struct pool *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_slots; i++)
		n += !p->slots[i]->stopping;
	return n;
}

/* The lowest that no slot has. */
static int
free_index(const struct pool *p)
{
	bool *used = must_alloc(p->n_slots + 1);
	int index = 0;

	for (size_t i = 0; i < p->n_slots; i++)
		if ((size_t)p->slots[i]->index < p->n_slots)
			used[p->slots[i]->index] = true;
	while (used[index])
		index++;
	alloc_free(used);
	return index;
}

static struct slot *
add_slot(struct pool *p)
{
	struct slot *s = must_alloc(sizeof(*s));

	slot_init(s, p, free_index(p));
	p->slots = must_resize(p->slots, sizeof(struct slot *) * (p->n_slots + 1));
	p->slots[p->n_slots++] = s;
	return s;
}

/* Slots that have ended for good; not from within their own callbacks. */
static void
on_tidy(void *owner)
{
	struct pool *p = owner;
	size_t n = 0;

	for (size_t i = 0; i < p->n_slots; i++) {
		struct slot *s = p->slots[i];

		if (s->stopping && s->state == SLOT_DOWN) {
			slot_release(s);
			alloc_free(s);
		} else
			p->slots[n++] = s;
	}
	p->n_slots = n;
	worker_check_drained(p->worker);
}

/* The one that is missed least; NULL: all have a task, and who has one keeps its slot. */
static struct slot *
find_spare(const struct pool *p)
{
	struct slot *best = NULL;

	for (size_t i = 0; i < p->n_slots; i++) {
		struct slot *s = p->slots[i];

		/* Not yet up rather than up, and of two such the younger. */
		if (!s->stopping && s->job == NULL && s->state != SLOT_BUSY &&
			(best == NULL || s->state <= best->state))
			best = s;
	}
	return best;
}

/* Deliveries it may hold for each slot. */
static size_t
multiplier(const struct pool *p)
{
	return p->conf->prefetch_multiplier > 1 ? (size_t)p->conf->prefetch_multiplier : 1;
}

/* A slot goes when neither the size nor a delivery that may still come asks for it. */
static void
trim(struct pool *p)
{
	size_t live = live_slots(p), keep;
	struct slot *s;

	if (live <= p->size || worker_is_stopping(p->worker))
		return;
	keep = (feed_claims(&p->feed) + multiplier(p) - 1) / multiplier(p);
	if (keep < p->size)
		keep = p->size;
	for (; live > keep && (s = find_spare(p)) != NULL; live--)
		slot_stop(s, false);
}

/* Slots that were added while it runs count once their child is up: what is delivered shall not wait for one that loads its model. */
void
pool_refresh_window(struct pool *p)
{
	size_t fresh = 0;

	for (size_t i = 0; i < p->n_slots; i++)
		fresh += p->slots[i]->fresh && !p->slots[i]->stopping;
	feed_set_window(&p->feed, (uint32_t)((fresh < p->size ? p->size - fresh : 1) * multiplier(p)));
}

void
pool_on_window(struct pool *p)
{
	if (p->n_slots > p->size)
		trim(p);
}

void
pool_set_size(struct pool *p, size_t size, const char *why)
{
	size_t live = live_slots(p);

	if (size == p->size)
		return;
	LOG(POOL_SIZE, LOG_STR("pool", p->conf->name), LOG_INT("before", p->size), LOG_INT("size", size),
		LOG_STR("why", why));
	p->size = size;
	for (; live < size; live++) {
		struct slot *s = add_slot(p);

		s->fresh = true;
		slot_start(s);
	}
	pool_refresh_window(p);
	trim(p);
	pool_refresh_window(p);
}

void
pool_on_look(struct pool *p, uint32_t ready)
{
	struct scale_look look = {
		.now = loop_now(p->worker->loop), .size = (uint32_t)p->size, .ready = ready
	};

	if (p->scaling.max == 0 || worker_is_stopping(p->worker))
		return;
	for (size_t i = 0; i < p->n_slots; i++)
		look.busy += p->slots[i]->job != NULL;
	pool_set_size(p, scale_decide(&p->scale, &p->scaling, &look), "autoscale");
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

enum err
pool_init(struct pool *p, struct worker *w, const struct pool_conf *conf, struct errtext *t)
{
	enum err e;

	memset(p, 0, sizeof(*p));
	p->worker = w;
	p->conf = conf;
	list_init(&p->idle);
	list_init(&p->jobs);
	list_init(&p->waiting);
	map_init(&p->tasks);
	p->size = (size_t)conf->concurrency;
	p->scaling = conf->scaling;
	if (p->scaling.max > 0)
		p->size = p->scaling.min;
	for (size_t i = 0; i < p->size; i++)
		add_slot(p);
	guide_init(&p->guide, p);
	pool_init_queues(p);
	e = childenv_argv(&p->argv, conf->runner, t);
	if (e == E_OK)
		e = childenv_new(&p->envp, conf, w->conf->node, t);
	if (e == E_OK)
		e = nest_init(&p->nest, p);
	if (e == E_OK)
		e = feed_open(&p->feed, p, w->consume, t);
	if (e == E_OK)
		pool_refresh_window(p);
	return e == E_OK ? E_OK : err_prefix(t, e, "pool %s", conf->name);
}

void
pool_release(struct pool *p)
{
	struct list *it, *tmp;

	if (p->worker == NULL)
		return;
	loop_undefer(&p->dispatch);
	loop_undefer(&p->tidy);
	LIST_EACH (&p->jobs, it, tmp)
		job_free(container_of(it, struct job, link));
	for (size_t i = 0; i < p->n_slots; i++) {
		slot_release(p->slots[i]);
		alloc_free(p->slots[i]);
	}
	alloc_free(p->slots);
	guide_release(&p->guide);
	nest_release(&p->nest);
	feed_close(&p->feed);
	pool_release_queues(p);
	map_release(&p->tasks, NULL);
	childenv_free(p->argv);
	childenv_free(p->envp);
}

void
pool_start(struct pool *p)
{
	/* The first that cannot start may have ended it all. */
	for (size_t i = 0; i < p->n_slots && !worker_is_stopping(p->worker); i++)
		slot_start(p->slots[i]);
}

bool
pool_knows(const struct pool *p, struct span task_name)
{
	return p->any_task || pool_names(p, task_name);
}

bool
pool_names(const struct pool *p, struct span task_name)
{
	return map_get(&p->tasks, task_name) != NULL;
}

/* --- deliveries ------------------------------------------------------------------------------------------------------ */

/*
 * The job whose delivery was lost with its channel and that still goes on here, when this is its message or a copy of it that another worker
 * held off. Not a retry: that has its own life.
 */
static struct job *
find_orphan(struct pool *p, const struct bus_delivery *d)
{
	struct span id = table_get_string(&d->msg->headers, "id");
	struct forward_counts been;
	struct list *it, *tmp;
	int64_t retries;

	forward_counts_read(&been, &d->msg->headers);
	if (!d->redelivered && been.held == 0)
		return NULL;
	if (!table_get_int(&d->msg->headers, "retries", &retries))
		retries = 0;
	LIST_EACH (&p->jobs, it, tmp) {
		struct job *j = container_of(it, struct job, link);
		const struct request *r = &j->request;

		if (j->tag_lost && !r->acked && span_eq(r->task.id, id) && r->task.retries == retries &&
			r->came_lost == been.lost && r->came_requeued == been.requeued)
			return j;
	}
	return NULL;
}

void
pool_on_delivery(struct pool *p, struct bus_delivery *d, size_t consumer)
{
	struct job *j;

	if (worker_is_stopping(p->worker)) {
		/* On its way while the consumer was cancelled. An error means that the broker has it back already. */
		if (bus_nack(p->feed.chan, d->tag, true) == E_OK)
			feed_on_settled(&p->feed, consumer);
		bus_msg_free(d->msg);
		return;
	}
	j = find_orphan(p, d);
	if (j != NULL)
		job_adopt(j, d, consumer);
	else
		job_begin(p, d, consumer);
}

bool
pool_may_wait(const struct pool *p)
{
	struct list *it, *tmp;
	size_t n = 0;

	LIST_EACH (&p->jobs, it, tmp)
		n += container_of(it, struct job, link)->request.state == REQUEST_HELD;
	return n < p->feed.window / 2;
}

void
pool_on_channel_lost(struct pool *p)
{
	struct list *it, *tmp;

	LIST_EACH (&p->jobs, it, tmp)
		job_on_channel_lost(container_of(it, struct job, link));
}

void
pool_enqueue(struct pool *p, struct job *j)
{
	list_push(&p->waiting, &j->wait);
	dispatch_soon(p);
}

void
pool_on_job_gone(struct pool *p)
{
	worker_check_drained(p->worker);
}

void
pool_return_waiting(struct pool *p)
{
	struct list *it, *tmp;

	LIST_EACH (&p->jobs, it, tmp) {
		struct job *j = container_of(it, struct job, link);

		if (j->request.state < REQUEST_RUNNING)
			job_return(j);
	}
}

void
pool_return_all(struct pool *p)
{
	struct list *it, *tmp;

	LIST_EACH (&p->jobs, it, tmp)
		job_return(container_of(it, struct job, link));
}

size_t
pool_running(const struct pool *p)
{
	return list_count(&p->jobs);
}

/* --- slots ----------------------------------------------------------------------------------------------------------- */

void
pool_on_hello(struct pool *p, const struct run_frame *f, struct arena *a)
{
	static char known; /* any pointer that is not NULL */
	struct run_tasks walk = { .started = false };
	struct span name;

	while (run_next_task(f, &walk, a, &name)) {
		if (span_is(name, "*"))
			p->any_task = true;
		else if (map_set(&p->tasks, name, &known, NULL) != E_OK)
			abort();
	}
	p->is_ready = true;
	guide_on_hello(&p->guide, f);
}

enum err
pool_spawn(struct pool *p, struct child **out, char mark[SWEEP_MARK_MAX], const struct child_ops *ops,
	void *owner, struct errtext *t)
{
	struct child_conf conf = {
		.argv = (const char *const *)p->argv,
		.envp = (const char *const *)p->envp,
		.cwd = p->conf->cwd,
		.channel = true,
		.rlimit_as = p->conf->memory_limit,
		.rlimit_core = 0,
	};

	sweep_new_mark(mark);
	if (p->nest.is_used)
		return nest_spawn(&p->nest, out, mark, ops, owner, t);
	/* A place of the environment is kept for it. */
	childenv_set_mark(p->envp, mark);
	return child_spawn(out, p->worker->loop, &conf, ops, owner, t);
}

ms_t
pool_start_ms(const struct pool *p)
{
	return p->conf->start_ms > 0 ? p->conf->start_ms : 60000;
}

void
pool_on_slot_idle(struct pool *p, struct slot *s)
{
	list_push(&p->idle, &s->link);
	dispatch_soon(p);
	pool_check_start(p);
	if (s->fresh) {
		s->fresh = false;
		pool_refresh_window(p);
	}
	pool_on_window(p);
}

/* What was revoked while this worker was away must be known before the first task comes. */
void
pool_check_start(struct pool *p)
{
	if (!list_is_empty(&p->idle) && !p->feed.wanted && p->worker->phase <= WORKER_RUNNING &&
		p->worker->revocation.is_settled)
		feed_start(&p->feed);
}

void
pool_restart(struct pool *p)
{
	nest_renew(&p->nest);
	guide_renew(&p->guide);
	for (size_t i = 0; i < p->n_slots; i++)
		slot_replace(p->slots[i]);
}

static bool
slots_are_down(const struct pool *p)
{
	for (size_t i = 0; i < p->n_slots; i++)
		if (p->slots[i]->state != SLOT_DOWN)
			return false;
	return true;
}

static void
on_child_down(struct pool *p)
{
	if (worker_is_stopping(p->worker) && slots_are_down(p) && guide_is_down(&p->guide))
		nest_stop(&p->nest);
	worker_check_drained(p->worker);
}

void
pool_on_slot_down(struct pool *p, struct slot *s UNUSED)
{
	loop_defer(p->worker->loop, LOOP_FLUSH, &p->tidy, on_tidy, p);
	on_child_down(p);
}

void
pool_on_guide_down(struct pool *p)
{
	on_child_down(p);
}

void
pool_on_start_failed(struct pool *p, struct slot *s, bool is_passing, const char *why)
{
	if (p->is_ready || is_passing) {
		LOG(CHILD_START_FAILED, LOG_STR("pool", p->conf->name), LOG_INT("slot", s->index),
			LOG_STR("how", why));
		return;
	}
	worker_fail(p->worker, "pool %s: the runner `%s` %s", p->conf->name, p->conf->runner[0], why);
}

void
pool_interrupt(struct pool *p)
{
	for (size_t i = 0; i < p->n_slots; i++)
		slot_interrupt(p->slots[i]);
}

void
pool_on_template_failed(struct pool *p, bool is_passing, const char *why)
{
	if (p->is_ready || is_passing)
		LOG(TEMPLATE_FAILED, LOG_STR("pool", p->conf->name), LOG_STR("how", why));
	else
		worker_fail(p->worker, "pool %s: the runner `%s` %s", p->conf->name, p->conf->runner[0], why);
}

void
pool_on_nest_down(struct pool *p)
{
	worker_check_drained(p->worker);
}

/* Nobody is left to say where their follow-ups go. */
static void
return_unrouted(struct pool *p)
{
	struct list *it, *tmp;

	LIST_EACH (&p->jobs, it, tmp) {
		struct job *j = container_of(it, struct job, link);

		if (j->question != NULL)
			job_return(j);
	}
}

void
pool_stop_slots(struct pool *p, bool at_once)
{
	guide_stop(&p->guide, at_once);
	if (at_once)
		return_unrouted(p);
	for (size_t i = 0; i < p->n_slots; i++) {
		struct slot *s = p->slots[i];
		struct job *j = s->job;

		s->job = at_once ? NULL : j;
		slot_stop(s, at_once);
		/* The child is killed before its task is given back: nobody else may start it while it could still do things. */
		if (at_once && j != NULL)
			job_return(j);
	}
}

bool
pool_is_down(const struct pool *p)
{
	return slots_are_down(p) && guide_is_down(&p->guide) && nest_is_down(&p->nest);
}
