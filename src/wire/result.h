/* Results as Celery stores them, celery-wire.md section 3. */
#ifndef WARREN_WIRE_RESULT_H
#define WARREN_WIRE_RESULT_H

#include "base/buf.h"
#include "base/jscan.h"

struct js;

#define RESULT_KEY_PREFIX "celery-task-meta-"

/* An error as Celery writes it: {"exc_type": ..., "exc_message": [...], "exc_module": ...}. */
struct result_error {
	struct span type; /* "ValueError" */
	/* "builtins". SPAN_NONE is written as "builtins" when the type is a Python builtin, else as
	 * "celery.exceptions": clients find NotRegistered and its like there, and make a class of that
	 * name when there is none. Never null: with null even builtins are not recognised. */
	struct span module;
	struct span message; /* raw JSON array of constructor arguments; SPAN_NONE: [text] is written */
	struct span text;    /* plain text, used when message is absent; SPAN_NONE: [] */
};
void result_add_error(struct buf *b, const struct result_error *e);

struct result {
	struct span task_id;
	struct span state;               /* "SUCCESS", "FAILURE", "PROGRESS"... */
	struct span value;               /* raw JSON: return value, meta, or error object; SPAN_NONE = null */
	struct span traceback;           /* plain text; SPAN_NONE = null */
	struct span children;            /* raw JSON; SPAN_NONE = [] */
	us_t date_done;                  /* 0 = null */
	struct span group_id, parent_id; /* written when present */
	struct span reply_to,
		correlation_id; /* of the task's message: where a reply goes (wire/reply.h); not written */
	/* result_extended; written when `extended` */
	bool extended;
	struct span name, args, kwargs, worker, queue; /* args, kwargs raw JSON */
	int64_t retries;
};

void result_encode(struct buf *b, const struct result *r);
/* The members that every result has, whatever it goes to: status, result, traceback, children. */
void result_add_outcome(struct js *w, const struct result *r);
/* Borrows from `json` except for strings with escapes, which go into a. Checks the text itself, to a depth
 * of JSCAN_DEPTH_MAX. Only status is required; value keeps "null" as it stands there; a date_done that is
 * no time counts as absent. */
struct arena;
enum err result_decode(struct result *r, struct span json, struct arena *a, struct errtext *t) MUSTCHECK;

/* SUCCESS, FAILURE, REVOKED. */
bool result_is_ready(struct span state);
/* Reads an error object back from checked text: type, module borrowed or in a; message raw (some ports
 * write one text instead of an array). False when value is no such object. */
bool result_decode_error(struct result_error *e, struct span value, struct arena *a);
/* As Python shows the exception: "KeyError('boom')". */
void result_add_error_repr(struct buf *b, const struct result_error *e);
/* One line for a person: "ValueError: bad input". Control characters are escaped, long ones cut. */
void result_add_error_text(struct buf *b, const struct result_error *e);

#endif
