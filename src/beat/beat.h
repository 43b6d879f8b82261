/*
 * The scheduler: sends the entries of a schedule when they are due. Any number may run; one leads (lease.h), the others stand by. What it sends has
 * an id made of group, entry and due time, so a run that is sent twice (a leader died between sending and telling) is one task.
 * Filled by cli/; a process of its own, or a guest on the loop of a worker.
 */
#ifndef WARREN_BEAT_BEAT_H
#define WARREN_BEAT_BEAT_H

#include "backend/backend.h"
#include "beat/board.h"
#include "beat/book.h"
#include "bus/conn.h"

struct beat;

struct beat_conf {
	const char *node;            /* "beat@host" */
	const char *origin;          /* header of the tasks: "gen1234@host" */
	const char *group;           /* queue of the baton; schedulers with the same one share a schedule */
	struct bus_conf broker;      /* its name is set here; its heartbeat is at most LEASE_HEARTBEAT_S */
	struct backend_conf backend; /* asked for the end of a run when an entry skips overlaps */
	struct board_conf store;     /* Redis that the group shares; its group is set here. url NULL = none */
	bool needs_store;            /* sends nothing while Redis does not answer */
	struct entry_maker maker;    /* of the entries that Redis has */
	const struct entry_conf *entries;
	size_t n_entries;
	const char *state_path; /* NULL = the default of state.h */
	bool no_state;          /* no file at all */
	ms_t grace_ms;          /* of missed: skip */
};

/* conf must outlive it. */
enum err beat_open(struct beat **out, struct loop *l, const struct beat_conf *conf,
	void (*on_stopped)(void *owner), void *owner, struct errtext *t) MUSTCHECK;
/* In good order: what was sent is confirmed, the next leader knows and may begin. on_stopped follows, within seconds whatever happens. */
void beat_stop(struct beat *b);
bool beat_is_stopped(const struct beat *b);
/* No callback afterwards; its connection lingers on the loop for its goodbye. NULL is allowed. */
void beat_close(struct beat *b);

/* Whether the settings, as they are by now, would do. */
typedef void beat_renewal_fn(void *arg, enum err e, const char *why);
struct beat_renewal {
	/* fn follows, never from inside. */
	enum err (*check)(void *owner, struct loop *l, beat_renewal_fn *fn, void *arg, struct errtext *t);
	void (*cancel)(void *owner); /* fn is not called any more */
	void *owner;
};

/*
 * Runs until SIGTERM, SIGINT or SIGQUIT. After SIGHUP it ends too when the new settings are right, and *again is set. Exit code: 0 stopped, 1 could
 * not start.
 */
int beat_run(const struct beat_conf *conf, const struct beat_renewal *renewal, bool *again, struct errtext *t);

#endif
