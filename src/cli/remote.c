/* Asking workers and printing what they say; the table of what can be asked is in remote_table.c. */
#include "cli/remote.h"

#include "base/clock.h"
#include "base/text.h"
#include "cli/out.h"
#include "client/remote.h"

#include <stdlib.h>

#define CELL_MAX 300

void
remote_answers_release(struct remote_answers *a)
{
	size_t i;

	for (i = 0; i < a->n; i++) {
		alloc_free(a->items[i].node);
		alloc_free(a->items[i].shown);
		alloc_free(a->items[i].json);
	}
	alloc_free(a->items);
	*a = (struct remote_answers){ .n = 0 };
}

bool
remote_has_answered(const struct remote_answers *a, const char *node)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		if (strcmp(a->items[i].node, node) == 0)
			return true;
	return false;
}

/* --- asking ------------------------------------------------------------------------------------------------------------ */

static void
on_answer(void *owner, struct span node, struct span answer)
{
	struct remote_answers *a = owner;
	struct buf shown;

	buf_init(&shown, 0);
	text_add_printable(&shown, node, CELL_MAX);
	if (a->n == a->cap) {
		a->cap = a->cap == 0 ? 8 : a->cap * 2;
		a->items = must_resize(a->items, a->cap * sizeof(*a->items));
	}
	a->items[a->n++] = (struct remote_answer){
		.node = must_dup(node),
		.shown = must_dup(buf_span(&shown)),
		.json = must_dup(answer),
		.is_error = jscan_kind(jscan_member(answer, "error")) == JSCAN_STRING,
	};
	buf_release(&shown);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct remote_answer *)a)->node, ((const struct remote_answer *)b)->node);
}

int
remote_collect(struct client *c, const char *method, struct span arguments, const struct remote_flags *f,
	struct remote_answers *out)
{
	struct remote_call call = {
		.method = span_of(method),
		.arguments = arguments,
		.nodes = f->destination.items,
		.n_nodes = f->destination.n,
		.timeout = f->timeout,
	};
	struct errtext why = { "" };
	enum err e = remote_ask(c, &call, on_answer, out, &why);

	if (e != E_OK) {
		out_error("%s", why.text);
		return exit_of(e);
	}
	if (out->n == 0 && client_is_blocked(c))
		out_error(
			"%s takes no messages now (memory or disk alarm): the question waits there, and so do answers",
			client_broker_url(c));
	if (out->n > 0)
		qsort(out->items, out->n, sizeof(*out->items), compare);
	return 0;
}

/* --- cells ------------------------------------------------------------------------------------------------------------- */

/* What the path leads to; SPAN_NONE when it leads nowhere. */
static struct span
follow(struct span value, const char *path)
{
	struct span rest = span_of(path), word;
	char name[64];

	while (rest.ptr != NULL && rest.len > 0) {
		struct jscan_iter it;
		int64_t index;

		word = span_split(&rest, '.');
		snprintf(name, sizeof(name), "%.*s", SPAN_FMT(word));
		if (!text_parse_int(word, &index)) {
			value = jscan_member(value, name);
			continue;
		}
		if (!jscan_begin(&it, value))
			return SPAN_NONE;
		while (index >= 0 && jscan_next(&it))
			index--;
		value = index < 0 ? it.value : SPAN_NONE;
	}
	return value;
}

static int64_t
sum(struct span object)
{
	struct jscan_iter it;
	int64_t all = 0, n;

	if (!jscan_begin(&it, object))
		return 0;
	while (jscan_next(&it))
		if (jscan_int(it.value, &n) && __builtin_add_overflow(all, n, &all))
			return INT64_MAX;
	return all;
}

static void
add_plain(struct buf *b, struct span value)
{
	if (jscan_kind(value) == JSCAN_STRING)
		jscan_add_string(b, value);
	else if (jscan_kind(value) != JSCAN_NULL)
		buf_add(b, value);
}

static void
add_cell(struct buf *b, struct span value, enum remote_cell cell)
{
	double d;

	switch (cell) {
	case REMOTE_PLAIN:
		add_plain(b, value);
		break;
	case REMOTE_SUM:
		buf_addf(b, "%lld", (long long)sum(value));
		break;
	case REMOTE_AGO:
		/* Celery's solo pool, and older versions, count from the start of the machine: nothing to be shown. */
		if (jscan_double(value, &d) && d > 1e9 && d < 1e11)
			text_add_duration(b, (ms_t)((double)clock_wall_us() / 1e6 - d) * 1000);
		break;
	case REMOTE_LASTING:
		if (jscan_double(value, &d) && d >= 0 && d < 1e11)
			text_add_duration(b, (ms_t)d * 1000);
		break;
	case REMOTE_KIB:
		if (jscan_double(value, &d) && d >= 0 && d < 1e15)
			text_add_size(b, (int64_t)d * 1024);
		break;
	}
}

static void
add_row(struct grid *g, const struct remote_cmd *cmd, const char *node, struct span key, struct span row)
{
	const char *cells[REMOTE_COLUMNS_MAX + 1];
	struct buf texts[REMOTE_COLUMNS_MAX], whole;
	size_t n;

	for (n = 0; cmd->columns[n].title != NULL; n++) {
		const struct remote_column *c = &cmd->columns[n];

		buf_init(&texts[n], 0);
		buf_init(&whole, 0);
		if (strcmp(c->path, "@") == 0)
			jscan_add_string(&whole, (struct span){ key.ptr - 1, key.len + 2 });
		else
			add_cell(&whole, follow(row, c->path), c->cell);
		text_add_printable(&texts[n], buf_span(&whole), CELL_MAX);
		buf_release(&whole);
		cells[n] = buf_text(&texts[n]);
	}
	cells[n] = node;
	grid_add(g, cells);
	while (n > 0)
		buf_release(&texts[--n]);
}

