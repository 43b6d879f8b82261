/*
 * The JSON scanner. It checks the grammar with one loop and a stack of bits that says for each open container
 * whether it is an object:
 *
 *   WANT_VALUE --'['--> FIRST_VALUE --value--> AFTER --','--> WANT_VALUE (array) or WANT_KEY (object)
 *              --'{'--> FIRST_KEY --key ':'--> WANT_VALUE        --end of container--> AFTER
 *              --string, number, word--------> AFTER             --nothing open------> only blanks may follow
 *
 * The inside of strings is where most bytes are, so it is skipped eight bytes at a time.
 * Walking through checked text is in jscan_iter.c.
 */
#include "base/jscan.h"

#include "base/utf8.h"

enum { DEPTH_DEFAULT = 64 };

enum state { WANT_VALUE, FIRST_VALUE, WANT_KEY, FIRST_KEY, AFTER };

struct scan {
	const char *p, *end;
	const char *why; /* what is wrong at p */
	struct jscan_facts facts;
	uint64_t is_object[JSCAN_DEPTH_MAX / 64]; /* one bit for each level that is open */
};

/* Whether eight bytes hold a quote, a backslash, a control character or a byte of 0x80 and above. May say yes
 * wrongly for a byte above a hit, never no wrongly: see "Bit Twiddling Hacks", hasless and haszero. */
static uint64_t
has_special(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	uint64_t quote = w ^ ones * '"', slash = w ^ ones * '\\';

	return (((w - ones * 0x20) | (quote - ones) | (slash - ones)) | w) & tops;
}

/* The first byte from p on that is not plain text inside a string, or end. */
static const char *
skip_plain(const char *p, const char *end)
{
	uint64_t word;

	while (end - p >= 8) {
		memcpy(&word, p, 8);
		if (has_special(word))
			break;
		p += 8;
	}
	while (p < end && *p != '"' && *p != '\\' && (signed char)*p >= 0x20)
		p++;
	return p;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
fail(struct scan *s, const char *at, const char *why)
{
	s->p = at;
	s->why = why;
	return false;
}

static bool
check_escape(struct scan *s)
{
	const char *p = s->p;

	if (s->end - p < 2)
		return fail(s, s->end, "the string does not end");
	if (p[1] == 'u') {
		for (int i = 2; i < 6; i++) {
			if (p + i >= s->end || !is_hex(p[i]))
				return fail(s, p, "\\u needs four hexadecimal digits");
		}
		s->p = p + 6;
		return true;
	}
	if (p[1] == '\0' || !strchr("\"\\/bfnrt", p[1]))
		return fail(s, p, "an unknown escape");
	s->p = p + 2;
	return true;
}

/* s->p is behind the opening quote, and then behind the closing one. */
static bool
check_string(struct scan *s)
{
	size_t n;

	for (;;) {
		s->p = skip_plain(s->p, s->end);
		if (s->p == s->end)
			return fail(s, s->end, "the string does not end");
		if (*s->p == '"') {
			s->p++;
			return true;
		}
		if (*s->p == '\\') {
			if (!check_escape(s))
				return false;
		} else if (*s->p & 0x80) {
			/* Such characters come in runs. */
			do {
				n = utf8_len(s->p, (size_t)(s->end - s->p));
				if (n == 0)
					return fail(s, s->p, "invalid UTF-8");
				s->p += n;
			} while (s->p < s->end && *s->p & 0x80);
		} else {
			return fail(s, s->p, "a control character in a string");
		}
	}
}

static const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
}

static bool
check_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return fail(s, s->p, "a value was expected");
	s->p += n;
	return true;
}

static bool
check_number(struct scan *s)
{
	const char *p = s->p, *from;

	if (*p == '-')
		p++;
	if (p < s->end && *p == 'I') {
		s->p = p;
		s->facts.has_nonfinite = true;
		return check_word(s, "Infinity");
	}
	from = p;
	p = skip_digits(p, s->end);
	if (p == from)
		return fail(s, from, "a digit was expected");
	if (*from == '0' && p - from > 1)
		return fail(s, from, "a number with a leading zero");
	if (p < s->end && *p == '.') {
		from = ++p;
		p = skip_digits(p, s->end);
		if (p == from)
			return fail(s, from, "a digit was expected");
	}
	if (p < s->end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < s->end && (*p == '+' || *p == '-'))
			p++;
		from = p;
		p = skip_digits(p, s->end);
		if (p == from)
			return fail(s, from, "a digit was expected");
	}
	s->p = p;
	return true;
}

/* A string, number or word; containers are the business of the loop. */
static bool
check_scalar(struct scan *s)
{
	switch (*s->p) {
	case '"':
		s->p++;
		return check_string(s);
	case 't':
		return check_word(s, "true");
	case 'f':
		return check_word(s, "false");
	case 'n':
		return check_word(s, "null");
	case 'N':
		s->facts.has_nonfinite = true;
		return check_word(s, "NaN");
	case 'I':
		s->facts.has_nonfinite = true;
		return check_word(s, "Infinity");
	default:
		if (*s->p == '-' || is_digit(*s->p))
			return check_number(s);
		return fail(s, s->p, "a value was expected");
	}
}

