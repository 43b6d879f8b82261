/* warren send: one task from the command line, or many from a file or pipe (bulk.c). */
#include "cli/bulk.h"
#include "cli/canvas.h"
#include "cli/cmd.h"
#include "cli/out.h"
#include "cli/show.h"

#include "base/clock.h"
#include "base/js.h"

struct send_flags {
	const char *args, *kwargs, *queue, *exchange, *routing_key, *id, *eta, *expires, *file, *chain,
		*group, *chord;
	ms_t countdown, time_limit, soft_time_limit, timeout;
	int64_t priority;
	bool ignore_result, string_args, wait;
	struct opt_list header;
};

static const struct opt_row rows[] = {
	FLAG(send_flags, args, text, .def = "", .arg = "JSON",
		.help = "positional arguments as a JSON array, instead of ARG..."),
	FLAG(send_flags, kwargs, text, .def = "", .arg = "JSON", .help = "keyword arguments as a JSON object"),
	FLAG(send_flags, string_args, bool, .help = "take each ARG as a text, also when it is valid JSON"),
	FLAG(send_flags, queue, text, .short_flag = 'q', .def = "", .max = 255, .arg = "QUEUE",
		.help = "queue, instead of what the routes say"),
	FLAG(send_flags, exchange, text, .def = "", .max = 255, .arg = "NAME",
		.help = "publish to this exchange"),
	FLAG(send_flags, routing_key, text, .def = "", .max = 255, .arg = "KEY",
		.help = "with this routing key"),
	FLAG(send_flags, id, text, .def = "", .max = 255, .arg = "ID", .help = "task id; a new UUID otherwise"),
	FLAG(send_flags, countdown, dur, .def = "0", .help = "run it this much later"),
	FLAG(send_flags, eta, text, .def = "", .arg = "TIME",
		.help = "run it not before (ISO time, UTC unless it says otherwise)"),
	FLAG(send_flags, expires, text, .def = "", .arg = "TIME",
		.help = "not after: a duration from now, or an ISO time"),
	FLAG(send_flags, priority, int, .def = "-1", .min = -1, .max = 255,
		.help = "priority, for queues that know them"),
	FLAG(send_flags, time_limit, dur, .def = "0", .help = "hard limit of the run"),
	FLAG(send_flags, soft_time_limit, dur, .def = "0", .help = "soft limit of the run"),
	FLAG(send_flags, header, list, .flags = OPT_REPEAT, .arg = "KEY=VALUE",
		.help = "a header of your own; may be given several times"),
	FLAG(send_flags, ignore_result, bool, .help = "ask the worker to store no value"),
	FLAG(send_flags, wait, bool, .short_flag = 'w', .help = "wait for the result and print it"),
	FLAG(send_flags, timeout, dur, .def = "0",
		.help = "how long to wait; exit status 4 when it passes [for ever]"),
	FLAG(send_flags, chain, text, .def = "", .arg = "JSON",
		.help = "send a chain: a list of parts, each gets the result of the one before it. @FILE reads a file, - stdin"),
	FLAG(send_flags, group, text, .def = "", .arg = "JSON",
		.help = "send a group: a list of parts that run at the same time"),
	FLAG(send_flags, chord, text, .def = "", .arg = "JSON",
		.help = "send a chord: {\"header\": [part, ...], \"body\": part}; the body gets the list of results"),
	FLAG(send_flags, file, text, .short_flag = 'f', .def = "", .arg = "FILE",
		.help = "send many: one line of JSON each, {\"task\":..,\"args\":..,\"kwargs\":..,\"queue\":..} or, with NAME, just [args]; - is stdin"),
};

static struct span
text_or_none(const char *text)
{
	return *text != '\0' ? span_of(text) : SPAN_NONE;
}

static enum err
fill_times(const struct send_flags *f, struct call *c, struct errtext *t)
{
	us_t now = clock_wall_us();
	enum err e = E_OK;

	if (f->countdown != 0 && *f->eta != '\0')
		return err_set(t, E_CONF, "--countdown and --eta are both given");
	if (f->countdown != 0)
		c->eta = now + f->countdown * 1000;
	if (*f->eta != '\0')
		e = call_parse_time(span_of(f->eta), now, &c->eta, t);
	if (e != E_OK)
		return err_prefix(t, E_CONF, "--eta");
	if (*f->expires != '\0')
		e = call_parse_time(span_of(f->expires), now, &c->expires, t);
	return e == E_OK ? e : err_prefix(t, E_CONF, "--expires");
}

