/* Sweeps up what ended children have left running: see loop/orphans.h. A few passes after each end, and none otherwise. */
#ifndef WARREN_WORKER_SWEEP_H
#define WARREN_WORKER_SWEEP_H

#include "loop/loop.h"

struct worker;

/* "WARREN_CHILD=" and a random number in hex. */
#define SWEEP_MARK_MAX 40
#define SWEEP_MARKS_MAX 64

struct sweep {
	struct worker *worker;
	char marks[SWEEP_MARKS_MAX][SWEEP_MARK_MAX]; /* of children that have ended lately; "" = free */
	int passes[SWEEP_MARKS_MAX];                 /* left for each */
	struct loop_timer timer;
	struct loop_signal sigchld;
	struct loop_task reap;
};

enum err sweep_init(struct sweep *s, struct worker *w) MUSTCHECK;
void sweep_release(struct sweep *s);
/* A mark for a new child, to be put into its environment. */
void sweep_new_mark(char out[SWEEP_MARK_MAX]);
/* The child with this mark has ended. */
void sweep_after(struct sweep *s, const char *mark);

#endif
