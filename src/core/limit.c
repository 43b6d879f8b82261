/* See limit.h. The bucket is kept as the "theoretical arrival time" of the generic cell rate algorithm: one number, no clockwork. */
#include "core/limit.h"

#include "base/jscan.h"
#include "base/text.h"

#define SECOND_US ((us_t)1000000)
#define KEY_MAX 200

/* Times the largest burst it still fits a time. */
#define INTERVAL_MAX 1e12

us_t
limit_interval(double per_s)
{
	double us = 1e6 / per_s;

	return (us_t)(us < INTERVAL_MAX ? us : INTERVAL_MAX);
}

struct limit_turn
limit_take(us_t *bucket, double per_s, int64_t burst, us_t now, us_t turn)
{
	us_t interval = limit_interval(per_s), next = *bucket > now ? *bucket : now,
	     start = next - (burst - 1) * interval;

	if (start < now)
		start = now;
	if (turn != 0 && turn >= now - LIMIT_LATE_US && turn <= start)
		return (struct limit_turn){ .wait = turn > now ? turn - now : 0, .turn = turn };
	if (start - now > LIMIT_AHEAD_US)
		return (struct limit_turn){ .wait = start - now };
	*bucket = next + interval;
	return (struct limit_turn){ .wait = start - now, .turn = start };
}

struct limit_verdict
limit_decide(const struct limit_turn *t, bool may_hold, uint64_t random)
{
	if (t->wait <= 0)
		return (struct limit_verdict){ .way = LIMIT_RUN };
	if (t->turn == 0) {
		us_t half = LIMIT_AHEAD_US / 2;

		return (struct limit_verdict){ .way = LIMIT_LATER,
			.delay_s = (half + (us_t)(random % (uint64_t)half)) / SECOND_US };
	}
	if (may_hold && t->wait < SECOND_US)
		return (struct limit_verdict){ .way = LIMIT_HOLD };
	return (struct limit_verdict){ .way = LIMIT_LATER,
		.delay_s = may_hold ? t->wait / SECOND_US : (t->wait + SECOND_US - 1) / SECOND_US };
}

/* --- keys -------------------------------------------------------------------------------------------------------------- */

bool
limit_path_is_valid(struct span path)
{
	struct span first = span_split(&path, '.'), part;
	int64_t index;
	bool is_args = span_is(first, "args");

	if ((!is_args && !span_is(first, "kwargs")) || path.ptr == NULL)
		return false;
	while (path.ptr != NULL) {
		part = span_split(&path, '.');
		if (part.len == 0 || (is_args && (!text_parse_int(part, &index) || index < 0)))
			return false;
		is_args = false;
	}
	return true;
}

static struct span
item(struct span list, struct span number)
{
	struct jscan_iter it;
	int64_t index;

	if (!text_parse_int(number, &index) || !jscan_begin(&it, list) || it.is_object)
		return SPAN_NONE;
	while (index >= 0 && jscan_next(&it))
		index--;
	return index < 0 ? it.value : SPAN_NONE;
}

static struct span
member(struct span object, struct span name)
{
	struct jscan_iter it;
	struct span found = SPAN_NONE;

	if (!jscan_begin(&it, object) || !it.is_object)
		return SPAN_NONE;
	while (jscan_next(&it))
		if (span_eq(it.key, name))
			found = it.value;
	return found;
}

void
limit_add_key(struct buf *b, struct span path, struct span args, struct span kwargs)
{
	struct span value = span_is(span_split(&path, '.'), "args") ? args : kwargs;
	struct buf text;

	while (path.ptr != NULL) {
		struct span part = span_split(&path, '.');

		value = jscan_kind(value) == JSCAN_ARRAY ? item(value, part) : member(value, part);
	}
	buf_init(&text, 0);
	if (jscan_kind(value) == JSCAN_STRING)
		jscan_add_string(&text, value);
	else if (jscan_kind(value) != JSCAN_NULL && value.ptr != NULL)
		buf_add(&text, value);
	buf_add(b, (struct span){ text.data, text.len < KEY_MAX ? text.len : KEY_MAX });
	buf_release(&text);
}
