/*
 * The growing byte buffer. `cap` counts the bytes that contents may use; the block is one byte larger, so
 * that buf_text can always put its NUL. Sizes double until the ceiling.
 */
#include "base/buf.h"

#include "base/alloc.h"

#include <stdarg.h>

enum { FIRST_CAP = 120 };

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_release(struct buf *b)
{
	alloc_free(b->data);
	*b = (struct buf){ 0 };
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = E_OK;
}

static void
grow(struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : FIRST_CAP;
	char *data;

	while (cap < need)
		cap *= 2;
	if (b->max && cap > b->max)
		cap = b->max;
	data = alloc_resize(b->data, cap + 1);
	if (!data) {
		b->err = E_NOMEM;
		return;
	}
	b->data = data;
	b->cap = cap;
}

char *
buf_room(struct buf *b, size_t n)
{
	if (b->err != E_OK)
		return NULL;
	if (b->data && n <= b->cap - b->len)
		return b->data + b->len;
	if (n > SIZE_MAX / 4 - b->len || (b->max && n > b->max - b->len)) {
		b->err = E_TOOBIG;
		return NULL;
	}
	grow(b, b->len + n);
	return b->err == E_OK ? b->data + b->len : NULL;
}

void
buf_grew(struct buf *b, size_t n)
{
	assert(n <= b->cap - b->len);
	b->len += n;
}

void
buf_add(struct buf *b, struct span s)
{
	char *room;

	if (s.len == 0)
		return;
	room = buf_room(b, s.len);
	if (!room)
		return;
	memcpy(room, s.ptr, s.len);
	b->len += s.len;
}

void
buf_adds(struct buf *b, const char *text)
{
	buf_add(b, span_of(text));
}

void
buf_addc(struct buf *b, char c)
{
	char *room = buf_room(b, 1);

	if (!room)
		return;
	*room = c;
	b->len++;
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list args, again;
	char *room;
	int n;

	if (b->err != E_OK)
		return;
	va_start(args, fmt);
	va_copy(again, args);
	/* The byte behind cap is ours too, so the room for the NUL is always there. */
	n = vsnprintf(b->data ? b->data + b->len : NULL, b->data ? b->cap - b->len + 1 : 0, fmt, args);
	if (n < 0) {
		b->err = E_TOOBIG;
	} else if (b->data && (size_t)n <= b->cap - b->len) {
		b->len += (size_t)n;
	} else if ((room = buf_room(b, (size_t)n))) {
		vsnprintf(room, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	va_end(args);
}

void
buf_drop(struct buf *b, size_t n)
{
	assert(n <= b->len);
	b->len -= n;
	if (b->len && n)
		memmove(b->data, b->data + n, b->len);
}

struct span
buf_span(const struct buf *b)
{
	return b->data ? (struct span){ b->data, b->len } : SPAN("");
}

enum err
buf_keep(struct buf *b, struct arena *a, struct span *out)
{
	enum err e = b->err;

	if (e == E_OK) {
		*out = arena_dup(a, buf_span(b));
		e = out->ptr == NULL ? E_NOMEM : E_OK;
	}
	buf_release(b);
	return e;
}

const char *
buf_text(struct buf *b)
{
	if (!b->data || b->err != E_OK)
		return "";
	b->data[b->len] = '\0';
	return b->data;
}
