/*
 * Lines out of a byte stream. No byte is looked at twice for its newline, and what was taken is dropped
 * only once it is the larger part, so that neither one long line in small pieces nor many lines in one
 * piece costs more than linear time.
 *
 *   pending: [ taken | scanned, no newline | not yet scanned ]
 */
#include "wire/run.h"

/* What a reader keeps of its memory once all was taken. */
#define KEEP_MAX ((size_t)64 << 10)

void
run_reader_init(struct run_reader *r, size_t line_max)
{
	*r = (struct run_reader){ .line_max = line_max };
	buf_init(&r->pending, 0);
}

void
run_reader_release(struct run_reader *r)
{
	buf_release(&r->pending);
	*r = (struct run_reader){ .line_max = r->line_max };
}

static void
drop_taken(struct run_reader *r)
{
	if (r->taken < r->pending.len && r->taken <= r->pending.len / 2)
		return;
	if (r->taken < r->pending.len) {
		buf_drop(&r->pending, r->taken);
	} else if (r->pending.cap > KEEP_MAX) {
		buf_release(&r->pending);
		buf_init(&r->pending, 0);
	} else {
		buf_reset(&r->pending);
	}
	r->scanned -= r->taken;
	r->taken = 0;
}

enum err
run_reader_feed(struct run_reader *r, struct span bytes)
{
	if (r->failed)
		return E_TOOBIG;
	drop_taken(r);
	buf_add(&r->pending, bytes);
	return r->pending.err;
}

enum err
run_reader_next(struct run_reader *r, struct span *line)
{
	const char *start, *newline = NULL;
	size_t len;

	*line = SPAN_NONE;
	if (r->failed)
		return E_TOOBIG;
	if (r->scanned < r->pending.len)
		newline = memchr(r->pending.data + r->scanned, '\n', r->pending.len - r->scanned);
	len = newline ? (size_t)(newline - r->pending.data) - r->taken : r->pending.len - r->taken;
	if (r->line_max && len > r->line_max) {
		r->failed = true;
		return E_TOOBIG;
	}
	if (!newline) {
		r->scanned = r->pending.len;
		return E_AGAIN;
	}
	start = r->pending.data + r->taken;
	r->taken += len + 1;
	r->scanned = r->taken;
	*line = (struct span){ start, len };
	return E_OK;
}
