/*
 * What a flow has in the backend: the failure of those who will not run any more, the counts of chords, their beginning and their
 * end. Does what flow_next names, one kind at a time.
 */
#ifndef WARREN_WORKER_LEDGER_H
#define WARREN_WORKER_LEDGER_H

#include "backend/chords.h"
#include "core/flow.h"

/* What was asked for is done, or E_REFUSED with the reason. True: the owner is gone. */
typedef bool ledger_fn(void *owner, enum flow_todo todo, enum err e, const char *why);

struct ledger {
	struct backend *backend; /* NULL = never used */
	struct flow *flow;
	ledger_fn *fn;
	void *owner;
	struct list ops;
	enum flow_todo todo;
	size_t left;  /* ops without an answer */
	enum err err; /* the first refusal, and why */
	struct errtext why;
};

void ledger_init(struct ledger *l, struct backend *b, struct flow *f, ledger_fn *fn, void *owner);
/* fn follows, maybe at once: what it returned then, else false. */
bool ledger_begin(struct ledger *l, enum flow_todo todo);
/* What is under way is given up; it can begin again. */
void ledger_release(struct ledger *l);

#endif
