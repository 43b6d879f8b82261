/*
 * The connection object: dialling, losing, dialling again; heartbeats; handing frames to channels. The handshake is in hello.c, the
 * reading of URLs in target.c.
 *
 *	 idle --start--> wait --timer--> dial --open--> hello --open-ok--> open
 *	                  ^               |              |                  |
 *	                  +-------- lost, refused, timed out, faulty -------+
 *	 any --close--> (closing: connection.close sent, close-ok awaited) --> gone
 *
 * Events come from the stream and from timers; calls from above never call back. What breaks inside such a call is kept and told by a
 * task of this turn (`breaking`). After each callback the connection may be closed or have dialled anew: whoever goes on after one
 * looks at `state` or `stream` again.
 */
#include "bus/inner.h"

#include "base/text.h"

#include <stdarg.h>

#include "base/backoff.h"
#include "base/id.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 30000
#define REFUSED_MIN_MS 5000 /* a wrong password does not get better within a second, and some brokers count */
#define LASTING_MS 5000     /* a connection that lived so long makes earlier failures forgotten */
#define BYE_MS 1000         /* for a last close or close-ok to leave */

static void conn_free(void *p);

static bool
is_live(const struct bus_conn *c)
{
	return c->state == CONN_DIAL || c->state == CONN_HELLO || c->state == CONN_OPEN;
}

/* --- writing --- */

enum err
conn_write(struct bus_conn *c, struct span bytes)
{
	enum err e;

	if (c->stream == NULL)
		return E_CLOSED;
	e = stream_write(c->stream, bytes);
	if (e == E_OK) {
		c->out_total += bytes.len;
		c->wrote_at = loop_now(c->loop);
	}
	return e;
}

enum err
conn_send(struct bus_conn *c, uint16_t channel, uint32_t method, void *args)
{
	enum err e;

	buf_reset(&c->out);
	e = codec_add_method(&c->out, channel, method, args, c->frame_max);
	if (e == E_TOOBIG)
		return e;
	if (e == E_OK)
		e = conn_write(c, buf_span(&c->out));
	/* Methods are small and the publisher leaves half of the queue free: when it is full, nobody reads there. */
	if (e == E_AGAIN)
		conn_break(c, E_TIMEOUT, "the broker does not take what is sent to it");
	else if (e != E_OK && e != E_CLOSED)
		conn_break(c, e, "out of memory");
	return e == E_OK ? E_OK : E_CLOSED;
}

/* --- the end of a connection --- */

static void
drop_stream(struct bus_conn *c)
{
	stream_close(c->stream);
	c->stream = NULL;
	loop_timer_disarm(&c->deadline);
	loop_timer_disarm(&c->beat);
	loop_undefer(&c->breaking);
}

/* With several URLs a whole round of them counts as one failure. */
static ms_t
next_try(const struct bus_conn *c, int code)
{
	unsigned rounds = c->failures / (unsigned)c->n_targets;
	ms_t wait = backoff_full_jitter(BACKOFF_MIN_MS, c->retry_max_ms, rounds + 1, id_random_u64());

	return code == AMQP_ACCESS_REFUSED || code == AMQP_NOT_ALLOWED ? wait + REFUSED_MIN_MS : wait;
}

static void
tell_lost(struct bus_conn *c, const struct bus_down *d)
{
	/* By number, as owners may open and close channels meanwhile. */
	for (size_t i = 1; i < c->n_slots; i++) {
		c->slots[i].closing = false;
		if (c->slots[i].chan != NULL)
			chan_on_lost(c->slots[i].chan, d->text);
		if (c->state != CONN_WAIT)
			return;
	}
	if (c->ops.on_down != NULL)
		c->ops.on_down(c->owner, d);
}

