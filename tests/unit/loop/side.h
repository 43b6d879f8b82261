/* One side of a stream and what it has been told; the test itself is the other side. */
#ifndef WARREN_TESTS_LOOP_SIDE_H
#define WARREN_TESTS_LOOP_SIDE_H

#include "fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "loop/stream.h"

struct side {
	struct loop *l;
	struct stream *s;
	int fd; /* the peer's end */
	struct buf in;
	size_t pieces;
	int n_open, n_drain, n_close;
	enum err err;
	char why[512];
	bool close_on_data, pause_on_data, in_call;
	char *echo;
};

static inline void
on_open(void *p)
{
	struct side *x = p;

	assert_false(x->in_call);
	x->n_open++;
}

static inline void
on_data(void *p, struct span bytes)
{
	struct side *x = p;

	assert_false(x->in_call);
	assert_true(bytes.len > 0);
	buf_add(&x->in, bytes);
	x->pieces++;
	if (x->echo)
		assert_int_equal(stream_write(x->s, span_of(x->echo)), E_OK);
	if (x->pause_on_data)
		stream_pause(x->s, true);
	if (x->close_on_data) {
		stream_close(x->s);
		x->s = NULL;
	}
}

static inline void
on_drain(void *p)
{
	struct side *x = p;

	assert_false(x->in_call);
	x->n_drain++;
}

static inline void
on_close(void *p, enum err e, const char *why)
{
	struct side *x = p;

	assert_false(x->in_call);
	x->n_close++;
	x->err = e;
	snprintf(x->why, sizeof(x->why), "%s", why);
}

static const struct stream_ops ops = { on_open, on_data, on_drain, on_close };

static inline void
pair(struct side *x, struct loop *l, const struct stream_conf *conf)
{
	int sv[2];

	*x = (struct side){ .l = l };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	x->fd = sv[1];
	assert_int_equal(stream_adopt(&x->s, l, sv[0], conf, &ops, x, NULL), E_OK);
}

static inline void
done(struct side *x)
{
	stream_close(x->s);
	if (x->fd >= 0)
		close(x->fd);
	buf_release(&x->in);
	loop_turn(x->l, 0);
}

static inline void
say(const struct side *x, const char *text)
{
	assert_int_equal(write(x->fd, text, strlen(text)), strlen(text));
}

static inline void
hear(const struct side *x, const char *text)
{
	char got[256];
	ssize_t n = read(x->fd, got, sizeof(got));

	assert_int_equal(n, strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

#endif
