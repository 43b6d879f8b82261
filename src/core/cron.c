/*
 * Parsing turns each field into a set of bits; finding the next time walks local days with those sets, from month to month where
 * none fits, one piece of constant offset of the zone after the other. See cron.h for the rules.
 */
#include "core/cron.h"

#include "base/date.h"
#include "base/text.h"

#include <strings.h>

#define DAY 86400
#define MINUTES_A_DAY 1440
#define ALL_HOURS ((UINT64_C(1) << 24) - 1)

struct field {
	const char *name;
	int min, max;
	const char *const *words; /* the first stands for min; NULL = none */
	int n_words;
};

static const char *const month_words[] = { "january", "february", "march", "april", "may", "june", "july",
	"august", "september", "october", "november", "december" };
static const char *const day_words[] = { "sunday", "monday", "tuesday", "wednesday", "thursday", "friday",
	"saturday" };

enum { MINUTE, HOUR, DAY_OF_MONTH, MONTH, WEEKDAY, FIELDS };
static const struct field fields[FIELDS] = {
	{ "minute", 0, 59, NULL, 0 },
	{ "hour", 0, 23, NULL, 0 },
	{ "day of month", 1, 31, NULL, 0 },
	{ "month", 1, 12, month_words, 12 },
	{ "day of week", 0, 6, day_words, 7 },
};

/* --- parsing ----------------------------------------------------------------------------------------------------------- */

static bool
is_word(const struct field *f, int i, enum cron_rules rules, struct span s)
{
	const char *word = f->words[i];

	if (s.len < 3 || strncasecmp(s.ptr, word, 3) != 0)
		return false;
	/* Celery reads no further than that. */
	return rules == CRON_CELERY || s.len == 3 ||
		(s.len == strlen(word) && strncasecmp(s.ptr, word, s.len) == 0);
}

static enum err
parse_number(const struct field *f, enum cron_rules rules, struct span s, int *out, struct errtext *t)
{
	int max = f->max + (rules == CRON_OURS && f == &fields[WEEKDAY]);
	int64_t v;

	for (int i = 0; i < f->n_words; i++)
		if (is_word(f, i, rules, s)) {
			*out = f->min + i;
			return E_OK;
		}
	if (s.len == 0 || s.ptr[0] < '0' || s.ptr[0] > '9' || !text_parse_int(s, &v))
		return err_set(t, E_CONF, "%s: '%.*s' is no number%s", f->name, s.len > 40 ? 40 : (int)s.len,
			s.ptr, f->words ? " and no name" : "");
	if (v < f->min || v > max)
		return err_set(t, E_CONF, "%s: %lld is not within %d-%d%s", f->name, (long long)v, f->min, max,
			rules == CRON_CELERY && f == &fields[WEEKDAY] && v == 7 ? " (for Celery Sunday is 0)"
										: "");
	*out = (int)v;
	return E_OK;
}

static enum err
parse_step(const struct field *f, struct span s, int64_t *step, struct errtext *t)
{
	*step = 1;
	if (s.ptr == NULL)
		return E_OK;
	if (s.len == 0 || s.ptr[0] < '0' || s.ptr[0] > '9' || !text_parse_int(s, step) || *step < 1)
		return err_set(t, E_CONF, "%s: the step behind the / must be a number from 1", f->name);
	return E_OK;
}

/* One of "*", "5", "1-5", each with "/2" behind it. */
static enum err
parse_part(const struct field *f, enum cron_rules rules, struct span part, uint64_t *set, struct errtext *t)
{
	struct span step_text = part, range = span_split(&step_text, '/'), to = range,
		    from = span_split(&to, '-');
	int size = f->max - f->min + 1, first = 0, last = 0;
	int64_t step;
	enum err e = parse_step(f, step_text, &step, t);

	if (e != E_OK)
		return e;
	if (part.len == 0)
		return err_set(t, E_CONF, "%s: there is nothing between two commas", f->name);
	if (span_is(range, "*")) {
		first = f->min;
		last = f->max;
	} else {
		e = parse_number(f, rules, from, &first, t);
		if (e != E_OK)
			return e;
		last = first;
		if (to.ptr != NULL)
			e = parse_number(f, rules, to, &last, t);
		else if (step_text.ptr != NULL)
			e = err_set(t, E_CONF, "%s: a step needs a range: write %d-%d/%lld", f->name, first,
				f->max, (long long)step);
		if (e != E_OK)
			return e;
	}
	/* Sunday as 7 ends a range ("fri-7"), everywhere else it is 0. */
	if (f == &fields[WEEKDAY] && first == 7 && last != 7)
		first = 0;
	if (last < first)
		last += size;
	for (int64_t i = first; i <= last; i += step)
		*set |= UINT64_C(1) << (f->min + (i - f->min) % size);
	return E_OK;
}

