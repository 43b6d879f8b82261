/*
 * Timers: a binary heap ordered by due time, then by when they were armed.
 *
 * libevent has timers too, but they run on a coarse clock (up to 4 ms early), mixed with the I/O callbacks, and no test can move
 * that clock on. Here they follow base/clock.h and are a step of the turn of their own, after all input has been read, so that a
 * deadline never beats data that has already arrived. libevent is only asked to end its wait in time (loop.c).
 */
#include "base/alloc.h"
#include "loop/internal.h"

static bool
is_before(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->due != b->due ? a->due < b->due : a->serial < b->serial;
}

static void
put(struct loop *l, size_t slot, struct loop_timer *t)
{
	l->timers[slot] = t;
	t->slot = slot;
}

/* Finds the place for t, coming from `slot`, which is free. */
static void
settle(struct loop *l, size_t slot, struct loop_timer *t)
{
	size_t child;

	while (slot > 0 && is_before(t, l->timers[(slot - 1) / 2])) {
		put(l, slot, l->timers[(slot - 1) / 2]);
		slot = (slot - 1) / 2;
	}
	while ((child = 2 * slot + 1) < l->n_armed) {
		if (child + 1 < l->n_armed && is_before(l->timers[child + 1], l->timers[child]))
			child++;
		if (!is_before(l->timers[child], t))
			break;
		put(l, slot, l->timers[child]);
		slot = child;
	}
	put(l, slot, t);
}

enum err
loop_timer_init(struct loop_timer *t, struct loop *l, loop_fn *fn, void *owner)
{
	struct loop_timer **more;
	size_t cap;

	/* Its place in the heap is made now, so that to arm a timer cannot fail. */
	if (l->n_timers == l->timers_cap) {
		cap = l->timers_cap ? 2 * l->timers_cap : 32;
		more = alloc_resize(l->timers, cap * sizeof(struct loop_timer *));
		if (!more)
			return E_NOMEM;
		l->timers = more;
		l->timers_cap = cap;
	}
	l->n_timers++;
	*t = (struct loop_timer){ .loop = l, .fn = fn, .owner = owner };
	return E_OK;
}

void
loop_timer_arm(struct loop_timer *t, ms_t delay)
{
	struct loop *l = t->loop;
	ms_t now = loop_now(l);

	if (delay < 0)
		delay = 0;
	t->due = delay < LOOP_NEVER - now ? now + delay : LOOP_NEVER - 1;
	t->serial = ++l->timer_serial;
	if (!t->armed) {
		t->slot = l->n_armed++;
		t->armed = true;
	}
	settle(l, t->slot, t);
}

void
loop_timer_disarm(struct loop_timer *t)
{
	struct loop *l = t->loop;
	struct loop_timer *last;

	if (!t->armed)
		return;
	t->armed = false;
	last = l->timers[--l->n_armed];
	if (last != t)
		settle(l, t->slot, last);
}

void
loop_timer_release(struct loop_timer *t)
{
	if (!t->loop)
		return;
	loop_timer_disarm(t);
	t->loop->n_timers--;
	*t = (struct loop_timer){ 0 };
}

ms_t
loop_timers_next(const struct loop *l)
{
	return l->n_armed ? l->timers[0]->due : LOOP_NEVER;
}

void
loop_timers_run(struct loop *l)
{
	ms_t now = loop_now(l);
	uint64_t newest = l->timer_serial;

	/* Those armed meanwhile wait for the next turn, or one with no delay could hold the loop here. */
	while (l->n_armed && l->timers[0]->due <= now && l->timers[0]->serial <= newest) {
		struct loop_timer *t = l->timers[0];

		loop_timer_disarm(t);
		t->fn(t->owner);
	}
}
