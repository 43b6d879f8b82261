/*
 * Notes of runs as Redis strings, "<prefix>warren:run:<id>". A note lives for a day and the lease: as long as more than a day is left, the
 * lease lasts, so that no clock but Redis's own is asked and a renewal is a plain SET.
 */
#include "backend/redis_backend.h"

#include "base/alloc.h"

/* In milliseconds. */
#define KEEP 86400000

/*
 * KEYS: note, result. ARGV: retries, lost, requeued, owner, how long the new note lives, KEEP, "1" = a final result counts, the words of the
 * new note. Answers are lists whose first word is the verdict.
 */
static const char claim_script[] =
	"if ARGV[7] == '1' then\n"
	"  local meta = redis.pcall('GET', KEYS[2])\n"
	"  if type(meta) == 'string' then\n"
	"    local state = string.match(meta, '^{\"status\": ?\"([^\"]*)\"')\n"
	"    if not state then\n"
	"      local fine, all = pcall(cjson.decode, meta)\n"
	"      state = fine and type(all) == 'table' and all['status']\n"
	"    end\n"
	"    if state == 'SUCCESS' or state == 'FAILURE' or state == 'REVOKED' then return {'done', meta} end\n"
	"  end\n"
	"end\n"
	"local deaths, last = 0, ''\n"
	"local old = redis.pcall('GET', KEYS[1])\n"
	"if type(old) == 'table' then return old end\n"
	"if old then\n"
	"  local a, b, c, state, dead, owner, words = string.match(old, '^(%d+) (%d+) (%d+) (%a) (%d+) (%S+) (.*)$')\n"
	"  if a then\n"
	"    local was, mine, order = {a, b, c}, {ARGV[1], ARGV[2], ARGV[3]}, 0\n"
	"    for i = 1, 3 do\n"
	"      if order == 0 then order = tonumber(mine[i]) - tonumber(was[i]) end\n"
	"    end\n"
	"    if order < 0 or (order == 0 and state == 'd') then return {'over'} end\n"
	"    if order == 0 and state == 'm' then return {'moved', words} end\n"
	"    if order == 0 then\n"
	"      deaths = tonumber(dead)\n"
	"      if (state == 'r' or state == 'c') and owner ~= ARGV[4] then\n"
	"        local left = redis.call('PTTL', KEYS[1]) - tonumber(ARGV[6])\n"
	"        if left > 0 then return {'held', words, left} end\n"
	"        if state == 'r' then deaths, last = deaths + 1, words end\n"
	"      end\n"
	"    end\n"
	"  end\n"
	"end\n"
	"local done = redis.pcall('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3] .. ' c ' .. deaths .. ' ' .. ARGV[4] .. ' ' .. ARGV[8],\n"
	"  'PX', ARGV[5])\n"
	"if done['err'] then return done end\n"
	"return {'free', last, deaths}\n";

struct noted {
	struct list link;
	backend_note_fn *fn;
	backend_claim_fn *claim;
	void *owner;
};

static struct redis_backend *
redis_of(const struct backend *b)
{
	return container_of(b, struct redis_backend, base);
}

void
redis_note_key(const struct redis_backend *rb, struct buf *key, struct span id)
{
	buf_reset(key);
	buf_add(key, (struct span){ rb->prefix, rb->own_prefix });
	buf_adds(key, "warren:run:");
	buf_add(key, id);
}

/* --- answers ----------------------------------------------------------------------------------------------------------- */

static void
tell(const struct noted *n, enum err e, const struct note_answer *a, const char *why)
{
	if (n->claim != NULL)
		n->claim(n->owner, e, a, why);
	else if (n->fn != NULL)
		n->fn(n->owner, e, why);
}

static void
tell_done(const struct noted *n, struct span meta)
{
	struct note_answer a = { .verdict = NOTE_IS_DONE };
	struct result r;
	struct arena arena;
	struct errtext t;
	enum err e;

	arena_init(&arena, 0);
	e = result_decode(&r, meta, &arena, &t);
	a.stored = &r;
	tell(n, e == E_OK ? E_OK : E_REFUSED, &a, e == E_OK ? "" : t.text);
	arena_release(&arena);
}

