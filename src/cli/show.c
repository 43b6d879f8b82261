/* How results look, for `send --wait`, `result` and `run` alike. */
#include "cli/show.h"

#include "base/js.h"
#include "base/text.h"
#include "cli/out.h"

void
show_json(const struct result *r)
{
	char done[TEXT_TIME_MAX];
	struct buf b;
	struct js w;

	buf_init(&b, 0);
	js_init(&w, &b);
	js_object(&w);
	js_key(&w, "id");
	js_string(&w, r->task_id);
	js_key(&w, "state");
	js_string(&w, r->state);
	js_key(&w, "result");
	js_raw(&w, r->value);
	js_key(&w, "traceback");
	js_string(&w, r->traceback);
	js_key(&w, "date_done");
	if (r->date_done != 0)
		js_string(&w, (struct span){ done, text_format_time(r->date_done, done) });
	else
		js_null(&w);
	js_object_end(&w);
	out_json(&b);
	buf_release(&b);
}

static void
show_error(const struct result *r)
{
	struct result_error error;
	struct arena arena;
	struct buf b;

	arena_init(&arena, 0);
	buf_init(&b, 0);
	if (result_decode_error(&error, r->value, &arena))
		result_add_error_text(&b, &error);
	else
		text_add_printable(&b, r->value, 500);
	out_note("%s", buf_text(&b));
	arena_release(&arena);
	/* The traceback's own lines are wanted, anything else that moves a cursor is not. */
	buf_reset(&b);
	for (struct span rest = r->traceback; rest.ptr != NULL;) {
		text_add_printable(&b, span_split(&rest, '\n'), 0);
		if (rest.ptr != NULL && rest.len > 0)
			buf_addc(&b, '\n');
	}
	if (b.len > 0)
		out_note("%s", buf_text(&b));
	buf_release(&b);
}

int
show_final(const struct result *r, bool json)
{
	bool ok = span_is(r->state, "SUCCESS");

	if (json)
		show_json(r);
	else if (ok)
		out_line(r->value.ptr != NULL ? r->value : SPAN("null"));
	else
		show_error(r);
	return ok ? 0 : EXIT_NO;
}

static void
add_state(struct buf *b, const struct result *r, size_t max)
{
	text_add_printable(b, r->state, 40);
	if (r->value.ptr != NULL && !span_is(r->value, "null")) {
		buf_addc(b, ' ');
		text_add_printable(b, r->value, max);
	}
}

void
show_line(const struct result *r)
{
	struct buf b;

	buf_init(&b, 0);
	add_state(&b, r, 0);
	out_note("%s", buf_text(&b));
	buf_release(&b);
}

void
show_state(const struct result *r)
{
	struct buf b;

	if (!out_has_progress() || result_is_ready(r->state))
		return;
	buf_init(&b, 0);
	add_state(&b, r, 100);
	out_progress(true, "%s", buf_text(&b));
	buf_release(&b);
}
