/*
 * Remote control from a client's side: one request to all nodes, or to some, and their answers as they come (celery-wire.md section 8). It asks
 * Celery's workers as well as warren's. Nobody knows how many nodes there are, so a question to everybody lasts as long as its time-out.
 */
#ifndef WARREN_CLIENT_REMOTE_H
#define WARREN_CLIENT_REMOTE_H

#include "client/client.h"

struct remote_call {
	struct span method;
	struct span arguments;    /* raw JSON object; SPAN_NONE = {} */
	const char *const *nodes; /* only these */
	size_t n_nodes;           /* 0 = everybody */
	ms_t timeout; /* answers are waited for so long; ends earlier when each of `nodes` has answered */
};

/* Both valid during the callback. `answer` is raw JSON, checked. A node may answer twice: then two nodes have one name. */
typedef void remote_answer_fn(void *owner, struct span node, struct span answer);
/* E_OK however many have answered; fn must not call the client. */
enum err remote_ask(struct client *c, const struct remote_call *call, remote_answer_fn *fn, void *owner,
	struct errtext *t) MUSTCHECK;
/* Without answers: returns when the broker has the request. */
enum err remote_tell(struct client *c, const struct remote_call *call, struct errtext *t) MUSTCHECK;

#endif