static void
lost(struct bus_conn *c, const struct bus_down *cause)
{
	struct bus_down d = *cause;
	struct errtext why;

	if (!is_live(c))
		return;
	/* The text may lie in what goes away now. */
	(void)err_set(&why, d.err, "%s", d.text);
	d.text = why.text;
	d.was_up = c->state == CONN_OPEN;
	d.url = c->targets[c->at].shown;
	drop_stream(c);
	if (d.was_up && loop_now(c->loop) - c->up_at >= LASTING_MS)
		c->failures = 0;
	if (d.retry_ms < 0)
		d.retry_ms = next_try(c, d.code);
	c->failures++;
	c->state = CONN_WAIT;
	c->blocked = false;
	loop_timer_arm(&c->retry, d.retry_ms);
	tell_lost(c, &d);
}

void
conn_lost(struct bus_conn *c, enum err err, int code, const char *text)
{
	lost(c, &(struct bus_down){ .err = err, .code = code, .text = text, .retry_ms = -1 });
}

static void
on_breaking(void *owner)
{
	struct bus_conn *c = owner;
	struct errtext why = c->break_why;

	lost(c, &(struct bus_down){ .err = c->break_err, .text = why.text, .retry_ms = -1 });
}

void
conn_break(struct bus_conn *c, enum err err, const char *why)
{
	c->break_err = err;
	(void)err_set(&c->break_why, err, "%s", why);
	loop_defer(c->loop, LOOP_DECIDE, &c->breaking, on_breaking, c);
}

static void
on_restart(void *owner)
{
	struct bus_conn *c = owner;
	struct errtext why = c->break_why;

	lost(c, &(struct bus_down){ .err = c->break_err, .text = why.text, .retry_ms = 0 });
}

void
bus_conn_restart(struct bus_conn *c, const char *why)
{
	if (is_live(c)) {
		c->break_err = E_CLOSED;
		(void)err_set(&c->break_why, E_CLOSED, "%s", why);
		loop_undefer(&c->breaking);
		loop_defer(c->loop, LOOP_DECIDE, &c->breaking, on_restart, c);
	} else if (c->state == CONN_WAIT) {
		loop_timer_arm(&c->retry, 0);
	}
}

static enum err
send_close(struct bus_conn *c, int code, struct span text)
{
	amqp_connection_close_t m = { .reply_code = (uint16_t)code, .reply_text = amqp_of_span(text) };

	if (text.len > UINT8_MAX)
		m.reply_text.len = UINT8_MAX;
	return conn_send(c, 0, AMQP_CONNECTION_CLOSE_METHOD, &m);
}

void
conn_fault(struct bus_conn *c, int code, const char *fmt, ...)
{
	struct errtext why;
	va_list ap;
	enum err e = code == AMQP_ACCESS_REFUSED ? E_REFUSED : E_FORMAT;

	va_start(ap, fmt);
	(void)vsnprintf(why.text, sizeof(why.text), fmt, ap);
	va_end(ap);
	/* To something that is no AMQP broker nothing is said. */
	if (c->codec.begun && send_close(c, code, span_of(why.text)) == E_OK) {
		stream_finish(c->stream, BYE_MS);
		c->stream = NULL;
	}
	conn_lost(c, e, code, why.text);
}

void
conn_closed_by_server(struct bus_conn *c, const amqp_connection_close_t *m)
{
	amqp_connection_close_ok_t ok = { 0 };
	struct errtext text, why;
	enum err e = E_CLOSED;

	(void)err_set(&text, e, "%.*s", SPAN_FMT(span_of_amqp(m->reply_text)));
	why = text;
	if (c->state == CONN_HELLO)
		e = hello_refusal(c, m->reply_code, text.text, &why);
	if (conn_send(c, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok) == E_OK) {
		stream_finish(c->stream, BYE_MS);
		c->stream = NULL;
	}
	conn_lost(c, e, m->reply_code, why.text);
}

/* --- heartbeats --- */

