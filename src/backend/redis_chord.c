/*
 * Chords in Redis. The counters are Celery's (celery-taskset-meta-<group> with .j .t .s), so that the members of one chord may end on workers of both
 * kinds. Beside them stands a hash of our own, <prefix>warren:chord:<group>: `kept`, what is needed to send the body when whoever should have is gone,
 * and `over`, once it was sent, so that a member which is delivered again finds that out; and <prefix>warren:chords, all that are open, by time.
 *
 * One script does each step at once. It counts texts; whether they are of different members the worker finds out (core/chord.c).
 */
#include "backend/redis_backend.h"

#include "base/alloc.h"

#define GROUP_PREFIX "celery-taskset-meta-"

/*
 * KEYS: .j .t .s, the saved group, our hash, the open ones. ARGV: the step, seconds to keep, the group, then
 *   part   text, place, kept    -> {0, due} | {1, due, saved, {texts}} | {2} over | {3, due, bytes} too many
 *   append the same; who comes first begins a list
 *   open   size, saved          -> {0}
 *   claim  member               -> {0} | {2} another one has it, or over
 *   close                       -> {0}
 *   look   seconds              -> {0, 0} | {1 or 3, ..., group, kept}; the group is "" here, and the keys beginnings of keys
 * A list instead of a sorted set is what Celery writes with result_chord_ordered = False, and appends to. Where each member stands in it is kept beside
 * it, so that a long one is read once. The first thing written is what Redis refuses when its memory
 * is full, and by pcall its answer comes back as it is.
 */
