/*
 * Sets with times as Redis sorted sets, "<prefix>warren:<name>", scored by milliseconds. The clean-up goes with each addition: what is too
 * old, what is too much, and in the end the key itself expires.
 */
#include "backend/redis_backend.h"

#include "base/alloc.h"

/* A key nobody has added to for so long goes. */
#define KEY_TTL_MS "2678400000" /* 31 days */
#define ITEMS_MAX 1000          /* of one command */

struct asked {
	struct list link;
	struct redis_backend *rb;
	backend_kept_fn *fn;
	void *owner;
};

static struct redis_backend *
redis_of(struct backend *b)
{
	return container_of(b, struct redis_backend, base);
}

static void
add_key(struct buf *key, const struct redis_backend *rb, const char *set)
{
	buf_init(key, 0);
	buf_add(key, (struct span){ rb->prefix, rb->own_prefix });
	buf_addf(key, "warren:%s", set);
}

/* Pairs of text and score, newest first; handed on oldest first. */
static void
hand_on(const struct asked *a, const struct rds_reply *r)
{
	size_t n = r->type == RDS_ARRAY ? r->n_items / 2 : 0, i;
	struct backend_kept *items = alloc_zero((n + 1) * sizeof(*items));
	double score;

	if (items == NULL) {
		a->fn(a->owner, E_NOMEM, NULL, 0, "out of memory");
		return;
	}
	for (i = 0; i < n; i++) {
		struct backend_kept *to = &items[n - 1 - i];

		to->text = r->items[2 * i].str;
		if (jscan_double(r->items[2 * i + 1].str, &score))
			to->when = (us_t)(score * 1000);
	}
	a->fn(a->owner, E_OK, items, n, "");
	alloc_free(items);
}

static void
on_answer(void *owner, enum err e, const struct rds_reply *r)
{
	struct asked *a = owner;
	struct errtext t;

	list_unlink(&a->link);
	if (e != E_OK) {
		a->fn(a->owner, E_CLOSED, NULL, 0, err_name(e));
	} else if (r->type == RDS_ERROR) {
		(void)err_set(&t, E_REFUSED, "%.*s", SPAN_FMT(r->str));
		a->fn(a->owner, E_REFUSED, NULL, 0, t.text);
	} else {
		hand_on(a, r);
	}
	alloc_free(a);
}

static void
on_cleaned(void *owner UNUSED, enum err e UNUSED, const struct rds_reply *r UNUSED)
{
	/* What was not cleaned up now is with the next addition. */
}

static enum err
ask(struct redis_backend *rb, const struct span *argv, size_t argc, backend_kept_fn *fn, void *owner)
{
	struct asked *a = alloc_zero(sizeof(*a));
	enum err e;

	if (a == NULL)
		return E_NOMEM;
	*a = (struct asked){ .rb = rb, .fn = fn, .owner = owner };
	e = rds_command(rb->rds, argv, argc, 0, on_answer, a);
	if (e == E_OK)
		list_push(&rb->asked, &a->link);
	else
		alloc_free(a);
	return e;
}

static void
clean(struct redis_backend *rb, struct span key, us_t oldest, size_t max)
{
	char score[40], rank[40];
	struct span by_score[] = { SPAN("ZREMRANGEBYSCORE"), key, SPAN("-inf"), SPAN_NONE };
	struct span by_rank[] = { SPAN("ZREMRANGEBYRANK"), key, SPAN("0"), SPAN_NONE };
	struct span expire[] = { SPAN("PEXPIRE"), key, SPAN(KEY_TTL_MS) };

	snprintf(score, sizeof(score), "(%lld", (long long)(oldest / 1000));
	snprintf(rank, sizeof(rank), "-%zu", max + 1);
	by_score[3] = span_of(score);
	by_rank[3] = span_of(rank);
	/* Whatever fails here is tried with the next addition. */
	if (rds_command(rb->rds, by_score, ARRAY_LEN(by_score), 0, on_cleaned, rb) == E_OK &&
		rds_command(rb->rds, by_rank, ARRAY_LEN(by_rank), 0, on_cleaned, rb) == E_OK &&
		rds_command(rb->rds, expire, ARRAY_LEN(expire), 0, on_cleaned, rb) == E_OK)
		return;
}

enum err
redis_keep(struct backend *b, const char *set, const struct backend_kept *items, size_t n, us_t oldest,
	size_t max, backend_kept_fn *fn, void *owner)
{
	struct redis_backend *rb = redis_of(b);
	struct span *argv = alloc_zero((2 + 2 * n) * sizeof(*argv));
	char(*scores)[24] = alloc_zero((n + 1) * sizeof(*scores));
	struct buf key;
	enum err e = E_NOMEM;
	size_t i;

	assert(n > 0 && n <= ITEMS_MAX);
	add_key(&key, rb, set);
	if (argv == NULL || scores == NULL || key.err != E_OK)
		goto out;
	argv[0] = SPAN("ZADD");
	argv[1] = buf_span(&key);
	for (i = 0; i < n; i++) {
		snprintf(scores[i], sizeof(scores[i]), "%lld", (long long)(items[i].when / 1000));
		argv[2 + 2 * i] = span_of(scores[i]);
		argv[3 + 2 * i] = items[i].text;
	}
	e = ask(rb, argv, 2 + 2 * n, fn, owner);
	if (e == E_OK)
		clean(rb, buf_span(&key), oldest, max);
out:
	buf_release(&key);
	alloc_free(scores);
	alloc_free(argv);
	return e;
}

enum err
redis_kept(struct backend *b, const char *set, us_t oldest, size_t max, backend_kept_fn *fn, void *owner)
{
	struct redis_backend *rb = redis_of(b);
	char score[24], count[24];
	struct span argv[] = { SPAN("ZREVRANGEBYSCORE"), SPAN_NONE, SPAN("+inf"), SPAN_NONE,
		SPAN("WITHSCORES"), SPAN("LIMIT"), SPAN("0"), SPAN_NONE };
	struct buf key;
	enum err e;

	add_key(&key, rb, set);
	snprintf(score, sizeof(score), "%lld", (long long)(oldest / 1000));
	snprintf(count, sizeof(count), "%zu", max);
	argv[1] = buf_span(&key);
	argv[3] = span_of(score);
	argv[7] = span_of(count);
	e = key.err == E_OK ? ask(rb, argv, ARRAY_LEN(argv), fn, owner) : key.err;
	buf_release(&key);
	return e;
}

void
redis_kept_release(struct redis_backend *rb)
{
	struct list *it;

	while ((it = list_pop(&rb->asked)) != NULL)
		alloc_free(container_of(it, struct asked, link));
}
