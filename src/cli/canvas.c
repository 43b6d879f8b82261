/* See canvas.h. */
#include "cli/canvas.h"

#include "base/clock.h"
#include "base/js.h"
#include "cli/out.h"
#include "cli/show.h"
#include "client/canvas.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define TEXT_MAX ((size_t)64 << 20)

static enum err
read_all(struct buf *b, FILE *in, const char *name, struct errtext *t)
{
	char part[65536];
	size_t n;

	while ((n = fread(part, 1, sizeof(part), in)) > 0)
		buf_add(b, (struct span){ part, n });
	if (ferror(in))
		return err_set(t, E_SYS, "cannot read %s: %s", name, strerror(errno));
	return b->err == E_TOOBIG ? err_set(t, E_TOOBIG, "%s has more than %zu bytes", name, TEXT_MAX)
				  : b->err;
}

static enum err
get_text(struct buf *b, const char *text, struct errtext *t)
{
	enum err e;
	FILE *in;

	if (strcmp(text, "-") == 0)
		return read_all(b, stdin, "standard input", t);
	if (*text != '@') {
		buf_adds(b, text);
		return b->err;
	}
	in = fopen(text + 1, "re");
	if (in == NULL)
		return err_set(t, E_SYS, "cannot open %s: %s", text + 1, strerror(errno));
	e = read_all(b, in, text + 1, t);
	fclose(in);
	return e;
}

static enum err
route(void *owner, struct task_call *call, struct span *exchange, struct span *key, struct errtext *t)
{
	return sender_route(owner, call, exchange, key, t);
}

static void
print_ids(const struct cli *cli, const struct client_canvas *k)
{
	struct client_canvas_walk walk = { .depth = 0 };
	struct buf b;
	struct js w;

	if (!cli->common.json) {
		while (client_canvas_next(k, &walk))
			out_line(walk.id);
		return;
	}
	buf_init(&b, 0);
	js_init(&w, &b);
	js_object(&w);
	js_key(&w, "ids");
	js_array(&w);
	while (client_canvas_next(k, &walk))
		js_string(&w, walk.id);
	js_array_end(&w);
	js_key(&w, "result");
	js_raw(&w, k->result);
	js_object_end(&w);
	out_json(&b);
	buf_release(&b);
}

struct waiting {
	bool json;
	int code;
};

static void
on_result(void *owner, const struct result *r)
{
	struct waiting *w = owner;

	if (!result_is_ready(r->state))
		show_state(r);
	else if (show_final(r, w->json) != 0)
		w->code = EXIT_NO;
}

/* One line for each task it ends with, in order. */
static int
wait_all(const struct cli *cli, struct client *client, const struct client_canvas *k, ms_t timeout)
{
	struct waiting w = { .json = cli->common.json, .code = 0 };
	struct client_canvas_walk walk = { .depth = 0 };
	ms_t until = clock_mono_ms() + timeout;
	struct errtext why = { "" };
	enum err e;

	while (client_canvas_next(k, &walk)) {
		ms_t left = timeout > 0 ? until - clock_mono_ms() : -1;

		e = client_wait(client, walk.id, timeout > 0 && left < 1 ? 1 : left, on_result, &w, &why);
		if (e == E_OK)
			continue;
		out_error("task %.*s: %s", SPAN_FMT(walk.id), why.text);
		return e == E_TIMEOUT ? EXIT_LATE : exit_of(e);
	}
	return w.code;
}

static enum err
make(struct client_canvas *k, struct client *client, const struct canvas_job *job, struct errtext *t)
{
	struct buf text, sig;
	enum err e;

	buf_init(&text, TEXT_MAX);
	buf_init(&sig, 0);
	e = get_text(&text, job->text, t);
	if (e == E_OK)
		e = recipe_add_signature(&sig, buf_span(&text), job->kind, t);
	if (e == E_OK && job->wait)
		e = client_expect_results(client, t);
	if (e == E_OK)
		e = client_canvas_init(k, buf_span(&sig), client_reply_to(client), clock_wall_us(), t);
	buf_release(&text);
	buf_release(&sig);
	return e;
}

int
canvas_run(struct cli *cli, struct client *client, struct sender *s, const struct canvas_job *job)
{
	struct client_canvas k = { .result = SPAN_NONE };
	struct errtext why = { "" };
	bool is_away = false; /* as against a broker that refuses one of the queues */
	int code = 0;
	enum err e = make(&k, client, job, &why);

	if (e == E_FORMAT || e == E_TOOBIG || e == E_SYS) {
		out_error("send: %s", why.text);
		code = EXIT_USAGE;
		goto out;
	}
	/* Before anything is sent: a wait that cannot work should not leave tasks behind. */
	if (e == E_OK && job->wait)
		e = client_connect_backend(client, &why);
	if (e == E_OK) {
		e = client_connect_broker(client, &why);
		is_away = e == E_REFUSED;
	}
	if (e == E_OK)
		e = client_canvas_send(client, &k, route, s, &why);
	if (e != E_OK) {
		out_error("%s", why.text[0] != '\0' ? why.text : err_name(e));
		code = e == E_CLOSED || e == E_TIMEOUT || is_away ? EXIT_UNREACHABLE
			: e == E_FORMAT || e == E_CONF            ? EXIT_USAGE
								  : EXIT_NO;
	} else if (job->wait) {
		code = wait_all(cli, client, &k, job->timeout);
	} else {
		print_ids(cli, &k);
	}
out:
	client_canvas_release(&k);
	return code;
}
