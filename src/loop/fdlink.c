/* See fdlink.h. */
#include "loop/fdlink.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_MAX 8192

union control {
	char bytes[CMSG_SPACE(sizeof(int) * FDLINK_FDS_MAX)];
	struct cmsghdr align;
};

/* False when the link was closed in a callback. */
static bool
take_fds(struct fdlink *k, struct msghdr *m)
{
	unsigned round = k->round;
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fds[FDLINK_FDS_MAX];

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || n > FDLINK_FDS_MAX)
			continue;
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		for (size_t i = 0; i < n; i++) {
			if (k->round == round)
				k->ops->on_fd(k->owner, fds[i]);
			else
				close(fds[i]);
		}
	}
	return k->round == round;
}

static void
on_readable(void *owner)
{
	struct fdlink *k = owner;
	char bytes[READ_MAX];
	struct iovec v = { .iov_base = bytes, .iov_len = sizeof(bytes) };
	union control control;
	struct msghdr m = { .msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(k->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		loop_fd_release(&k->watch);
		k->ops->on_close(k->owner);
		return;
	}
	if (take_fds(k, &m))
		k->ops->on_data(k->owner, (struct span){ bytes, (size_t)n });
}

enum err
fdlink_open(struct fdlink *k, struct loop *l, int fd, const struct fdlink_ops *ops, void *owner,
	struct errtext *t)
{
	unsigned round = k->round + 1;

	*k = (struct fdlink){ .loop = l, .fd = fd, .ops = ops, .owner = owner, .round = round };
	if (loop_fd_init(&k->watch, l, fd, on_readable, k) == E_OK)
		return E_OK;
	fdlink_close(k);
	return err_set(t, E_NOMEM, "out of memory");
}

enum err
fdlink_send(struct fdlink *k, struct span bytes, const int *fds, size_t n)
{
	struct iovec v = { .iov_base = (char *)(uintptr_t)bytes.ptr, .iov_len = bytes.len };
	union control control = { .bytes = { 0 } };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t sent;

	assert(n <= FDLINK_FDS_MAX);
	if (k->loop == NULL)
		return E_CLOSED;
	if (n > 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
	}
	do {
		sent = sendmsg(k->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent == (ssize_t)bytes.len)
		return E_OK;
	/* A torn frame cannot be mended. */
	return sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS) ? E_AGAIN : E_CLOSED;
}

void
fdlink_close(struct fdlink *k)
{
	if (k->loop == NULL)
		return;
	loop_fd_release(&k->watch);
	close(k->fd);
	*k = (struct fdlink){ .fd = -1, .round = k->round + 1 };
}