static void
tell_claim(const struct noted *n, const struct rds_reply *r)
{
	static const struct {
		const char *word;
		size_t n_items;
		enum note_verdict verdict;
	} rows[] = {
		{ "free", 3, NOTE_IS_FREE },
		{ "held", 3, NOTE_IS_HELD },
		{ "moved", 2, NOTE_HAS_MOVED },
		{ "over", 1, NOTE_WAS_OVER },
		{ "done", 2, NOTE_IS_DONE },
	};
	struct note_answer a = { .deaths = 0 };

	for (size_t i = 0; r->type == RDS_ARRAY && i < ARRAY_LEN(rows); i++) {
		if (r->n_items != rows[i].n_items || !span_is(r->items[0].str, rows[i].word))
			continue;
		a.verdict = rows[i].verdict;
		if (a.verdict == NOTE_IS_DONE) {
			tell_done(n, r->items[1].str);
			return;
		}
		a.words = r->n_items > 1 ? r->items[1].str : SPAN_NONE;
		if (a.verdict == NOTE_IS_FREE)
			a.deaths = r->items[2].integer;
		else if (a.verdict == NOTE_IS_HELD)
			a.left_ms = r->items[2].integer;
		tell(n, E_OK, &a, "");
		return;
	}
	tell(n, E_REFUSED, NULL, "an answer that makes no sense");
}

static void
on_answer(void *owner, enum err e, const struct rds_reply *r)
{
	struct noted *n = owner;
	struct errtext t;

	list_unlink(&n->link);
	if (e != E_OK) {
		tell(n, E_CLOSED, NULL, err_name(e));
	} else if (r->type == RDS_ERROR) {
		(void)err_set(&t, E_REFUSED, "%.*s", SPAN_FMT(r->str));
		tell(n, rds_will_pass(r) ? E_AGAIN : E_REFUSED, NULL, t.text);
	} else if (n->claim != NULL) {
		tell_claim(n, r);
	} else {
		tell(n, E_OK, NULL, "");
	}
	alloc_free(n);
}

/* --- asking ------------------------------------------------------------------------------------------------------------ */

static enum err
send(struct redis_backend *rb, const struct span *argv, size_t argc, const struct noted *what)
{
	struct noted *n = alloc_zero(sizeof(*n));
	enum err e;

	if (n == NULL)
		return E_NOMEM;
	*n = *what;
	e = rds_command(rb->rds, argv, argc, 0, on_answer, n);
	if (e == E_OK)
		list_push(&rb->noted, &n->link);
	else
		alloc_free(n);
	return e;
}

static struct span
number(char digits[24], int64_t n)
{
	snprintf(digits, 24, "%lld", (long long)n);
	return span_of(digits);
}

enum err
redis_note(struct backend *b, const struct note *n, backend_note_fn *fn, void *owner)
{
	struct redis_backend *rb = redis_of(b);
	bool is_nothing = n->state == NOTE_FREE && n->deaths == 0;
	char digits[24];
	struct span argv[] = { SPAN("SET"), SPAN_NONE, SPAN_NONE, SPAN("PX"), SPAN_NONE };

	redis_note_key(rb, &rb->key, n->id);
	buf_reset(&rb->text);
	note_add_text(&rb->text, n);
	if (rb->key.err != E_OK || rb->text.err != E_OK)
		return E_NOMEM;
	argv[1] = buf_span(&rb->key);
	argv[2] = buf_span(&rb->text);
	argv[4] = number(digits,
		n->state == NOTE_RUNS || n->state == NOTE_TAKEN ? KEEP + rb->lease_ms
			: n->state == NOTE_OVER                 ? REDIS_NOTE_KEEP_OVER
								: KEEP);
	if (is_nothing)
		argv[0] = SPAN("DEL");
	return send(rb, argv, is_nothing ? 2 : ARRAY_LEN(argv), &(struct noted){ .fn = fn, .owner = owner });
}

enum err
redis_claim(struct backend *b, const struct note *n, bool wants_result, backend_claim_fn *fn, void *owner)
{
	struct redis_backend *rb = redis_of(b);
	char digits[5][24];
	struct buf note_key;
	struct span argv[] = { SPAN("EVAL"), SPAN(claim_script), SPAN("2"), SPAN_NONE, redis_key(rb, n->id),
		number(digits[0], n->retries), number(digits[1], n->lost), number(digits[2], n->requeued),
		n->owner, number(digits[3], KEEP + rb->lease_ms), number(digits[4], KEEP),
		wants_result ? SPAN("1") : SPAN("0"), n->words };
	enum err e = E_NOMEM;

	buf_init(&note_key, 0);
	redis_note_key(rb, &note_key, n->id);
	argv[3] = buf_span(&note_key);
	if (note_key.err == E_OK && argv[4].ptr != NULL)
		e = send(rb, argv, ARRAY_LEN(argv), &(struct noted){ .claim = fn, .owner = owner });
	buf_release(&note_key);
	return e;
}

void
redis_note_cancel(struct backend *b, void *owner)
{
	struct list *it, *tmp;

	LIST_EACH (&redis_of(b)->noted, it, tmp) {
		struct noted *n = container_of(it, struct noted, link);

		if (n->owner == owner) {
			n->fn = NULL;
			n->claim = NULL;
		}
	}
}

void
redis_notes_release(struct redis_backend *rb)
{
	struct list *it;

	while ((it = list_pop(&rb->noted)) != NULL)
		alloc_free(container_of(it, struct noted, link));
}
