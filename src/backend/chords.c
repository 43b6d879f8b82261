/* See chords.h: packs the words of a call and hands it to the kind of backend. */
#include "backend/chords.h"

#include "backend/ops.h"

bool
backend_has_chords(const struct backend *b)
{
	return b->ops->chord != NULL;
}

static enum err
begin(struct backend *b, struct backend_chord *op, enum backend_chord_kind kind, const struct span *words,
	size_t n, backend_chord_fn *fn)
{
	if (b->ops->chord == NULL)
		return E_REFUSED;
	assert(n <= BACKEND_CHORD_WORDS && !list_is_linked(&op->link) && op->flight == NULL);
	op->backend = b;
	op->fn = fn;
	op->kind = kind;
	op->n_words = n;
	buf_reset(&op->text);
	for (size_t i = 0; i < n; i++) {
		buf_add(&op->text, words[i]);
		op->ends[i] = op->text.len;
	}
	return op->text.err == E_OK ? b->ops->chord(b, op) : op->text.err;
}

enum err
backend_chord_part(
	struct backend *b, struct backend_chord *op, const struct backend_part *p, backend_chord_fn *fn)
{
	char index[16] = "+inf";

	if (p->index >= 0)
		snprintf(index, sizeof(index), "%d", p->index);
	return begin(b, op, BACKEND_CHORD_PART,
		(const struct span[]){ p->group, p->member, span_of(index), p->kept }, 4, fn);
}

enum err
backend_chord_open(struct backend *b, struct backend_chord *op, struct span group, size_t size,
	struct span saved, backend_chord_fn *fn)
{
	char number[24];

	snprintf(number, sizeof(number), "%zu", size);
	return begin(b, op, BACKEND_CHORD_OPEN,
		(const struct span[]){ group, span_of(number), saved.ptr != NULL ? saved : SPAN("") }, 3, fn);
}

enum err
backend_chord_close(struct backend *b, struct backend_chord *op, struct span group, backend_chord_fn *fn)
{
	return begin(b, op, BACKEND_CHORD_CLOSE, &group, 1, fn);
}

enum err
backend_chord_claim(
	struct backend *b, struct backend_chord *op, struct span group, struct span id, backend_chord_fn *fn)
{
	return begin(b, op, BACKEND_CHORD_CLAIM, (const struct span[]){ group, id }, 2, fn);
}

enum err
backend_chord_look(struct backend *b, struct backend_chord *op, int64_t quiet_s, backend_chord_fn *fn)
{
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)quiet_s);
	return begin(b, op, BACKEND_CHORD_LOOK, (const struct span[]){ SPAN(""), span_of(number) }, 2, fn);
}

void
backend_chord_cancel(struct backend_chord *op)
{
	if (op->backend != NULL && list_is_linked(&op->link))
		op->backend->ops->chord_cancel(op->backend, op);
}

void
backend_chord_release(struct backend_chord *op)
{
	buf_release(&op->text);
}