static void
add_rows(struct grid *g, const struct remote_cmd *cmd, const struct remote_answer *a)
{
	struct span answer = span_of(a->json);
	struct jscan_iter it;

	if (cmd->rows == REMOTE_SELF) {
		add_row(g, cmd, a->node, SPAN_NONE, answer);
		return;
	}
	if (!jscan_begin(&it, answer))
		return;
	while (jscan_next(&it))
		if (it.is_object == (cmd->rows == REMOTE_MEMBERS))
			add_row(g, cmd, a->node, it.key, it.value);
}

/* --- printing ---------------------------------------------------------------------------------------------------------- */

void
remote_add_json(struct js *w, const struct remote_answers *a)
{
	size_t i;

	js_object(w);
	for (i = 0; i < a->n; i++) {
		if (i + 1 < a->n && strcmp(a->items[i].node, a->items[i + 1].node) == 0)
			continue;
		js_key_span(w, span_of(a->items[i].node));
		js_raw(w, span_of(a->items[i].json));
	}
	js_object_end(w);
}

static void
print_json(const struct remote_answers *a)
{
	struct buf b;
	struct js w;

	buf_init(&b, 0);
	js_init(&w, &b);
	remote_add_json(&w, a);
	out_json(&b);
	buf_release(&b);
}

static void
print_table(const struct remote_cmd *cmd, const struct remote_answers *a)
{
	const char *titles[REMOTE_COLUMNS_MAX + 1];
	struct grid g;
	size_t n, i, good = 0;

	for (n = 0; cmd->columns[n].title != NULL; n++)
		titles[n] = cmd->columns[n].title;
	titles[n] = "NODE";
	grid_init(&g, n + 1, titles);
	for (i = 0; i < a->n; i++)
		if (!a->items[i].is_error) {
			add_rows(&g, cmd, &a->items[i]);
			good++;
		}
	if (g.rows > 1)
		grid_print(&g);
	else if (good > 0)
		out_note("none on %zu node%s", good, good == 1 ? "" : "s");
	grid_release(&g);
}

/* Several lines; what a stranger wrote stays harmless, line by line. */
static void
print_block(const struct remote_answer *a)
{
	struct span text = span_of(a->json), ok = jscan_member(text, "ok");
	struct buf plain, line;

	buf_init(&plain, 0);
	buf_init(&line, 0);
	add_cell(&plain, ok.ptr != NULL ? ok : text, REMOTE_PLAIN);
	printf("%s%s%s\n", out_color(OUT_BOLD), a->shown, out_color(OUT_PLAIN));
	for (text = span_trim(buf_span(&plain)); text.ptr != NULL;) {
		buf_reset(&line);
		buf_adds(&line, "  ");
		text_add_printable(&line, span_split(&text, '\n'), 0);
		out_line(buf_span(&line));
	}
	buf_release(&plain);
	buf_release(&line);
}

static void
print(const struct remote_cmd *cmd, const struct remote_answers *a)
{
	size_t i;

	if (cmd->rows != REMOTE_BLOCK) {
		print_table(cmd, a);
		return;
	}
	for (i = 0; i < a->n; i++)
		if (!a->items[i].is_error)
			print_block(&a->items[i]);
}

void
remote_add_word(struct buf *b, const struct remote_answer *a)
{
	struct span json = span_of(a->json), word = jscan_member(json, a->is_error ? "error" : "ok");
	struct buf plain;

	buf_init(&plain, 0);
	add_cell(&plain, word.ptr != NULL ? word : json, REMOTE_PLAIN);
	text_add_printable(b, buf_span(&plain), 0);
	buf_release(&plain);
}

static void
complain(const struct remote_answer *a)
{
	struct buf b;

	buf_init(&b, 0);
	buf_addf(&b, "%s: ", a->shown);
	remote_add_word(&b, a);
	out_error("%s", buf_text(&b));
	buf_release(&b);
}

int
remote_show(
	const struct remote_cmd *cmd, const struct remote_answers *a, const struct remote_flags *f, bool json)
{
	double waited = (double)f->timeout / 1000;
	int code = 0;
	size_t i;

	if (json)
		print_json(a);
	else
		print(cmd, a);
	for (i = 0; i < a->n; i++) {
		if (i > 0 && strcmp(a->items[i].node, a->items[i - 1].node) == 0)
			out_note("warning: two workers are named %s: give each its own name (-n)",
				a->items[i].shown);
		if (!a->items[i].is_error)
			continue;
		complain(&a->items[i]);
		code = EXIT_NO;
	}
	if (a->n == 0) {
		out_error("no worker answered within %g s: is one running, with this broker URL?", waited);
		return EXIT_NO;
	}
	for (i = 0; i < f->destination.n; i++)
		if (!remote_has_answered(a, f->destination.items[i])) {
			out_error("%s did not answer within %g s", f->destination.items[i], waited);
			code = code == 0 ? EXIT_LATE : code;
		}
	return code;
}

int
remote_run(struct cli *cli, struct client *client, const struct remote_cmd *cmd, const struct remote_flags *f)
{
	struct remote_answers answers = { .n = 0 };
	struct buf args;
	int code;

	buf_init(&args, 0);
	code = remote_add_args(&args, cmd, cli->args + 1, cli->n_args - 1, f);
	if (code == 0)
		code = remote_collect(client, cmd->name, buf_span(&args), f, &answers);
	if (code == 0)
		code = remote_show(cmd, &answers, f, cli->common.json);
	remote_answers_release(&answers);
	buf_release(&args);
	return code;
}
