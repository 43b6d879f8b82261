/* What a child is inside of loop/: of one that we have started (child.c) and of one that another child has forked (forked.c). */
#ifndef WARREN_LOOP_CHILD_INNER_H
#define WARREN_LOOP_CHILD_INNER_H

#include "loop/child.h"

struct child {
	struct list link; /* loop.children */
	struct loop *loop;
	const struct child_ops *ops;
	void *owner;
	int pid, pid_fd; /* 0 and -1: it is to be forked, and not there yet */
	int channel, out, err;
	bool ended, closed;
	struct loop_fd watch;
	struct loop_remnant remnant;
	/* Of one that another process has forked; NULL once we are its parent. */
	const struct child_maker_ops *maker_ops;
	void *maker;
};

/* Descriptors of a child before it is there. [0] ours, [1] the child's; -1 = none. */
struct child_ends {
	int null_fd;
	int out[2], err[2], channel[2], status[2];
};
/* clang-format off */
#define CHILD_NO_ENDS { -1, { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } }
/* clang-format on */

/* False with errno set. */
bool child_make_ends(struct child_ends *x, bool channel, bool status);
void child_release_ends(struct child_ends *x);
/* Takes the three ends that are ours. */
void child_take_ends(struct child *c, struct child_ends *x);
/* Watches the pidfd, so that its end is seen. */
enum err child_watch(struct child *c) MUSTCHECK;
/* It has ended: tells the owner, or when that has closed it already, lets go of it. */
void child_on_end(struct child *c, const struct child_end *end);
/* The loop frees it. */
void child_free(void *p);
/* E_AGAIN for what passes, with errno and words. */
enum err child_start_failed(struct errtext *t, const char *what, const char *program, int code);

#endif
