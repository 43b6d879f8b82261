/*
 * What is noted of the runs of a task beside its result: who runs which attempt, or what has become of it. By this note a worker that gets a
 * message again, or a copy of it, knows whether to run it. One line of text,
 *
 *   <retries> <lost> <requeued> <state> <deaths> <owner> <words>
 *
 * The first three are the attempt; each copy that takes the place of a message has a greater one, compared in this order.
 */
#ifndef WARREN_WIRE_NOTE_H
#define WARREN_WIRE_NOTE_H

#include "wire/result.h"

enum note_state {
	NOTE_TAKEN, /* 'c': it is the owner's, who has not begun it; words: the owner's node */
	NOTE_RUNS,  /* 'r': the owner runs it, for as long as its lease lasts; words: the owner's node */
	NOTE_FREE,  /* 'f': given back; only the deaths are of interest */
	NOTE_MOVED, /* 'm': it is over, and a copy takes its place; words: which copy */
	NOTE_OVER,  /* 'd': it is over for good */
};

struct note {
	struct span id;
	int64_t retries, lost, requeued;
	enum note_state state;
	int64_t deaths;    /* workers that ended while they ran this attempt */
	struct span owner; /* of the worker that writes; no space in it */
	struct span words;
};
/* Everything but the id. */
void note_add_text(struct buf *b, const struct note *n);

/* The copy that takes the place of a message: the words of NOTE_MOVED. */
enum note_next_kind { NOTE_RETRY, NOTE_LOST, NOTE_REQUEUE };
struct note_next {
	enum note_next_kind kind;
	int64_t lost, requeued;
	us_t due; /* 0 = at once */
};
void note_add_next(struct buf *b, const struct note_next *next);
bool note_read_next(struct span words, struct note_next *next);

/* What somebody who wants to run an attempt is told. */
enum note_verdict {
	NOTE_IS_FREE,   /* it is noted as taken, by us; deaths, and `words`: the node that died last */
	NOTE_IS_HELD,   /* `words`, a node, runs it, and will for left_ms unless it says otherwise */
	NOTE_HAS_MOVED, /* `words`: the copy */
	NOTE_WAS_OVER,  /* this attempt, or a later one, has had its end */
	NOTE_IS_DONE,   /* its final result is stored */
};
struct note_answer {
	enum note_verdict verdict;
	int64_t deaths, left_ms;
	struct span words;
	const struct result *stored; /* NOTE_IS_DONE */
};

#endif
