/*
 * Dead letters on the wire: the message as it came, bytes and properties, to exchange warren.dead with its origin queue as the
 * key, and headers that say why: x-warren-reason, x-warren-error, x-warren-queue, x-warren-exchange, x-warren-attempts, x-warren-host,
 * x-warren-time; x-warren-output when the task wrote something before its end; and when its process died x-warren-signal or
 * x-warren-exit-code, and x-warren-peak-memory. What would not fit a frame with these is left out: x-warren-left-out names the headers.
 *
 *   encode: message -> dead letter (the worker)      read: what it says      restore: dead letter -> message (a replay)
 */
#ifndef WARREN_WIRE_DEAD_H
#define WARREN_WIRE_DEAD_H

#include "wire/msg.h"

#define DEAD_EXCHANGE "warren.dead"
#define DEAD_QUEUE_PREFIX "warren.dead."
/* Bytes of output that are kept: its end. */
#define DEAD_OUTPUT_MAX 4096

struct dead_letter {
	struct span reason; /* one word: "malformed", "unknown-task" */
	struct span error;  /* for a person */
	struct span queue;  /* where it came from */
	struct span host;   /* the worker's node name */
	struct span output; /* the last lines the task wrote; empty = none */
	int64_t attempts;
	bool process_died;
	int signal, exit_code; /* of the process; signal 0 = it exited */
	int64_t peak_memory;   /* resident bytes; 0 = unknown */
	us_t now;
};

/* Fills `to` (initialised, empty). x-death headers and the expiration are dropped, persistence is set. */
enum err dead_encode(struct msg *to, const struct msg *original, const struct dead_letter *d) MUSTCHECK;
/* "warren.dead.<origin>", cut to AMQP's 255 bytes. */
void dead_queue_name(char out[256], struct span origin);

/* What a dead letter says about itself. Texts are SPAN_NONE when it does not say. */
#define DEAD_HANDLE_LEN 17
struct dead_facts {
	struct span id, task;             /* of the task, where the message tells them */
	char handle[DEAD_HANDLE_LEN + 1]; /* "@9f3c...": made from its contents; names a letter that has no id */
	struct span reason, error, queue, exchange, host, output;
	struct span time_text;
	us_t time;        /* INT64_MIN = unknown */
	int64_t attempts; /* -1 = unknown */
};
/* Borrows from m, whose arena may grow. Takes any message: a stranger's too, dead-lettered by the broker. */
void dead_read(struct dead_facts *f, struct msg *m);
/* The id, or the handle when there is none. */
struct span dead_name(const struct dead_facts *f);
/* The body to look at: inflated (into m's arena) when it is compressed and can be read, else as it is. */
struct span dead_body(struct msg *m);

/*
 * Of a task that has ended, as its stored result says, but whose follow-ups could not be sent: sent again with its result still there, it does not run
 * again, only they are sent. Its reason is this word.
 */
#define DEAD_REASON_ROUTE "route"
bool dead_is_ended(const struct dead_facts *f);

struct dead_restore {
	struct span queue;        /* where it goes; SPAN_NONE = the queue it came from */
	struct span args, kwargs; /* JSON instead of its own; SPAN_NONE = unchanged */
	bool keep_expires;        /* also when the time has passed: the worker will revoke it */
	us_t now;
};
/* E_FORMAT when args is no array or kwargs no object; the text names which. */
enum err dead_restore_check(const struct dead_restore *r, struct errtext *t) MUSTCHECK;
/*
 * Fills `to` (initialised, empty) with the message to be sent again, through the default exchange: the original without x-death,
 * without the x-warren- headers (so lost runs are counted anew), with `retries` at 0, and without an `expires` that has passed
 * (*had_expired tells). That of a task which has ended is marked for a worker to look at its result first, unless it is edited. The body stays byte for byte unless arguments are edited or, in protocol 1, one of these stands in it. Letters
 * that are no task are restored too, but cannot be edited: E_FORMAT. E_MISSING: neither `queue` nor the letter says where to.
 */
enum err dead_restore(struct msg *to, const struct msg *letter, const struct dead_restore *r,
	bool *had_expired, struct errtext *t) MUSTCHECK;

#endif
