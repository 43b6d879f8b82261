/*
 * Where a pool's deliveries come from: one channel and its consumers, as core/window.h plans them. A feed wants to consume from
 * feed_start to feed_stop; whatever the connection does meanwhile, it applies that again on each open. Its window and its queues may
 * change while it runs.
 */
#ifndef WARREN_WORKER_FEED_H
#define WARREN_WORKER_FEED_H

#include "bus/chan.h"
#include "core/watchdog.h"
#include "core/window.h"
#include "worker/consumer.h"

struct pool;

struct feed {
	struct pool *pool;
	struct bus_chan *chan;
	struct bus_chan *probe; /* passive declares, whose 404 must not cost the deliveries */
	enum window_mode mode;
	bool has_mode;       /* on this opening of the channel */
	bool refuses_shared; /* learnt from the broker: one of the queues is a quorum queue */
	bool wanted, topology_ok;
	bool fits;                   /* nothing is to be done about the consumers before something changes */
	uint32_t window;             /* deliveries it may hold */
	uint32_t granted;            /* shared: the most that the broker may still go by */
	int qos;                     /* prefetch that the channel gives to new consumers; -1 = never set */
	int shared_qos;              /* shared: the window that was asked for; -1 = none */
	int qos_due;                 /* ... and how often the broker has still to say so */
	struct consumer **consumers; /* their answers point to them, so they stay where they are */
	size_t n_consumers;
	struct window_queue *counts; /* of the probe under way, by queue of the pool */
	size_t answers_due;
	size_t turn;
	struct loop_timer probe_timer;
	ms_t probe_every;
	struct watchdog watchdog;
	ms_t next_look;      /* of the watchdog */
	uint64_t deliveries; /* got so far */
};

enum err feed_open(struct feed *f, struct pool *p, struct bus_conn *c, struct errtext *t) MUSTCHECK;
void feed_close(struct feed *f);
/* The queues are there (again). */
void feed_on_topology(struct feed *f, bool ok);
void feed_start(struct feed *f);
/* Cancels all consumers; deliveries that still come are returned by the pool. */
void feed_stop(struct feed *f);
/* From now on it may hold so many. What is more than that is not taken away, but nothing takes its place. */
void feed_set_window(struct feed *f, uint32_t window);
/* The pool's queues have changed: which are wanted, and which are known to be there. */
void feed_on_queues(struct feed *f);
/* The most it can hold, now or by what is under way: no slot below this number may go. */
uint32_t feed_claims(const struct feed *f);
/* All consumers are registered at the broker. */
bool feed_is_consuming(const struct feed *f);
/* The broker refused a channel-wide window (540). True when that was news to this feed. */
bool feed_on_shared_refused(struct feed *f);
/* The queue whose deliveries this consumer brings. */
struct span feed_queue(const struct feed *f, size_t consumer);
/* A delivery of this consumer was settled. */
void feed_on_settled(struct feed *f, size_t consumer);
/* One of its consumers has become on or off. */
void feed_on_consumer(struct feed *f, struct consumer *c);

#endif
