/*
 * Raw JSON as the text Python would print for it: what monitors show as a task's arguments. It follows
 * Celery's saferepr token by token, with its quirks at the limit (", ..." replaces the token that no
 * longer fits, and a bracket that would have been that token is lost), so that the text is the one a
 * Celery client would have sent.
 *
 * Only what fits is looked at: a long list or string is left where the limit is reached.
 */
#include "base/js.h"
#include "wire/field.h"
#include "wire/task.h"

#include <math.h>

#define ARGSREPR_MAX 1024
#define LEVEL_MAX 3

struct repr {
	struct buf *b;
	int64_t left; /* characters, may go below 0 with the last token */
	bool done;
};

/* Bytes of the character at the start of JSON string contents. */
static size_t
char_len(struct span s)
{
	unsigned char c = (unsigned char)s.ptr[0];
	size_t n = 1;

	if (c == '\\') {
		n = s.len > 1 && s.ptr[1] == 'u' ? 6 : 2;
		/* \ud8xx\udcxx is one character */
		if (n == 6 && s.len >= 12 && (s.ptr[2] | 0x20) == 'd' && strchr("89abAB", s.ptr[3]) &&
			s.ptr[6] == '\\' && s.ptr[7] == 'u' && (s.ptr[8] | 0x20) == 'd' &&
			strchr("cdefCDEF", s.ptr[9]))
			n = 12;
	} else if (c >= 0xf0) {
		n = 4;
	} else if (c >= 0xe0) {
		n = 3;
	} else if (c >= 0xc0) {
		n = 2;
	}
	return n < s.len ? n : s.len;
}

/* Cuts s after at most max characters; true when there are as many as that. */
static bool
cut(struct span *s, int64_t max)
{
	struct span rest = *s;
	size_t n;

	while (rest.len && max > 0) {
		n = char_len(rest);
		rest.ptr += n;
		rest.len -= n;
		max--;
	}
	s->len -= rest.len;
	return max == 0;
}

static int64_t
chars(struct span s)
{
	int64_t n = 0;
	size_t i;

	for (i = 0; i < s.len; i++)
		if (((unsigned char)s.ptr[i] & 0xc0) != 0x80)
			n++;
	return n;
}

/* Whether there is room for one more token; says ", ..." when there is not. */
static bool
room(struct repr *r)
{
	if (!r->done && r->left <= 0) {
		buf_adds(r->b, ", ...");
		r->done = true;
	}
	if (r->b->err != E_OK)
		r->done = true;
	return !r->done;
}

static void
put(struct repr *r, const char *text)
{
	if (!room(r))
		return;
	buf_adds(r->b, text);
	r->left -= (int64_t)strlen(text);
}

static void
close_bracket(struct repr *r, const char *text)
{
	if (r->done)
		buf_adds(r->b, text);
	else
		put(r, text);
}

static void
put_word(struct repr *r, struct span word)
{
	bool long_word;

	if (!room(r))
		return;
	long_word = (int64_t)word.len >= r->left;
	if (long_word)
		word.len = (size_t)r->left;
	buf_add(r->b, word);
	if (long_word)
		buf_adds(r->b, "...");
	r->left -= (int64_t)word.len + (long_word ? 3 : 0);
}

static void
put_quoted(struct repr *r, struct span text, bool was_cut)
{
	struct span part;
	size_t i;

	if (was_cut)
		for (i = text.len; i > 0; i--)
			if (text.ptr[i - 1] == ' ') {
				text.len = i - 1;
				break;
			}
	buf_addc(r->b, '\'');
	r->left -= 2 + chars(text) + (was_cut ? 3 : 0);
	for (;;) {
		part = span_split(&text, '\'');
		buf_add(r->b, part);
		if (!text.ptr)
			break;
		buf_adds(r->b, "\\'");
		r->left--;
	}
	buf_adds(r->b, was_cut ? "...'" : "'");
}

