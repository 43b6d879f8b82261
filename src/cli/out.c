/*
 * Printing. stdout is fully buffered by stdio and flushed when a command ends or waits; stderr carries at most one progress line, which
 * is wiped before anything else is written there.
 */
#include "cli/out.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PROGRESS_EVERY 100
#define COLUMN_MIN 8

static struct {
	bool terminal, color, progress, error_color;
	bool line_up;    /* a progress line is on the screen */
	int write_errno; /* of the first failure that was seen */
	ms_t last;
} out;

void
out_setup(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	bool may = (no_color == NULL || *no_color == '\0') && !(term != NULL && strcmp(term, "dumb") == 0);

	out.terminal = isatty(STDOUT_FILENO);
	out.progress = isatty(STDERR_FILENO);
	out.color = out.terminal && may;
	out.error_color = out.progress && may;
	if (!out.terminal)
		setvbuf(stdout, NULL, _IOFBF, 1 << 16);
}

bool
out_finish(void)
{
	out_progress_clear();
	if (fflush(stdout) != 0)
		out.write_errno = errno;
	return out.write_errno == 0 && !ferror(stdout);
}

const char *
out_why(void)
{
	return out.write_errno != 0 ? strerror(out.write_errno) : "it was lost";
}

bool
out_reader_is_gone(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO };

	/* Of a pipe's writing end: nobody has the other one. */
	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR) != 0;
}

void
out_progress_clear(void)
{
	if (!out.line_up)
		return;
	fputs("\r\033[K", stderr);
	out.line_up = false;
}

/* Names and texts of strangers are among it: ids of letters, words of a broker, what a task threw. */
static void PRINTFLIKE(2, 0) say(bool lines, const char *fmt, va_list ap)
{
	struct span rest, line;
	struct buf shown;
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	buf_init(&shown, 0);
	for (rest = span_of(text); rest.ptr != NULL;) {
		line = lines ? span_split(&rest, '\n') : rest;
		text_add_printable(&shown, line, 0);
		buf_addc(&shown, '\n');
		if (!lines)
			break;
	}
	fwrite(shown.data, 1, shown.len, stderr);
	buf_release(&shown);
	free(text);
}

void
out_error(const char *fmt, ...)
{
	va_list ap;

	out_progress_clear();
	fflush(stdout);
	fputs(out.error_color ? "\033[31mwarren:\033[0m " : "warren: ", stderr);
	va_start(ap, fmt);
	say(false, fmt, ap);
	va_end(ap);
}

void
out_note(const char *fmt, ...)
{
	va_list ap;

	out_progress_clear();
	va_start(ap, fmt);
	say(true, fmt, ap);
	va_end(ap);
}

void
out_span(struct span s)
{
	if (s.len > 0 && fwrite(s.ptr, 1, s.len, stdout) < s.len && out.write_errno == 0)
		out.write_errno = errno;
}

void
out_line(struct span s)
{
	out_progress_clear();
	out_span(s);
	fputc('\n', stdout);
}

void
out_json(struct buf *json)
{
	out_line(buf_span(json));
}

bool
out_is_terminal(void)
{
	return out.terminal;
}

bool
out_has_progress(void)
{
	return out.progress;
}

