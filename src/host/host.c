/*
 * The child that runs task modules in C: loads them, says hello, and then runs one task after another.
 *
 *   load --bad module--> exit 2
 *     |
 *   hello -> read --run--> call -> done -> read ... --stop, worker gone--> exit 0
 *                  --nonsense--> exit 1
 *
 * It waits in read(); there is nothing else to wait for. A task may block, leak or crash: the worker sees to
 * it from outside.
 */
#include "config.h"

#include "host/host.h"

#include "base/js.h"
#include "host/call.h"
#include "host/module.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

/* After a frame of this size the heap gives back what it can: the child may be idle for long. */
#define TRIM_MIN ((size_t)1 << 20)
#define NAME "warren runner"

static const char usage[] = "usage: warren runner MODULE.so [MODULE.so...]\n"
			    "\n"
			    "Runs the tasks of these modules, written in C, for a warren worker, which "
			    "starts this program and talks to it on file\n"
			    "descriptor 3. See warren/task.h for how to write a module.\n"
			    "\n"
			    "  -l, --list   print the tasks of the modules and end; needs no worker\n"
			    "  -h, --help   this text\n"
			    "  --version    the version\n";

static int
say(int code, const struct errtext *t)
{
	fprintf(stderr, NAME ": %s\n", t->text);
	return code;
}

static int
list_tasks(const struct modules *m)
{
	size_t i;

	for (i = 0; i < m->task_count; i++) {
		const struct warren_task_entry *e = m->tasks[i].entry;

		printf("%s%s%s\n", e->name, e->help ? "\t" : "", e->help ? e->help : "");
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

static enum err
say_hello(struct channel *c, const struct modules *m, struct errtext *t)
{
	struct run_frame f = {
		.type = RUN_HELLO, .protocol = RUN_PROTOCOL, .pid = getpid(), .language = SPAN("c")
	};
	struct buf names;
	struct js w;
	size_t i;
	enum err e;

	buf_init(&names, 0);
	js_init(&w, &names);
	w.compact = true;
	js_array(&w);
	for (i = 0; i < m->task_count; i++)
		js_text(&w, m->tasks[i].entry->name);
	js_array_end(&w);
	f.tasks = buf_span(&names);
	e = names.err == E_OK
		? channel_send(c, &f, t)
		: err_set(t, names.err, "out of memory for the names of %zu tasks", m->task_count);
	buf_release(&names);
	return e;
}

/* One frame. E_CLOSED when it is time to end. */
static enum err
serve_one(struct channel *c, const struct modules *m, struct errtext *t)
{
	struct arena arena;
	struct run_frame f;
	struct span line;
	enum err e = channel_read(c, &line, t);

	if (e != E_OK)
		return e;
	arena_init(&arena, 0);
	e = run_decode(&f, line, &arena, NULL, t);
	if (e != E_OK)
		err_prefix(t, e, "the worker sent what is no frame");
	else if (f.type == RUN_RUN)
		e = call_run(c, &f, modules_find(m, f.name), &arena, t);
	else if (f.type == RUN_STOP)
		e = E_CLOSED;
	else if (f.type != RUN_CANCEL) /* a cancel here is for a task that has ended */
		e = err_set(t, E_FORMAT, "the worker sent a %s frame, which only a child sends",
			run_type_names[f.type]);
	arena_release(&arena);
	if (line.len >= TRIM_MIN)
		malloc_trim(0);
	return e;
}

static int
serve(const struct modules *m)
{
	struct errtext t;
	struct channel c;
	int code = 2;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	if (channel_init(&c, RUN_FD, &t) != E_OK) {
		fprintf(stderr,
			NAME ": no worker on file descriptor %d (%s); a worker starts this program. To see "
			     "the tasks use --list\n",
			RUN_FD, t.text);
		goto out;
	}
	if (call_watch_signal(&t) != E_OK || modules_start(m, &t) != E_OK) {
		say(code, &t);
		goto out;
	}
	code = 1;
	if (say_hello(&c, m, &t) == E_OK) {
		enum err e;

		while ((e = serve_one(&c, m, &t)) == E_OK)
			continue;
		if (e == E_CLOSED)
			code = 0;
	}
	if (code)
		say(code, &t);
	modules_stop(m);
out:
	channel_release(&c);
	return code;
}

int
host_main(int argc, char **argv)
{
	struct modules modules = { .list = NULL };
	struct errtext t;
	bool listing = false;
	int i = 1, code;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "-l") == 0 || strcmp(argv[i], "--list") == 0) {
			listing = true;
		} else if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
			fputs(usage, stdout);
			return 0;
		} else if (strcmp(argv[i], "--version") == 0) {
			printf(NAME " %s\n", PACKAGE_VERSION);
			return 0;
		} else {
			fprintf(stderr, NAME ": unknown option %s\n\n%s", argv[i], usage);
			return 2;
		}
	}
	if (i == argc) {
		fprintf(stderr, NAME ": no task module given; name one, such as ./tasks.so\n\n%s", usage);
		return 2;
	}
	if (modules_load(&modules, argv + i, (size_t)(argc - i), &t) != E_OK)
		code = say(2, &t);
	else
		code = listing ? list_tasks(&modules) : serve(&modules);
	modules_release(&modules);
	return code;
}
