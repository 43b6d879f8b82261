/*
 * The rate limits a worker keeps: its own, in memory, and the cluster's, in the backend. core/limit.h has the rules. Buckets are named by the task
 * and, when its rule says so, by the value of one of its arguments.
 */
#ifndef WARREN_WORKER_LIMITER_H
#define WARREN_WORKER_LIMITER_H

#include "backend/backend.h"
#include "base/map.h"

struct job;
struct worker;

struct limiter {
	struct worker *worker;
	struct map buckets;  /* "task\nkey" -> us_t, of this worker's limits */
	size_t sweep_at;     /* so many buckets: look for those that are over */
	struct buf name;     /* scratch of one call */
	bool has_complained; /* the cluster's limits are out of reach */
};

void limiter_init(struct limiter *l, struct worker *w);
void limiter_release(struct limiter *l);
/* Answers with request_on_turn; true when the job is gone. */
bool limiter_ask(struct limiter *l, struct job *j);
/* No answer is wanted any more. */
void limiter_cancel(struct limiter *l, struct job *j);
/* The limit of this task is another one now: its buckets begin anew. */
void limiter_forget(struct limiter *l, struct span task_name);

#endif
