/*
 * Children that another child has forked. They are not ours to wait for: their pidfd tells that they have ended, their parent how.
 *
 *   expected -> arrived -> told its end -> closed: group killed, the maker reaps it, freed        any of it closed by its owner meanwhile
 *           \-> never came                  \-> the maker has ended: ours
 */
#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "loop/child_inner.h"
#include "loop/internal.h"

enum err
child_expect(struct child **out, struct loop *l, int theirs[3], const struct child_maker_ops *maker_ops,
	void *maker, const struct child_ops *ops, void *owner, struct errtext *t)
{
	struct child_ends x = CHILD_NO_ENDS;
	struct child *c = alloc_zero(sizeof(*c));
	enum err e;

	*out = NULL;
	if (c == NULL)
		return err_set(t, E_NOMEM, "out of memory for a child");
	c->loop = l;
	c->ops = ops;
	c->owner = owner;
	c->maker_ops = maker_ops;
	c->maker = maker;
	c->pid_fd = c->channel = c->out = c->err = -1;
	if (!child_make_ends(&x, true, false)) {
		e = child_start_failed(t, "no descriptors left for", "a child", errno);
		child_release_ends(&x);
		child_free(c);
		return e;
	}
	child_take_ends(c, &x);
	theirs[0] = x.channel[1];
	theirs[1] = x.out[1];
	theirs[2] = x.err[1];
	*out = c;
	return E_OK;
}

void
child_arrived(struct child *c, int pid, int pid_fd)
{
	assert(c->pid == 0 && !c->ended);
	c->pid = pid;
	c->pid_fd = pid_fd >= 0 ? pid_fd : pidfd_open(pid, 0);
	list_push(&c->loop->children, &c->link);
	/* Without a watch, for want of descriptors or memory, its parent still tells its end. */
	if (c->pid_fd >= 0 && child_watch(c) != E_OK)
		c->watch = (struct loop_fd){ .loop = NULL };
	if (c->closed)
		(void)kill(-pid, SIGKILL);
}

void
child_told_end(struct child *c, const struct child_end *end)
{
	child_on_end(c, end);
}

void
child_orphaned(struct child *c)
{
	static const struct child_end unknown = { .unknown = true };

	c->maker_ops = NULL;
	c->maker = NULL;
	if (c->ended)
		return;
	/* The kernel kills it with its parent; the zombie, with the status, is ours now. */
	loop_fd_release(&c->watch);
	if (c->pid_fd < 0 || pidfd_send_signal(c->pid_fd, SIGKILL, NULL, 0) != 0 || child_watch(c) != E_OK)
		child_on_end(c, &unknown);
}
