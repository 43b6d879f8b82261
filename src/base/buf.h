/*
 * A growing byte buffer with a ceiling. The first error sticks, so a builder appends freely and checks
 * `buf.err` once at the end; after an error the contents are as they were before the failed append.
 */
#ifndef WARREN_BASE_BUF_H
#define WARREN_BASE_BUF_H

#include "base/err.h"

struct arena;

struct buf {
	char *data; /* not NUL-terminated, NULL while empty; see buf_text */
	size_t len;
	size_t cap;
	size_t max;   /* ceiling in bytes, 0 = none */
	enum err err; /* E_OK, E_NOMEM or E_TOOBIG */
};

void buf_init(struct buf *b, size_t max);
/* Frees the memory; a zeroed buf is fine. The buf can be used again after buf_init. */
void buf_release(struct buf *b);
/* Forgets contents and error, keeps the memory. */
void buf_reset(struct buf *b);
void buf_add(struct buf *b, struct span s);
void buf_adds(struct buf *b, const char *text);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTFLIKE(2, 3);
/* Makes room for n bytes behind the contents and returns where they go, or NULL; then set with buf_grew. */
char *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);
/* Drops n bytes from the front. */
void buf_drop(struct buf *b, size_t n);
struct span buf_span(const struct buf *b);
/* The contents as a C string, valid until the next change; "" when empty or on error. */
const char *buf_text(struct buf *b);
/* The contents move to the arena and the buffer is released, also on error: the buffer's own, or E_NOMEM. */
enum err buf_keep(struct buf *b, struct arena *a, struct span *out) MUSTCHECK;

#endif
