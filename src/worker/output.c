/*
 * Lines from a child's stdout (INFO) and stderr (WARNING). The task they belong to is the one the slot runs; a slot gets its
 * next task only after everything readable in a turn has been read, so a line written before the end of a task is its own.
 */
#include "worker/output.h"

#include "base/log.h"
#include "worker/state.h"

#include <unistd.h>

#define LINE_MAX_BYTES 8192
/* Of an ended child: more than a pipe holds. */
#define REST_MAX (256 * 1024)

/* Of a task, or of a child that runs none: while it starts, or at its end. */
static void
log_line(const struct output *o, struct span line)
{
	const struct slot *s = o->slot;

	if (s == NULL || s->task_id[0] == '\0') {
		if (o->is_stderr)
			LOG(CHILD_STDERR, LOG_STR("pool", o->pool->conf->name), LOG_SPAN("line", line));
		else
			LOG(CHILD_STDOUT, LOG_STR("pool", o->pool->conf->name), LOG_SPAN("line", line));
	} else if (o->is_stderr) {
		LOG(TASK_STDERR, LOG_STR("task", s->task_name), LOG_STR("id", s->task_id),
			LOG_SPAN("line", line));
	} else {
		LOG(TASK_STDOUT, LOG_STR("task", s->task_name), LOG_STR("id", s->task_id),
			LOG_SPAN("line", line));
	}
}

static void
show(struct output *o, struct span line)
{
	const struct slot *s = o->slot;
	int64_t max = o->pool->worker->conf->output_max;

	line = span_trim(line);
	if (line.len == 0)
		return;
	snprintf(o->last, sizeof(o->last), "%.*s", SPAN_FMT(line));
	tail_add_line(o->tail, line);
	if (o->shown > max)
		return;
	o->shown += (int64_t)line.len;
	if (o->shown > max)
		LOG(OUTPUT_CUT, LOG_STR("task", s != NULL ? s->task_name : ""),
			LOG_STR("id", s != NULL ? s->task_id : ""), LOG_INT("max", max));
	else
		log_line(o, line);
}

static void
on_data(void *owner, struct span bytes)
{
	struct output *o = owner;

	while (bytes.len > 0) {
		const char *nl = memchr(bytes.ptr, '\n', bytes.len);
		size_t n = nl != NULL ? (size_t)(nl - bytes.ptr) : bytes.len;
		struct span piece = { bytes.ptr, n };

		if (nl != NULL && o->line.len == 0) {
			show(o, piece);
		} else {
			buf_add(&o->line, piece);
			/* A line without an end is shown in pieces. */
			if (nl != NULL || o->line.err != E_OK || o->line.len >= LINE_MAX_BYTES) {
				show(o, buf_span(&o->line));
				buf_reset(&o->line);
			}
		}
		n += nl != NULL;
		bytes.ptr += n;
		bytes.len -= n;
	}
}

static void
on_close(void *owner, enum err e UNUSED, const char *why UNUSED)
{
	struct output *o = owner;

	/* A child may close its output and go on; its end is seen through its pidfd. */
	stream_close(o->stream);
	o->stream = NULL;
}

static enum err
output_open(struct output *o, struct pool *p, struct slot *s, struct tail *tail, int fd, bool is_stderr,
	struct errtext *t)
{
	static const struct stream_ops ops = { .on_data = on_data, .on_close = on_close };
	struct stream_conf conf = { .write_max = 1 };

	o->pool = p;
	o->slot = s;
	o->tail = tail;
	o->fd = fd;
	o->is_stderr = is_stderr;
	o->shown = 0;
	o->last[0] = '\0';
	buf_init(&o->line, LINE_MAX_BYTES + 256 * 1024);
	return stream_adopt(&o->stream, p->worker->loop, fd, &conf, &ops, o, t);
}

enum err
output_open_both(struct output *out, struct output *err, struct pool *p, struct slot *s, struct tail *tail,
	struct child *child, struct errtext *t)
{
	enum err e = output_open(out, p, s, tail, child_take_stdout(child), false, t);

	return e == E_OK ? output_open(err, p, s, tail, child_take_stderr(child), true, t) : e;
}

void
output_begin(struct output *o)
{
	o->shown = 0;
	o->last[0] = '\0';
}

/* The end of a child is often seen before its last words: they are still in the pipe. */
static void
read_rest(struct output *o)
{
	size_t all = 0;
	char piece[4096];
	ssize_t n;

	while (all < REST_MAX && (n = read(o->fd, piece, sizeof(piece))) > 0) {
		on_data(o, (struct span){ piece, (size_t)n });
		all += (size_t)n;
	}
}

void
output_close(struct output *o)
{
	if (o->stream != NULL)
		read_rest(o);
	if (o->pool != NULL && o->line.len > 0)
		show(o, buf_span(&o->line));
	stream_close(o->stream);
	o->stream = NULL;
	buf_release(&o->line);
}
