/* list, show and export: dead letters for people and for machines. What a stranger wrote never reaches the terminal unescaped. */
#include "cli/dead.h"

#include "base/js.h"
#include "base/text.h"
#include "cli/out.h"
#include "wire/headers.h"

#define SHOWN_BODY_MAX ((size_t)64 << 10)
#define SHOWN_ERROR_MAX 200

/* --- JSON --------------------------------------------------------------------------------------------------------------- */

static void
js_pair(struct js *w, const char *key, struct span text)
{
	js_key(w, key);
	js_string(w, text);
}

static void
add_facts(struct js *w, const struct dead_item *it)
{
	const struct dead_facts *f = &it->facts;

	js_pair(w, "id", dead_name(f));
	js_pair(w, "queue", f->queue);
	js_pair(w, "task", f->task);
	js_pair(w, "reason", f->reason);
	js_pair(w, "error", f->error);
	js_key(w, "attempts");
	if (f->attempts >= 0)
		js_int(w, f->attempts);
	else
		js_null(w);
	js_pair(w, "time", f->time_text);
	js_pair(w, "host", f->host);
	js_key(w, "bytes");
	js_int(w, (int64_t)it->msg->body.len);
}

static void
add_properties(struct js *w, const struct msg *m)
{
	const struct {
		const char *key;
		struct span value;
	} texts[] = {
		{ "content_type", m->content_type },
		{ "content_encoding", m->content_encoding },
		{ "correlation_id", m->correlation_id },
		{ "reply_to", m->reply_to },
		{ "expiration", m->expiration },
		{ "message_id", m->message_id },
		{ "type", m->type },
		{ "user_id", m->user_id },
		{ "app_id", m->app_id },
	};
	size_t i;

	js_object(w);
	for (i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].value.ptr != NULL)
			js_pair(w, texts[i].key, texts[i].value);
	if (m->delivery_mode != 0) {
		js_key(w, "delivery_mode");
		js_int(w, m->delivery_mode);
	}
	if (m->priority >= 0) {
		js_key(w, "priority");
		js_int(w, m->priority);
	}
	if (m->timestamp >= 0) {
		js_key(w, "timestamp");
		js_int(w, m->timestamp);
	}
	js_object_end(w);
}

static void
add_base64(struct buf *b, struct span s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)s.ptr;
	char *out = buf_room(b, (s.len + 2) / 3 * 4);
	size_t i, n = 0;

	if (out == NULL)
		return;
	for (i = 0; i < s.len; i += 3) {
		uint32_t three = (uint32_t)p[i] << 16 | (i + 1 < s.len ? (uint32_t)p[i + 1] << 8 : 0) |
			(i + 2 < s.len ? p[i + 2] : 0);

		out[n++] = digits[three >> 18];
		out[n++] = digits[three >> 12 & 63];
		out[n++] = i + 1 < s.len ? digits[three >> 6 & 63] : '=';
		out[n++] = i + 2 < s.len ? digits[three & 63] : '=';
	}
	buf_grew(b, n);
}

/* The whole letter: enough to build the message again. */
static void
add_letter(struct js *w, const struct dead_item *it)
{
	js_object(w);
	add_facts(w, it);
	js_pair(w, "output", it->facts.output);
	js_pair(w, "exchange", it->facts.exchange);
	js_key(w, "properties");
	add_properties(w, it->msg);
	js_key(w, "headers");
	headers_add_json(w->b, &it->msg->headers);
	w->need_comma = true;
	js_key(w, text_is_utf8(it->msg->body) ? "body" : "body_base64");
	if (text_is_utf8(it->msg->body)) {
		js_string(w, it->msg->body.ptr != NULL ? it->msg->body : SPAN(""));
	} else {
		buf_addc(w->b, '"');
		add_base64(w->b, it->msg->body);
		buf_addc(w->b, '"');
		w->need_comma = true;
	}
	if (it->spoiled != NULL)
		js_pair(w, "spoiled", span_of(it->spoiled));
	js_object_end(w);
}

