/*
 * hiredis calls back for each value it has read; we put it where it belongs: into the root, or into its place in the items of the
 * array around it. So an integer costs no memory, a string one block, an array one block for all its items.
 */
#include "store/reply.h"

#include <hiredis/hiredis.h>

#include "base/alloc.h"

#define SHA_LEN 40

static struct rds_reply *
place(const redisReadTask *task, enum rds_type type)
{
	struct rds_reply *r;

	if (task->parent)
		/* The items are const to those who get them; here they are being made. */
		r = (struct rds_reply *)((struct rds_reply *)task->parent->obj)->items + task->idx;
	else
		r = &((struct rds_parser *)task->privdata)->root;
	*r = (struct rds_reply){ .type = type };
	return r;
}

/*
 * Redis 7 names the script in which a command failed: " script: <40 digits>, on @user_script:1." All scripts are ours, and whoever reads the
 * error has never heard of them.
 */
static struct span
without_script(struct span text)
{
	static const char head[] = " script: ", tail[] = ", on @user_script:";
	struct span rest;

	for (size_t i = text.len; i > 0; i--) {
		rest = (struct span){ text.ptr + i - 1, text.len - i + 1 };
		if (!span_starts(rest, head))
			continue;
		rest.ptr += sizeof(head) - 1;
		rest.len -= sizeof(head) - 1;
		if (rest.len > SHA_LEN &&
			span_starts((struct span){ rest.ptr + SHA_LEN, rest.len - SHA_LEN }, tail))
			text.len = i - 1;
		break;
	}
	return text;
}

static void *
on_string(const redisReadTask *task, char *text, size_t len)
{
	enum rds_type type = RDS_STRING;
	char *copy = alloc_dup((struct span){ text, len });
	struct rds_reply *r;

	if (!copy)
		return NULL;
	if (task->type == REDIS_REPLY_ERROR)
		type = RDS_ERROR;
	else if (task->type == REDIS_REPLY_STATUS)
		type = RDS_STATUS;
	r = place(task, type);
	r->str = (struct span){ copy, len };
	if (type == RDS_ERROR)
		r->str = without_script(r->str);
	return r;
}

static void *
on_array(const redisReadTask *task, int n)
{
	struct rds_reply *items = NULL, *r;

	/* The number comes from the peer and is no promise. */
	if (n > RDS_ITEMS_MAX)
		return NULL;
	if (n > 0 && !(items = alloc_zero((size_t)n * sizeof(*items))))
		return NULL;
	r = place(task, RDS_ARRAY);
	r->items = items;
	r->n_items = n > 0 ? (size_t)n : 0;
	return r;
}

static void *
on_integer(const redisReadTask *task, long long value)
{
	struct rds_reply *r = place(task, RDS_INTEGER);

	r->integer = value;
	return r;
}

static void *
on_nil(const redisReadTask *task)
{
	return place(task, RDS_NIL);
}

void
rds_reply_release(struct rds_reply *r)
{
	for (size_t i = 0; i < r->n_items; i++)
		rds_reply_release((struct rds_reply *)&r->items[i]);
	alloc_free((void *)r->items);
	alloc_free((void *)r->str.ptr);
	*r = (struct rds_reply){ 0 };
}

static void
on_free(void *p)
{
	rds_reply_release(p);
}

static redisReplyObjectFunctions functions = { on_string, on_array, on_integer, on_nil, on_free };

enum err
rds_parser_init(struct rds_parser *p, size_t reply_max)
{
	*p = (struct rds_parser){ .max = reply_max };
	p->reader = redisReaderCreateWithFunctions(&functions);
	if (!p->reader)
		return E_NOMEM;
	p->reader->privdata = p;
	return E_OK;
}

void
rds_parser_release(struct rds_parser *p)
{
	/* Frees a half-read reply as well. */
	if (p->reader)
		redisReaderFree(p->reader);
	p->reader = NULL;
}

enum err
rds_parser_feed(struct rds_parser *p, struct span bytes)
{
	/* hiredis believes any length, so the bytes that wait for the rest of a reply are counted here. */
	if (bytes.len > p->max || p->reader->len - p->reader->pos > p->max - bytes.len)
		return E_TOOBIG;
	return redisReaderFeed(p->reader, bytes.ptr, bytes.len) == REDIS_OK ? E_OK : E_NOMEM;
}

enum err
rds_parser_next(struct rds_parser *p, struct rds_reply **out, struct errtext *t)
{
	void *reply = NULL;

	*out = NULL;
	if (redisReaderGetReply(p->reader, &reply) != REDIS_OK)
		return err_set(
			t, E_FORMAT, "not a reply of Redis, or one that is too large: %s", p->reader->errstr);
	*out = reply;
	return reply ? E_OK : E_AGAIN;
}

void
rds_add_command(struct buf *b, const struct span *argv, size_t argc)
{
	buf_addf(b, "*%zu\r\n", argc);
	for (size_t i = 0; i < argc; i++) {
		buf_addf(b, "$%zu\r\n", argv[i].len);
		buf_add(b, argv[i]);
		buf_adds(b, "\r\n");
	}
}

enum rds_trouble
rds_trouble(const struct rds_reply *r)
{
	static const struct {
		const char *word;
		enum rds_trouble trouble;
	} words[] = {
		{ "OOM", RDS_RETRY },
		{ "LOADING", RDS_RETRY },
		{ "MISCONF", RDS_RETRY },
		{ "BUSY", RDS_RETRY },
		{ "TRYAGAIN", RDS_RETRY },
		{ "NOREPLICAS", RDS_RETRY },
		{ "READONLY", RDS_RECONNECT },
		{ "MOVED", RDS_RECONNECT },
		{ "ASK", RDS_RECONNECT },
		{ "CLUSTERDOWN", RDS_RECONNECT },
		{ "MASTERDOWN", RDS_RECONNECT },
		{ "NOAUTH", RDS_FATAL },
		{ "WRONGPASS", RDS_FATAL },
		{ "NOPERM", RDS_FATAL },
	};
	struct span rest, first;

	if (r->type != RDS_ERROR)
		return RDS_FINE;
	if (span_starts(r->str, "ERR max number of clients"))
		return RDS_RETRY;
	rest = r->str;
	first = span_split(&rest, ' ');
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (span_is(first, words[i].word))
			return words[i].trouble;
	return RDS_BUG;
}

bool
rds_will_pass(const struct rds_reply *r)
{
	enum rds_trouble trouble = rds_trouble(r);

	return trouble == RDS_RETRY || trouble == RDS_RECONNECT;
}
