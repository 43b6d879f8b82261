/* Scripts, and the parsing of what they answer. Answers are words ("ok", "exists", ...) or, for reading, one array of everything. */
#include "beat/board.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/text.h"

/* In the order in which every script gets them. */
enum key { K_REVISION, K_TOKEN, K_LEADER, K_ENTRIES, K_PAUSES, K_RUNS, KEYS };
static const char *const key_names[KEYS] = { "revision", "token", "leader", "entries", "pauses", "runs" };

#define ARGS_MAX (2 + 2 * BOARD_ROWS_MAX)
/* Of the answers of look_script and read_script. */
#define LOOK_ITEMS 4
#define STOCK_ITEMS 7

#define NOW "local t = redis.call('TIME') local now = string.format('%d%06d', t[1], t[2])\n"
#define CHANGED "redis.call('INCR', KEYS[1]) return 'ok'\n"

/* ARGV: the node of a new leader, or "", and its schedule. */
static const char read_script[] =
	"local token = redis.call('GET', KEYS[2]) or '0'\n"
	"if ARGV[1] ~= '' then\n" NOW "  token = tostring(redis.call('INCR', KEYS[2]))\n"
	"  redis.call('HSET', KEYS[3], 'node', ARGV[1], 'token', token, 'since', now, 'schedule', ARGV[2])\n"
	"end\n"
	"return {redis.call('GET', KEYS[1]) or '0', token, redis.call('HGET', KEYS[3], 'node') or '',\n"
	"  redis.call('HGET', KEYS[3], 'schedule') or '',\n"
	"  redis.call('HGETALL', KEYS[4]), redis.call('HGETALL', KEYS[5]), redis.call('HGETALL', KEYS[6])}\n";
static const char look_script[] =
	"return {redis.call('GET', KEYS[1]) or '0', redis.call('GET', KEYS[2]) or "
	"'0', redis.call('HGET', KEYS[3], 'node') or '', redis.call('HGET', KEYS[3], 'schedule') or ''}\n";
/* ARGV: token, name, row, name, row... */
static const char write_script[] =
	"if tonumber(redis.call('GET', KEYS[2]) or '0') > tonumber(ARGV[1]) then return 'exists' end\n"
	"for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[6], ARGV[i], ARGV[i + 1]) end\n"
	"return 'ok'\n";
/* ARGV: name, entry. What is left of an earlier one of that name is not its own. */
static const char add_script[] =
	"if redis.call('HEXISTS', KEYS[4], ARGV[1]) == 1 then return 'exists' end\n" NOW
	"redis.call('HSET', KEYS[4], ARGV[1], now .. ' ' .. ARGV[2])\n"
	"redis.call('HDEL', KEYS[5], ARGV[1])\n"
	"redis.call('HDEL', KEYS[6], ARGV[1])\n" CHANGED;
/* ARGV: name, old entry, new entry, "1" when it counts anew. */
static const char edit_script[] =
	"local was = redis.call('HGET', KEYS[4], ARGV[1])\n"
	"if not was then return 'missing' end\n"
	"local since, json = string.match(was, '^(%d+) (.*)$')\n"
	"if json ~= ARGV[2] then return 'exists' end\n" NOW "if ARGV[4] == '1' then since = now end\n"
	"redis.call('HSET', KEYS[4], ARGV[1], since .. ' ' .. ARGV[3])\n" CHANGED;
static const char remove_script[] = "if redis.call('HDEL', KEYS[4], ARGV[1]) == 0 then return 'missing' end\n"
				    "redis.call('HDEL', KEYS[5], ARGV[1])\n"
				    "redis.call('HDEL', KEYS[6], ARGV[1])\n" CHANGED;
/* ARGV: name, "paused" or "resumed". */
static const char pause_script[] =
	"local is = string.match(redis.call('HGET', KEYS[5], ARGV[1]) or 'resumed 0', '^%a+')\n"
	"if is == ARGV[2] then return 'exists' end\n" NOW
	"redis.call('HSET', KEYS[5], ARGV[1], ARGV[2] .. ' ' .. now)\n" CHANGED;

struct board {
	struct rds *rds;
	char *keys[KEYS];
	const struct board_ops *ops;
	void *owner;
	struct list asked;
};

struct asked {
	struct list link;
	board_stock_fn *stock_fn; /* one of the two */
	board_fn *fn;
	void *owner;
};

/* --- answers ----------------------------------------------------------------------------------------------------------- */

static int64_t
number(const struct rds_reply *r)
{
	int64_t v = 0;

	return text_parse_int(r->str, &v) ? v : 0;
}

