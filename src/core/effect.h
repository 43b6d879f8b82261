/*
 * The closed list of what a decision may ask for. core decides, worker/apply.c does it; nothing else does I/O because of a
 * task. Spans in an effect are valid until the next decision about the same request.
 */
#ifndef WARREN_CORE_EFFECT_H
#define WARREN_CORE_EFFECT_H

#include "wire/note.h"
#include "wire/result.h"

enum effect_type {
	EFF_CHECK,       /* look up what is stored for this id; answer with request_on_checked */
	EFF_CLAIM,       /* ask for this attempt (wire/note.h); answer with request_on_claimed */
	EFF_NOTE,        /* note that it runs here, from now until its end; no answer */
	EFF_MOVE,        /* note `next`, the copy that will take its place; answer with request_on_moved */
	EFF_HOLD,        /* not due before `until`; answer with request_on_due */
	EFF_TURN,        /* ask the rate limits for its turn; answer with request_on_turn */
	EFF_RUN,         /* give it to the next free slot; answer with request_on_started */
	EFF_ARM_STARTED, /* answer with request_on_started_due after `delay`, unless it has ended by then */
	EFF_LIMIT, /* answer with request_on_soft_limit and request_on_hard_limit after these times, with request_on_memory_limit above this much */
	EFF_CANCEL, /* ask the task to end: cancel frame and SIGUSR1 */
	EFF_KILL,   /* kill the child and all it has started; after a gentler `signum`, SIGKILL follows */
	EFF_STATE,  /* store `result`, which is not final; no answer */
	EFF_STORE,  /* store `result`; answer with request_on_stored */
	EFF_FLOW,   /* do all of request.flow that this `todo` names; answer with request_on_flow */
	EFF_MAIL, /* publish what request.mail describes and the steps of request.flow; answer with request_on_published */
	EFF_ACK_EARLY, /* acknowledge the delivery; the request goes on */
	EFF_ACK,       /* the end: acknowledge the delivery and forget the request */
	EFF_REJECT, /* the end as well: refused without requeue, so that a dead-letter exchange of the queue's own gets it too */
	EFF_FORGET, /* the end: the broker has the message back already, or was told of its end */
	EFF_REPORT, /* tell people: log, later events and metrics */
};

enum report_kind {
	REPORT_RECEIVED,
	REPORT_STARTED,
	REPORT_SUCCEEDED,
	REPORT_FAILED,      /* the task raised */
	REPORT_LOST,        /* its child died */
	REPORT_INTERRUPTED, /* its child was ended with the worker; it goes back to its queue */
	REPORT_RETRY,       /* it runs again, in `delay_s` */
	REPORT_DELAYED,     /* moved to the delay ladder until its eta */
	REPORT_LIMITED,     /* over its rate limit: waits for `delay_s` or so */
	REPORT_SOFT_LIMIT,
	REPORT_HARD_LIMIT,
	REPORT_MEMORY_LIMIT,
	REPORT_REVOKED, /* `text`: revoked, expired, terminated */
	REPORT_IGNORED,
	REPORT_REJECTED,
	REPORT_UNKNOWN,     /* no such task here */
	REPORT_REFUSED,     /* it asks for something that is not carried out */
	REPORT_INVALID,     /* no task at all */
	REPORT_DONE_BEFORE, /* redelivered, and its final result is stored, or a copy has taken its place */
	REPORT_HELD_OFF,    /* `text`, another worker, runs it: this copy comes again in `delay_s` */
	REPORT_COMES_AGAIN, /* the backend is away, and has to be asked: it comes again in `delay_s` */
	REPORT_PARKED,      /* the backend is away: its result waits on the broker */
	REPORT_MOVED_ON,    /* redelivered after its end, before its copy was seen: the copy is sent again */
};

struct report {
	enum report_kind kind;
	int64_t runtime_us;
	struct span text;  /* error, reason; UTF-8 of a stranger */
	struct span error; /* as Python shows it: "KeyError('boom')"; SPAN_NONE when there is none */
	struct span value; /* raw JSON of the result */
	struct span traceback;
	double delay_s;
	int signum; /* REPORT_REVOKED: that ended it; 0 = none */
};

struct effect {
	enum effect_type type;
	union {
		us_t until;
		struct note_next next;
		ms_t delay;
		int todo; /* enum flow_todo */
		struct {
			ms_t soft_ms, hard_ms; /* 0 = none */
			int64_t memory_max;
		} limit;
		struct {
			int signum;
			const char *why; /* what the log says of the child */
		} kill;
		struct result result;
		struct report report;
	} u;
};

#define EFFECTS_MAX 6
struct effects {
	struct effect items[EFFECTS_MAX];
	size_t count;
};

#endif
