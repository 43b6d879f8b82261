/*
 * The log: rows of tbl/logs.def become lines. A line is built in one buffer that is kept, and leaves with one
 * system call.
 *
 * It must not block, whatever the sink is, and must not switch a descriptor to non-blocking that other
 * processes have open as well (O_NONBLOCK belongs to the open file, not to the descriptor; a shell sharing the
 * terminal would suffer). So:
 *
 *   pipe, terminal   opened once more through /proc/self/fd: an open file of our own, which is non-blocking.
 *                    When that is not allowed (another user's terminal), poll first and write if there is room
 *   socket           sendmsg with MSG_DONTWAIT
 *   file             written as it is: files do not block in this sense
 *
 * A line that finds no room is dropped and counted; the next one that finds some is preceded by the count. A
 * mutex keeps the lines of several threads apart.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/js.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	VALUE_MAX = 8192, /* bytes of one field that are shown */
	LINES_MAX = 16384, /* of a text of several lines the end is shown: a traceback's last frames say most */
};

enum sink { SINK_FILE, SINK_SOCKET, SINK_NONBLOCK, SINK_POLL };

static const struct {
	const char *name;
	enum log_level level;
	const char *sentence;
} rows[] = {
#define LOGROW(id, level, sentence) { #id, LOG_##level, sentence },
#include "tbl/logs.def"
#undef LOGROW
};

static const struct {
	const char *upper, *lower, *color;
} levels[] = {
	[LOG_DEBUG] = { "DEBUG", "debug", "\033[2m" },
	[LOG_INFO] = { "INFO", "info", "" },
	[LOG_WARNING] = { "WARNING", "warning", "\033[33m" },
	[LOG_ERROR] = { "ERROR", "error", "\033[31m" },
	[LOG_CRITICAL] = { "CRITICAL", "critical", "\033[1;31m" },
};

static struct {
	pthread_mutex_t lock;
	enum log_level level;
	bool json, color, is_set_up;
	char process[64];
	int fd;
	int own_fd; /* the pipe or terminal opened once more, or -1 */
	enum sink sink;
	struct buf line, sentence;
	uint64_t dropped, untold; /* untold: not yet printed */
	bool is_cut;              /* the sink holds the beginning of a line */
	time_t second;            /* of which `stamp` is the local time */
	char stamp[32];
	void (*capture)(void *, enum log_id, const char *);
	void *capture_owner;
} out = {
	.lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_INFO, .fd = STDERR_FILENO, .own_fd = -1, .process = "main"
};

/* Decides how to write to out.fd without blocking. */
static void
open_sink(void)
{
	char path[32];
	struct stat st;

	out.sink = SINK_FILE;
	out.is_set_up = true;
	if (fstat(out.fd, &st) != 0)
		return; /* a closed descriptor: the writes fail and are counted */
	if (S_ISSOCK(st.st_mode)) {
		out.sink = SINK_SOCKET;
	} else if (S_ISFIFO(st.st_mode) || isatty(out.fd)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", out.fd);
		out.own_fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		out.sink = out.own_fd >= 0 ? SINK_NONBLOCK : SINK_POLL;
	}
}

void
log_setup(const struct log_conf *conf)
{
	pthread_mutex_lock(&out.lock);
	out.level = conf->level;
	out.json = conf->json;
	out.color = conf->color;
	snprintf(out.process, sizeof(out.process), "%s", conf->process ? conf->process : "main");
	out.fd = conf->fd;
	if (out.own_fd >= 0)
		close(out.own_fd);
	out.own_fd = -1;
	open_sink();
	pthread_mutex_unlock(&out.lock);
}

bool
log_is_on(enum log_level level)
{
	return level >= out.level;
}

