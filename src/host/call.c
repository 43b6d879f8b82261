/*
 * One run of a task, from its run frame to its done frame.
 *
 *   begin -> the module's function -> end
 *              | warren_arg_*, warren_state, warren_cancelled (SIGUSR1, cancel frame)
 *              v
 *            warren_return_*, warren_fail, ...: the outcome is noted in `done`, the last one counts
 *
 * The module's output is flushed before the done frame, so that the worker has it all when the task is over.
 */
#include "host/call.h"

#include "base/clock.h"
#include "base/js.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* How often a task that keeps asking costs a system call. */
#define PEEK_EVERY_MS 10

/*
 * The worker signals only while it believes a task to be running, and a task that has just ended does not see
 * it.
 */
static volatile sig_atomic_t signal_came;
/* What the task wants to be called then; only set with the signal blocked, and reset inside its handler. */
static void (*volatile cancel_fn)(void *arg);
static void *cancel_arg;

/* Once for each task. */
static void
tell_task(void)
{
	void (*fn)(void *) = cancel_fn;

	cancel_fn = NULL;
	if (fn)
		fn(cancel_arg);
}

static void
on_signal(int signum UNUSED)
{
	int saved = errno;

	signal_came = 1;
	tell_task();
	errno = saved;
}

void
call_on_cancel(const struct warren_task *t, void (*fn)(void *arg), void *arg)
{
	sigset_t usr1, before;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, &before);
	cancel_fn = fn;
	cancel_arg = arg;
	/* It may have come as a frame alone, or before there was anybody to tell. */
	if (fn && call_is_cancelled(t))
		tell_task();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Nearly no task has one, and two system calls are a good part of what a short task costs. */
static void
forget_cancel(const struct warren_task *t)
{
	if (cancel_fn)
		call_on_cancel(t, NULL, NULL);
}

enum err
call_watch_signal(struct errtext *t)
{
	/* Without SA_RESTART: a task that sleeps or reads shall wake up. */
	struct sigaction sa = { .sa_handler = on_signal };

	sigemptyset(&sa.sa_mask);
	return sigaction(SIGUSR1, &sa, NULL) == 0 ? E_OK : err_sys(t, "cannot handle SIGUSR1");
}

bool
call_is_cancelled(const struct warren_task *t)
{
	struct call_memory *m = t->memory;
	ms_t now;

	if (m->cancelled || signal_came)
		return m->cancelled = true;
	now = clock_mono_ms();
	if (now < m->next_peek)
		return false;
	m->next_peek = now + PEEK_EVERY_MS;
	return m->cancelled = channel_peek_cancel(t->channel, t->run->id);
}

const char *
call_dup(const struct warren_task *t, struct span s)
{
	struct span copy = arena_dup(t->arena, s.ptr ? s : SPAN(""));

	if (!copy.ptr)
		t->memory->no_memory = true;
	return copy.ptr ? copy.ptr : "";
}

void
call_end_error(struct warren_task *t, enum run_outcome outcome, struct span type, struct span module,
	struct span text)
{
	struct js w;

	buf_reset(&t->value);
	js_init(&w, &t->value);
	js_array(&w);
	if (text.ptr)
		js_string(&w, text);
	js_array_end(&w);
	t->done.outcome = outcome;
	t->done.error = (struct run_error){ .type = type, .module = module };
	t->ended = true;
}

/* A task that returned without any of the functions that end it, or against what they say. */
static void
end_plainly(struct warren_task *t, enum warren_end end)
{
	switch (end) {
	case WARREN_DONE:
		warren_return_null(t);
		break;
	case WARREN_IGNORE:
		warren_ignore(t);
		break;
	case WARREN_REJECT:
		warren_reject(t, false, NULL);
		break;
	case WARREN_RETRY:
		warren_retry(t, -1, -1, NULL, "%s", "");
		break;
	case WARREN_FAILED:
		warren_fail(t, "RuntimeError",
			"the task did not say why it failed (WARREN_FAILED without warren_fail)");
		break;
	default:
		warren_fail(t, "RuntimeError", "the task returned %d, which is no enum warren_end", (int)end);
		break;
	}
}

/* The value is only now put into the frame: its memory may have moved while it was written. */
static void
fill_done(struct warren_task *t)
{
	if (t->memory->no_memory || t->value.err != E_OK) {
		call_end_error(t, RUN_ERROR, SPAN("MemoryError"), SPAN_NONE, SPAN_NONE);
		t->done.error.message = SPAN("[]");
		return;
	}
	if (t->done.outcome == RUN_RESULT)
		t->done.result = buf_span(&t->value);
	else if (t->done.outcome == RUN_ERROR || t->done.outcome == RUN_RETRY)
		t->done.error.message = buf_span(&t->value);
}

enum err
call_run(struct channel *c, const struct run_frame *run, const struct warren_task_entry *entry,
	struct arena *a, struct errtext *t)
{
	struct call_memory memory = { .request = NULL };
	struct warren_task task = {
		.run = run,
		.arena = a,
		.channel = c,
		.memory = &memory,
		.done = { .type = RUN_DONE, .id = run->id, .max_retries = -1 },
	};
	enum warren_end end;
	enum err e;

	buf_init(&task.value, 0);
	task.id = call_dup(&task, run->id);
	task.name = call_dup(&task, run->name);
	signal_came = 0;
	memory.cancelled = channel_take_cancel(c, run->id);
	if (entry && !memory.no_memory) {
		end = entry->run(&task);
		if (c->fd < 0)
			_exit(1); /* the task forked and came back twice: only its parent answers */
		if (!task.ended)
			end_plainly(&task, end);
		forget_cancel(&task);
		fflush(stdout); /* lines that cannot be written are lost; the outcome is not */
	} else if (!entry) {
		call_end_error(&task, RUN_ERROR, SPAN("NotRegistered"), SPAN("celery.exceptions"), run->name);
	}
	fill_done(&task);
	e = channel_send(c, &task.done, t);
	buf_release(&task.value);
	return e;
}
