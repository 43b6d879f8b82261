/* What a child writes to stdout and stderr: cut into lines, tagged with the task, bounded, logged. */
#ifndef WARREN_WORKER_OUTPUT_H
#define WARREN_WORKER_OUTPUT_H

#include "base/buf.h"
#include "loop/stream.h"

struct slot;

struct output {
	struct slot *slot;
	bool is_stderr;
	struct stream *stream;
	int fd;                /* the stream's */
	struct buf line;       /* the unfinished line */
	int64_t shown;         /* bytes logged for the current task */
	char last[256];        /* the last line that was not empty, for error reports */
};

/* Takes fd. */
enum err output_open(struct output *o, struct slot *s, int fd, bool is_stderr, struct errtext *t) MUSTCHECK;
/* A new task begins: its own allowance. */
void output_begin(struct output *o);
/* What the child left unread is taken first; an unfinished line is logged too. */
void output_close(struct output *o);

#endif