/* Field and value after the other, as HGETALL gives them. */
static size_t
count_pairs(const struct rds_reply *r)
{
	return r->type == RDS_ARRAY ? r->n_items / 2 : 0;
}

/* "paused 1795229760651564": the word, and the time behind it. */
static struct span
split_time(struct span value, us_t *since)
{
	struct span word = span_split(&value, ' ');

	if (!text_parse_int(value, since))
		*since = 0;
	return word;
}

static void
hand_on(const struct asked *a, const struct rds_reply *r)
{
	const struct rds_reply *hashes = r->n_items == STOCK_ITEMS ? r->items + LOOK_ITEMS : NULL;
	struct board_stock s = { .revision = number(&r->items[0]), .token = number(&r->items[1]) };
	struct board_entry *entries;
	struct board_pause *pauses;
	struct board_run *runs;

	if (r->items[2].str.len > 0)
		s.leader = r->items[2].str;
	s.schedule = r->items[3].str;
	if (hashes == NULL) {
		a->stock_fn(a->owner, E_OK, &s, "");
		return;
	}
	s.n_entries = count_pairs(&hashes[0]);
	s.n_pauses = count_pairs(&hashes[1]);
	s.n_runs = count_pairs(&hashes[2]);
	s.entries = entries = must_alloc((s.n_entries + 1) * sizeof(*entries));
	s.pauses = pauses = must_alloc((s.n_pauses + 1) * sizeof(*pauses));
	s.runs = runs = must_alloc((s.n_runs + 1) * sizeof(*runs));
	for (size_t i = 0; i < s.n_entries; i++) {
		struct span json = hashes[0].items[2 * i + 1].str, since = span_split(&json, ' ');

		entries[i] = (struct board_entry){ .name = hashes[0].items[2 * i].str,
			.json = json.ptr ? json : SPAN("") };
		if (!text_parse_int(since, &entries[i].since))
			entries[i].since = 0;
	}
	for (size_t i = 0; i < s.n_pauses; i++) {
		pauses[i].name = hashes[1].items[2 * i].str;
		pauses[i].paused =
			span_is(split_time(hashes[1].items[2 * i + 1].str, &pauses[i].since), "paused");
	}
	for (size_t i = 0; i < s.n_runs; i++)
		runs[i] = (struct board_run){ hashes[2].items[2 * i].str, hashes[2].items[2 * i + 1].str };
	a->stock_fn(a->owner, E_OK, &s, "");
	alloc_free(entries);
	alloc_free(pauses);
	alloc_free(runs);
}

static enum err
verdict(struct span word)
{
	return span_is(word, "ok")         ? E_OK
		: span_is(word, "exists")  ? E_EXISTS
		: span_is(word, "missing") ? E_MISSING
					   : E_FORMAT;
}

static void
on_answer(void *owner, enum err e, const struct rds_reply *r)
{
	struct asked *a = owner;
	struct errtext t = { "" };

	list_unlink(&a->link);
	if (e != E_OK)
		err_set(&t, e, "%s", e == E_TIMEOUT ? "no answer in time" : "the connection was lost");
	else if (r->type == RDS_ERROR)
		e = err_set(&t, E_REFUSED, "%.*s", SPAN_FMT(r->str));
	else if (a->fn == NULL &&
		(r->type != RDS_ARRAY || (r->n_items != STOCK_ITEMS && r->n_items != LOOK_ITEMS)))
		e = err_set(&t, E_FORMAT, "an answer of another form than expected");
	if (a->fn != NULL)
		a->fn(a->owner, e == E_OK ? verdict(r->str) : e, t.text);
	else if (e == E_OK)
		hand_on(a, r);
	else
		a->stock_fn(a->owner, e, NULL, t.text);
	alloc_free(a);
}

/* --- questions --------------------------------------------------------------------------------------------------------- */

static enum err
run(struct board *g, const char *script, const struct span *args, size_t n_args, const struct asked *how)
{
	size_t n = 3 + KEYS + n_args, i;
	struct span *argv = must_alloc(n * sizeof(*argv));
	struct asked *a = must_alloc(sizeof(*a));
	enum err e;

	argv[0] = SPAN("EVAL");
	argv[1] = span_of(script);
	argv[2] = SPAN("6");
	for (i = 0; i < KEYS; i++)
		argv[3 + i] = span_of(g->keys[i]);
	for (i = 0; i < n_args; i++)
		argv[3 + KEYS + i] = args[i];
	*a = *how;
	e = rds_command(g->rds, argv, n, 0, on_answer, a);
	if (e == E_OK)
		list_push(&g->asked, &a->link);
	else
		alloc_free(a);
	alloc_free(argv);
	return e;
}

