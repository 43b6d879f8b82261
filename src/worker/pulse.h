/*
 * What a worker tells whoever listens on exchange celeryev: that it is there, every two seconds, and, when somebody wants it, what becomes
 * of each task. Nothing here ever waits or fails a task: what the broker does not take at once is dropped and counted.
 */
#ifndef WARREN_WORKER_PULSE_H
#define WARREN_WORKER_PULSE_H

#include "base/buf.h"
#include "bus/chan.h"
#include "core/effect.h"
#include "wire/event.h"

struct job;
struct letter;
struct worker;

struct pulse {
	struct worker *worker;
	struct bus_chan *chan;  /* of the publishing connection */
	bool is_ready;          /* the exchange is there */
	bool with_tasks;        /* task events are wanted */
	bool is_alive;          /* between pulse_start and pulse_stop */
	struct buf batch, part; /* task events of this turn; texts of one */
	size_t n_batch;
	struct loop_task flush;
	struct loop_timer beat;
	uint64_t sent, dropped, told; /* events; of those dropped, how many the log knows of */
	ms_t told_at;
};

enum err pulse_open(struct pulse *p, struct worker *w) MUSTCHECK;
void pulse_close(struct pulse *p);
/* The worker is there: worker-online, then heartbeats. */
void pulse_start(struct pulse *p);
/* It is about to go: worker-offline. Events of tasks that still run may follow. */
void pulse_stop(struct pulse *p);
/* A heartbeat now. */
void pulse_beat(struct pulse *p);
/* Switches task events; false when they were so already. */
bool pulse_set_tasks(struct pulse *p, bool on);
/* A letter that the broker has now. */
void pulse_on_sent(struct pulse *p, const struct letter *l);
void pulse_on_task(struct pulse *p, const struct job *j, const struct report *r);

#endif
