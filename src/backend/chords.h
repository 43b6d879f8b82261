/*
 * Counters of chords, whose members end on workers anywhere, Celery's among them: in Redis, in Celery's own layout (celery-wire.md 3.8). Each
 * call is one atomic step. Like a store it is tried again, in order, until it is done or its owner cancels it.
 */
#ifndef WARREN_BACKEND_CHORDS_H
#define WARREN_BACKEND_CHORDS_H

#include "backend/backend.h"
#include "wire/chord.h"

/* One call under way; embedded in its owner, who must not move or free it before fn or cancel. Zeroed = none. */
struct backend_chord;
/* E_OK; E_REFUSED for good, with the reason. c is set for a part. Called once, never from inside. */
typedef void backend_chord_fn(
	struct backend_chord *op, enum err e, const struct chord_count *c, const char *why);

enum backend_chord_kind {
	BACKEND_CHORD_PART,
	BACKEND_CHORD_OPEN,
	BACKEND_CHORD_CLOSE,
	BACKEND_CHORD_CLAIM,
	BACKEND_CHORD_LOOK
};
#define BACKEND_CHORD_WORDS 4
struct backend_chord {
	struct list link;
	struct backend *backend;
	backend_chord_fn *fn;
	enum backend_chord_kind kind;
	struct buf text; /* the words, one behind the other */
	size_t ends[BACKEND_CHORD_WORDS];
	size_t n_words; /* the group is the first */
	void *flight;   /* the attempt under way, NULL = none */
};

/* False: chords cannot be carried out with it. */
bool backend_has_chords(const struct backend *b);

struct backend_part {
	struct span group, id;
	int index;          /* its place; -1 = none, behind all others */
	struct span member; /* wire/chord.h */
	struct span kept;   /* what is needed to go on without any of its members; "" = nothing */
};
/* One member has ended. It counts once, however often and in whatever words it is told; of two texts a SUCCESS stays, else the later one. */
enum err backend_chord_part(struct backend *b, struct backend_chord *op, const struct backend_part *p,
	backend_chord_fn *fn) MUSTCHECK;
/* A chord of so many members begins. No-op for one that is over. `saved`: the group, for the nesting of its results; SPAN_NONE = flat. */
enum err backend_chord_open(struct backend *b, struct backend_chord *op, struct span group, size_t size,
	struct span saved, backend_chord_fn *fn) MUSTCHECK;
/* This member wants to go on with a full chord. c->is_over: another one does so already, or has done. Whoever may, may again when it is asked
 * once more for the same member: its message stays unacknowledged until the chord is closed. */
enum err backend_chord_claim(struct backend *b, struct backend_chord *op, struct span group, struct span id,
	backend_chord_fn *fn) MUSTCHECK;
/* Its body is on its way, or has failed: the counters go, and members that are told again find it over. */
enum err backend_chord_close(
	struct backend *b, struct backend_chord *op, struct span group, backend_chord_fn *fn) MUSTCHECK;
/*
 * Looks through chords in which nothing has happened for quiet_s seconds, at most a hundred of them. One that was full then, and was full already at the last
 * look, is given to this caller alone for as long again: whoever should have sent its body has not.
 */
enum err backend_chord_look(
	struct backend *b, struct backend_chord *op, int64_t quiet_s, backend_chord_fn *fn) MUSTCHECK;
/* fn will not be called. No-op when finished. */
void backend_chord_cancel(struct backend_chord *op);
/* After fn or cancel. */
void backend_chord_release(struct backend_chord *op);

#endif
