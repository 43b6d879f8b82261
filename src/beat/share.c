/*
 * A leader and Redis. Taking the lead it takes the next token and reads everything; then it looks once a second whether somebody has changed an
 * entry, or has a newer token, and writes the row of each entry that was settled.
 *
 *   no token --(up, leading)--> reading --> token: looking, writing --> no token (lead lost, connection lost)
 *
 * The lead is the broker's to give (lease.h). The token makes sure of what the broker cannot: nothing that a former leader still writes here
 * counts, and two that both lead, because their brokers know nothing of each other, find out.
 */
#include "beat/inside.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#define LOOK_MS 1000
#define GLANCE_MS 10000 /* of one that stands by */
/* As long as the lease is good without an answer. */
#define GOOD_MS 5000
/* A leader that another one has outrun lets it be for so long. */
#define YIELD_MS 10000

static void write_rows(void *owner);

static void
say_lost(struct beat *b, const char *why)
{
	if (b->share.is_lost)
		return;
	b->share.is_lost = true;
	LOG(BEAT_STORE_LOST, LOG_STR("url", board_url(b->share.board)), LOG_STR("why", why),
		LOG_STR("hint",
			b->conf->needs_store ? "nothing is sent meanwhile" : "going on with what is known"));
}

static void
say_back(struct beat *b)
{
	if (b->share.is_lost)
		LOG(BEAT_STORE_BACK, LOG_STR("url", board_url(b->share.board)));
	b->share.is_lost = false;
}

