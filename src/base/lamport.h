/* A logical clock: what a node has seen happened before what it sends next, whatever the wall clocks say (celery-wire.md 7.5). */
#ifndef WARREN_BASE_LAMPORT_H
#define WARREN_BASE_LAMPORT_H

#include "base/base.h"

struct lamport {
	int64_t value;
};

/* Something of ours happens, or is sent: its time. */
int64_t lamport_forward(struct lamport *c);
/* Something with this time of another node has come; less than 1 = it had none. What cannot be a time does not move the clock there. */
int64_t lamport_adjust(struct lamport *c, int64_t seen);

#endif
