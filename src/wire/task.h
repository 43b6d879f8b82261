/*
 * Celery task messages, protocol 2 (and 1 on input), as in celery-wire.md section 1. Arguments are never
 * decoded: args, kwargs and the parts of embed are raw slices of the (inflated) body.
 */
#ifndef WARREN_WIRE_TASK_H
#define WARREN_WIRE_TASK_H

#include "base/jscan.h"
#include "wire/msg.h"

struct task_limits {
	size_t body_max; /* bytes, after inflating */
	int depth_max;
	size_t containers_max;
	size_t container_bytes; /* a longer JSON may have one container for so many of its bytes; 0 = it may not */
};
/* 64 MiB, depth 1000 (Python writes no deeper), 200,000 containers or one for every 32 bytes: a large canvas has many, each of
 * them with something in it. */
extern const struct task_limits task_limits_default;
/* For JSON of so many bytes. */
struct jscan_limits task_json_limits(const struct task_limits *lim, size_t len);

/* Why a message is no task; also the word in the dead letter's x-warren-reason. */
enum task_fault {
	TASK_FINE,
	TASK_FAULT_NOT_A_TASK, /* neither protocol 1 nor 2 */
	TASK_FAULT_CONTENT_TYPE,
	TASK_FAULT_COMPRESSION, /* unknown codec, broken stream */
	TASK_FAULT_MALFORMED,   /* body is not JSON or not of the protocol's form */
	TASK_FAULT_TOO_BIG,     /* a limit was passed */
	TASK_FAULT_HEADER,      /* a header has the wrong type or an unreadable value */
	TASK_FAULT_NOMEM,
};
/* "not-a-task", "content-type", ... */
const char *task_fault_name(enum task_fault f);

/* Ids become Redis keys and correlation ids, names go into logs: UTF-8 without control characters, 1-200
 * and 1-255 bytes. */
bool task_id_is_valid(struct span id);
bool task_name_is_valid(struct span name);

struct task {
	int protocol; /* 1 or 2 */
	/* Optional texts are SPAN_NONE when absent, null or "". */
	struct span id, name, shadow, lang;
	struct span root_id, parent_id, group;
	struct span origin, argsrepr, kwargsrepr;
	struct span reply_to, correlation_id;
	int group_index; /* -1 = none */
	int64_t retries;
	struct span eta_text, expires_text; /* as sent; SPAN_NONE = none */
	us_t eta, expires;                  /* INT64_MIN = none */
	double time_limit, soft_time_limit; /* seconds, < 0 = none */
	int priority_plus1;                 /* of its message; 0 = none */
	bool ignore_result;
	int64_t replaced_task_nesting;

	/* Raw JSON without raw newlines. */
	struct span args, kwargs;
	/* SPAN_NONE when null or absent; else callbacks and errbacks are an array, or one signature as an
	 * object, chain is an array, chord an object. */
	struct span callbacks, errbacks, chain, chord;
	const struct table *headers; /* all of them, for user headers and stamps; NULL when none */
};

/*
 * Reads a task out of m; what t holds borrows from m, whose arena may grow (inflated body, protocol 1
 * strings). The body of m itself stays as it was. Never more than limits->body_max bytes are inflated.
 */
enum task_fault task_decode(
	struct task *t, struct msg *m, const struct task_limits *limits, struct errtext *why) MUSTCHECK;

/* What a producer asks for. Zeroed = defaults. Spans are borrowed for the call. */
struct task_call {
	struct span id;                                /* SPAN_NONE: a new UUID */
	struct span name;                              /* required */
	struct span args;                              /* JSON array; SPAN_NONE = [] */
	struct span kwargs;                            /* JSON object; SPAN_NONE = {} */
	struct span callbacks, errbacks, chain, chord; /* raw JSON, SPAN_NONE = null */
	struct span root_id, parent_id, group, shadow, origin, reply_to;
	int group_index_plus1; /* 0 = none */
	int64_t retries;
	us_t eta, expires;                  /* 0 = none */
	us_t now;                           /* wall clock, for the expiration property; needed with expires */
	double time_limit, soft_time_limit; /* seconds; 0 = none */
	int priority_plus1;                 /* 0 = none, else priority + 1 */
	bool ignore_result;
	bool transient;                   /* delivery mode 1 */
	bool compress;                    /* zlib, header compression: application/x-gzip */
	const struct table *user_headers; /* merged at top level; may override */
};

/*
 * Fills m (initialised, empty) with headers, properties and body of celery-wire.md 1.1-1.4, all in m's
 * arena. Exchange and routing key are the router's business. args and kwargs are checked: E_FORMAT names
 * which. The id chosen is m->correlation_id.
 */
enum err task_encode(const struct task_call *call, struct msg *m, struct errtext *t) MUSTCHECK;

/* The expiration property for so many milliseconds, in m's arena. What RabbitMQ would refuse as too long (ten years) has none. */
enum err task_set_expiration(struct msg *m, int64_t ms) MUSTCHECK;

/* Only its body, anew, and not compressed: what is checked by nobody must be checked JSON. */
enum err task_encode_body(const struct task_call *call, struct msg *m, struct errtext *t) MUSTCHECK;

/* Python-like text of a raw JSON value, celery-wire.md 1.8: "(2, 3)" for args, "{'y': 2.5}" for kwargs;
 * cut near 1024. */
void task_add_argsrepr(struct buf *b, struct span args);
void task_add_repr(struct buf *b, struct span json, size_t max);

#endif
