/* A message on its way out because of a job: a dead letter, a task for later, a retry, a step of a canvas. */
#ifndef WARREN_WORKER_LETTER_H
#define WARREN_WORKER_LETTER_H

#include "base/list.h"
#include "wire/msg.h"

struct flow_step;
struct job;
struct routing_answer;
struct worker;

#define LETTER_ROAD_MAX 300

struct letter {
	struct list link; /* of its owner's letters */
	struct list wait; /* post.waiting */
	struct worker *worker;
	struct job *job;              /* owner; NULL = another, see `fn` */
	void (*fn)(struct letter *l); /* the broker has it */
	void *owner;
	struct span about, origin; /* for the log: a task's id, the queue it came from */
	struct msg msg;
	/* What must exist for it to arrive, "" = nothing to be done: "dead/<queue>", "later/<queue>", "queue/<queue>". */
	char road[LETTER_ROAD_MAX];
	bool is_task;        /* a new message of a task: a step, a retry; monitors may want to hear of it */
	uint64_t publish_id; /* under way; 0 = not */
};

/* What job->request.mail describes. E_NOMEM, E_TOOBIG. */
enum err letter_of_mail(struct letter **out, struct job *j) MUSTCHECK;
/* `answer`: of the application's routers; NULL = they were not asked. Not kept. */
enum err letter_of_step(struct letter **out, struct job *j, const struct flow_step *s,
	const struct routing_answer *answer, struct errtext *t) MUSTCHECK;
/* One that no job sends: `list` is where it is kept until fn. */
enum err letter_of_flow(struct letter **out, struct worker *w, struct list *list, const struct flow_step *s,
	const struct routing_answer *answer, void (*fn)(struct letter *l), void *owner,
	struct errtext *t) MUSTCHECK;
void letter_free(struct letter *l);
/* The queue that the road leads to. */
struct span letter_queue(const struct letter *l);

#endif
