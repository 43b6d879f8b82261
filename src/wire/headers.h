/* AMQP headers as JSON and back: what the user sent along, without the headers the protocol itself defines. */
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

/* The other way: a checked JSON value as an AMQP value, an object's members into a table. Texts with escapes, and everything that nests, go into `a`; the
 * rest borrows. E_NOMEM. Bounded by the depth of what was checked. */
enum err headers_read_value(struct val *out, struct span json, struct arena *a) MUSTCHECK;
enum err headers_read_object(struct table *out, struct span json, struct arena *a) MUSTCHECK;

#endif
