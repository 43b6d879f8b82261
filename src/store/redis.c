/*
 * A Redis connection that keeps itself up.
 *
 *   IDLE -> DIAL -> HELLO (AUTH, CLIENT SETNAME, SELECT under way) -> UP
 *             ^________ WAIT (back-off) <________________/ any loss
 *
 * Commands wait for their replies in a ring; the n-th reply belongs to the n-th command, and nothing else connects them. So whatever
 * casts doubt on the count (a late reply, bytes that are no reply) ends the connection. One timer watches the earliest deadline
 * of the ring; it is not moved by replies, it looks when it fires.
 */
#include "store/redis.h"

#include "base/alloc.h"
#include "base/backoff.h"
#include "base/id.h"
#include "base/map.h"
#include "store/reply.h"
#include "store/target.h"

#define CONNECT_MS 5000
#define COMMAND_MS 5000
#define REPLY_MAX ((size_t)512 * 1024 * 1024)
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 5000
/* What will not heal by itself need not be asked often. */
#define RETRY_FATAL_MS 1000
/* Up for so long: the next loss is a new one, its back-off starts small again. */
#define STEADY_MS 5000
/* A frame buffer that has grown larger is given back. */
#define FRAME_KEEP ((size_t)256 * 1024)

enum state { IDLE, DIAL, HELLO, UP, WAIT, CLOSED };

struct pending {
	rds_fn *fn;
	void *owner;
	ms_t due;
};

struct rds {
	struct loop *loop;
	const struct rds_ops *ops;
	void *owner;
	struct rds_target target;
	struct stream_tls *tls;
	ms_t connect_ms, command_ms;
	size_t reply_max;

	enum state state;
	struct stream *stream;
	struct rds_parser parser;
	struct buf frame;
	struct pending *ring; /* cap is a power of two */
	size_t head, count, cap;
	struct loop_timer deadline, retry;
	unsigned attempt;
	ms_t up_since;
	struct map channels;    /* subscribed to; the values mean nothing */
	bool must_leave;        /* a reply said RDS_RECONNECT */
	struct errtext refusal; /* what HELLO was answered */
	bool refused, refused_for_good;
};

static void on_retry(void *owner);

/* --- the ring ---------------------------------------------------------- */

static bool
ring_reserve(struct rds *r)
{
	size_t cap = r->cap ? 2 * r->cap : 16;
	struct pending *more;

	if (r->count < r->cap)
		return true;
	more = alloc_bytes(cap * sizeof(*more));
	if (!more)
		return false;
	for (size_t i = 0; i < r->count; i++)
		more[i] = r->ring[(r->head + i) & (r->cap - 1)];
	alloc_free(r->ring);
	r->ring = more;
	r->head = 0;
	r->cap = cap;
	return true;
}

static void
ring_push(struct rds *r, struct pending p)
{
	r->ring[(r->head + r->count++) & (r->cap - 1)] = p;
}

static struct pending
ring_pop(struct rds *r)
{
	struct pending p = r->ring[r->head];

	r->head = (r->head + 1) & (r->cap - 1);
	r->count--;
	return p;
}

/* --- losing it --------------------------------------------------------- */

/* Everything under way is answered, then the owner hears of it. Any of the callbacks may close r. */
static void
lose(struct rds *r, enum err e, const char *text, bool fatal)
{
	bool was_up = r->state == UP;
	ms_t now = loop_now(r->loop), wait;
	struct errtext why;
	struct rds_down down;

	/* The text may lie in what ends here. */
	(void)err_set(&why, e, "%s", text);
	stream_close(r->stream);
	r->stream = NULL;
	r->state = WAIT;
	loop_timer_disarm(&r->deadline);
	if (was_up && now - r->up_since >= STEADY_MS)
		r->attempt = 0;
	wait = backoff_full_jitter(RETRY_MIN_MS, RETRY_MAX_MS, ++r->attempt, id_random_u64());
	if (fatal && wait < RETRY_FATAL_MS)
		wait = RETRY_FATAL_MS;
	loop_timer_arm(&r->retry, wait);
	while (r->count > 0 && r->state != CLOSED) {
		struct pending p = ring_pop(r);

		if (p.fn)
			p.fn(p.owner, e == E_TIMEOUT && p.due <= now ? E_TIMEOUT : E_CLOSED, NULL);
	}
	if (r->state == CLOSED)
		return;
	down = (struct rds_down){ .err = e,
		.url = r->target.safe,
		.text = why.text,
		.retry_ms = wait,
		.was_up = was_up,
		.fatal = fatal };
	r->ops->on_down(r->owner, &down);
}

