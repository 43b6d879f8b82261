/*
 * warren run: one task in a runner child, here and now, without broker and backend: to try a task out. It does to the child what a
 * worker's slot does, and shows what comes back.
 *
 *   start -> hello -> run -> (state ...) -> done -> stop -> end
 */
#include "cli/call.h"
#include "cli/cmd.h"
#include "cli/out.h"
#include "cli/show.h"

#include "base/id.h"
#include "base/js.h"
#include "loop/child.h"
#include "loop/stream.h"
#include "wire/run.h"
#include "worker/childenv.h"

#include <signal.h>
#include <unistd.h>

#define STOP_MS 3000

struct run_flags {
	struct runner_flags runner;
	struct opt_list pool;
	const char *args, *kwargs;
	ms_t timeout;
	bool string_args, list;
};

static const struct opt_row rows[] = {
	RUNNER_FLAGS(run_flags, runner),
	FLAG(run_flags, pool, list, .short_flag = 'P', .max = 1, .arg = "NAME",
		.help = "use the runner of this pool of the configuration"),
	FLAG(run_flags, args, text, .def = "", .arg = "JSON",
		.help = "positional arguments as a JSON array, instead of ARG..."),
	FLAG(run_flags, kwargs, text, .def = "", .arg = "JSON", .help = "keyword arguments as a JSON object"),
	FLAG(run_flags, string_args, bool, .help = "take each ARG as a text, also when it is valid JSON"),
	FLAG(run_flags, list, bool, .help = "print the names of the tasks that there are, and run none"),
	FLAG(run_flags, timeout, dur, .def = "0", .help = "give up after this long; exit status 4 [never]"),
};

struct local_run {
	struct cli *cli;
	struct loop *loop;
	struct child *child;
	struct stream *channel, *output[2];
	struct run_reader reader;
	struct loop_timer timer;
	struct span name, args, kwargs;
	char id[ID_UUID_LEN + 1];
	ms_t timeout;
	bool list, running, done, ended;
	int code;
};

static void
stop(struct local_run *r, int code)
{
	if (!r->done)
		r->code = code;
	r->done = true;
}

static void
send_frame(struct local_run *r, const struct run_frame *f)
{
	struct buf b;

	buf_init(&b, 0);
	run_encode(&b, f);
	if (b.err != E_OK || stream_write(r->channel, buf_span(&b)) != E_OK) {
		out_error("cannot talk to the runner");
		stop(r, EXIT_NO);
	}
	buf_release(&b);
}

/* "tasks.add" for somebody who wrote "add". */
static bool
is_last_part(struct span task, struct span name)
{
	return task.len > name.len && task.ptr[task.len - name.len - 1] == '.' &&
		memcmp(task.ptr + task.len - name.len, name.ptr, name.len) == 0;
}

/* Whether the runner has it; if not, says so and what is near. */
static bool
knows_task(const struct run_frame *hello, struct span name)
{
	struct run_tasks walk = { .started = false };
	struct nearest near;
	struct arena arena;
	struct span task;
	struct buf b;
	bool found = false;

	arena_init(&arena, 0);
	nearest_init(&near, name);
	while (!found && run_next_task(hello, &walk, &arena, &task)) {
		found = span_eq(task, name) || span_is(task, "*");
		task = arena_dup(&arena, task);
		if (task.ptr != NULL)
			nearest_try(&near, task.ptr);
		if (task.ptr != NULL && is_last_part(task, name)) {
			near.best = task.ptr;
			near.distance = 0;
		}
	}
	if (!found) {
		buf_init(&b, 0);
		nearest_add(&b, &near);
		out_error("the runner has no task '%.*s' among %.*s%s", SPAN_FMT(name),
			SPAN_FMT(hello->tasks), buf_text(&b));
		buf_release(&b);
	}
	arena_release(&arena);
	return found;
}

static void
list_tasks(const struct run_frame *hello)
{
	struct run_tasks walk = { .started = false };
	struct arena arena;
	struct span task;

	arena_init(&arena, 0);
	while (run_next_task(hello, &walk, &arena, &task))
		out_line(task);
	arena_release(&arena);
}

static void
send_run(struct local_run *r)
{
	struct run_frame f = {
		.type = RUN_RUN, .id = span_of(r->id), .name = r->name, .args = r->args, .kwargs = r->kwargs
	};
	struct run_request q = {
		.id = f.id,
		.name = r->name,
		.root_id = f.id,
		.correlation_id = f.id,
		.hostname = SPAN("run@localhost"),
		.exchange = SPAN(""),
		.routing_key = SPAN(""),
		.group_index = -1,
		.time_limit = -1,
		.soft_time_limit = -1,
		.priority = -1,
	};
	struct buf b;

	buf_init(&b, 0);
	run_add_request(&b, &q);
	f.request = buf_span(&b);
	r->running = true;
	send_frame(r, &f);
	buf_release(&b);
}

