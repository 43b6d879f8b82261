/*
 * Where results go. One table of functions, so that redis://, an HTTP callback, rpc:// and none look alike to the worker
 * and to the client. Storing is durable or not over: an attempt that fails for a passing reason is made again, in order, until it
 * succeeds or its owner cancels it.
 */
#ifndef WARREN_BACKEND_BACKEND_H
#define WARREN_BACKEND_BACKEND_H

#include "loop/loop.h"
#include "loop/stream.h"
#include "wire/result.h"

struct backend;
struct bus_conn;

struct backend_conf {
	const char *url;         /* redis://..., rediss://..., rpc://, "none" or "" (disabled) */
	struct bus_conn *broker; /* rpc://: what replies travel over; stays the caller's, and open until the backend is closed. NULL = there is none */
	bool is_persistent;      /* rpc://: replies outlive a restart of the broker, when their queue does */
	bool listens; /* rpc://: for one who sends tasks and waits: a queue for their replies, see backend_reply_to */
	size_t early_max; /* of its replies, bytes that are kept until somebody waits for them; 0 = 64 MiB */
	int64_t result_expires_s; /* 0 = keep for ever */
	const char *key_prefix;   /* global_keyprefix; NULL = none */
	struct stream_tls_conf tls;
	bool chords_unordered; /* what chords count is begun as a list (Celery: result_chord_ordered = False) */
	ms_t command_ms;       /* 0 = 5 s */
	ms_t lease_ms;         /* how long a note of a run holds (backend/note.h); 0 = none are kept */
};

struct backend_events {
	void (*on_up)(void *owner);
	void (*on_down)(void *owner, const char *url, const char *why, ms_t retry_ms, bool was_up);
	/* It is there and stores nothing for now (out of memory, loading): tried again in retry_ms. May be NULL. */
	void (*on_delay)(void *owner, const char *why, ms_t retry_ms);
};

/* One store under way; embedded in its owner, who must not move or free it before fn or cancel. */
struct backend_store {
	struct list link;
	struct backend *backend;
	void (*fn)(struct backend_store *s, enum err e, const char *why);
	struct buf payload; /* the encoded result */
	struct buf address; /* of a reply: queue and correlation id, one behind the other */
	size_t queue_len;
	uint64_t publish_id; /* of a reply under way; 0 = none */
	unsigned refusals;   /* of that reply so far */
	char id[256];        /* of the task, NUL-terminated: longer ids are refused */
	bool is_final;       /* SUCCESS, FAILURE, REVOKED */
	bool has_note;       /* a note is written in the same step, see backend_store_with_note */
	char note[160];      /* its text; "" = the note is removed */
	void *flight;        /* the attempt under way, NULL = none */
};

/* Zeroed = nothing. E_OK: found; E_MISSING: no such key (PENDING). Valid during the callback. */
typedef void backend_load_fn(void *owner, enum err e, const struct result *r, const char *why);

/* What stands between the user's prefix of keys and the rest: as Celery joins them, "_" unless the prefix ends like one that needs none. */
const char *backend_prefix_joint(const char *prefix);

enum err backend_open(struct backend **out, struct loop *l, const struct backend_conf *conf,
	const struct backend_events *ev, void *owner, struct errtext *t) MUSTCHECK;
/* Not stored yet = lost for the caller: cancel or wait first. NULL is allowed. */
void backend_close(struct backend *b);
bool backend_is_up(const struct backend *b);
bool backend_is_none(const struct backend *b);
/* What is stored is there to be asked for, by whoever has the id. False: there is none, or each result goes to the sender of its task, and is gone then. */
bool backend_keeps(const struct backend *b);
/* The queue that a task's reply_to has to name so that backend_wait hears of it; NULL: this backend needs none, or does not listen. */
const char *backend_reply_to(const struct backend *b);
/* What a banner shows: the URL without its password, or "disabled". */
const char *backend_url(const struct backend *b);

