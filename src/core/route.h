/* Where a task goes: the first rule whose pattern fits its name decides. Pure. */
#ifndef WARREN_CORE_ROUTE_H
#define WARREN_CORE_ROUTE_H

#include "base/buf.h"

struct route {
	const char *pattern; /* glob, or a POSIX extended regular expression between slashes: "/^scrape\\.(de|fr)\\./" */
	const char *queue;       /* publish to exchange "" with this key, unless exchange is set */
	const char *exchange;    /* NULL = "" */
	const char *routing_key; /* NULL = queue */
	int priority;            /* -1 = none */
	int delivery_mode;       /* 1 transient, 2 persistent; 0 = none */
	bool is_given;           /* the operator's: goes before what an application's own routers say */
};

struct routes;
/* Copies and compiles. E_CONF names the rule and what is wrong with it. */
enum err routes_new(struct routes **out, const struct route *rules, size_t n, const char *default_queue,
	struct errtext *t) MUSTCHECK;
void routes_free(struct routes *r);

struct route_target {
	struct span exchange, routing_key; /* exchange "" = the default exchange */
	struct span queue;                 /* the queue meant, SPAN_NONE when only an exchange is named */
	int priority;                      /* -1 = none */
	int delivery_mode;                 /* 0 = none */
	bool is_given;
};
/* Borrows from r. */
struct route_target routes_find(const struct routes *r, struct span task_name);

#endif
