/*
 * Bulk sending. Input is read in large pieces and lines are sent as slices of the piece; confirms come back while the next lines are encoded.
 * When the input is a pipe that has nothing yet, the client's loop waits for both, so heartbeats and confirms go on.
 */
#include "cli/bulk.h"

#include "base/clock.h"
#include "base/js.h"
#include "cli/out.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PIECE (256 << 10)

struct bulk {
	struct cli *cli;
	struct client *client;
	struct sender *sender;
	const struct call *base;
	const char *path;
	int fd;
	bool is_file;       /* can be read without waiting */
	bool waits;         /* for input that does not come */
	struct buf pending; /* what was read and not sent yet: at most one line and a piece */
	size_t line_max;
	bool skipping;   /* the rest of a line that is too long */
	struct buf json; /* scratch */
	uint64_t line;
	uint64_t sent, failed;
	ms_t started;
};

static void
report(struct bulk *b, uint64_t line, const char *why)
{
	struct js w;

	b->failed++;
	if (b->cli->common.json) {
		buf_reset(&b->json);
		js_init(&w, &b->json);
		js_object(&w);
		js_key(&w, "line");
		js_int(&w, (int64_t)line);
		js_key(&w, "error");
		js_text(&w, why);
		js_object_end(&w);
		out_json(&b->json);
	}
	out_error("%s:%llu: %s", b->path, (unsigned long long)line, why);
}

static void
print_sent(struct bulk *b, const struct client_sent *s)
{
	struct js w;

	if (!b->cli->common.json) {
		out_line(s->id);
		return;
	}
	buf_reset(&b->json);
	js_init(&w, &b->json);
	js_object(&w);
	js_key(&w, "line");
	js_int(&w, (int64_t)s->tag);
	js_key(&w, "id");
	js_string(&w, s->id);
	js_object_end(&w);
	out_json(&b->json);
}

static void
on_sent(void *owner, const struct client_sent *s)
{
	struct bulk *b = owner;

	if (s->err != E_OK)
		report(b, s->tag, s->text);
	else {
		b->sent++;
		print_sent(b, s);
	}
	/* The last one under way: whoever writes the lines may wait for its id before the next one. */
	if (b->waits && client_pending(b->client) <= 1)
		fflush(stdout);
}

static void
show_progress(const struct bulk *b, bool last)
{
	ms_t spent = clock_mono_ms() - b->started;

	out_progress(last, "%llu sent, %llu failed, %zu on the way, %.0f/s", (unsigned long long)b->sent,
		(unsigned long long)b->failed, client_pending(b->client),
		spent > 0 ? (double)b->sent * 1000 / (double)spent : 0);
}

/* Trouble that the next line would have too. */
static bool
is_fatal(enum err e)
{
	return e == E_CLOSED || e == E_TIMEOUT || e == E_NOMEM;
}

static enum err
send_line(struct bulk *b, struct span line, struct errtext *t)
{
	struct call c = *b->base;
	struct arena arena;
	enum err e;

	b->line++;
	line = span_trim(line);
	if (line.len == 0)
		return E_OK;
	arena_init(&arena, 0);
	c.arena = &arena;
	e = c.headers.count > 0 ? table_copy(&c.headers, &b->base->headers, &arena) : E_OK;
	if (e == E_OK)
		e = call_read_line(&c, line, clock_wall_us(), t);
	if (e == E_OK)
		e = sender_send(b->sender, &c, b->line, on_sent, b, t);
	arena_release(&arena);
	if (e == E_OK || is_fatal(e))
		return e;
	report(b, b->line, t->text);
	return E_OK;
}

/* What was read of a line that is too long is forgotten, and its rest passed over as it comes. */
static void
refuse_long_line(struct bulk *b)
{
	struct errtext t;

	b->line++;
	err_set(&t, E_TOOBIG, "the line is longer than %zu bytes (message_max)", b->line_max);
	report(b, b->line, t.text);
	buf_reset(&b->pending);
	b->skipping = true;
}

static void
skip(struct bulk *b, struct span *rest)
{
	const char *newline = memchr(rest->ptr, '\n', rest->len);
	size_t len = newline != NULL ? (size_t)(newline - rest->ptr) + 1 : rest->len;

	rest->ptr += len;
	rest->len -= len;
	b->skipping = newline == NULL;
}

