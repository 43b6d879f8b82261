/*
 * Numbers as text (base/text.h). Nothing here depends on the locale of the process: a program that uses the
 * client library may have set one with a decimal comma.
 */
#include "base/text.h"

#include "base/alloc.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>

/* Beyond these, Python's repr writes an exponent. */
enum { REPR_EXP_MIN = -4, REPR_EXP_END = 16, DIGITS_MAX = 17 };

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void
make_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	if (!c_locale)
		abort(); /* "C" is built in: only an empty heap can be the reason */
}

bool
text_parse_int(struct span s, int64_t *out)
{
	bool negative = false;
	size_t i = 0;
	int64_t v = 0;

	if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+')) {
		negative = s.ptr[0] == '-';
		i = 1;
	}
	if (i == s.len)
		return false;
	/* Counted downwards, since INT64_MIN has no positive. */
	for (; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, s.ptr[i] - '0', &v))
			return false;
	}
	if (!negative && __builtin_sub_overflow((int64_t)0, v, &v))
		return false;
	*out = v;
	return true;
}

static size_t
count_digits(struct span s, size_t from)
{
	size_t i = from;

	while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
		i++;
	return i - from;
}

/* strtod also takes blanks, hexadecimal numbers and words; a number here has digits, one point, one exponent. */
static bool
is_decimal(struct span s)
{
	size_t i = 0, whole, fraction = 0, n;

	if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+'))
		i++;
	whole = count_digits(s, i);
	i += whole;
	if (i < s.len && s.ptr[i] == '.') {
		fraction = count_digits(s, i + 1);
		i += 1 + fraction;
	}
	if (whole + fraction == 0)
		return false;
	if (i < s.len && (s.ptr[i] == 'e' || s.ptr[i] == 'E')) {
		i++;
		if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+'))
			i++;
		n = count_digits(s, i);
		if (n == 0)
			return false;
		i += n;
	}
	return i == s.len;
}

bool
text_scan_double(struct span s, double *out)
{
	char local[64], *text = local;

	if (!is_decimal(s))
		return false;
	pthread_once(&c_locale_once, make_c_locale);
	if (s.len < sizeof(local)) {
		memcpy(local, s.ptr, s.len);
		local[s.len] = '\0';
	} else {
		text = alloc_dup(s);
		if (!text)
			return false;
	}
	*out = strtod_l(text, NULL, c_locale);
	if (text != local)
		alloc_free(text);
	return true;
}

bool
text_parse_double(struct span s, double *out)
{
	double d;

	if (!text_scan_double(s, &d) || !isfinite(d))
		return false;
	*out = d;
	return true;
}

bool
text_parse_bool(struct span s, bool *out)
{
	static const char *const words[][2] = { { "false", "true" }, { "no", "yes" }, { "off", "on" },
		{ "0", "1" } };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		for (int v = 0; v < 2; v++) {
			if (strlen(words[i][v]) == s.len && strncasecmp(words[i][v], s.ptr, s.len) == 0) {
				*out = v == 1;
				return true;
			}
		}
	}
	return false;
}

/* A number in pieces: 0.d1d2d3... times ten to the `point`. */
struct digits {
	char text[DIGITS_MAX + 1];
	int n, point;
};

/* The n digits nearest to d > 0. snprintf is under the "C" locale here. */
static struct digits
round_to(double d, int n)
{
	struct digits out = { .n = n };
	char text[TEXT_DOUBLE_MAX], *e;

	snprintf(text, sizeof(text), "%.*e", n - 1, d);
	e = strchr(text, 'e');
	out.text[0] = text[0];
	if (n > 1)
		memcpy(out.text + 1, text + 2, (size_t)n - 1);
	out.point = (int)strtol(e + 1, NULL, 10) + 1;
	return out;
}

/* The next larger number of as many digits. */
static void
step_up(struct digits *g)
{
	int i = g->n - 1;

	while (i >= 0 && g->text[i] == '9')
		g->text[i--] = '0';
	if (i >= 0) {
		g->text[i]++;
	} else {
		g->text[0] = '1';
		g->point++;
	}
}

static bool
reads_back(const struct digits *g, double d)
{
	char text[TEXT_DOUBLE_MAX];

	snprintf(text, sizeof(text), "0.%se%d", g->text, g->point);
	return strtod_l(text, NULL, c_locale) == d;
}

/*
 * The fewest digits that read back as d. All numbers of up to 15 digits survive the way through a double, so
 * shorter ones than that need not be tried (their zeros are cut later), except among the subnormal numbers,
 * which have less precision. Just above a power of two the gap below is half the gap above: there the nearest
 * 16 digits may lie below and not read back, while the next ones above do.
 */
static struct digits
shortest(double d)
{
	struct digits g;
	int n = d < DBL_MIN ? 1 : 15;

	for (; n < DIGITS_MAX; n++) {
		g = round_to(d, n);
		if (reads_back(&g, d))
			return g;
		step_up(&g);
		if (reads_back(&g, d))
			return g;
	}
	return round_to(d, DIGITS_MAX);
}

static size_t
lay_out(const struct digits *g, char *out, size_t size)
{
	int n = g->n, exponent = g->point - 1;

	while (n > 1 && g->text[n - 1] == '0')
		n--;
	if (exponent < REPR_EXP_MIN || exponent >= REPR_EXP_END)
		return (size_t)snprintf(out, size, "%c%s%.*se%c%02d", g->text[0], n > 1 ? "." : "", n - 1,
			g->text + 1, exponent < 0 ? '-' : '+', abs(exponent));
	if (g->point <= 0)
		return (size_t)snprintf(out, size, "0.%.*s%.*s", -g->point, "0000", n, g->text);
	if (g->point >= n)
		return (size_t)snprintf(out, size, "%.*s%.*s.0", n, g->text, g->point - n, "0000000000000000");
	return (size_t)snprintf(out, size, "%.*s.%.*s", g->point, g->text, n - g->point, g->text + g->point);
}

size_t
text_format_double(double d, char out[TEXT_DOUBLE_MAX])
{
	size_t sign = signbit(d) ? 1 : 0;
	struct digits g;
	locale_t old;

	/* Whole numbers are frequent and need no search. */
	if (fabs(d) < 1e15 && d == (double)(long long)d)
		return (size_t)snprintf(out, TEXT_DOUBLE_MAX, "%s%lld.0", sign ? "-" : "", (long long)fabs(d));
	if (!isfinite(d))
		return (size_t)snprintf(out, TEXT_DOUBLE_MAX, isnan(d) ? "nan" : sign ? "-inf" : "inf");
	pthread_once(&c_locale_once, make_c_locale);
	old = uselocale(c_locale);
	g = shortest(fabs(d));
	uselocale(old);
	out[0] = '-';
	return sign + lay_out(&g, out + sign, TEXT_DOUBLE_MAX - sign);
}
