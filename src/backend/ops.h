/* What a kind of backend has to offer; backend.c turns the public functions into calls of these. Private to backend/. */
#ifndef WARREN_BACKEND_OPS_H
#define WARREN_BACKEND_OPS_H

#include "backend/chords.h"
#include "backend/note.h"

struct backend_ops {
	void (*close)(struct backend *b);
	bool (*is_up)(const struct backend *b);
	const char *(*url)(const struct backend *b);
	/* Into s->payload, and what else of r is needed later; NULL: result_encode. */
	enum err (*encode)(struct backend_store *s, const struct result *r);
	/* s->payload, id and is_final are set. */
	enum err (*store)(struct backend *b, struct backend_store *s);
	void (*cancel)(struct backend *b, struct backend_store *s);
	size_t (*pending)(const struct backend *b);
	/* May be NULL: nothing is kept. */
	enum err (*load)(struct backend *b, struct span id, backend_load_fn *fn, void *owner);
	/* May be NULL, like forget, wait, keep and kept. */
	void (*load_cancel)(struct backend *b, void *owner);
	enum err (*keep)(struct backend *b, const char *set, const struct backend_kept *items, size_t n,
		us_t oldest, size_t max, backend_kept_fn *fn, void *owner);
	enum err (*kept)(struct backend *b, const char *set, us_t oldest, size_t max, backend_kept_fn *fn,
		void *owner);
	/* May be NULL: no chords. op's words are set. */
	enum err (*chord)(struct backend *b, struct backend_chord *op);
	void (*chord_cancel)(struct backend *b, struct backend_chord *op);
	/* May be NULL, all three. */
	enum err (*note)(struct backend *b, const struct note *n, backend_note_fn *fn, void *owner);
	enum err (*claim)(struct backend *b, const struct note *n, bool wants_result, backend_claim_fn *fn,
		void *owner);
	void (*note_cancel)(struct backend *b, void *owner);
	/* May be NULL. */
	enum err (*turn)(
		struct backend *b, const struct backend_turn_ask *ask, backend_turn_fn *fn, void *owner);
	void (*turn_cancel)(struct backend *b, void *owner);
	enum err (*forget)(struct backend *b, struct span id, backend_load_fn *fn, void *owner);
	enum err (*wait)(struct backend_wait **out, struct backend *b, struct span id, backend_load_fn *fn,
		void *owner);
	/* May be NULL. */
	const char *(*reply_to)(const struct backend *b);
};

/* The head of every kind's own struct. */
struct backend {
	const struct backend_ops *ops;
	bool has_notes;
	struct loop *loop;
	const struct backend_events *events;
	void *owner;
};

/* The head of what every kind calls a wait. */
struct backend_wait {
	void (*cancel)(struct backend_wait *w);
};

enum err none_open(struct backend **out, struct loop *l) MUSTCHECK;
enum err rpc_open(struct backend **out, struct loop *l, const struct backend_conf *conf,
	const struct backend_events *ev, void *owner, struct errtext *t) MUSTCHECK;
enum err redis_open(struct backend **out, struct loop *l, const struct backend_conf *conf,
	const struct backend_events *ev, void *owner, struct errtext *t) MUSTCHECK;

#endif
