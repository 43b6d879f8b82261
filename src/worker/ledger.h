/*
 * What the canvas around a job has in the backend: the failure of those who will not run any more, the counts of chords, their beginning and their
 * end. Does what EFF_FLOW asks for, one kind at a time.
 */
#ifndef WARREN_WORKER_LEDGER_H
#define WARREN_WORKER_LEDGER_H

#include "backend/chords.h"
#include "core/flow.h"

struct job;

struct ledger {
	struct job *job;             /* owner; NULL = never used */
	struct list ops;
	enum flow_todo todo;
	size_t left;                 /* ops without an answer */
	enum err err;                /* the first refusal, and why */
	struct errtext why;
};

/* request_on_flow follows, maybe at once: true when the job is gone then. */
bool ledger_begin(struct ledger *t, struct job *j, enum flow_todo todo);
void ledger_release(struct ledger *t);

#endif
