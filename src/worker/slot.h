/*
 * A slot: a child process that runs one task at a time, started again when it dies.
 *
 *   down -> starting -> idle <-> busy          any -> ending -> down (then starting again, after a back-off)
 */
#ifndef WARREN_WORKER_SLOT_H
#define WARREN_WORKER_SLOT_H

#include "loop/child.h"
#include "loop/stream.h"
#include "wire/run.h"
#include "worker/output.h"

struct job;
struct pool;

enum slot_state { SLOT_DOWN, SLOT_STARTING, SLOT_IDLE, SLOT_BUSY, SLOT_ENDING };

struct slot {
	struct list link;          /* pool.idle while idle */
	struct pool *pool;
	int index;
	enum slot_state state;
	struct child *child;
	struct stream *channel;
	struct output out, err;
	struct run_reader reader;
	struct job *job;           /* while busy */
	/* The task of the current or last run: what the child writes is attributed to it, also after the job is gone. */
	char task_name[256], task_id[201];
	struct loop_timer timer;   /* starting: hello deadline; busy: STARTED; ending: grace; down: back-off */
	struct child_end end;      /* valid when `exited` */
	bool exited, channel_gone;
	bool said_hello;           /* this child did */
	bool stopping;             /* do not start again */
	unsigned failures;         /* starts in a row that came to nothing */
	char why[256];             /* why we ended it: overrides how it ended; "" = it ended by itself */
};

void slot_init(struct slot *s, struct pool *p, int index);
/* Starts the child; what fails is reported to pool_on_start_failed. */
void slot_start(struct slot *s);
/* Hands a task over. The slot is idle. */
void slot_run(struct slot *s, struct job *j);
/* Asks the child to end (or ends it at once) and does not start it again; pool_on_slot_down follows. */
void slot_stop(struct slot *s, bool at_once);
void slot_release(struct slot *s);

#endif