/* What flags say; the task's name and positional arguments come on top. */
static enum err
fill_call(struct cli *cli, const struct send_flags *f, struct call *c, struct errtext *t)
{
	enum err e = E_OK;
	size_t i;

	*c = (struct call){
		.arena = &cli->arena,
		.id = text_or_none(f->id),
		.kwargs = text_or_none(f->kwargs),
		.args = text_or_none(f->args),
		.queue = text_or_none(f->queue),
		.exchange = text_or_none(f->exchange),
		.routing_key = text_or_none(f->routing_key),
		.time_limit = (double)f->time_limit / 1000,
		.soft_time_limit = (double)f->soft_time_limit / 1000,
		.priority_plus1 = (int)f->priority + 1,
		.ignore_result = f->ignore_result,
		.has_ignore_result = f->ignore_result,
	};
	for (i = 0; e == E_OK && i < f->header.n; i++)
		e = call_add_header(c, span_of(f->header.items[i]), f->string_args, t);
	if (e != E_OK)
		return err_prefix(t, E_CONF, "--header");
	return fill_times(f, c, t);
}

/* The fate of the one task. */
struct fate {
	bool known;
	enum err err;
	struct errtext why;
	struct buf id;
};

static void
on_sent(void *owner, const struct client_sent *s)
{
	struct fate *f = owner;

	f->known = true;
	f->err = err_set(&f->why, s->err, "%s", s->text);
	buf_add(&f->id, s->id);
}

struct waiting {
	bool json;
	int code;
};

static void
on_result(void *owner, const struct result *r)
{
	struct waiting *w = owner;

	if (result_is_ready(r->state))
		w->code = show_final(r, w->json);
	else
		show_state(r);
}

static int
print_id(const struct cli *cli, struct span id)
{
	struct buf b;
	struct js w;

	if (!cli->common.json) {
		out_line(id);
		return 0;
	}
	buf_init(&b, 0);
	js_init(&w, &b);
	js_object(&w);
	js_key(&w, "id");
	js_string(&w, id);
	js_object_end(&w);
	out_json(&b);
	buf_release(&b);
	return 0;
}

static int
wait_result(const struct cli *cli, const struct send_flags *f, struct client *client, struct span id)
{
	struct waiting w = { .json = cli->common.json, .code = EXIT_NO };
	struct errtext why = { "" };
	enum err e = client_connect_backend(client, &why);

	if (e != E_OK) {
		out_error("%s", why.text);
		return exit_of(e);
	}
	e = client_wait(client, id, f->timeout > 0 ? f->timeout : -1, on_result, &w, &why);
	if (e == E_OK)
		return w.code;
	out_error("task %.*s: %s", SPAN_FMT(id), why.text);
	return e == E_TIMEOUT ? EXIT_LATE : exit_of(e);
}

static int
send_one(struct cli *cli, const struct send_flags *f, struct client *client, struct sender *sender,
	const struct call *c)
{
	struct errtext why = { "" };
	struct fate fate = { .known = false };
	enum err e = E_OK;
	int code = 0;

	buf_init(&fate.id, 0);
	/* Before anything is sent: a wait that cannot work should not leave a task behind. */
	if (f->wait)
		e = client_expect_results(client, &why);
	if (e == E_OK && f->wait)
		e = client_connect_backend(client, &why);
	if (e == E_OK)
		e = client_connect_broker(client, &why);
	if (e != E_OK)
		code = exit_of(e);
	else {
		e = sender_send(sender, c, 0, on_sent, &fate, &why);
		if (e == E_OK)
			e = client_flush(client, &why);
		if (e == E_OK && fate.err != E_OK) {
			e = fate.err;
			why = fate.why;
		}
		if (e == E_CLOSED || e == E_TIMEOUT)
			code = EXIT_UNREACHABLE;
		else if (e != E_OK)
			code = e == E_FORMAT ? EXIT_USAGE : EXIT_NO;
	}
	if (e != E_OK)
		out_error("%s", why.text);
	else
		code = f->wait ? wait_result(cli, f, client, buf_span(&fate.id))
			       : print_id(cli, buf_span(&fate.id));
	buf_release(&fate.id);
	return code;
}

static const char *
canvas_text(const struct send_flags *f)
{
	return *f->chain != '\0' ? f->chain : *f->group != '\0' ? f->group : f->chord;
}

static int
send_canvas(struct cli *cli, const struct send_flags *f)
{
	struct canvas_job job = { .text = canvas_text(f),
		.wait = f->wait,
		.timeout = f->timeout,
		.kind = *f->chain != '\0'   ? RECIPE_CHAIN
			: *f->group != '\0' ? RECIPE_GROUP
					    : RECIPE_CHORD };
	struct client *client = NULL;
	struct sender *sender = NULL;
	int code = 0;

	if ((*f->chain != '\0') + (*f->group != '\0') + (*f->chord != '\0') > 1) {
		out_error(
			"send: --chain, --group and --chord are three ways to begin: choose one; parts may hold any of them");
		return EXIT_USAGE;
	}
	if (cli->n_args > 0 || *f->file != '\0' || *f->id != '\0' || *f->queue != '\0' ||
		*f->exchange != '\0' || *f->routing_key != '\0' || *f->args != '\0' || *f->kwargs != '\0' ||
		f->countdown != 0 || *f->eta != '\0' || *f->expires != '\0' || f->priority >= 0) {
		out_error(
			"send: with --chain, --group or --chord names, arguments and options stand in the parts: {\"task\": .., \"queue\": ..}");
		return EXIT_USAGE;
	}
	if (f->timeout != 0 && !f->wait) {
		out_error("send: --timeout goes with --wait");
		return EXIT_USAGE;
	}
	code = setup_client(cli, true, &client);
	if (code == 0)
		code = sender_new(&sender, cli, client);
	if (code == 0)
		code = canvas_run(cli, client, sender, &job);
	sender_free(sender);
	client_free(client);
	return code;
}

