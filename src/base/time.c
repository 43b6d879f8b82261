/*
 * Times as ISO 8601 (base/text.h). Days are counted in the proleptic Gregorian calendar as Python's datetime
 * does; leap seconds do not exist.
 */
#include "base/date.h"
#include "base/text.h"

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY (86400 * US_PER_SECOND)
/* 0001-01-01T00:00:00 and the last microsecond of 9999. */
#define TIME_FIRST (-719162 * US_PER_DAY)
#define TIME_LAST (2932897 * US_PER_DAY - 1)

/* Takes exactly n digits. */
static bool
take_digits(struct span *s, size_t n, int *out)
{
	int v = 0;

	if (s->len < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->ptr[i] < '0' || s->ptr[i] > '9')
			return false;
		v = v * 10 + (s->ptr[i] - '0');
	}
	s->ptr += n;
	s->len -= n;
	*out = v;
	return true;
}

static bool
take_char(struct span *s, const char *set)
{
	if (s->len == 0 || s->ptr[0] == '\0' || !strchr(set, s->ptr[0]))
		return false;
	s->ptr++;
	s->len--;
	return true;
}

static bool
take_date(struct span *s, us_t *us)
{
	int year, month, day;

	if (!take_digits(s, 4, &year) || !take_char(s, "-") || !take_digits(s, 2, &month) ||
		!take_char(s, "-") || !take_digits(s, 2, &day))
		return false;
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > date_days_in(year, month))
		return false;
	*us = date_to_days(year, month, day) * US_PER_DAY;
	return true;
}

/* ".651564": the digits behind the sixth are dropped. */
static bool
take_fraction(struct span *s, us_t *us)
{
	int64_t unit = US_PER_SECOND;
	int digit;

	if (!take_char(s, ".,"))
		return true;
	if (!take_digits(s, 1, &digit))
		return false;
	do {
		unit /= 10;
		*us += digit * unit;
	} while (take_digits(s, 1, &digit));
	return true;
}

static bool
take_clock(struct span *s, us_t *us)
{
	int hour, minute, second = 0;

	if (!take_digits(s, 2, &hour) || !take_char(s, ":") || !take_digits(s, 2, &minute))
		return false;
	if (take_char(s, ":") && (!take_digits(s, 2, &second) || !take_fraction(s, us)))
		return false;
	if (hour > 23 || minute > 59 || second > 59)
		return false;
	*us += ((hour * 60 + minute) * 60 + second) * US_PER_SECOND;
	return true;
}

/* "Z", "+02:00", "+0200", "+02"; the offsets of old local times have seconds, "+00:53:28". */
static bool
take_offset(struct span *s, us_t *us)
{
	int hour, minute = 0, second = 0, sign;

	if (s->len == 0 || take_char(s, "Zz"))
		return true;
	sign = s->ptr[0] == '-' ? -1 : 1;
	if (!take_char(s, "+-") || !take_digits(s, 2, &hour))
		return false;
	if (s->len) {
		take_char(s, ":");
		if (!take_digits(s, 2, &minute))
			return false;
	}
	if (s->len && (!take_char(s, ":") || !take_digits(s, 2, &second)))
		return false;
	if (hour > 23 || minute > 59 || second > 59)
		return false;
	*us -= sign * (((hour * 60 + minute) * 60 + second) * US_PER_SECOND);
	return true;
}

bool
text_parse_time(struct span s, us_t *out)
{
	us_t us;

	if (!take_date(&s, &us))
		return false;
	if (s.len && (!take_char(&s, "Tt ") || !take_clock(&s, &us) || !take_offset(&s, &us)))
		return false;
	/* The offset may have moved it out of the calendar. */
	if (s.len || us < TIME_FIRST || us > TIME_LAST)
		return false;
	*out = us;
	return true;
}

size_t
text_format_time(us_t t, char out[TEXT_TIME_MAX])
{
	int64_t days, rest;
	struct date date;
	int n, seconds;

	t = t < TIME_FIRST ? TIME_FIRST : t > TIME_LAST ? TIME_LAST : t;
	days = date_floor_div(t, US_PER_DAY);
	rest = t - days * US_PER_DAY;
	date = date_of_days(days);
	seconds = (int)(rest / US_PER_SECOND);
	rest %= US_PER_SECOND;
	n = snprintf(out, TEXT_TIME_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", date.year, date.month, date.day,
		seconds / 3600, seconds / 60 % 60, seconds % 60);
	if (rest)
		n += snprintf(out + n, TEXT_TIME_MAX - (size_t)n, ".%06d", (int)rest);
	n += snprintf(out + n, TEXT_TIME_MAX - (size_t)n, "+00:00");
	return (size_t)n;
}
