/*
 * Results that wait on the broker while the backend is away (wire/outbox.h). Two halves: what a worker holds for too long is handed over, and
 * what waits there is stored once the backend is back, by whichever worker has it. Storing is one atomic step that changes nothing the second time.
 */
#ifndef WARREN_WORKER_OUTBOX_H
#define WARREN_WORKER_OUTBOX_H

#include "bus/chan.h"
#include "bus/topo.h"

struct worker;

struct outbox {
	struct worker *worker;
	char queue[64]; /* one for each backend: "warren.outbox.1f3a90c2" */
	ms_t after_ms;  /* a delivery is held no longer than so; 0 = for ever: there is no outbox */
	struct loop_timer tick;
	struct bus_chan *chan;
	struct bus_topo *topo;
	struct loop_timer retry;
	bool is_there; /* the queue, on this broker */
	bool is_consuming;
	bool has_complained; /* that it cannot be made */
	struct list items;   /* deliveries */
};

enum err outbox_open(struct outbox *o, struct worker *w, ms_t after_ms) MUSTCHECK;
void outbox_close(struct outbox *o);
/* Broker or backend came or went. */
void outbox_look(struct outbox *o);
/* Whatever waits for the backend waits no longer: this worker ends. */
void outbox_hand_over(struct outbox *o);
void outbox_on_broker_down(struct outbox *o);

#endif
