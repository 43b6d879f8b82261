/*
 * The state file of a running scheduler. It is for restarts, and may lag behind what is settled: that travels with the baton (lease.h), and through
 * Redis when there is one. Written every few seconds when something has changed, and at the end.
 */
#include "beat/inside.h"

#include <malloc.h>

#include "base/clock.h"
#include "base/log.h"

#define SAVE_MS 10000

void
keep_open(struct beat *b)
{
	struct errtext t = { "" };

	if (b->conf->no_state) {
		map_init(&b->state.rows);
		return;
	}
	switch (state_open(&b->state, b->conf->state_path, &t)) {
	case STATE_READ:
	case STATE_NEW:
		LOG(BEAT_STATE, LOG_STR("path", b->state.path));
		break;
	case STATE_PUT_ASIDE:
		LOG(BEAT_STATE_CORRUPT, LOG_STR("why", t.text));
		break;
	case STATE_NONE:
		LOG(BEAT_STATE_NONE, LOG_STR("why", t.text));
		break;
	}
}

void
keep_recall(struct beat *b, struct entry *e)
{
	const struct row *row = state_get(&b->state, span_of(e->conf->name));
	struct buf text;

	if (row == NULL)
		return;
	buf_init(&text, 0);
	entry_add_schedule(&text, e->conf);
	if (strcmp(row->schedule, buf_text(&text)) == 0) {
		us_t done = beat_sane(row->done, clock_wall_us());

		/* One of Redis is not older than it was added there. */
		if (!e->of_redis || done > e->plan.done)
			e->plan.done = done;
		e->ran = row->ran;
		e->runs = row->runs;
		e->known = true;
	}
	buf_release(&text);
	state_forget(&b->state, span_of(e->conf->name));
}

void
keep_forget_others(struct beat *b)
{
	struct map_iter it = { 0 };

	while (map_next(&b->state.rows, &it))
		if (book_find(&b->book, it.key) == NULL)
			state_forget(&b->state, it.key);
}

/* The book has them all; the state has only what is no entry, or not one yet. */
static void
add_entries(void *owner, struct js *w)
{
	const struct beat *b = owner;
	struct buf text;

	buf_init(&text, 0);
	for (size_t i = 0; i < b->book.n; i++) {
		const struct entry *en = b->book.entries[i];

		buf_reset(&text);
		entry_add_schedule(&text, en->conf);
		js_key_span(w, span_of(en->conf->name));
		row_add(w, &(struct row){ buf_text(&text), en->plan.done, en->ran, en->runs });
	}
	if (w->b->err == E_OK)
		w->b->err = text.err;
	buf_release(&text);
}

void
keep_save(struct beat *b)
{
	const struct state_source entries = { .add = add_entries, .owner = b };
	struct errtext t = { "" };
	enum err e;

	if (!b->dirty || b->state.path == NULL)
		return;
	e = state_save(&b->state, &entries, &t);
	b->dirty = e != E_OK;
	if (e != E_OK && !b->save_failed)
		LOG(BEAT_STATE_UNSAVED, LOG_STR("why", t.text));
	else if (e == E_OK && b->save_failed)
		LOG(BEAT_STATE_SAVED, LOG_STR("path", b->state.path));
	b->save_failed = e != E_OK;
}

static void
trim(void *owner UNUSED)
{
	malloc_trim(0);
}

void
keep_trim(struct beat *b)
{
	loop_defer(b->loop, LOOP_FLUSH, &b->trimming, trim, b);
}

void
keep_on_timer(void *owner)
{
	struct beat *b = owner;

	keep_save(b);
	loop_timer_arm(&b->save, SAVE_MS);
}