static void
on_beat(void *owner)
{
	struct bus_conn *c = owner;
	ms_t now = loop_now(c->loop), half = (ms_t)c->beat_s * 500;
	uint64_t left = c->out_total - stream_pending(c->stream);
	enum err e;

	/* A broker with an alarm does not read, on purpose; the stream's idle time still tells whether it lives. */
	if (left != c->left_seen || left == c->out_total || c->blocked) {
		c->left_seen = left;
		c->left_at = now;
	} else if (now - c->left_at >= 4 * half) {
		conn_lost(c, E_TIMEOUT, 0, "the broker does not take what is sent to it");
		return;
	}
	if (now - c->wrote_at >= half) {
		buf_reset(&c->out);
		codec_add_heartbeat(&c->out);
		e = c->out.err != E_OK ? c->out.err : conn_write(c, buf_span(&c->out));
		if (e == E_NOMEM) {
			conn_lost(c, e, 0, "out of memory");
			return;
		}
		/* A full queue is given up above in its time, and the end of the stream is told by its on_close. */
		c->wrote_at = now;
	}
	loop_timer_arm(&c->beat, c->wrote_at + half - now);
}

void
conn_up(struct bus_conn *c)
{
	c->state = CONN_OPEN;
	c->epoch++;
	c->up_at = c->left_at = c->wrote_at = loop_now(c->loop);
	loop_timer_disarm(&c->deadline);
	stream_set_idle(c->stream, (ms_t)c->beat_s * 2000);
	loop_timer_arm(&c->beat, (ms_t)c->beat_s * 500);
	for (size_t i = 1; i < c->n_slots && c->state == CONN_OPEN; i++)
		if (c->slots[i].chan != NULL)
			chan_on_up(c->slots[i].chan);
	if (c->state == CONN_OPEN && c->ops.on_up != NULL)
		c->ops.on_up(c->owner);
}

/* --- the stream --- */

void
conn_finish(struct bus_conn *c)
{
	list_unlink(&c->remnant.link);
	drop_stream(c);
	c->state = CONN_GONE;
	loop_reap(c->loop, conn_free, c);
}

static void
on_data(void *owner, struct span bytes)
{
	conn_on_data(owner, bytes);
}

static void
on_drain(void *owner)
{
	conn_wake_all(owner);
}

static void
on_open(void *owner)
{
	hello_begin(owner);
}

static void
on_close(void *owner, enum err e, const char *why)
{
	struct bus_conn *c = owner;
	struct errtext text;

	if (c->state == CONN_CLOSING) {
		conn_finish(c);
		return;
	}
	if (e == E_TIMEOUT && c->state == CONN_OPEN)
		(void)err_set(&text, e, "no heartbeat from the broker for %d seconds", 2 * c->beat_s);
	else if (e == E_CLOSED && c->state == CONN_HELLO && c->step == HELLO_TUNE)
		(void)err_set(&text, e,
			"the broker hung up on the login of user '%s' (wrong name or password?)",
			c->targets[c->at].user);
	else if (e == E_CLOSED && c->state == CONN_HELLO)
		(void)err_set(&text, e, "the broker hung up during the handshake");
	else
		(void)err_set(&text, e, "%s", why);
	conn_lost(c, e, 0, text.text);
}

static const struct stream_ops stream_ops = { on_open, on_data, on_drain, on_close };

/* --- dialling --- */

/* Makes everything ready for a new stream. */
static void
reset(struct bus_conn *c)
{
	codec_reset(&c->codec);
	c->frame_max = BUS_FRAME_MAX;
	c->channel_max = BUS_CHANNEL_MAX;
	c->out_total = c->left_seen = 0;
	c->state = CONN_DIAL;
	loop_timer_disarm(&c->retry);
	loop_timer_arm(&c->deadline, c->connect_ms);
}

static void
dial(struct bus_conn *c)
{
	struct stream_conf conf = { .connect_ms = c->connect_ms, .write_max = c->write_max };
	const struct bus_target *t;
	struct errtext why = { "" };
	enum err e;

	/* After a failure or a loss it is the next one's turn. */
	if (c->failures > 0)
		c->at = (c->at + 1) % c->n_targets;
	t = &c->targets[c->at];
	conf.host = t->host;
	conf.port = t->port;
	conf.tls = t->tls;
	reset(c);
	e = stream_connect(&c->stream, c->loop, &conf, &stream_ops, c, &why);
	if (e != E_OK) {
		c->stream = NULL;
		conn_lost(c, e, 0, why.text);
	}
}

