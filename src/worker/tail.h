/* The end of what a child wrote while it ran a task, for the report of its death. A ring: the newest lines push out the oldest. */
#ifndef WARREN_WORKER_TAIL_H
#define WARREN_WORKER_TAIL_H

#include "base/buf.h"

#define TAIL_MAX 4096

struct tail {
	size_t at;    /* where the next byte goes */
	bool is_full; /* it has gone round */
	char bytes[TAIL_MAX];
};

void tail_reset(struct tail *t);
/* Adds a newline. */
void tail_add_line(struct tail *t, struct span line);
/* Appends the bytes in order to b. When the oldest line is cut, what is left of it is there too. */
void tail_read(const struct tail *t, struct buf *b);

#endif
