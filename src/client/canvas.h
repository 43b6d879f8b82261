/*
 * Canvas from a producer: a signature (celery-wire.md 1.9, or what recipe.h makes of a shorter form) becomes messages and counters. What follows later
 * the workers do. All ids are known before anything is sent.
 */
#ifndef WARREN_CLIENT_CANVAS_H
#define WARREN_CLIENT_CANVAS_H

#include "client/client.h"
#include "core/flow.h"

struct client_canvas {
	struct flow flow;
	struct span result; /* its result tuple, raw: what to wait for, and what runs before (celery-wire.md 3.6) */
};

/* E_FORMAT says what is wrong with the signature. `reply_to`: client_reply_to, or SPAN_NONE. `now` is the wall clock. Release also after an error. */
enum err client_canvas_init(struct client_canvas *k, struct span signature, struct span reply_to, us_t now,
	struct errtext *t) MUSTCHECK;
void client_canvas_release(struct client_canvas *k);
/* Ids of the tasks it ends with, in order: one, or the members of a group. false after the last; start with a zeroed walk. */
struct client_canvas_walk {
	struct jscan_iter it[34];
	int depth;
	bool is_begun;
	struct span id;
};
bool client_canvas_next(const struct client_canvas *k, struct client_canvas_walk *w);

/* Says where one message goes. Exchange and key come as the signature has them, SPAN_NONE = it does not say. The call may be completed. */
typedef enum err client_route_fn(
	void *owner, struct task_call *call, struct span *exchange, struct span *key, struct errtext *t);
/*
 * Sends it: the sizes of its chords first (E_CONF when the backend cannot count), then its messages; returns when the broker has confirmed all, or says
 * which one was refused. After an error some of it may be on its way.
 */
enum err client_canvas_send(struct client *c, struct client_canvas *k, client_route_fn *route, void *owner,
	struct errtext *t) MUSTCHECK;

#endif
