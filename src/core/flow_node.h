/*
 * Signatures as a tree, while they are applied: read from text, given ids and places, written again where they travel on. Private to core/flow*.
 * Everything lives in the arena of the flow.
 */
#ifndef WARREN_CORE_FLOW_NODE_H
#define WARREN_CORE_FLOW_NODE_H

#include "core/flow.h"
#include "wire/sig.h"

/* Signatures in signatures; so deep it is nobody's intention. */
#define FLOW_NESTING_MAX 32

/* Whose end is told, and to which flow. */
struct flow_source {
	struct flow *f;
	struct span id, root; /* of the task: what is sent has it as its parent */
	struct span seed; /* ids that are not given follow from this, in order: the same end, told twice, gives the same ids */
	uint64_t n_ids;
	us_t now;
	struct span reply_to; /* of what is written anew and says nothing of its own; SPAN_NONE = none */
	struct errtext *why;
	int inherited_plus1; /* see flow_step */
};

struct node {
	struct sig sig;           /* as it was read; what stands below goes before its options */
	struct node *next;        /* of its siblings */
	struct node *kids, *last; /* of a chain, a group, a chord's header */
	size_t n_kids;
	struct node *body; /* of a chord */
	struct span id;    /* of the task; of a group and a chord: of the group. SPAN_NONE = none yet */
	struct span group; /* it belongs to */
	int index;         /* its place there; -1 = none */
	struct span root, parent;
	struct span chord, chain;    /* raw: the body it reports to; what runs after it, backwards */
	struct span links, errlinks; /* raw lists */
	int priority_plus1;          /* before that of its options; 0 = as they say */
	struct span over; /* raw options of what it stands in, that go before its own; SPAN_NONE = none */
};

/* Reads one signature. E_FORMAT says what is wrong with it. */
enum err node_read(struct flow_source *s, struct span json, struct node **out) MUSTCHECK;
/* Its text, with all that was set. */
enum err node_write(struct flow_source *s, const struct node *n, struct span *out) MUSTCHECK;
void node_add_kid(struct node *n, struct node *kid);
/* Of a group: its members instead of it. */
void node_add_flat(struct node *group, struct node *kid);
/* A new node of a composite type with no text of its own. NULL = out of memory. */
struct node *node_new(struct flow_source *s, enum sig_type type);

/* The place it takes: SPAN_NONE and -1 leave things as they are. */
struct node_place {
	struct span id, group, chord;
	int index;
};
/*
 * Gives ids to all in it that have none, and the place to the one whose end is its end: of a chain the last, of a chord the body. A chain is put into
 * the form in which it runs: no chains inside, and a group that something follows has become a chord.
 */
enum err node_freeze(struct flow_source *s, struct node *n, const struct node_place *place) MUSTCHECK;
/* Appends the members of raw options that are the task's own, not the structure's; not those that stand in `over` too, nor a priority when it has one
 * already. The object's braces are the caller's. */
void node_add_options(struct buf *b, struct span options, struct span over, bool has_priority);
/* How many members of a chord it makes up. */
size_t node_size(const struct node *n);
/* Whether its result is a group's: a list of results. */
bool node_is_many(const struct node *n);
/* Its result tuple (celery-wire.md 3.6); it must be frozen. */
void node_add_result(struct buf *b, const struct node *n);

/* An option that is no part of the structure, raw; SPAN_NONE when absent or null. */
struct span node_option(const struct node *n, const char *key);
enum err node_option_text(
	struct flow_source *s, const struct node *n, const char *key, struct span *out) MUSTCHECK;
bool node_option_number(const struct node *n, const char *key, double *out);

/* Lists as text: "[1, 2]" <-> "1, 2"; both joined, in this order, with the brackets. */
struct span flow_inner(struct span list);
enum err flow_join(struct flow *f, struct span first, struct span second, struct span *out) MUSTCHECK;
bool flow_is_some(struct span raw);
/* Takes the text of a buffer over into the arena. */
enum err flow_keep(struct flow *f, struct buf *b, struct span *out) MUSTCHECK;
enum err flow_derive_id(struct flow_source *s, struct span *out) MUSTCHECK;

#endif
