/*
 * TZif: a list of moments with the offset that begins there, and behind it a rule in the form of POSIX TZ for all time that
 * follows ("CET-1CEST,M3.5.0,M10.5.0/3"). Version 1 files have 32-bit times and no rule; the first half of later ones repeats that
 * and is skipped. Every number of the file is checked before it is used; names of zones ("CEST") are not wanted here.
 */
#include "core/zone.h"

#include "base/alloc.h"
#include "base/date.h"
#include "base/text.h"

#define DAY 86400
/* Real ones stay below 26 hours; this keeps sums of times far from overflow. */
#define OFFSET_MAX (167 * 3600)
#define HEADER_BYTES 44
#define TYPE_BYTES 6
#define TYPES_MAX 256
#define TIMES_MAX 10000
#define TIME_LIMIT (INT64_C(1) << 55)

enum day_form { DAY_OF_YEAR, DAY_WITHOUT_LEAP, DAY_OF_WEEK };

/* When in a year the offset changes, in local seconds. */
struct rule_day {
	enum day_form form;
	int month, week, day;
	int64_t time;
};
struct rule {
	bool has_summer;
	int64_t standard, summer;
	struct rule_day begin, end;
};

struct zone {
	int64_t first;  /* offset before times[0] */
	int64_t *times; /* rising; each begins another offset than the one before it */
	int64_t *offsets;
	size_t count;
	bool has_rule;
	struct rule rule;
};

/* --- the rule ---------------------------------------------------------------------------------------------------------- */

static bool
take(struct span *s, char c)
{
	if (s->len == 0 || s->ptr[0] != c)
		return false;
	s->ptr++;
	s->len--;
	return true;
}

