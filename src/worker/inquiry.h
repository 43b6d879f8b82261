/*
 * What is told to somebody who revokes tasks: of each whether it was waiting here, is running, has finished, or is unknown, to this worker (which will
 * not run it when it comes) and to the result backend. That is asked only when an answer is wanted.
 */
#ifndef WARREN_WORKER_INQUIRY_H
#define WARREN_WORKER_INQUIRY_H

#include "base/base.h"
#include "base/list.h"

struct ctl;
struct inquiry;

struct inquiry *inquiry_new(struct ctl *c, bool terminate);
/* `id` lives with the request's message. state NULL: it is not here. */
void inquiry_add(struct inquiry *q, struct span id, const char *state, bool is_terminated);
/* The ids, with commas between them. */
struct span inquiry_names(const struct inquiry *q);
/* Answers now, or keeps the request and answers when the backend has. Takes q. */
void inquiry_begin(struct inquiry *q, struct ctl *c);
/* No answer follows. */
void inquiries_release(struct list *inquiries);

#endif
