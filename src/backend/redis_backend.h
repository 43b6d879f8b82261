/* The Redis backend's own struct, for its files. Private to backend/. */
#ifndef WARREN_BACKEND_REDIS_BACKEND_H
#define WARREN_BACKEND_REDIS_BACKEND_H

#include "backend/note.h"
#include "backend/ops.h"
#include "backend/redis_script.h"
#include "base/map.h"
#include "store/redis.h"

/* What counting chords needs of its own. */
struct redis_chords {
	bool is_list; /* see backend.h: chords_unordered */
	struct redis_script script;
	struct list ops;     /* all that are not over, in order */
	struct list flights; /* commands on the way */
};

struct redis_backend {
	struct backend base;
	struct rds_conf conf; /* for the second connection too; its strings are in `own` */
	char *own[4];         /* URL and TLS files */
	char *prefix;         /* of every key: "<global_keyprefix>_celery-task-meta-" */
	size_t own_prefix;    /* how much of it is the user's own */
	struct buf key, text; /* those in use, kept for their memory */
	ms_t lease_ms;
	char ttl[24]; /* seconds; "0" = keep for ever */
	struct rds *rds;
	struct redis_script storing;
	bool is_closed;
	struct list stores; /* all that are not over, in order */
	size_t n_stores;
	struct list flights; /* commands on the way */
	struct list spare_flights;
	struct list loads;
	struct list asked; /* commands about sets */
	struct list turns; /* questions to buckets of rate limits */
	struct redis_chords chords;
	struct list noted;    /* and about notes */
	struct rds *listener; /* subscriptions; opened by the first wait */
	struct map waits;     /* key -> struct wait_key */
	struct list all_waits;
	uint64_t messages; /* heard so far */
};

/* "celery-task-meta-<id>", valid until the next call; SPAN_NONE when out of memory. */
struct span redis_key(struct redis_backend *rb, struct span id);
/* Decodes a stored value and calls fn. */
void redis_deliver(backend_load_fn *fn, void *owner, struct span value, bool *is_final);

enum err redis_wait_open(struct backend_wait **out, struct backend *b, struct span id, backend_load_fn *fn,
	void *owner) MUSTCHECK;
/* The connection is up: those who wait may ask now. */
void redis_waits_look(struct redis_backend *rb);
void redis_waits_release(struct redis_backend *rb);

enum err redis_keep(struct backend *b, const char *set, const struct backend_kept *items, size_t n,
	us_t oldest, size_t max, backend_kept_fn *fn, void *owner) MUSTCHECK;
enum err redis_kept(struct backend *b, const char *set, us_t oldest, size_t max, backend_kept_fn *fn,
	void *owner) MUSTCHECK;
void redis_kept_release(struct redis_backend *rb);

enum err redis_turn(
	struct backend *b, const struct backend_turn_ask *ask, backend_turn_fn *fn, void *owner) MUSTCHECK;
void redis_turn_cancel(struct backend *b, void *owner);
void redis_turn_release(struct redis_backend *rb);

enum err redis_chords_init(struct redis_backend *rb) MUSTCHECK;
enum err redis_chord(struct backend *b, struct backend_chord *op) MUSTCHECK;
void redis_chord_cancel(struct backend *b, struct backend_chord *op);
void redis_chords_on_up(struct redis_backend *rb);
/* Nothing is under way any more. */
void redis_chords_release(struct redis_backend *rb);

/* How long a note that a run is over for good stays: it is of interest only to copies that are on the way. */
#define REDIS_NOTE_KEEP_OVER 3600000
#define REDIS_NOTE_KEEP_OVER_TEXT "3600000"
/* Into key: "warren:run:<id>" behind the user's prefix. */
void redis_note_key(const struct redis_backend *rb, struct buf *key, struct span id);
enum err redis_note(struct backend *b, const struct note *n, backend_note_fn *fn, void *owner) MUSTCHECK;
enum err redis_claim(struct backend *b, const struct note *n, bool wants_result, backend_claim_fn *fn,
	void *owner) MUSTCHECK;
void redis_note_cancel(struct backend *b, void *owner);
void redis_notes_release(struct redis_backend *rb);

#endif
