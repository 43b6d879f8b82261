/*
 * Canvas as people write it, as a signature as Celery writes it. A part is one of
 *
 *   {"task": "add", "args": [1, 2], "queue": "fast", ...}           a task; "immutable": true: it gets no result of what ran before
 *   {"chain": [part, part, ...]}   {"group": [part, ...]}   {"chord": {"header": [part, ...], "body": part}}
 *   [part, part]                                                    a group
 *
 * with options beside: id, queue, exchange, routing_key, countdown, eta, expires, priority, time_limit, soft_time_limit, ignore_result, shadow, headers, and
 * link and link_error, which hold parts. Signatures of Celery are taken as they are.
 */
#ifndef WARREN_CLIENT_RECIPE_H
#define WARREN_CLIENT_RECIPE_H

#include "base/buf.h"

enum recipe_kind { RECIPE_ANY, RECIPE_CHAIN, RECIPE_GROUP, RECIPE_CHORD };

/* `json` is any part, or what stands behind that key. Appends the signature. E_FORMAT says where and what. */
enum err recipe_add_signature(
	struct buf *b, struct span json, enum recipe_kind kind, struct errtext *t) MUSTCHECK;

#endif
