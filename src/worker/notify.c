/* See notify.h. The watchdog's ping comes from the loop, so it stops when the loop does. */
#include "worker/notify.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

static void
on_watchdog(void *owner)
{
	struct notify *n = owner;

	notify_say(n, "WATCHDOG=1");
	loop_timer_arm(&n->timer, n->watchdog_ms);
}

static int
open_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd;

	if (len >= sizeof(addr.sun_path) || (path[0] != '/' && path[0] != '@'))
		return -1;
	memcpy(addr.sun_path, path, len);
	/* An abstract socket is written with an @. */
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 &&
		connect(fd, (struct sockaddr *)&addr,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

enum err
notify_open(struct notify *n, struct loop *l)
{
	const char *path = getenv("NOTIFY_SOCKET"), *usec = getenv("WATCHDOG_USEC"),
		   *pid = getenv("WATCHDOG_PID");
	int64_t us, whom;
	enum err e;

	n->fd = path != NULL ? open_socket(path) : -1;
	e = loop_timer_init(&n->timer, l, on_watchdog, n);
	if (e != E_OK || n->fd < 0 || usec == NULL || !text_parse_int(span_of(usec), &us) || us < 2000)
		return e;
	if (pid != NULL && (!text_parse_int(span_of(pid), &whom) || whom != getpid()))
		return E_OK;
	n->watchdog_ms = us / 2000;
	loop_timer_arm(&n->timer, n->watchdog_ms);
	return E_OK;
}

void
notify_close(struct notify *n)
{
	loop_timer_release(&n->timer);
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

void
notify_say(struct notify *n, const char *state)
{
	/* Nobody listens, or not now: there is nothing to be done about it, and the watchdog notices on the other side. */
	if (n->fd >= 0)
		(void)!send(n->fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT);
}
