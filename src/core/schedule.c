/* One answer per kind of schedule; start and end bound them all. Cron fields know whole seconds only. */
#include "core/schedule.h"

#include "base/date.h"

#define SECOND INT64_C(1000000)

static us_t
next_unbound(const struct schedule *s, us_t after)
{
	int64_t t;

	switch (s->kind) {
	case SCHEDULE_EVERY:
		return s->anchor + (date_floor_div(after - s->anchor, s->every) + 1) * s->every;
	case SCHEDULE_ONCE:
		return s->anchor > after ? s->anchor : SCHEDULE_NEVER;
	case SCHEDULE_CRON:
		t = cron_next(&s->cron, s->zone, date_floor_div(after, SECOND));
		return t == CRON_NEVER ? SCHEDULE_NEVER : t * SECOND;
	}
	return SCHEDULE_NEVER;
}

us_t
schedule_next(const struct schedule *s, us_t after)
{
	us_t t;

	if (s->start != INT64_MIN && after < s->start)
		after = s->start - 1;
	t = next_unbound(s, after);
	return t < s->end ? t : SCHEDULE_NEVER;
}

us_t
schedule_latest(const struct schedule *s, us_t after, us_t until)
{
	us_t low, high, middle;

	/* What cron_next answers does not fall when `after` rises: the latest due time is where the answer steps over `until`. */
	if (until <= after || schedule_next(s, after) > until)
		return SCHEDULE_NEVER;
	for (low = after, high = until; high - low > 1;) {
		middle = low + (high - low) / 2;
		if (schedule_next(s, middle) <= until)
			low = middle;
		else
			high = middle;
	}
	return schedule_next(s, low);
}
