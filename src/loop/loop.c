/*
 * The turn of the loop, its clock, its deferred tasks and its grave. Timers are in timer.c, descriptors and signals in
 * watch.c, byte streams in stream.c, children in child.c.
 *
 *   wait for I/O -> callbacks -> due timers -> DECIDE tasks -> FLUSH tasks -> free what was closed -> measure
 *
 * libevent waits and dispatches; the rest is kept here because its order is what the parts above rely on: a decision sees all
 * the input of a turn, a flush sees all its decisions, and nothing is freed while a callback of it may be on the stack.
 */
#include "loop/loop.h"

#include <signal.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "loop/internal.h"

/* Decisions may defer decisions. After so many rounds the sockets get their turn again. */
#define DECIDE_ROUNDS 16

static void
on_wake(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct loop *l = arg;

	loop_wake(l);
	l->wake_due = LOOP_NEVER;
}

/* libevent would print to stderr, into the midst of our log; what goes wrong is returned by the call that did it. */
static void
on_libevent_log(int severity UNUSED, const char *text UNUSED)
{
}

static struct event_base *
base_new(void)
{
	struct event_config *conf = event_config_new();
	struct event_base *base = NULL;

	if (!conf)
		return NULL;
	event_set_log_callback(on_libevent_log);
	/*
	 * One thread only, so no locks. No change list for epoll: it would save a call now and then, but report a descriptor that
	 * cannot be watched only as a warning on stderr, long after whoever asked has been told that all is well.
	 */
	if (event_config_set_flag(conf, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0)
		base = event_base_new_with_config(conf);
	event_config_free(conf);
	return base;
}

struct loop *
loop_new(struct errtext *t)
{
	struct loop *l = alloc_zero(sizeof(*l));

	if (!l) {
		(void)err_set(t, E_NOMEM, "out of memory for the event loop");
		return NULL;
	}
	list_init(&l->tasks[LOOP_DECIDE]);
	list_init(&l->tasks[LOOP_FLUSH]);
	list_init(&l->remnants);
	list_init(&l->children);
	l->dead = l->dead_room;
	l->dead_cap = LOOP_REAP_ROOM;
	l->wake_due = LOOP_NEVER;
	l->scratch = alloc_bytes(LOOP_READ_MAX);
	l->base = base_new();
	l->wake = l->base ? evtimer_new(l->base, on_wake, l) : NULL;
	if (!l->scratch || !l->wake) {
		(void)err_sys(t, "cannot start the event loop");
		loop_free(l);
		return NULL;
	}
	/* A peer that went away is an error of write(), not the end of this process. */
	(void)signal(SIGPIPE, SIG_IGN);
	return l;
}

static void
reap(struct loop *l)
{
	/* Freeing may close and so reap more; the list may move meanwhile. */
	for (size_t i = 0; i < l->n_dead; i++) {
		struct loop_dead d = l->dead[i];

		d.fn(d.p);
	}
	l->n_dead = 0;
}

void
loop_free(struct loop *l)
{
	struct list *it;

	if (!l)
		return;
	assert(!l->in_turn);
	reap(l);
	while ((it = list_pop(&l->remnants))) {
		struct loop_remnant *r = container_of(it, struct loop_remnant, link);

		r->fn(r->owner);
	}
	reap(l);
	if (l->wake)
		event_free(l->wake);
	if (l->base)
		event_base_free(l->base);
	if (l->dead != l->dead_room)
		alloc_free(l->dead);
	alloc_free(l->timers);
	alloc_free(l->scratch);
	alloc_free(l);
}

void
loop_wake(struct loop *l)
{
	if (l->is_awake)
		return;
	l->is_awake = true;
	l->now_us = clock_mono_us();
	l->wall_us = 0;
}

ms_t
loop_now(const struct loop *l)
{
	return l->is_awake ? l->now_us / 1000 : clock_mono_ms();
}

us_t
loop_wall_us(const struct loop *l)
{
	/* Only few turns ask for it, so it is read at the first question; to the caller nothing changes. */
	struct loop *cache = (struct loop *)l;

	if (!l->is_awake)
		return clock_wall_us();
	if (l->wall_us == 0)
		cache->wall_us = clock_wall_us();
	return l->wall_us;
}

int64_t
loop_lag_us(struct loop *l)
{
	int64_t lag = l->lag_us;

	l->lag_us = 0;
	return lag;
}

static bool
run_tasks(struct loop *l, enum loop_phase phase)
{
	struct list last = { 0 }, *it;
	bool any = false;

	/* What the tasks defer comes behind the mark: it is the next round's. */
	list_push(&l->tasks[phase], &last);
	while ((it = list_pop(&l->tasks[phase])) != &last) {
		struct loop_task *task = container_of(it, struct loop_task, link);

		task->fn(task->owner);
		any = true;
	}
	return any;
}

static bool
has_work(const struct loop *l)
{
	return !list_is_empty(&l->tasks[LOOP_DECIDE]) || !list_is_empty(&l->tasks[LOOP_FLUSH]) ||
		l->n_dead > 0;
}

static void
wait_and_dispatch(struct loop *l, ms_t max_wait)
{
	ms_t now = clock_mono_ms();
	ms_t due = loop_timers_next(l);
	struct timeval tv;

	if (max_wait >= 0 && (due == LOOP_NEVER || due - now > max_wait))
		due = now + max_wait;
	if (l->stop || has_work(l) || due <= now) {
		(void)event_base_loop(l->base, EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
		return;
	}
	if (due != l->wake_due) {
		if (due == LOOP_NEVER) {
			(void)evtimer_del(l->wake);
		} else {
			tv.tv_sec = (due - now) / 1000;
			tv.tv_usec = (due - now) % 1000 * 1000;
			/* It was armed before or has memory already (the timers' heap of libevent keeps its size), so what is
			 * left to fail is the very first one; then the wait must not be for ever. */
			if (evtimer_add(l->wake, &tv) != 0) {
				(void)event_base_loop(
					l->base, EVLOOP_ONCE | EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY);
				return;
			}
		}
		l->wake_due = due;
	}
	(void)event_base_loop(l->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
}

void
loop_turn(struct loop *l, ms_t max_wait)
{
	int64_t took;

	assert(!l->in_turn);
	l->in_turn = true;
	l->is_awake = false;
	wait_and_dispatch(l, max_wait);
	loop_wake(l);
	loop_timers_run(l);
	for (int i = 0; i < DECIDE_ROUNDS && run_tasks(l, LOOP_DECIDE); i++)
		;
	(void)run_tasks(l, LOOP_FLUSH);
	reap(l);
	took = clock_mono_us() - l->now_us;
	if (took > l->lag_us)
		l->lag_us = took;
	l->is_awake = false;
	l->in_turn = false;
}

int
loop_run(struct loop *l)
{
	/* A stop that was asked for before is honoured: what made it necessary may have come up while things were started. */
	while (!l->stop)
		loop_turn(l, -1);
	l->stop = false;
	return l->code;
}

void
loop_stop(struct loop *l, int code)
{
	l->stop = true;
	l->code = code;
}

void
loop_defer(struct loop *l, enum loop_phase phase, struct loop_task *task, loop_fn *fn, void *owner)
{
	if (list_is_linked(&task->link))
		return;
	task->fn = fn;
	task->owner = owner;
	list_push(&l->tasks[phase], &task->link);
}

void
loop_undefer(struct loop_task *task)
{
	list_unlink(&task->link);
}

void
loop_reap(struct loop *l, loop_fn *free_fn, void *p)
{
	struct loop_dead *more;

	if (l->n_dead == l->dead_cap) {
		more = alloc_resize(l->dead == l->dead_room ? NULL : l->dead, 2 * l->dead_cap * sizeof(*more));
		if (!more) {
			/* With no memory left and that many in one turn, to lose these bytes is better than to free an object
			 * under its own callback. */
			return;
		}
		if (l->dead == l->dead_room)
			memcpy(more, l->dead_room, sizeof(l->dead_room));
		l->dead = more;
		l->dead_cap *= 2;
	}
	l->dead[l->n_dead++] = (struct loop_dead){ .fn = free_fn, .p = p };
}

void
loop_linger(struct loop *l, struct loop_remnant *r, loop_fn *fn, void *owner)
{
	r->fn = fn;
	r->owner = owner;
	if (!list_is_linked(&r->link))
		list_push(&l->remnants, &r->link);
}

void
loop_settle(struct loop *l, ms_t max_wait)
{
	ms_t until = clock_mono_ms() + max_wait, now;

	while (!list_is_empty(&l->remnants) && (now = clock_mono_ms()) < until)
		loop_turn(l, until - now);
}

void *
loop_base(struct loop *l)
{
	return l->base;
}
