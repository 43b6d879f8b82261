/*
 * The JSON writer. It keeps no stack: whether a comma is due is known from what was written last, and that
 * containers are closed in order is the caller's business. Errors stick in the buffer.
 */
#include "base/js.h"

#include "base/text.h"
#include "base/utf8.h"

#include <math.h>

void
js_init(struct js *w, struct buf *b)
{
	*w = (struct js){ .b = b };
}

static void
begin_item(struct js *w)
{
	if (w->need_comma)
		buf_add(w->b, w->compact ? SPAN(",") : SPAN(", "));
	w->need_comma = true;
}

static void
open_container(struct js *w, char c)
{
	begin_item(w);
	buf_addc(w->b, c);
	w->need_comma = false;
}

static void
close_container(struct js *w, char c)
{
	buf_addc(w->b, c);
	w->need_comma = true;
}

void
js_object(struct js *w)
{
	open_container(w, '{');
}

void
js_object_end(struct js *w)
{
	close_container(w, '}');
}

void
js_array(struct js *w)
{
	open_container(w, '[');
}

void
js_array_end(struct js *w)
{
	close_container(w, ']');
}

static void
end_key(struct js *w)
{
	buf_add(w->b, w->compact ? SPAN(":") : SPAN(": "));
	w->need_comma = false;
}

void
js_key(struct js *w, const char *key)
{
	begin_item(w);
	buf_addc(w->b, '"');
	buf_adds(w->b, key);
	buf_addc(w->b, '"');
	end_key(w);
}

void
js_key_span(struct js *w, struct span key)
{
	begin_item(w);
	js_add_string(w->b, key);
	end_key(w);
}

/* Python's ESCAPE_ASCII leaves exactly these as they are. */
static bool
is_plain(char c)
{
	return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

static void
add_u(struct buf *b, uint32_t unit)
{
	static const char hex[] = "0123456789abcdef";
	char text[6] = { '\\', 'u', hex[unit >> 12 & 15], hex[unit >> 8 & 15], hex[unit >> 4 & 15],
		hex[unit & 15] };

	buf_add(b, (struct span){ text, sizeof(text) });
}

/* Writes the character at p, which is not plain, and returns how many bytes it had. */
static size_t
add_escaped(struct buf *b, const char *p, size_t left)
{
	static const char values[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
	const char *at = *p ? strchr(values, *p) : NULL;
	uint32_t code = UTF8_REPLACEMENT;
	char text[2];
	size_t n;

	if (at) {
		text[0] = '\\';
		text[1] = names[at - values];
		buf_add(b, (struct span){ text, 2 });
		return 1;
	}
	n = utf8_decode(p, left, &code);
	if (code >= 0x10000) {
		add_u(b, 0xd800 + ((code - 0x10000) >> 10));
		add_u(b, 0xdc00 + ((code - 0x10000) & 0x3ff));
	} else {
		add_u(b, code);
	}
	return n ? n : 1;
}

void
js_add_string(struct buf *b, struct span s)
{
	const char *p = s.ptr ? s.ptr : "", *end = p + s.len, *from;

	buf_addc(b, '"');
	while (p < end) {
		from = p;
		while (p < end && is_plain(*p))
			p++;
		buf_add(b, (struct span){ from, (size_t)(p - from) });
		if (p < end)
			p += add_escaped(b, p, (size_t)(end - p));
	}
	buf_addc(b, '"');
}

void
js_string(struct js *w, struct span s)
{
	if (!s.ptr) {
		js_null(w);
		return;
	}
	begin_item(w);
	js_add_string(w->b, s);
}

void
js_text(struct js *w, const char *s)
{
	js_string(w, span_of(s));
}

void
js_int(struct js *w, int64_t i)
{
	char digits[20], *p = digits + sizeof(digits);
	uint64_t left = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;

	begin_item(w);
	do
		*--p = (char)('0' + left % 10);
	while (left /= 10);
	if (i < 0)
		*--p = '-';
	buf_add(w->b, (struct span){ p, (size_t)(digits + sizeof(digits) - p) });
}

void
js_double(struct js *w, double d)
{
	char text[TEXT_DOUBLE_MAX];

	begin_item(w);
	if (isnan(d))
		buf_add(w->b, SPAN("NaN"));
	else if (isinf(d))
		buf_add(w->b, d < 0 ? SPAN("-Infinity") : SPAN("Infinity"));
	else
		buf_add(w->b, (struct span){ text, text_format_double(d, text) });
}

void
js_bool(struct js *w, bool v)
{
	js_raw(w, v ? SPAN("true") : SPAN("false"));
}

void
js_null(struct js *w)
{
	js_raw(w, SPAN("null"));
}

void
js_raw(struct js *w, struct span json)
{
	begin_item(w);
	buf_add(w->b, json.len ? json : SPAN("null"));
}