void
out_progress(bool last, const char *fmt, ...)
{
	ms_t now = clock_mono_ms();
	va_list ap;

	if (!out.progress || (!last && now - out.last < PROGRESS_EVERY))
		return;
	out.last = now;
	fputs("\r\033[K", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fflush(stderr);
	out.line_up = true;
}

bool
out_can_ask(void)
{
	return isatty(STDIN_FILENO) && out.progress;
}

bool
out_ask(const char *fmt, ...)
{
	char line[32];
	va_list ap;

	if (!out_can_ask())
		return false;
	out_progress_clear();
	fflush(stdout);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs(" [y/N] ", stderr);
	fflush(stderr);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return false;
	return line[0] == 'y' || line[0] == 'Y';
}

const char *
out_color(enum out_color c)
{
	static const char *const codes[] = {
		[OUT_PLAIN] = "\033[0m",
		[OUT_RED] = "\033[31m",
		[OUT_GREEN] = "\033[32m",
		[OUT_YELLOW] = "\033[33m",
		[OUT_BOLD] = "\033[1m",
		[OUT_DIM] = "\033[2m",
	};

	return out.color ? codes[c] : "";
}

void
grid_init(struct grid *g, size_t columns, const char *const *titles)
{
	assert(columns <= GRID_COLUMNS);
	*g = (struct grid){ .columns = columns };
	grid_add(g, titles);
}

void
grid_add(struct grid *g, const char *const *cells)
{
	struct buf b;
	size_t i;

	if (g->rows == g->cap) {
		g->cap = g->cap == 0 ? 16 : g->cap * 2;
		g->cells = must_resize(g->cells, g->cap * g->columns * sizeof(*g->cells));
	}
	for (i = 0; i < g->columns; i++) {
		buf_init(&b, 0);
		text_add_printable(&b, span_of(cells[i] != NULL ? cells[i] : ""), 0);
		g->cells[g->rows * g->columns + i] = must_dup((struct span){ buf_text(&b), b.len });
		buf_release(&b);
	}
	g->rows++;
}

/* Characters, as against bytes: what is not the inside of a UTF-8 sequence. */
static size_t
width_of(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static size_t
terminal_width(void)
{
	struct winsize w;

	return out.terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40 ? w.ws_col : 0;
}

static void
print_cell(const char *s, size_t width, bool last)
{
	size_t n = width_of(s), shown = 0;

	if (n <= width) {
		printf("%s%*s", s, last ? 0 : (int)(width - n + 2), "");
		return;
	}
	for (; *s != '\0' && (shown < width - 1 || ((unsigned char)*s & 0xc0) == 0x80); s++) {
		shown += ((unsigned char)*s & 0xc0) != 0x80;
		fputc(*s, stdout);
	}
	printf("~%s", last ? "" : "  ");
}

/* Cut to the terminal: the widest first, and the first column, by which a row is known, only when no other can give. */
static void
fit(size_t *widths, size_t columns, size_t limit)
{
	size_t sum = 2 * (columns - 1), widest, i;

	for (i = 0; i < columns; i++)
		sum += widths[i];
	for (; limit > 0 && sum > limit; sum--) {
		widest = 0;
		for (i = 1; i < columns; i++)
			if (widths[i] > COLUMN_MIN && (widest == 0 || widths[i] > widths[widest]))
				widest = i;
		if (widths[widest] <= COLUMN_MIN)
			return;
		widths[widest]--;
	}
}

void
grid_print(const struct grid *g)
{
	size_t widths[GRID_COLUMNS] = { 0 }, i, k, last;

	for (i = 0; i < g->rows * g->columns; i++) {
		k = width_of(g->cells[i]);
		if (k > widths[i % g->columns])
			widths[i % g->columns] = k;
	}
	fit(widths, g->columns, terminal_width());
	for (i = 0; i < g->rows; i++) {
		fputs(i == 0 ? out_color(OUT_BOLD) : "", stdout);
		/* Nothing behind the last cell that says something. */
		for (last = g->columns - 1; last > 0 && *g->cells[i * g->columns + last] == '\0';)
			last--;
		for (k = 0; k <= last; k++)
			print_cell(g->cells[i * g->columns + k], widths[k], k == last);
		fputs(i == 0 ? out_color(OUT_PLAIN) : "", stdout);
		fputc('\n', stdout);
	}
}

void
grid_release(struct grid *g)
{
	size_t i;

	for (i = 0; i < g->rows * g->columns; i++)
		alloc_free(g->cells[i]);
	alloc_free(g->cells);
	*g = (struct grid){ .rows = 0 };
}