static void
show_failure(struct local_run *r, const struct run_error *error, const char *state)
{
	struct result_error e = { .type = error->type, .module = error->module, .message = error->message };
	struct result shown = {
		.task_id = span_of(r->id), .state = span_of(state), .traceback = error->traceback
	};
	struct buf b;

	buf_init(&b, 0);
	if (error->type.ptr != NULL)
		result_add_error(&b, &e);
	shown.value = b.len > 0 ? buf_span(&b) : SPAN_NONE;
	stop(r, show_final(&shown, r->cli->common.json));
	buf_release(&b);
}

static void
on_done(struct local_run *r, const struct run_frame *f)
{
	const struct result success = {
		.task_id = span_of(r->id), .state = SPAN("SUCCESS"), .value = f->result
	};
	const struct result other = { .task_id = span_of(r->id),
		.state = f->outcome == RUN_IGNORE ? SPAN("IGNORED") : SPAN("REJECTED") };

	switch (f->outcome) {
	case RUN_RESULT:
		stop(r, show_final(&success, r->cli->common.json));
		break;
	case RUN_ERROR:
		show_failure(r, &f->error, "FAILURE");
		break;
	case RUN_RETRY:
		if (!r->cli->common.json)
			out_note("the task asks to be run again%s", f->has_countdown ? " later" : "");
		show_failure(r, &f->error, "RETRY");
		break;
	case RUN_IGNORE:
	case RUN_REJECT:
		if (r->cli->common.json)
			show_json(&other);
		else
			out_note("%.*s%s%.*s", SPAN_FMT(other.state), f->reason.len > 0 ? ": " : "",
				SPAN_FMT(f->reason));
		stop(r, f->outcome == RUN_IGNORE ? 0 : EXIT_NO);
		break;
	}
}

static void
on_frame(struct local_run *r, const struct run_frame *f)
{
	const struct result state = { .task_id = f->id, .state = f->state, .value = f->meta };

	if (f->type == RUN_HELLO && !r->running) {
		if (f->protocol != RUN_PROTOCOL) {
			out_error("the runner speaks protocol %lld, this warren speaks %d",
				(long long)f->protocol, RUN_PROTOCOL);
			stop(r, EXIT_NO);
		} else if (r->list) {
			if (r->cli->common.json)
				out_line(f->tasks);
			else
				list_tasks(f);
			stop(r, 0);
		} else if (!knows_task(f, r->name))
			stop(r, EXIT_NO);
		else
			send_run(r);
	} else if (f->type == RUN_STATE && r->running)
		show_line(&state);
	else if (f->type == RUN_DONE && r->running)
		on_done(r, f);
	else {
		out_error("the runner sent a frame that has no place here");
		stop(r, EXIT_NO);
	}
}

static void
on_channel_data(void *owner, struct span bytes)
{
	struct local_run *r = owner;
	struct errtext why = { "" };
	struct run_frame frame;
	struct arena arena;
	struct span line;
	enum err e = run_reader_feed(&r->reader, bytes);

	while (!r->done && e == E_OK) {
		e = run_reader_next(&r->reader, &line);
		if (e != E_OK)
			break;
		arena_init(&arena, 0);
		e = run_decode(&frame, line, &arena, NULL, &why);
		if (e == E_OK)
			on_frame(r, &frame);
		arena_release(&arena);
	}
	if (e != E_OK && e != E_AGAIN && !r->done) {
		out_error("the runner talks nonsense: %s", why.text[0] != '\0' ? why.text : err_name(e));
		stop(r, EXIT_NO);
	}
}

/* The child's end tells more; it follows at once. */
static void
on_channel_close(void *owner, enum err e, const char *why)
{
	struct local_run *r = owner;

	(void)e;
	(void)why;
	stream_close(r->channel);
	r->channel = NULL;
}

static const struct stream_ops channel_ops = { .on_data = on_channel_data, .on_close = on_channel_close };

/* What the task prints goes to stderr, so that stdout holds the result and nothing else. */
static void
on_output(void *owner, struct span bytes)
{
	(void)owner;
	out_progress_clear();
	fwrite(bytes.ptr, 1, bytes.len, stderr);
}

