/*
 * What children leave behind. A process that a task has started and that left its session (a double fork, setsid) escapes the kill of the
 * child's group. This process adopts such orphans (as a subreaper) and finds them again by a mark in their environment, which they inherit.
 */
#ifndef WARREN_LOOP_ORPHANS_H
#define WARREN_LOOP_ORPHANS_H

#include "base/err.h"

/* Whether a pid is a child that is looked after elsewhere. */
typedef bool orphans_is_ours_fn(void *owner, int pid);

/* From now on orphans of our children become our children. E_SYS when the kernel refuses. */
enum err orphans_adopt(struct errtext *t) MUSTCHECK;
/*
 * Kills the adopted orphans whose environment has exactly this entry ("KEY=value") and returns how many those were. What they had started
 * comes to us once they are gone: call again until it returns 0. A process that replaced its environment is not found.
 */
size_t orphans_kill(const char *mark, orphans_is_ours_fn *is_ours, void *owner);
/* Takes away the zombies among the orphans. */
void orphans_reap(orphans_is_ours_fn *is_ours, void *owner);

#endif
