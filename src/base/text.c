/* Text of strangers made safe to show, patterns, words of a command line, and node names (base/text.h). */
#include "base/text.h"

#include "base/alloc.h"
#include "base/utf8.h"

bool
text_is_utf8(struct span s)
{
	size_t i = 0, n;

	for (; i < s.len; i += n) {
		n = utf8_len(s.ptr + i, s.len - i);
		if (n == 0)
			return false;
	}
	return true;
}

bool
text_is_plain(struct span s, size_t max)
{
	size_t i;

	if (s.len < 1 || s.len > max)
		return false;
	for (i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return false;
	return text_is_utf8(s);
}

/* Not for a terminal: C0, DEL, C1 (one of them starts a control sequence), line and paragraph separator, and what
 * turns the writing direction, which can make a line read differently from what it says. */
static bool
is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
		(c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void
add_hex(struct buf *b, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n')
			buf_add(b, SPAN("\\n"));
		else if (p[i] == '\r')
			buf_add(b, SPAN("\\r"));
		else if (p[i] == '\t')
			buf_add(b, SPAN("\\t"));
		else
			buf_addf(b, "\\x%02x", (unsigned char)p[i]);
	}
}

/* The largest length up to max that does not cut a character in two. */
static size_t
cut_at_character(struct span s, size_t max)
{
	size_t n = max;

	while (n > 0 && max - n < UTF8_MAX && (s.ptr[n] & 0xc0) == 0x80)
		n--;
	return (s.ptr[n] & 0xc0) == 0x80 ? max : n;
}

void
text_add_printable(struct buf *b, struct span s, size_t max)
{
	size_t i = 0, from = 0, n, end = s.len;
	uint32_t code = 0;

	if (max && s.len > max)
		end = cut_at_character(s, max);
	while (i < end) {
		n = utf8_decode(s.ptr + i, end - i, &code);
		if (n && !is_unsafe(code)) {
			i += n;
			continue;
		}
		buf_add(b, (struct span){ s.ptr + from, i - from });
		n = n ? n : 1;
		add_hex(b, s.ptr + i, n);
		from = i += n;
	}
	if (i > from)
		buf_add(b, (struct span){ s.ptr + from, i - from });
	if (end < s.len)
		buf_add(b, SPAN("..."));
}

/* Takes one character off the front; a byte that is no UTF-8 stands for itself. */
static uint32_t
take_char(struct span *s)
{
	uint32_t code = 0;
	size_t n = utf8_decode(s->ptr, s->len, &code);

	if (n == 0) {
		code = 0x110000u + (unsigned char)s->ptr[0];
		n = 1;
	}
	s->ptr += n;
	s->len -= n;
	return code;
}

/* The length of the set at the start of a pattern, "[!a-z]", or 0. A ']' that comes first belongs to the set. */
static size_t
set_len(struct span p)
{
	size_t i = 1;

	if (i < p.len && p.ptr[i] == '!')
		i++;
	if (i < p.len && p.ptr[i] == ']')
		i++;
	while (i < p.len && p.ptr[i] != ']')
		i++;
	return i < p.len ? i + 1 : 0;
}

static bool
set_has(struct span set, uint32_t c)
{
	struct span s = { set.ptr + 1, set.len - 2 };
	bool negated = s.ptr[0] == '!', found = false;
	uint32_t low, high;

	if (negated) {
		s.ptr++;
		s.len--;
	}
	while (s.len) {
		low = high = take_char(&s);
		if (s.len >= 2 && s.ptr[0] == '-') {
			s.ptr++;
			s.len--;
			high = take_char(&s);
		}
		found = found || (c >= low && c <= high);
	}
	return found != negated;
}

/* Matches the first element of the pattern (not '*') with the first character of the text and takes both. */
static bool
glob_one(struct span *pattern, struct span *text)
{
	struct span set = { pattern->ptr, 0 };
	uint32_t c;

	if (pattern->ptr[0] == '[')
		set.len = set_len(*pattern);
	c = take_char(text);
	if (set.len) {
		pattern->ptr += set.len;
		pattern->len -= set.len;
		return set_has(set, c);
	}
	if (pattern->ptr[0] == '?') {
		pattern->ptr++;
		pattern->len--;
		return true;
	}
	return take_char(pattern) == c;
}

/* Only the last '*' has to be tried again with more text, so the time is at most the product of the lengths. */
bool
text_glob(struct span pattern, struct span text)
{
	struct span star = SPAN_NONE, retry = SPAN_NONE;

	for (;;) {
		if (pattern.len && pattern.ptr[0] == '*') {
			pattern.ptr++;
			pattern.len--;
			if (pattern.len == 0)
				return true;
			star = pattern;
			retry = text;
			continue;
		}
		if (text.len == 0)
			return pattern.len == 0;
		if (pattern.len && glob_one(&pattern, &text))
			continue;
		if (!star.ptr || retry.len == 0)
			return false;
		take_char(&retry);
		pattern = star;
		text = retry;
	}
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Copies one word from s[*i] to *out, without its quotes. NULL, or what is wrong with it. */
static const char *
copy_word(struct span s, size_t *i, char **out)
{
	char quote = '\0', c;

	for (; *i < s.len; ++*i) {
		c = s.ptr[*i];
		if (c == '\0')
			return "it holds a NUL byte";
		if (quote && c == quote) {
			quote = '\0';
		} else if (!quote && (c == '\'' || c == '"')) {
			quote = c;
		} else if (!quote && is_blank(c)) {
			break;
		} else if (c == '\\' && quote != '\'') {
			if (*i + 1 == s.len)
				return "it ends in a backslash; write \\\\ for one";
			/* Inside "...", a backslash quotes only these two, as in sh. */
			if (quote && s.ptr[*i + 1] != '"' && s.ptr[*i + 1] != '\\')
				*(*out)++ = c;
			*(*out)++ = s.ptr[++*i];
		} else {
			*(*out)++ = c;
		}
	}
	*(*out)++ = '\0';
	return quote ? "a quote is not closed" : NULL;
}

enum err
text_split_words(struct span s, char ***argv, size_t *argc, struct errtext *t)
{
	size_t words_max = s.len / 2 + 1, n = 0, i = 0;
	const char *why = NULL;
	char **list, *out;

	*argv = NULL;
	*argc = 0;
	if (s.len > SIZE_MAX / 16)
		return err_set(t, E_TOOBIG, "a command line that long cannot be split");
	list = alloc_bytes((words_max + 1) * sizeof(*list) + s.len + 1);
	if (!list)
		return err_set(t, E_NOMEM, "out of memory");
	out = (char *)(list + words_max + 1);
	while (!why) {
		while (i < s.len && is_blank(s.ptr[i]))
			i++;
		if (i == s.len)
			break;
		list[n++] = out;
		why = copy_word(s, &i, &out);
	}
	if (why) {
		alloc_free(list);
		return err_set(t, E_FORMAT, "the command line cannot be split: %s", why);
	}
	list[n] = NULL;
	*argv = list;
	*argc = n;
	return E_OK;
}

/* Appends the pattern with its %x replaced. */
static enum err
expand_name(struct span pattern, struct span host, struct buf *out, struct errtext *t)
{
	struct span domain = host, short_host = span_split(&domain, '.');
	char c;

	for (size_t i = 0; i < pattern.len; i++) {
		c = pattern.ptr[i];
		if ((unsigned char)c <= ' ' || c == 0x7f)
			return err_set(t, E_CONF, "a node name has no blanks or control characters in it");
		if (c != '%') {
			buf_addc(out, c);
			continue;
		}
		c = ++i < pattern.len ? pattern.ptr[i] : '\0';
		if (c == 'h')
			buf_add(out, host);
		else if (c == 'n')
			buf_add(out, short_host);
		else if (c == 'd')
			buf_add(out, domain);
		else if (c == 'i')
			buf_addc(out, '0');
		else if (c == '%')
			buf_addc(out, '%');
		else if (c != 'I')
			return err_set(t, E_CONF,
				"a node name may hold %%h %%n %%d %%i %%I and %%%%, not \"%%%.*s\"",
				i < pattern.len ? 1 : 0,
				i < pattern.len && c > ' ' && c < 0x7f ? &pattern.ptr[i] : "?");
	}
	return out->err;
}

/* Names of queues and consumers are made from it, which AMQP bounds to 255 bytes. */
enum err
text_node_name(const char *pattern, const char *host, struct buf *out, struct errtext *t)
{
	struct span rest = span_of(pattern), name = SPAN("celery"), host_part = SPAN("%h");
	size_t from = out->len;
	enum err e;

	if (!host || !*host)
		return err_set(t, E_CONF,
			"this machine has no host name; give the node a name with one, such as w1@myhost");
	if (rest.len && memchr(rest.ptr, '@', rest.len)) {
		struct span before = span_split(&rest, '@');

		if (before.len)
			name = before;
	}
	if (rest.len)
		host_part = rest;
	e = expand_name(name, span_of(host), out, t);
	buf_addc(out, '@');
	if (e == E_OK)
		e = expand_name(host_part, span_of(host), out, t);
	if (e == E_NOMEM || e == E_TOOBIG)
		return err_set(t, e, "node name: %s", err_name(e));
	if (e == E_OK && out->len - from > TEXT_NODE_MAX)
		return err_set(t, E_CONF,
			"a node name of %zu bytes is too long, at most %d can be used (%%n is the short host name)",
			out->len - from, TEXT_NODE_MAX);
	return e;
}
