/* The parts of a running worker, for the files of this folder. worker.c owns it and wires it. */
#ifndef WARREN_WORKER_STATE_H
#define WARREN_WORKER_STATE_H

#include "backend/backend.h"
#include "base/lamport.h"
#include "bus/publish.h"
#include "core/request.h"
#include "worker/control.h"
#include "worker/limiter.h"
#include "worker/mender.h"
#include "worker/notify.h"
#include "worker/outbox.h"
#include "worker/pool.h"
#include "worker/post.h"
#include "worker/pulse.h"
#include "worker/reload.h"
#include "worker/revocation.h"
#include "worker/runs.h"
#include "worker/sweep.h"
#include "worker/worker.h"

enum worker_phase { WORKER_STARTING, WORKER_RUNNING, WORKER_DRAINING, WORKER_STOPPING };

struct worker {
	const struct worker_conf *conf; /* `live` */
	struct worker_conf live;        /* as it began, with what was read again since */
	struct reload reload;
	struct loop *loop;
	struct backend *backend;
	struct bus_conn *consume; /* deliveries and acks */
	struct bus_conn *publish; /* a broker alarm blocks this one only */
	struct bus_pub *pub;
	struct bus_topo *topo;
	struct loop_timer topo_retry;
	struct post post;
	struct sweep sweep;
	struct mender mender;
	struct lamport clock;
	struct control control;
	struct pulse pulse;
	struct revocation revocation;
	struct runs runs;
	struct outbox outbox;
	struct limiter limiter;
	struct notify notify;
	struct request_rules rules;
	struct task_limits limits;
	struct pool *pools;
	size_t n_pools;
	enum worker_phase phase;
	bool banner_shown;
	bool was_ready;       /* and said so, on this connection */
	bool is_interrupting; /* the drain time-out is over */
	int exit_code;
	struct errtext error; /* why it could not start */
	struct loop_signal sigterm, sigint, sigquit;
	struct loop_timer drain;
	struct buf frame, part; /* scratch of one call */
	uint64_t processed;     /* deliveries that were settled */
	uint64_t accepted;      /* runs that were begun */
	struct map totals;      /* the same by task name: int64_t */
	ms_t started;
};

/* A run begins: counted. */
void worker_count_run(struct worker *w, struct span task_name);
/* Tasks that run now. */
size_t worker_active(const struct worker *w);
/* The job with this task id; NULL when there is none. */
struct job *worker_find_job(struct worker *w, struct span id);
/* As SIGTERM does. */
void worker_shutdown(struct worker *w);

/* Registered, connected, consuming: says so once, and prints the banner before. */
void worker_check_ready(struct worker *w);
/* A pool cannot get a single child up: gives up with this text. */
void worker_fail(struct worker *w, const char *fmt, ...) PRINTFLIKE(2, 3);
/* Something ended: see whether a drain is complete. */
void worker_check_drained(struct worker *w);
bool worker_is_stopping(const struct worker *w);
/* A queue vanished under its consumers, or a pool got another one: makes sure of all of them. */
void worker_ensure_queues(struct worker *w);
/* Whether so many more slots can have the descriptors they need; raises our limit when it may. */
enum err worker_make_room(struct worker *w, size_t more, struct errtext *t) MUSTCHECK;

#endif
