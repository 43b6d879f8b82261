/*
 * Where a pool's deliveries come from: one channel and its consumers, as core/window.h plans them. A feed wants to consume from
 * feed_start to feed_stop; whatever the connection does meanwhile, it applies that again on each open.
 */
#ifndef WARREN_WORKER_FEED_H
#define WARREN_WORKER_FEED_H

#include "bus/chan.h"
#include "core/watchdog.h"
#include "core/window.h"

struct pool;

enum consumer_state { CONSUMER_OFF, CONSUMER_STARTING, CONSUMER_ON, CONSUMER_CANCELLING };

struct consumer {
	struct feed *feed;
	size_t index;
	size_t queue;          /* where it is */
	size_t next_queue;     /* where it goes once cancelled and empty-handed */
	size_t held;           /* deliveries not settled */
	enum consumer_state state;
};

struct feed {
	struct pool *pool;
	struct bus_chan *chan;
	struct bus_chan *probe;     /* passive declares, whose 404 must not cost the deliveries */
	enum window_mode mode;
	bool refuses_shared;        /* learnt from the broker: one of the queues is a quorum queue */
	bool wanted, topology_ok;
	struct consumer *consumers;
	size_t n_consumers;
	struct window_queue *counts; /* of the probe under way */
	size_t answers_due;
	size_t turn;
	struct loop_timer probe_timer;
	struct watchdog watchdog;
	ms_t next_look;             /* of the watchdog */
	uint64_t deliveries;        /* got so far */
};

enum err feed_open(struct feed *f, struct pool *p, struct bus_conn *c, struct errtext *t) MUSTCHECK;
void feed_close(struct feed *f);
/* The queues are there (again). */
void feed_on_topology(struct feed *f, bool ok);
void feed_start(struct feed *f);
/* Cancels all consumers; deliveries that still come are returned by the pool. */
void feed_stop(struct feed *f);
/* All consumers are registered at the broker. */
bool feed_is_consuming(const struct feed *f);
/* The broker refused a channel-wide window (540). True when that was news to this feed. */
bool feed_on_shared_refused(struct feed *f);
/* The queue whose deliveries this consumer brings. */
struct span feed_queue(const struct feed *f, size_t consumer);
/* A delivery of this consumer was settled. */
void feed_on_settled(struct feed *f, size_t consumer);

#endif