static const char script[] =
	"local step, ttl, group = ARGV[1], ARGV[2], ARGV[3]\n"
	"local function expire(key, for_ever)\n"
	"  if ttl ~= '0' then redis.call('EXPIRE', key, ttl)\n"
	"  elseif for_ever then redis.call('EXPIRE', key, for_ever) end\n"
	"end\n"
	"local function set(key, value)\n"
	"  if ttl == '0' then return redis.pcall('SET', key, value) end\n"
	"  return redis.pcall('SET', key, value, 'EX', ttl)\n"
	"end\n"
	"local function count(j, t, s, saved)\n"
	"  local size = redis.call('GET', s)\n"
	"  if not size then return {0, 0} end\n"
	"  local is_list = redis.call('TYPE', j)['ok'] == 'list'\n"
	"  local due = (tonumber(size) or 0) + (tonumber(redis.call('GET', t) or '0') or 0)\n"
	"  if redis.call(is_list and 'LLEN' or 'ZCARD', j) < due then return {0, due} end\n"
	"  local texts = redis.call(is_list and 'LRANGE' or 'ZRANGE', j, 0, -1)\n"
	"  local bytes = 0\n"
	"  for _, text in ipairs(texts) do bytes = bytes + #text end\n"
	"  if bytes > 50000000 then return {3, due, bytes, {}} end\n"
	"  return {1, due, redis.call('GET', saved) or '', texts}\n"
	"end\n"
	"if step == 'look' then\n"
	"  local now = tonumber(redis.call('TIME')[1])\n"
	"  local quiet = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', now - tonumber(ARGV[4]), 'LIMIT', 0, "
	"100)\n"
	"  for _, found in ipairs(quiet) do\n"
	"    local own, meta = KEYS[5] .. found, KEYS[4] .. found\n"
	"    local kept = redis.call('HGET', own, 'kept')\n"
	"    if not kept or redis.call('EXISTS', meta .. '.j') == 0 then\n"
	"      redis.call('ZREM', KEYS[6], found)\n"
	"      redis.call('HDEL', own, 'kept', 'full')\n"
	"      redis.call('DEL', own .. ':places')\n"
	"    else\n"
	"      redis.call('ZADD', KEYS[6], now, found)\n"
	"      local answer = count(meta .. '.j', meta .. '.t', meta .. '.s', meta)\n"
	"      if answer[1] == 0 then redis.call('HDEL', own, 'full')\n"
	"      elseif redis.call('HSETNX', own, 'full', now) == 0 then\n"
	"        answer[5], answer[6] = found, kept\n"
	"        return answer\n"
	"      end\n"
	"    end\n"
	"  end\n"
	"  return {0, 0}\n"
	"end\n"
	"local is_over = redis.call('HEXISTS', KEYS[5], 'over') == 1\n"
	"if step == 'open' then\n"
	"  if is_over then return {0} end\n"
	"  local done = set(KEYS[3], ARGV[4])\n"
	"  if done['err'] then return done end\n"
	"  if ARGV[5] ~= '' then done = set(KEYS[4], ARGV[5]) end\n"
	"  return done['err'] and done or {0}\n"
	"end\n"
	"if step == 'claim' then\n"
	"  if is_over then return {2} end\n"
	"  local done = redis.pcall('HSETNX', KEYS[5], 'sender', ARGV[4])\n"
	"  if type(done) == 'table' then return done end\n"
	"  expire(KEYS[5], 2678400)\n"
	"  return {redis.call('HGET', KEYS[5], 'sender') == ARGV[4] and 0 or 2}\n"
	"end\n"
	"if step == 'close' then\n"
	"  local done = redis.pcall('HSET', KEYS[5], 'over', '1')\n"
	"  if type(done) == 'table' then return done end\n"
	"  redis.call('HDEL', KEYS[5], 'kept', 'full', 'sender')\n"
	"  expire(KEYS[5], 86400)\n"
	"  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[5] .. ':places')\n"
	"  redis.call('ZREM', KEYS[6], group)\n"
	"  return {0}\n"
	"end\n"
	/* Over, unless somebody has begun the same chord again. */
	"if is_over and redis.call('EXISTS', KEYS[3]) == 0 then return {2} end\n"
	"local kind = redis.call('TYPE', KEYS[1])['ok']\n"
	"local is_list = kind == 'list' or (kind == 'none' and step == 'append')\n"
	"local function id_of(text)\n"
	"  local id = string.match(text, '^%[%d+, ?\"([^\"\\\\]*)\"')\n"
	"  if id then return id end\n"
	"  local fine, parts = pcall(cjson.decode, text)\n"
	"  return fine and type(parts) == 'table' and parts[2]\n"
	"end\n"
	"local function is_success(text)\n"
	"  local state = string.match(text, '^%[%d+, ?\"[^\"\\\\]*\", ?\"(%u+)\"')\n"
	"  if state then return state == 'SUCCESS' end\n"
	"  local fine, parts = pcall(cjson.decode, text)\n"
	"  return fine and type(parts) == 'table' and parts[3] == 'SUCCESS'\n"
	"end\n"
	"local places = KEYS[5] .. ':places'\n"
	"local function place_of(id)\n"
	"  local seen = tonumber(redis.call('HGET', places, '') or '0')\n"
	"  if seen > redis.call('LLEN', KEYS[1]) then\n"
	"    redis.call('DEL', places)\n"
	"    seen = 0\n"
	"  end\n"
	"  for i, other in ipairs(redis.call('LRANGE', KEYS[1], seen, -1)) do\n"
	"    local done = redis.pcall('HSET', places, '', seen + i, 'm' .. (id_of(other) or ''), seen + i - 1)\n"
	"    if type(done) == 'table' then return nil, done end\n"
	"  end\n"
	"  expire(places, 2678400)\n"
	"  return redis.call('HGET', places, 'm' .. id)\n"
	"end\n"
	"local text, place, id, old, at = ARGV[4], ARGV[5], id_of(ARGV[4]), false, false\n"
	"if is_list then\n"
	"  local refused\n"
	"  at, refused = place_of(id)\n"
	"  if refused then return refused end\n"
	"  old = at and redis.call('LINDEX', KEYS[1], at)\n"
	"  if old and id_of(old) ~= id then old = false end\n"
	"else\n"
	"  for _, other in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], place, place)) do\n"
	"    if id_of(other) == id then old = other end\n"
	"  end\n"
	"end\n"
	"if not old or (old ~= text and not is_success(old)) then\n"
	"  local done\n"
	"  if not is_list then done = redis.pcall('ZADD', KEYS[1], place, text)\n"
	"  elseif old then done = redis.pcall('LSET', KEYS[1], at, text)\n"
	"  else done = redis.pcall('RPUSH', KEYS[1], text) end\n"
	"  if type(done) == 'table' and done['err'] then return done end\n"
	"  if old and not is_list then redis.call('ZREM', KEYS[1], old) end\n"
	"end\n"
	"for i = 1, 3 do expire(KEYS[i]) end\n"
	"if is_over then redis.call('HDEL', KEYS[5], 'over', 'sender') end\n"
	"if ARGV[6] ~= '' then\n"
	"  redis.call('HSETNX', KEYS[5], 'kept', ARGV[6])\n"
	"  expire(KEYS[5], 2678400)\n"
	"  redis.call('HDEL', KEYS[5], 'full')\n"
	"  redis.call('ZADD', KEYS[6], redis.call('TIME')[1], group)\n"
	"end\n"
	"return count(KEYS[1], KEYS[2], KEYS[3], KEYS[4])\n";

