/*
 * What is due, and what becomes of what was missed. Pure: `now` is an argument. A heap of entries by the time they are to be looked at,
 * so that one timer serves them all and waiting costs nothing.
 *
 *   planned --plan_due--> fired --plan_done--> planned, for its next due time (or idle, when there is none)
 *                               `-plan_undo--> planned, for the same one
 *
 * `done` is all an entry has to remember: every due time up to it is settled. Due times in (done, now] are pending: one in normal life,
 * more after an absence, a suspended laptop or a clock set forward; then the missed rule decides. A clock set back brings nothing up again.
 */
#ifndef WARREN_CORE_PLAN_H
#define WARREN_CORE_PLAN_H

#include "core/schedule.h"

enum missed {
	MISSED_ONCE, /* the latest, whatever it is too late */
	MISSED_SKIP, /* the latest when it is less than `grace` late */
	MISSED_ALL,  /* the last missed_max of them, one after the other */
};

/* Owned by its user, who fills in the first part and must not move it while it is in a plan. */
struct plan_entry {
	struct schedule schedule;
	enum missed missed;
	int64_t missed_max; /* of MISSED_ALL, from 1 */
	us_t jitter; /* it fires up to so much later than due; how much is a function of seed and due time */
	uint64_t seed;
	us_t done;

	us_t due; /* the due time it waits for; SCHEDULE_NEVER = none */
	us_t at;  /* when it is to be looked at: due and its jitter */
	size_t slot;
	bool member, planned; /* in the plan; and in its heap */
};

struct plan {
	struct plan_entry **heap;
	size_t count, cap, members;
	us_t grace; /* of MISSED_SKIP */
};

void plan_init(struct plan *p, us_t grace);
void plan_release(struct plan *p);
/* From `done` on. An entry that is never due again is a member, but not planned. */
enum err plan_add(struct plan *p, struct plan_entry *e) MUSTCHECK;
/* Also while it is fired: plan_done and plan_undo must not follow then. No-op when it is no member. */
void plan_remove(struct plan *p, struct plan_entry *e);
/* When plan_due will have something; SCHEDULE_NEVER. */
us_t plan_at(const struct plan *p);

struct plan_fire {
	struct plan_entry *entry;
	us_t due;       /* the due time it is about */
	us_t given_up;  /* the first of the due times that will not run; SCHEDULE_NEVER = none */
	us_t following; /* its first due time after now; SCHEDULE_NEVER */
	bool run;       /* false: this one does not run either, the entry is planned again already */
};
/* Takes out the first entry whose time has come; false when there is none. When f->run: plan_done or plan_undo must follow. */
bool plan_due(struct plan *p, us_t now, struct plan_fire *f);
/* The due time is settled. */
void plan_done(struct plan *p, struct plan_entry *e, us_t due);
/* It did not happen. */
void plan_undo(struct plan *p, struct plan_entry *e);

/* How much later than `due` this entry fires. */
us_t plan_jitter(const struct plan_entry *e, us_t due);

#endif
