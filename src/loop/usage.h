/* What a process and its descendants take of the machine's memory, as /proc tells it now. */
#ifndef WARREN_LOOP_USAGE_H
#define WARREN_LOOP_USAGE_H

#include "base/err.h"

/* Resident bytes of one process; 0 when it is gone, or cannot be read. */
int64_t usage_rss(int pid);
/*
 * ... and of all its descendants, also those in sessions of their own; what lost its parent is not found. Pages that several of them
 * share count for each. Costs some system calls for each process, so it is for a few looks a second.
 */
int64_t usage_tree_rss(int pid);

#endif