/* Some editors begin a file with it, as UTF-8. */
static void
skip_mark(const struct bulk *b, struct span *rest)
{
	if (b->line == 0 && span_starts(*rest, "\xef\xbb\xbf")) {
		rest->ptr += 3;
		rest->len -= 3;
	}
}

/* All whole lines of what is pending; with `end` also the last one without a newline. */
static enum err
send_pending(struct bulk *b, bool end, struct errtext *t)
{
	struct span rest = buf_span(&b->pending), line;
	const char *newline;
	size_t len;
	enum err e = E_OK;

	if (b->skipping && rest.len > 0)
		skip(b, &rest);
	while (e == E_OK && rest.len > 0) {
		newline = memchr(rest.ptr, '\n', rest.len);
		if (newline == NULL && !end)
			break;
		len = newline != NULL ? (size_t)(newline - rest.ptr) : rest.len;
		line = (struct span){ rest.ptr, len };
		skip_mark(b, &line);
		e = send_line(b, line, t);
		len += newline != NULL;
		rest.ptr += len;
		rest.len -= len;
	}
	buf_drop(&b->pending, b->pending.len - rest.len);
	show_progress(b, false);
	if (e == E_OK && b->pending.len > b->line_max)
		refuse_long_line(b);
	return e;
}

/* One piece; *end when there is no more. Waits in the loop, not in read(). */
static enum err
read_piece(struct bulk *b, bool *end, struct errtext *t)
{
	char *room = buf_room(&b->pending, PIECE);
	ssize_t n;

	if (room == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	if (!b->is_file) {
		fflush(stdout);
		b->waits = true;
		b->is_file = client_wait_fd(b->client, b->fd, NULL) != E_OK;
		b->waits = false;
	}
	do
		n = read(b->fd, room, PIECE);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return E_OK;
	if (n < 0)
		return err_sys(t, "cannot read %s", b->path);
	buf_grew(&b->pending, (size_t)n);
	*end = n == 0;
	return E_OK;
}

static enum err
pump(struct bulk *b, struct errtext *t)
{
	bool end = false;
	enum err e = E_OK;

	while (e == E_OK && !end) {
		e = read_piece(b, &end, t);
		if (e == E_OK)
			e = send_pending(b, end, t);
	}
	/* What was sent before the trouble still gets its confirms. */
	if (e == E_OK || e == E_SYS) {
		struct errtext late = { "" };
		enum err flushed = client_flush(b->client, &late);

		if (flushed != E_OK && e == E_OK) {
			*t = late;
			e = flushed;
		}
	}
	return e;
}

static void
summary(const struct bulk *b)
{
	double seconds = (double)(clock_mono_ms() - b->started) / 1000;

	out_progress_clear();
	fflush(stdout);
	out_note("sent %llu task%s in %.2f s (%.0f/s)%s%.0llu%s", (unsigned long long)b->sent,
		b->sent == 1 ? "" : "s", seconds, seconds > 0 ? (double)b->sent / seconds : 0,
		b->failed > 0 ? ", " : "", (unsigned long long)b->failed, b->failed > 0 ? " failed" : "");
}

int
bulk_send(struct cli *cli, struct client *client, struct sender *sender, const struct call *base,
	const char *path)
{
	bool is_stdin = strcmp(path, "-") == 0;
	struct bulk b = {
		.cli = cli, .client = client, .sender = sender, .base = base, .path = is_stdin ? "stdin" : path
	};
	struct errtext why = { "" };
	enum err e;

	b.fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (b.fd < 0) {
		err_sys(&why, "cannot open %s", path);
		out_error("%s", why.text);
		return EXIT_NO;
	}
	b.line_max = (size_t)cli->conf.o.message_max;
	buf_init(&b.pending, 0);
	buf_init(&b.json, 0);
	e = client_connect_broker(client, &why);
	b.started = clock_mono_ms();
	if (e == E_OK) {
		e = pump(&b, &why);
		summary(&b);
	}
	if (e != E_OK)
		out_error("%s", why.text);
	if (!is_stdin)
		close(b.fd);
	buf_release(&b.pending);
	buf_release(&b.json);
	return e != E_OK ? exit_of(e) : b.failed > 0 ? EXIT_NO : 0;
}
