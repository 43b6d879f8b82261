/*
 * A UNIX stream socket over which descriptors travel with the bytes (SCM_RIGHTS). For a few short messages: what does not fit the socket's
 * buffer now is not sent.
 */
#ifndef WARREN_LOOP_FDLINK_H
#define WARREN_LOOP_FDLINK_H

#include "loop/loop.h"

#define FDLINK_FDS_MAX 8

/* None is called from inside an fdlink_ function; each may close the link. */
struct fdlink_ops {
	void (*on_fd)(void *owner, int fd); /* takes it; it came with the bytes that follow */
	void (*on_data)(void *owner, struct span bytes);
	void (*on_close)(void *owner); /* the peer is gone; fdlink_close is still to be called */
};

struct fdlink {
	struct loop *loop;
	int fd;
	const struct fdlink_ops *ops;
	void *owner;
	struct loop_fd watch;
	unsigned round; /* of opens and closes: tells a callback that closed it */
};

/* Takes fd, also when it fails. A zeroed link may be closed. */
enum err fdlink_open(struct fdlink *k, struct loop *l, int fd, const struct fdlink_ops *ops, void *owner,
	struct errtext *t) MUSTCHECK;
/* All or nothing; the descriptors stay the caller's. E_AGAIN: the peer does not read; E_CLOSED. */
enum err fdlink_send(struct fdlink *k, struct span bytes, const int *fds, size_t n) MUSTCHECK;
void fdlink_close(struct fdlink *k);

#endif
