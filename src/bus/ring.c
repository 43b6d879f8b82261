/* See ring.h. The slot of number n is n modulo the size; the size doubles when the numbers in use do not fit. */
#include "bus/ring.h"

#include "base/alloc.h"

#define FIRST_CAP 64

void
ring_reset(struct ring *r)
{
	if (r->cap > 0)
		memset(r->slots, 0, r->cap * sizeof(*r->slots));
	r->low = r->next = 1;
	r->count = 0;
}

void
ring_release(struct ring *r)
{
	alloc_free(r->slots);
	*r = (struct ring){ 0 };
}

static enum err
grow(struct ring *r)
{
	size_t cap = r->cap > 0 ? 2 * r->cap : FIRST_CAP;
	void **slots = alloc_zero(cap * sizeof(*slots));

	if (slots == NULL)
		return E_NOMEM;
	for (uint64_t n = r->low; n != r->next; n++)
		slots[n & (cap - 1)] = r->slots[n & (r->cap - 1)];
	alloc_free(r->slots);
	r->slots = slots;
	r->cap = cap;
	return E_OK;
}

enum err
ring_reserve(struct ring *r)
{
	return r->next - r->low >= r->cap ? grow(r) : E_OK;
}

enum err
ring_push(struct ring *r, void *p)
{
	enum err e = ring_reserve(r);

	if (e != E_OK)
		return e;
	r->slots[r->next & (r->cap - 1)] = p;
	r->next++;
	r->count++;
	return E_OK;
}

void *
ring_get(const struct ring *r, uint64_t n)
{
	return n >= r->low && n < r->next ? r->slots[n & (r->cap - 1)] : NULL;
}

void
ring_clear(struct ring *r, uint64_t n)
{
	if (ring_get(r, n) == NULL)
		return;
	r->slots[n & (r->cap - 1)] = NULL;
	r->count--;
	while (r->low != r->next && r->slots[r->low & (r->cap - 1)] == NULL)
		r->low++;
}

size_t
ring_span(const struct ring *r)
{
	return (size_t)(r->next - r->low);
}
