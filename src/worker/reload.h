/*
 * Settings that are read again (SIGHUP). Each reading is one struct worker_conf; tasks go on by the one that was in force when they came, and
 * it is dropped after the last of them.
 */
#ifndef WARREN_WORKER_RELOAD_H
#define WARREN_WORKER_RELOAD_H

#include "loop/loop.h"

struct worker;
struct worker_conf;

struct reading {
	struct list link;
	const struct worker_conf *conf;
	size_t tasks;
	bool pinned; /* something else than tasks points into it */
};

struct reload {
	struct worker *worker;
	struct loop_signal hup;
	struct list readings;
	struct reading *now;
};

enum err reload_open(struct reload *r, struct worker *w) MUSTCHECK;
void reload_close(struct reload *r);
/* A task has come, or is gone. */
struct reading *reload_hold(struct reload *r);
void reload_let_go(struct reload *r, struct reading *reading);
/* The reading in force is kept for as long as the worker lives. */
void reload_pin(struct reload *r);

#endif
