/*
 * See top.h. From top to bottom: a title, two lines of sums, workers, names of tasks, the tasks heard of last, the keys. Each of the tables
 * gets a share of the screen; what does not fit is counted.
 */
#include "cli/top.h"

#include "base/alloc.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>

#define RATE_SECONDS 10
#define ID_SHORT 8
#define ID_LONG 36

struct screen {
	struct buf *out;
	const struct top *top;
	size_t left; /* lines, without the one for the keys */
	struct buf line;
};

/* The line so far, cut to the width in characters, and to the next one. */
static void
end_line(struct screen *s, const char *style)
{
	struct buf shown;
	size_t i, n = 0;

	if (s->left == 0) {
		buf_reset(&s->line);
		return;
	}
	s->left--;
	buf_init(&shown, 0);
	text_add_printable(&shown, buf_span(&s->line), 0);
	for (i = 0; i < shown.len; i++) {
		n += ((unsigned char)shown.data[i] & 0xc0) != 0x80;
		if (n > s->top->columns)
			break;
	}
	/* Wiped before: behind a full line the cursor still stands on its last character. */
	buf_addf(s->out, "\033[K%s", s->top->color ? style : "");
	buf_add(s->out, (struct span){ shown.data, i });
	buf_adds(s->out, s->top->color && *style != '\0' ? "\033[0m\r\n" : "\r\n");
	buf_release(&shown);
	buf_reset(&s->line);
}

static void PRINTFLIKE(3, 4) put(struct screen *s, const char *style, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_adds(&s->line, text);
	end_line(s, style);
}

#define PLAIN ""
#define BOLD "\033[1m"
#define REVERSE "\033[7m"
#define RED "\033[31m"
#define DIM "\033[2m"

/* Columns are padded by characters, as against bytes; too long a text loses its end. */
static void
cell(struct buf *b, const char *text, size_t width)
{
	size_t n = 0;

	for (; text != NULL && *text != '\0'; text++) {
		bool begins = ((unsigned char)*text & 0xc0) != 0x80;

		if (begins && n == width)
			break;
		n += begins;
		buf_addc(b, *text);
	}
	for (; n < width; n++)
		buf_addc(b, ' ');
	buf_adds(b, "  ");
}

static void
seconds(char out[24], double s)
{
	/* A stranger's numbers may be anything. */
	if (!(s >= 0 && s < 1e9))
		snprintf(out, 24, "-");
	else if (s < 100)
		snprintf(out, 24, "%.3fs", s);
	else {
		struct buf b;

		buf_init(&b, 0);
		text_add_duration(&b, (ms_t)s * 1000);
		snprintf(out, 24, "%s", buf_text(&b));
		buf_release(&b);
	}
}

/* --- the parts --------------------------------------------------------------------------------------------------------- */

static void
draw_head(struct screen *s, const struct view *v)
{
	const struct top *t = s->top;
	struct map_iter it = { .entry = NULL };
	char title[512];
	size_t alive = 0;

	while (map_next(&v->workers, &it))
		alive += view_worker_lives(it.value, t->now);
	snprintf(title, sizeof(title), " warren events   %s   %s", t->broker,
		t->is_up ? "" : "(not connected)");
	put(s, REVERSE, "%-*s", (int)t->columns, title);
	put(s, PLAIN, "%s   workers %zu of %zu alive   events %llu   ended %.1f/s", t->clock, alive,
		v->workers.count, (unsigned long long)v->events, view_rate(&v->sums, t->now, RATE_SECONDS));
	put(s, PLAIN, "waiting %zu  running %zu  succeeded %llu  failed %llu  retried %llu  revoked %llu",
		v->by_state[VIEW_PENDING] + v->by_state[VIEW_RECEIVED] + v->by_state[VIEW_RETRY],
		v->by_state[VIEW_STARTED], (unsigned long long)v->sums.total[VIEW_COUNT_SUCCEEDED],
		(unsigned long long)v->sums.total[VIEW_COUNT_FAILED],
		(unsigned long long)v->sums.total[VIEW_COUNT_RETRIED],
		(unsigned long long)v->sums.total[VIEW_COUNT_REVOKED]);
	put(s, PLAIN, "%s", "");
}

/* The values of a map, sorted; free the array. */
static void **
sorted(const struct map *m, int (*compare)(const void *, const void *))
{
	void **all = must_alloc((m->count + 1) * sizeof(*all));
	struct map_iter it = { .entry = NULL };
	size_t n = 0;

	while (map_next(m, &it))
		all[n++] = it.value;
	if (n > 1)
		qsort(all, n, sizeof(*all), compare);
	return all;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(
		(*(const struct view_worker *const *)a)->name, (*(const struct view_worker *const *)b)->name);
}

static size_t
flexible(const struct screen *s, size_t others, size_t least)
{
	return s->top->columns > others + least ? s->top->columns - others : least;
}

