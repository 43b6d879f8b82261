/* See settle.h. */
#include "client/settle.h"

#include "base/alloc.h"

void
settle_release(struct settle *s)
{
	alloc_free(s->ops);
	*s = (struct settle){ .ops = NULL };
}

enum err
settle_add(struct settle *s, uint64_t tag, bool requeue)
{
	struct settle_op *grown;

	if (s->first > 0 && s->first == s->n)
		s->first = s->n = 0;
	if (s->n == s->cap) {
		grown = alloc_resize(s->ops, (s->cap * 2 + 64) * sizeof(*grown));
		if (grown == NULL)
			return E_NOMEM;
		s->ops = grown;
		s->cap = s->cap * 2 + 64;
	}
	s->ops[s->n++] = (struct settle_op){ tag, requeue };
	return E_OK;
}

enum err
settle_pump(struct settle *s, struct bus_chan *ch)
{
	enum err e = E_OK;

	while (e == E_OK && s->first < s->n && s->unproven < SETTLE_UNPROVEN_MAX) {
		struct bus_tag tag = { bus_chan_epoch(ch), s->ops[s->first].tag };

		e = s->ops[s->first].requeue ? bus_nack(ch, tag, true) : bus_ack(ch, tag);
		if (e != E_OK)
			break;
		s->first++;
		s->unproven++;
		s->after += s->proof != 0;
	}
	return e;
}

bool
settle_wants_proof(const struct settle *s, bool at_end)
{
	return s->proof == 0 && s->unproven > 0 && (at_end || s->unproven >= SETTLE_UNPROVEN_MAX);
}

void
settle_on_get(struct settle *s, uint64_t n)
{
	if (s->proof != 0 || s->unproven == 0)
		return;
	s->proof = n;
	s->after = 0;
}

void
settle_on_answer(struct settle *s, uint64_t n)
{
	if (s->proof == 0 || n < s->proof)
		return;
	s->proof = 0;
	s->unproven = s->after;
}

size_t
settle_open(const struct settle *s)
{
	return s->n - s->first + s->unproven;
}
