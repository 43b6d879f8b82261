/*
 * Notes of runs in a backend (wire/note.h). A note that says that a task runs holds for the lease, unless it is written again meanwhile; after
 * that whoever asks may have it, and takes its worker for dead. Notes outlive their lease by a day.
 */
#ifndef WARREN_BACKEND_NOTE_H
#define WARREN_BACKEND_NOTE_H

#include "backend/backend.h"
#include "wire/note.h"

/* Whether this kind of backend keeps notes, and is asked to (backend_conf.lease_ms). */
bool backend_has_notes(const struct backend *b);

/* The next backend_store of s writes this note in the same step as the result; NOTE_FREE without deaths removes it. */
void backend_store_with_note(struct backend_store *s, const struct note *n);

/* E_OK; E_CLOSED: not up, or lost meanwhile; E_AGAIN: Redis cannot now, it will pass; E_REFUSED: for good. Never from inside. */
typedef void backend_note_fn(void *owner, enum err e, const char *why);
/* Writes it, whatever stands there. */
enum err backend_note(struct backend *b, const struct note *n, backend_note_fn *fn, void *owner) MUSTCHECK;

/*
 * Asks for an attempt, in one step: what is the answer, and when it is free, it is ours (note n is written). wants_result: a final result
 * that is stored is an answer too.
 */
typedef void backend_claim_fn(void *owner, enum err e, const struct note_answer *a, const char *why);
enum err backend_claim(struct backend *b, const struct note *n, bool wants_result, backend_claim_fn *fn,
	void *owner) MUSTCHECK;

/* No callback for this owner comes any more. */
void backend_note_cancel(struct backend *b, void *owner);

#endif