static void
draw_workers(struct screen *s, const struct view *v, size_t most)
{
	size_t wide = flexible(s, 2 + 7 + 2 + 6 + 2 + 9 + 2 + 17 + 2 + 15 + 2, 12), i, n = v->workers.count;
	void **all = sorted(&v->workers, by_name);

	cell(&s->line, "WORKER", wide);
	buf_adds(&s->line, "STATUS   ACTIVE       DONE               LOAD  SOFTWARE");
	end_line(s, BOLD);
	for (i = 0; i < n && i < most; i++) {
		const struct view_worker *w = all[i];
		bool lives = view_worker_lives(w, s->top->now);
		char load[40];

		snprintf(load, sizeof(load), "%.2f %.2f %.2f", w->loadavg[0], w->loadavg[1], w->loadavg[2]);
		cell(&s->line, w->name, wide);
		cell(&s->line, lives ? "online" : w->is_offline ? "offline" : "silent", 7);
		buf_addf(&s->line, "%6lld  %9lld  %17s  %s %s", (long long)w->active, (long long)w->processed,
			load, w->software != NULL ? w->software : "", w->version != NULL ? w->version : "");
		end_line(s, lives ? PLAIN : RED);
	}
	if (n > most)
		put(s, DIM, "... and %zu more", n - most);
	put(s, PLAIN, "%s", "");
	alloc_free(all);
}

static int
by_total(const void *a, const void *b)
{
	const struct view_sums *x = *(const struct view_sums *const *)a,
			       *y = *(const struct view_sums *const *)b;
	uint64_t n = x->total[VIEW_COUNT_RECEIVED], m = y->total[VIEW_COUNT_RECEIVED];

	return n != m ? (n < m) - (n > m) : strcmp(x->name, y->name);
}

static void
draw_names(struct screen *s, const struct view *v, size_t most)
{
	size_t wide = flexible(s, 2 + 9 * 6 + 7, 12), i, n = v->names.count;
	void **all = sorted(&v->names, by_total);

	cell(&s->line, "TASK", wide);
	buf_adds(&s->line, "RECEIVED       OK   FAILED  RETRIED     MEAN      MAX      /s");
	end_line(s, BOLD);
	for (i = 0; i < n && i < most; i++) {
		const struct view_sums *t = all[i];
		uint64_t ok = t->total[VIEW_COUNT_SUCCEEDED];
		char mean[24], max[24];

		seconds(mean, ok > 0 ? t->runtime / (double)ok : -1);
		seconds(max, ok > 0 ? t->runtime_max : -1);
		cell(&s->line, t->name, wide);
		buf_addf(&s->line, "%8llu %8llu %8llu %8llu %8s %8s %7.1f",
			(unsigned long long)t->total[VIEW_COUNT_RECEIVED], (unsigned long long)ok,
			(unsigned long long)t->total[VIEW_COUNT_FAILED],
			(unsigned long long)t->total[VIEW_COUNT_RETRIED], mean, max,
			view_rate(t, s->top->now, RATE_SECONDS));
		end_line(s, PLAIN);
	}
	if (n > most)
		put(s, DIM, "... and %zu more", n - most);
	if (n == 0)
		put(s, DIM, "no events of tasks yet: workers send them with -E, or after the key e");
	put(s, PLAIN, "%s", "");
	alloc_free(all);
}

static const char *
style_of(enum view_state state)
{
	return state == VIEW_FAILURE || state == VIEW_REJECTED ? RED : state == VIEW_SUCCESS ? DIM : PLAIN;
}

static void
draw_tasks(struct screen *s, const struct view *v)
{
	size_t id = s->top->columns >= 120 ? ID_LONG : ID_SHORT,
	       wide = flexible(s, id + 2 + 2 + 8 + 2 + 8 + 2 + 8 + 2 + 22, 12);
	const struct view_task *t = NULL;

	cell(&s->line, "ID", id);
	cell(&s->line, "TASK", wide);
	cell(&s->line, "STATE", 8);
	buf_adds(&s->line, "     AGO  RUNTIME  WORKER");
	end_line(s, BOLD);
	while (s->left > 0 && (t = view_older(v, t)) != NULL) {
		char ago[24], runtime[24];

		seconds(ago, (double)s->top->now / 1e6 - t->timestamp);
		seconds(runtime, t->state == VIEW_SUCCESS ? t->runtime : -1);
		cell(&s->line, t->id, id);
		cell(&s->line, t->texts[VIEW_NAME] != NULL ? t->texts[VIEW_NAME] : "?", wide);
		cell(&s->line, view_state_name(t->state), 8);
		buf_addf(&s->line, "%8.8s %8s  %s", ago, runtime,
			t->texts[VIEW_WORKER] != NULL ? t->texts[VIEW_WORKER] : "");
		end_line(s, style_of(t->state));
	}
}

void
top_draw(struct buf *b, const struct view *v, const struct top *t)
{
	struct screen s = { .out = b, .top = t, .left = t->rows > 1 ? t->rows - 1 : 0 };
	size_t share = t->rows > 12 ? (t->rows - 12) / 3 + 1 : 1;

	buf_init(&s.line, 0);
	buf_adds(b, "\033[H");
	draw_head(&s, v);
	draw_workers(&s, v, share);
	draw_names(&s, v, share);
	draw_tasks(&s, v);
	buf_adds(b, "\033[J");
	/* The last line is written without a newline behind it, which would scroll. */
	buf_addf(b, "\033[%zu;1H", t->rows);
	buf_adds(&s.line, "q quit   e ask for events of tasks   c forget all");
	if (s.line.len > t->columns)
		s.line.len = t->columns;
	buf_addf(b, "\033[K%s", t->color ? DIM : "");
	buf_add(b, buf_span(&s.line));
	buf_adds(b, t->color ? "\033[0m" : "");
	buf_release(&s.line);
}
