/*
 * Dead letters: what cannot be run goes, with its original bytes and the reason in headers, to exchange warren.dead and from there to
 * queue warren.dead.<origin>. The delivery is acknowledged once the broker has confirmed the copy. Whatever hinders that is
 * tried again; a message is never dropped and never requeued in a loop.
 */
#ifndef WARREN_WORKER_DEAD_H
#define WARREN_WORKER_DEAD_H

#include "base/map.h"
#include "bus/publish.h"
#include "bus/topo.h"

struct job;
struct worker;

struct dead_office {
	struct worker *worker;
	struct list waiting;        /* jobs whose letter is not under way */
	struct map known;           /* origin queues whose dead-letter queue exists */
	struct bus_topo *topo;      /* under way for the first waiting job */
	struct loop_timer retry;
};

enum err dead_init(struct dead_office *o, struct worker *w) MUSTCHECK;
void dead_release(struct dead_office *o);
/* job_on_published follows. */
void dead_send(struct dead_office *o, struct job *j);
/* Forgets a job that goes away. */
void dead_drop(struct dead_office *o, struct job *j);
void dead_on_up(struct dead_office *o);

#endif
