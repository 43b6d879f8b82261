/*
 * Makes sure that queues exist, the way Celery clients do: each is declared passively first, on a throwaway channel, and only when it
 * is missing its durable direct exchange (same name), the queue and the binding are created. A queue that others declared with other
 * arguments is therefore used as it is.
 */
#ifndef WARREN_BUS_TOPO_H
#define WARREN_BUS_TOPO_H

#include "bus/chan.h"

struct bus_topo_binding {
	const char *exchange;      /* "" is not bound: every queue is there */
	const char *exchange_type; /* "" = "direct" */
	const char *routing_key;
};

struct bus_topo_queue {
	const char *name;
	const char *exchange;                /* NULL = name */
	const char *exchange_type;           /* NULL = "direct" */
	const char *routing_key;             /* NULL = name */
	bool quorum;                         /* when created: x-queue-type quorum */
	int max_priority;                    /* when created and > 0: x-max-priority */
	bool transient, auto_delete;         /* when created */
	const struct table *args;            /* when created: further arguments; NULL = none */
	const struct bus_topo_binding *more; /* besides its own */
	size_t n_more;
	bool must_exist; /* do not create: report E_MISSING */
	bool keep_bound; /* make sure of exchange and binding also when the queue is there */
};

struct bus_topo_report {
	enum err err;      /* of the first queue that failed */
	const char *queue; /* its name; NULL when all is well */
	const char *text;  /* names the queue */
	size_t created;
};
typedef void bus_topo_fn(void *owner, const struct bus_topo_report *r);

struct bus_topo;
/* Works through the list, then calls fn once, never from inside, and is gone. When the connection is lost meanwhile it reports
 * E_CLOSED: start again on the next up. While the connection is down it waits. Strings are copied. */
enum err bus_topo_ensure(struct bus_topo **out, struct bus_conn *c, const struct bus_topo_queue *queues,
	size_t n, bus_topo_fn *fn, void *owner) MUSTCHECK;
/* Not after fn was called: then it is gone. NULL is allowed. */
void bus_topo_cancel(struct bus_topo *t);

#endif
