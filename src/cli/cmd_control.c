/* warren control: orders to running workers. */
#include "cli/out.h"
#include "cli/remote.h"
#include "cli/setup.h"
#include "client/remote.h"

/* --wait: a revoked task that is still in its queue ends when a worker takes it from there. */
#define WAIT_MS 60000

static const struct opt_row rows[] = {
	REMOTE_FLAGS,
	FLAG(remote_flags, terminate, bool, .help = "revoke: end what runs already, too"),
	FLAG(remote_flags, signal, text, .short_flag = 's', .def = "",
		.help = "revoke --terminate: with this signal [TERM]"),
	FLAG(remote_flags, wait, bool,
		.help = "revoke: until the results of the tasks say that they have ended, a minute at most"),
	FLAG(remote_flags, pool, text, .def = "", .arg = "NAME",
		.help = "pool_*, autoscale, *_consumer: this pool of warren's workers that have several"),
	FLAG(remote_flags, yes, bool, .short_flag = 'y', .help = "shutdown: do not ask"),
};

static void
add_details(struct buf *b)
{
	remote_add_help(b, true);
}

/* --- shutdown ---------------------------------------------------------------------------------------------------------- */

static int
ask_first(const struct cli *cli, const struct remote_answers *a, const struct remote_flags *f)
{
	struct buf names;
	bool yes = f->yes;
	size_t i;

	if (!yes && !out_can_ask()) {
		out_error("%s: this ends workers: say --yes", cli->args[0]);
		return EXIT_USAGE;
	}
	buf_init(&names, 0);
	for (i = 0; i < a->n; i++)
		buf_addf(&names, "%s%s", i > 0 ? ", " : "", a->items[i].shown);
	if (!yes)
		yes = out_ask("End %zu worker%s: %s?", a->n, a->n == 1 ? "" : "s", buf_text(&names));
	buf_release(&names);
	if (!yes)
		out_note("nothing was ended");
	return yes ? 0 : EXIT_NO;
}

static int
tell_to_end(const struct cli *cli, struct client *client, const struct remote_cmd *cmd,
	const struct remote_answers *a)
{
	const char **nodes = must_alloc((a->n + 1) * sizeof(*nodes));
	struct remote_call call = { .method = span_of(cmd->name), .nodes = nodes, .n_nodes = a->n };
	struct errtext why = { "" };
	struct buf b;
	struct js w;
	enum err e;
	size_t i;

	for (i = 0; i < a->n; i++)
		nodes[i] = a->items[i].node;
	e = remote_tell(client, &call, &why);
	if (e != E_OK)
		out_error("%s", why.text);
	buf_init(&b, 0);
	js_init(&w, &b);
	js_array(&w);
	for (i = 0; e == E_OK && i < a->n; i++) {
		js_text(&w, nodes[i]);
		if (!cli->common.json)
			printf("%s was told to end\n", a->items[i].shown);
	}
	js_array_end(&w);
	if (e == E_OK && cli->common.json)
		out_json(&b);
	buf_release(&b);
	alloc_free(nodes);
	return exit_of(e);
}

/* They do not answer to the order itself: so first it is asked who is there, and exactly these are told. */
static int
end_them(const struct cli *cli, struct client *client, const struct remote_cmd *cmd,
	const struct remote_flags *f)
{
	struct remote_answers answers = { .n = 0 };
	int code = remote_collect(client, "ping", SPAN_NONE, f, &answers);
	size_t i;

	if (code == 0 && answers.n == 0) {
		out_error("no worker answered within %g s", (double)f->timeout / 1000);
		code = EXIT_NO;
	}
	for (i = 0; code == 0 && i < f->destination.n; i++)
		if (!remote_has_answered(&answers, f->destination.items[i])) {
			out_error("%s did not answer within %g s: nothing was ended", f->destination.items[i],
				(double)f->timeout / 1000);
			code = EXIT_LATE;
		}
	if (code == 0)
		code = ask_first(cli, &answers, f);
	if (code == 0)
		code = tell_to_end(cli, client, cmd, &answers);
	remote_answers_release(&answers);
	return code;
}

/* --- revoke --wait ------------------------------------------------------------------------------------------------------ */

static void
on_state(void *owner, const struct result *r)
{
	char *state = owner;

	snprintf(state, 40, "%.*s", SPAN_FMT(r->state));
}

static int
wait_for_ends(const struct cli *cli, struct client *client)
{
	struct errtext why = { "" };
	enum err e = E_OK;
	size_t i;

	for (i = 1; e == E_OK && i < cli->n_args; i++) {
		char state[40] = "";

		e = client_wait(client, span_of(cli->args[i]), WAIT_MS, on_state, state, &why);
		if (e == E_OK)
			out_note("%s: %s", cli->args[i], state);
		else
			out_error("%s: %s", cli->args[i], why.text);
	}
	return e == E_TIMEOUT ? EXIT_LATE : exit_of(e);
}

/* ----------------------------------------------------------------------------------------------------------------------- */

static int
check(struct cli *cli, const struct remote_cmd *cmd, const struct remote_flags *f)
{
	struct buf args;
	int code;

	/* What is wrong is said before anything is dialled. */
	buf_init(&args, 0);
	code = remote_add_args(&args, cmd, cli->args + 1, cli->n_args - 1, f);
	buf_release(&args);
	if (code == 0 && f->wait && strcmp(cmd->name, "revoke") != 0) {
		out_error("%s: --wait needs the ids of the tasks: it belongs to revoke", cmd->name);
		code = EXIT_USAGE;
	}
	return code;
}

static int
control_run(struct cli *cli)
{
	const struct remote_cmd *cmd = remote_find("control", cli->args[0], true);
	const struct remote_flags *f = cli->flags;
	struct client *client = NULL;
	int code;

	if (cmd == NULL)
		return EXIT_USAGE;
	code = check(cli, cmd, f);
	if (code == 0)
		code = setup_client(cli, true, &client);
	if (code == 0)
		code = cmd->ends ? end_them(cli, client, cmd, f) : remote_run(cli, client, cmd, f);
	if (code == 0 && f->wait)
		code = wait_for_ends(cli, client);
	client_free(client);
	return code;
}

const struct cmd cmd_control = {
	.name = "control",
	.args = "COMMAND [ARG...]",
	.summary = "give running workers an order, warren's and Celery's",
	.details =
		"To all workers, or those of --destination. Exit status 1 when nobody answers or an answer is an error, 4 when one of --destination does "
		"not answer.",
	.add_details = add_details,
	.examples = "  warren control revoke 0f3a... --terminate --signal KILL\n"
		    "  warren control rate_limit documents.process 10/m\n"
		    "  warren control shutdown -d w1@host --yes\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct remote_flags),
	.groups = CONF_BIT(CONF_BROKER) | CONF_BIT(CONF_RESULT) | CONF_BIT(CONF_TLS),
	.args_min = 1,
	.args_max = SIZE_MAX,
	.run = control_run,
};
