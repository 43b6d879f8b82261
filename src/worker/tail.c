/* See tail.h. Every line that a task writes passes here, so it costs one or two copies and nothing else. */
#include "worker/tail.h"

void
tail_reset(struct tail *t)
{
	t->at = 0;
	t->is_full = false;
}

static void
add(struct tail *t, struct span s)
{
	size_t n;

	if (s.len > TAIL_MAX) {
		s.ptr += s.len - TAIL_MAX;
		s.len = TAIL_MAX;
	}
	while (s.len > 0) {
		n = s.len < TAIL_MAX - t->at ? s.len : TAIL_MAX - t->at;
		memcpy(t->bytes + t->at, s.ptr, n);
		s.ptr += n;
		s.len -= n;
		t->at += n;
		if (t->at == TAIL_MAX) {
			t->at = 0;
			t->is_full = true;
		}
	}
}

void
tail_add_line(struct tail *t, struct span line)
{
	add(t, line);
	add(t, SPAN("\n"));
}

void
tail_read(const struct tail *t, struct buf *b)
{
	if (t->is_full)
		buf_add(b, (struct span){ t->bytes + t->at, TAIL_MAX - t->at });
	buf_add(b, (struct span){ t->bytes, t->at });
}
