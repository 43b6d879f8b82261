/*
 * Publishing without a promise, for what is stale the next moment: events, answers to remote control. Nothing is kept, nothing waits, nobody
 * is told; whoever casts counts what was not taken.
 */
#ifndef WARREN_BUS_CAST_H
#define WARREN_BUS_CAST_H

#include "bus/chan.h"

/*
 * Writes m to the channel, not mandatory: what no queue takes is dropped by the broker. E_CLOSED: the channel is not open. E_AGAIN: the broker
 * blocks this connection, or more than backlog_max bytes wait to leave on it. An exchange that does not exist closes the channel.
 */
enum err bus_cast(struct bus_chan *ch, const struct msg *m, size_t backlog_max) MUSTCHECK;

#endif
