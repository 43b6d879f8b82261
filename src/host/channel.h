/* The socket to the worker, blocking: frames out, lines in. */
#ifndef WARREN_HOST_CHANNEL_H
#define WARREN_HOST_CHANNEL_H

#include "wire/run.h"

struct channel {
	int fd;         /* -1 in a process that a task forked: it must not speak for the task */
	struct buf out; /* the frame that is being sent */
	struct run_reader reader;
	struct span ahead; /* a line taken too early, SPAN_NONE when there is none */
};

/* Takes over the fd, which must be a socket, and hides it from programs that tasks start. */
enum err channel_init(struct channel *c, int fd, struct errtext *t) MUSTCHECK;
void channel_release(struct channel *c);
/* E_CLOSED when the worker is gone. */
enum err channel_send(struct channel *c, const struct run_frame *f, struct errtext *t) MUSTCHECK;
/* Waits for the next line, which is valid until the next call. E_CLOSED when the worker is gone. */
enum err channel_read(struct channel *c, struct span *line, struct errtext *t) MUSTCHECK;
/* Whether a cancel frame for this id stands next in what was read already; it is then taken. */
bool channel_take_cancel(struct channel *c, struct span id);
/* Whether one waits in the socket; it stays there. Never waits. */
bool channel_peek_cancel(const struct channel *c, struct span id);

#endif
