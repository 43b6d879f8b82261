/*
 * Who of several schedulers leads, decided by the broker. A durable queue with a single active consumer holds one message, the baton; whoever
 * the broker hands it to leads and keeps it unacknowledged. It goes back, and on to the next, with the connection: when that is closed, or
 * silent for two heartbeats. The baton tells its next holder up to when everything is settled.
 *
 * A leader publishes on the connection that holds the baton, so once the broker has taken that away nothing of it arrives any more. And
 * it asks the broker once a second; an answer is worth 5 seconds from the question, less than the broker waits at least (two
 * heartbeats of 3 seconds), and on a clock that also counts while the machine sleeps: a leader that was stopped does nothing when it wakes.
 *
 *   away -> joining -> standing by -> taking over -> leading
 *    ^----------------------------------------------------'
 */
#ifndef WARREN_BEAT_LEASE_H
#define WARREN_BEAT_LEASE_H

#include "bus/chan.h"
#include "bus/publish.h"

#define LEASE_HEARTBEAT_S 3

struct lease_ops {
	void (*on_stand_by)(void *owner);
	/* From now on lease_holds may be true; all due times up to `until` are settled (0 = nobody knows). */
	void (*on_lead)(void *owner, us_t until);
	void (*on_lost)(void *owner, const char *why); /* of the leader only */
	void (*on_refused)(void *owner, const char *why);
};

enum lease_state { LEASE_AWAY, LEASE_JOINING, LEASE_STANDING_BY, LEASE_TAKING_OVER, LEASE_LEADING };

struct lease {
	struct loop *loop;
	struct bus_conn *conn;
	struct bus_pub *pub;
	const char *queue, *node, *schedule;
	const struct lease_ops *ops;
	void *owner;
	struct bus_chan *chan;
	struct loop_timer timer;
	enum lease_state state;
	ms_t good_until; /* of clock_boot_ms */
	ms_t asked;      /* when the question under way was put; 0 = none */
	bool yielding;   /* it takes part again when the timer is over */
	bool has_baton;
	struct bus_tag baton;
	us_t baton_until;
	char baton_node[256], baton_schedule[32]; /* of the last leader; "" = not known */
	us_t mark, told;                          /* settled up to; what the baton says */
	bool telling;
	ms_t told_at;
	uint64_t telling_id;
};

/* Takes part from now on, whenever the connection is up. `schedule` tells one schedule from another. The texts must outlive it. */
enum err lease_open(struct lease *l, struct bus_conn *conn, struct bus_pub *pub, const char *queue,
	const char *node, const char *schedule, const struct lease_ops *ops, void *owner) MUSTCHECK;
/* No callback afterwards. A zeroed lease is fine. */
void lease_close(struct lease *l);
/* Whether to act: this very moment, asked again before each act. */
bool lease_holds(const struct lease *l);
/* Everything due up to `until` is settled: the next leader will know. */
void lease_mark(struct lease *l, us_t until);
/* Takes no part for this long: another one may lead. on_lost comes from inside when this one does. */
void lease_yield(struct lease *l, ms_t delay);
/* Whether the next leader knows all that was marked. */
bool lease_is_told(const struct lease *l);

#endif
