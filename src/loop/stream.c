/*
 * Byte streams.
 *
 *   DIAL -> HELLO (TLS only) -> OPEN -> DOWN          DOWN: on_close is due or done, the owner has yet to close
 *      any of them -> CLOSED by the owner; `muted` is set when only what is queued is still to be written
 *
 * Reading: one read a turn into the loop's own buffer, handed on from there without a copy. Writing: pieces gather in a queue that
 * leaves with one writev at the turn's end; only what the socket does not take is waited for. libevent's bufferevents are not
 * used: in 2.1 they read at most 4096 bytes at a time, with an ioctl before each, and write one turn later. Its evbuffer is.
 *
 * Deadlines are checked by one lazy timer that looks at what has happened since, so that traffic does not re-arm anything.
 */
#include "loop/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "base/alloc.h"
#include "loop/stream_internal.h"

#define CONNECT_MS 10000
#define WRITE_MAX ((size_t)64 * 1024 * 1024)
/* Of a silent peer: after so long keep-alives begin, so often, and so many may stay without an answer. */
#define KEEP_IDLE_S 30
#define KEEP_EVERY_S 10
#define KEEP_COUNT 3

static void
stream_free(void *p)
{
	struct stream *s = p;

	if (s->out)
		evbuffer_free(s->out);
	alloc_free(s->host);
	alloc_free(s);
}

/* Lets go of the descriptor and all that watches it. */
static void
unlink_all(struct stream *s)
{
	dial_release(&s->dial);
	if (s->ev_read)
		event_free(s->ev_read);
	if (s->ev_write)
		event_free(s->ev_write);
	s->ev_read = s->ev_write = NULL;
	tls_free(s->tls);
	s->tls = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->is_writing = s->read_again = false;
	loop_timer_disarm(&s->timer);
	loop_undefer(&s->flush);
	loop_undefer(&s->drain);
}

static void
on_tell(void *owner)
{
	struct stream *s = owner;

	s->ops->on_close(s->owner, s->err, s->why.text);
}

void
stream_fail(struct stream *s, enum err e, const char *why)
{
	if (s->state == STREAM_DOWN || s->state == STREAM_CLOSED)
		return;
	/* First the words: they may lie in what is freed next. */
	s->err = e;
	if (why != s->why.text)
		(void)err_set(&s->why, e, "%s", why);
	unlink_all(s);
	evbuffer_drain(s->out, evbuffer_get_length(s->out));
	if (s->muted) {
		s->muted = false;
		stream_close(s);
		return;
	}
	s->state = STREAM_DOWN;
	/* This may run inside a call of the owner, who must not be called back from there. */
	loop_defer(s->loop, LOOP_DECIDE, &s->tell, on_tell, s);
}

void
stream_fail_errno(struct stream *s, int code)
{
	enum err e = E_SYS;

	if (code == EPIPE || code == ECONNRESET)
		e = E_CLOSED;
	else if (code == ETIMEDOUT)
		e = E_TIMEOUT;
	else if (code == ECONNREFUSED)
		e = E_REFUSED;
	stream_fail(s, e, strerror(code));
}

size_t
stream_pending(const struct stream *s)
{
	return evbuffer_get_length(s->out);
}

static void
earlier(ms_t *next, ms_t t)
{
	if (t < *next)
		*next = t;
}

/* The earliest of the stream's deadlines, LOOP_NEVER for none. */
static ms_t
next_deadline(const struct stream *s)
{
	ms_t next = LOOP_NEVER;

	earlier(&next, s->connect_by);
	earlier(&next, s->linger_by);
	earlier(&next, s->last_words_by);
	if (s->state == STREAM_OPEN && s->idle_ms && !s->paused && !s->muted)
		earlier(&next, s->last_read + s->idle_ms);
	if (s->state == STREAM_OPEN && s->write_ms && s->left_at != LOOP_NEVER)
		earlier(&next, s->left_at + s->write_ms);
	return next;
}

void
stream_watch_deadlines(struct stream *s)
{
	ms_t next = next_deadline(s);

	/* A timer that is too early finds out by itself; only a too late one must be moved. */
	if (next != LOOP_NEVER && (!s->timer.armed || next < s->timer.due))
		loop_timer_arm(&s->timer, next - loop_now(s->loop));
}

/* Takes note of what has left the queue, for the write deadline. */
void
stream_note_progress(struct stream *s)
{
	uint64_t left = s->taken - stream_pending(s);

	if (stream_pending(s) == 0) {
		s->left_at = LOOP_NEVER;
	} else if (s->left_at == LOOP_NEVER || left != s->left_mark) {
		s->left_mark = left;
		s->left_at = loop_now(s->loop);
	}
}

