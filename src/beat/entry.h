/* One entry of a schedule: what was configured, made ready to be planned and sent. */
#ifndef WARREN_BEAT_ENTRY_H
#define WARREN_BEAT_ENTRY_H

#include "base/id.h"
#include "base/list.h"
#include "beat/zones.h"
#include "bus/topo.h"
#include "core/plan.h"
#include "wire/msg.h"

/* Texts as they were written; NULL or 0 = not given, unless said otherwise. */
struct entry_conf {
	const char *name;
	const char *task;
	/* exactly one of these */
	ms_t every;
	const char *cron;    /* crontab(5)'s rules */
	const char *crontab; /* Celery's */
	const char *at;
	const char *timezone;       /* for cron, crontab, and times without an offset; NULL = UTC */
	const char *start, *end;    /* times */
	const char *args, *kwargs;  /* JSON */
	const char *const *headers; /* "key=value", NULL-ended; NULL = none */
	enum missed missed;
	int64_t missed_max;
	bool skip_overlap;
	ms_t jitter;
	ms_t expires; /* 0 = at the next due time */
	double time_limit, soft_time_limit;
	int priority; /* -1 = none */
	bool ignore_result, compress, transient;
	/* Where it goes. A queue is made sure of first; NULL = none is. */
	const char *exchange, *routing_key;
	const struct bus_topo_queue *queue;
};

struct send;

enum entry_phase {
	ENTRY_PLANNED, /* or idle for ever */
	ENTRY_ASKING,  /* whether its last run has ended */
	ENTRY_WAITING, /* for its road, or for room */
	ENTRY_SENT,    /* for the confirm */
	ENTRY_RESTING, /* it could not be sent: tried again soon */
};

struct entry {
	struct plan_entry plan;
	const struct entry_conf *conf;
	struct list link; /* in the list of its phase */
	enum entry_phase phase;
	struct plan_fire fire;
	char id[ID_UUID_LEN + 1]; /* of the run under way */
	uint64_t publish_id;
	us_t ran; /* the due time of its last run; INT64_MIN = none is known */
	int64_t runs;
	void *owner;
	struct send *sender; /* while it is under way */
	/* Kept by book.h and those who use it. */
	size_t index;
	struct list unsaved; /* its row has changed since it was written to Redis */
	bool of_redis;       /* not one of the configuration; its conf is the maker's */
	us_t since;          /* entries of Redis: when it was added */
	uint64_t digest;     /* and of its text there */
	bool known;          /* what it did before is known: it does not begin now */
	bool paused;
	/* What Redis says of it, while that is being compared. */
	bool listed, to_pause;
};

/* A copy with all its texts, in one block; the queue stays where it is. For alloc_free. */
struct entry_conf *entry_conf_dup(const struct entry_conf *conf);
/* Tells one text from another. */
uint64_t entry_digest(struct span text);

/* conf must outlive it. E_CONF says what is wrong, without naming the entry. */
enum err entry_init(
	struct entry *e, const struct entry_conf *conf, struct zones *zones, struct errtext *t) MUSTCHECK;
/* "every 30s", "cron 0 2 * * * Europe/Berlin", "at 2026-12-24T17:00:00+00:00": for people, and to see whether it was changed. */
void entry_add_schedule(struct buf *b, const struct entry_conf *conf);
/* The id of the run that is due at `due`: the same on every scheduler of this group. */
enum err entry_make_id(const char *group, const char *name, us_t due, char out[ID_UUID_LEN + 1],
	struct errtext *t) MUSTCHECK;
/* When a run sent for this fire expires; INT64_MAX = never. */
us_t entry_expires(const struct entry *e, const struct plan_fire *f);
/* The message of e->fire with id e->id. `origin` as Celery's "gen1234@host". */
enum err entry_encode(
	const struct entry *e, const char *origin, us_t now, struct msg *m, struct errtext *t) MUSTCHECK;

#endif
