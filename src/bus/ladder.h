/*
 * The delay ladder on the broker: 28 levels of topic exchange and queue, as Celery 5.5 and later declare them (celery-wire.md 6.3), and
 * the binding of one queue to its end. Built only when its top level is not there: what others have built is used as it is.
 */
#ifndef WARREN_BUS_LADDER_H
#define WARREN_BUS_LADDER_H

#include "bus/topo.h"

/* The names and keys come from the caller, who knows the scheme (core/ladder.h). */
struct bus_ladder_level {
	char name[32];     /* of exchange and queue */
	char one[96];      /* key of the queue's binding to the exchange */
	char zero[96];     /* key of the binding to the exchange below */
	const char *below; /* set by bus_ladder_ensure: exchange of the next level, or the end */
	int64_t ttl_ms;
};

struct bus_ladder;
/* Makes sure of the ladder and that `queue` gets what leaves exchange `end` with `key`; then calls fn once, as bus_topo_ensure does. */
enum err bus_ladder_ensure(struct bus_ladder **out, struct bus_conn *c, const struct bus_ladder_level *levels,
	size_t n, const char *end, const char *queue, const char *key, bus_topo_fn *fn, void *owner) MUSTCHECK;
/* Not after fn was called. NULL is allowed. */
void bus_ladder_cancel(struct bus_ladder *l);

#endif
