/* Rows as JSON. A reader takes nothing half: a row that lacks something is none. */
#include "beat/row.h"

#include "base/jscan.h"
#include "base/text.h"

void
row_add(struct js *w, const struct row *row)
{
	char time[TEXT_TIME_MAX];

	text_format_time(row->done, time);
	js_object(w);
	js_key(w, "schedule");
	js_text(w, row->schedule);
	js_key(w, "done");
	js_text(w, time);
	js_key(w, "ran");
	text_format_time(row->ran, time);
	js_string(w, row->ran == INT64_MIN ? SPAN_NONE : span_of(time));
	js_key(w, "runs");
	js_int(w, row->runs);
	js_object_end(w);
}

static bool
string_of(struct span value, struct buf *out)
{
	buf_reset(out);
	if (jscan_kind(value) != JSCAN_STRING)
		return false;
	jscan_add_string(out, value);
	return out->err == E_OK;
}

/* null stands for a time that is not known. */
static bool
time_of(struct span value, struct buf *text, us_t *out)
{
	*out = INT64_MIN;
	return jscan_kind(value) == JSCAN_NULL ||
		(string_of(value, text) && text_parse_time(buf_span(text), out));
}

bool
row_read(struct row *row, struct span json, struct buf *text)
{
	*row = (struct row){ 0 };
	if (jscan_kind(json) != JSCAN_OBJECT || !time_of(jscan_member(json, "done"), text, &row->done) ||
		row->done == INT64_MIN || !time_of(jscan_member(json, "ran"), text, &row->ran) ||
		!jscan_int(jscan_member(json, "runs"), &row->runs) ||
		!string_of(jscan_member(json, "schedule"), text))
		return false;
	row->schedule = buf_text(text);
	return true;
}
