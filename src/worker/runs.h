/*
 * Notes of what runs here (wire/note.h), kept in the result backend and renewed while it lasts, so that another worker which gets the same
 * message does not run it too; and questions to the notes of others.
 */
#ifndef WARREN_WORKER_RUNS_H
#define WARREN_WORKER_RUNS_H

#include "loop/loop.h"
#include "wire/note.h"

struct job;
struct worker;

struct runs {
	struct worker *worker;
	struct loop_timer renew;
	ms_t lease_ms;   /* 0 = no notes */
	char owner[24];  /* of this process, among all that there ever were */
	bool is_refused; /* the backend did not take the last note */
};

enum err runs_init(struct runs *r, struct worker *w, ms_t lease_ms) MUSTCHECK;
void runs_release(struct runs *r);
/* The backend is there again: what runs is noted anew. */
void runs_on_backend_up(struct runs *r);

/* EFF_CLAIM; job_on_claimed follows, now or later: true when the job is gone then. While the backend is away it is asked again and again. */
bool runs_claim(struct job *j);
/* EFF_NOTE. */
void runs_begin(struct job *j);
/* EFF_MOVE; job_on_moved follows, whether it could be noted or not: true when the job is gone then. */
bool runs_move(struct job *j, const struct note_next *next);
/* The next store of j->final tells of its end as well. */
void runs_end_with_result(struct job *j);
/* The job ends without a result that says so, or is given back: is_over tells which. */
void runs_end(struct job *j, bool is_over);

#endif
