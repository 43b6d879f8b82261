/*
 * Spans: bytes that somebody else owns. Nothing here allocates or keeps a pointer beyond the call, and no
 * function reads a byte outside of the span it was given.
 */
#include "base/base.h"

struct span
span_of(const char *text)
{
	if (!text)
		return SPAN_NONE;
	return (struct span){ text, strlen(text) };
}

bool
span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool
span_is(struct span a, const char *text)
{
	return span_eq(a, span_of(text));
}

bool
span_starts(struct span a, const char *prefix)
{
	size_t n = strlen(prefix);

	return a.len >= n && (n == 0 || memcmp(a.ptr, prefix, n) == 0);
}

bool
span_ends(struct span a, const char *suffix)
{
	size_t n = strlen(suffix);

	return a.len >= n && (n == 0 || memcmp(a.ptr + a.len - n, suffix, n) == 0);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct span
span_trim(struct span a)
{
	while (a.len > 0 && is_blank(a.ptr[a.len - 1]))
		a.len--;
	while (a.len > 0 && is_blank(a.ptr[0])) {
		a.ptr++;
		a.len--;
	}
	return a;
}

struct span
span_split(struct span *rest, char sep)
{
	struct span head = *rest;
	const char *at = head.len ? memchr(head.ptr, sep, head.len) : NULL;

	if (!at) {
		*rest = SPAN_NONE;
		return head;
	}
	head.len = (size_t)(at - head.ptr);
	rest->ptr = at + 1;
	rest->len -= head.len + 1;
	return head;
}
