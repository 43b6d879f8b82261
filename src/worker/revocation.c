/*
 * See revocation.h. New entries are written to the backend at the end of the turn; what a lost connection may have swallowed is written
 * again when it is back. What the backend knows is read whenever backend or broker come back: in between nobody could tell us.
 */
#include "worker/revocation.h"

#include "base/clock.h"
#include "base/log.h"
#include "worker/job.h"
#include "worker/state.h"

/* Entries of one command to the backend. */
#define SAVE_MAX 1000

static void
settle(struct revocation *r)
{
	if (r->is_settled)
		return;
	r->is_settled = true;
	for (size_t i = 0; i < r->worker->n_pools; i++)
		pool_check_start(&r->worker->pools[i]);
}

/* --- saving ------------------------------------------------------------------------------------------------------------ */

static void
set_saved(struct revocation_set *s, bool saved)
{
	struct revoked_walk w = { .at = NULL };

	while (revoked_next(&s->texts, clock_wall_us(), &w))
		*w.saved = saved;
}

static void
on_saved(void *owner, enum err e, const struct backend_kept *items UNUSED, size_t n UNUSED, const char *why)
{
	struct revocation_set *s = owner;

	/* E_CLOSED: it may have arrived or not, so all is written again when the backend is back. */
	if (e == E_CLOSED)
		set_saved(s, false);
	else if (e != E_OK)
		LOG(REVOKED_NOT_KEPT, LOG_STR("why", why));
}

static void
save(struct revocation_set *s)
{
	struct backend_kept *items = must_alloc(sizeof(*items) * SAVE_MAX);
	struct revoked_walk w = { .at = NULL };
	us_t now = clock_wall_us();
	enum err e = E_OK;
	size_t n = 0;
	bool more = true;

	while (more && e == E_OK) {
		more = revoked_next(&s->texts, now, &w);
		if (more && !*w.saved) {
			items[n++] = (struct backend_kept){ .text = w.text, .when = w.when };
			*w.saved = true;
		}
		if (n == SAVE_MAX || (!more && n > 0)) {
			e = backend_keep(s->owner->worker->backend, s->name, items, n, now - s->texts.keep,
				s->texts.max, on_saved, s);
			n = 0;
		}
	}
	/* Not up, or its queue is full: again when it is up. E_MISSING: there is no backend, or none that keeps sets. */
	if (e != E_OK && e != E_MISSING)
		set_saved(s, false);
	alloc_free(items);
}

static void
on_save(void *owner)
{
	struct revocation *r = owner;

	save(&r->ids);
	save(&r->stamps);
}

/* --- loading ----------------------------------------------------------------------------------------------------------- */

static void
add(struct revocation_set *s, struct span text, us_t when, bool saved)
{
	if (revoked_add(&s->texts, text, when, clock_wall_us(), saved) != E_OK)
		abort();
}

static void
on_loaded(void *owner, enum err e, const struct backend_kept *items, size_t n, const char *why)
{
	struct revocation_set *s = owner;
	struct revocation *r = s->owner;

	s->is_loading = false;
	for (size_t i = 0; i < n; i++)
		add(s, items[i].text, items[i].when, true);
	if (e == E_REFUSED)
		LOG(REVOKED_UNREADABLE, LOG_STR("why", why));
	if (n > 0)
		revocation_apply(r);
	if (e == E_OK)
		save(s);
	if (!r->ids.is_loading && !r->stamps.is_loading)
		settle(r);
}

static void
load(struct revocation_set *s)
{
	us_t oldest = clock_wall_us() - s->texts.keep;

	if (!s->is_loading)
		s->is_loading = backend_kept(s->owner->worker->backend, s->name, oldest, s->texts.max,
					on_loaded, s) == E_OK;
}

void
revocation_load(struct revocation *r)
{
	load(&r->ids);
	load(&r->stamps);
	if (!backend_keeps(r->worker->backend))
		settle(r);
}

void
revocation_on_backend_down(struct revocation *r)
{
	settle(r);
}

/* --- asking ------------------------------------------------------------------------------------------------------------ */

bool
revocation_covers(const struct revocation *r, const struct task *t)
{
	us_t now;

	if (revoked_count(&r->ids.texts) == 0 && revoked_count(&r->stamps.texts) == 0)
		return false;
	now = clock_wall_us();
	return revoked_has(&r->ids.texts, t->id, now) || revoked_has_stamp(&r->stamps.texts, t->headers, now);
}

static void
add_now(struct revocation *r, struct revocation_set *s, struct span text)
{
	add(s, text, clock_wall_us(), false);
	loop_defer(r->worker->loop, LOOP_DECIDE, &r->save, on_save, r);
}

void
revocation_add(struct revocation *r, struct span id)
{
	add_now(r, &r->ids, id);
}

void
revocation_add_stamp(struct revocation *r, struct span name, struct span value)
{
	struct buf b;

	buf_init(&b, 0);
	revoked_add_stamp_text(&b, name, value);
	if (b.err == E_OK)
		add_now(r, &r->stamps, buf_span(&b));
	buf_release(&b);
}

void
revocation_apply(struct revocation *r)
{
	for (size_t i = 0; i < r->worker->n_pools; i++) {
		struct list *it, *tmp;

		LIST_EACH (&r->worker->pools[i].jobs, it, tmp) {
			struct job *j = container_of(it, struct job, link);

			if (j->request.state < REQUEST_RUNNING && revocation_covers(r, &j->request.task))
				job_on_revoked(j);
		}
	}
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static void
init_set(struct revocation *r, struct revocation_set *s, const char *name)
{
	*s = (struct revocation_set){ .owner = r, .name = name };
	revoked_init(&s->texts, REVOKED_MAX, REVOKED_KEEP_US);
}

void
revocation_init(struct revocation *r, struct worker *w)
{
	r->worker = w;
	init_set(r, &r->ids, "revoked");
	init_set(r, &r->stamps, "revoked-stamps");
}

void
revocation_release(struct revocation *r)
{
	loop_undefer(&r->save);
	revoked_release(&r->ids.texts);
	revoked_release(&r->stamps.texts);
}
