/*
 * What a stream does with its descriptor: the TLS handshake, reading, writing.
 *
 * A failed write is not the end yet: what the peer has sent before it left is read first, for it may say why (a broker's
 * connection.close, the error of a Redis that has too many clients).
 */
#include <errno.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "loop/stream_internal.h"

/* After a failed write, how long what the peer said before it went is still read: it may tell why it went. */
#define LAST_WORDS_MS 200
/* One TLS record. */
#define TLS_PIECE (16 * 1024)

/* Nothing can be written any more. */
static void
write_failed(struct stream *s, enum err e, const char *why)
{
	if (s->paused || s->muted || !s->can_read) {
		stream_fail(s, e, why);
		return;
	}
	evbuffer_drain(s->out, stream_pending(s));
	stream_wait_writable(s, false);
	s->is_broken = true;
	s->err = err_set(&s->why, e, "%s", why);
	s->last_words_by = loop_now(s->loop) + LAST_WORDS_MS;
	stream_watch_deadlines(s);
}

void
stream_wait_writable(struct stream *s, bool on)
{
	if (on == s->is_writing)
		return;
	if (on && event_add(s->ev_write, NULL) != 0) {
		stream_fail(s, E_NOMEM, "out of memory");
		return;
	}
	if (!on)
		(void)event_del(s->ev_write);
	s->is_writing = on;
}

static void
on_drained(void *owner)
{
	struct stream *s = owner;

	s->ops->on_drain(s->owner);
}

/* After a write: what it has changed. */
static void
wrote(struct stream *s)
{
	bool is_empty = stream_pending(s) == 0;

	stream_wait_writable(s, !is_empty);
	if (s->state != STREAM_OPEN)
		return;
	if (s->write_ms) {
		stream_note_progress(s);
		if (!is_empty)
			stream_watch_deadlines(s);
	}
	if (is_empty && s->muted) {
		if (s->tls)
			tls_bye(s->tls);
		s->muted = false;
		stream_close(s);
		return;
	}
	if (s->want_drain && stream_pending(s) <= s->write_max / 2) {
		s->want_drain = false;
		if (s->ops->on_drain && !s->muted)
			loop_defer(s->loop, LOOP_DECIDE, &s->drain, on_drained, s);
	}
}

static void
write_tls(struct stream *s)
{
	enum tls_io io = TLS_DONE;
	const unsigned char *piece;
	size_t len, n = 0, sum = 0;

	while (io == TLS_DONE && (len = stream_pending(s)) > 0 && sum < LOOP_READ_MAX) {
		if (len > TLS_PIECE)
			len = TLS_PIECE;
		/* Small pieces of the queue go into one record. */
		piece = evbuffer_pullup(s->out, (ev_ssize_t)len);
		if (!piece) {
			write_failed(s, E_NOMEM, "out of memory");
			return;
		}
		io = tls_write(s->tls, piece, len, &n);
		if (io == TLS_DONE) {
			evbuffer_drain(s->out, n);
			sum += n;
		}
	}
	if (io == TLS_FAILED || io == TLS_END)
		write_failed(s, E_CLOSED, io == TLS_END ? "the peer closed the connection" : tls_why(s->tls));
	else
		wrote(s);
}

static void
write_plain(struct stream *s)
{
	/* One writev. What it leaves is waited for, even if the socket could have taken more: others want their turn. */
	if (evbuffer_write(s->out, s->fd) < 0 && errno != EAGAIN && errno != EINTR)
		write_failed(s, errno == EPIPE || errno == ECONNRESET ? E_CLOSED : E_SYS, strerror(errno));
	else
		wrote(s);
}

static void
write_now(struct stream *s)
{
	if (s->state != STREAM_OPEN || s->is_broken)
		return;
	if (stream_pending(s) == 0)
		wrote(s);
	else if (s->tls)
		write_tls(s);
	else
		write_plain(s);
}

static void
on_flush(void *owner)
{
	struct stream *s = owner;

	if (s->read_again && !s->paused) {
		s->read_again = false;
		event_active(s->ev_read, EV_READ, 0);
	}
	if (!s->is_writing)
		write_now(s);
}

void
stream_flush_later(struct stream *s)
{
	loop_defer(s->loop, LOOP_FLUSH, &s->flush, on_flush, s);
}

void
stream_opened(struct stream *s)
{
	s->state = STREAM_OPEN;
	s->connect_by = LOOP_NEVER;
	s->last_read = loop_now(s->loop);
	stream_watch_deadlines(s);
	if (s->paused)
		(void)event_del(s->ev_read);
	stream_flush_later(s);
	if (!s->adopted && !s->muted)
		s->ops->on_open(s->owner);
}

static void
hello(struct stream *s)
{
	switch (tls_hello(s->tls)) {
	case TLS_DONE:
		stream_wait_writable(s, false);
		if (s->state == STREAM_HELLO)
			stream_opened(s);
		break;
	case TLS_WANT_READ:
		stream_wait_writable(s, false);
		break;
	case TLS_WANT_WRITE:
		stream_wait_writable(s, true);
		break;
	case TLS_END:
		stream_fail(s, E_CLOSED, "the peer closed the connection during the TLS handshake");
		break;
	case TLS_FAILED:
		stream_fail(s, E_REFUSED, tls_why(s->tls));
		break;
	}
}

static void
got(struct stream *s, size_t n)
{
	s->last_read = loop_now(s->loop);
	if (!s->muted)
		s->ops->on_data(s->owner, (struct span){ s->loop->scratch, n });
}

static void
read_plain(struct stream *s)
{
	ssize_t n = read(s->fd, s->loop->scratch, LOOP_READ_MAX);

	if (n > 0)
		got(s, (size_t)n);
	else if (n == 0)
		stream_fail(s, E_CLOSED, "the peer closed the connection");
	else if (errno != EAGAIN && errno != EINTR)
		stream_fail_errno(s, errno);
}

static void
read_tls(struct stream *s)
{
	size_t n = 0, sum = 0;

	/* What is decrypted already is in no socket, so no event would tell of it: it is taken now, or at the next turn. */
	do {
		enum tls_io io = tls_read(s->tls, s->loop->scratch, LOOP_READ_MAX, &n);

		if (io == TLS_END)
			stream_fail(s, E_CLOSED, "the peer closed the connection");
		else if (io == TLS_FAILED)
			stream_fail(s, E_CLOSED, tls_why(s->tls));
		else if (io == TLS_WANT_WRITE)
			stream_wait_writable(s, true);
		if (io != TLS_DONE)
			return;
		sum += n;
		got(s, n);
		if (s->state != STREAM_OPEN)
			return;
	} while (!s->paused && sum < LOOP_READ_MAX && tls_has_more(s->tls));
	if (tls_has_more(s->tls)) {
		s->read_again = true;
		stream_flush_later(s);
	}
}

void
stream_on_readable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct stream *s = arg;

	loop_wake(s->loop);
	if (s->state == STREAM_HELLO)
		hello(s);
	else if (s->state == STREAM_OPEN && s->tls)
		read_tls(s);
	else if (s->state == STREAM_OPEN)
		read_plain(s);
}

void
stream_on_writable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct stream *s = arg;

	loop_wake(s->loop);
	if (s->state == STREAM_HELLO)
		hello(s);
	else
		write_now(s);
}

void
stream_flush(struct stream *s)
{
	if (!s->is_writing)
		write_now(s);
}
