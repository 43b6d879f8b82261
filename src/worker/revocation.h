/*
 * Which tasks this worker must not run: told by remote control, by peers, and by the backend, where it is kept so that a worker that was away
 * learns of it. Without a backend it is known as long as a worker lives that has heard it.
 */
#ifndef WARREN_WORKER_REVOCATION_H
#define WARREN_WORKER_REVOCATION_H

#include "core/revoke.h"
#include "loop/loop.h"
#include "wire/task.h"

struct worker;

/* One of the two sets: ids, stamps. */
struct revocation_set {
	struct revocation *owner;
	const char *name; /* in the backend */
	struct revoked texts;
	bool is_loading;
};

struct revocation {
	struct worker *worker;
	struct revocation_set ids, stamps;
	bool is_settled; /* what the backend keeps is known, or cannot be known now */
	struct loop_task save;
};

void revocation_init(struct revocation *r, struct worker *w);
void revocation_release(struct revocation *r);
/* Whether this task is revoked, by its id or one of its stamps. */
bool revocation_covers(const struct revocation *r, const struct task *t);
/* Kept in the backend as well, later in this turn. Tasks that wait here are the caller's business: revocation_apply. */
void revocation_add(struct revocation *r, struct span id);
void revocation_add_stamp(struct revocation *r, struct span name, struct span value);
/* Revokes what waits here and is covered. */
void revocation_apply(struct revocation *r);
/* The backend can be asked (again). */
void revocation_load(struct revocation *r);
/* It cannot be asked now: tasks are not held up any longer. */
void revocation_on_backend_down(struct revocation *r);

#endif
