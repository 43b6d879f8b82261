/*
 * Compressed bodies. What Celery calls application/x-gzip is a zlib stream; a true gzip stream is taken
 * too, since other producers believe the name. Inflating stops at the ceiling: the size of a bomb is not
 * known before it has gone off.
 */
#include "wire/inflate.h"

#include <limits.h>
#include <zlib.h>

#define CHUNK_MIN ((size_t)4096)
#define CHUNK_MAX ((size_t)1 << 20)

static void *
zalloc(void *opaque UNUSED, uInt items, uInt size)
{
	return alloc_bytes((size_t)items * size);
}

static void
zfree(void *opaque UNUSED, void *p)
{
	alloc_free(p);
}

bool
inflate_knows(struct span codec)
{
	return span_is(codec, COMPRESSION_ZLIB) || span_is(codec, "gzip") || span_is(codec, "zlib");
}

static enum err
inflate_chunk(z_stream *z, struct span *in, struct buf *out, bool *ended)
{
	size_t chunk = out->len < CHUNK_MIN ? CHUNK_MIN : out->len < CHUNK_MAX ? out->len : CHUNK_MAX;
	uInt n = in->len < UINT_MAX ? (uInt)in->len : UINT_MAX;
	char *room;
	int rc;

	/* One byte over the ceiling tells a body that just fits from one that goes on. */
	if (out->max && chunk > out->max - out->len)
		chunk = out->max - out->len;
	if (chunk == 0)
		return E_TOOBIG;
	room = buf_room(out, chunk);
	if (!room)
		return out->err;
	z->next_in = (Bytef *)(uintptr_t)in->ptr;
	z->avail_in = n;
	z->next_out = (Bytef *)room;
	z->avail_out = (uInt)chunk;
	rc = inflate(z, Z_NO_FLUSH);
	in->ptr += n - z->avail_in;
	in->len -= n - z->avail_in;
	buf_grew(out, chunk - z->avail_out);
	*ended = rc == Z_STREAM_END;
	if (rc == Z_MEM_ERROR)
		return E_NOMEM;
	/* Z_BUF_ERROR: the stream is cut short; everything else: it is broken. */
	return rc == Z_OK || rc == Z_STREAM_END ? E_OK : E_FORMAT;
}

enum err
inflate_body(struct span in, size_t max, struct arena *a, struct span *out)
{
	z_stream z = { .zalloc = zalloc, .zfree = zfree };
	bool ended = false;
	struct buf b;
	enum err e = E_OK;

	*out = SPAN_NONE;
	buf_init(&b, max ? max + 1 : 0);
	if (inflateInit2(&z, 32 + MAX_WBITS) != Z_OK)
		return E_NOMEM;
	while (e == E_OK && !ended)
		e = inflate_chunk(&z, &in, &b, &ended);
	inflateEnd(&z);
	if (e == E_OK && max && b.len > max)
		e = E_TOOBIG;
	if (e == E_OK) {
		*out = arena_dup(a, b.len ? buf_span(&b) : SPAN(""));
		if (!out->ptr)
			e = E_NOMEM;
	}
	buf_release(&b);
	return e;
}

enum err
deflate_body(struct span in, struct arena *a, struct span *out)
{
	z_stream z = { .zalloc = zalloc, .zfree = zfree };
	enum err e = E_NOMEM;
	uLong bound;
	char *room;

	*out = SPAN_NONE;
	if (in.len > UINT_MAX / 2)
		return E_TOOBIG;
	if (deflateInit(&z, Z_DEFAULT_COMPRESSION) != Z_OK)
		return E_NOMEM;
	bound = deflateBound(&z, in.len);
	room = arena_alloc(a, bound);
	if (room) {
		z.next_in = (Bytef *)(uintptr_t)in.ptr;
		z.avail_in = (uInt)in.len;
		z.next_out = (Bytef *)room;
		z.avail_out = (uInt)bound;
		/* With deflateBound's room one call always ends the stream. */
		if (deflate(&z, Z_FINISH) == Z_STREAM_END) {
			*out = (struct span){ room, z.total_out };
			e = E_OK;
		}
	}
	deflateEnd(&z);
	return e;
}
