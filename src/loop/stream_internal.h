/*
 * The inside of a stream: stream.c has its life and its deadlines, stream_io.c its reading and writing. Inside loop/ only.
 */
#ifndef WARREN_LOOP_STREAM_INTERNAL_H
#define WARREN_LOOP_STREAM_INTERNAL_H

#include "loop/dial.h"
#include "loop/internal.h"
#include "loop/stream.h"
#include "loop/tls.h"

struct evbuffer;

enum stream_state { STREAM_DIAL, STREAM_HELLO, STREAM_OPEN, STREAM_DOWN, STREAM_CLOSED };

struct stream {
	struct loop *loop;
	const struct stream_ops *ops;
	void *owner;
	const struct stream_tls *tls_conf;
	char *host;
	ms_t connect_ms, idle_ms, write_ms;
	size_t write_max;

	enum stream_state state;
	bool adopted, muted, paused, can_read;
	struct loop_remnant remnant; /* while it lingers */
	bool is_writing;             /* ev_write is added: the socket was full */
	bool is_broken;              /* a write failed: only reads, for the peer's last words */
	bool want_drain;
	bool read_again; /* decrypted bytes wait: read in the next turn without an event */
	struct dial dial;
	int fd;
	struct event *ev_read, *ev_write;
	struct tls *tls;
	struct evbuffer *out;
	struct loop_task flush, tell, drain;

	struct loop_timer timer;
	ms_t connect_by, linger_by, last_words_by; /* LOOP_NEVER = not set */
	ms_t last_read;
	uint64_t taken, left_mark; /* bytes ever queued; bytes that had left when we looked last */
	ms_t left_at;              /* when some of it left last; LOOP_NEVER = nothing waits */

	enum err err;
	struct errtext why;
};

/* The end, from whichever side; the owner hears of it from the loop. */
void stream_fail(struct stream *s, enum err e, const char *why);
void stream_fail_errno(struct stream *s, int code);
/* Connected, and past the handshake. */
void stream_opened(struct stream *s);
/* Sees to it that the timer is no later than the next deadline. */
void stream_watch_deadlines(struct stream *s);
/* Takes note of what has left the queue, for the write deadline. */
void stream_note_progress(struct stream *s);

/* libevent's callbacks for ev_read and ev_write. */
void stream_on_readable(evutil_socket_t fd, short what, void *arg);
void stream_on_writable(evutil_socket_t fd, short what, void *arg);
/* Writes at the turn's end. */
void stream_flush_later(struct stream *s);
/* Whether to hear of the socket having room. */
void stream_wait_writable(struct stream *s, bool on);

#endif
