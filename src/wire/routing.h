/*
 * What route frames ask and routed frames answer: messages that the worker is about to publish, and where the routers of an application want
 * them (docs/runner-protocol.md).
 */
#ifndef WARREN_WIRE_ROUTING_H
#define WARREN_WIRE_ROUTING_H

#include "base/alloc.h"
#include "base/buf.h"

struct routing_call {
	struct span name;          /* text */
	struct span args, kwargs;  /* raw; SPAN_NONE = [], {} */
	struct span options;       /* raw object; SPAN_NONE = {} */
	int priority_plus1;        /* goes before that of the options; 0 = none */
	int parent_priority_plus1; /* counts when nothing else says one; 0 = none */
};
/* Appends one element of run_frame.calls. */
void routing_add_call(struct buf *b, const struct routing_call *c);

struct routing_answer {
	struct span exchange, routing_key; /* text; exchange "" = the default exchange */
	struct span headers;               /* raw object, to be merged; SPAN_NONE = none */
	double expiration_s;               /* < 0 = none */
	int priority_plus1;                /* 0 = none */
	int delivery_mode;                 /* 1 transient, 2 persistent; 0 = none */
	bool is_compressed;
};
/* One element of run_frame.routes. Everything is in the arena. E_FORMAT says what is wrong. */
enum err routing_read_answer(
	struct routing_answer *out, struct span json, struct arena *a, struct errtext *t) MUSTCHECK;

#endif