static void
on_deadline(void *owner)
{
	struct rds *r = owner;
	ms_t now = loop_now(r->loop), next = INT64_MAX;

	for (size_t i = 0; i < r->count; i++) {
		const struct pending *p = &r->ring[(r->head + i) & (r->cap - 1)];

		if (p->due < next)
			next = p->due;
	}
	if (next <= now)
		lose(r, E_TIMEOUT, "no reply in time", false);
	else if (r->count > 0)
		loop_timer_arm(&r->deadline, next - now);
}

/* --- sending ----------------------------------------------------------- */

/* In any state that has a stream. */
static enum err
send_command(struct rds *r, const struct span *argv, size_t argc, ms_t limit_ms, rds_fn *fn, void *owner,
	bool has_reply)
{
	struct pending p = { .fn = fn, .owner = owner, .due = loop_now(r->loop) + limit_ms };
	enum err e;

	if (has_reply && !ring_reserve(r))
		return E_NOMEM;
	buf_reset(&r->frame);
	rds_add_command(&r->frame, argv, argc);
	if (r->frame.err != E_OK)
		return r->frame.err;
	e = stream_write(r->stream, buf_span(&r->frame));
	if (r->frame.cap > FRAME_KEEP) {
		buf_release(&r->frame);
		buf_init(&r->frame, 0);
	}
	if (e != E_OK || !has_reply)
		return e;
	ring_push(r, p);
	if (!r->deadline.armed || p.due < r->deadline.due)
		loop_timer_arm(&r->deadline, limit_ms);
	return E_OK;
}

enum err
rds_command(struct rds *r, const struct span *argv, size_t argc, ms_t command_ms, rds_fn *fn, void *owner)
{
	if (r->state != UP)
		return E_CLOSED;
	return send_command(r, argv, argc, command_ms ? command_ms : r->command_ms, fn, owner, true);
}

/* Subscriptions are answered out of the order of replies, so they are not in the ring. */
static enum err
send_channel(struct rds *r, const char *verb, struct span channel)
{
	const struct span argv[] = { span_of(verb), channel };

	return send_command(r, argv, ARRAY_LEN(argv), 0, NULL, NULL, false);
}

enum err
rds_subscribe(struct rds *r, struct span channel)
{
	enum err e = map_set(&r->channels, channel, r, NULL);

	if (e != E_OK || r->state != UP)
		return e;
	e = send_channel(r, "SUBSCRIBE", channel);
	/* A lost connection makes it again; without room for it the owner would believe what is not so. */
	if (e != E_OK && e != E_CLOSED)
		(void)map_del(&r->channels, channel);
	return e == E_CLOSED ? E_OK : e;
}

void
rds_unsubscribe(struct rds *r, struct span channel)
{
	if (!map_del(&r->channels, channel) || r->state != UP)
		return;
	/* If it cannot be sent, the messages that still come are for a channel nobody asked for, and dropped. */
	if (send_channel(r, "UNSUBSCRIBE", channel) != E_OK)
		return;
}

/* --- hello ------------------------------------------------------------- */

static void
hello_failed(struct rds *r, const char *what, const struct rds_reply *reply)
{
	enum rds_trouble trouble = rds_trouble(reply);

	if (r->refused)
		return;
	r->refused = true;
	/* A server that is only busy is no reason to call a person. */
	r->refused_for_good = trouble == RDS_FATAL || trouble == RDS_BUG;
	(void)err_set(&r->refusal, E_REFUSED, "%s: %.*s", what, SPAN_FMT(reply->str));
}

static void
on_auth(void *owner, enum err e, const struct rds_reply *reply)
{
	if (e == E_OK && reply->type == RDS_ERROR)
		hello_failed(owner, "signing in", reply);
}

static void
on_name(void *owner, enum err e, const struct rds_reply *reply)
{
	/* The name is a courtesy and may be refused, unless that is because we have to sign in or come another time. */
	if (e == E_OK && (rds_trouble(reply) == RDS_RETRY || span_starts(reply->str, "NOAUTH")))
		hello_failed(owner, "greeting", reply);
}

static void
on_select(void *owner, enum err e, const struct rds_reply *reply)
{
	if (e == E_OK && reply->type == RDS_ERROR)
		hello_failed(owner, "selecting the database", reply);
}