static void
on_timer(void *owner)
{
	struct stream *s = owner;
	ms_t now = loop_now(s->loop);

	stream_note_progress(s);
	if (next_deadline(s) > now)
		stream_watch_deadlines(s);
	else if (s->last_words_by <= now)
		stream_fail(s, s->err, s->why.text);
	else if (s->connect_by <= now)
		stream_fail(s, E_TIMEOUT,
			s->state == STREAM_HELLO ? "no TLS handshake in time" : "no connection in time");
	else if (s->linger_by <= now)
		stream_fail(s, E_TIMEOUT, "not written in time");
	else if (s->left_at != LOOP_NEVER && s->write_ms && s->left_at + s->write_ms <= now)
		stream_fail(s, E_TIMEOUT, "the peer takes no more data");
	else
		stream_fail(s, E_TIMEOUT, "nothing was heard from the peer");
}

/* Small messages at once, dead peers found; failures do not matter: not every descriptor is TCP. */
static void
tune(const struct stream *s)
{
	const int on = 1, idle = KEEP_IDLE_S, every = KEEP_EVERY_S, count = KEEP_COUNT;
	unsigned user_ms = (unsigned)s->write_ms;
	int family = 0;
	socklen_t len = sizeof(family);

	if (getsockopt(s->fd, SOL_SOCKET, SO_DOMAIN, &family, &len) != 0 ||
		(family != AF_INET && family != AF_INET6))
		return;
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	/* The same deadline for what has left the queue but sits unacknowledged in the kernel. */
	if (user_ms)
		(void)setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, sizeof(user_ms));
}

/* Starts to watch s->fd, which is connected. */
static enum err
link_up(struct stream *s, struct errtext *t)
{
	int mode = fcntl(s->fd, F_GETFL) & O_ACCMODE;
	enum err e;

	tune(s);
	s->can_read = mode != O_WRONLY;
	s->ev_read = event_new(s->loop->base, s->fd, EV_READ | EV_PERSIST, stream_on_readable, s);
	s->ev_write = event_new(s->loop->base, s->fd, EV_WRITE | EV_PERSIST, stream_on_writable, s);
	if (!s->ev_read || !s->ev_write)
		return err_set(t, E_NOMEM, "out of memory for a connection");
	if (s->can_read && event_add(s->ev_read, NULL) != 0)
		return err_sys(t, "the descriptor cannot be watched");
	if (!s->tls_conf) {
		s->state = STREAM_OPEN;
		return E_OK;
	}
	e = tls_new(&s->tls, s->tls_conf, s->fd, s->host, t);
	if (e != E_OK)
		return e;
	s->state = STREAM_HELLO;
	/* The first word is ours, and it is said from the loop. */
	stream_wait_writable(s, true);
	return E_OK;
}

static void
on_dialled(void *owner, enum err e, int fd, const char *why)
{
	struct stream *s = owner;
	struct errtext t = { "" };

	if (e != E_OK) {
		stream_fail(s, e, why);
		return;
	}
	s->fd = fd;
	e = link_up(s, &t);
	if (e != E_OK)
		stream_fail(s, e, t.text);
	else if (s->state == STREAM_OPEN)
		stream_opened(s);
}

static enum err
stream_new(struct stream **out, struct loop *l, const struct stream_conf *conf, const struct stream_ops *ops,
	void *owner, struct errtext *t)
{
	struct stream *s = alloc_zero(sizeof(*s));

	*out = NULL;
	if (!s)
		return err_set(t, E_NOMEM, "out of memory for a connection");
	s->loop = l;
	s->ops = ops;
	s->owner = owner;
	s->fd = -1;
	s->connect_by = s->linger_by = s->last_words_by = s->left_at = LOOP_NEVER;
	s->tls_conf = conf->tls;
	s->connect_ms = conf->connect_ms ? conf->connect_ms : CONNECT_MS;
	s->idle_ms = conf->idle_ms;
	s->write_ms = conf->write_ms;
	s->write_max = conf->write_max ? conf->write_max : WRITE_MAX;
	s->out = evbuffer_new();
	s->host = alloc_dup(span_of(conf->host ? conf->host : "localhost"));
	if (!s->out || !s->host || loop_timer_init(&s->timer, l, on_timer, s) != E_OK) {
		stream_free(s);
		return err_set(t, E_NOMEM, "out of memory for a connection");
	}
	*out = s;
	return E_OK;
}

