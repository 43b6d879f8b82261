/* A script as a connection to Redis knows it, and when to try again after an error that passes. Private to backend/. */
#ifndef WARREN_BACKEND_REDIS_SCRIPT_H
#define WARREN_BACKEND_REDIS_SCRIPT_H

#include "loop/loop.h"
#include "store/redis.h"

struct redis_backend;

struct redis_script {
	struct redis_backend *rb;
	const char *text;
	char sha[48];    /* "" until it is loaded on this connection */
	bool is_loading; /* SCRIPT LOAD is under way */
	struct loop_timer retry;
	unsigned failures; /* in a row; whoever uses the script clears it when one call has succeeded */
	void (*go_on)(struct redis_backend *rb);
	void (*refuse_all)(struct redis_backend *rb, const char *why);
};

/* go_on: it is loaded, or the wait is over. refuse_all: Redis does not take the script, for a reason that stays: whoever waits for it must hear of
 * that, lest they wait for ever without a word. */
enum err redis_script_init(struct redis_script *s, struct redis_backend *rb, const char *text,
	void (*go_on)(struct redis_backend *),
	void (*refuse_all)(struct redis_backend *, const char *)) MUSTCHECK;
void redis_script_release(struct redis_script *s);

void redis_script_load(struct redis_script *s);
/* Loaded, and no wait is on. */
bool redis_script_is_ready(const struct redis_script *s);
/* `answer`: what Redis says against it, for people; empty when the want is ours. */
void redis_script_try_later(struct redis_script *s, struct span answer);
/* Of a call's reply: true when it is an error that passes; go_on follows then. */
bool redis_script_will_pass(struct redis_script *s, const struct rds_reply *r);

/* The connection came, and went. */
void redis_script_on_up(struct redis_script *s);
void redis_script_on_down(struct redis_script *s);

#endif
