/*
 * Task modules for the tests of the host, one for each MODULE_ macro: a good one with a task for each way to
 * behave, a second one beside it, and one for each way in which a module can be unfit.
 */
#include <warren/task.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Not each variant uses each function. */
#define MAYBE __attribute__((unused))

static MAYBE enum warren_end
nothing(struct warren_task *t)
{
	return warren_return_null(t);
}

static MAYBE enum warren_end
echo(struct warren_task *t)
{
	return warren_return_json(t, warren_args_json(t));
}

static MAYBE enum warren_end
shout(struct warren_task *t)
{
	printf("line\nhalf a line");
	return warren_return_null(t);
}

/* Says that it runs, then waits until a signal wakes it. */
static MAYBE enum warren_end
wait_for_signal(struct warren_task *t)
{
	warren_progress(t, 0, 1, "waiting");
	while (!warren_cancelled(t))
		usleep(100000000);
	return warren_fail_cancelled(t);
}

/* As above, but only looks. */
static MAYBE enum warren_end
spin(struct warren_task *t)
{
	warren_progress(t, 0, 1, "spinning");
	while (!warren_cancelled(t))
		continue;
	return warren_return_text(t, "cleaned up");
}

static MAYBE enum warren_end
crash(struct warren_task *t)
{
	(void)t;
	raise(SIGSEGV);
	return WARREN_DONE;
}

static MAYBE enum warren_end
fork_and_return(struct warren_task *t)
{
	return warren_return_text(t, fork() ? "parent" : "child");
}

/* What descriptors a program gets that a task starts. */
static MAYBE enum warren_end
sockets_of_child(struct warren_task *t)
{
	FILE *f = popen(
		"for i in 0 1 2 3 4 5 6 7 8 9; do if [ -S /proc/self/fd/$i ]; then echo $i; fi; done", "r");
	char text[100];
	size_t n;

	if (!f)
		return warren_fail(t, "OSError", "%s", strerror(errno));
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	pclose(f);
	return warren_return_text(t, text);
}

static int starts;

static MAYBE bool
start(char *error, size_t error_size)
{
	(void)error;
	(void)error_size;
	starts++;
	return true;
}

static MAYBE bool
start_badly(char *error, size_t error_size)
{
	snprintf(error, error_size, "no model in %s", "/models");
	return false;
}

static MAYBE void
stop(void)
{
	printf("stopped after %d start\n", starts);
}

#if defined(MODULE_more)
WARREN_MODULE({ .name = "more.nothing", .run = nothing });
#elif defined(MODULE_clash)
WARREN_MODULE({ .name = "more.nothing", .run = echo });
#elif defined(MODULE_unstartable)
WARREN_MODULE_WITH(start_badly, NULL, { .name = "u.nothing", .run = nothing });
#elif defined(MODULE_unnamed)
WARREN_MODULE({ .name = "a", .run = nothing }, { .run = nothing });
#elif defined(MODULE_latin1)
WARREN_MODULE({ .name = "caf\xe9", .run = nothing });
#elif defined(MODULE_functionless)
WARREN_MODULE({ .name = "x.y" });
#elif defined(MODULE_old)
const struct warren_module warren_module = { WARREN_TASK_ABI + 1, sizeof(struct warren_task_entry), NULL, 0,
	NULL, NULL };
#elif defined(MODULE_damaged)
const struct warren_module warren_module = { WARREN_TASK_ABI, 8, NULL, 1, NULL, NULL };
#elif defined(MODULE_empty)
const struct warren_module warren_module = { WARREN_TASK_ABI, sizeof(struct warren_task_entry), NULL, 0, NULL,
	NULL };
#elif defined(MODULE_unlinked)
void nobody_has_this(void);
static enum warren_end
call_it(struct warren_task *t)
{
	nobody_has_this();
	return warren_return_null(t);
}
WARREN_MODULE({ .name = "x.y", .run = call_it });
#elif defined(MODULE_plain)
WARREN_EXPORT int plain_library;
int plain_library = 1;
#else /* MODULE_good */
WARREN_MODULE_WITH(start, stop, { .name = "t.nothing", .run = nothing },
	{ .name = "t.echo", .run = echo, .help = "its arguments" }, { .name = "t.shout", .run = shout },
	{ .name = "t.wait", .run = wait_for_signal }, { .name = "t.spin", .run = spin },
	{ .name = "t.crash", .run = crash }, { .name = "t.fork", .run = fork_and_return },
	{ .name = "t.sockets", .run = sockets_of_child }, );
#endif
