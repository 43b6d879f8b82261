/*
 * Looking through a queue and leaving it as it was: messages are fetched (basic.get) and not acknowledged, so when the look ends, in whatever
 * way, the broker puts back into their places all that were not moved or dropped. Meanwhile nobody else sees them. At most as many are
 * fetched as were there at the begin: what arrives meanwhile, such as a letter that dies again, does not make it endless.
 *
 * A move publishes a copy and acknowledges the message once the broker has confirmed the copy: whatever happens in between, the message is
 * there at least once. When the connection is lost the look is over (E_CLOSED); what was under way may then be there twice.
 */
#ifndef WARREN_CLIENT_BROWSE_H
#define WARREN_CLIENT_BROWSE_H

#include "client/client.h"

struct browse;

/* E_MISSING: there is no such queue. */
enum err browse_open(struct browse **out, struct client *c, struct span queue, struct errtext *t) MUSTCHECK;
/* Gives everything up that is under way. NULL is allowed. */
void browse_close(struct browse *b);

struct browse_letter {
	struct msg *msg;     /* its arena may be used */
	const char *spoiled; /* NULL, or why something of it is missing: it must not be moved */
};
/* The next message, valid until the next call. E_MISSING: that was the last. */
enum err browse_next(struct browse *b, struct browse_letter *letter, struct errtext *t) MUSTCHECK;

/* What became of a move: E_OK moved; E_CLOSED the copy is there and the message too; else it stays, and `text` says why. */
typedef void browse_moved_fn(void *owner, uint64_t tag, enum err e, const char *text);
/*
 * Moves the current message: `copy` goes to its exchange and key. fn is called once, from this or a later call, unless one of them fails
 * with E_CLOSED or E_TIMEOUT: then what has no fate may be there twice. Moves overlap, 64 at most.
 */
enum err browse_move(struct browse *b, const struct msg *copy, uint64_t tag, browse_moved_fn *fn, void *owner,
	struct errtext *t) MUSTCHECK;
/* Takes the current message out of the queue for good. */
enum err browse_drop(struct browse *b, struct errtext *t) MUSTCHECK;
/* Until every move has its fate and the broker has seen every acknowledgement. */
enum err browse_flush(struct browse *b, struct errtext *t) MUSTCHECK;
/* Gives back what was fetched, to look at the same messages once more. */
enum err browse_rewind(struct browse *b, struct errtext *t) MUSTCHECK;
/* Moves without a fate. */
size_t browse_moving(const struct browse *b);

#endif
