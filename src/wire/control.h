/*
 * Remote control over pidbox (celery-wire.md section 8): requests that everybody on a fanout exchange gets and some answer, and the
 * answers. Both sides' codec. Arguments and answers stay raw JSON.
 */
#ifndef WARREN_WIRE_CONTROL_H
#define WARREN_WIRE_CONTROL_H

#include "base/jscan.h"
#include "wire/msg.h"

#define CONTROL_QUEUE_EXPIRES_MS 10000
/* All names follow from one, Celery's control_exchange; cut to AMQP's 255 bytes. */
#define CONTROL_NAME "celery"
#define CONTROL_NAME_MAX 255
/* "celery.pidbox": fanout, transient. */
void control_exchange_name(char out[CONTROL_NAME_MAX + 1], struct span name);
/* "reply.celery.pidbox": direct, transient. */
void control_reply_exchange_name(char out[CONTROL_NAME_MAX + 1], struct span name);
/* "<node>.celery.pidbox" */
void control_queue_name(char out[CONTROL_NAME_MAX + 1], struct span name, struct span node);
/* "<uuid>.reply.celery.pidbox" */
void control_reply_queue_name(char out[CONTROL_NAME_MAX + 1], struct span name, struct span key);

/* Optional parts are SPAN_NONE when absent or null. */
struct control_request {
	struct span method;
	struct span arguments;   /* raw object */
	struct span destination; /* raw array of node names, or one name; SPAN_NONE: not only some nodes */
	struct span pattern, matcher;
	struct span ticket;
	struct span reply_exchange, reply_key; /* SPAN_NONE: no answer is wanted */
	int64_t clock;                         /* 0 = none */
	struct arena *arena;                   /* of its message, for text with escapes */
};

/* Borrows from m, whose arena may grow. E_FORMAT: no request; the text says why. */
enum err control_decode(struct control_request *r, struct msg *m, struct errtext *t) MUSTCHECK;
/* Whether this node is addressed. Who is not stays silent. */
bool control_is_for(const struct control_request *r, struct span node);

/* The raw argument; SPAN_NONE when absent or null. */
struct span control_arg(const struct control_request *r, const char *key);
/* Text, or a number as its text; false for anything else. Lives with the message. */
bool control_arg_text(const struct control_request *r, const char *key, struct span *out);
/* As Python sees it: 0, "", null, false, [] and {} are false; clients send 0 and 1. */
bool control_arg_flag(const struct control_request *r, const char *key, bool otherwise);
/* A number, or text that is one: command lines send text. false when absent or no number. */
bool control_arg_number(const struct control_request *r, const char *key, double *out);
/* Walks the texts of an argument that is one text or a list of them; start with a zeroed walk. */
struct control_texts {
	struct jscan_iter it;
	bool started, single;
};
bool control_next_text(
	const struct control_request *r, const char *key, struct control_texts *w, struct span *out);

/* What a client asks for. Zeroed = everybody, no arguments, no answer. */
struct control_call {
	struct span name; /* see control_exchange_name */
	struct span method;
	struct span arguments; /* raw object; SPAN_NONE = {} */
	const char *const *destination;
	size_t n_destination;
	struct span pattern, matcher;
	struct span ticket, reply_key; /* SPAN_NONE: no answer */
	int64_t clock;
	double expires; /* wall clock in seconds; 0 = none */
};
enum err control_encode(struct msg *to, const struct control_call *call) MUSTCHECK;

/* `answer` is raw JSON, SPAN_NONE for null. */
enum err control_encode_reply(struct msg *to, const struct control_request *r, struct span node,
	struct span answer, int64_t clock) MUSTCHECK;

struct control_reply {
	struct span ticket;
	int64_t clock;     /* 0 = none */
	struct span nodes; /* raw object, node name -> answer; usually one member */
};
enum err control_decode_reply(struct control_reply *r, const struct msg *m, struct errtext *t) MUSTCHECK;

#endif
