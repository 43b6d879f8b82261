/* A pool: queues, slots, and the deliveries between them. */
#ifndef WARREN_WORKER_POOL_H
#define WARREN_WORKER_POOL_H

#include "base/map.h"
#include "core/request.h"
#include "worker/feed.h"
#include "worker/slot.h"
#include "worker/worker.h"

struct worker;
struct job;

struct pool {
	struct worker *worker;
	const struct pool_conf *conf;
	struct feed feed;
	struct slot *slots;
	struct list idle;           /* slots */
	struct list jobs;           /* all */
	struct list waiting;        /* jobs without a slot, in order of arrival */
	struct map tasks;           /* registered names -> anything */
	bool any_task;              /* a runner takes every name */
	bool is_ready;              /* a child has said hello */
	char **envp;
	char **argv;
	struct loop_task dispatch;
};

enum err pool_init(struct pool *p, struct worker *w, const struct pool_conf *conf, struct errtext *t) MUSTCHECK;
void pool_release(struct pool *p);
void pool_start(struct pool *p);
/* Begins to consume when a child is there and nothing else is in the way. */
void pool_check_start(struct pool *p);
/* Each slot gets a new child, after the task it runs. */
void pool_restart(struct pool *p);
bool pool_knows(const struct pool *p, struct span task_name);

void pool_on_delivery(struct pool *p, struct bus_delivery *d, size_t consumer);
/* The channel is gone: nothing that came through it can be acknowledged any more. */
void pool_on_channel_lost(struct pool *p);
/* The job waits for a slot. */
void pool_enqueue(struct pool *p, struct job *j);
void pool_on_hello(struct pool *p, const struct run_frame *f, struct arena *a);
void pool_on_slot_idle(struct pool *p, struct slot *s);
void pool_on_slot_down(struct pool *p, struct slot *s);
/* A child could not be started or ended before its hello. */
void pool_on_start_failed(struct pool *p, struct slot *s, bool is_passing, const char *why);
void pool_on_job_gone(struct pool *p);

/* Gives back what has not begun. */
void pool_return_waiting(struct pool *p);
size_t pool_running(const struct pool *p);
void pool_stop_slots(struct pool *p, bool at_once);
bool pool_is_down(const struct pool *p);

#endif