static void
on_retry(void *owner)
{
	dial(owner);
}

static void
on_deadline(void *owner)
{
	struct bus_conn *c = owner;
	struct errtext why;

	if (c->state == CONN_CLOSING) {
		conn_finish(c);
		return;
	}
	(void)err_set(&why, E_TIMEOUT, "no %s within %.1f seconds",
		c->state == CONN_DIAL ? "connection" : "answer to the handshake",
		(double)c->connect_ms / 1000);
	conn_lost(c, E_TIMEOUT, 0, why.text);
}

void
bus_conn_start(struct bus_conn *c)
{
	if (c->state != CONN_IDLE)
		return;
	c->state = CONN_WAIT;
	loop_timer_arm(&c->retry, 0);
}

enum err
bus_conn_start_fd(struct bus_conn *c, int fd, struct errtext *t)
{
	struct stream_conf conf = { .write_max = c->write_max };
	enum err e;

	assert(c->state == CONN_IDLE || c->state == CONN_WAIT);
	reset(c);
	e = stream_adopt(&c->stream, c->loop, fd, &conf, &stream_ops, c, t);
	if (e != E_OK) {
		c->stream = NULL;
		c->state = CONN_WAIT;
		loop_timer_disarm(&c->deadline);
		return e;
	}
	hello_begin(c);
	return E_OK;
}

/* --- life --- */

static void
conn_free(void *p)
{
	struct bus_conn *c = p;

	loop_timer_release(&c->retry);
	loop_timer_release(&c->deadline);
	loop_timer_release(&c->beat);
	codec_release(&c->codec);
	buf_release(&c->out);
	for (size_t i = 0; i < c->n_targets; i++)
		bus_target_release(&c->targets[i]);
	alloc_free(c->targets);
	alloc_free(c->slots);
	alloc_free(c->name);
	alloc_free(c);
}

static enum err
init_targets(struct bus_conn *c, const struct bus_conf *conf, struct errtext *t)
{
	enum err e;

	if (conf->n_urls == 0)
		return err_set(t, E_CONF, "no broker URL is given");
	c->targets = alloc_zero(conf->n_urls * sizeof(*c->targets));
	if (c->targets == NULL)
		return E_NOMEM;
	for (; c->n_targets < conf->n_urls; c->n_targets++) {
		e = bus_target_init(&c->targets[c->n_targets], conf->urls[c->n_targets], &conf->tls, t);
		if (e != E_OK)
			return e;
	}
	return E_OK;
}

enum err
bus_conn_new(struct bus_conn **out, struct loop *l, const struct bus_conf *conf,
	const struct bus_conn_ops *ops, void *owner, struct errtext *t)
{
	struct bus_conn *c = alloc_zero(sizeof(*c));
	enum err e;

	*out = NULL;
	if (c == NULL)
		return E_NOMEM;
	c->loop = l;
	c->ops = *ops;
	c->owner = owner;
	c->heartbeat_s = conf->heartbeat_s > 0 ? conf->heartbeat_s : 30;
	c->connect_ms = conf->connect_ms > 0 ? conf->connect_ms : 10000;
	c->retry_max_ms = conf->retry_max_ms > 0 ? conf->retry_max_ms : BACKOFF_MAX_MS;
	c->write_max = conf->write_max > 0 ? conf->write_max : (size_t)64 << 20;
	c->message_max = conf->message_max > 0 ? conf->message_max : BUS_MESSAGE_MAX;
	c->frame_max = BUS_FRAME_MAX;
	codec_init(&c->codec);
	buf_init(&c->out, 2 * BUS_FRAME_MAX);
	e = init_targets(c, conf, t);
	if (e == E_OK)
		c->name = alloc_dup(span_of(conf->name != NULL ? conf->name : "warren"));
	if (e == E_OK && c->name == NULL)
		e = E_NOMEM;
	if (e == E_OK)
		e = loop_timer_init(&c->retry, l, on_retry, c);
	if (e == E_OK)
		e = loop_timer_init(&c->deadline, l, on_deadline, c);
	if (e == E_OK)
		e = loop_timer_init(&c->beat, l, on_beat, c);
	if (e != E_OK) {
		conn_free(c);
		return e;
	}
	*out = c;
	return E_OK;
}