bool
log_parse_level(struct span text, enum log_level *level)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (text.len == strlen(levels[i].lower) &&
			strncasecmp(text.ptr, levels[i].lower, text.len) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

void
log_capture(void (*fn)(void *owner, enum log_id id, const char *line), void *owner)
{
	pthread_mutex_lock(&out.lock);
	out.capture = fn;
	out.capture_owner = owner;
	pthread_mutex_unlock(&out.lock);
}

uint64_t
log_dropped(void)
{
	return out.dropped;
}

/* Microseconds as seconds, without the zeros at the end: "0.012". */
static void
add_seconds(struct buf *b, int64_t us)
{
	uint64_t v = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
	int digits = 6;

	buf_addf(b, "%s%llu", us < 0 ? "-" : "", (unsigned long long)(v / 1000000));
	v %= 1000000;
	if (v == 0)
		return;
	for (; v % 10 == 0; digits--)
		v /= 10;
	buf_addf(b, ".%0*llu", digits, (unsigned long long)v);
}

static struct span
last_lines(struct span text)
{
	if (text.len <= LINES_MAX)
		return text;
	return (struct span){ text.ptr + text.len - LINES_MAX, LINES_MAX };
}

static void
add_lines(struct buf *b, struct span text)
{
	struct span rest = last_lines(text);

	while (rest.len > 0) {
		buf_addc(b, '\n');
		text_add_printable(b, span_split(&rest, '\n'), VALUE_MAX);
	}
}

static void
add_value(struct buf *b, const struct log_field *f)
{
	if (f->type == LOG_F_INT)
		buf_addf(b, "%lld", (long long)f->number);
	else if (f->type == LOG_F_SECONDS)
		add_seconds(b, f->number);
	else if (f->type == LOG_F_LINES)
		add_lines(b, f->span);
	else
		text_add_printable(b, f->span, VALUE_MAX);
}

static const struct log_field *
find_field(const struct log_field *fields, struct span key)
{
	for (; fields->type != LOG_F_END; fields++) {
		if (span_is(key, fields->key))
			return fields;
	}
	return NULL;
}

/* The sentence with its {names} replaced. One that the call does not give stays as it is, to be seen and mended. */
static void
add_sentence(struct buf *b, const char *sentence, const struct log_field *fields)
{
	const char *open, *close;
	const struct log_field *f;

	while ((open = strchr(sentence, '{')) && (close = strchr(open, '}'))) {
		buf_add(b, (struct span){ sentence, (size_t)(open - sentence) });
		f = find_field(fields, (struct span){ open + 1, (size_t)(close - open) - 1 });
		if (f)
			add_value(b, f);
		else
			buf_add(b, (struct span){ open, (size_t)(close - open) + 1 });
		sentence = close + 1;
	}
	buf_adds(b, sentence);
}

/* localtime_r takes a lock and looks at the zone file, so once a second is enough. */
static void
add_stamp(struct buf *b, us_t now)
{
	time_t second = (time_t)(now / 1000000);
	struct tm tm;

	if (second != out.second || !out.stamp[0]) {
		if (!localtime_r(&second, &tm) ||
			strftime(out.stamp, sizeof(out.stamp), "%Y-%m-%d %H:%M:%S", &tm) == 0)
			snprintf(out.stamp, sizeof(out.stamp), "%lld", (long long)second);
		out.second = second;
	}
	buf_addf(b, "%s,%03d", out.stamp, (int)(now / 1000 % 1000));
}

static void
add_text_line(struct buf *b, enum log_id id, const struct log_field *fields, us_t now)
{
	enum log_level level = rows[id].level;
	const char *color = out.color ? levels[level].color : "";

	buf_adds(b, color);
	buf_addc(b, '[');
	add_stamp(b, now);
	buf_addf(b, ": %s/%s] ", levels[level].upper, out.process);
	add_sentence(b, rows[id].sentence, fields);
	if (*color)
		buf_adds(b, "\033[0m");
}

static struct span
first_part(struct span s)
{
	if (s.len > VALUE_MAX)
		s.len = VALUE_MAX;
	return s;
}

static void
add_json_line(struct buf *b, enum log_id id, const struct log_field *fields, us_t now)
{
	char text[TEXT_TIME_MAX > 64 ? TEXT_TIME_MAX : 64];
	struct js w;
	size_t n;

	js_init(&w, b);
	js_object(&w);
	js_key(&w, "ts");
	n = text_format_time(now, text);
	js_string(&w, (struct span){ text, n });
	js_key(&w, "level");
	js_text(&w, levels[rows[id].level].lower);
	js_key(&w, "event");
	for (n = 0; n < sizeof(text) && rows[id].name[n]; n++)
		text[n] = rows[id].name[n] == '_' ? '_' : (char)(rows[id].name[n] | 0x20);
	js_string(&w, (struct span){ text, n });
	js_key(&w, "process");
	js_text(&w, out.process);
	js_key(&w, "message");
	buf_reset(&out.sentence);
	add_sentence(&out.sentence, rows[id].sentence, fields);
	js_string(&w, buf_span(&out.sentence));
	for (; fields->type != LOG_F_END; fields++) {
		js_key(&w, fields->key);
		if (fields->type == LOG_F_INT)
			js_int(&w, fields->number);
		else if (fields->type == LOG_F_SECONDS)
			js_double(&w, (double)fields->number / 1e6);
		else
			js_string(&w,
				fields->type == LOG_F_LINES ? last_lines(fields->span)
							    : first_part(fields->span));
	}
	js_object_end(&w);
}

static void
add_line(struct buf *b, enum log_id id, const struct log_field *fields, us_t now)
{
	if (out.json)
		add_json_line(b, id, fields, now);
	else
		add_text_line(b, id, fields, now);
}

static ssize_t
write_some(struct span s)
{
	struct pollfd p = { .fd = out.fd, .events = POLLOUT };

	switch (out.sink) {
	case SINK_SOCKET:
		return send(out.fd, s.ptr, s.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case SINK_NONBLOCK:
		return write(out.own_fd, s.ptr, s.len);
	case SINK_POLL:
		/* Writable means that a page is free; more than that at once could block. */
		if (poll(&p, 1, 0) != 1)
			return -1;
		return write(out.fd, s.ptr, s.len < 4096 ? s.len : 4096);
	case SINK_FILE:
		break;
	}
	return write(out.fd, s.ptr, s.len);
}

/* Puts the line out, or counts it as dropped. */
static void
write_line(struct span s)
{
	ssize_t n;

	do
		n = write_some(s);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)s.len) {
		out.untold = 0;
		out.is_cut = false;
		return;
	}
	out.dropped++;
	out.untold++;
	if (n > 0)
		out.is_cut = true;
}

void
log_emit(enum log_id id, const struct log_field *fields)
{
	struct buf *b = &out.line;
	us_t now;

	if (!log_is_on(rows[id].level))
		return;
	pthread_mutex_lock(&out.lock);
	now = clock_wall_us();
	buf_reset(b);
	if (out.capture) {
		add_line(b, id, fields, now);
		out.capture(out.capture_owner, id, buf_text(b));
		goto done;
	}
	if (!out.is_set_up)
		open_sink();
	if (out.is_cut)
		buf_addc(b, '\n');
	if (out.untold) {
		add_line(b, LOG_ID_LOG_DROPPED,
			(const struct log_field[]){ LOG_INT("count", out.untold), { 0 } }, now);
		buf_addc(b, '\n');
	}
	add_line(b, id, fields, now);
	buf_addc(b, '\n');
	if (b->err == E_OK) {
		write_line(buf_span(b));
	} else {
		out.dropped++;
		out.untold++;
	}
done:
	pthread_mutex_unlock(&out.lock);
}