/*
 * Encodes r now and stores it: key and PUBLISH in one atomic step; a SUCCESS that is there is never overwritten, and a state that is
 * not final never overwrites one that is. fn is called once, never from inside: E_OK stored (or superseded by what is there), E_REFUSED for good
 * (too big, WRONGTYPE) with the reason. Otherwise it is tried again for ever. `payload` of s is used; s must be zeroed or finished.
 * rpc://: stored is what the broker has confirmed. fn says E_MISSING when nobody is there any more to take it; the call, when r has no address.
 */
enum err backend_store(struct backend *b, struct backend_store *s, const struct result *r,
	void (*fn)(struct backend_store *s, enum err e, const char *why)) MUSTCHECK;
/* The same for the text of a final result that was encoded before; not with rpc://. */
enum err backend_store_text(struct backend *b, struct backend_store *s, struct span id, struct span text,
	void (*fn)(struct backend_store *s, enum err e, const char *why)) MUSTCHECK;
/* fn will not be called. No-op when finished. */
void backend_store_cancel(struct backend_store *s);
/* Frees the payload; after fn or cancel. */
void backend_store_release(struct backend_store *s);
size_t backend_pending(const struct backend *b);

enum err backend_load(struct backend *b, struct span id, backend_load_fn *fn, void *owner) MUSTCHECK;
/* The callbacks of all loads under way for this owner will not come. */
void backend_load_cancel(struct backend *b, void *owner);
enum err backend_forget(struct backend *b, struct span id, backend_load_fn *fn, void *owner) MUSTCHECK;

/*
 * Waiting: fn is called for each state seen, now and later (told by PUBLISH, and by a slow poll in case that was lost), never from
 * inside. After a final state the wait is gone and must not be cancelled. While the backend is away it goes on waiting.
 */
struct backend_wait;
enum err backend_wait(struct backend_wait **out, struct backend *b, struct span id, backend_load_fn *fn,
	void *owner) MUSTCHECK;
void backend_wait_cancel(struct backend_wait *w);

/*
 * Named sets of texts, each with the time it stands for, beside the results: what has to outlive the processes that know it, such as the
 * ids of revoked tasks. fn is called once, never from inside: E_OK, E_CLOSED (not up, or lost meanwhile), E_REFUSED.
 */
struct backend_kept {
	struct span text;
	us_t when;
};
typedef void backend_kept_fn(
	void *owner, enum err e, const struct backend_kept *items, size_t n, const char *why);
/* Adds; what is older than `oldest` goes, and of more than `max` the oldest. E_MISSING: this kind of backend has no sets. fn gets no items. */
enum err backend_keep(struct backend *b, const char *set, const struct backend_kept *items, size_t n,
	us_t oldest, size_t max, backend_kept_fn *fn, void *owner) MUSTCHECK;
/* The newest `max` that are not older than `oldest`, oldest first. */
enum err backend_kept(struct backend *b, const char *set, us_t oldest, size_t max, backend_kept_fn *fn,
	void *owner) MUSTCHECK;

/*
 * Turns of a rate limit that everybody who uses this backend shares: one bucket for each name, by the backend's own clock. The rules are those of
 * core/limit.h. fn is called once, never from inside: E_OK, E_CLOSED (not up, or lost meanwhile), E_REFUSED.
 */
struct backend_turn_ask {
	struct span bucket;
	us_t interval; /* between runs */
	int64_t burst;
	us_t turn;        /* given before; 0 = none */
	us_t late, ahead; /* how late one may come for it, how far ahead they are given */
};
struct backend_turn {
	us_t wait, turn; /* until the turn, and its time, 0 = none was given */
};
typedef void backend_turn_fn(void *owner, enum err e, const struct backend_turn *t, const char *why);
/* E_MISSING: this kind of backend has none. */
enum err backend_turn(
	struct backend *b, const struct backend_turn_ask *ask, backend_turn_fn *fn, void *owner) MUSTCHECK;
/* The callbacks for this owner will not come. */
void backend_turn_cancel(struct backend *b, void *owner);

#endif
