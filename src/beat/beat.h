/*
 * The scheduler daemon: sends the entries of a schedule when they are due. Any number may run; one leads (lease.h), the others stand by. What it sends has
 * an id made of group, entry and due time, so a run that is sent twice (a leader died between sending and telling) is one task.
 * Filled and called by cli/cmd_beat.c.
 */
#ifndef WARREN_BEAT_BEAT_H
#define WARREN_BEAT_BEAT_H

#include "backend/backend.h"
#include "beat/entry.h"
#include "bus/conn.h"

struct beat_conf {
	const char *node;            /* "beat@host" */
	const char *origin;          /* header of the tasks: "gen1234@host" */
	const char *group;           /* queue of the baton; schedulers with the same one share a schedule */
	struct bus_conf broker;      /* its name is set here; its heartbeat is at most LEASE_HEARTBEAT_S */
	struct backend_conf backend; /* asked for the end of a run when an entry skips overlaps */
	const struct entry_conf *entries;
	size_t n_entries;
	const char *state_path; /* NULL = the default of state.h */
	ms_t grace_ms;          /* of missed: skip */
};

/* Runs until SIGTERM, SIGINT or SIGQUIT. Exit code: 0 stopped, 1 could not start. */
int beat_run(const struct beat_conf *conf, struct errtext *t);

#endif
