/*
 * The runner protocol: newline-delimited JSON between a worker and its child on fd 3 (docs/runner-protocol.md).
 * This file is both sides' codec; the golden frames are in tests/vectors/run.
 */
#ifndef WARREN_WIRE_RUN_H
#define WARREN_WIRE_RUN_H

#include "base/buf.h"
#include "base/jscan.h"

#define RUN_PROTOCOL 1
#define RUN_FD 3

enum run_type { RUN_HELLO, RUN_RUN, RUN_STATE, RUN_DONE, RUN_CANCEL, RUN_STOP, RUN_ROUTE, RUN_ROUTED };
#define RUN_TYPE_COUNT 8
extern const char *const run_type_names[RUN_TYPE_COUNT];
enum run_outcome { RUN_RESULT, RUN_ERROR, RUN_RETRY, RUN_IGNORE, RUN_REJECT };

struct run_error {
	struct span type, module; /* text */
	struct span message;      /* raw JSON array */
	struct span traceback;    /* text, SPAN_NONE when absent */
};

/* Every text below is decoded (escapes resolved); every "raw" is JSON. */
struct run_frame {
	enum run_type type;
	struct span id; /* of the task; of the question in route and routed; all but hello and stop */
	/* hello */
	int64_t protocol, pid;
	struct span language;
	struct span tasks; /* raw array of strings; run_next_task walks it. "*" = takes any name */
	bool takes_routes; /* it answers route frames, and wants to be asked */
	/* run */
	struct span name;
	struct span args, kwargs; /* raw */
	struct span request;      /* raw object */
	/* state */
	struct span state;
	struct span meta; /* raw */
	/* state, done: more, from a framework */
	struct span children;  /* raw array of result tuples; SPAN_NONE = none */
	struct span traceback; /* RUN_STATE, and RUN_RETRY without a cause: text */
	/* done */
	enum run_outcome outcome;
	struct span result; /* raw */
	struct run_error error; /* RUN_ERROR, RUN_ROUTED; RUN_RETRY: the cause. type SPAN_NONE when there is none */
	bool has_countdown;
	double countdown;    /* RUN_RETRY, seconds */
	struct span eta;     /* RUN_RETRY, ISO text, SPAN_NONE when absent */
	int64_t max_retries; /* RUN_RETRY, -1 when absent */
	bool requeue;        /* RUN_REJECT */
	struct span reason;  /* RUN_CANCEL, RUN_REJECT: text */
	bool no_store;       /* nothing of this end goes to the backend */
	bool must_store;     /* it does, although the message says ignore_result */
	struct span errbacks_called; /* RUN_ERROR: raw array of places in the request's errbacks; SPAN_NONE: the rule may retry it */
	struct span new_args, new_kwargs; /* RUN_RETRY: raw, both or none */
	struct span options;              /* RUN_RETRY: raw object; SPAN_NONE = none */
	/* route, routed (wire/routing.h) */
	struct span calls;  /* raw array */
	struct span routes; /* raw array, one for each call; SPAN_NONE when there is an error */
	int64_t place;      /* of the call that the error is about */
};

/* Appends the frame with its newline. Raw parts must be free of raw newlines. */
void run_encode(struct buf *b, const struct run_frame *f);
/* What the "request" object of a run frame holds, under the names Celery's tasks know from self.request:
 * name is "task", the limits are "timelimit": [hard, soft], exchange, routing_key, priority and
 * redelivered are in "delivery_info". Spans may be SPAN_NONE (written as null). */
struct run_request {
	struct span id, name, root_id, parent_id, group, correlation_id, reply_to, origin, shadow;
	struct span hostname; /* node name of the worker */
	struct span exchange, routing_key;
	struct span eta, expires; /* ISO text */
	int group_index;          /* -1 = null */
	int64_t retries;
	bool redelivered;
	double time_limit, soft_time_limit; /* seconds, < 0 = null */
	int priority;                       /* -1 = null */
	struct span headers;                /* raw object of the user's own headers, SPAN_NONE = {} */
	/* For frameworks, only written when they say something: raw JSON of the message. */
	struct span callbacks, errbacks, chain, chord;
	bool ignore_result;
	int64_t replaced_task_nesting;
};
void run_add_request(struct buf *b, const struct run_request *r);

/* Decodes one line (with or without its newline); strings with escapes go into `a`, the rest borrows from
 * `line`. `lim` NULL: as deep as JSON may be. What a frame may leave out and what is assumed then is told in tests/vectors/README.md. */
struct arena;
enum err run_decode(struct run_frame *f, struct span line, struct arena *a, const struct jscan_limits *lim,
	struct errtext *t) MUSTCHECK;
/* Walks f->tasks of a decoded hello; start with a zeroed walk. *name is SPAN_NONE when out of memory. */
struct run_tasks {
	struct jscan_iter it;
	bool started;
};
bool run_next_task(const struct run_frame *f, struct run_tasks *w, struct arena *a, struct span *name);

/*
 * Cuts a byte stream into lines of at most line_max bytes (0 = no bound; the newline is not counted and
 * not part of the line). Feed bytes, then take lines until E_AGAIN. E_TOOBIG sticks.
 */
struct run_reader {
	struct buf pending;
	size_t taken;   /* bytes of pending already given out */
	size_t scanned; /* end of the bytes behind them that are known to hold no newline */
	size_t line_max;
	bool failed;
};
void run_reader_init(struct run_reader *r, size_t line_max);
void run_reader_release(struct run_reader *r);
enum err run_reader_feed(struct run_reader *r, struct span bytes) MUSTCHECK;
/* *line is valid until the next feed. */
enum err run_reader_next(struct run_reader *r, struct span *line) MUSTCHECK;

#endif