static enum err
parse_field(const struct field *f, enum cron_rules rules, struct span text, uint64_t *set, struct errtext *t)
{
	struct span rest = text;
	enum err e = E_OK;

	*set = 0;
	while (e == E_OK && rest.ptr != NULL)
		e = parse_part(f, rules, span_split(&rest, ','), set, t);
	return e;
}

static const char *
expand_nickname(struct span s)
{
	static const struct {
		const char *name, *fields;
	} names[] = {
		{ "@hourly", "0 * * * *" },
		{ "@daily", "0 0 * * *" },
		{ "@midnight", "0 0 * * *" },
		{ "@weekly", "0 0 * * 0" },
		{ "@monthly", "0 0 1 * *" },
		{ "@yearly", "0 0 1 1 *" },
		{ "@annually", "0 0 1 1 *" },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (s.len == strlen(names[i].name) && strncasecmp(s.ptr, names[i].name, s.len) == 0)
			return names[i].fields;
	return NULL;
}

static enum err
split_fields(struct span text, struct span out[FIELDS], struct errtext *t)
{
	struct span rest = span_trim(text);
	size_t n = 0, i;

	while (rest.len > 0) {
		for (i = 0; i < rest.len && rest.ptr[i] != ' ' && rest.ptr[i] != '\t'; i++)
			;
		if (n < FIELDS)
			out[n] = (struct span){ rest.ptr, i };
		n++;
		rest = span_trim((struct span){ rest.ptr + i, rest.len - i });
	}
	if (n != FIELDS)
		return err_set(t, E_CONF,
			"five fields are needed (minute hour day-of-month month day-of-week), not %zu", n);
	return E_OK;
}

/* Whether some month has one of the days. */
static bool
is_possible(const struct cron *c)
{
	for (int m = 1; m <= 12; m++)
		if (c->months >> m & 1)
			for (int d = 1; d <= date_days_in(2000, m); d++)
				if (c->days >> d & 1)
					return true;
	return c->either_day;
}

enum err
cron_parse(struct cron *c, enum cron_rules rules, struct span text, struct errtext *t)
{
	struct span parts[FIELDS] = { 0 }, trimmed = span_trim(text);
	uint64_t *const sets[FIELDS] = { &c->minutes, &c->hours, &c->days, &c->months, &c->weekdays };
	enum err e;

	*c = (struct cron){ .rules = rules };
	if (rules == CRON_OURS && trimmed.len > 0 && trimmed.ptr[0] == '@') {
		text = span_of(expand_nickname(trimmed));
		if (text.ptr == NULL)
			return err_set(t, E_CONF,
				"'%.*s' is not known; there are @hourly @daily @weekly @monthly @yearly",
				trimmed.len > 40 ? 40 : (int)trimmed.len, trimmed.ptr);
	}
	e = split_fields(text, parts, t);
	for (int i = 0; e == E_OK && i < FIELDS; i++)
		e = parse_field(&fields[i], rules, parts[i], sets[i], t);
	if (e != E_OK)
		return e;
	c->either_day =
		rules == CRON_OURS && parts[DAY_OF_MONTH].ptr[0] != '*' && parts[WEEKDAY].ptr[0] != '*';
	if (!is_possible(c))
		return err_set(t, E_CONF, "no month has such a day: this would never run");
	return E_OK;
}

/* --- the next local time ----------------------------------------------------------------------------------------------- */

static bool
fits_day(const struct cron *c, int64_t day, int day_of_month)
{
	bool by_date = c->days >> day_of_month & 1, by_weekday = c->weekdays >> date_weekday(day) & 1;

	return c->either_day ? by_date || by_weekday : by_date && by_weekday;
}

/* The first member of the set from `from` on, or -1. */
static int
set_next(uint64_t set, int from)
{
	uint64_t rest = from < 64 ? set >> from : 0;

	return rest ? from + __builtin_ctzll(rest) : -1;
}

/* Minutes of the day, from `from` on; -1 = none any more. */
static int
next_in_day(const struct cron *c, int from)
{
	int hour = from / 60, minute;

	if (hour < 24 && (c->hours >> hour & 1)) {
		minute = set_next(c->minutes, from % 60);
		if (minute >= 0)
			return hour * 60 + minute;
	}
	hour = set_next(c->hours, hour + 1);
	return hour < 0 ? -1 : hour * 60 + set_next(c->minutes, 0);
}

/* The first local second from `from` on that fits and lies before `limit`; else CRON_NEVER. */
static int64_t
next_local(const struct cron *c, int64_t from, int64_t limit)
{
	int64_t minutes = -date_floor_div(-from, 60); /* rounded up: times are whole minutes */
	int64_t day = date_floor_div(minutes, MINUTES_A_DAY), found;
	int minute = (int)(minutes - day * MINUTES_A_DAY);
	struct date d = date_of_days(day);

	while (day * DAY < limit) {
		if (!(c->months >> d.month & 1)) {
			day += date_days_in(d.year, d.month) - d.day + 1;
			minute = 0;
			d = date_of_days(day);
			continue;
		}
		if (fits_day(c, day, d.day)) {
			minute = next_in_day(c, minute);
			if (minute >= 0) {
				found = day * DAY + (int64_t)minute * 60;
				return found < limit ? found : CRON_NEVER;
			}
		}
		minute = 0;
		day++;
		if (++d.day > date_days_in(d.year, d.month))
			d = date_of_days(day);
	}
	return CRON_NEVER;
}

/* --- the next moment --------------------------------------------------------------------------------------------------- */

/* Sums that stay within the numbers at the open ends of time. */
static int64_t
shift(int64_t t, int64_t by)
{
	return t == INT64_MIN || t == INT64_MAX ? t : t + by;
}

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/*
 * Local times of one piece and the moments they stand for. With every_hour, those that its clock shows. Else each local time belongs to one
 * piece: what the clock jumps over to the piece before the jump, what it shows twice to the first.
 */
static int64_t
next_in_piece(const struct cron *c, const struct zone *zone, const struct zone_piece *p, int64_t after,
	bool every_hour)
{
	int64_t first = shift(p->begin, p->offset), last = shift(p->end, p->offset), found;

	if (!every_hour && p->begin != INT64_MIN)
		first = later(first, p->begin + zone_at(zone, p->begin - 1).offset);
	if (!every_hour && p->end != INT64_MAX)
		last = later(last, p->end + zone_at(zone, p->end).offset);
	found = next_local(c, later(first, after + p->offset + 1), last);
	return shift(found, -p->offset);
}

static int64_t
next_ours(const struct cron *c, const struct zone *zone, int64_t after)
{
	bool every_hour = c->hours == ALL_HOURS;
	struct zone_piece p = zone_at(zone, after);
	int64_t best = CRON_NEVER, found;

	/* What was jumped over at the begin of this piece may still be to come. */
	if (!every_hour && p.begin != INT64_MIN)
		p = zone_at(zone, p.begin - 1);
	for (;;) {
		found = next_in_piece(c, zone, &p, after, every_hour);
		if (found < best)
			best = found;
		/* Later pieces hold nothing earlier than their begin. */
		if (best <= p.end || p.end == INT64_MAX)
			return best;
		p = zone_at(zone, p.end);
	}
}

static int64_t
next_celery(const struct cron *c, const struct zone *zone, int64_t after)
{
	struct zone_piece p = zone_at(zone, after);
	int64_t local = next_local(c, after + p.offset + 1, INT64_MAX);

	while (local >= shift(p.end, p.offset))
		p = zone_at(zone, p.end);
	return later(local - p.offset, p.begin);
}

int64_t
cron_next(const struct cron *c, const struct zone *zone, int64_t after)
{
	return c->rules == CRON_CELERY ? next_celery(c, zone, after) : next_ours(c, zone, after);
}