static void
hello_over(struct rds *r)
{
	struct map_iter it = { 0 };

	if (r->refused) {
		lose(r, E_REFUSED, r->refusal.text, r->refused_for_good);
		return;
	}
	r->state = UP;
	r->up_since = loop_now(r->loop);
	while (map_next(&r->channels, &it)) {
		if (send_channel(r, "SUBSCRIBE", it.key) != E_OK) {
			lose(r, E_NOMEM, "no room to subscribe", false);
			return;
		}
	}
	r->ops->on_up(r->owner);
}

static enum err
send_hello(struct rds *r)
{
	const struct url *u = &r->target.url;
	const struct span name[] = { SPAN("CLIENT"), SPAN("SETNAME"), SPAN("warren") };
	struct span argv[3] = { SPAN("AUTH") };
	size_t n = 1;
	char db[24];
	enum err e;

	r->refused = r->refused_for_good = false;
	if (u->password) {
		if (u->user)
			argv[n++] = span_of(u->user);
		argv[n++] = span_of(u->password);
		e = send_command(r, argv, n, r->command_ms, on_auth, r, true);
		explicit_bzero(r->frame.data, r->frame.cap);
		if (e != E_OK)
			return e;
	}
	e = send_command(r, name, ARRAY_LEN(name), r->command_ms, on_name, r, true);
	if (e != E_OK || r->target.db == 0)
		return e;
	snprintf(db, sizeof(db), "%lld", (long long)r->target.db);
	argv[0] = SPAN("SELECT");
	argv[1] = span_of(db);
	return send_command(r, argv, 2, r->command_ms, on_select, r, true);
}

/* --- receiving --------------------------------------------------------- */

/* True when the reply is one that no command asked for: a message, or the answer to a subscription. */
static bool
take_push(struct rds *r, const struct rds_reply *reply)
{
	struct span kind, channel;

	if (reply->type != RDS_ARRAY || reply->n_items < 3)
		return false;
	kind = reply->items[0].str;
	channel = reply->items[1].str;
	if (span_is(kind, "message")) {
		if (r->ops->on_message && map_get(&r->channels, channel))
			r->ops->on_message(r->owner, channel, reply->items[2].str);
	} else if (span_is(kind, "pmessage") && reply->n_items == 4) {
		if (r->ops->on_message)
			r->ops->on_message(r->owner, reply->items[2].str, reply->items[3].str);
	} else if (span_is(kind, "subscribe")) {
		if (r->ops->on_subscribed && map_get(&r->channels, channel))
			r->ops->on_subscribed(r->owner, channel);
	} else {
		return span_is(kind, "unsubscribe");
	}
	return true;
}

/* One reply. E_CLOSED when that was the connection's last. */
static enum err
take_reply(struct rds *r, const struct rds_reply *reply)
{
	struct pending p;

	if (r->count == 0) {
		if (r->state == UP && take_push(r, reply))
			return r->state == UP ? E_OK : E_CLOSED;
		/* An error out of the blue is Redis' way to say goodbye. */
		if (reply->type == RDS_ERROR)
			(void)err_set(&r->refusal, E_CLOSED, "%.*s", SPAN_FMT(reply->str));
		else
			(void)err_set(&r->refusal, E_FORMAT, "a reply came that nothing was asked for");
		lose(r, reply->type == RDS_ERROR ? E_CLOSED : E_FORMAT, r->refusal.text, false);
		return E_CLOSED;
	}
	p = ring_pop(r);
	if (r->state == UP && rds_trouble(reply) == RDS_RECONNECT) {
		r->must_leave = true;
		(void)err_set(&r->refusal, E_REFUSED, "%.*s", SPAN_FMT(reply->str));
	}
	if (p.fn)
		p.fn(p.owner, E_OK, reply);
	if (r->state == HELLO && r->count == 0)
		hello_over(r);
	if (r->state == UP && r->must_leave)
		lose(r, E_REFUSED, r->refusal.text, false);
	return r->state == UP || r->state == HELLO ? E_OK : E_CLOSED;
}

static void
on_data(void *owner, struct span bytes)
{
	struct rds *r = owner;
	struct rds_reply *reply;
	struct errtext t;
	enum err e = rds_parser_feed(&r->parser, bytes);

	if (e != E_OK) {
		lose(r, e, e == E_TOOBIG ? "a reply is larger than allowed" : "out of memory", false);
		return;
	}
	while ((e = rds_parser_next(&r->parser, &reply, &t)) == E_OK) {
		e = take_reply(r, reply);
		rds_reply_release(reply);
		if (e != E_OK)
			return;
	}
	if (e != E_AGAIN)
		lose(r, e, t.text, false);
}

