/* A pool: queues, slots, and the deliveries between them. */
#ifndef WARREN_WORKER_POOL_H
#define WARREN_WORKER_POOL_H

#include "base/map.h"
#include "core/request.h"
#include "core/scale.h"
#include "worker/feed.h"
#include "worker/guide.h"
#include "worker/slot.h"
#include "worker/template.h"
#include "worker/worker.h"

struct worker;
struct job;

struct pool_queue {
	struct bus_topo_queue topo; /* its texts are the pool's, and stay as long as it: tasks point to them */
	bool wanted;                /* consumed from */
	bool added;           /* while it runs, and never yet consumed from: a refusal costs it its place */
	bool asked, declared; /* it was part of what the broker is asked for; it is there */
};

struct pool {
	struct worker *worker;
	const struct pool_conf *conf;
	struct feed feed;
	struct nest nest;
	struct guide guide;
	struct pool_queue *queues;
	size_t n_queues;
	bool queues_changed; /* since the channel was opened: one more */
	struct slot **slots; /* those that are on their way out included */
	size_t n_slots;
	size_t size;               /* slots it is to have */
	struct scale_conf scaling; /* max 0: its size is changed by hand only */
	struct scale scale;
	struct list idle;    /* slots */
	struct list jobs;    /* all */
	struct list waiting; /* jobs without a slot, in order of arrival */
	struct map tasks;    /* registered names -> anything */
	bool any_task;       /* a runner takes every name */
	bool is_ready;       /* a child has said hello */
	char **envp;
	char **argv;
	struct loop_task dispatch, tidy;
};

enum err pool_init(
	struct pool *p, struct worker *w, const struct pool_conf *conf, struct errtext *t) MUSTCHECK;
void pool_release(struct pool *p);
void pool_start(struct pool *p);
/* Begins to consume when a child is there and nothing else is in the way. */
void pool_check_start(struct pool *p);
/* Each slot gets a new child, after the task it runs. */
void pool_restart(struct pool *p);
/* Slots it is to have from now on, at least 1. Tasks that run in slots that are too many go on to their end. `why` is for the log. */
void pool_set_size(struct pool *p, size_t size, const char *why);
/*
 * Other settings for a pool of the same name. check: whether its children can be started by them; then apply, which cannot fail: slots,
 * queues and limits follow, and children whose program, environment or folder has changed are replaced after their tasks.
 */
struct pool_change {
	const struct pool_conf *conf;
	char **argv, **envp;
};
enum err pool_check_change(struct pool_change *c, const struct pool *p, const struct pool_conf *conf,
	struct errtext *t) MUSTCHECK;
void pool_apply_change(struct pool *p, struct pool_change *c);
void pool_release_change(struct pool_change *c);
void pool_refresh_window(struct pool *p);
/* Broker's counts: tasks that wait in its queues. */
void pool_on_look(struct pool *p, uint32_t ready);
/* The deliveries it can hold may have become fewer: slots that are too many may go. */
void pool_on_window(struct pool *p);
/* pool_queues.c. Adds a queue, or takes it up again; the texts are copied. */
void pool_init_queues(struct pool *p);
void pool_release_queues(struct pool *p);
void pool_add_queue(struct pool *p, const struct bus_topo_queue *q);
/* False when it does not consume from it. What it has got from there it runs. */
bool pool_cancel_queue(struct pool *p, struct span name);
/* The broker does not let it have this queue. */
void pool_drop_queue(struct pool *p, size_t queue, const char *why);
/* NULL: it does not consume from it. */
const struct pool_queue *pool_find_queue(const struct pool *p, struct span name);
/* The queues that were asked for are there. False when others have come meanwhile. */
bool pool_on_topology(struct pool *p);
bool pool_knows(const struct pool *p, struct span task_name);
/* Registered by this name, not only because a runner takes any. */
bool pool_names(const struct pool *p, struct span task_name);

void pool_on_delivery(struct pool *p, struct bus_delivery *d, size_t consumer);
/* A delivery may stay until it is due without being in the way: less than half of what the pool may hold does so already. */
bool pool_may_wait(const struct pool *p);
/* The channel is gone: nothing that came through it can be acknowledged any more. */
void pool_on_channel_lost(struct pool *p);
/* The job waits for a slot. */
void pool_enqueue(struct pool *p, struct job *j);
void pool_on_hello(struct pool *p, const struct run_frame *f, struct arena *a);
void pool_on_slot_idle(struct pool *p, struct slot *s);
void pool_on_slot_down(struct pool *p, struct slot *s);
/* A child could not be started or ended before its hello. */
void pool_on_start_failed(struct pool *p, struct slot *s, bool is_passing, const char *why);
void pool_on_template_failed(struct pool *p, bool is_passing, const char *why);
void pool_on_nest_down(struct pool *p);
void pool_on_guide_down(struct pool *p);
/* One child of its program, forked or started by itself; `mark` is made for it, and put into its environment. Like child_spawn in all else. */
enum err pool_spawn(struct pool *p, struct child **out, char mark[SWEEP_MARK_MAX],
	const struct child_ops *ops, void *owner, struct errtext *t) MUSTCHECK;
/* A child must have said hello within. */
ms_t pool_start_ms(const struct pool *p);
void pool_on_job_gone(struct pool *p);

/* Gives back what has not begun. */
void pool_return_waiting(struct pool *p);
/* ... and what has ended as well, whatever it waits for. */
void pool_return_all(struct pool *p);
size_t pool_running(const struct pool *p);
/* Ends what runs, to be run elsewhere. */
void pool_interrupt(struct pool *p);
void pool_stop_slots(struct pool *p, bool at_once);
bool pool_is_down(const struct pool *p);

#endif