/* `string` with its quotes. */
static void
put_string(struct repr *r, struct span string)
{
	struct span inner = { string.ptr + 1, string.len - 2 };
	struct buf quoted, decoded;
	bool was_cut;

	if (!room(r))
		return;
	was_cut = cut(&inner, r->left);
	if (!inner.len || !memchr(inner.ptr, '\\', inner.len)) {
		put_quoted(r, inner, was_cut);
		return;
	}
	buf_init(&quoted, 0);
	buf_init(&decoded, 0);
	buf_addc(&quoted, '"');
	buf_add(&quoted, inner);
	buf_addc(&quoted, '"');
	if (quoted.err == E_OK)
		jscan_add_string(&decoded, buf_span(&quoted));
	if (quoted.err != E_OK || decoded.err != E_OK)
		r->b->err = E_NOMEM;
	else
		put_quoted(r, decoded.len ? buf_span(&decoded) : SPAN(""), was_cut);
	buf_release(&quoted);
	buf_release(&decoded);
}

static bool
is_integer(struct span n)
{
	size_t i;

	for (i = 0; i < n.len; i++)
		if (n.ptr[i] != '-' && (n.ptr[i] < '0' || n.ptr[i] > '9'))
			return false;
	return true;
}

static void
put_number(struct repr *r, struct span number)
{
	bool minus = number.ptr[0] == '-';
	struct buf b;
	struct js w;
	double d;

	if (is_integer(number)) {
		put_word(r, span_is(number, "-0") ? SPAN("0") : number);
	} else if (span_is(number, "NaN")) {
		put_word(r, SPAN("nan"));
	} else if (span_ends(number, "Infinity") || !jscan_double(number, &d) || isinf(d)) {
		put_word(r, minus ? SPAN("-inf") : SPAN("inf"));
	} else {
		buf_init(&b, 0);
		js_init(&w, &b);
		js_double(&w, d);
		if (b.err == E_OK)
			put_word(r, buf_span(&b));
		else
			r->b->err = b.err;
		buf_release(&b);
	}
}

static void put_value(struct repr *r, struct span value, int level, bool as_tuple);

static void
put_members(struct repr *r, struct span container, int level)
{
	struct jscan_iter it;
	bool first = true;

	if (!jscan_begin(&it, container))
		return;
	while (!r->done && jscan_next(&it)) {
		if (!first)
			put(r, ", ");
		first = false;
		if (it.is_object) {
			/* the quotes stand around it */
			put_string(r, (struct span){ it.key.ptr - 1, it.key.len + 2 });
			put(r, ": ");
		}
		put_value(r, it.value, level, false);
	}
}

/* More than one member? jscan_count would walk them all. */
static bool
is_single(struct span array)
{
	struct jscan_iter it;

	return jscan_begin(&it, array) && jscan_next(&it) && !jscan_next(&it);
}

static void
put_container(struct repr *r, struct span value, int level, bool as_tuple)
{
	bool object = jscan_kind(value) == JSCAN_OBJECT;

	if (r->done)
		return;
	if (level >= LEVEL_MAX) {
		put_word(r, object ? SPAN("{...}") : SPAN("[...]"));
		return;
	}
	put(r, object ? "{" : as_tuple ? "(" : "[");
	put_members(r, value, level + 1);
	if (object)
		close_bracket(r, "}");
	else if (as_tuple)
		close_bracket(r, is_single(value) ? ",)" : ")");
	else
		close_bracket(r, "]");
}

static void
put_value(struct repr *r, struct span value, int level, bool as_tuple)
{
	switch (jscan_kind(value)) {
	case JSCAN_ARRAY:
	case JSCAN_OBJECT:
		put_container(r, value, level, as_tuple);
		break;
	case JSCAN_STRING:
		put_string(r, value);
		break;
	case JSCAN_NUMBER:
		put_number(r, value);
		break;
	case JSCAN_TRUE:
		put_word(r, SPAN("True"));
		break;
	case JSCAN_FALSE:
		put_word(r, SPAN("False"));
		break;
	case JSCAN_NULL:
	case JSCAN_NONE:
		put_word(r, SPAN("None"));
		break;
	}
}

void
task_add_argsrepr(struct buf *b, struct span args)
{
	struct repr r = { .b = b, .left = ARGSREPR_MAX };

	put_value(&r, args, 0, true);
}

void
task_add_repr(struct buf *b, struct span json, size_t max)
{
	struct repr r = { .b = b, .left = (int64_t)(max < INT32_MAX ? max : INT32_MAX) };

	put_value(&r, json, 0, false);
}