static void
on_output_close(void *owner, enum err e, const char *why)
{
	struct stream **s = owner;

	(void)e;
	(void)why;
	stream_close(*s);
	*s = NULL;
}

static const struct stream_ops output_ops = { .on_data = on_output, .on_close = on_output_close };

static void
on_child_exit(void *owner, const struct child_end *end)
{
	struct local_run *r = owner;
	struct buf b;

	r->ended = true;
	if (r->done)
		return;
	buf_init(&b, 0);
	child_add_end(&b, end);
	out_error("the runner %s %s", buf_text(&b), r->running ? "while the task ran" : "before it was ready");
	buf_release(&b);
	stop(r, EXIT_NO);
}

static const struct child_ops child_ops = { .on_exit = on_child_exit };

static void
on_time_over(void *owner)
{
	struct local_run *r = owner;

	if (!r->done)
		out_error("the task did not end within %.3g s", (double)r->timeout / 1000);
	stop(r, EXIT_LATE);
	r->ended = true;
}

static enum err
adopt(struct local_run *r, struct errtext *t)
{
	int fds[2] = { child_take_stdout(r->child), child_take_stderr(r->child) };
	struct stream_conf conf = { .write_max = 0 };
	enum err e, first = E_OK;
	int i;

	for (i = 0; i < 2; i++) {
		e = stream_adopt(&r->output[i], r->loop, fds[i], &conf, &output_ops, &r->output[i], t);
		first = first == E_OK ? e : first;
	}
	conf.write_max = (size_t)r->cli->conf.o.message_max * 2;
	e = stream_adopt(&r->channel, r->loop, child_take_channel(r->child), &conf, &channel_ops, r, t);
	return first == E_OK ? e : first;
}

static enum err
start(struct local_run *r, const struct pool_conf *pool, struct errtext *t)
{
	struct child_conf conf = {
		.cwd = pool->cwd, .channel = true, .rlimit_as = pool->memory_limit, .rlimit_core = -1
	};
	char **argv = NULL, **envp = NULL;
	enum err e = childenv_argv(&argv, pool->runner, t);

	if (e == E_OK)
		e = childenv_new(&envp, pool, "run", t);
	conf.argv = (const char *const *)argv;
	conf.envp = (const char *const *)envp;
	if (e == E_OK)
		e = child_spawn(&r->child, r->loop, &conf, &child_ops, r, t);
	if (e == E_OK)
		e = adopt(r, t);
	if (e == E_OK)
		e = loop_timer_init(&r->timer, r->loop, on_time_over, r);
	childenv_free(argv);
	childenv_free(envp);
	return e;
}

/* Lets the child end by itself, then whatever it still prints come through. */
static void
finish(struct local_run *r)
{
	const struct run_frame bye = { .type = RUN_STOP };

	if (!r->ended && r->channel != NULL) {
		send_frame(r, &bye);
		loop_timer_arm(&r->timer, STOP_MS);
		while (!r->ended)
			loop_turn(r->loop, -1);
	}
	loop_timer_arm(&r->timer, STOP_MS);
	while (r->code != EXIT_LATE && (r->output[0] != NULL || r->output[1] != NULL) && r->timer.armed)
		loop_turn(r->loop, -1);
}

static int
execute(struct local_run *r, const struct pool_conf *pool)
{
	struct errtext why = { "" };
	enum err e;

	r->loop = loop_new(&why);
	e = r->loop != NULL ? start(r, pool, &why) : E_SYS;
	if (e != E_OK) {
		out_error("run: %s", why.text);
		r->code = EXIT_NO;
	} else {
		if (r->timeout > 0)
			loop_timer_arm(&r->timer, r->timeout);
		while (!r->done)
			loop_turn(r->loop, -1);
		finish(r);
	}
	loop_timer_release(&r->timer);
	stream_close(r->channel);
	stream_close(r->output[0]);
	stream_close(r->output[1]);
	child_close(r->child);
	if (r->loop != NULL) {
		loop_settle(r->loop, STOP_MS);
		loop_free(r->loop);
	}
	return r->code;
}

