/* warren result: the state and value of one task. */
#include "cli/cmd.h"
#include "cli/out.h"
#include "cli/setup.h"
#include "cli/show.h"

struct result_flags {
	bool wait, forget;
	ms_t timeout;
};

static const struct opt_row rows[] = {
	FLAG(result_flags, wait, bool, .short_flag = 'w', .help = "wait until it is there"),
	FLAG(result_flags, timeout, dur, .def = "0",
		.help = "how long to wait; exit status 4 when it passes [for ever]"),
	FLAG(result_flags, forget, bool, .help = "delete it, after printing it"),
};

struct seen {
	bool json, waiting;
	int code;
};

static void
on_result(void *owner, const struct result *r)
{
	struct seen *s = owner;

	if (result_is_ready(r->state))
		s->code = show_final(r, s->json);
	else if (s->waiting)
		show_state(r);
	else if (s->json)
		show_json(r);
	else
		show_line(r);
}

static int
not_there(const struct cli *cli, struct span id)
{
	const struct result pending = { .task_id = id, .state = SPAN("PENDING") };

	if (cli->common.json)
		show_json(&pending);
	else
		out_note("PENDING (nothing is stored under this id: waiting, expired, or never sent)");
	return EXIT_NO;
}

static int
read_result(struct cli *cli, const struct result_flags *f, struct client *client, struct span id)
{
	struct seen s = { .json = cli->common.json, .waiting = f->wait, .code = EXIT_NO };
	struct errtext why = { "" };
	enum err e = client_connect_backend(client, &why);
	bool late = false;

	if (e == E_OK && f->wait) {
		e = client_wait(client, id, f->timeout > 0 ? f->timeout : -1, on_result, &s, &why);
		late = e == E_TIMEOUT;
	} else if (e == E_OK)
		e = client_result(client, id, on_result, &s, &why);
	if (e == E_MISSING)
		s.code = not_there(cli, id);
	else if (e == E_OK && f->forget)
		e = client_forget(client, id, &why);
	if (e == E_OK || e == E_MISSING)
		return s.code;
	out_error("%s", why.text);
	return late ? EXIT_LATE : exit_of(e);
}

static int
result_run(struct cli *cli)
{
	const struct result_flags *f = cli->flags;
	struct client *client = NULL;
	int code;

	if (f->timeout != 0 && !f->wait) {
		out_error("result: --timeout goes with --wait");
		return EXIT_USAGE;
	}
	code = setup_client(cli, false, &client);
	if (code == 0)
		code = read_result(cli, f, client, span_of(cli->args[0]));
	client_free(client);
	return code;
}

const struct cmd cmd_result = {
	.name = "result",
	.args = "ID",
	.summary = "print the result of a task",
	.details =
		"The value goes to stdout as JSON. A failure goes to stderr, with its traceback, and the exit status is 1; so it is while there is no "
		"result yet.",
	.examples = "  warren result 0f3a... --wait --timeout 1min\n"
		    "  warren result 0f3a... --json\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct result_flags),
	.groups = CONF_BIT(CONF_RESULT) | CONF_BIT(CONF_TLS),
	.args_min = 1,
	.args_max = 1,
	.run = result_run,
};
