/*
 * Events on exchange celeryev (celery-wire.md section 7): what workers and clients tell whoever listens. Both sides' codec. One struct
 * holds the members of every type; which of them a type has stands in one table in event.c. The prefix is evt_, because event_ is libevent's.
 */
#ifndef WARREN_WIRE_EVENT_H
#define WARREN_WIRE_EVENT_H

#include "base/jscan.h"
#include "wire/msg.h"

#define EVENT_EXCHANGE "celeryev" /* unless an application has another name for it; topic, durable */
#define EVENT_QUEUE_PREFIX "celeryev."
#define EVENT_QUEUE_EXPIRES_MS 60000
#define EVENT_QUEUE_TTL_MS 5000
#define EVENT_TASK_MULTI "task.multi" /* key of an array of task events */

enum evt_type {
	EVENT_TASK_SENT,
	EVENT_TASK_RECEIVED,
	EVENT_TASK_STARTED,
	EVENT_TASK_SUCCEEDED,
	EVENT_TASK_FAILED,
	EVENT_TASK_RETRIED,
	EVENT_TASK_REVOKED,
	EVENT_TASK_REJECTED,
	EVENT_WORKER_ONLINE,
	EVENT_WORKER_HEARTBEAT,
	EVENT_WORKER_OFFLINE,
	EVENT_OTHER, /* only when reading */
};

/* Optional texts are SPAN_NONE (written as null); optional numbers as said. */
struct evt {
	enum evt_type type;
	struct span type_name; /* when reading */
	struct span hostname;
	int64_t pid, clock; /* -1 = none */
	double timestamp;   /* seconds since the epoch */
	int64_t utcoffset; /* hours west of UTC. Never written: receivers would shift a timestamp that needs none. */
	/* tasks */
	struct span uuid, name, args, kwargs, root_id, parent_id;
	int64_t retries;
	struct span eta, expires;                 /* ISO text */
	struct span queue, exchange, routing_key; /* task-sent */
	struct span result, exception, traceback; /* text */
	double runtime;
	bool terminated, expired, requeue;
	int64_t signum; /* 0 = null */
	/* workers */
	double freq; /* seconds between heartbeats */
	int64_t active, processed;
	double loadavg[3];
	struct span sw_ident, sw_ver, sw_sys;
	struct span json; /* when reading: the whole */
};

const char *evt_type_name(enum evt_type type);
bool evt_is_of_task(enum evt_type type);
/* Of a task that was sent as this message, but for what every event has; borrows from it. Through the delay queues: the road is the queue's. */
void evt_fill_sent(struct evt *e, const struct msg *m, struct span delayed_for);
/* Appends the event as an object. */
void evt_add(struct buf *b, const struct evt *e);
/* "worker.heartbeat": the type as a routing key. */
void evt_routing_key(char out[64], enum evt_type type);
/* The message around what evt_add has made: one object, or an array for key EVENT_TASK_MULTI. `body` is copied. */
enum err evt_encode(
	struct msg *to, struct span exchange, const char *key, struct span node, struct span body) MUSTCHECK;

/* Reading: a message holds one event or an array of them. */
struct evt_reader {
	struct jscan_iter it;
	struct arena *arena;
	struct span single;
};
/* Borrows from m, whose arena may grow. E_FORMAT: no events. */
enum err evt_begin(struct evt_reader *r, struct msg *m, struct errtext *t) MUSTCHECK;
/* False at the end. Members of a wrong type count as absent; what is no object, or has no type, is passed over. */
bool evt_next(struct evt_reader *r, struct evt *e);

#endif
