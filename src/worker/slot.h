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
#include "worker/sweep.h"
#include "worker/tail.h"

struct job;
struct pool;

enum slot_state { SLOT_DOWN, SLOT_STARTING, SLOT_IDLE, SLOT_BUSY, SLOT_ENDING };

struct slot {
	struct list link; /* pool.idle while idle; nest.waiting while it waits for a template */
	struct pool *pool;
	int index;
	enum slot_state state;
	struct child *child;
	struct stream *channel;
	struct output out, err;
	struct tail tail; /* of both, in the order they came */
	struct run_reader reader;
	struct job *job; /* while busy */
	/* The task of the current or last run: what the child writes is attributed to it, also after the job is gone. */
	char task_name[256], task_id[201];
	struct loop_timer timer; /* starting: hello deadline; busy: STARTED; ending: grace; down: back-off */
	char mark[SWEEP_MARK_MAX];    /* in the environment of this child and of all it starts */
	struct loop_timer soft, hard; /* limits of the task */
	struct loop_timer meter;      /* next look at its memory */
	int64_t memory_max;
	int64_t tasks_done;   /* by this child */
	int64_t runs;         /* by all children of this slot */
	bool to_replace;      /* by a new one, when its task is done */
	struct child_end end; /* valid when `exited` */
	bool exited, channel_gone;
	bool said_hello;   /* this child did */
	bool interrupted;  /* asked to end in the middle of a task, because the worker stops */
	bool stopping;     /* do not start again */
	bool fresh;        /* added while the pool runs, and its first child is not up yet */
	bool retired;      /* we asked it to end, its work being done */
	unsigned failures; /* starts in a row that came to nothing */
	char why[256];     /* why we ended it: overrides how it ended; "" = it ended by itself */
};

void slot_init(struct slot *s, struct pool *p, int index);
/* Starts the child; what fails is reported to pool_on_start_failed. */
void slot_start(struct slot *s);
/* Hands a task over. The slot is idle. */
void slot_run(struct slot *s, struct job *j);
/* The limits of the task it runs; 0 = none. */
void slot_arm_limits(struct slot *s, ms_t soft_ms, ms_t hard_ms, int64_t memory_max);
/* Asks the task it runs to end: a frame for a child that reads, SIGUSR1 for one that computes. */
void slot_cancel(struct slot *s, const char *reason);
/* Kills the child with all it has started, after a signal other than SIGKILL with some grace; the task is the caller's business, the slot
 * gets a new child. */
void slot_kill_task(struct slot *s, int signum, const char *why);
/* Asks the child to end (or ends it at once) and does not start it again; pool_on_slot_down follows. */
void slot_stop(struct slot *s, bool at_once);
/* The worker stops: SIGTERM to the child and all of its session, SIGKILL when that does not help. A task that ends within that time has ended as
 * it says; else job_on_interrupted follows. */
void slot_interrupt(struct slot *s);
/* A new child takes the place of this one, once its task is done. */
void slot_replace(struct slot *s);
void slot_release(struct slot *s);

#endif
