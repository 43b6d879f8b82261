/*
 * The post office of a worker: letters that go out before a delivery is acknowledged. Dead letters go to exchange warren.dead and from there to
 * queue warren.dead.<origin>; tasks for later go to the delay ladder; steps of a canvas go to their queues, which are made when they are missing.
 * Whatever hinders a letter is tried again: nothing is dropped, nothing is requeued in a loop.
 */
#ifndef WARREN_WORKER_POST_H
#define WARREN_WORKER_POST_H

#include "base/map.h"
#include "bus/ladder.h"
#include "bus/publish.h"
#include "bus/topo.h"
#include "worker/letter.h"

struct worker;

struct post {
	struct worker *worker;
	struct list waiting;  /* letters that are not under way, in order */
	struct list hindered; /* ... and those that wait for the next attempt: they hold up no others */
	struct list expected; /* struct expected_queue: what others delay has to find its way there */
	struct map known;     /* roads that exist on this broker */
	char building[LETTER_ROAD_MAX]; /* the road being made; "" = none */
	struct bus_topo *topo;
	struct bus_ladder *ladder;
	bool is_for_expected; /* what is built now */
	struct loop_timer retry;
	ms_t pause_ms; /* before it, the last time; 0 = what was sent last got through */
};

enum err post_init(struct post *o, struct worker *w) MUSTCHECK;
void post_release(struct post *o);
/* l->fn follows once the broker has it. */
void post_send(struct post *o, struct letter *l);
/* Takes it out and frees it; what is under way may arrive all the same. */
void post_drop(struct post *o, struct letter *l);
void post_on_up(struct post *o);
/* The publisher takes messages again; for bus_pub_new, with the post as its owner. */
void post_on_room(void *owner);
/*
 * Others send tasks for this queue to the delay ladder, as Celery's clients do from 5.5 on for queues of a topic exchange, and count on a
 * worker to have built it: makes sure of the ladder, and that what leaves it with this key gets to the queue.
 */
void post_expect(struct post *o, const char *queue, const char *key);

#endif