static void
on_open(void *owner)
{
	struct rds *r = owner;

	r->state = HELLO;
	r->must_leave = false;
	rds_parser_release(&r->parser);
	if (rds_parser_init(&r->parser, r->reply_max) != E_OK || send_hello(r) != E_OK)
		lose(r, E_NOMEM, "out of memory", false);
}

static void
on_close(void *owner, enum err e, const char *why)
{
	lose(owner, e, why, false);
}

static const struct stream_ops stream_ops = { .on_open = on_open, .on_data = on_data, .on_close = on_close };

/* --- life -------------------------------------------------------------- */

static struct stream_conf
stream_conf(const struct rds *r)
{
	return (struct stream_conf){
		.host = r->target.host,
		.port = r->target.port,
		.path = r->target.path,
		.tls = r->tls,
		.connect_ms = r->connect_ms,
		.write_ms = r->command_ms,
	};
}

static void
on_retry(void *owner)
{
	struct rds *r = owner;
	struct stream_conf conf = stream_conf(r);
	struct errtext t;
	enum err e;

	r->state = DIAL;
	e = stream_connect(&r->stream, r->loop, &conf, &stream_ops, r, &t);
	if (e != E_OK)
		lose(r, e, t.text, false);
}

static void
rds_free(void *p)
{
	struct rds *r = p;

	rds_parser_release(&r->parser);
	rds_target_release(&r->target);
	stream_tls_free(r->tls);
	map_release(&r->channels, NULL);
	buf_release(&r->frame);
	loop_timer_release(&r->deadline);
	loop_timer_release(&r->retry);
	alloc_free(r->ring);
	alloc_free(r);
}

enum err
rds_new(struct rds **out, struct loop *l, const struct rds_conf *conf, const struct rds_ops *ops, void *owner,
	struct errtext *t)
{
	struct rds *r = alloc_zero(sizeof(*r));
	enum err e;

	*out = NULL;
	if (!r)
		return err_set(t, E_NOMEM, "out of memory for a Redis connection");
	r->loop = l;
	r->ops = ops;
	r->owner = owner;
	r->connect_ms = conf->connect_ms ? conf->connect_ms : CONNECT_MS;
	r->command_ms = conf->command_ms ? conf->command_ms : COMMAND_MS;
	r->reply_max = conf->reply_max ? conf->reply_max : REPLY_MAX;
	map_init(&r->channels);
	buf_init(&r->frame, 0);
	e = rds_target_init(&r->target, conf->url, &conf->tls, t);
	if (e != E_OK)
		goto out;
	if (r->target.is_tls) {
		e = stream_tls_new(&r->tls, &r->target.tls, t);
		if (e != E_OK)
			goto out;
	}
	if (loop_timer_init(&r->deadline, l, on_deadline, r) != E_OK ||
		loop_timer_init(&r->retry, l, on_retry, r) != E_OK)
		e = err_set(t, E_NOMEM, "out of memory for a Redis connection");
out:
	if (e != E_OK)
		rds_free(r);
	else
		*out = r;
	return e;
}

void
rds_start(struct rds *r)
{
	assert(r->state == IDLE);
	r->state = WAIT;
	/* From the loop, so that on_down is never called from inside. */
	loop_timer_arm(&r->retry, 0);
}

enum err
rds_start_fd(struct rds *r, int fd, struct errtext *t)
{
	struct stream_conf conf = stream_conf(r);
	enum err e;

	assert(r->state == IDLE);
	conf.tls = NULL;
	e = stream_adopt(&r->stream, r->loop, fd, &conf, &stream_ops, r, t);
	if (e != E_OK)
		return e;
	r->state = HELLO;
	e = rds_parser_init(&r->parser, r->reply_max);
	if (e == E_OK)
		e = send_hello(r);
	return e == E_OK ? E_OK : err_set(t, e, "cannot greet");
}

void
rds_close(struct rds *r)
{
	if (!r)
		return;
	assert(r->state != CLOSED);
	r->state = CLOSED;
	stream_close(r->stream);
	r->stream = NULL;
	loop_timer_disarm(&r->deadline);
	loop_timer_disarm(&r->retry);
	loop_reap(r->loop, rds_free, r);
}

bool
rds_is_up(const struct rds *r)
{
	return r->state == UP;
}

const char *
rds_url(const struct rds *r)
{
	return r->target.safe;
}
