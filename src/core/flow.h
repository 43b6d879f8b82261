/*
 * Canvas: what has to be sent when a task has ended, and who else its end concerns (celery-wire.md section 4). Pure: signatures are read from
 * the message and rewritten as text; nothing is sent here. Links, error links and chains are carried out; groups and chords are refused by
 * flow_check before the task runs, so that a follow-up is never dropped in silence.
 */
#ifndef WARREN_CORE_FLOW_H
#define WARREN_CORE_FLOW_H

#include "wire/task.h"

/* One message to send. Where `exchange` and `routing_key` are SPAN_NONE the task's name decides. */
struct flow_step {
	struct task_call call;
	struct span exchange, routing_key;
};

struct flow {
	struct arena arena;        /* owns what the steps point to */
	struct flow_step *steps;
	size_t count, cap;
	struct buf children;       /* the "children" of the result: [[[id, null], null], ...]; empty = none */
	struct span *failed;       /* ids that end with the same failure: the rest of a chain */
	size_t n_failed;
};

void flow_init(struct flow *f);
void flow_release(struct flow *f);

/* E_REFUSED with the reason when the task asks for something that is not carried out. */
enum err flow_check(const struct task *t, struct errtext *why) MUSTCHECK;
/* `result` is raw JSON. Ids that a signature does not have are derived from the task's own, so that the same end, told twice, gives the same
 * messages. E_FORMAT names what is wrong with a signature. */
enum err flow_on_success(struct flow *f, const struct task *t, struct span result, us_t now, struct errtext *why) MUSTCHECK;
enum err flow_on_failure(struct flow *f, const struct task *t, us_t now, struct errtext *why) MUSTCHECK;

#endif
