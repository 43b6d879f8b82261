/*
 * The worker daemon: pools of slots, each slot a child process that runs one task at a time; two broker connections, one that
 * consumes and acknowledges, one that publishes; one result backend. Filled and called by cli/cmd_worker.c.
 */
#ifndef WARREN_WORKER_WORKER_H
#define WARREN_WORKER_WORKER_H

#include "backend/backend.h"
#include "bus/conn.h"
#include "bus/topo.h"
#include "core/route.h"
#include "core/rule.h"
#include "core/scale.h"

#define POOL_SLOTS_MAX 4096

struct pool_conf {
	const char *name; /* "default", or the key under pools: */
	const char *app;  /* the Python module that -A names; NULL = another kind of runner */
	const struct bus_topo_queue *queues;
	size_t n_queues;
	int concurrency;           /* slots, >= 1 */
	struct scale_conf scaling; /* max > 0: begins with min slots instead, and has more when they are needed */
	const char *const *runner; /* argv of the child, NULL-ended; runner[0] "warren" means this very program */
	bool fork; /* the runner takes --template: children are forked from one that has imported everything */
	const char *cwd;              /* NULL = ours */
	const char *const *env;       /* "KEY=value", NULL-ended; NULL = none */
	const char *const *pass_env;  /* patterns of further variables that children inherit; NULL = none */
	bool pass_all;                /* all of them but ours */
	int prefetch_multiplier;      /* deliveries held for each slot; 0 = 1 */
	int64_t memory_limit;         /* RLIMIT_AS of a child in bytes, 0 = none */
	int64_t max_tasks_per_child;  /* a child is replaced after so many; 0 = never */
	int64_t max_memory_per_child; /* bytes resident after a task, above which it is replaced; 0 = none */
	ms_t start_ms;                /* a child must say hello within; 0 = 60 s */
};

/*
 * Something else that lives on the worker's loop: the scheduler of -B. It is told when the worker begins to end, and the worker waits for it;
 * it ends by itself only when it cannot go on, which it says.
 */
struct loop;
struct worker_guest {
	/* An error keeps the worker from starting. stopped(arg) when it has ended after stop. */
	enum err (*open)(
		void *owner, struct loop *l, void (*stopped)(void *arg), void *arg, struct errtext *t);
	void (*stop)(void *owner); /* may come several times */
	bool (*is_stopped)(const void *owner);
	void (*close)(void *owner); /* also after a failed open */
	void *owner;
};

/*
 * Settings that are read again on SIGHUP. read(): a whole new struct worker_conf, checked; of it counts what a running worker can change.
 * It and all it points to must stay until drop().
 */
struct worker_conf;
struct worker_reader {
	enum err (*read)(void *owner, const struct worker_conf **out, struct errtext *t);
	/* The worker goes by it from now on: what is not its business, such as the log, may follow. */
	void (*adopted)(void *owner, const struct worker_conf *conf);
	void (*drop)(void *owner, const struct worker_conf *conf);
	void *owner;
};

struct worker_conf {
	const char *node; /* "w1@host" */
	const char *version;
	struct bus_conf broker; /* its name is set by the worker */
	struct backend_conf backend;
	const struct pool_conf *pools;
	size_t n_pools;
	/* How a queue is declared that a pool is told of while it runs. */
	const struct bus_topo_queue *known_queues;
	size_t n_known_queues;
	bool queues_must_exist;
	struct task_rules tasks;     /* limits and retries by task name */
	const struct routes *routes; /* where follow-ups go that name no queue */
	ms_t consumer_timeout_ms;    /* the broker's patience with a delivery; 0 = without end */
	ms_t outbox_after_ms;        /* a delivery waits no longer for the backend; 0 = as long as it takes */
	bool all_ask;                /* every task asks before it runs, not only those that come again */
	bool result_extended;
	int64_t message_max; /* bytes of one task's body, inflated; 0 = 64 MiB */
	int64_t result_max;  /* bytes of one line from a child; 0 = 64 MiB */
	int64_t output_max;  /* bytes of a task's stdout and stderr that are logged; 0 = 64 KiB */
	bool events;         /* tell of every task from the start */
	ms_t heartbeat_ms;   /* between events that say "I am here"; 0 = 2 s, < 0 = none */
	bool no_control;     /* take no orders from the broker */
	bool sent_events;    /* task-sent is told of what is sent because of a task */
	bool is_transient;   /* so it is sent, unless signature, task or route say otherwise */
	ms_t control_ttl_ms, control_expires_ms;       /* of the queue of orders; 0 = none */
	const char *control_exchange, *event_exchange; /* as wire/control.h and wire/event.h have them */
	const char *settings,
		*settings_all; /* JSON objects for those who ask, secrets hidden; changed ones, all; may be NULL */
	ms_t route_ms;         /* routers that are code must answer within; 0 = 30 s */
	ms_t chord_check_ms; /* how often chords are looked for that nobody goes on with; 0 = never */
	ms_t drain_ms;       /* SIGTERM: running tasks may finish for so long; 0 = 30 s */
	bool quiet_banner;
	const struct worker_guest *guest;   /* NULL = none */
	const struct worker_reader *reader; /* NULL: SIGHUP ends the worker, as it does any program */
};

/* Runs until a signal ends it. Exit code: 0 drained, 1 could not start, 3 broker unreachable on start when `t` says so. */
int worker_run(const struct worker_conf *conf, struct errtext *t);

#endif
