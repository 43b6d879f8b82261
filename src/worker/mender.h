/*
 * Finds chords whose members have all ended and whose body nobody has sent, because a worker died just then, and goes on with them. One look now and
 * then, which costs one command when there is nothing to be done; one chord at a time.
 */
#ifndef WARREN_WORKER_MENDER_H
#define WARREN_WORKER_MENDER_H

#include "backend/chords.h"
#include "worker/ledger.h"

struct worker;

struct mender {
	struct worker *worker; /* NULL = never opened */
	struct loop_timer timer;
	struct backend_chord op;  /* looking */
	bool is_looking, is_busy; /* ... at Redis; with a chord */
	struct flow flow;         /* of the chord */
	struct ledger ledger;
	struct question *question;
	struct list letters; /* without a confirm */
	char group[256], body[256];
};

enum err mender_init(struct mender *m, struct worker *w) MUSTCHECK;
void mender_release(struct mender *m);
/* The worker is ready for tasks: begin to look. */
void mender_start(struct mender *m);
void mender_stop(struct mender *m);

#endif