enum err
stream_connect(struct stream **out, struct loop *l, const struct stream_conf *conf,
	const struct stream_ops *ops, void *owner, struct errtext *t)
{
	enum err e = stream_new(out, l, conf, ops, owner, t);
	struct stream *s = *out;

	if (e != E_OK)
		return e;
	e = dial_start(&s->dial, l, s->host, conf->port, conf->path, s->connect_ms, on_dialled, s, t);
	if (e != E_OK) {
		stream_close(s);
		*out = NULL;
		return e;
	}
	s->connect_by = loop_now(l) + s->connect_ms;
	stream_watch_deadlines(s);
	return E_OK;
}

enum err
stream_adopt(struct stream **out, struct loop *l, int fd, const struct stream_conf *conf,
	const struct stream_ops *ops, void *owner, struct errtext *t)
{
	enum err e = stream_new(out, l, conf, ops, owner, t);
	struct stream *s = *out;

	if (e != E_OK) {
		close(fd);
		return e;
	}
	s->fd = fd;
	s->adopted = true;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
		e = err_sys(t, "cannot use the descriptor %d", fd);
	else
		e = link_up(s, t);
	if (e != E_OK) {
		stream_close(s);
		*out = NULL;
		return e;
	}
	if (s->state == STREAM_HELLO)
		s->connect_by = loop_now(l) + s->connect_ms;
	s->last_read = loop_now(l);
	stream_watch_deadlines(s);
	return E_OK;
}

enum err
stream_write(struct stream *s, struct span bytes)
{
	size_t pending = stream_pending(s);

	if (s->state == STREAM_DOWN || s->state == STREAM_CLOSED || s->muted || s->is_broken)
		return E_CLOSED;
	if (pending > 0 && bytes.len > (pending < s->write_max ? s->write_max - pending : 0)) {
		s->want_drain = true;
		return E_AGAIN;
	}
	if (evbuffer_add(s->out, bytes.ptr, bytes.len) != 0)
		return E_NOMEM;
	s->taken += bytes.len;
	if (!s->is_writing && s->state == STREAM_OPEN)
		stream_flush_later(s);
	return E_OK;
}

void
stream_pause(struct stream *s, bool paused)
{
	if (paused == s->paused)
		return;
	s->paused = paused;
	if (s->state != STREAM_OPEN || !s->can_read)
		return;
	if (paused) {
		(void)event_del(s->ev_read);
		return;
	}
	if (event_add(s->ev_read, NULL) != 0) {
		stream_fail(s, E_NOMEM, "out of memory");
		return;
	}
	s->last_read = loop_now(s->loop);
	stream_watch_deadlines(s);
	if (s->tls && tls_has_more(s->tls)) {
		s->read_again = true;
		stream_flush_later(s);
	}
}

void
stream_set_idle(struct stream *s, ms_t idle_ms)
{
	s->idle_ms = idle_ms;
	if (s->state == STREAM_OPEN)
		stream_watch_deadlines(s);
}

void
stream_close(struct stream *s)
{
	if (!s)
		return;
	assert(s->state != STREAM_CLOSED && !s->muted);
	s->state = STREAM_CLOSED;
	list_unlink(&s->remnant.link);
	unlink_all(s);
	loop_undefer(&s->tell);
	loop_timer_release(&s->timer);
	loop_reap(s->loop, stream_free, s);
}

/* The loop goes away before the last bytes did. */
static void
on_loop_free(void *owner)
{
	struct stream *s = owner;

	s->muted = false;
	stream_close(s);
}

void
stream_finish(struct stream *s, ms_t linger_ms)
{
	if (!s)
		return;
	assert(s->state != STREAM_CLOSED && !s->muted);
	if (s->state == STREAM_DOWN || s->is_broken) {
		stream_close(s);
		return;
	}
	s->muted = true;
	loop_undefer(&s->drain);
	/* Read on, so that a peer that speaks before it listens is not stuck, but for nobody. */
	if (s->paused)
		stream_pause(s, false);
	if (s->state == STREAM_CLOSED)
		return;
	s->linger_by = loop_now(s->loop) + (linger_ms > 0 ? linger_ms : 0);
	loop_linger(s->loop, &s->remnant, on_loop_free, s);
	stream_watch_deadlines(s);
	if (!s->is_writing && s->state == STREAM_OPEN)
		stream_flush_later(s);
}
