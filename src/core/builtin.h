/*
 * Celery's built-in tasks. They come as plain task messages, from clients (xs.map, xs.starmap, chunks) and from workers (accumulate, when a task replaces
 * itself by a group), to whatever queue takes them, so the worker carries them out itself, for tasks of any language. Those that a runner of the pool has
 * registered, as a Celery application does, are the runner's.
 *
 *   celery.map, celery.starmap                 one run of the task after the other, in the same child: a series
 *   celery.accumulate, celery.backend_cleanup  no run at all: the result is in the arguments, or nothing
 *   celery.chunks, celery.group, celery.chord  something is started
 *   celery.chain                               fails: it is no real task with Celery either
 */
#ifndef WARREN_CORE_BUILTIN_H
#define WARREN_CORE_BUILTIN_H

#include "base/buf.h"
#include "base/jscan.h"
#include "wire/task.h"

enum builtin {
	BUILTIN_NONE,
	BUILTIN_MAP,
	BUILTIN_STARMAP,
	BUILTIN_ACCUMULATE,
	BUILTIN_CLEANUP,
	BUILTIN_CHUNKS,
	BUILTIN_GROUP,
	BUILTIN_CHORD,
	BUILTIN_CHAIN,
};
/* BUILTIN_NONE for all other names. */
enum builtin builtin_find(struct span task_name);
/* Runs a task: what it is called is in its arguments. */
bool builtin_is_series(enum builtin b);

/* Runs of one task with one item after the other. Zeroed = none. */
struct series {
	struct span name; /* of the task, text */
	struct jscan_iter items;
	struct buf args;    /* of the next run, raw */
	struct buf results; /* so far, raw, without the last bracket */
	size_t n_results;
	bool is_star; /* an item is a list of arguments */
};
/* E_FORMAT says what is wrong with its arguments. Text that has to be decoded goes into a. */
enum err series_init(struct series *s, enum builtin b, const struct task *t, struct arena *a,
	struct errtext *why) MUSTCHECK;
void series_release(struct series *s);
/* False after the last one: then s->results is the list. */
bool series_next(struct series *s);
void series_add(struct series *s, struct span result);

/* What a task without a run comes to: the result in `value`; or in `start` the signature that it starts with `args` before its own; or an error, whose
 * type is in `type`. */
struct builtin_end {
	struct span value;
	struct span start, args;
	const char *type;
	struct errtext error;
};
enum err builtin_end(struct builtin_end *out, enum builtin b, const struct task *t, struct arena *a) MUSTCHECK;

#endif
