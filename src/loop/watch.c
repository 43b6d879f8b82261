/* Descriptors that become readable, and process signals: libevent's events in the form the other folders use. */
#include "loop/internal.h"

static void
on_fd(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct loop_fd *f = arg;

	loop_wake(f->loop);
	f->fn(f->owner);
}

enum err
loop_fd_init(struct loop_fd *f, struct loop *l, int fd, loop_fn *fn, void *owner)
{
	struct event *ev = event_new(l->base, fd, EV_READ | EV_PERSIST, on_fd, f);

	*f = (struct loop_fd){ .loop = l, .fn = fn, .owner = owner };
	if (!ev)
		return E_NOMEM;
	if (event_add(ev, NULL) != 0) {
		event_free(ev);
		return E_SYS;
	}
	f->event = ev;
	return E_OK;
}

void
loop_fd_release(struct loop_fd *f)
{
	if (f->event)
		event_free(f->event);
	*f = (struct loop_fd){ 0 };
}

static void
on_signal(evutil_socket_t signum UNUSED, short what UNUSED, void *arg)
{
	struct loop_signal *s = arg;

	loop_wake(s->loop);
	s->fn(s->owner);
}

enum err
loop_signal_init(struct loop_signal *s, struct loop *l, int signum, loop_fn *fn, void *owner)
{
	struct event *ev = evsignal_new(l->base, signum, on_signal, s);

	*s = (struct loop_signal){ .loop = l, .fn = fn, .owner = owner };
	if (!ev)
		return E_NOMEM;
	if (event_add(ev, NULL) != 0) {
		event_free(ev);
		return E_SYS;
	}
	s->event = ev;
	return E_OK;
}

void
loop_signal_release(struct loop_signal *s)
{
	if (s->event)
		event_free(s->event);
	*s = (struct loop_signal){ 0 };
}
