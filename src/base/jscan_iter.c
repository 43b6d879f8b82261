/*
 * Walks through JSON text that jscan_check has passed, and decodes single values. It only looks for the ends of
 * values. It never steps out of its span even when the text was not checked, but then what it returns means
 * nothing.
 */
#include "base/jscan.h"

#include "base/text.h"
#include "base/utf8.h"

#include <math.h>

enum jscan_kind
jscan_kind(struct span value)
{
	if (value.len == 0)
		return JSCAN_NONE;
	switch (value.ptr[0]) {
	case '"':
		return JSCAN_STRING;
	case '{':
		return JSCAN_OBJECT;
	case '[':
		return JSCAN_ARRAY;
	case 't':
		return JSCAN_TRUE;
	case 'f':
		return JSCAN_FALSE;
	case 'n':
		return JSCAN_NULL;
	default:
		return JSCAN_NUMBER;
	}
}

bool
jscan_begin(struct jscan_iter *it, struct span container)
{
	enum jscan_kind kind;

	container = span_trim(container);
	kind = jscan_kind(container);
	*it = (struct jscan_iter){ .rest = SPAN_NONE, .is_object = kind == JSCAN_OBJECT };
	if ((kind != JSCAN_OBJECT && kind != JSCAN_ARRAY) || container.len < 2)
		return false;
	it->rest = (struct span){ container.ptr + 1, container.len - 2 };
	return true;
}