/* Usage mistakes that rows cannot tell. */
static int
check_usage(const struct cli *cli, const struct send_flags *f, bool bulk)
{
	const char *why = NULL;

	if (bulk && f->wait)
		why = "--wait is for one task: read results with warren result";
	else if (bulk && *f->id != '\0')
		why = "--id is for one task: give each line its own \"id\"";
	else if (bulk && cli->n_args > 1)
		why = "with --file the arguments come from its lines, not from the command line";
	else if (!bulk && cli->n_args == 0)
		why = "give a task NAME, or --file";
	else if (*f->args != '\0' && cli->n_args > 1)
		why = "--args and ARG are both given: choose one";
	else if (f->timeout != 0 && !f->wait)
		why = "--timeout goes with --wait";
	else if (*f->queue != '\0' && (*f->exchange != '\0' || *f->routing_key != '\0'))
		why = "--queue and --exchange or --routing-key are both given: choose one";
	if (why == NULL)
		return 0;
	out_error("send: %s", why);
	return EXIT_USAGE;
}

static int
send_run(struct cli *cli)
{
	const struct send_flags *f = cli->flags;
	bool from_stdin = cli->n_args == 1 && strcmp(cli->args[0], "-") == 0,
	     bulk = *f->file != '\0' || from_stdin;
	struct client *client = NULL;
	struct sender *sender = NULL;
	struct errtext why = { "" };
	struct buf args;
	struct call c;
	int code;

	if (*canvas_text(f) != '\0')
		return send_canvas(cli, f);
	code = check_usage(cli, f, bulk);
	if (code != 0)
		return code;
	buf_init(&args, 0);
	if (fill_call(cli, f, &c, &why) != E_OK) {
		out_error("send: %s", why.text);
		code = EXIT_USAGE;
		goto out;
	}
	if (cli->n_args > 0 && !from_stdin)
		c.name = span_of(cli->args[0]);
	if (!bulk && c.args.ptr == NULL) {
		call_add_args(&args, cli->args + 1, cli->n_args - 1, f->string_args);
		c.args = buf_span(&args);
	}
	code = setup_client(cli, true, &client);
	if (code == 0)
		code = sender_new(&sender, cli, client);
	if (code == 0)
		code = bulk ? bulk_send(cli, client, sender, &c, from_stdin ? "-" : f->file)
			    : send_one(cli, f, client, sender, &c);
	sender_free(sender);
	client_free(client);
out:
	buf_release(&args);
	return code;
}

const struct cmd cmd_send = {
	.name = "send",
	.args = "NAME [ARG...]",
	.summary = "send a task, or many; print its id, or its result with --wait",
	.details =
		"Each ARG that is valid JSON is taken as JSON (2, true, [1,2], \"2\"), anything else as a text. Nothing is reported as sent "
		"before the broker has confirmed it. With --file (or - for stdin) each line is one task; ids are printed one a line, in the order in "
		"which they are confirmed; a line that is wrong is reported with its number and does not stop the others. A part of a chain, group "
		"or chord is {\"task\": .., \"args\": [..], \"queue\": ..}, or again {\"chain\": [..]}, {\"group\": [..]}, {\"chord\": {..}}; printed are the "
		"ids it ends with.",
	.examples =
		"  warren send add 2 3 --wait --timeout 5s\n"
		"  warren send documents.process report.pdf --kwargs '{\"lang\": \"de\"}' --queue processing\n"
		"  warren send --file jobs.ndjson > ids.txt\n"
		"  warren send --chain '[{\"task\": \"add\", \"args\": [1, 2]}, {\"task\": \"add\", \"args\": [3]}]' --wait\n"
		"  warren send --chord @pipeline.json --wait --timeout 10min\n"
		"  seq 1 1000 | sed 's/.*/[&]/' | warren send square --file -\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct send_flags),
	.groups = CONF_BIT(CONF_BROKER) | CONF_BIT(CONF_RESULT) | CONF_BIT(CONF_TLS) | CONF_BIT(CONF_QUEUE),
	.args_max = SIZE_MAX,
	.run = send_run,
};
