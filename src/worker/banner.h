/* What a worker prints when it is ready: who it is, what it is connected to, its pools and tasks. */
#ifndef WARREN_WORKER_BANNER_H
#define WARREN_WORKER_BANNER_H

#include "base/buf.h"

struct worker;

void banner_add(struct buf *b, const struct worker *w);

#endif
