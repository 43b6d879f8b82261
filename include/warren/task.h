/*
 * Task modules in C. A module is a shared library that exports one table of tasks; `warren runner LIB.so`
 * loads it into a child process and runs one task at a time, so a task may block, leak or crash without harm
 * to the worker.
 *
 *	#include <warren/task.h>
 *
 *	static enum warren_end
 *	add(struct warren_task *t)
 *	{
 *		double a, b;
 *
 *		if (!warren_arg_double(t, 0, &a) || !warren_arg_double(t, 1, &b))
 *			return warren_fail(t, "TypeError", "add needs two numbers");
 *		return warren_return_double(t, a + b);
 *	}
 *
 *	WARREN_MODULE(
 *		{ .name = "add", .run = add, .help = "the sum of two numbers" }
 *	);
 *
 *	cc -shared -fPIC -o tasks.so tasks.c        (nothing to link: the functions come from the host)
 *
 * docs/tasks-in-c.md tells the rest.
 */
#ifndef WARREN_TASK_H
#define WARREN_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Grows when the tables below change in a way that old modules do not survive; the host refuses a module of
 * another number.
 */
#define WARREN_TASK_ABI 1

struct warren_task;

/*
 * How a run ended. The warren_return_, warren_fail, ... functions below return it, so that `return
 * warren_...` says all.
 */
enum warren_end {
	WARREN_DONE = 0,
	WARREN_FAILED = 1,
	WARREN_RETRY = 2,
	WARREN_IGNORE = 3,
	WARREN_REJECT = 4
};

struct warren_task_entry {
	const char *name; /* the registered name, "documents.count_words" */
	enum warren_end (*run)(struct warren_task *t);
	const char *help; /* one line, may be NULL */
	void *reserved[4];
};

struct warren_module {
	uint32_t abi;        /* WARREN_TASK_ABI */
	uint32_t entry_size; /* sizeof(struct warren_task_entry) */
	const struct warren_task_entry *tasks;
	size_t task_count;
	/* Once per child, before the first task; may be NULL. */
	bool (*start)(char *error, size_t error_size);
	/* Before the child ends in good order; may be NULL. */
	void (*stop)(void);
};

#define WARREN_EXPORT __attribute__((visibility("default")))
extern WARREN_EXPORT const struct warren_module warren_module;

/* The module's one exported symbol; the arguments are its tasks. */
#define WARREN_MODULE(...) WARREN_MODULE_WITH(NULL, NULL, __VA_ARGS__)
/*
 * With functions to start and stop, each may be NULL. start_fn loads what all tasks need, such as a model.
 * When it returns false the child ends, and what it wrote into `error` (up to error_size bytes with the NUL)
 * says why.
 */
#define WARREN_MODULE_WITH(start_fn, stop_fn, ...) \
	static const struct warren_task_entry warren_entries[] = { __VA_ARGS__ }; \
	const struct warren_module warren_module = { WARREN_TASK_ABI, sizeof(struct warren_task_entry), \
		warren_entries, sizeof(warren_entries) / sizeof(warren_entries[0]), (start_fn), (stop_fn) }

#pragma GCC visibility push(default)

/* --- what was asked -------------------------------------------------------------------------------------
 * Texts and JSON are NUL-terminated, in UTF-8, and live until the task returns. All functions here are for
 * the thread that runs the task. */
const char *warren_id(const struct warren_task *t);
const char *warren_name(const struct warren_task *t);
int64_t warren_retries(const struct warren_task *t);          /* 0 on the first run */
const char *warren_request_json(const struct warren_task *t); /* all of the request as a JSON object */
size_t warren_arg_count(const struct warren_task *t);
const char *warren_args_json(const struct warren_task *t);   /* the array as it was sent */
const char *warren_kwargs_json(const struct warren_task *t); /* the object as it was sent */

