/*
 * The socket to the worker. A task costs one read and one write: whatever has arrived is read at once and cut
 * into lines, and a frame is written with one call. SIGUSR1 interrupts waiting calls on purpose (a task is to
 * notice), so these try again.
 */
#include "host/channel.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE 65536
#define PEEK_SIZE 4096
/* What of the outgoing buffer is kept from one task to the next. */
#define KEEP_MAX ((size_t)1 << 20)

/* The one channel of this process, for the child that a task may fork. */
static struct channel *ours;

static void
forget_in_child(void)
{
	if (!ours)
		return;
	close(ours->fd);
	ours->fd = -1;
}

enum err
channel_init(struct channel *c, int fd, struct errtext *t)
{
	struct stat st;

	*c = (struct channel){ .fd = fd };
	buf_init(&c->out, 0);
	/* No bound of ours: the worker has one, and it sends no more than it took from the broker. */
	run_reader_init(&c->reader, 0);
	if (fstat(fd, &st) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return err_sys(t, "fd %d", fd);
	if (!S_ISSOCK(st.st_mode))
		return err_set(t, E_CONF, "fd %d is not a socket", fd);
	if (pthread_atfork(NULL, NULL, forget_in_child) != 0)
		return err_set(t, E_NOMEM, "out of memory");
	ours = c;
	return E_OK;
}

void
channel_release(struct channel *c)
{
	if (ours == c)
		ours = NULL;
	buf_release(&c->out);
	run_reader_release(&c->reader);
}

static enum err
send_all(int fd, struct span bytes, struct errtext *t)
{
	ssize_t n;

	while (bytes.len) {
		n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return err_set(t, E_CLOSED, "the worker has gone");
		if (n < 0)
			return err_sys(t, "cannot write to the worker");
		bytes.ptr += n;
		bytes.len -= (size_t)n;
	}
	return E_OK;
}

enum err
channel_send(struct channel *c, const struct run_frame *f, struct errtext *t)
{
	enum err e;

	run_encode(&c->out, f);
	e = c->out.err != E_OK ? err_set(t, c->out.err, "out of memory for a frame")
			       : send_all(c->fd, buf_span(&c->out), t);
	if (c->out.cap > KEEP_MAX) {
		buf_release(&c->out);
		buf_init(&c->out, 0);
	} else {
		buf_reset(&c->out);
	}
	return e;
}

enum err
channel_read(struct channel *c, struct span *line, struct errtext *t)
{
	char bytes[READ_SIZE];
	ssize_t n;
	enum err e;

	if (c->ahead.ptr) {
		*line = c->ahead;
		c->ahead = SPAN_NONE;
		return E_OK;
	}
	while ((e = run_reader_next(&c->reader, line)) == E_AGAIN) {
		n = read(c->fd, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return err_set(t, E_CLOSED, "the worker has gone");
		if (n < 0)
			return err_sys(t, "cannot read from the worker");
		e = run_reader_feed(&c->reader, (struct span){ bytes, (size_t)n });
		if (e != E_OK)
			return err_set(t, e, "out of memory for a frame of the worker");
	}
	return e;
}

static bool
is_cancel(struct span line, struct span id)
{
	struct arena arena;
	struct run_frame f;
	bool yes;

	arena_init(&arena, 0);
	yes = run_decode(&f, line, &arena, NULL, NULL) == E_OK && f.type == RUN_CANCEL && span_eq(f.id, id);
	arena_release(&arena);
	return yes;
}

bool
channel_take_cancel(struct channel *c, struct span id)
{
	if (!c->ahead.ptr && run_reader_next(&c->reader, &c->ahead) != E_OK)
		return false;
	if (!is_cancel(c->ahead, id))
		return false;
	c->ahead = SPAN_NONE;
	return true;
}

bool
channel_peek_cancel(const struct channel *c, struct span id)
{
	char bytes[PEEK_SIZE];
	struct span rest, line;
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

	if (n <= 0)
		return false;
	rest = (struct span){ bytes, (size_t)n };
	while (rest.ptr) {
		line = span_split(&rest, '\n');
		if (rest.ptr && is_cancel(line, id))
			return true;
	}
	return false;
}
