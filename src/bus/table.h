/*
 * AMQP tables: between librabbitmq's form and ours. Inside bus/ only.
 *
 * librabbitmq 0.11 decodes nested tables by recursion without a limit, so a table that a stranger built can overrun the
 * stack. Its bytes therefore go through bus_table_check before the library sees them.
 */
#ifndef WARREN_BUS_TABLE_H
#define WARREN_BUS_TABLE_H

#include <amqp.h>

#include "wire/msg.h"

/* Tables and arrays inside each other, the outermost table included. */
#define BUS_TABLE_DEPTH_MAX 32

static inline struct span
span_of_amqp(amqp_bytes_t b)
{
	return (struct span){ b.bytes != NULL ? b.bytes : "", b.len };
}

static inline amqp_bytes_t
amqp_of_span(struct span s)
{
	return (amqp_bytes_t){ s.len, (void *)(uintptr_t)s.ptr };
}

/* Walks an encoded table that starts (with its 4 bytes of length) at bytes.ptr. E_FORMAT: it does not hold together, or has a type
 * that librabbitmq does not know; E_TOOBIG: too deep. *used (set unless the length itself is wrong, else 0) is what the table takes. */
enum err bus_table_check(struct span bytes, size_t *used) MUSTCHECK;
/* Everything is copied into the arena. */
enum err bus_table_import(struct table *to, const amqp_table_t *from, struct arena *a) MUSTCHECK;
/* The nodes go into the pool, strings are borrowed from `from`. E_TOOBIG: too deep, or a key over 255 bytes. */
enum err bus_table_export(amqp_table_t *to, const struct table *from, amqp_pool_t *pool) MUSTCHECK;

#endif
