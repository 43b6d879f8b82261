/*
 * The delay ladder: Celery's native delayed delivery (celery-wire.md section 6). A message for later goes to the topic exchange of level 27
 * with its delay in binary before its routing key, one digit a token; the queue of each level holds it for 2^level seconds when
 * its digit is 1 and the exchange passes it on when it is 0. So nobody holds a future task in memory, or unacknowledged. Pure: names and keys.
 */
#ifndef WARREN_CORE_LADDER_H
#define WARREN_CORE_LADDER_H

#include "base/buf.h"

#define LADDER_LEVELS 28
#define LADDER_DELAY_MAX_S ((INT64_C(1) << LADDER_LEVELS) - 1)
/* Where a message comes out; queues are bound here. */
#define LADDER_END "celery_delayed_delivery"
/* The digits and dots before a key: 28 of each. */
#define LADDER_PREFIX_LEN 56
/* The longest key that fits AMQP's 255 bytes with them. */
#define LADDER_QUEUE_MAX (255 - LADDER_PREFIX_LEN)

/* Exchange and queue of a level: "celery_delayed_<level>". */
void ladder_level_name(char out[32], int level);
/*
 * The level whose exchange a message with this delay enters: that of its first 1. It could enter at the top, as Celery's do; the levels above
 * would only hand it down, each at the price of a look at its bindings (some 20 of them for a delay of minutes).
 */
int ladder_entry_level(int64_t delay_s);
/* Binding keys of a level: the digit 1 goes to its queue, 0 to the exchange below. */
void ladder_level_key(char out[96], int level, bool one);
/* Key of a message: delay_s is cut to 1..LADDER_DELAY_MAX_S. E_TOOBIG when it would pass AMQP's 255 bytes. */
enum err ladder_message_key(char out[256], int64_t delay_s, struct span key) MUSTCHECK;
/*
 * Binding key of a queue at LADDER_END: 28 stars and the key. Not "#.<key>": that would also take what is meant for a queue whose name
 * ends in ".<key>".
 */
enum err ladder_binding_key(char out[256], struct span key) MUSTCHECK;

/* Seconds a message has to wait on the ladder so that it comes out not before `until`; 0 = it is due within a second: do not bother. */
int64_t ladder_delay_s(us_t until, us_t now);

#endif