/* The loop goes away before the broker said goodbye. */
static void
on_loop_free(void *owner)
{
	conn_finish(owner);
}

void
bus_conn_close(struct bus_conn *c, ms_t linger_ms)
{
	if (c == NULL || c->state == CONN_CLOSING || c->state == CONN_GONE)
		return;
	for (size_t i = 1; i < c->n_slots; i++) {
		if (c->slots[i].chan != NULL)
			chan_orphan(c->slots[i].chan);
		c->slots[i] = (struct conn_slot){ 0 };
	}
	loop_timer_disarm(&c->retry);
	loop_timer_disarm(&c->beat);
	loop_undefer(&c->breaking);
	if (c->state != CONN_OPEN || linger_ms <= 0 ||
		send_close(c, AMQP_REPLY_SUCCESS, SPAN("goodbye")) != E_OK) {
		conn_finish(c);
		return;
	}
	loop_undefer(&c->breaking);
	stream_set_idle(c->stream, 0);
	c->state = CONN_CLOSING;
	loop_linger(c->loop, &c->remnant, on_loop_free, c);
	loop_timer_arm(&c->deadline, linger_ms);
}

bool
bus_conn_is_up(const struct bus_conn *c)
{
	return c->state == CONN_OPEN;
}

bool
bus_conn_is_blocked(const struct bus_conn *c)
{
	return c->blocked;
}

uint64_t
bus_conn_epoch(const struct bus_conn *c)
{
	return c->epoch;
}

const char *
bus_conn_url(const struct bus_conn *c)
{
	return c->targets[c->at].shown;
}

const char *
bus_conn_server_version(const struct bus_conn *c)
{
	return c->version;
}

bool
bus_conn_server_has(const struct bus_conn *c, int major, int minor)
{
	struct span rest = span_of(c->version), first = span_split(&rest, '.'),
		    second = span_split(&rest, '.');
	int64_t has_major, has_minor;

	if (strcmp(c->server, "RabbitMQ") != 0 || !text_parse_int(first, &has_major) ||
		!text_parse_int(second, &has_minor))
		return false;
	return has_major > major || (has_major == major && has_minor >= minor);
}

struct loop *
bus_conn_loop(struct bus_conn *c)
{
	return c->loop;
}

/* --- channel numbers --- */

enum err
conn_add_chan(struct bus_conn *c, struct bus_chan *ch)
{
	size_t most = c->state == CONN_OPEN ? c->channel_max : BUS_CHANNEL_MAX;
	struct conn_slot *slots;
	size_t i = 1, n;

	while (i < c->n_slots && (c->slots[i].chan != NULL || c->slots[i].closing))
		i++;
	if (i > most)
		return E_TOOBIG;
	if (i >= c->n_slots) {
		n = c->n_slots > 0 ? 2 * c->n_slots : 8;
		slots = alloc_resize(c->slots, n * sizeof(*slots));
		if (slots == NULL)
			return E_NOMEM;
		memset(slots + c->n_slots, 0, (n - c->n_slots) * sizeof(*slots));
		i = c->n_slots > 0 ? c->n_slots : 1;
		c->slots = slots;
		c->n_slots = n;
	}
	c->slots[i].chan = ch;
	ch->number = (uint16_t)i;
	return E_OK;
}

void
conn_drop_chan(struct bus_conn *c, struct bus_chan *ch, bool closing)
{
	c->slots[ch->number] = (struct conn_slot){ NULL, closing };
}
