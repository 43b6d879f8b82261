/* One run of a task: what the functions of warren/task.h work on. They are in api_args.c and api_end.c. */
#ifndef WARREN_HOST_CALL_H
#define WARREN_HOST_CALL_H

#include "base/alloc.h"
#include "host/channel.h"
#include "warren/task.h"

/* What the functions that take a const task still have to remember. */
struct call_memory {
	const char *request, *args, *kwargs; /* NUL-terminated copies, made when first asked for */
	ms_t next_peek;                      /* when to look for a cancel frame again */
	bool cancelled;
	bool no_memory; /* something could not be told to the task: it must not end well */
};

struct warren_task {
	const struct run_frame *run;
	struct arena *arena;
	struct channel *channel;
	struct call_memory *memory;
	const char *id, *name;
	struct run_frame done; /* what will be reported */
	struct buf value;      /* result, or message of the error, as JSON; done borrows from it */
	bool ended;            /* done has an outcome */
};

/* Makes SIGUSR1 a request to the running task. */
enum err call_watch_signal(struct errtext *t) MUSTCHECK;
/*
 * Runs the task that `run` asks for and sends its done frame; `entry` NULL = there is no such task. `run` may
 * be of the channel's last line: nothing is read meanwhile. An error is the channel's.
 */
enum err call_run(struct channel *c, const struct run_frame *run, const struct warren_task_entry *entry,
	struct arena *a, struct errtext *t) MUSTCHECK;
bool call_is_cancelled(const struct warren_task *t);
/* The same as a call: see warren_on_cancel. fn NULL = none. */
void call_on_cancel(const struct warren_task *t, void (*fn)(void *arg), void *arg);

/* Ends the call with an error. module SPAN_NONE = a builtin or none; text SPAN_NONE = no argument. */
void call_end_error(struct warren_task *t, enum run_outcome outcome, struct span type, struct span module,
	struct span text);
/* A NUL-terminated copy in the call's arena. On lack of memory "" and the call fails. */
const char *call_dup(const struct warren_task *t, struct span s);

#endif
