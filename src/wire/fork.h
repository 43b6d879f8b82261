/* The frames between a worker and a template process (docs/runner-protocol.md, "A template process"). Pure. */
#ifndef WARREN_WIRE_FORK_H
#define WARREN_WIRE_FORK_H

#include "base/buf.h"

/* From the template. FORK_HELLO is a runner's hello with "template": true. */
enum fork_type { FORK_HELLO, FORK_FORKED, FORK_EXITED, FORK_FAILED };

struct arena;

struct fork_frame {
	enum fork_type type;
	int64_t protocol;   /* FORK_HELLO */
	struct span unsafe; /* FORK_HELLO: why its children would not work; SPAN_NONE = they would */
	struct span slot;   /* all others: text */
	int64_t pid;        /* FORK_FORKED, FORK_EXITED */
	bool signaled;      /* FORK_EXITED */
	int code;           /* exit code, or signal number */
	struct span error;  /* FORK_FAILED: text */
};

/* One line, with or without its newline; texts with escapes go into `a`, the rest borrows. */
enum err fork_decode(struct fork_frame *f, struct span line, struct arena *a, struct errtext *t) MUSTCHECK;
/* Asks for a child; `env` is one "KEY=value" for it, rlimit_as 0 = none. Its three descriptors travel with the bytes. */
void fork_add_request(struct buf *b, struct span slot, struct span env, int64_t rlimit_as);
/* The child may be taken out of the table of processes. */
void fork_add_reap(struct buf *b, struct span slot);
void fork_add_stop(struct buf *b);

#endif