static bool
take_number(struct span *s, int max, int *out)
{
	int v = 0;
	size_t i;

	for (i = 0; i < s->len && i < 4 && s->ptr[i] >= '0' && s->ptr[i] <= '9'; i++)
		v = v * 10 + (s->ptr[i] - '0');
	s->ptr += i;
	s->len -= i;
	*out = v;
	return i > 0 && v <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool
take_time(struct span *s, int64_t *out)
{
	int h, m = 0, sec = 0;
	int64_t sign = take(s, '-') ? -1 : 1;

	if (sign > 0)
		(void)take(s, '+');
	if (!take_number(s, 167, &h) ||
		(take(s, ':') && (!take_number(s, 59, &m) || (take(s, ':') && !take_number(s, 59, &sec)))))
		return false;
	*out = sign * (h * 3600 + m * 60 + sec);
	return true;
}

/* "CET" or "<+01>" */
static bool
take_name(struct span *s)
{
	bool quoted = take(s, '<');
	size_t i = 0;

	while (i < s->len && (quoted ? s->ptr[i] != '>' : (s->ptr[i] | 32) >= 'a' && (s->ptr[i] | 32) <= 'z'))
		i++;
	s->ptr += i;
	s->len -= i;
	return i >= 3 && (!quoted || take(s, '>'));
}

static bool
take_day(struct span *s, struct rule_day *d)
{
	bool ok;

	*d = (struct rule_day){ .form = DAY_OF_YEAR, .time = 2 * 3600 };
	if (take(s, 'M')) {
		d->form = DAY_OF_WEEK;
		ok = take_number(s, 12, &d->month) && d->month >= 1 && take(s, '.') &&
			take_number(s, 5, &d->week) && d->week >= 1 && take(s, '.') &&
			take_number(s, 6, &d->day);
	} else if (take(s, 'J')) {
		d->form = DAY_WITHOUT_LEAP;
		ok = take_number(s, 365, &d->day) && d->day >= 1;
	} else
		ok = take_number(s, 365, &d->day);
	return ok && (!take(s, '/') || take_time(s, &d->time));
}

static bool
rule_parse(struct rule *r, struct span s)
{
	int64_t west;

	*r = (struct rule){ 0 };
	if (!take_name(&s) || !take_time(&s, &west))
		return false;
	r->standard = -west;
	if (s.len == 0)
		return true;
	r->has_summer = true;
	r->summer = r->standard + 3600;
	if (!take_name(&s))
		return false;
	if (s.len > 0 && s.ptr[0] != ',') {
		if (!take_time(&s, &west))
			return false;
		r->summer = -west;
	}
	return take(&s, ',') && take_day(&s, &r->begin) && take(&s, ',') && take_day(&s, &r->end) &&
		s.len == 0;
}

/* Local second at which the day's change happens. */
static int64_t
rule_moment(const struct rule_day *d, int year)
{
	int64_t day = date_to_days(year, 1, 1);
	int first;

	if (d->form == DAY_OF_YEAR)
		day += d->day;
	else if (d->form == DAY_WITHOUT_LEAP)
		day += d->day - 1 + (d->day >= 60 && date_days_in(year, 2) == 29);
	else {
		day = date_to_days(year, d->month, 1);
		first = (d->day - date_weekday(day) + 7) % 7 + (d->week - 1) * 7;
		if (first >= date_days_in(year, d->month))
			first -= 7;
		day += first;
	}
	return day * DAY + d->time;
}

/* The piece of the rule that holds t; it may begin before the rule is in force. */
static struct zone_piece
rule_at(const struct rule *r, int64_t t)
{
	struct zone_piece p = { INT64_MIN, INT64_MAX, r->standard };
	int year;

	if (!r->has_summer)
		return p;
	year = date_of_days(date_floor_div(t, DAY)).year;
	for (int y = year - 1; y <= year + 1; y++) {
		/* The changes of a year lie in either order (the south; Ireland's winter is the exception, not its summer). */
		int64_t begin = rule_moment(&r->begin, y) - r->standard,
			end = rule_moment(&r->end, y) - r->summer;
		int64_t times[2] = { begin, end }, offsets[2] = { r->summer, r->standard };
		int first = begin <= end ? 0 : 1;

		for (int k = 0; k < 2; k++) {
			int i = k == 0 ? first : 1 - first;

			if (times[i] <= t) {
				p.begin = times[i];
				p.offset = offsets[i];
			} else if (p.end == INT64_MAX && offsets[i] != p.offset)
				p.end = times[i];
		}
	}
	return p;
}

/* --- the file ---------------------------------------------------------------------------------------------------------- */

struct header {
	char version;
	uint64_t is_utc, is_std, leaps, times, types, chars;
};

static uint64_t
big_endian(const char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

static enum err
header_parse(struct header *h, struct span s, struct errtext *t)
{
	uint64_t *const counts[] = { &h->is_utc, &h->is_std, &h->leaps, &h->times, &h->types, &h->chars };

	if (s.len < HEADER_BYTES || memcmp(s.ptr, "TZif", 4) != 0)
		return err_set(t, E_FORMAT, "this is no file of the tz database");
	h->version = s.ptr[4];
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		*counts[i] = big_endian(s.ptr + 20 + 4 * i, 4);
	if (h->types == 0 || h->types > TYPES_MAX || h->times > TIMES_MAX || h->chars > ZONE_BYTES_MAX ||
		h->is_utc > h->types || h->is_std > h->types || h->leaps > TIMES_MAX)
		return err_set(t, E_FORMAT, "its counts make no sense");
	return E_OK;
}

static uint64_t
block_bytes(const struct header *h, size_t width)
{
	return h->times * (width + 1) + h->types * TYPE_BYTES + h->chars + h->leaps * (width + 4) +
		h->is_std + h->is_utc;
}

static bool
type_offset(const char *types, size_t i, int64_t *out)
{
	*out = (int32_t)big_endian(types + i * TYPE_BYTES, 4);
	return *out >= -OFFSET_MAX && *out <= OFFSET_MAX;
}

static enum err
read_times(struct zone *z, const struct header *h, const char *p, size_t width, struct errtext *t)
{
	const char *index = p + h->times * width, *types = index + h->times;
	int64_t time, offset, last = INT64_MIN, last_offset;

	if (!type_offset(types, 0, &z->first))
		return err_set(t, E_FORMAT, "an offset is out of range");
	last_offset = z->first;
	z->times = alloc_bytes((size_t)h->times * sizeof(*z->times));
	z->offsets = alloc_bytes((size_t)h->times * sizeof(*z->offsets));
	if (z->times == NULL || z->offsets == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	for (size_t i = 0; i < h->times; i++) {
		time = width == 8 ? (int64_t)big_endian(p + i * 8, 8) : (int32_t)big_endian(p + i * 4, 4);
		if ((unsigned char)index[i] >= h->types ||
			!type_offset(types, (unsigned char)index[i], &offset))
			return err_set(t, E_FORMAT, "an offset is out of range");
		if (time <= last && i > 0)
			return err_set(t, E_FORMAT, "its times do not rise");
		last = time;
		/* A change of the name alone is none; the Big Bang, -2^59 in some files, is before all that counts. */
		if (offset == last_offset)
			continue;
		if (time > TIME_LIMIT)
			return err_set(t, E_FORMAT, "a time is out of range");
		z->times[z->count] = time < -TIME_LIMIT ? -TIME_LIMIT : time;
		z->offsets[z->count++] = offset;
		last_offset = offset;
	}
	return E_OK;
}

static enum err
read_footer(struct zone *z, struct span s, struct errtext *t)
{
	struct span rule;

	if (s.len < 2 || s.ptr[0] != '\n' || memchr(s.ptr + 1, '\n', s.len - 1) == NULL)
		return err_set(t, E_FORMAT, "the rule at its end is missing");
	s.ptr++;
	s.len--;
	rule = span_split(&s, '\n');
	if (rule.len == 0)
		return E_OK;
	z->has_rule = rule_parse(&z->rule, rule);
	if (!z->has_rule)
		return err_set(t, E_FORMAT, "the rule at its end is not understood: %.*s",
			rule.len > 80 ? 80 : (int)rule.len, rule.ptr);
	return E_OK;
}

static enum err
read_file(struct zone *z, struct span s, struct errtext *t)
{
	struct header h = { 0 };
	size_t width = 4;
	enum err e = header_parse(&h, s, t);

	if (e != E_OK)
		return e;
	if (h.version >= '2') {
		if (s.len < HEADER_BYTES + block_bytes(&h, 4))
			return err_set(t, E_FORMAT, "it is cut short");
		s.ptr += HEADER_BYTES + block_bytes(&h, 4);
		s.len -= HEADER_BYTES + (size_t)block_bytes(&h, 4);
		e = header_parse(&h, s, t);
		if (e != E_OK)
			return e;
		width = 8;
	}
	if (s.len < HEADER_BYTES + block_bytes(&h, width))
		return err_set(t, E_FORMAT, "it is cut short");
	if (h.leaps > 0)
		return err_set(t, E_FORMAT,
			"it counts leap seconds; take the zone of the same name without \"right/\"");
	e = read_times(z, &h, s.ptr + HEADER_BYTES, width, t);
	if (e != E_OK || width == 4)
		return e;
	s.ptr += HEADER_BYTES + block_bytes(&h, width);
	s.len -= HEADER_BYTES + (size_t)block_bytes(&h, width);
	return read_footer(z, s, t);
}

enum err
zone_parse(struct zone **out, struct span tzif, struct errtext *t)
{
	struct zone *z = alloc_zero(sizeof(*z));
	enum err e;

	if (z == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	e = read_file(z, tzif, t);
	if (e != E_OK) {
		zone_free(z);
		return e;
	}
	*out = z;
	return E_OK;
}

void
zone_free(struct zone *z)
{
	if (z == NULL)
		return;
	alloc_free(z->times);
	alloc_free(z->offsets);
	alloc_free(z);
}

/* --- questions --------------------------------------------------------------------------------------------------------- */

struct zone_piece
zone_at(const struct zone *z, int64_t t)
{
	struct zone_piece p = { INT64_MIN, INT64_MAX, 0 }, last;
	size_t low = 0, high;

	if (z == NULL)
		return p;
	/* low = how many changes lie at or before t */
	for (high = z->count; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (z->times[middle] <= t)
			low = middle + 1;
		else
			high = middle;
	}
	p.begin = low > 0 ? z->times[low - 1] : INT64_MIN;
	p.end = low < z->count ? z->times[low] : INT64_MAX;
	p.offset = low > 0 ? z->offsets[low - 1] : z->first;
	if (low < z->count || !z->has_rule)
		return p;
	if (z->count == 0)
		return rule_at(&z->rule, t);
	last = p;
	p = rule_at(&z->rule, t);
	if (p.begin <= last.begin) {
		/* The list goes first where both speak of the same moment: the rule tells when its last piece ends. */
		p.begin = last.begin;
		p.offset = last.offset;
	}
	return p;
}

int64_t
zone_to_utc(const struct zone *z, int64_t local)
{
	/* No offset is longer than this, so the right piece lies at most so far on. */
	struct zone_piece p = zone_at(z, local - OFFSET_MAX), next;

	while (p.end != INT64_MAX) {
		next = zone_at(z, p.end);
		if (local < p.end + (next.offset > p.offset ? next.offset : p.offset))
			break;
		p = next;
	}
	return local - p.offset;
}
