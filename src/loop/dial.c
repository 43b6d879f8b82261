/*
 * Dialling:  start -> (look the name up) -> connect to an address -> next address ... -> done
 *
 * Every step is taken from the loop, never from inside dial_start, so the owner's callback is never called under its own call.
 * A dead first address must not eat all the time: each gets an equal share of what is left.
 */
#include "loop/dial.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"

static void
finish(struct dial *d, int fd)
{
	enum err e = d->err;

	dial_release(d);
	d->fn(d->owner, e, fd, d->why.text);
}

static enum err
err_of_errno(int code)
{
	switch (code) {
	case ECONNREFUSED:
	case EACCES:
	case EPERM:
		return E_REFUSED;
	case ETIMEDOUT:
		return E_TIMEOUT;
	case ENOENT:
		return E_MISSING;
	case ECONNRESET:
		return E_CLOSED;
	default:
		return E_SYS;
	}
}

static void
drop_attempt(struct dial *d)
{
	if (d->ready)
		event_free(d->ready);
	d->ready = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	loop_timer_disarm(&d->share);
}

static void on_next(void *owner);

/* The attempt failed; goes on with the next address, from the loop. */
static void
attempt_failed(struct dial *d, int code)
{
	drop_attempt(d);
	d->n_tried++;
	errno = code;
	d->err = err_of_errno(code);
	(void)err_sys(&d->why, d->n_tried > 1 ? "cannot connect (tried %d addresses)" : "cannot connect",
		d->n_tried);
	if (d->at)
		d->at = d->at->ai_next;
	loop_defer(d->loop, LOOP_DECIDE, &d->next, on_next, d);
}

static void
attempt_done(struct dial *d)
{
	int fd = d->fd;

	d->fd = -1;
	d->err = E_OK;
	d->why.text[0] = '\0';
	finish(d, fd);
}

static void
on_ready(evutil_socket_t fd, short what UNUSED, void *arg)
{
	struct dial *d = arg;
	int code = 0;
	socklen_t len = sizeof(code);

	loop_wake(d->loop);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0)
		code = errno;
	if (code != 0)
		attempt_failed(d, code);
	else
		attempt_done(d);
}

static void
on_share_over(void *owner)
{
	attempt_failed(owner, ETIMEDOUT);
}

static void
attempt(struct dial *d, int family, const struct sockaddr *addr, socklen_t len)
{
	int n_left = 0;

	d->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0) {
		attempt_failed(d, errno);
		return;
	}
	if (connect(d->fd, addr, len) == 0) {
		attempt_done(d);
		return;
	}
	/* EAGAIN comes from UNIX sockets only and means a full backlog: there is nothing to wait for. */
	if (errno != EINPROGRESS) {
		attempt_failed(d, errno);
		return;
	}
	d->ready = event_new(d->loop->base, d->fd, EV_WRITE, on_ready, d);
	if (!d->ready || event_add(d->ready, NULL) != 0) {
		attempt_failed(d, ENOMEM);
		return;
	}
	for (struct addrinfo *a = d->at; a; a = a->ai_next)
		n_left++;
	if (n_left > 1)
		loop_timer_arm(&d->share, (d->end - loop_now(d->loop)) / n_left);
}

static void
attempt_path(struct dial *d)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t len = strlen(d->path) + 1;

	/* dial_start has checked that it fits. */
	memcpy(un.sun_path, d->path, len);
	attempt(d, AF_UNIX, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

static void
on_next(void *owner)
{
	struct dial *d = owner;

	if (d->at)
		attempt(d, d->at->ai_family, d->at->ai_addr, d->at->ai_addrlen);
	else if (d->path && d->n_tried == 0)
		attempt_path(d);
	else
		finish(d, -1);
}

static void
on_resolved(void *owner, enum err e, struct addrinfo *list, const char *why)
{
	struct dial *d = owner;

	if (e != E_OK) {
		d->err = err_set(&d->why, e, "%s", why);
		finish(d, -1);
		return;
	}
	d->list = d->at = list;
	on_next(d);
}

enum err
dial_start(struct dial *d, struct loop *l, const char *host, int port, const char *path, ms_t limit_ms,
	dial_fn *fn, void *owner, struct errtext *t)
{
	enum err e;

	*d = (struct dial){ .loop = l, .fn = fn, .owner = owner, .fd = -1 };
	e = loop_timer_init(&d->share, l, on_share_over, d);
	if (e != E_OK)
		return err_set(t, e, "out of memory for a connection");
	d->end = loop_now(l) + limit_ms;
	if (path) {
		if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
			e = err_set(t, E_CONF, "the socket path \"%s\" is too long: %zu bytes, at most %zu",
				path, strlen(path), sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
			goto out;
		}
		d->path = alloc_dup(span_of(path));
		if (!d->path)
			e = err_set(t, E_NOMEM, "out of memory for a connection");
	} else {
		d->list = d->at = resolve_numeric(host, port);
		if (!d->list) {
			e = resolve_start(&d->resolve, l, host, port, on_resolved, d, t);
			goto out;
		}
	}
	if (e == E_OK)
		loop_defer(l, LOOP_DECIDE, &d->next, on_next, d);
out:
	if (e != E_OK)
		dial_release(d);
	return e;
}

void
dial_release(struct dial *d)
{
	if (!d->loop)
		return;
	resolve_release(&d->resolve);
	drop_attempt(d);
	loop_timer_release(&d->share);
	loop_undefer(&d->next);
	if (d->list)
		freeaddrinfo(d->list);
	d->list = d->at = NULL;
	alloc_free(d->path);
	d->path = NULL;
	d->loop = NULL;
}
