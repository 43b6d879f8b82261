/* What a child writes to stdout and stderr: cut into lines, tagged with the task, bounded, logged. */
#ifndef WARREN_WORKER_OUTPUT_H
#define WARREN_WORKER_OUTPUT_H

#include "base/buf.h"
#include "loop/stream.h"

struct child;
struct pool;
struct slot;
struct tail;

struct output {
	struct pool *pool;
	struct slot *slot; /* whose task it is that writes; NULL: it never runs any */
	struct tail *tail;
	bool is_stderr;
	struct stream *stream;
	int fd;          /* the stream's */
	struct buf line; /* the unfinished line */
	int64_t shown;   /* bytes logged for the current task */
	char last[256];  /* the last line that was not empty, for error reports */
};

/* Of a child that has just started. `tail` keeps the last lines of both. */
enum err output_open_both(struct output *out, struct output *err, struct pool *p, struct slot *s,
	struct tail *tail, struct child *child, struct errtext *t) MUSTCHECK;
/* A new task begins: its own allowance. */
void output_begin(struct output *o);
/* What the child left unread is taken first; an unfinished line is logged too. */
void output_close(struct output *o);

#endif
