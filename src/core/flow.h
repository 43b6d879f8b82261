/*
 * Canvas: what has to be sent when a task has ended, and who else its end concerns (celery-wire.md section 4). Pure: signatures are read from
 * the message and rewritten as text; nothing is sent or stored here. Links, error links, chains, groups and chords, in any nesting.
 *
 * A flow is a list of things to be done, in this order, each of them durable before the next:
 *
 *   mark       the failure under the ids that will not run any more
 *   count      members of chords that have ended; the answers may add to all lists (flow_on_counted)
 *   announce   the sizes of chords whose members are sent next
 *   send       the messages
 *   close      chords whose body was sent, or has failed
 */
#ifndef WARREN_CORE_FLOW_H
#define WARREN_CORE_FLOW_H

#include "wire/chord.h"
#include "wire/result.h"
#include "wire/task.h"

/* One message to send. Where `exchange` and `routing_key` are SPAN_NONE the task's name decides. */
struct flow_step {
	struct task_call call;
	struct span exchange, routing_key;
	int delivery_mode; /* 1 transient, 2 persistent; 0 = the signature does not say */
	int inherited_plus1; /* its priority, when nothing else says one and the task's name decides; 0 = none */
	struct span options,
		over; /* raw, of its signature, and of what goes before; SPAN_NONE = none. For routers */
};

/* A task that will not run: it ends with a failure all the same. */
struct flow_mark {
	struct span id, group;
	struct span reply_to; /* who waits for it; SPAN_NONE = not known */
	struct span error;    /* raw error object */
};

/* One member of a chord has ended. */
struct flow_part {
	struct span group, id;
	int index;          /* its place; -1 = none */
	struct span member; /* the text for the count (wire/chord.h) */
	struct span body;   /* raw signature of the chord's body */
	struct span root;   /* of the member */
	int priority_plus1; /* which the body inherits; 0 = none */
};

/* A chord whose members are among the steps. */
struct flow_chord {
	struct span group;
	size_t size;
	struct span saved; /* the group to be saved, raw; SPAN_NONE = not needed */
};

struct flow {
	struct arena arena; /* owns what everything below points to */
	struct flow_step *steps;
	size_t count, cap;
	struct flow_mark *marks;
	size_t n_marks, cap_marks, marked;
	struct flow_part *parts;
	size_t n_parts, cap_parts, counted;
	struct flow_chord *chords;
	size_t n_chords, cap_chords, announced;
	struct span *closes; /* groups of chords that are over */
	size_t n_closes, cap_closes, closed;
	struct span traceback; /* of the failure that is marked; text */
	struct buf children;   /* the "children" of the result: [[[id, null], null], ...]; empty = none */
};

enum flow_todo { FLOW_NOTHING, FLOW_MARK, FLOW_COUNT, FLOW_ANNOUNCE, FLOW_CLOSE };

void flow_init(struct flow *f);
void flow_release(struct flow *f);

/* E_REFUSED with the reason when the task asks for something that cannot be carried out: a chord needs a backend that can count. */
enum err flow_check(const struct task *t, bool has_chords, struct errtext *why) MUSTCHECK;

/* How a task has ended: its state, and its result or error object as raw JSON. */
struct flow_end {
	struct span state; /* SUCCESS, FAILURE, REVOKED */
	struct span value;
	struct span traceback; /* text */
	us_t now;
	int priority_plus1; /* which what follows inherits; 0 = none */
};
/* Ids that a signature does not have are derived from the task's own, so that the same end, told twice, gives the same messages. E_FORMAT names
 * what is wrong with a signature. */
enum err flow_on_end(
	struct flow *f, const struct task *t, const struct flow_end *end, struct errtext *why) MUSTCHECK;
/* The answer to the next part: one after the other. A chord that is complete adds its body to the steps, or the failure of its body to the marks and
 * parts. */
enum err flow_on_counted(struct flow *f, const struct chord_count *c, us_t now, struct errtext *why) MUSTCHECK;
/* How much is in it; and back to that, when what was added since is another's business. */
struct flow_size {
	size_t count, n_marks, n_parts, n_chords, n_closes;
};
struct flow_size flow_size(const struct flow *f);
void flow_cut(struct flow *f, const struct flow_size *to);

/* One signature, sent by this task: what a built-in starts. `args` is a raw list to be put before its own. *result (may be NULL): its
 * result tuple, in the arena. */
enum err flow_start(struct flow *f, const struct task *t, struct span sig, struct span args, us_t now,
	struct span *result, struct errtext *why) MUSTCHECK;

/* One signature sent by nobody's task: what a producer starts. Its tasks are roots of their own; ids that are not given follow from `seed`. What is sent
 * later, by workers, has `reply_to` too; SPAN_NONE = none. */
enum err flow_produce(struct flow *f, struct span sig, struct span seed, struct span reply_to, us_t now,
	struct span *result, struct errtext *why) MUSTCHECK;

/* What comes before sending, or FLOW_NOTHING; and what comes after it. */
enum flow_todo flow_next(const struct flow *f);
enum flow_todo flow_next_after_sending(const struct flow *f);
/* All of it was done; not for FLOW_COUNT, where each answer is told. */
void flow_on_done(struct flow *f, enum flow_todo todo);
/* It cannot be done: it counts as done, and members of chords that cannot be announced are not sent. */
void flow_give_up(struct flow *f, enum flow_todo todo);

#endif
