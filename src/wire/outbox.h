/*
 * A result on its way to a backend that is away: it is parked in a durable queue of the broker. When what follows the task needs the backend too, the
 * task's message comes along and is sent again once the result is stored: whoever gets it finds the result and sees to the rest.
 *
 *   body: the result as the backend stores it, then the body of the task's message, if any; properties and headers are those of the task's message
 */
#ifndef WARREN_WIRE_OUTBOX_H
#define WARREN_WIRE_OUTBOX_H

#include "wire/msg.h"

struct outbox_letter {
	struct span id;     /* of the task */
	struct span result; /* text */
	struct span queue;  /* of the task's message; SPAN_NONE: it is not along */
};

/* Fills `to` (initialised, empty), persistent. `task` is NULL or the task's message; then l->queue says where it came from. */
enum err outbox_encode(struct msg *to, const struct outbox_letter *l, const struct msg *task) MUSTCHECK;
/* Borrows from m. E_FORMAT: it is no such letter. */
enum err outbox_decode(struct outbox_letter *l, const struct msg *m, struct errtext *why) MUSTCHECK;
/* The task's message, to be sent to its queue; it counts as held once more (wire/forward.h), so that whoever gets it asks. */
enum err outbox_restore(struct msg *to, const struct msg *m, const struct outbox_letter *l) MUSTCHECK;

#endif