/* The pool that a worker would run this task in: the one that takes from the queue it is routed to. */
static enum err
choose_pool(struct cli *cli, struct span name, const struct pool_conf *pools, size_t n,
	const struct pool_conf **out, struct errtext *t)
{
	struct routes *routes = NULL;
	struct route_target target;
	enum err e;
	size_t i, k;

	*out = n == 1 ? &pools[0] : NULL;
	if (n == 1)
		return E_OK;
	if (name.len == 0)
		return err_set(t, E_CONF, "there are several pools: pick one with --pool");
	e = setup_routes(cli, &routes, t);
	if (e != E_OK)
		return e;
	target = routes_find(routes, name);
	for (i = 0; *out == NULL && i < n; i++)
		for (k = 0; *out == NULL && k < pools[i].n_queues; k++)
			if (span_is(target.queue, pools[i].queues[k].name))
				*out = &pools[i];
	if (*out == NULL)
		e = err_set(t, E_CONF,
			"no pool takes from the queue that '%.*s' goes to: pick one with --pool",
			SPAN_FMT(name));
	routes_free(routes);
	return e;
}

/* One JSON value of this kind, in one line: raw newlines, which can only stand between tokens, would end the frame. */
static enum err
check_argument(struct buf *b, enum jscan_kind kind, const char *what, struct errtext *t)
{
	struct jscan_limits lim = { .depth_max = JSCAN_DEPTH_MAX };
	struct errtext why = { "" };
	size_t i;

	if (jscan_check(buf_span(b), &lim, NULL, &why) != E_OK)
		return err_set(t, E_CONF, "%s: %s", what, why.text);
	if (jscan_kind(span_trim(buf_span(b))) != kind)
		return err_set(
			t, E_CONF, "%s must be a JSON %s", what, kind == JSCAN_ARRAY ? "array" : "object");
	for (i = 0; i < b->len; i++)
		if (b->data[i] == '\n' || b->data[i] == '\r')
			b->data[i] = ' ';
	return E_OK;
}

static enum err
fill_arguments(const struct cli *cli, const struct run_flags *f, struct buf *args, struct buf *kwargs,
	struct errtext *t)
{
	enum err e;

	if (*f->args != '\0' && cli->n_args > 1)
		return err_set(t, E_CONF, "--args and ARG are both given: choose one");
	if (*f->args != '\0')
		buf_adds(args, f->args);
	else if (cli->n_args > 0)
		call_add_args(args, cli->args + 1, cli->n_args - 1, f->string_args);
	else
		buf_adds(args, "[]");
	buf_adds(kwargs, *f->kwargs != '\0' ? f->kwargs : "{}");
	e = check_argument(args, JSCAN_ARRAY, "--args", t);
	return e == E_OK ? check_argument(kwargs, JSCAN_OBJECT, "--kwargs", t) : e;
}

static int
run_run(struct cli *cli)
{
	static const struct opt_list no_queues;
	const struct run_flags *f = cli->flags;
	struct local_run r = { .cli = cli, .timeout = f->timeout, .list = f->list };
	const struct pool_conf *pool = NULL;
	struct errtext why = { "" };
	struct pool_conf *pools;
	struct buf args, kwargs;
	size_t n;
	enum err e;

	if (f->list && cli->n_args > 0) {
		out_error("run: --list runs no task: leave '%s' out", cli->args[0]);
		return EXIT_USAGE;
	}
	if (!f->list && cli->n_args == 0) {
		out_error("run: give the NAME of a task, or --list (see warren run --help)");
		return EXIT_USAGE;
	}
	r.name = span_of(f->list ? "" : cli->args[0]);

	buf_init(&args, 0);
	buf_init(&kwargs, 0);
	e = fill_arguments(cli, f, &args, &kwargs, &why);
	r.args = buf_span(&args);
	r.kwargs = buf_span(&kwargs);
	if (e == E_OK)
		e = setup_pools(cli, &f->runner, &no_queues, &f->pool, &pools, &n, &why);
	if (e == E_OK)
		e = choose_pool(cli, r.name, pools, n, &pool, &why);
	if (e != E_OK) {
		out_error("run: %s", why.text);
		r.code = exit_of(e);
	} else {
		id_uuid4(r.id);
		run_reader_init(&r.reader, (size_t)cli->conf.o.result_max);
		r.code = execute(&r, pool);
		run_reader_release(&r.reader);
	}
	buf_release(&args);
	buf_release(&kwargs);
	return r.code;
}

const struct cmd cmd_run = {
	.name = "run",
	.args = "NAME [ARG...] | --list",
	.summary = "run a task here and now, without broker and backend",
	.details =
		"Starts one runner child as a worker would, gives it the task and prints what comes back: states and output on stderr, the result on "
		"stdout. Without -A, --module or --runner it takes the pool of the configuration that the task would be routed to.",
	.examples = "  warren run -A tasks add 2 3\n"
		    "  warren run --module ./libtasks.so count_words 'to be or not to be'\n"
		    "  warren run -A tasks --list\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct run_flags),
	.args_max = SIZE_MAX,
	.run = run_run,
};