enum reply_kind { REPLY_OPEN, REPLY_FULL, REPLY_OVER, REPLY_TOO_BIG };

/* One attempt. The call may be cancelled while its command is on the way: then it lands nowhere. */
struct flight {
	struct list link;
	struct redis_backend *rb;
	struct backend_chord *op;
};

static struct redis_backend *
redis_of(const struct backend *b)
{
	return container_of(b, struct redis_backend, base);
}

static void
unlink_op(struct backend_chord *op)
{
	if (op->flight != NULL)
		((struct flight *)op->flight)->op = NULL;
	op->flight = NULL;
	list_unlink(&op->link);
}

static void
finish(struct backend_chord *op, enum err e, const struct chord_count *c, const char *why)
{
	unlink_op(op);
	op->fn(op, e, c, why);
}

static void
refuse_all(struct redis_backend *rb, const char *why)
{
	struct list *it;

	/* Whoever calls again in the callback goes to the end, so that this comes to an end. */
	for (size_t n = list_count(&rb->chords.ops);
		n > 0 && !rb->is_closed && (it = rb->chords.ops.next) != &rb->chords.ops; n--)
		finish(container_of(it, struct backend_chord, link), E_REFUSED, NULL, why);
}

/* --- answers ------------------------------------------------------------------------------------------------------------- */

static struct span
text_item(const struct rds_reply *r, size_t i)
{
	return i < r->n_items && r->items[i].type == RDS_STRING && r->items[i].str.len > 0 ? r->items[i].str
											   : SPAN_NONE;
}

static int64_t
int_item(const struct rds_reply *r, size_t i)
{
	return i < r->n_items && r->items[i].type == RDS_INTEGER ? r->items[i].integer : 0;
}

/* Hands on the texts of all members. */
static void
finish_full(struct backend_chord *op, const struct rds_reply *r, struct chord_count *c)
{
	const struct rds_reply *list = r->n_items > 3 ? &r->items[3] : NULL;
	struct span *members;

	c->is_full = true;
	c->saved = text_item(r, 2);
	c->n_members = list != NULL && list->type == RDS_ARRAY ? list->n_items : 0;
	members = alloc_bytes((c->n_members + 1) * sizeof(*members));
	if (members == NULL) {
		finish(op, E_NOMEM, NULL, "out of memory");
		return;
	}
	for (size_t i = 0; i < c->n_members; i++)
		members[i] = text_item(list, i);
	c->members = members;
	finish(op, E_OK, c, "");
	alloc_free(members);
}

static void
finish_answered(struct backend_chord *op, const struct rds_reply *r)
{
	struct chord_count c = { .due = int_item(r, 1), .group = text_item(r, 4), .kept = text_item(r, 5) };

	switch ((enum reply_kind)int_item(r, 0)) {
	case REPLY_FULL:
		finish_full(op, r, &c);
		return;
	case REPLY_OVER:
		c.is_over = true;
		break;
	case REPLY_TOO_BIG:
		c.too_big = int_item(r, 2);
		break;
	case REPLY_OPEN:
		break;
	}
	finish(op, E_OK, &c, "");
}

static void
on_answer(void *owner, enum err e, const struct rds_reply *r)
{
	struct flight *f = owner;
	struct redis_backend *rb = f->rb;
	struct backend_chord *op = f->op;
	struct errtext why;

	list_unlink(&f->link);
	alloc_free(f);
	if (op == NULL)
		return;
	op->flight = NULL;
	if (e == E_OK && r->type == RDS_ARRAY) {
		rb->chords.script.failures = 0;
		finish_answered(op, r);
		return;
	}
	/* Lost with the connection, or for a passing reason: it is sent again. */
	if (e != E_OK || redis_script_will_pass(&rb->chords.script, r))
		return;
	(void)err_set(&why, E_REFUSED, "%.*s", SPAN_FMT(r->str));
	finish(op, E_REFUSED, NULL, why.text);
}

/* --- sending ------------------------------------------------------------------------------------------------------------- */

static struct span
word(const struct backend_chord *op, size_t i)
{
	size_t from = i > 0 ? op->ends[i - 1] : 0;

	return (struct span){ op->text.data + from, op->ends[i] - from };
}

