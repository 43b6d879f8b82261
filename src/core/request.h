/*
 * The life of one task in a worker. Only this file changes its state; every function takes what happened and adds what is to
 * be done about it.
 *
 *   new -> checking -> held -> asking -> waiting -> running -> storing (-> parking) -> counting -> publishing -> closing -> settled
 *
 * Steps that do not apply are left out; the order never changes: result durable, then its part in chords (and the failure of those who will not run),
 * then follow-ups confirmed, then the chords that are over closed, then ack.
 */
#ifndef WARREN_CORE_REQUEST_H
#define WARREN_CORE_REQUEST_H

#include "base/buf.h"
#include "core/builtin.h"
#include "core/effect.h"
#include "core/flow.h"
#include "core/limit.h"
#include "core/rule.h"
#include "wire/forward.h"
#include "wire/run.h"
#include "wire/task.h"

enum request_state {
	REQUEST_NEW,
	REQUEST_CHECKING,
	REQUEST_HELD,   /* until `due` */
	REQUEST_ASKING, /* the rate limits, for its turn */
	REQUEST_WAITING,
	REQUEST_RUNNING,
	REQUEST_STORING,
	REQUEST_PARKING,
	REQUEST_COUNTING,
	REQUEST_PUBLISHING,
	REQUEST_CLOSING,
	REQUEST_SETTLED,
};

struct request_rules {
	const char *node; /* "w1@host" */
	bool has_backend;
	bool only_replies; /* ... which sends them to whoever sent the task: with no address there is none */
	bool has_chords;   /* it can count their members */
	ms_t started_after_ms; /* a run is noted and STARTED stored once it has lasted so long: short ones cost one write, not three */
	bool result_extended;
	bool has_notes; /* runs are noted: who comes again, or later, asks first */
	bool all_ask;   /* ... and everybody else too, so that a message published twice runs once */
	struct task_rules tasks;
};

/* The message that takes the place of the one delivered, which is acknowledged once the broker has confirmed this. */
enum mail_kind {
	MAIL_NONE,
	MAIL_DEAD,    /* as it came, to warren.dead */
	MAIL_LATER,   /* as it came, to the delay ladder */
	MAIL_RETRY,   /* its next attempt, to the delay ladder or, without a delay, to its queue */
	MAIL_REQUEUE, /* as it came, back to its queue, ever later; counted in a header */
	MAIL_PARK, /* the result, to the outbox; with the message when what follows needs the backend too */
	MAIL_LOST, /* the same attempt again after its child died, to its queue; counted in a header */
};
struct mail {
	enum mail_kind kind;
	const char *reason;   /* MAIL_DEAD: one word, "malformed", "unknown-task" */
	struct errtext error; /* MAIL_DEAD: for a person */
	int64_t delay_s;      /* on the ladder; 0 = none */
	us_t eta;             /* MAIL_RETRY; 0 = none */
	bool with_task;       /* MAIL_PARK */
};

struct request {
	enum request_state state;
	const struct request_rules *rules;
	const struct task_rule *rule; /* of this task; set by request_on_received */
	struct forward_counts been;
	int64_t came_lost, came_requeued; /* the same, as it came: they are part of the attempt's number */
	struct task task;                 /* zeroed when the message is no task */
	bool redelivered;
	int64_t deliveries; /* a quorum queue's own count of those before this one; 0 = none, or not known */
	bool is_noted;      /* the attempt is ours, as the note says */
	bool has_asked;     /* it was claimed: copies of it may be about, which must learn of its end */
	bool is_ignored;    /* it ended without an end: a task it was replaced by may go on under its id */
	int64_t deaths;     /* of workers, during this attempt */
	struct span queue;  /* it was delivered from */
	int64_t child_pid;
	int64_t started_us;   /* monotonic; when the child got it */
	bool refused;         /* the delivery ends with a reject instead of an ack */
	bool acked;           /* early: nothing is left to acknowledge at the end */
	bool follows_again;   /* what follows it may have been sent before */
	bool revoked;         /* while the backend was asked */
	bool may_wait;        /* here for its time, when that is within a second */
	bool has_turn;        /* under its rate limits */
	us_t due;             /* while it is held */
	bool refused_once;    /* the backend would not take the result; its replacement is under way */
	enum builtin builtin; /* what the worker makes of it itself */
	struct series series; /* of a map or starmap */
	struct errtext builtin_error; /* its arguments make no sense */
	struct arena arena;           /* of the built-in, and of what a child has told */
	struct span own_children; /* result tuples of what the task has sent by itself, a raw array; SPAN_NONE = none */
	bool has_state;           /* the task has told a state of its own: STARTED would hide it */
	bool no_store,
		must_store; /* the child says: its end is not for the backend, or is whatever the message says */
	struct forward_change change; /* of its retry */
	struct mail mail,
		after_park; /* after_park: what had to be sent when the result was to be parked first */
	struct flow flow;   /* what its end sends and whom it concerns */
	struct buf scratch; /* the error object of the last decision */
	struct buf note;    /* text of the last report */
	struct buf detail;  /* error of the last report */
};