/* One letter as one line. */
static enum err
print_line(const struct dead_item *it, bool whole, struct errtext *t)
{
	struct buf b;
	struct js w;
	enum err e;

	buf_init(&b, 0);
	js_init(&w, &b);
	if (whole) {
		add_letter(&w, it);
	} else {
		js_object(&w);
		add_facts(&w, it);
		js_object_end(&w);
	}
	e = b.err;
	if (e == E_OK)
		out_json(&b);
	buf_release(&b);
	return e == E_OK
		? e
		: err_set(t, e, "out of memory while printing '%.*s'", SPAN_FMT(dead_name(&it->facts)));
}

/* --- list and export ---------------------------------------------------------------------------------------------------- */

struct listing {
	struct grid grid;
	bool json, has_any;
};

static char *
cell(struct span s, size_t max)
{
	struct buf b;
	char *copy;

	buf_init(&b, 0);
	if (s.ptr == NULL)
		s = SPAN("-");
	/* The grid makes the rest visible. */
	buf_add(&b, max > 0 && s.len > max ? (struct span){ s.ptr, max } : s);
	copy = must_dup(buf_span(&b));
	buf_release(&b);
	return copy;
}

static enum err
list_one(void *owner, struct dead_source *s UNUSED, struct dead_item *it, struct errtext *t)
{
	struct listing *l = owner;
	const struct dead_facts *f = &it->facts;
	char attempts[24] = "-";
	char *cells[8];
	enum err e;
	size_t i;

	if (l->json) {
		out_span(l->has_any ? SPAN(",\n") : SPAN("[\n"));
		l->has_any = true;
		e = print_line(it, false, t);
		return e;
	}
	if (f->attempts >= 0)
		snprintf(attempts, sizeof(attempts), "%lld", (long long)f->attempts);
	cells[0] = cell(dead_name(f), 0);
	cells[1] = cell(f->queue, 0);
	cells[2] = cell(f->task, 0);
	cells[3] = cell(f->reason, 0);
	cells[4] = cell(span_of(attempts), 0);
	/* To the second: "2026-11-21T04:10:30". */
	cells[5] = cell(f->time_text, 19);
	cells[6] = cell(f->host, 0);
	cells[7] = cell(f->error, SHOWN_ERROR_MAX);
	grid_add(&l->grid, (const char *const *)cells);
	for (i = 0; i < ARRAY_LEN(cells); i++)
		alloc_free(cells[i]);
	return E_OK;
}

int
dead_list(struct dead_look *look)
{
	static const char *const titles[] = { "ID", "QUEUE", "TASK", "REASON", "ATTEMPTS", "WHEN (UTC)",
		"HOST", "ERROR" };
	struct listing l = { .json = look->cli->common.json };
	struct errtext why = { "" };
	enum err e;

	grid_init(&l.grid, ARRAY_LEN(titles), titles);
	e = dead_look_each(look, list_one, &l, &why);
	if (e == E_OK && l.json)
		out_line(l.has_any ? SPAN("]") : SPAN("[]"));
	else if (e == E_OK && look->matched > 0)
		grid_print(&l.grid);
	grid_release(&l.grid);
	if (e != E_OK)
		return dead_fail(e, &why);
	/* None is good news, and an answer: not a failure. */
	if (!l.json)
		dead_look_verdict(look);
	return 0;
}

static enum err
export_one(void *owner UNUSED, struct dead_source *s UNUSED, struct dead_item *it, struct errtext *t)
{
	return print_line(it, true, t);
}

int
dead_export(struct dead_look *look)
{
	struct errtext why = { "" };
	enum err e = dead_look_each(look, export_one, NULL, &why);

	return e == E_OK ? dead_look_verdict(look) : dead_fail(e, &why);
}

/* --- show --------------------------------------------------------------------------------------------------------------- */

static void
add_newline(struct buf *b, int depth)
{
	buf_addf(b, "\n%*s", depth * 2, "");
}

/* Checked JSON, one member a line; what stands inside of texts is left alone. */
static void
add_pretty(struct buf *b, struct span json)
{
	bool in_text = false;
	int depth = 0;
	size_t i;

	for (i = 0; i < json.len; i++) {
		char c = json.ptr[i], next = i + 1 < json.len ? json.ptr[i + 1] : '\0';

		if (in_text) {
			buf_addc(b, c);
			if (c == '\\' && i + 1 < json.len)
				buf_addc(b, json.ptr[++i]);
			in_text = c != '"';
			continue;
		}
		if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
			continue;
		if (c == '}' || c == ']')
			add_newline(b, --depth);
		buf_addc(b, c);
		in_text = c == '"';
		if ((c == '{' && next == '}') || (c == '[' && next == ']'))
			buf_addc(b, json.ptr[++i]);
		else if (c == '{' || c == '[')
			add_newline(b, ++depth);
		else if (c == ',')
			add_newline(b, depth);
		else if (c == ':')
			buf_addc(b, ' ');
	}
}

