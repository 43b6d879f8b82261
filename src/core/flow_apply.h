/* Frozen or not, a signature becomes messages, or a failure. Private to core/flow*. */
#ifndef WARREN_CORE_FLOW_APPLY_H
#define WARREN_CORE_FLOW_APPLY_H

#include "core/flow_node.h"

/* What a signature gets from whoever applies it. */
struct given {
	struct span args;         /* raw, without brackets: put before its own; "" = none */
	struct span chain;        /* raw list of what comes after it, backwards; SPAN_NONE = nothing */
	struct span root, parent; /* SPAN_NONE: what it says itself, else the task that has ended */
	int priority_plus1;       /* 0 = as it says itself */
};

/* Freezes it, and adds its messages to the steps and the chords it starts. */
enum err flow_apply(struct flow_source *s, struct node *n, const struct given *g) MUSTCHECK;
/* The same for text. */
enum err flow_apply_text(struct flow_source *s, struct span json, const struct given *g) MUSTCHECK;
/* As children of the task: what flow_apply has sent for n. */
enum err flow_add_child(struct flow_source *s, const struct node *n) MUSTCHECK;

/* It will not run: it ends with this error for all who wait for it, and for the chords it belongs to. `state` is that of the count. */
struct failing {
	struct span state; /* FAILURE, REVOKED */
	struct span error; /* raw error object */
	bool is_quiet;     /* only chords are told */
};
enum err flow_fail(struct flow_source *s, struct node *n, const struct failing *how) MUSTCHECK;
/* ... for each of a list as it stands in "chain". */
enum err flow_fail_list(struct flow_source *s, struct span list, const struct failing *how) MUSTCHECK;
/* Calls error links as Celery does: as a group, with the id of what has failed. */
enum err flow_call_errlinks(
	struct flow_source *s, struct span list, struct span failed_id, struct span root) MUSTCHECK;

/* Room for one more item. */
enum err flow_grow(void **items, size_t count, size_t *cap, size_t size) MUSTCHECK;
/* The last element of a list, and the list without it; SPAN_NONE and "[]" when there is none. */
enum err flow_pop_last(struct flow *f, struct span list, struct span *last, struct span *rest) MUSTCHECK;
enum err flow_add_part(
	struct flow_source *s, const struct flow_part *p, const struct chord_member *m) MUSTCHECK;
enum err flow_add_close(struct flow *f, struct span group) MUSTCHECK;

#endif
