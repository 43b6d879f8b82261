/* See plan.h. The heap is an array; each entry knows its slot in it, so that it can be taken out from the middle. */
#include "core/plan.h"

#include "base/alloc.h"

void
plan_init(struct plan *p, us_t grace)
{
	*p = (struct plan){ .grace = grace };
}

void
plan_release(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++)
		p->heap[i]->planned = p->heap[i]->member = false;
	alloc_free(p->heap);
	*p = (struct plan){ 0 };
}

/* --- the heap ---------------------------------------------------------------------------------------------------------- */

static void
put(struct plan *p, size_t slot, struct plan_entry *e)
{
	p->heap[slot] = e;
	e->slot = slot;
}

static void
sift_up(struct plan *p, struct plan_entry *e)
{
	size_t slot = e->slot;

	while (slot > 0 && p->heap[(slot - 1) / 2]->at > e->at) {
		put(p, slot, p->heap[(slot - 1) / 2]);
		slot = (slot - 1) / 2;
	}
	put(p, slot, e);
}

static void
sift_down(struct plan *p, struct plan_entry *e)
{
	size_t slot = e->slot, child;

	while ((child = 2 * slot + 1) < p->count) {
		if (child + 1 < p->count && p->heap[child + 1]->at < p->heap[child]->at)
			child++;
		if (p->heap[child]->at >= e->at)
			break;
		put(p, slot, p->heap[child]);
		slot = child;
	}
	put(p, slot, e);
}

static void
take_out(struct plan *p, struct plan_entry *e)
{
	struct plan_entry *last = p->heap[--p->count];

	e->planned = false;
	if (last == e)
		return;
	put(p, e->slot, last);
	sift_up(p, last);
	sift_down(p, last);
}

/* There is room for every member. */
static void
push(struct plan *p, struct plan_entry *e)
{
	e->due = schedule_next(&e->schedule, e->done);
	e->planned = e->due != SCHEDULE_NEVER;
	if (!e->planned)
		return;
	e->at = e->due + plan_jitter(e, e->due);
	put(p, p->count++, e);
	sift_up(p, e);
}

enum err
plan_add(struct plan *p, struct plan_entry *e)
{
	struct plan_entry **grown;
	size_t cap = p->cap;

	/* Fired entries come back without asking for memory, so room is made for members, not for what is in the heap now. */
	if (p->members == cap) {
		cap = cap ? cap * 2 : 64;
		grown = alloc_resize(p->heap, cap * sizeof(struct plan_entry *));
		if (grown == NULL)
			return E_NOMEM;
		p->heap = grown;
		p->cap = cap;
	}
	p->members++;
	e->member = true;
	push(p, e);
	return E_OK;
}

void
plan_remove(struct plan *p, struct plan_entry *e)
{
	if (!e->member)
		return;
	e->member = false;
	p->members--;
	if (e->planned)
		take_out(p, e);
}

us_t
plan_at(const struct plan *p)
{
	return p->count ? p->heap[0]->at : SCHEDULE_NEVER;
}

/* --- decisions --------------------------------------------------------------------------------------------------------- */

us_t
plan_jitter(const struct plan_entry *e, us_t due)
{
	uint64_t z;

	if (e->jitter <= 0)
		return 0;
	/* SplitMix64: every scheduler comes to the same result. */
	z = (e->seed ^ (uint64_t)due) + 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (us_t)((z ^ z >> 31) % (uint64_t)e->jitter);
}

static bool
has_come(const struct plan_entry *e, us_t due, us_t now)
{
	return due + plan_jitter(e, due) <= now;
}

/* The last due time that has come, jitter included; e->due has. */
static us_t
latest(const struct plan_entry *e, us_t now)
{
	us_t due = schedule_latest(&e->schedule, e->done, now);

	while (due != SCHEDULE_NEVER && due > e->due && !has_come(e, due, now))
		due = schedule_latest(&e->schedule, e->done, due - 1);
	return due == SCHEDULE_NEVER || due < e->due ? e->due : due;
}

/* The first of the last missed_max. */
static us_t
first_of_last(const struct plan_entry *e, us_t last)
{
	us_t due = e->due, back;
	int64_t n;

	for (n = 1; n < e->missed_max && due < last; n++)
		due = schedule_next(&e->schedule, due);
	if (due >= last)
		return e->due;
	for (n = 1, due = last; n < e->missed_max; n++) {
		back = schedule_latest(&e->schedule, e->done, due - 1);
		if (back == SCHEDULE_NEVER || back < e->due)
			break;
		due = back;
	}
	return due;
}

bool
plan_due(struct plan *p, us_t now, struct plan_fire *f)
{
	struct plan_entry *e;
	us_t last;

	if (p->count == 0 || plan_at(p) > now)
		return false;
	e = p->heap[0];
	take_out(p, e);
	last = latest(e, now);
	*f = (struct plan_fire){ .entry = e, .due = last, .given_up = SCHEDULE_NEVER, .run = true };
	f->following = schedule_next(&e->schedule, now > last ? now : last);
	if (e->missed == MISSED_ALL)
		f->due = first_of_last(e, last);
	if (e->missed == MISSED_SKIP && now - last - plan_jitter(e, last) >= p->grace)
		f->run = false;
	if (f->due > e->due || !f->run)
		f->given_up = e->due;
	if (!f->run)
		plan_done(p, e, last);
	return true;
}

void
plan_done(struct plan *p, struct plan_entry *e, us_t due)
{
	if (due > e->done)
		e->done = due;
	push(p, e);
}

void
plan_undo(struct plan *p, struct plan_entry *e)
{
	push(p, e);
}
