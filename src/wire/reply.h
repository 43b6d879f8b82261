/*
 * A result on its way to whoever sent the task, as Celery's rpc:// backend has it (celery-wire.md 3.9): a message to the default exchange whose routing
 * key is the task's reply_to, the name of a queue of the sender's. Read with result_decode.
 */
#ifndef WARREN_WIRE_REPLY_H
#define WARREN_WIRE_REPLY_H

#include "wire/msg.h"
#include "wire/result.h"

/* The body, byte for byte as Celery 5.2 writes it: no date, no family, nothing of result_extended. */
void reply_encode(struct buf *b, const struct result *r);

/* Fills m (initialised, empty), which borrows all texts. */
void reply_address(struct msg *m, struct span reply_to, struct span correlation_id, struct span body,
	bool is_persistent);

#endif
