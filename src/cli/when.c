/* The table of entries. Configurations were checked before, so what does not parse here is our own mistake. */
#include "cli/when.h"

#include "base/alloc.h"
#include "base/date.h"
#include "base/js.h"
#include "cli/out.h"

#define SECOND INT64_C(1000000)

struct line {
	const struct when_entry *from;
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

	buf_addf(b, "%04d-%02d-%02d%c%02d:%02d:%02d", d.year, d.month, d.day, between, (int)(of_day / 3600),
		(int)(of_day / 60 % 60), (int)(of_day % 60));
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
lines_of(const struct when_entry *entries, size_t n, struct zones *zones, us_t now)
{
	struct line *lines = must_alloc((n + 1) * sizeof(*lines));

	for (size_t i = 0; i < n; i++) {
		if (entry_init(&lines[i].entry, entries[i].conf, zones, NULL) != E_OK)
			abort();
		lines[i].from = &entries[i];
		lines[i].next = entries[i].paused ? SCHEDULE_NEVER
						  : schedule_next(&lines[i].entry.plan.schedule, now);
	}
	qsort(lines, n, sizeof(*lines), compare);
	return lines;
}

static const char *
target_of(const struct entry_conf *c)
{
	return c->exchange && *c->exchange ? c->exchange : c->routing_key;
}

static void
add_next(struct buf *b, const struct line *l)
{
	if (l->from->paused)
		buf_adds(b, "paused");
	else if (l->next == SCHEDULE_NEVER)
		buf_adds(b, "never");
	else
		when_add_time(b, l->entry.plan.schedule.zone, l->next);
}

static void
add_last(struct buf *b, const struct line *l)
{
	if (l->from->ran != INT64_MIN)
		when_add_time(b, l->entry.plan.schedule.zone, l->from->ran);
}

void
when_print_table(const struct when_entry *entries, size_t n, size_t max, bool all, us_t now)
{
	static const char *const titles[] = { "ENTRY", "WHEN", "TASK", "QUEUE", "NEXT RUN", "LAST RUN",
		"FROM" };
	size_t shown = max && n > max ? max : n;
	struct buf schedule, next, last;
	struct zones zones;
	struct line *lines;
	struct grid g;

	zones_init(&zones);
	lines = lines_of(entries, n, &zones, now);
	grid_init(&g, ARRAY_LEN(titles) - (all ? 0 : 2), titles);
	buf_init(&schedule, 0);
	buf_init(&next, 0);
	buf_init(&last, 0);
	for (size_t i = 0; i < shown; i++) {
		const struct entry_conf *c = lines[i].from->conf;

		buf_reset(&schedule);
		buf_reset(&next);
		buf_reset(&last);
		entry_add_schedule(&schedule, c);
		add_next(&next, &lines[i]);
		add_last(&last, &lines[i]);
		grid_add(&g,
			(const char *[]){ c->name, buf_text(&schedule), c->task, target_of(c),
				buf_text(&next), buf_text(&last), lines[i].from->from });
	}
	grid_print(&g);
	if (shown < n)
		out_note("... and %zu more: warren schedule list shows all", n - shown);
	grid_release(&g);
	buf_release(&schedule);
	buf_release(&next);
	buf_release(&last);
	alloc_free(lines);
	zones_release(&zones);
}

static void
add_json_time(struct js *w, const char *key, const struct line *l, us_t t, bool known)
{
	struct buf text;

	buf_init(&text, 0);
	if (known)
		when_add_iso(&text, l->entry.plan.schedule.zone, t);
	js_key(w, key);
	js_string(w, known ? buf_span(&text) : SPAN_NONE);
	buf_release(&text);
}

static void
add_json_line(struct js *w, const struct line *l)
{
	const struct entry_conf *c = l->from->conf;
	struct buf text;

	buf_init(&text, 0);
	entry_add_schedule(&text, c);
	js_object(w);
	js_key(w, "name");
	js_text(w, c->name);
	js_key(w, "from");
	js_text(w, l->from->from);
	js_key(w, "schedule");
	js_string(w, buf_span(&text));
	js_key(w, "task");
	js_text(w, c->task);
	js_key(w, "args");
	js_raw(w, c->args ? span_of(c->args) : SPAN("[]"));
	js_key(w, "kwargs");
	js_raw(w, c->kwargs ? span_of(c->kwargs) : SPAN("{}"));
	js_key(w, "exchange");
	js_text(w, c->exchange);
	js_key(w, "routing_key");
	js_text(w, c->routing_key);
	js_key(w, "paused");
	js_bool(w, l->from->paused);
	add_json_time(w, "next", l, l->next, l->next != SCHEDULE_NEVER);
	add_json_time(w, "last", l, l->from->ran, l->from->ran != INT64_MIN);
	js_key(w, "runs");
	js_int(w, l->from->runs);
	js_object_end(w);
	buf_release(&text);
}

void
when_print_table_json(const struct when_entry *entries, size_t n, us_t now)
{
	struct zones zones;
	struct line *lines;
	struct buf b;
	struct js w;

	zones_init(&zones);
	lines = lines_of(entries, n, &zones, now);
	buf_init(&b, 0);
	js_init(&w, &b);
	js_array(&w);
	for (size_t i = 0; i < n; i++)
		add_json_line(&w, &lines[i]);
	js_array_end(&w);
	out_json(&b);
	buf_release(&b);
	alloc_free(lines);
	zones_release(&zones);
}
