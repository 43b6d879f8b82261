/* See scale.h. */
#include "core/scale.h"

static uint32_t
clamp(const struct scale_conf *c, uint32_t n)
{
	return n < c->min ? c->min : n > c->max ? c->max : n;
}

/* From here on it is counted anew what is needed. */
static void
begin(struct scale *s, const struct scale_look *look)
{
	s->has_begun = true;
	s->since = look->now;
	s->peak = look->busy;
}

static uint32_t
grow(const struct scale_conf *c, const struct scale_look *look)
{
	uint32_t more = look->ready < look->size ? look->ready : look->size;

	return clamp(c, look->size + more);
}

uint32_t
scale_decide(struct scale *s, const struct scale_conf *c, const struct scale_look *look)
{
	bool crowded = look->busy >= look->size && look->ready > 0, twice = crowded && s->was_crowded;
	uint32_t size = clamp(c, look->size);

	s->was_crowded = crowded;
	if (!s->has_begun || size != look->size) {
		begin(s, look);
		return size;
	}
	if (look->busy > s->peak)
		s->peak = look->busy;
	if (twice && size < c->max) {
		begin(s, look);
		s->was_crowded = false;
		return grow(c, look);
	}
	/* What waits will need slots before it can be told how many. */
	if (look->now - s->since < c->idle_ms || crowded)
		return size;
	if (s->peak < size)
		size = clamp(c, s->peak);
	begin(s, look);
	return size;
}