static const char *
skip_blank_chars(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

/* p is at the opening quote; returns what is behind the closing one, or end. A quote ends the string when an even
 * number of backslashes stands before it. */
static const char *
skip_string(const char *p, const char *end)
{
	const char *from = ++p, *quote, *slash;

	while (p < end && (quote = memchr(p, '"', (size_t)(end - p)))) {
		for (slash = quote; slash > from && slash[-1] == '\\'; slash--)
			continue;
		if ((quote - slash) % 2 == 0)
			return quote + 1;
		p = quote + 1;
	}
	return end;
}

/* p is at the bracket; returns what is behind the matching one, or end. */
static const char *
skip_container(const char *p, const char *end)
{
	size_t depth = 0;

	while (p < end) {
		switch (*p) {
		case '"':
			p = skip_string(p, end);
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (--depth == 0)
				return p + 1;
			break;
		default:
			break;
		}
		p++;
	}
	return end;
}

static const char *
skip_value(const char *p, const char *end)
{
	if (*p == '"')
		return skip_string(p, end);
	if (*p == '{' || *p == '[')
		return skip_container(p, end);
	while (p < end && *p != ',' && *p != ' ' && *p != '\n' && *p != '\t' && *p != '\r')
		p++;
	return p;
}

bool
jscan_next(struct jscan_iter *it)
{
	const char *p = it->rest.ptr, *end, *from;

	it->key = it->value = SPAN_NONE;
	if (!p)
		return false;
	end = p + it->rest.len;
	it->rest = SPAN_NONE;
	p = skip_blank_chars(p, end);
	if (it->is_object && p < end) {
		from = p;
		p = *p == '"' ? skip_string(p, end) : end;
		if (p - from < 2)
			return false;
		it->key = (struct span){ from + 1, (size_t)(p - from) - 2 };
		p = skip_blank_chars(p, end);
		if (p < end && *p == ':')
			p = skip_blank_chars(p + 1, end);
	}
	if (p >= end)
		return false;
	from = p;
	p = skip_value(p, end);
	it->value = (struct span){ from, (size_t)(p - from) };
	p = skip_blank_chars(p, end);
	if (p < end && *p == ',')
		it->rest = (struct span){ p + 1, (size_t)(end - p) - 1 };
	return true;
}

size_t
jscan_count(struct span container)
{
	struct jscan_iter it;
	size_t n = 0;

	if (!jscan_begin(&it, container))
		return 0;
	while (jscan_next(&it))
		n++;
	return n;
}

static uint32_t
hex_value(char c)
{
	return (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10) & 15;
}

static uint32_t
hex4(const char *p)
{
	uint32_t code = 0;

	for (int i = 0; i < 4; i++)
		code = code << 4 | hex_value(p[i]);
	return code;
}

/* Resolves the escape at *p (a backslash) into out, moves *p behind it, returns the bytes written. */
static size_t
unescape(const char **p, const char *end, char out[UTF8_MAX])
{
	static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
	const char *s = *p, *name;
	uint32_t code, low;

	if (end - s < 2) {
		*p = end;
		return utf8_encode(UTF8_REPLACEMENT, out);
	}
	if (s[1] != 'u' || end - s < 6) {
		*p = s + 2;
		name = s[1] ? strchr(names, s[1]) : NULL;
		out[0] = name ? values[name - names] : s[1];
		return 1;
	}
	code = hex4(s + 2);
	s += 6;
	if (code >= 0xd800 && code < 0xdc00 && end - s >= 6 && s[0] == '\\' && s[1] == 'u') {
		low = hex4(s + 2);
		if (low >= 0xdc00 && low < 0xe000) {
			code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
			s += 6;
		}
	}
	*p = s;
	return utf8_encode(code, out); /* writes a lone surrogate as U+FFFD */
}

static bool
key_is(struct span raw, struct span key)
{
	const char *p = raw.ptr, *end = raw.ptr + raw.len;
	char one[UTF8_MAX];
	size_t n;

	if (raw.len == 0 || !memchr(raw.ptr, '\\', raw.len))
		return span_eq(raw, key);
	while (p < end) {
		if (*p == '\\') {
			n = unescape(&p, end, one);
		} else {
			one[0] = *p++;
			n = 1;
		}
		if (n > key.len || memcmp(one, key.ptr, n) != 0)
			return false;
		key.ptr += n;
		key.len -= n;
	}
	return key.len == 0;
}

struct span
jscan_member(struct span object, const char *key)
{
	struct span wanted = span_of(key), found = SPAN_NONE;
	struct jscan_iter it;

	if (!jscan_begin(&it, object) || !it.is_object)
		return SPAN_NONE;
	while (jscan_next(&it)) {
		if (key_is(it.key, wanted))
			found = it.value;
	}
	return found;
}

static struct span
without_quotes(struct span string)
{
	if (string.len < 2 || string.ptr[0] != '"')
		return SPAN_NONE;
	return (struct span){ string.ptr + 1, string.len - 2 };
}

void
jscan_add_string(struct buf *out, struct span string)
{
	struct span inner = without_quotes(string);
	const char *p, *end, *slash;
	char one[UTF8_MAX];
	size_t n;

	if (inner.len == 0)
		return;
	p = inner.ptr;
	end = p + inner.len;
	while ((slash = memchr(p, '\\', (size_t)(end - p)))) {
		buf_add(out, (struct span){ p, (size_t)(slash - p) });
		p = slash;
		n = unescape(&p, end, one);
		buf_add(out, (struct span){ one, n });
	}
	buf_add(out, (struct span){ p, (size_t)(end - p) });
}

bool
jscan_plain_string(struct span string, struct span *out)
{
	struct span inner = without_quotes(string);

	if (!inner.ptr || (inner.len && memchr(inner.ptr, '\\', inner.len)))
		return false;
	*out = inner;
	return true;
}

bool
jscan_int(struct span number, int64_t *out)
{
	if (number.len == 0 || number.ptr[0] == '+')
		return false;
	return text_parse_int(number, out);
}

bool
jscan_double(struct span number, double *out)
{
	if (jscan_kind(number) != JSCAN_NUMBER || number.ptr[0] == '+')
		return false;
	if (span_is(number, "NaN"))
		*out = (double)NAN;
	else if (span_is(number, "Infinity"))
		*out = (double)INFINITY;
	else if (span_is(number, "-Infinity"))
		*out = (double)-INFINITY;
	else
		return text_scan_double(number, out);
	return true;
}
