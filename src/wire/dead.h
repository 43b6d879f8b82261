/*
 * Dead letters on the wire: the message as it came, bytes and properties, to exchange warren.dead with its origin queue as the
 * key, and headers that say why: x-warren-reason, x-warren-error, x-warren-queue, x-warren-exchange, x-warren-attempts, x-warren-host, x-warren-time.
 */
#ifndef WARREN_WIRE_DEAD_H
#define WARREN_WIRE_DEAD_H

#include "wire/msg.h"

#define DEAD_EXCHANGE "warren.dead"
#define DEAD_QUEUE_PREFIX "warren.dead."

struct dead_letter {
	struct span reason;     /* one word: "malformed", "unknown-task" */
	struct span error;      /* for a person */
	struct span queue;      /* where it came from */
	struct span host;       /* the worker's node name */
	int64_t attempts;
	us_t now;
};

/* Fills `to` (initialised, empty). x-death headers and the expiration are dropped, persistence is set. */
enum err dead_encode(struct msg *to, const struct msg *original, const struct dead_letter *d) MUSTCHECK;
/* "warren.dead.<origin>", cut to AMQP's 255 bytes. */
void dead_queue_name(char out[256], struct span origin);

#endif
