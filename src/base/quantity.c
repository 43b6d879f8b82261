/*
 * Durations and sizes as people write them (base/text.h): a decimal number and a unit. Values are computed
 * with 128 bits, so that a fraction of a large unit is exact and an overflow is seen.
 */
#include "base/text.h"

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit time_units[] = {
	{ "d", 86400000 },
	{ "h", 3600000 },
	{ "min", 60000 },
	{ "m", 60000 },
	{ "s", 1000 },
	{ "ms", 1 },
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "K", (int64_t)1 << 10 },
	{ "M", (int64_t)1 << 20 },
	{ "G", (int64_t)1 << 30 },
	{ "T", (int64_t)1 << 40 },
};

struct decimal {
	int64_t whole, fraction, scale; /* whole + fraction / scale */
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Takes "12" or "12.5" off the front of *s. Digits behind the ninth of the fraction do not count. */
static bool
take_decimal(struct span *s, struct decimal *d)
{
	size_t i = 0, from;

	*d = (struct decimal){ .scale = 1 };
	while (i < s->len && is_digit(s->ptr[i]))
		i++;
	if (!text_parse_int((struct span){ s->ptr, i }, &d->whole))
		return false;
	if (i < s->len && s->ptr[i] == '.') {
		from = ++i;
		for (; i < s->len && is_digit(s->ptr[i]); i++) {
			if (d->scale >= 1000000000)
				continue;
			d->fraction = d->fraction * 10 + (s->ptr[i] - '0');
			d->scale *= 10;
		}
		if (i == from)
			return false;
	}
	s->ptr += i;
	s->len -= i;
	return true;
}

/* Takes letters off the front. */
static struct span
take_word(struct span *s)
{
	struct span word = { s->ptr, 0 };

	while (word.len < s->len && is_letter(s->ptr[word.len]))
		word.len++;
	s->ptr += word.len;
	s->len -= word.len;
	return word;
}

static void
skip_blanks(struct span *s)
{
	while (s->len && s->ptr[0] == ' ') {
		s->ptr++;
		s->len--;
	}
}

/* Adds d * factor to *sum, rounded, but never to nothing: a limit of "0.1ms" must not come out as "none". */
static bool
add_scaled(int64_t *sum, const struct decimal *d, int64_t factor)
{
	__int128 v = (__int128)d->fraction * factor;
	bool some = d->whole || d->fraction;

	v = (__int128)d->whole * factor + (v + d->scale / 2) / d->scale;
	if (v == 0 && some)
		v = 1;
	v += *sum;
	if (v > INT64_MAX)
		return false;
	*sum = (int64_t)v;
	return true;
}

bool
text_parse_duration(struct span s, ms_t *out)
{
	struct decimal d;
	struct span word;
	ms_t sum = 0;
	int64_t last = INT64_MAX;
	size_t unit;

	s = span_trim(s);
	if (!take_decimal(&s, &d))
		return false;
	if (s.len == 0) {
		if (!add_scaled(&sum, &d, 1000))
			return false;
		*out = sum;
		return true;
	}
	for (;;) {
		skip_blanks(&s);
		word = take_word(&s);
		for (unit = 0; unit < ARRAY_LEN(time_units) && !span_is(word, time_units[unit].name); unit++)
			continue;
		/* Downwards only: "1s 1h" is more likely a mistake than meant. */
		if (unit == ARRAY_LEN(time_units) || time_units[unit].factor >= last)
			return false;
		last = time_units[unit].factor;
		if (!add_scaled(&sum, &d, last))
			return false;
		skip_blanks(&s);
		if (s.len == 0)
			break;
		if (!take_decimal(&s, &d))
			return false;
	}
	*out = sum;
	return true;
}

bool
text_parse_size(struct span s, int64_t *out)
{
	struct decimal d;
	struct span word;
	int64_t sum = 0, factor = 0;

	s = span_trim(s);
	if (!take_decimal(&s, &d))
		return false;
	skip_blanks(&s);
	word = take_word(&s);
	if (s.len)
		return false;
	/* "iB" only behind a letter of its own: "5iB" means nothing. */
	if (word.len > 2 && word.ptr[1] == 'i' && word.ptr[2] == 'B')
		word.len -= 2;
	else if (word.len && word.ptr[word.len - 1] == 'B')
		word.len -= 1;
	for (size_t i = 0; i < ARRAY_LEN(size_units); i++) {
		if (word.len == strlen(size_units[i].name) &&
			strncasecmp(word.ptr, size_units[i].name, word.len) == 0)
			factor = size_units[i].factor;
	}
	if (factor == 0 || !add_scaled(&sum, &d, factor))
		return false;
	*out = sum;
	return true;
}

void
text_add_duration(struct buf *b, ms_t d)
{
	static const struct {
		const char *large, *small;
		uint64_t large_ms, small_ms;
	} pairs[] = { { "d", "h", 86400000, 3600000 }, { "h", "min", 3600000, 60000 },
		{ "min", "s", 60000, 1000 } };
	uint64_t v = d < 0 ? 0 - (uint64_t)d : (uint64_t)d, rest;

	if (d < 0)
		buf_addc(b, '-');
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		if (v < pairs[i].large_ms)
			continue;
		rest = v % pairs[i].large_ms / pairs[i].small_ms;
		buf_addf(b, "%llu%s", (unsigned long long)(v / pairs[i].large_ms), pairs[i].large);
		if (rest)
			buf_addf(b, " %llu%s", (unsigned long long)rest, pairs[i].small);
		return;
	}
	if (v < 1000 && v > 0)
		buf_addf(b, "%dms", (int)v);
	else if (v % 1000 == 0)
		buf_addf(b, "%ds", (int)(v / 1000));
	else
		buf_addf(b, "%d.%0*ds", (int)(v / 1000),
			v % 100 == 0          ? 1
				: v % 10 == 0 ? 2
					      : 3,
			(int)(v % 1000) /
				(v % 100 == 0                 ? 100
						: v % 10 == 0 ? 10
							      : 1));
}

void
text_add_size(struct buf *b, int64_t bytes)
{
	static const char *const names[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	uint64_t v = bytes < 0 ? 0 - (uint64_t)bytes : (uint64_t)bytes, tenths;
	size_t i = 0;

	if (bytes < 0)
		buf_addc(b, '-');
	if (v < 1024) {
		buf_addf(b, "%d B", (int)v);
		return;
	}
	/* Down to below 1024 units, in steps that keep enough bits for the tenths. */
	for (; v >= (uint64_t)1024 * 1024; i++)
		v >>= 10;
	tenths = (v * 10 + 512) / 1024;
	if (tenths >= 10240 && i + 1 < ARRAY_LEN(names)) {
		tenths = 10;
		i++;
	}
	buf_addf(b, "%llu", (unsigned long long)(tenths / 10));
	if (tenths % 10)
		buf_addf(b, ".%llu", (unsigned long long)(tenths % 10));
	buf_addf(b, " %s", names[i]);
}
