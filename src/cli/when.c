/* The table of entries. Configurations were checked before, so what does not parse here is our own mistake. */
#include "cli/when.h"

#include "base/alloc.h"
#include "base/date.h"
#include "base/js.h"
#include "cli/out.h"

#define SECOND INT64_C(1000000)

struct line {
	struct entry entry;
	us_t next;
};

static void
add_clock(struct buf *b, const struct zone *zone, us_t t, char between)
{
	int64_t s = date_floor_div(t, SECOND), offset = zone_at(zone, s).offset, local = s + offset;
	int64_t days = date_floor_div(local, 86400), of_day = local - days * 86400, part = t - s * SECOND;
	struct date d = date_of_days(days);
	int64_t away = offset < 0 ? -offset : offset;

	buf_addf(b, "%04d-%02d-%02d%c%02d:%02d:%02d", d.year, d.month, d.day, between, (int)(of_day / 3600), (int)(of_day / 60 % 60),
		(int)(of_day % 60));
	if (part)
		buf_addf(b, ".%06d", (int)part);
	buf_addf(b, "%c%02d:%02d", offset < 0 ? '-' : '+', (int)(away / 3600), (int)(away / 60 % 60));
}

void
when_add_iso(struct buf *b, const struct zone *zone, us_t t)
{
	add_clock(b, zone, t, 'T');
}

void
when_add_time(struct buf *b, const struct zone *zone, us_t t)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	int64_t s = date_floor_div(t, SECOND);

	buf_addf(b, "%s ", days[date_weekday(date_floor_div(s + zone_at(zone, s).offset, 86400))]);
	add_clock(b, zone, t, ' ');
}

static int
compare(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->next != y->next)
		return x->next < y->next ? -1 : 1;
	return strcmp(x->entry.conf->name, y->entry.conf->name);
}

static struct line *
lines_of(const struct entry_conf *entries, size_t n, struct zones *zones, us_t now)
{
	struct line *lines = must_alloc((n + 1) * sizeof(*lines));

	for (size_t i = 0; i < n; i++) {
		if (entry_init(&lines[i].entry, &entries[i], zones, NULL) != E_OK)
			abort();
		lines[i].next = schedule_next(&lines[i].entry.plan.schedule, now);
	}
	qsort(lines, n, sizeof(*lines), compare);
	return lines;
}

static const char *
target_of(const struct entry_conf *c)
{
	return c->exchange && *c->exchange ? c->exchange : c->routing_key;
}

void
when_print_table(const struct entry_conf *entries, size_t n, size_t max, us_t now)
{
	static const char *const titles[] = { "ENTRY", "WHEN", "TASK", "QUEUE", "NEXT RUN" };
	size_t shown = max && n > max ? max : n;
	struct zones zones;
	struct line *lines;
	struct grid g;
	struct buf schedule, next;

	zones_init(&zones);
	lines = lines_of(entries, n, &zones, now);
	grid_init(&g, ARRAY_LEN(titles), titles);
	buf_init(&schedule, 0);
	buf_init(&next, 0);
	for (size_t i = 0; i < shown; i++) {
		const struct entry_conf *c = lines[i].entry.conf;

		buf_reset(&schedule);
		buf_reset(&next);
		entry_add_schedule(&schedule, c);
		if (lines[i].next == SCHEDULE_NEVER)
			buf_adds(&next, "never");
		else
			when_add_time(&next, lines[i].entry.plan.schedule.zone, lines[i].next);
		grid_add(&g, (const char *[]){ c->name, buf_text(&schedule), c->task, target_of(c), buf_text(&next) });
	}
	grid_print(&g);
	if (shown < n)
		out_note("... and %zu more: warren schedule list shows all", n - shown);
	grid_release(&g);
	buf_release(&schedule);
	buf_release(&next);
	alloc_free(lines);
	zones_release(&zones);
}

void
when_print_table_json(const struct entry_conf *entries, size_t n, us_t now)
{
	struct buf b, text;
	struct zones zones;
	struct line *lines;
	struct js w;

	zones_init(&zones);
	lines = lines_of(entries, n, &zones, now);
	buf_init(&b, 0);
	buf_init(&text, 0);
	js_init(&w, &b);
	js_array(&w);
	for (size_t i = 0; i < n; i++) {
		const struct entry_conf *c = lines[i].entry.conf;

		js_object(&w);
		js_key(&w, "name");
		js_text(&w, c->name);
		js_key(&w, "schedule");
		buf_reset(&text);
		entry_add_schedule(&text, c);
		js_string(&w, buf_span(&text));
		js_key(&w, "task");
		js_text(&w, c->task);
		js_key(&w, "exchange");
		js_text(&w, c->exchange);
		js_key(&w, "routing_key");
		js_text(&w, c->routing_key);
		js_key(&w, "next");
		buf_reset(&text);
		if (lines[i].next != SCHEDULE_NEVER)
			when_add_iso(&text, lines[i].entry.plan.schedule.zone, lines[i].next);
		js_string(&w, text.len ? buf_span(&text) : SPAN_NONE);
		js_object_end(&w);
	}
	js_array_end(&w);
	out_json(&b);
	buf_release(&b);
	buf_release(&text);
	alloc_free(lines);
	zones_release(&zones);
}
