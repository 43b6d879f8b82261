/* AMQP headers as JSON, for runners: what the user sent along, without the headers the protocol itself defines. */
#ifndef WARREN_WIRE_HEADERS_H
#define WARREN_WIRE_HEADERS_H

#include "base/buf.h"
#include "wire/msg.h"

/* Whether the protocol (Celery's or RabbitMQ's dead lettering) gives this header its meaning. */
bool header_is_standard(struct span key);
/* Appends all of them as an object. Bytes that are no UTF-8 become U+FFFD. */
void headers_add_json(struct buf *b, const struct table *headers);
/* Appends an object with the user's headers, or nothing. False when there are none. */
bool headers_add_user_json(struct buf *b, const struct table *headers);

#endif
