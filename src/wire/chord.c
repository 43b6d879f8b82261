/* See chord.h. */
#include "wire/chord.h"

#include "base/alloc.h"
#include "base/js.h"
#include "wire/field.h"

/* The 1 is the version of Celery's result protocol. */
void
chord_member_encode(struct buf *b, const struct chord_member *m)
{
	struct js w;

	js_init(&w, b);
	js_array(&w);
	js_int(&w, 1);
	js_string(&w, m->id);
	js_string(&w, m->state);
	js_raw(&w, m->value);
	js_array_end(&w);
}

enum err
chord_member_decode(struct chord_member *m, struct span json, struct arena *a, struct errtext *t)
{
	const struct jscan_limits lim = { .depth_max = JSCAN_DEPTH_MAX };
	struct span parts[4];
	struct jscan_iter it;
	enum err e;
	size_t n = 0;

	e = jscan_check(json, &lim, NULL, t);
	if (e != E_OK)
		return err_prefix(t, e, "a chord's member");
	if (!jscan_begin(&it, span_trim(json)) || it.is_object)
		return err_set(t, E_FORMAT, "a chord's member is no array");
	for (; jscan_next(&it); n++)
		if (n < ARRAY_LEN(parts))
			parts[n] = it.value;
	if (n != ARRAY_LEN(parts))
		return err_set(t, E_FORMAT, "a chord's member has %zu parts, not 4", n);
	e = field_text(parts[1], a, &m->id);
	if (e == E_OK)
		e = field_text(parts[2], a, &m->state);
	if (e != E_OK)
		return err_set(t, e, "a chord's member: its id or state is no text");
	m->value = parts[3];
	return E_OK;
}
