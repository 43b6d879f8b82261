/*
 * Remote control: requests come to a queue of this node's own, bound to the fanout exchange of all nodes, and are carried out at once;
 * answers leave over the publishing connection. The commands stand in one table in control.c, their functions in ctl_*.c.
 */
#ifndef WARREN_WORKER_CONTROL_H
#define WARREN_WORKER_CONTROL_H

#include "bus/chan.h"
#include "wire/control.h"

struct worker;

struct control {
	struct worker *worker;
	struct bus_chan *inbox;  /* of the consuming connection */
	struct bus_chan *outbox; /* of the publishing connection */
	char queue[256];
	bool listens;        /* has asked to, on the inbox as it is now */
	bool is_settled;     /* listening, refused, or not wanted: nobody needs to wait for it */
	bool name_taken;     /* somebody else has this node's queue */
	bool has_complained; /* of that */
	struct loop_timer patience;
	struct list inquiries; /* answers that wait for the backend, worker/inquiry.h */
};

enum err control_open(struct control *c, struct worker *w) MUSTCHECK;
void control_close(struct control *c);
/* The answer to a request that was kept (struct ctl, is_kept). */
void control_answer(struct control *c, const struct control_request *r, struct span answer);

#endif