void request_init(struct request *r, const struct request_rules *rules);
void request_release(struct request *r);
const char *request_state_name(enum request_state s);

/* What has come from the broker, decoded or not. */
struct request_arrival {
	enum task_fault fault;
	const char *why; /* words for the fault */
	bool is_known;   /* a runner of this pool has registered the name */
	bool is_revoked;
	bool may_wait; /* it may keep its place among the deliveries until it is due: there are others for what is due now */
	us_t wall;
};
/* Whether the worker carries it out itself, should no runner know it. *runs: the task that a runner has to know then; SPAN_NONE = none. */
bool request_is_builtin(struct request *r, struct span *runs);
void request_on_received(struct request *r, const struct request_arrival *in, struct effects *out);
/* The stored result of a redelivered task; NULL = there is none. */
void request_on_checked(struct request *r, const struct result *stored, us_t wall, struct effects *out);
/* NULL: it cannot be known. It is run then: rather twice than never. */
void request_on_claimed(struct request *r, const struct note_answer *a, us_t wall, struct effects *out);
void request_on_moved(struct request *r, struct effects *out);
/* What is noted of it in this state, but for the owner. At its end that it is over, or nothing when nobody can ask. */
struct note request_note(const struct request *r, enum note_state state);
struct note request_note_end(const struct request *r);
/* A stored result answers a claim: not of a mere retry, which a task that was sent again under its old id may have. */
bool request_wants_result(const struct request *r);
void request_on_due(struct request *r, us_t wall, struct effects *out);
struct request_now {
	int64_t mono_us;
	us_t wall;
	uint64_t random;
};
/* What the rate limits say. */
struct request_turn {
	enum err err;                      /* not E_OK: they could not be asked; asked again in a while */
	struct limit_turn worker, cluster; /* zeroed: there is no such limit */
	bool may_hold;                     /* the pool has room for one that waits */
};
void request_on_turn(
	struct request *r, const struct request_turn *in, const struct request_now *now, struct effects *out);
void request_on_started(struct request *r, int64_t child_pid, int64_t mono_us, struct effects *out);
void request_on_started_due(struct request *r, struct effects *out);
/* A series: takes the result of one run. True when there is one more to be made, of r->series; false: the frame is the end, for request_on_frame. */
bool request_goes_on(struct request *r, const struct run_frame *f);
/* A frame of the child: RUN_STATE or RUN_DONE. */
void request_on_frame(
	struct request *r, const struct run_frame *f, const struct request_now *now, struct effects *out);
/* The time limits of EFF_LIMIT have passed. */
void request_on_soft_limit(struct request *r, struct effects *out);
/* It and what it has started took this many bytes. */
void request_on_memory_limit(
	struct request *r, int64_t peak, const struct request_now *now, struct effects *out);
void request_on_hard_limit(struct request *r, const struct request_now *now, struct effects *out);
/* Somebody has revoked it. What has not begun is not begun; what runs goes on. */
void request_on_revoked(struct request *r, us_t wall, struct effects *out);
/* ... and wants its run ended, with this signal. What has not begun counts as revoked. */
void request_on_terminated(struct request *r, int signum, const struct request_now *now, struct effects *out);
/* The child is gone, or talks nonsense; `how` says so in words: "killed by signal 9 (SIGKILL)". */
void request_on_lost(struct request *r, const char *how, const struct request_now *now, struct effects *out);
/* The child was ended because the worker stops: the task goes back to its queue and counts as interrupted, not as lost. */
void request_on_interrupted(struct request *r, const struct request_now *now, struct effects *out);
/* E_OK, or E_REFUSED when the backend will never take it. */
void request_on_stored(struct request *r, enum err e, const char *why, us_t wall, struct effects *out);
/* What EFF_FLOW asked for was done (the answers of counts were told to flow_on_counted), or cannot be: E_REFUSED, with the reason. */
void request_on_flow(struct request *r, enum flow_todo todo, enum err e, const char *why, struct effects *out);
/*
 * The backend is away, and the broker will not wait much longer for the acknowledgement. A result that waits to be stored is parked on the broker; what
 * waits for anything else of the backend comes again later. No effects: it waits for nothing of the backend.
 */
void request_on_backend_away(struct request *r, struct effects *out);
/* Where its follow-ups go cannot be told, or one (its retry is one) cannot be written: none of them is sent, and the message is kept for a person. */
void request_on_unsendable(struct request *r, const char *reason, const char *why);
void request_on_published(struct request *r, struct effects *out);
/* The channel that delivered it is gone. What has not begun is forgotten (the broker delivers it again); what runs goes on. */
void request_on_channel_lost(struct request *r, struct effects *out);

#endif
