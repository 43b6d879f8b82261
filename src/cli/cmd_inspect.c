/* warren inspect: questions to running workers. */
#include "cli/out.h"
#include "cli/remote.h"
#include "cli/setup.h"

static const struct opt_row rows[] = { REMOTE_FLAGS };

static void
add_details(struct buf *b)
{
	remote_add_help(b, false);
}

static int
inspect_run(struct cli *cli)
{
	const struct remote_cmd *cmd = remote_find("inspect", cli->args[0], false);
	struct client *client = NULL;
	int code;

	if (cmd == NULL)
		return EXIT_USAGE;
	code = setup_client(cli, true, &client);
	if (code == 0)
		code = remote_run(cli, client, cmd, cli->flags);
	client_free(client);
	return code;
}

const struct cmd cmd_inspect = {
	.name = "inspect",
	.args = "COMMAND [ARG...]",
	.summary = "ask running workers, warren's and Celery's",
	.details =
		"Nobody knows how many workers there are, so it waits for answers until --timeout is over; with --destination it ends when all of these have "
		"answered. Exit status 1 when nobody answers or an answer is an error, 4 when one of --destination does not answer.",
	.add_details = add_details,
	.examples = "  warren inspect active\n"
		    "  warren inspect stats -d w1@host,w2@host --json\n"
		    "  warren inspect query_task 0f3a... -t 3s\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct remote_flags),
	.groups = CONF_BIT(CONF_BROKER) | CONF_BIT(CONF_TLS),
	.args_min = 1,
	.args_max = SIZE_MAX,
	.run = inspect_run,
};
