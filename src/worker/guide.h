/*
 * The guide of a pool: one more child of its application, which runs no tasks but says where the routers in its code want what the worker sends
 * after a task. There is one only when the application has such routers (the hello of its children says so).
 *
 *   down -> starting -> up -> ending -> down (then starting again, while there are questions or may be)
 */
#ifndef WARREN_WORKER_GUIDE_H
#define WARREN_WORKER_GUIDE_H

#include "core/flow.h"
#include "loop/child.h"
#include "loop/stream.h"
#include "wire/routing.h"
#include "wire/run.h"
#include "worker/output.h"
#include "worker/sweep.h"
#include "worker/tail.h"

struct pool;

/* Where all the steps of a flow go. Its asker's, from guide_ask to question_free. */
struct question {
	struct list link; /* guide.waiting or guide.asked */
	const struct flow *flow;
	size_t done;                    /* steps that are answered */
	size_t from, to;                /* those that the frame under way asks about */
	uint64_t serial;                /* of that frame */
	unsigned deaths;                /* of processes that were busy with it */
	bool is_asked;                  /* under way */
	struct routing_answer *answers; /* one for each step */
	struct arena arena;
	/* E_MISSING: the application has no such routers any more. E_REFUSED: it cannot be told, `why` says the reason. */
	enum err err;
	struct errtext why;
	void (*fn)(void *owner); /* NULL: nobody waits for it any more */
	void *owner;
};

enum guide_state { GUIDE_DOWN, GUIDE_STARTING, GUIDE_UP, GUIDE_ENDING };

struct guide {
	struct list link; /* nest.waiting while it waits for a template */
	struct pool *pool;
	enum guide_state state;
	bool is_wanted;           /* the application has routers that are code */
	bool stopping;            /* do not start again */
	bool is_old;              /* another one is to answer what is asked from now on */
	bool said_hello, retired; /* this process did; we asked it to end */
	struct child *child;
	struct stream *channel;
	struct output out, err;
	struct tail tail;
	struct run_reader reader;
	struct list waiting, asked; /* questions, in order */
	size_t n_asked;
	uint64_t serial;
	struct loop_timer timer; /* starting: hello deadline; up: the next answer; ending: grace; down: back-off */
	unsigned failures;       /* starts in a row that came to nothing */
	char mark[SWEEP_MARK_MAX];
	char why[256]; /* why we ended it; "" = it ended by itself */
};

void guide_init(struct guide *g, struct pool *p);
void guide_release(struct guide *g);
/* A child of the pool has said hello. */
void guide_on_hello(struct guide *g, const struct run_frame *f);
/* The template it waited for is up. */
void guide_start(struct guide *g);
/* The program may have changed. */
void guide_renew(struct guide *g);
/* pool_on_guide_down follows, unless it is down. */
void guide_stop(struct guide *g, bool at_once);
bool guide_is_down(const struct guide *g);

/*
 * Where the steps of the flow go; they stay as they are until fn, which follows, not from within. NULL: there is nobody to ask, and no need to.
 */
struct question *guide_ask(struct guide *g, const struct flow *f, void (*fn)(void *owner), void *owner);
/* Of this step; NULL: by the plain routes. */
const struct routing_answer *question_answer(const struct question *q, size_t step);
/* May be under way. NULL is allowed. */
void question_free(struct question *q);

#endif