enum err
board_read(struct board *g, const char *node, const char *schedule, board_stock_fn *fn, void *owner)
{
	const struct span args[] = { span_of(node ? node : ""), span_of(schedule ? schedule : "") };

	return run(g, read_script, args, ARRAY_LEN(args), &(struct asked){ .stock_fn = fn, .owner = owner });
}

enum err
board_look(struct board *g, board_stock_fn *fn, void *owner)
{
	return run(g, look_script, NULL, 0, &(struct asked){ .stock_fn = fn, .owner = owner });
}

enum err
board_write(struct board *g, int64_t token, const struct board_run *runs, size_t n, board_fn *fn, void *owner)
{
	struct span *args = must_alloc(ARGS_MAX * sizeof(*args));
	char text[24];
	enum err e;

	assert(n <= BOARD_ROWS_MAX);
	snprintf(text, sizeof(text), "%lld", (long long)token);
	args[0] = span_of(text);
	for (size_t i = 0; i < n; i++) {
		args[1 + 2 * i] = runs[i].name;
		args[2 + 2 * i] = runs[i].json;
	}
	e = run(g, write_script, args, 1 + 2 * n, &(struct asked){ .fn = fn, .owner = owner });
	alloc_free(args);
	return e;
}

enum err
board_add(struct board *g, struct span name, struct span json, board_fn *fn, void *owner)
{
	const struct span args[] = { name, json };

	return run(g, add_script, args, ARRAY_LEN(args), &(struct asked){ .fn = fn, .owner = owner });
}

enum err
board_edit(struct board *g, struct span name, struct span old, struct span json, bool anew, board_fn *fn,
	void *owner)
{
	const struct span args[] = { name, old, json, anew ? SPAN("1") : SPAN("0") };

	return run(g, edit_script, args, ARRAY_LEN(args), &(struct asked){ .fn = fn, .owner = owner });
}

enum err
board_remove(struct board *g, struct span name, board_fn *fn, void *owner)
{
	return run(g, remove_script, &name, 1, &(struct asked){ .fn = fn, .owner = owner });
}

enum err
board_pause(struct board *g, struct span name, bool paused, board_fn *fn, void *owner)
{
	const struct span args[] = { name, paused ? SPAN("paused") : SPAN("resumed") };

	return run(g, pause_script, args, ARRAY_LEN(args), &(struct asked){ .fn = fn, .owner = owner });
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static void
on_up(void *owner)
{
	struct board *g = owner;

	g->ops->on_up(g->owner);
}

static void
on_down(void *owner, const struct rds_down *d)
{
	struct board *g = owner;

	g->ops->on_down(g->owner, d);
}

enum err
board_new(struct board **out, struct loop *l, const struct board_conf *c, const struct board_ops *ops,
	void *owner, struct errtext *t)
{
	static const struct rds_ops rds_ops = { .on_up = on_up, .on_down = on_down };
	struct rds_conf conf = {
		.url = c->url, .connect_ms = c->connect_ms, .command_ms = c->command_ms, .tls = c->tls
	};
	const char *prefix = c->prefix ? c->prefix : "";
	struct board *g = must_alloc(sizeof(*g));
	enum err e;

	g->ops = ops;
	g->owner = owner;
	list_init(&g->asked);
	/* The braces keep all keys of a group on one node of a cluster. */
	for (int i = 0; i < KEYS; i++)
		g->keys[i] = must_printf("%s%swarren:beat:{%s}:%s", prefix, backend_prefix_joint(prefix),
			c->group, key_names[i]);
	e = rds_new(&g->rds, l, &conf, &rds_ops, g, t);
	if (e != E_OK) {
		board_close(g);
		return e;
	}
	rds_start(g->rds);
	*out = g;
	return E_OK;
}

void
board_close(struct board *g)
{
	struct list *it;

	if (g == NULL)
		return;
	rds_close(g->rds);
	while ((it = list_pop(&g->asked)) != NULL)
		alloc_free(container_of(it, struct asked, link));
	for (int i = 0; i < KEYS; i++)
		alloc_free(g->keys[i]);
	alloc_free(g);
}

bool
board_is_up(const struct board *g)
{
	return rds_is_up(g->rds);
}

const char *
board_url(const struct board *g)
{
	return rds_url(g->rds);
}