/*
 * Positional argument i, or the keyword argument of that name. False when absent or of another type (text
 * never becomes a number); *out is then as it was, so that it may hold the default. A text with a NUL inside
 * is only whole with its len.
 */
bool warren_arg_int(const struct warren_task *t, size_t i, int64_t *out);
bool warren_arg_double(const struct warren_task *t, size_t i, double *out); /* also takes integers */
bool warren_arg_bool(const struct warren_task *t, size_t i, bool *out);
bool warren_arg_text(struct warren_task *t, size_t i, const char **out, size_t *len); /* len may be NULL */
const char *warren_arg_json(struct warren_task *t, size_t i); /* any type, as JSON; NULL when absent */
bool warren_kwarg_int(const struct warren_task *t, const char *key, int64_t *out);
bool warren_kwarg_double(const struct warren_task *t, const char *key, double *out);
bool warren_kwarg_bool(const struct warren_task *t, const char *key, bool *out);
bool warren_kwarg_text(struct warren_task *t, const char *key, const char **out, size_t *len);
const char *warren_kwarg_json(struct warren_task *t, const char *key);

/* --- while it runs --------------------------------------------------------------------------------------
 * State PROGRESS with {"current": .., "total": .., "step": ".."}; step may be NULL. */
void warren_progress(struct warren_task *t, double current, double total, const char *step);
/*
 * Any state of your own with any meta (JSON; NULL = null). False when the JSON is malformed or the state is
 * not upper-case letters, digits and '_', beginning with a letter.
 */
bool warren_state(struct warren_task *t, const char *state, const char *meta_json);
/*
 * True once the worker asked to stop (soft time limit, revoke): clean up and return. Cheap enough for an
 * inner loop. The request also interrupts sleep(), read() and other waiting calls with EINTR.
 */
bool warren_cancelled(const struct warren_task *t);
/*
 * Calls fn(arg) once when the worker asks to stop, for code that waits or computes where no flag is looked at.
 * It is called inside a signal handler, by whatever thread got the signal: it may do what signal-safety(7)
 * allows, such as setting a flag, writing to a pipe, or closing a descriptor. When the request has come already
 * it is called at once, before this returns. The last fn counts; NULL = none. Forgotten when the task returns.
 */
void warren_on_cancel(struct warren_task *t, void (*fn)(void *arg), void *arg);

/* --- how it ends: `return warren_return_int(t, 5);` -----------------------------------------------------
 * The last of these calls counts. A task that returns WARREN_DONE without any has the result null. */
enum warren_end warren_return_null(struct warren_task *t);
enum warren_end warren_return_int(struct warren_task *t, int64_t i);
enum warren_end warren_return_double(struct warren_task *t, double d);
enum warren_end warren_return_bool(struct warren_task *t, bool b);
/* In UTF-8; bytes that are not become U+FFFD. NULL is the result null. */
enum warren_end warren_return_text(struct warren_task *t, const char *text);
/* NULL is the result null; malformed JSON becomes a failure. */
enum warren_end warren_return_json(struct warren_task *t, const char *json);
/*
 * type: "ValueError" and other Python builtins are raised as such by Celery clients; any other name makes a
 * class of that name.
 */
enum warren_end warren_fail(struct warren_task *t, const char *type, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * Run it again after `seconds`; seconds < 0 or max_retries < 0 = the worker's setting. type and text are the
 * cause that is stored, and the error when the retries are spent; a NULL type = none.
 */
enum warren_end warren_retry(struct warren_task *t, double seconds, int max_retries, const char *type,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/*
 * The end of a task that stops because of warren_cancelled: the error that Celery has for a passed soft time
 * limit.
 */
enum warren_end warren_fail_cancelled(struct warren_task *t);
/* End without any result. */
enum warren_end warren_ignore(struct warren_task *t);
/* Hand the message back: to its queue, or to the dead letters with the reason (may be NULL). */
enum warren_end warren_reject(struct warren_task *t, bool requeue, const char *reason);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