static void
skip_blanks(struct scan *s)
{
	for (; s->p < s->end; s->p++) {
		if (*s->p == '\n' || *s->p == '\r')
			s->facts.has_newline = true;
		else if (*s->p != ' ' && *s->p != '\t')
			return;
	}
}

static bool
in_object(const struct scan *s, int depth)
{
	return s->is_object[(depth - 1) / 64] >> ((depth - 1) % 64) & 1;
}

static void
push_kind(struct scan *s, int depth, bool object)
{
	uint64_t bit = (uint64_t)1 << (depth % 64);

	if (depth % 64 == 0)
		s->is_object[depth / 64] = 0;
	if (object)
		s->is_object[depth / 64] |= bit;
	else
		s->is_object[depth / 64] &= ~bit;
}

static bool
check_key(struct scan *s)
{
	if (*s->p != '"')
		return fail(s, s->p, "a key in quotes was expected");
	s->p++;
	if (!check_string(s))
		return false;
	skip_blanks(s);
	if (s->p == s->end || *s->p != ':')
		return fail(s, s->p, "':' was expected");
	s->p++;
	return true;
}

/* What follows a value inside a container: its end, or a comma. */
static bool
check_after(struct scan *s, int *depth, enum state *st)
{
	bool object = in_object(s, *depth);

	if (*s->p == ',')
		*st = object ? WANT_KEY : WANT_VALUE;
	else if (*s->p == (object ? '}' : ']'))
		--*depth;
	else
		return fail(s, s->p, object ? "',' or '}' was expected" : "',' or ']' was expected");
	s->p++;
	return true;
}

/* Opens a container: E_TOOBIG when a limit is passed. */
static enum err
open_container(struct scan *s, int *depth, int depth_max, size_t containers_max, struct errtext *t)
{
	if (*depth >= depth_max)
		return err_set(t, E_TOOBIG, "JSON nested deeper than %d levels", depth_max);
	s->facts.containers++;
	if (containers_max && s->facts.containers > containers_max)
		return err_set(t, E_TOOBIG, "JSON with more than %zu arrays and objects", containers_max);
	push_kind(s, *depth, *s->p == '{');
	++*depth;
	if (*depth > s->facts.depth)
		s->facts.depth = *depth;
	s->p++;
	return E_OK;
}

static int
depth_limit(const struct jscan_limits *lim)
{
	if (!lim || lim->depth_max <= 0)
		return DEPTH_DEFAULT;
	return lim->depth_max < JSCAN_DEPTH_MAX ? lim->depth_max : JSCAN_DEPTH_MAX;
}

/* The loop over tokens: E_OK, E_TOOBIG, or E_FORMAT with s->why and s->p set. */
static enum err
check_tokens(struct scan *s, const struct jscan_limits *lim, struct errtext *t)
{
	int depth_max = depth_limit(lim), depth = 0;
	enum state st = WANT_VALUE;
	enum err e;

	for (;;) {
		skip_blanks(s);
		if (st == AFTER && depth == 0)
			break;
		if (s->p == s->end) {
			fail(s, s->end, "the text ends too early");
			return E_FORMAT;
		}
		if (st == AFTER) {
			if (!check_after(s, &depth, &st))
				return E_FORMAT;
		} else if ((st == FIRST_VALUE && *s->p == ']') || (st == FIRST_KEY && *s->p == '}')) {
			s->p++;
			depth--;
			st = AFTER;
		} else if (st == WANT_KEY || st == FIRST_KEY) {
			if (!check_key(s))
				return E_FORMAT;
			st = WANT_VALUE;
		} else if (*s->p == '{' || *s->p == '[') {
			st = *s->p == '{' ? FIRST_KEY : FIRST_VALUE;
			e = open_container(s, &depth, depth_max, lim ? lim->containers_max : 0, t);
			if (e != E_OK)
				return e;
		} else if (check_scalar(s)) {
			st = AFTER;
		} else {
			return E_FORMAT;
		}
	}
	if (s->p == s->end)
		return E_OK;
	fail(s, s->p, "more text after the value");
	return E_FORMAT;
}

enum err
jscan_check(struct span text, const struct jscan_limits *lim, struct jscan_facts *facts, struct errtext *t)
{
	struct scan s; /* not zeroed as a whole: most texts need one word of the stack, which push_kind sets */
	const char *start = text.ptr ? text.ptr : "";
	enum err e;

	s.p = start;
	s.end = start + text.len;
	s.why = NULL;
	s.facts = (struct jscan_facts){ 0 };
	e = check_tokens(&s, lim, t);
	if (facts)
		*facts = s.facts;
	if (e == E_FORMAT && text.len == 0)
		return err_set(t, E_FORMAT, "not JSON: empty");
	if (e == E_FORMAT)
		return err_set(t, E_FORMAT, "not JSON: %s at byte %zu", s.why, (size_t)(s.p - start));
	return e;
}
