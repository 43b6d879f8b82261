/* Compressed bodies, celery-wire.md 1.7. Private to wire/. */
#ifndef WARREN_WIRE_INFLATE_H
#define WARREN_WIRE_INFLATE_H

#include "base/alloc.h"
#include "base/buf.h"

/* Header value of what deflate_body makes. */
#define COMPRESSION_ZLIB "application/x-gzip"

/* Whether the codec of this name can be read. */
bool inflate_knows(struct span codec);
/* Inflates a zlib or gzip stream of at most max bytes into a. E_FORMAT: broken stream; E_TOOBIG: more than
 * max bytes. */
enum err inflate_body(struct span in, size_t max, struct arena *a, struct span *out) MUSTCHECK;
/* Deflates into a. */
enum err deflate_body(struct span in, struct arena *a, struct span *out) MUSTCHECK;

#endif
