/*
 * Turns of a rate limit that all workers share (core/limit.h has the rules and why they are so). One key for each bucket, "<prefix>warren:rate:...",
 * which expires when the bucket is full again; one script, by Redis's clock.
 */
#include "backend/redis_backend.h"

#include "base/alloc.h"
#include "base/text.h"

/* KEYS: the bucket. ARGV: microseconds between runs, burst, turn given before (0 = none), how late one may come for it, how far ahead they
 * are given. Answers the wait and the turn, 0 for none. Numbers stay below 2^53. */
static const char script[] =
	"local t = redis.call('TIME')\n"
	"local now = t[1] * 1000000 + t[2]\n"
	"local interval, burst, turn = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])\n"
	"local full = tonumber(redis.call('GET', KEYS[1]) or 0)\n"
	"if full < now then full = now end\n"
	"local start = full - (burst - 1) * interval\n"
	"if start < now then start = now end\n"
	"if turn > 0 and turn >= now - ARGV[4] and turn <= start then\n"
	"  start = turn\n"
	"elseif start - now > tonumber(ARGV[5]) then\n"
	"  return {string.format('%.0f', start - now), '0'}\n"
	"else\n"
	"  full = full + interval\n"
	"  redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', string.format('%.0f', (full - now) / 1000 + 1000))\n"
	"end\n"
	"return {string.format('%.0f', start - now), string.format('%.0f', start)}\n";

struct turn {
	struct list link;    /* redis_backend.turns */
	backend_turn_fn *fn; /* NULL: cancelled */
	void *owner;
};

static void
on_answer(void *owner, enum err e, const struct rds_reply *r)
{
	struct turn *t = owner;
	struct backend_turn got = { .wait = 0 };
	struct errtext why = { "" };

	list_unlink(&t->link);
	if (e != E_OK)
		err_set(&why, e = E_CLOSED, "the connection was lost");
	else if (r->type == RDS_ERROR)
		e = err_set(&why, E_REFUSED, "%.*s", SPAN_FMT(r->str));
	else if (r->type != RDS_ARRAY || r->n_items != 2 || !text_parse_int(r->items[0].str, &got.wait) ||
		!text_parse_int(r->items[1].str, &got.turn))
		e = err_set(&why, E_REFUSED, "an answer that was not expected");
	if (got.wait < 0)
		got.wait = 0;
	if (t->fn != NULL)
		t->fn(t->owner, e, &got, why.text);
	alloc_free(t);
}

enum err
redis_turn(struct backend *b, const struct backend_turn_ask *ask, backend_turn_fn *fn, void *owner)
{
	struct redis_backend *rb = container_of(b, struct redis_backend, base);
	struct turn *t = alloc_zero(sizeof(*t));
	char numbers[5][24];
	struct span argv[] = { SPAN("EVAL"), SPAN(script), SPAN("1"), SPAN_NONE, SPAN_NONE, SPAN_NONE,
		SPAN_NONE, SPAN_NONE, SPAN_NONE };
	const int64_t values[5] = { ask->interval, ask->burst, ask->turn, ask->late, ask->ahead };
	struct buf key;
	enum err e;
	size_t i;

	if (t == NULL)
		return E_NOMEM;
	*t = (struct turn){ .fn = fn, .owner = owner };
	buf_init(&key, 0);
	buf_add(&key, (struct span){ rb->prefix, rb->own_prefix });
	buf_adds(&key, "warren:rate:");
	buf_add(&key, ask->bucket);
	argv[3] = buf_span(&key);
	for (i = 0; i < ARRAY_LEN(values); i++) {
		snprintf(numbers[i], sizeof(numbers[i]), "%lld", (long long)values[i]);
		argv[4 + i] = span_of(numbers[i]);
	}
	e = key.err == E_OK ? rds_command(rb->rds, argv, ARRAY_LEN(argv), 0, on_answer, t) : key.err;
	if (e == E_OK)
		list_push(&rb->turns, &t->link);
	else
		alloc_free(t);
	buf_release(&key);
	return e;
}

void
redis_turn_cancel(struct backend *b, void *owner)
{
	struct redis_backend *rb = container_of(b, struct redis_backend, base);
	struct list *it, *tmp;

	LIST_EACH (&rb->turns, it, tmp) {
		struct turn *t = container_of(it, struct turn, link);

		if (t->owner == owner)
			t->fn = NULL;
	}
}

void
redis_turn_release(struct redis_backend *rb)
{
	struct list *it;

	while ((it = list_pop(&rb->turns)) != NULL)
		alloc_free(container_of(it, struct turn, link));
}