static void
depose(struct beat *b, struct span by)
{
	char node[256];

	snprintf(node, sizeof(node), "%.*s", SPAN_FMT(by));
	LOG(BEAT_DEPOSED, LOG_STR("node", b->conf->node), LOG_STR("other", node));
	lease_yield(&b->lease, YIELD_MS);
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

static bool read_stock(struct beat *b);

/* It is not ours any more. */
static void
compare_token(struct beat *b, const struct board_stock *s)
{
	if (s->token > b->share.token) {
		depose(b, s->leader);
		return;
	}
	/* Emptied, or replaced by an older copy: what it must know is told again, under a new token. */
	b->share.token = 0;
	(void)!read_stock(b);
}

static void
on_stock(void *owner, enum err e, const struct board_stock *s, const char *why)
{
	struct beat *b = owner;
	struct share *sh = &b->share;
	bool is_current = sh->asked_turn == sh->turn, is_first;

	if (e == E_OK)
		sh->heard = sh->asked;
	sh->asked = 0;
	if (b->phase == BEAT_STANDING_BY)
		return;
	if (e != E_OK) {
		/* After a lost connection on_up asks again, else the timer does. */
		say_lost(b, why);
		if (b->phase == BEAT_TAKING_STOCK && !b->conf->needs_store)
			beat_go(b);
		return;
	}
	say_back(b);
	if (!is_current) {
		/* Put when the lead was ours before: that token is not the one of this time. */
		(void)!read_stock(b);
		return;
	}
	if (sh->token != 0 && s->token != sh->token) {
		compare_token(b, s);
		return;
	}
	is_first = sh->token == 0;
	sh->token = s->token;
	sh->revision = s->revision;
	stock_apply(b, s, is_first);
	if (b->phase == BEAT_TAKING_STOCK)
		beat_go(b);
	write_rows(b);
}

static bool
read_stock(struct beat *b)
{
	struct share *sh = &b->share;
	enum err e;

	if (sh->asked != 0)
		return true;
	sh->asked = clock_boot_ms();
	sh->asked_turn = sh->turn;
	e = board_read(sh->board, sh->token == 0 ? b->conf->node : NULL, b->schedule, on_stock, b);
	if (e != E_OK)
		sh->asked = 0;
	return e == E_OK;
}

static void
on_look(void *owner, enum err e, const struct board_stock *s, const char *why)
{
	struct beat *b = owner;
	struct share *sh = &b->share;

	if (e == E_OK)
		sh->heard = sh->asked;
	sh->asked = 0;
	if (e == E_OK && b->phase == BEAT_STANDING_BY)
		beat_compare(b, s->leader, s->schedule);
	/* The lead came while this was under way. */
	if (b->phase == BEAT_TAKING_STOCK && sh->token == 0)
		(void)!read_stock(b);
	if (b->phase != BEAT_LEADING || sh->token == 0)
		return;
	if (e != E_OK) {
		say_lost(b, why);
		return;
	}
	say_back(b);
	if (s->token != sh->token)
		compare_token(b, s);
	else if (s->revision != sh->revision)
		(void)!read_stock(b);
}

static void
look(struct beat *b)
{
	struct share *sh = &b->share;

	if (sh->asked != 0)
		return;
	sh->asked = clock_boot_ms();
	if (board_look(sh->board, on_look, b) != E_OK)
		sh->asked = 0;
}

static void
on_timer(void *owner)
{
	struct beat *b = owner;
	struct share *sh = &b->share;
	bool stands_by = b->phase == BEAT_STANDING_BY;

	loop_timer_arm(&sh->look, stands_by ? GLANCE_MS : LOOK_MS);
	if (stands_by && board_is_up(sh->board))
		look(b);
	if (stands_by || sh->asked != 0)
		return;
	if (!board_is_up(sh->board)) {
		if (b->phase == BEAT_TAKING_STOCK && !b->conf->needs_store)
			beat_go(b);
		return;
	}
	if (sh->token == 0) {
		(void)!read_stock(b);
		return;
	}
	look(b);
	write_rows(b);
}

/* --- writing ----------------------------------------------------------------------------------------------------------- */

static void
on_written(void *owner, enum err e, const char *why)
{
	struct beat *b = owner;
	struct share *sh = &b->share;

	sh->is_writing = false;
	if (b->phase != BEAT_LEADING || sh->token == 0)
		return;
	if (e == E_EXISTS)
		look(b); /* which tells whose it is */
	else if (e == E_OK)
		write_rows(b);
	else {
		say_lost(b, why);
		/* Which of them have arrived nobody knows. */
		for (size_t i = 0; i < b->book.n; i++)
			share_note(b, b->book.entries[i]);
	}
}

static enum err
add_run(struct buf *rows, const struct entry *e, size_t *at)
{
	struct buf schedule;
	struct js w;

	*at = rows->len;
	buf_init(&schedule, 0);
	entry_add_schedule(&schedule, e->conf);
	js_init(&w, rows);
	row_add(&w, &(struct row){ buf_text(&schedule), e->plan.done, e->ran, e->runs });
	buf_release(&schedule);
	return rows->err;
}

/* What cannot be written now stays in the list. */
static void
write_rows(void *owner)
{
	struct beat *b = owner;
	struct share *sh = &b->share;
	struct board_run *runs;
	size_t n = 0, *at;
	struct list *it, *tmp;
	struct buf rows;
	enum err e = E_OK;

	if (sh->is_writing || sh->token == 0 || b->phase != BEAT_LEADING || list_is_empty(&sh->unsaved) ||
		!board_is_up(sh->board))
		return;
	runs = must_alloc(BOARD_ROWS_MAX * sizeof(*runs));
	at = must_alloc((BOARD_ROWS_MAX + 1) * sizeof(*at));
	buf_init(&rows, 0);
	LIST_EACH (&sh->unsaved, it, tmp) {
		const struct entry *en = container_of(it, struct entry, unsaved);

		if (n == BOARD_ROWS_MAX || e != E_OK)
			break;
		runs[n].name = span_of(en->conf->name);
		e = add_run(&rows, en, &at[n++]);
	}
	at[n] = rows.len;
	for (size_t i = 0; e == E_OK && i < n; i++)
		runs[i].json = (struct span){ rows.data + at[i], at[i + 1] - at[i] };
	if (e == E_OK)
		e = board_write(sh->board, sh->token, runs, n, on_written, b);
	sh->is_writing = e == E_OK;
	for (size_t i = 0; e == E_OK && i < n; i++)
		(void)list_pop(&sh->unsaved);
	buf_release(&rows);
	alloc_free(at);
	alloc_free(runs);
}

void
share_note(struct beat *b, struct entry *e)
{
	struct share *sh = &b->share;

	if (sh->board == NULL)
		return;
	if (!list_is_linked(&e->unsaved))
		list_push(&sh->unsaved, &e->unsaved);
	loop_defer(b->loop, LOOP_FLUSH, &sh->flush, write_rows, b);
}

bool
share_is_written(const struct beat *b)
{
	const struct share *sh = &b->share;

	return sh->token == 0 || !board_is_up(sh->board) || (!sh->is_writing && list_is_empty(&sh->unsaved));
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

bool
share_take(struct beat *b)
{
	struct share *sh = &b->share;

	sh->token = 0;
	if (sh->board == NULL)
		return false;
	loop_timer_arm(&sh->look, LOOK_MS);
	/* One that is not there yet has until the timer looks. */
	if (board_is_up(sh->board))
		(void)!read_stock(b);
	return true;
}

void
share_lose(struct beat *b)
{
	struct share *sh = &b->share;

	sh->token = 0;
	sh->turn++;
	while (sh->board != NULL && list_pop(&sh->unsaved) != NULL)
		;
}

bool
share_allows(const struct beat *b)
{
	const struct share *sh = &b->share;

	if (sh->board == NULL || !b->conf->needs_store)
		return true;
	return sh->token != 0 && clock_boot_ms() - sh->heard < GOOD_MS;
}

static void
on_up(void *owner)
{
	struct beat *b = owner;

	if (b->phase != BEAT_STANDING_BY)
		(void)!read_stock(b);
	else
		say_back(b);
}

static void
on_down(void *owner, const struct rds_down *d)
{
	struct beat *b = owner;

	/* Who only stands by needs nothing of it now; yet a wrong address must not come to light at the next fail-over. */
	say_lost(b, d->text);
}

enum err
share_open(struct beat *b, struct errtext *t)
{
	static const struct board_ops ops = { .on_up = on_up, .on_down = on_down };
	struct board_conf conf = b->conf->store;
	struct share *sh = &b->share;
	enum err e;

	list_init(&sh->unsaved);
	if (conf.url == NULL)
		return E_OK;
	conf.group = b->conf->group;
	e = loop_timer_init(&sh->look, b->loop, on_timer, b);
	if (e != E_OK)
		return err_set(t, e, "%s", err_name(e));
	e = board_new(&sh->board, b->loop, &conf, &ops, b, t);
	if (e != E_OK)
		return err_prefix(t, e, "beat_store");
	loop_timer_arm(&sh->look, LOOK_MS);
	return E_OK;
}

void
share_close(struct beat *b)
{
	struct share *sh = &b->share;

	if (sh->board == NULL)
		return;
	board_close(sh->board);
	sh->board = NULL;
	loop_undefer(&sh->flush);
	loop_timer_release(&sh->look);
}
