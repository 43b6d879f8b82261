/*
 * What the files of loop/ share: the loop's body, the clock of a turn, and the buffer that all streams read into.
 */
#ifndef WARREN_LOOP_INTERNAL_H
#define WARREN_LOOP_INTERNAL_H

#include <event2/event.h>

#include "loop/loop.h"

/* One read takes at most this much, so a busy peer gets one such piece per turn and no more. */
#define LOOP_READ_MAX (128 * 1024)
/* Closed objects that are kept until the turn's end without any memory being asked for. */
#define LOOP_REAP_ROOM 64

struct loop_dead {
	loop_fn *fn;
	void *p;
};

struct loop {
	struct event_base *base;
	struct event *wake; /* ends the wait for I/O when the next timer is due */
	ms_t wake_due;      /* what it is armed for; LOOP_NEVER = not at all */

	struct list tasks[LOOP_FLUSH + 1];
	struct loop_timer **timers; /* a binary heap; the earliest is timers[0] */
	size_t n_armed, n_timers,
		timers_cap; /* n_timers: initialised ones, each of which has its place reserved */
	uint64_t timer_serial;

	struct loop_dead *dead;
	size_t n_dead, dead_cap;
	struct loop_dead dead_room[LOOP_REAP_ROOM];
	struct list remnants;
	struct list children; /* struct child that have a process, zombies included */

	bool in_turn, is_awake; /* awake: this turn's wait is over and its clock is read */
	int64_t now_us;
	us_t wall_us; /* 0 = not read yet in this turn */
	int64_t lag_us;
	bool stop;
	int code;

	char *scratch; /* LOOP_READ_MAX bytes, good until the reading callback returns */
};

#define LOOP_NEVER INT64_MAX

/* First thing in every libevent callback: reads the clock once per turn, when the wait is over. */
void loop_wake(struct loop *l);

/* When the earliest armed timer is due, or LOOP_NEVER. */
ms_t loop_timers_next(const struct loop *l);
void loop_timers_run(struct loop *l);

#endif
