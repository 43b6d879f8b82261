/*
 * From what Redis says to the entries in memory: those that came, went or changed, who is paused, what ran. Applied as a whole, at the begin of
 * a lead and after each change; what is the same stays untouched, with all that is under way.
 */
#include "beat/inside.h"

#include "base/clock.h"
#include "base/jscan.h"
#include "base/log.h"

struct changes {
	size_t added, changed, removed;
	size_t put_off; /* taken over when what is read next says so again */
};

/* The clock of Redis may be ahead of this one; what is later than now would keep an entry silent. */
static us_t
earlier(us_t a, us_t b)
{
	return a < b ? a : b;
}

/* What it is to be from now on. An entry that is under way and does not change stays under way. */
static void
renew(struct beat *b, struct entry *e, us_t done, bool paused)
{
	if (done <= e->plan.done && paused == e->paused)
		return;
	firing_unplan(b, e);
	if (done > e->plan.done)
		e->plan.done = done;
	e->paused = paused;
	if (b->phase == BEAT_LEADING)
		firing_plan(b, e);
	share_note(b, e);
}

static void
drop_entry(struct beat *b, struct entry *e)
{
	firing_unplan(b, e);
	list_unlink(&e->unsaved);
	book_remove(&b->book, e);
}

/* One that takes the place of another one goes on where that was, unless it counts anew. */
static void
inherit(struct entry *e, const struct entry *from)
{
	e->ran = from->ran;
	e->runs = from->runs;
	e->paused = from->paused;
	if (from->since == e->since && from->plan.done > e->plan.done)
		e->plan.done = from->plan.done;
}

static void
apply_entry(struct beat *b, const struct board_entry *le, struct changes *n)
{
	struct entry *old = book_find(&b->book, le->name), *e;
	struct errtext t = { "" };
	char name[256];

	snprintf(name, sizeof(name), "%.*s", SPAN_FMT(le->name));
	if (old != NULL && !old->of_redis) {
		LOG(BEAT_ENTRY_SHADOWED, LOG_STR("entry", name));
		return;
	}
	if (old != NULL && old->since == le->since && old->digest == entry_digest(le->json)) {
		old->listed = true;
		return;
	}
	/* Its run may be at the broker already: replaced now, the entry would send it once more. The run ends within seconds, one way or another. */
	if (old != NULL && old->phase == ENTRY_SENT) {
		old->listed = true;
		n->put_off++;
		return;
	}
	if (book_make(&b->book, le->name, le->json, le->since, &e, &t) != E_OK) {
		/* One that ran before goes on as it was. */
		if (old != NULL)
			old->listed = true;
		LOG(BEAT_ENTRY_BAD, LOG_STR("entry", name), LOG_STR("why", t.text));
		return;
	}
	e->owner = b;
	e->ran = INT64_MIN;
	e->plan.done = earlier(le->since, clock_wall_us());
	e->known = e->listed = true;
	if (old != NULL) {
		inherit(e, old);
		drop_entry(b, old);
		n->changed++;
	} else {
		keep_recall(b, e);
		n->added++;
	}
	book_put(&b->book, e);
	if (b->phase == BEAT_LEADING)
		firing_plan(b, e);
	share_note(b, e);
}

static void
apply_entries(struct beat *b, const struct board_stock *s, struct changes *n)
{
	for (size_t i = 0; i < b->book.n; i++)
		b->book.entries[i]->listed = !b->book.entries[i]->of_redis;
	for (size_t i = 0; i < s->n_entries; i++)
		apply_entry(b, &s->entries[i], n);
	/* The last one takes the place of one that is removed, so backwards. */
	for (size_t i = b->book.n; i-- > 0;)
		if (!b->book.entries[i]->listed) {
			drop_entry(b, b->book.entries[i]);
			n->removed++;
		}
}

/* What was due while it was paused is given up. */
static void
apply_pauses(struct beat *b, const struct board_stock *s, bool first)
{
	us_t now = clock_wall_us();
	struct entry *e;

	for (size_t i = 0; i < b->book.n; i++)
		b->book.entries[i]->to_pause = false;
	for (size_t i = 0; i < s->n_pauses; i++) {
		e = book_find(&b->book, s->pauses[i].name);
		if (e == NULL)
			continue;
		e->to_pause = s->pauses[i].paused;
		if (!e->to_pause && (first || e->paused))
			renew(b, e, earlier(s->pauses[i].since, now), e->paused);
	}
	for (size_t i = 0; i < b->book.n; i++) {
		e = b->book.entries[i];
		if (e->to_pause != e->paused) {
			LOG(BEAT_ENTRY_PAUSED, LOG_STR("entry", e->conf->name),
				LOG_STR("what", e->to_pause ? "paused" : "resumed"));
			renew(b, e, e->plan.done, e->to_pause);
		}
	}
}

static void
apply_run(struct beat *b, const struct board_run *run, us_t now)
{
	struct entry *e = book_find(&b->book, run->name);
	struct buf text, schedule;
	struct row row;

	if (e == NULL || jscan_check(run->json, NULL, NULL, NULL) != E_OK)
		return;
	buf_init(&text, 0);
	buf_init(&schedule, 0);
	entry_add_schedule(&schedule, e->conf);
	if (row_read(&row, run->json, &text) && strcmp(row.schedule, buf_text(&schedule)) == 0) {
		e->listed = true;
		row.done = beat_sane(row.done, now);
		if (row.ran > e->ran) {
			e->ran = row.ran;
			e->runs = row.runs;
		}
		/* Not before the lead: what it sent since then is newer. */
		if (!e->known && b->phase == BEAT_TAKING_STOCK)
			e->plan.done = row.done;
		else
			renew(b, e, row.done, e->paused);
	}
	buf_release(&text);
	buf_release(&schedule);
}

static void
apply_runs(struct beat *b, const struct board_stock *s)
{
	us_t now = clock_wall_us();

	for (size_t i = 0; i < b->book.n; i++)
		b->book.entries[i]->listed = false;
	for (size_t i = 0; i < s->n_runs; i++)
		apply_run(b, &s->runs[i], now);
	for (size_t i = 0; i < b->book.n; i++) {
		struct entry *e = b->book.entries[i];

		e->known = true;
		if (!e->listed)
			share_note(b, e);
	}
}

void
stock_apply(struct beat *b, const struct board_stock *s, bool first)
{
	struct changes n = { 0 };

	apply_entries(b, s, &n);
	/* Later on nobody but this leader writes them. */
	if (first)
		apply_runs(b, s);
	apply_pauses(b, s, first);
	keep_forget_others(b);
	keep_trim(b);
	if (n.added + n.changed + n.removed > 0)
		LOG(BEAT_ENTRIES, LOG_INT("added", n.added), LOG_INT("changed", n.changed),
			LOG_INT("removed", n.removed), LOG_INT("entries", b->book.n));
	if (n.put_off > 0)
		b->share.revision = SHARE_BEHIND;
	if (b->phase == BEAT_LEADING)
		firing_arm(b, 0);
	b->dirty = true;
}
