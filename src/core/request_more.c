/*
 * What a child that hosts a framework's tasks tells beyond the outcome (docs/runner-protocol.md, "More, from a framework"). A frame lives as long
 * as its call, the end of a request longer: what is needed is kept in the request.
 */
#include "core/request_inner.h"

/* SPAN_NONE stays what it is. */
static bool
keep(struct request *r, struct span *out, struct span s)
{
	*out = s.ptr != NULL ? arena_dup(&r->arena, s) : SPAN_NONE;
	return s.ptr == NULL || out->ptr != NULL;
}

static bool
has_place(struct span places, size_t at)
{
	struct jscan_iter it;
	int64_t n;

	if (jscan_begin(&it, places))
		while (jscan_next(&it))
			if (jscan_int(it.value, &n) && n >= 0 && (uint64_t)n == at)
				return true;
	return false;
}

/* Those that the child has called are none of the worker's any more. */
static bool
drop_errbacks(struct request *r, struct span called)
{
	struct jscan_iter it;
	size_t i = 0, n = 0;
	struct buf b;
	bool fine;

	if (jscan_kind(r->task.errbacks) != JSCAN_ARRAY || !jscan_begin(&it, r->task.errbacks)) {
		if (has_place(called, 0))
			r->task.errbacks = SPAN_NONE;
		return true;
	}
	buf_init(&b, 0);
	while (jscan_next(&it)) {
		if (has_place(called, i++))
			continue;
		buf_adds(&b, n++ == 0 ? "[" : ", ");
		buf_add(&b, it.value);
	}
	buf_addc(&b, ']');
	fine = b.err == E_OK && keep(r, &r->task.errbacks, n > 0 ? buf_span(&b) : SPAN_NONE);
	buf_release(&b);
	return fine;
}

bool
request_take_more(struct request *r, const struct run_frame *f, us_t wall)
{
	bool fine = keep(r, &r->own_children, f->children);

	r->no_store = f->no_store;
	r->must_store = f->must_store;
	if (f->errbacks_called.ptr != NULL)
		fine &= drop_errbacks(r, f->errbacks_called);
	if (f->outcome == RUN_RETRY) {
		fine &= keep(r, &r->change.args, f->new_args) && keep(r, &r->change.kwargs, f->new_kwargs) &&
			keep(r, &r->change.options, f->options);
		r->change.now = wall;
	}
	return fine;
}

/* Those it has sent by itself, and then those that follow it. */
struct span
request_children(struct request *r)
{
	struct span own = r->own_children,
		    ours = r->flow.children.len > 0 ? buf_span(&r->flow.children) : SPAN_NONE, all = SPAN_NONE;
	struct buf b;

	if (own.ptr == NULL || ours.ptr == NULL || jscan_count(own) == 0)
		return ours.ptr != NULL ? ours : own;
	buf_init(&b, 0);
	buf_add(&b, (struct span){ own.ptr, own.len - 1 });
	buf_adds(&b, ", ");
	buf_add(&b, (struct span){ ours.ptr + 1, ours.len - 1 });
	if (b.err == E_OK)
		(void)keep(r, &all, buf_span(&b));
	buf_release(&b);
	return all.ptr != NULL ? all : ours;
}
