/*
 * One task to send, as flags or a line of NDJSON describe it, and the sender that routes it, makes sure of its queue and hands it to the client.
 */
#ifndef WARREN_CLI_CALL_H
#define WARREN_CLI_CALL_H

#include "cli/setup.h"

/* Spans borrow from whoever filled it in, or from its arena. Zeroed except for `arena` = nothing said. */
struct call {
	struct span id, name, args, kwargs;
	struct span queue, exchange, routing_key; /* SPAN_NONE = by the routes */
	us_t eta, expires;                        /* 0 = none */
	double time_limit, soft_time_limit;       /* seconds, 0 = none */
	int priority_plus1;
	bool ignore_result, has_ignore_result;
	struct table headers;
	struct arena *arena;
};

/* Words of a command line as a JSON array: what is valid JSON as it is, the rest as texts. */
void call_add_args(struct buf *b, const char *const *args, size_t n, bool always_text);
/* "30s", "1h30min", a number of seconds (from now), or an ISO time. */
enum err call_parse_time(struct span text, us_t now, us_t *out, struct errtext *t) MUSTCHECK;
/* K=V: V is JSON where it is valid JSON, else a text. */
enum err call_add_header(struct call *c, struct span pair, bool always_text, struct errtext *t) MUSTCHECK;
/*
 * Fills c from one line: {"task": .., "args": [..], ...}, or a bare array of args. c comes with the defaults. `us` is the time now.
 */
enum err call_read_line(struct call *c, struct span line, us_t now, struct errtext *t) MUSTCHECK;

struct sender;
/* Errors are printed; 0 or the exit code. cli and client must outlive it. */
int sender_new(struct sender **out, struct cli *cli, struct client *client);
void sender_free(struct sender *s);
/* Where this call goes, unless it is said already, and what the settings of its task add to it. Makes sure of the queue. */
enum err sender_route(struct sender *s, struct task_call *call, struct span *exchange, struct span *key,
	struct errtext *t) MUSTCHECK;
/* As client_send. */
enum err sender_send(struct sender *s, const struct call *c, uint64_t tag, client_sent_fn *fn, void *owner,
	struct errtext *t) MUSTCHECK;

#endif