/* All keys of a chord, one behind the other in b; their ends in `ends`. */
#define KEYS 6
static void
add_keys(struct redis_backend *rb, struct buf *b, struct span group, size_t ends[KEYS])
{
	static const char *const suffixes[] = { ".j", ".t", ".s", "" };
	const struct span own = { rb->prefix, rb->own_prefix };

	for (size_t i = 0; i < KEYS; i++) {
		buf_add(b, own);
		if (i < ARRAY_LEN(suffixes))
			buf_addf(b, "%s%.*s%s", GROUP_PREFIX, SPAN_FMT(group), suffixes[i]);
		else if (i == 4)
			buf_addf(b, "warren:chord:%.*s", SPAN_FMT(group));
		else
			buf_adds(b, "warren:chords");
		ends[i] = b->len;
	}
}

static enum err
send(struct redis_backend *rb, struct backend_chord *op)
{
	static const char *const steps[] = { [BACKEND_CHORD_PART] = "part",
		[BACKEND_CHORD_OPEN] = "open",
		[BACKEND_CHORD_CLOSE] = "close",
		[BACKEND_CHORD_CLAIM] = "claim",
		[BACKEND_CHORD_LOOK] = "look" };
	struct span argv[3 + KEYS + 2 + BACKEND_CHORD_WORDS] = { SPAN("EVALSHA"),
		span_of(rb->chords.script.sha), SPAN("6") };
	struct flight *f = alloc_zero(sizeof(*f));
	size_t ends[KEYS], n = 3;
	struct buf keys;
	enum err e = E_NOMEM;

	buf_init(&keys, 0);
	add_keys(rb, &keys, word(op, 0), ends);
	if (f == NULL || keys.err != E_OK)
		goto out;
	for (size_t i = 0; i < KEYS; i++)
		argv[n++] = (struct span){ keys.data + (i > 0 ? ends[i - 1] : 0),
			ends[i] - (i > 0 ? ends[i - 1] : 0) };
	argv[n++] = op->kind == BACKEND_CHORD_PART && rb->chords.is_list ? SPAN("append")
									 : span_of(steps[op->kind]);
	argv[n++] = span_of(rb->ttl);
	for (size_t i = 0; i < op->n_words; i++)
		argv[n++] = word(op, i);
	*f = (struct flight){ .rb = rb, .op = op };
	e = rds_command(rb->rds, argv, n, 0, on_answer, f);
	if (e == E_OK) {
		list_push(&rb->chords.flights, &f->link);
		op->flight = f;
		f = NULL;
	}
out:
	alloc_free(f);
	buf_release(&keys);
	return e;
}

/* Sends what is not under way, in order. The script is loaded when there is something to count: most workers never are part of a chord. */
static void
pump(struct redis_backend *rb)
{
	struct list *it, *tmp;

	if (!rds_is_up(rb->rds) || list_is_empty(&rb->chords.ops))
		return;
	if (rb->chords.script.sha[0] == '\0') {
		redis_script_load(&rb->chords.script);
		return;
	}
	LIST_EACH (&rb->chords.ops, it, tmp) {
		struct backend_chord *op = container_of(it, struct backend_chord, link);
		enum err e = op->flight == NULL ? send(rb, op) : E_OK;

		if (e == E_CLOSED)
			return;
		if (e != E_OK) {
			redis_script_try_later(&rb->chords.script, SPAN_NONE);
			return;
		}
	}
}

enum err
redis_chord(struct backend *b, struct backend_chord *op)
{
	struct redis_backend *rb = redis_of(b);
	bool is_next = redis_script_is_ready(&rb->chords.script);
	enum err e;

	list_push(&rb->chords.ops, &op->link);
	if (!is_next) {
		if (!rb->chords.script.retry.armed)
			pump(rb);
		return E_OK;
	}
	e = send(rb, op);
	if (e != E_OK && e != E_CLOSED)
		redis_script_try_later(&rb->chords.script, SPAN_NONE);
	return E_OK;
}

void
redis_chord_cancel(struct backend *b UNUSED, struct backend_chord *op)
{
	unlink_op(op);
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

enum err
redis_chords_init(struct redis_backend *rb)
{
	return redis_script_init(&rb->chords.script, rb, script, pump, refuse_all);
}

void
redis_chords_on_up(struct redis_backend *rb)
{
	redis_script_on_up(&rb->chords.script);
	pump(rb);
}

void
redis_chords_release(struct redis_backend *rb)
{
	struct list *it;

	while ((it = rb->chords.ops.next) != &rb->chords.ops)
		unlink_op(container_of(it, struct backend_chord, link));
	while ((it = list_pop(&rb->chords.flights)) != NULL)
		alloc_free(container_of(it, struct flight, link));
	redis_script_release(&rb->chords.script);
}
