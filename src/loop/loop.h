/*
 * The event loop: one thread, one libevent base. A turn, written down in loop_turn() and nowhere else:
 *   1 I/O, child and signal callbacks   2 due timers   3 deferred tasks (decisions, then one flush of what they
 *   wrote)   4 reap what was closed   5 refresh the clock, measure the turn.
 * Nothing frees itself inside its own callback: it closes, and the loop frees it in step 4.
 */
#ifndef WARREN_LOOP_LOOP_H
#define WARREN_LOOP_LOOP_H

#include "base/err.h"
#include "base/list.h"

struct loop;
typedef void loop_fn(void *owner);

struct loop *loop_new(struct errtext *t) MUSTCHECK;
/* Everything that uses the loop must be closed before; what still waits to be reaped is freed. */
void loop_free(struct loop *l);
/* Turns until loop_stop, or not at all when that was called already; returns its code. */
int loop_run(struct loop *l);
/* One turn; waits at most max_wait ms for something to happen (-1 = for ever, 0 = not at all). */
void loop_turn(struct loop *l, ms_t max_wait);
void loop_stop(struct loop *l, int code);

/* The clocks as of the start of this turn; between turns, as of now. They are base/clock.h's, so a test may fake them. */
ms_t loop_now(const struct loop *l);
us_t loop_wall_us(const struct loop *l);
/* The longest turn since the last call of this function, in microseconds, waiting not counted. */
int64_t loop_lag_us(struct loop *l);

/*
 * Timers, one shot, never early, in the order of their due times. The struct is the owner's; a zeroed one is not armed and may be
 * disarmed and released. They follow loop_now(): a test that moves the fake clock on and takes a turn sees them fire.
 */
struct loop_timer {
	struct loop *loop;
	loop_fn *fn;
	void *owner;
	ms_t due;
	uint64_t serial; /* order among timers due at the same time */
	size_t slot;     /* where in the loop's heap */
	bool armed;
};
enum err loop_timer_init(struct loop_timer *t, struct loop *l, loop_fn *fn, void *owner) MUSTCHECK;
void loop_timer_arm(struct loop_timer *t, ms_t delay); /* again: moves it */
void loop_timer_disarm(struct loop_timer *t);
void loop_timer_release(struct loop_timer *t);

/* A descriptor that becomes readable (pidfd, eventfd, pipe). Level triggered. The fd stays the owner's. */
struct loop_fd {
	struct loop *loop;
	loop_fn *fn;
	void *owner;
	void *event;
};
enum err loop_fd_init(struct loop_fd *f, struct loop *l, int fd, loop_fn *fn, void *owner) MUSTCHECK;
void loop_fd_release(struct loop_fd *f);

/* A process signal, delivered as an event of the loop. */
struct loop_signal {
	struct loop *loop;
	loop_fn *fn;
	void *owner;
	void *event;
};
enum err loop_signal_init(
	struct loop_signal *s, struct loop *l, int signum, loop_fn *fn, void *owner) MUSTCHECK;
void loop_signal_release(struct loop_signal *s);

/*
 * Runs fn once in step 3 of this turn. Already queued: nothing happens. Phase LOOP_DECIDE runs before LOOP_FLUSH; what a
 * decision queues for the flush is still flushed in the same turn. Zeroed item + loop_defer is all it takes. A chain of
 * decisions that keep deferring each other is cut after some rounds and goes on in the next turn, which then does not wait.
 */
enum loop_phase { LOOP_DECIDE, LOOP_FLUSH };
struct loop_task {
	struct list link;
	loop_fn *fn;
	void *owner;
};
void loop_defer(struct loop *l, enum loop_phase phase, struct loop_task *task, loop_fn *fn, void *owner);
void loop_undefer(struct loop_task *task);

/* free_fn(p) in step 4 of this turn. */
void loop_reap(struct loop *l, loop_fn *free_fn, void *p);

/*
 * Something that is closed for its owner but not finished: a connection that waits for the peer's goodbye, a killed child that has not been
 * seen to end. It unlinks itself when it is through; loop_free calls fn, which must end it at once.
 */
struct loop_remnant {
	struct list link;
	loop_fn *fn;
	void *owner;
};
void loop_linger(struct loop *l, struct loop_remnant *r, loop_fn *fn, void *owner);
/* Turns until nothing lingers any more, at most max_wait ms: the graceful end before loop_free. */
void loop_settle(struct loop *l, ms_t max_wait);

/* Inside loop/ only: the struct event_base. */
void *loop_base(struct loop *l);

#endif
