/*
 * A child on a loop of its own:
 *
 *   spawn -> read the channel, keep the last line it printed -> channel closed and process ended (or too late: killed) -> its line
 *
 * What the application prints while it is imported is not shown: its children will print it again, with the worker's log around it.
 */
#include "cli/probe.h"

#include <signal.h>

#include "base/clock.h"
#include "base/text.h"
#include "loop/child.h"
#include "loop/stream.h"
#include "worker/childenv.h"

#define LINE_MAX_BYTES (16 << 20)
#define SAID_MAX 4096
#define START_MS 60000
#define SETTLE_MS 1000
/* A machine that has no room for a process may have it in a moment, as later for the children. */
#define TRY_MS 100
#define TRIES 6

/* One of its outputs; only the end of it counts. */
struct ear {
	struct stream *stream;
	struct buf *to;
	size_t keep; /* 0 = all, up to the bound of the buffer */
	bool is_over;
};

struct probe {
	struct child *child;
	struct ear channel, out, err;
	struct buf said;
	bool exited;
	struct child_end end;
};

static ms_t
start_ms(const struct pool_conf *pool)
{
	return pool->start_ms > 0 ? pool->start_ms : START_MS;
}

static void
on_data(void *owner, struct span bytes)
{
	struct ear *ear = owner;

	buf_add(ear->to, bytes);
	if (ear->keep > 0 && ear->to->len > ear->keep)
		buf_drop(ear->to, ear->to->len - ear->keep);
}

static void
on_close(void *owner, enum err e UNUSED, const char *why UNUSED)
{
	struct ear *ear = owner;

	ear->is_over = true;
}

static void
on_exit_of_child(void *owner, const struct child_end *end)
{
	struct probe *p = owner;

	p->exited = true;
	p->end = *end;
}

static enum err
listen_to(struct ear *ear, struct loop *l, int fd, struct buf *to, size_t keep, struct errtext *t)
{
	static const struct stream_ops ops = { .on_data = on_data, .on_close = on_close };
	static const struct stream_conf conf = { .write_max = 1 };

	ear->to = to;
	ear->keep = keep;
	return stream_adopt(&ear->stream, l, fd, &conf, &ops, ear, t);
}

/* Whatever is wrong, its last line says most. */
static enum err
no_answer(const struct probe *p, const struct pool_conf *pool, bool is_late, struct errtext *t)
{
	struct span rest = span_trim(buf_span(&p->said)), line = SPAN_NONE;
	struct buf how;
	enum err e;

	while (rest.ptr != NULL)
		line = span_split(&rest, '\n');
	buf_init(&how, 0);
	if (is_late)
		buf_addf(&how, "did not answer within %lld s", (long long)start_ms(pool) / 1000);
	else if (p->end.signaled)
		buf_adds(&how, "was ");
	if (!is_late)
		child_add_end(&how, &p->end);
	if (line.len > 0) {
		buf_adds(&how, "; its last words: ");
		text_add_printable(&how, line, 300);
	}
	e = err_set(t, E_CONF, "pool %s: `%s`, asked for its tasks, %s", pool->name, pool->runner[0],
		buf_text(&how));
	buf_release(&how);
	return e;
}

static enum err
listen_and_wait(
	struct probe *p, struct loop *l, const struct pool_conf *pool, struct buf *line, struct errtext *t)
{
	ms_t end = clock_mono_ms() + start_ms(pool), left;
	enum err e = listen_to(&p->channel, l, child_take_channel(p->child), line, 0, t);

	if (e == E_OK)
		e = listen_to(&p->out, l, child_take_stdout(p->child), &p->said, SAID_MAX, t);
	if (e == E_OK)
		e = listen_to(&p->err, l, child_take_stderr(p->child), &p->said, SAID_MAX, t);
	if (e != E_OK)
		return e;
	while (!(p->exited && p->channel.is_over)) {
		left = end - clock_mono_ms();
		if (left <= 0)
			return no_answer(p, pool, true, t);
		loop_turn(l, left);
	}
	/* What it said is in the pipes by now. */
	loop_turn(l, 0);
	if (line->err != E_OK)
		return err_set(
			t, line->err, "pool %s: what the application says of itself is too long", pool->name);
	return line->len > 0 && line->data[line->len - 1] == '\n' ? E_OK : no_answer(p, pool, false, t);
}

/* The runner's words, "--describe", and "-Q a,b" when there are queues. The caller frees it. */
static enum err
make_argv(char ***out, const struct pool_conf *pool, const char *const *queues, struct errtext *t)
{
	const char **words;
	struct buf names;
	size_t n = 0, i;
	enum err e;

	while (pool->runner[n] != NULL)
		n++;
	words = must_alloc((n + 4) * sizeof(*words));
	memcpy(words, pool->runner, n * sizeof(*words));
	words[n++] = "--describe";
	buf_init(&names, 0);
	for (i = 0; queues != NULL && queues[i] != NULL; i++)
		buf_addf(&names, "%s%s", i > 0 ? "," : "", queues[i]);
	if (names.len > 0) {
		words[n++] = "-Q";
		words[n] = buf_text(&names);
	}
	e = childenv_argv(out, words, t);
	buf_release(&names);
	alloc_free(words);
	return e;
}

static enum err
start(struct probe *p, struct loop *l, const struct child_conf *conf, struct errtext *t)
{
	static const struct child_ops ops = { .on_exit = on_exit_of_child };
	enum err e = child_spawn(&p->child, l, conf, &ops, p, t);

	for (int n = 1; e == E_AGAIN && n < TRIES; n++) {
		ms_t until = clock_mono_ms() + (TRY_MS << n), left;

		while ((left = until - clock_mono_ms()) > 0)
			loop_turn(l, left);
		e = child_spawn(&p->child, l, conf, &ops, p, t);
	}
	return e;
}

enum err
probe_run(struct buf *line, const struct pool_conf *pool, const char *const *queues, const char *node,
	struct errtext *t)
{
	struct child_conf conf = { .cwd = pool->cwd, .channel = true, .rlimit_as = pool->memory_limit };
	struct probe p = { .exited = false };
	struct loop *l = loop_new(t);
	char **argv = NULL, **envp = NULL;
	enum err e = l != NULL ? E_OK : E_SYS;

	line->max = LINE_MAX_BYTES;
	buf_init(&p.said, 0);
	if (e == E_OK)
		e = make_argv(&argv, pool, queues, t);
	if (e == E_OK)
		e = childenv_new(&envp, pool, node, t);
	conf.argv = (const char *const *)argv;
	conf.envp = (const char *const *)envp;
	if (e == E_OK) {
		e = start(&p, l, &conf, t);
		if (e != E_OK)
			e = err_prefix(t, e == E_AGAIN ? E_SYS : E_CONF, "pool %s", pool->name);
	}
	if (e == E_OK)
		e = listen_and_wait(&p, l, pool, line, t);
	stream_close(p.channel.stream);
	stream_close(p.out.stream);
	stream_close(p.err.stream);
	child_close(p.child);
	if (l != NULL)
		loop_settle(l, SETTLE_MS);
	loop_free(l);
	buf_release(&p.said);
	childenv_free(argv);
	childenv_free(envp);
	return e;
}
