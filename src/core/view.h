/*
 * A picture of a cluster, made of the events that its workers send: who is there, what became of which task, how much of what. The rules
 * for merging events that come out of order are Celery's (celery-wire.md 7.6). Bounded: the tasks nobody spoke of for the longest time
 * are forgotten first. Times of tasks are those of their sender; whether a worker lives is judged by when its events came here.
 */
#ifndef WARREN_CORE_VIEW_H
#define WARREN_CORE_VIEW_H

#include "base/list.h"
#include "base/map.h"
#include "wire/event.h"

enum view_state {
	VIEW_PENDING, /* only task-sent is known */
	VIEW_RECEIVED,
	VIEW_STARTED,
	VIEW_SUCCESS,
	VIEW_FAILURE,
	VIEW_RETRY,
	VIEW_REVOKED,
	VIEW_REJECTED,
	VIEW_STATES
};
/* "PENDING", "SUCCESS"... */
const char *view_state_name(enum view_state s);

enum view_text {
	VIEW_NAME,
	VIEW_ARGS,
	VIEW_KWARGS,
	VIEW_ROOT_ID,
	VIEW_PARENT_ID,
	VIEW_ETA,
	VIEW_EXPIRES,
	VIEW_QUEUE,
	VIEW_EXCHANGE,
	VIEW_ROUTING_KEY,
	VIEW_RESULT,
	VIEW_EXCEPTION,
	VIEW_TRACEBACK,
	VIEW_WORKER,
	VIEW_CLIENT,
	VIEW_TEXTS
};

struct view_task {
	struct list link; /* view.order */
	char *id;
	enum view_state state;
	char *texts[VIEW_TEXTS];   /* NULL when not known */
	double times[VIEW_STATES]; /* seconds since the epoch, of the latest event of each kind; 0 = none */
	double timestamp;          /* of the event that made the state */
	double runtime;
	int64_t retries, clock;
};

struct view_worker {
	char *name;
	int64_t pid;
	double freq; /* seconds between heartbeats */
	int64_t active, processed;
	double loadavg[3];
	char *software, *version, *system; /* NULL when not known */
	us_t seen;                         /* the latest event came here */
	bool is_offline;                   /* it said goodbye */
};

/* Sums over all tasks of one name, or of the whole cluster. */
enum view_count {
	VIEW_COUNT_RECEIVED,
	VIEW_COUNT_STARTED,
	VIEW_COUNT_SUCCEEDED,
	VIEW_COUNT_FAILED,
	VIEW_COUNT_RETRIED,
	VIEW_COUNT_REVOKED,
	VIEW_COUNTS
};
#define VIEW_SECONDS 60
struct view_sums {
	char *name;
	uint64_t total[VIEW_COUNTS];
	double runtime, runtime_max;  /* of those that succeeded */
	uint32_t ended[VIEW_SECONDS]; /* per second, a ring */
	int64_t second;               /* the newest of them */
};

struct view_limits {
	size_t tasks, workers, names; /* 0 = 10000, 1000, 1000 */
	size_t text;                  /* bytes kept of each text; 0 = 1024 */
};

struct view {
	struct view_limits limits;
	struct map tasks, workers, names;
	struct list order;            /* tasks, the longest silent first */
	size_t by_state[VIEW_STATES]; /* of the tasks that are kept */
	struct view_sums sums;
	uint64_t events, nameless; /* got; of them without what they need */
};

void view_init(struct view *v, const struct view_limits *limits);
void view_release(struct view *v);
/* E_NOMEM: the event is lost. What lacks a host, or a task's event its id, is counted and passed over. */
enum err view_on_event(struct view *v, const struct evt *e, us_t now) MUSTCHECK;

const struct view_task *view_find_task(const struct view *v, struct span id);
/* From the newest to the oldest: NULL gives the newest, and is the end. */
const struct view_task *view_older(const struct view *v, const struct view_task *t);
/* It has said something lately. */
bool view_worker_lives(const struct view_worker *w, us_t now);
/* Tasks that ended, a second, over the last `seconds` whole seconds (at most VIEW_SECONDS - 1). */
double view_rate(const struct view_sums *s, us_t now, int seconds);

#endif
