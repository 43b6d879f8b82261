/*
 * Where the children of a pool come from when its program can be forked: a template process imports the application once, and forks a child
 * for each slot that asks (docs/runner-protocol.md). A nest has one template that is used, and those that were replaced and still have
 * children.
 */
#ifndef WARREN_WORKER_TEMPLATE_H
#define WARREN_WORKER_TEMPLATE_H

#include "loop/child.h"

struct pool;
struct template;

struct nest {
	struct pool *pool;
	bool is_used; /* false: each child is started by itself */
	char **argv;  /* of a template: the pool's words, and one more */
	size_t words;
	struct template *current; /* NULL: none */
	struct list templates;    /* all that have a process */
	struct list waiting;      /* slots, and the guide, that are to start when it is up */
	struct loop_timer again;  /* after one that did not get up */
	unsigned failures;        /* in a row */
};

enum err nest_init(struct nest *n, struct pool *p) MUSTCHECK;
void nest_release(struct nest *n);
/*
 * True when the slot that has this link, or the guide, cannot start now: it waits in the nest, and slot_start or guide_start follows.
 * list_unlink takes it out.
 */
bool nest_must_wait(struct nest *n, struct list *link);
/* A child for one that need not wait; `mark` is put into its environment. Like child_spawn in all else. */
enum err nest_spawn(struct nest *n, struct child **out, const char *mark, const struct child_ops *ops,
	void *owner, struct errtext *t) MUSTCHECK;
/* The pool has another command line; the words of the one before may be freed. A template that is up is not concerned. */
void nest_take_program(struct nest *n);
/* The program may have changed: children that start from now on come from a new template. */
void nest_renew(struct nest *n);
/* When no child is left; pool_on_nest_down follows unless it is down already. */
void nest_stop(struct nest *n);
bool nest_is_down(const struct nest *n);

#endif
