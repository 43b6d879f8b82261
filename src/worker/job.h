/* One delivery on its way through the worker: the request that decides, and the I/O its decisions ask for. */
#ifndef WARREN_WORKER_JOB_H
#define WARREN_WORKER_JOB_H

#include "backend/backend.h"
#include "bus/chan.h"
#include "core/request.h"
#include "loop/child.h"
#include "worker/ledger.h"

struct letter;
struct pool;
struct question;
struct slot;

struct job {
	struct list link;        /* pool.jobs */
	struct list wait;        /* pool.waiting */
	struct pool *pool;       /* owner */
	struct reading *reading; /* the settings that were in force when it came */
	struct request request;
	struct msg *msg;
	struct errtext why;   /* of a decoding fault */
	struct child_end end; /* lost: how its process ended, when `process_died` */
	bool process_died;
	struct buf output; /* lost, rejected, failed for good: the last lines it wrote */
	struct bus_tag tag;
	bool tag_lost;     /* its channel is gone; a redelivery may bind a new tag */
	size_t consumer;   /* which of the feed's consumers it came through */
	struct slot *slot; /* while it runs */
	us_t started;      /* its run, by the wall clock */
	struct backend_store final;
	struct backend_store state;
	bool state_busy;
	struct buf next_state; /* name of the newest state that waits for `state`; empty = none */
	struct buf next_meta;
	struct loop_timer timer; /* until it is due, or the backend can be asked again */
	bool has_note;           /* the note in the backend says that it is ours */
	bool is_claiming;        /* has asked who runs it, and waits for the answer */
	bool is_asking_turn;     /* has asked the limits of the cluster, and waits for the answer */
	bool waits_for_backend;  /* it has to ask before it runs */
	ms_t noted_at;
	ms_t delivered_at;
	ms_t asked_backend_at;     /* since when it waits for an answer of the backend; 0 = it does not */
	struct list letters;       /* not confirmed yet */
	struct question *question; /* where its follow-ups go; NULL: nobody is asked */
	struct ledger ledger;      /* what its canvas has in the backend */
};

/* Takes d->msg. The first decision is made and applied. */
void job_begin(struct pool *p, struct bus_delivery *d, size_t consumer);
/* Does what a decision asked for. The job may be gone afterwards: true when it is. */
bool job_apply(struct job *j, const struct effects *fx);
/* Takes the job out of everything it is in and frees it; nothing is sent. */
void job_free(struct job *j);

/* Events; each returns true when the job is gone afterwards. */
bool job_on_started(struct job *j, struct slot *s, int64_t child_pid);
bool job_on_started_due(struct job *j);
bool job_on_frame(struct job *j, const struct run_frame *f);
bool job_on_lost(struct job *j, const char *how);
/* Its child was ended with the worker. */
bool job_on_interrupted(struct job *j);
bool job_on_soft_limit(struct job *j);
bool job_on_hard_limit(struct job *j);
bool job_on_memory_limit(struct job *j, int64_t peak);
/* The broker has this letter; it is freed. After the last one the job goes on. */
bool job_on_confirmed(struct job *j, struct letter *l);
/* Somebody has revoked it. */
bool job_on_revoked(struct job *j);
/* ... and wants its run ended. */
bool job_on_terminated(struct job *j, int signum);
bool job_on_channel_lost(struct job *j);
/* NULL: it cannot be known. */
bool job_on_claimed(struct job *j, const struct note_answer *a);
bool job_on_moved(struct job *j);
/* It waits for the backend, which is away, and must not any longer. */
bool job_on_backend_away(struct job *j);
/* Its timer: on_due, or another question to the backend. */
void job_arm(struct job *j, ms_t delay);
/* A redelivery of a task that still runs here: the new tag replaces the lost one. Takes d->msg. */
void job_adopt(struct job *j, struct bus_delivery *d, size_t consumer);
/* Gives a delivery that has not begun back to its queue and frees the job. */
void job_return(struct job *j);

#endif
