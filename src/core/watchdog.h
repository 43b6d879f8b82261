/*
 * Whether a pool that looks alive has stopped consuming: tasks wait, slots are free, and nothing comes. Pure. Two looks in a row say so; when
 * a fresh connection changes nothing (a single-active-consumer queue whose active consumer is elsewhere looks just like that) the next
 * verdict takes twice as many looks, so that a healthy worker is not restarted for ever.
 */
#ifndef WARREN_CORE_WATCHDOG_H
#define WARREN_CORE_WATCHDOG_H

#include "base/base.h"

struct watchdog {
	uint64_t deliveries; /* at the last look */
	unsigned looks;      /* suspicious ones in a row */
	unsigned patience;   /* how many are too many; 0 = the first time, 2 */
};

struct watchdog_look {
	bool is_consuming;
	bool has_room;       /* the broker may send at least one more */
	uint64_t ready;      /* waiting in the queues, as the broker says */
	uint64_t deliveries; /* got so far */
};

/* True: drop the connection and dial again. */
bool watchdog_on_look(struct watchdog *w, const struct watchdog_look *look);

#endif
