/* See resume.h. */
#include "core/resume.h"

#include "base/js.h"
#include "core/flow_apply.h"

void
resume_keep(struct buf *b, const struct flow_part *p)
{
	struct js w;

	js_init(&w, b);
	js_object(&w);
	js_key(&w, "id");
	js_string(&w, p->id);
	js_key(&w, "root");
	js_string(&w, p->root);
	js_key(&w, "body");
	js_raw(&w, p->body);
	js_object_end(&w);
}

static enum err
text_of(struct flow *f, struct span raw, struct span *out)
{
	struct buf b;

	*out = SPAN_NONE;
	if (jscan_kind(raw) != JSCAN_STRING)
		return E_FORMAT;
	buf_init(&b, 0);
	jscan_add_string(&b, raw);
	return flow_keep(f, &b, out);
}

static enum err
read_part(struct flow *f, const struct chord_count *c, struct flow_part *p, struct errtext *why)
{
	const struct jscan_limits limits = { .depth_max = JSCAN_DEPTH_MAX };
	struct span kept = arena_dup(&f->arena, c->kept);
	enum err e;

	*p = (struct flow_part){ .group = arena_dup(&f->arena, c->group), .index = -1 };
	if (kept.ptr == NULL || p->group.ptr == NULL)
		return E_NOMEM;
	e = jscan_check(kept, &limits, NULL, why);
	if (e == E_OK)
		e = text_of(f, jscan_member(kept, "id"), &p->id);
	if (e == E_OK)
		e = text_of(f, jscan_member(kept, "root"), &p->root);
	p->body = jscan_member(kept, "body");
	if (e == E_OK && jscan_kind(p->body) != JSCAN_OBJECT)
		e = E_FORMAT;
	return e == E_FORMAT ? err_set(why, e, "what was kept of it cannot be read") : e;
}

enum err
resume_chord(struct flow *f, const struct chord_count *c, us_t now, struct span *body, struct errtext *why)
{
	struct flow_part part;
	enum err e = read_part(f, c, &part, why);

	*body = SPAN_NONE;
	if (e == E_OK)
		e = flow_grow((void **)&f->parts, f->n_parts, &f->cap_parts, sizeof(*f->parts));
	if (e != E_OK)
		return e;
	/* Counted as it stands: there is nothing to be added. */
	f->parts[f->n_parts++] = part;
	e = flow_on_counted(f, c, now, why);
	if (e == E_OK && f->n_closes > 0)
		*body = f->n_marks > 0 ? f->marks[0].id : f->count > 0 ? f->steps[0].call.id : SPAN_NONE;
	return e;
}
