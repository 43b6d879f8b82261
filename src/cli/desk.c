/* A loop of its own, turned until the answer is there. */
#include "cli/desk.h"

#include "base/clock.h"

static void
on_up(void *owner UNUSED)
{
}

static void
on_down(void *owner, const struct rds_down *down)
{
	struct desk *d = owner;

	d->why_err = err_set(&d->why, down->err, "cannot reach %s (%s)", down->url, down->text);
}

/* Until it is up, or the first attempt has failed. */
static enum err
connect(struct desk *d, struct errtext *t)
{
	ms_t until = clock_mono_ms() + d->wait_ms;

	while (!board_is_up(d->board) && d->why_err == E_OK && clock_mono_ms() < until)
		loop_turn(d->loop, until - clock_mono_ms());
	if (board_is_up(d->board))
		return E_OK;
	if (d->why_err == E_OK)
		return err_set(t, E_TIMEOUT, "cannot reach %s in time", board_url(d->board));
	return err_set(t, d->why_err == E_SYS ? E_CLOSED : d->why_err, "%s", d->why.text);
}

enum err
desk_open(struct desk *d, struct cli *cli, ms_t wait_ms, struct errtext *t)
{
	static const struct board_ops ops = { .on_up = on_up, .on_down = on_down };
	struct board_conf conf;
	enum err e;

	*d = (struct desk){ .wait_ms = wait_ms > 0 ? wait_ms : cli->conf.o.connect_timeout };
	setup_store(cli, &conf);
	if (conf.url == NULL)
		return err_set(t, E_CONF,
			"entries are added, changed and paused in Redis, and there is none: give "
			"--beat-store redis://... (or set "
			"beat_store, or a result_backend that is Redis), the same as the schedulers have");
	d->loop = loop_new(t);
	if (d->loop == NULL)
		return E_SYS;
	e = board_new(&d->board, d->loop, &conf, &ops, d, t);
	return e == E_OK ? connect(d, t) : e;
}

void
desk_close(struct desk *d)
{
	board_close(d->board);
	if (d->loop != NULL) {
		loop_settle(d->loop, 0);
		loop_free(d->loop);
	}
	arena_release(&d->arena);
	*d = (struct desk){ 0 };
}

/* --- questions --------------------------------------------------------------------------------------------------------- */

static enum err
wait(struct desk *d, enum err asked, struct errtext *t)
{
	d->answered = false;
	if (asked != E_OK)
		return err_set(t, E_CLOSED, "%s does not take the question now: %s", board_url(d->board),
			err_name(asked));
	/* Every command has a time limit, so this ends. */
	while (!d->answered)
		loop_turn(d->loop, -1);
	if (d->text.text[0] != '\0')
		err_set(t, d->err, "%s: %s", board_url(d->board), d->text.text);
	return d->err;
}

static void
on_done(void *owner, enum err e, const char *why)
{
	struct desk *d = owner;

	d->answered = true;
	d->err = err_set(&d->text, e, "%s", why);
}

static struct span
keep(struct desk *d, struct span s)
{
	struct span copy = arena_dup(&d->arena, s);

	if (copy.ptr == NULL)
		d->err = err_set(&d->text, E_NOMEM, "out of memory");
	return copy;
}

static void *
keep_array(struct desk *d, const void *from, size_t bytes)
{
	void *copy = arena_alloc(&d->arena, bytes + 1);

	if (copy == NULL)
		d->err = err_set(&d->text, E_NOMEM, "out of memory");
	else if (bytes > 0)
		memcpy(copy, from, bytes);
	return copy;
}

static void
on_stock(void *owner, enum err e, const struct board_stock *s, const char *why)
{
	struct desk *d = owner;
	struct board_entry *entries;
	struct board_pause *pauses;
	struct board_run *runs;

	on_done(d, e, why);
	arena_release(&d->arena);
	d->stock = (struct board_stock){ 0 };
	if (e != E_OK)
		return;
	entries = keep_array(d, s->entries, s->n_entries * sizeof(*entries));
	pauses = keep_array(d, s->pauses, s->n_pauses * sizeof(*pauses));
	runs = keep_array(d, s->runs, s->n_runs * sizeof(*runs));
	if (d->err != E_OK)
		return;
	for (size_t i = 0; i < s->n_entries; i++) {
		entries[i].name = keep(d, entries[i].name);
		entries[i].json = keep(d, entries[i].json);
	}
	for (size_t i = 0; i < s->n_pauses; i++)
		pauses[i].name = keep(d, pauses[i].name);
	for (size_t i = 0; i < s->n_runs; i++) {
		runs[i].name = keep(d, runs[i].name);
		runs[i].json = keep(d, runs[i].json);
	}
	d->stock = *s;
	d->stock.leader = s->leader.ptr ? keep(d, s->leader) : SPAN_NONE;
	d->stock.schedule = SPAN_NONE;
	d->stock.entries = entries;
	d->stock.pauses = pauses;
	d->stock.runs = runs;
}

enum err
desk_read(struct desk *d, struct errtext *t)
{
	return wait(d, board_read(d->board, NULL, NULL, on_stock, d), t);
}

struct span
desk_find(const struct desk *d, struct span name)
{
	for (size_t i = 0; i < d->stock.n_entries; i++)
		if (span_eq(d->stock.entries[i].name, name))
			return d->stock.entries[i].json;
	return SPAN_NONE;
}

enum err
desk_add(struct desk *d, struct span name, struct span json, struct errtext *t)
{
	return wait(d, board_add(d->board, name, json, on_done, d), t);
}

enum err
desk_edit(struct desk *d, struct span name, struct span old, struct span json, bool anew, struct errtext *t)
{
	return wait(d, board_edit(d->board, name, old, json, anew, on_done, d), t);
}

enum err
desk_remove(struct desk *d, struct span name, struct errtext *t)
{
	return wait(d, board_remove(d->board, name, on_done, d), t);
}

enum err
desk_pause(struct desk *d, struct span name, bool paused, struct errtext *t)
{
	return wait(d, board_pause(d->board, name, paused, on_done, d), t);
}
