/*
 * Acknowledgements that are known to have arrived. AMQP does not answer them, and a quorum queue (RabbitMQ 3.10) keeps back what comes in beyond
 * its 32 open commands and forgets it when the channel closes: letters that were taken away would be there again. So few are sent at a time, and a
 * get on the same channel, whose answer the queue gives after all that came before, proves them. Inside client/ only.
 */
#ifndef WARREN_CLIENT_SETTLE_H
#define WARREN_CLIENT_SETTLE_H

#include "bus/chan.h"

#define SETTLE_UNPROVEN_MAX 16

struct settle_op {
	uint64_t tag;
	bool requeue; /* give it back, instead of taking it away */
};

struct settle {
	struct settle_op *ops; /* to be sent, from `first` on */
	size_t first, n, cap;
	size_t unproven; /* sent and not proven */
	size_t after;    /* of these, sent after the get that will prove the others */
	uint64_t proof;  /* the number of that get; 0 = none is under way */
};

void settle_release(struct settle *s);
enum err settle_add(struct settle *s, uint64_t tag, bool requeue) MUSTCHECK;
/* Sends as many as may be sent now. */
enum err settle_pump(struct settle *s, struct bus_chan *ch) MUSTCHECK;
/* It is time for a get: nothing more may be sent, or (at the end) nothing more is to be sent. */
bool settle_wants_proof(const struct settle *s, bool at_end);
/* Get number `n` was sent; get number `n` was answered. Numbers begin at 1 and rise. */
void settle_on_get(struct settle *s, uint64_t n);
void settle_on_answer(struct settle *s, uint64_t n);
/* Waiting and unproven. */
size_t settle_open(const struct settle *s);

#endif
