/*
 * The post office of a worker: messages that take the place of a delivery. Dead letters go to exchange warren.dead and from there to queue
 * warren.dead.<origin>; tasks for later go to the delay ladder; a retry without a delay goes to its queue. A delivery is acknowledged once the
 * broker has confirmed the copy. Whatever hinders that is tried again: nothing is dropped, nothing is requeued in a loop.
 */
#ifndef WARREN_WORKER_POST_H
#define WARREN_WORKER_POST_H

#include "base/map.h"
#include "bus/ladder.h"
#include "bus/publish.h"
#include "bus/topo.h"

struct job;
struct worker;

struct post {
	struct worker *worker;
	struct list waiting;        /* jobs whose mail is not under way, in order */
	struct map known;           /* roads that exist on this broker: "dead/<queue>", "later/<queue>" */
	char building[300];         /* the road being made for the first waiting job; "" = none */
	struct bus_topo *topo;
	struct bus_ladder *ladder;
	struct loop_timer retry;
};

enum err post_init(struct post *o, struct worker *w) MUSTCHECK;
void post_release(struct post *o);
/* Sends what j->request.mail describes; job_on_published follows. */
void post_send(struct post *o, struct job *j);
/* Forgets a job that goes away. */
void post_drop(struct post *o, struct job *j);
void post_on_up(struct post *o);

#endif
