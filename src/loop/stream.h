/*
 * A byte stream over TCP, TLS, a UNIX socket or an open descriptor (socketpair, pipe), with deadlines and a
 * bounded write queue. What is written during a turn leaves in one system call at the turn's end.
 */
#ifndef WARREN_LOOP_STREAM_H
#define WARREN_LOOP_STREAM_H

#include "loop/loop.h"

struct stream;

struct stream_tls_conf {
	const char *ca_file;   /* NULL: the system's */
	const char *cert_file; /* client certificate; NULL: none */
	const char *key_file;
	bool no_verify; /* only by an explicit setting of the user */
};
struct stream_tls;
/* Reads the files. TLS 1.2 and later. */
enum err stream_tls_new(
	struct stream_tls **out, const struct stream_tls_conf *conf, struct errtext *t) MUSTCHECK;
void stream_tls_free(struct stream_tls *tls);

struct stream_conf {
	const char *host; /* name or address, with port; the peer's certificate must be for it */
	int port;
	const char *path;             /* or a UNIX socket */
	const struct stream_tls *tls; /* NULL = plain. Must outlive the stream. */
	ms_t connect_ms;              /* resolving, connecting and TLS together; 0 = 10 s */
	ms_t idle_ms;                 /* nothing read for so long: closed with E_TIMEOUT; 0 = never */
	ms_t write_ms;                /* bytes wait and none leaves for so long: E_TIMEOUT; 0 = never */
	size_t write_max;             /* bytes that may wait to be written; 0 = 64 MiB */
};

/*
 * After on_close nothing more is called, but the stream is still the owner's: stream_close (or _finish) ends it, exactly once, always.
 * Callbacks may close the stream. None is called from inside a stream_ function.
 */
struct stream_ops {
	void (*on_open)(void *owner);
	void (*on_data)(void *owner, struct span bytes); /* all of it is taken; once per piece */
	void (*on_drain)(void *owner); /* may be NULL: the queue fell below half after an E_AGAIN */
	/* E_CLOSED: the peer ended it; E_REFUSED, E_TIMEOUT, E_MISSING (name), E_SYS. `why` is for a person, without the address. */
	void (*on_close)(void *owner, enum err e, const char *why);
};

/* Strings in conf are copied. */
enum err stream_connect(struct stream **out, struct loop *l, const struct stream_conf *conf,
	const struct stream_ops *ops, void *owner, struct errtext *t) MUSTCHECK;
/*
 * Takes an open, connected descriptor, also when it fails: a socket, or one end of a pipe. on_open is not called. With conf->tls
 * the handshake (for conf->host, within connect_ms) comes first, and what is written waits for it.
 */
enum err stream_adopt(struct stream **out, struct loop *l, int fd, const struct stream_conf *conf,
	const struct stream_ops *ops, void *owner, struct errtext *t) MUSTCHECK;
/*
 * Copies the bytes to the queue, also while still connecting. E_AGAIN: it is full, nothing was taken, on_drain follows; an empty queue
 * takes a piece of any size. E_CLOSED, E_NOMEM.
 */
enum err stream_write(struct stream *s, struct span bytes) MUSTCHECK;
size_t stream_pending(const struct stream *s);
/* Tries to write what waits now rather than at the turn's end. */
void stream_flush(struct stream *s);
/* Stops and resumes reading. */
void stream_pause(struct stream *s, bool paused);
void stream_set_idle(struct stream *s, ms_t idle_ms);
/* Closes at once, or after what waits has been written (at most linger_ms). No callback afterwards. The loop frees it.
 * NULL is allowed. */
void stream_close(struct stream *s);
void stream_finish(struct stream *s, ms_t linger_ms);

#endif