/* Each line of trusted structure by itself, indented. */
static void
print_lines(struct span text)
{
	struct span line;
	struct buf b;

	buf_init(&b, 0);
	while (text.ptr != NULL) {
		line = span_split(&text, '\n');
		buf_adds(&b, "  ");
		text_add_printable(&b, line, 0);
		buf_addc(&b, '\n');
	}
	out_span(buf_span(&b));
	buf_release(&b);
}

static void
print_json(struct span json)
{
	struct buf b;

	buf_init(&b, 0);
	add_pretty(&b, json);
	print_lines(buf_span(&b));
	buf_release(&b);
}

static void
print_fact(const char *name, struct span value)
{
	struct buf b;

	if (value.ptr == NULL)
		return;
	buf_init(&b, 0);
	buf_addf(&b, "%s%-9s%s ", out_color(OUT_BOLD), name, out_color(OUT_PLAIN));
	text_add_printable(&b, value, 0);
	out_line(buf_span(&b));
	buf_release(&b);
}

static void
print_title(const char *title)
{
	printf("%s%s%s\n", out_color(OUT_BOLD), title, out_color(OUT_PLAIN));
}

static void
print_body(struct dead_item *it)
{
	struct span body = dead_body(it->msg);
	struct buf b;
	char title[120];

	snprintf(title, sizeof(title), "body (%zu bytes%s)", it->msg->body.len,
		body.ptr != it->msg->body.ptr ? ", compressed" : "");
	print_title(title);
	if (it->spoiled != NULL)
		print_fact("  missing:", span_of(it->spoiled));
	if (body.len <= SHOWN_BODY_MAX &&
		jscan_check(body, &(struct jscan_limits){ .depth_max = JSCAN_DEPTH_MAX }, NULL, NULL) == E_OK) {
		print_json(body);
		return;
	}
	buf_init(&b, 0);
	buf_adds(&b, "  ");
	text_add_printable(&b, body, SHOWN_BODY_MAX);
	out_line(buf_span(&b));
	buf_release(&b);
	if (body.len > SHOWN_BODY_MAX)
		printf("  (cut here: warren dead export has all of it)\n");
}

static void
print_letter(struct dead_item *it)
{
	const struct dead_facts *f = &it->facts;
	char attempts[24];
	struct buf b;
	struct js w;

	snprintf(attempts, sizeof(attempts), "%lld", (long long)f->attempts);
	print_fact("id", dead_name(f));
	print_fact("task", f->task);
	print_fact("reason", f->reason);
	print_fact("error", f->error);
	print_fact("when", f->time_text);
	print_fact("host", f->host);
	print_fact("attempts", f->attempts >= 0 ? span_of(attempts) : SPAN_NONE);
	print_fact("queue", f->queue);
	print_fact("exchange", f->exchange.len > 0 ? f->exchange : SPAN_NONE);
	print_fact("letter in", span_of(it->source->queue));
	if (f->output.ptr != NULL) {
		print_title("last output");
		print_lines(f->output);
	}
	buf_init(&b, 0);
	js_init(&w, &b);
	add_properties(&w, it->msg);
	print_title("properties");
	print_json(buf_span(&b));
	buf_reset(&b);
	headers_add_json(&b, &it->msg->headers);
	print_title("headers");
	print_json(buf_span(&b));
	buf_release(&b);
	print_body(it);
}

static enum err
show_one(void *owner, struct dead_source *s UNUSED, struct dead_item *it, struct errtext *t)
{
	struct dead_look *look = owner;

	if (look->cli->common.json)
		return print_line(it, true, t);
	if (look->matched > 1)
		out_line(SPAN(""));
	print_letter(it);
	return E_OK;
}

int
dead_show(struct dead_look *look)
{
	struct errtext why = { "" };
	enum err e;

	look->prefixes = true;
	e = dead_look_each(look, show_one, look, &why);
	return e == E_OK ? dead_look_verdict(look) : dead_fail(e, &why);
}
