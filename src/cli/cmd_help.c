/* warren help, warren version, and what `warren runner --help` says; the runner itself is started in main.c. */
#include "config.h"

#include "cli/cmd.h"
#include "cli/out.h"
#include "host/host.h"

#include "base/js.h"

struct help_flags {
	bool man;
};

static const struct opt_row rows[] = {
	FLAG(help_flags, man, bool, .flags = OPT_HIDDEN, .help = "print the manual page"),
};

static int
help_run(struct cli *cli)
{
	const struct help_flags *f = cli->flags;
	const struct cmd *cmd = NULL;

	if (f->man) {
		help_print_man();
		return 0;
	}
	if (cli->n_args > 0) {
		cmd = cmd_find(span_of(cli->args[0]));
		if (cmd == NULL) {
			out_error("there is no command '%s' (see warren help)", cli->args[0]);
			return EXIT_USAGE;
		}
	}
	help_print(cmd);
	return 0;
}

const struct cmd cmd_help = {
	.name = "help",
	.args = "[COMMAND]",
	.summary = "show the commands, or one of them",
	.examples = "  warren help send\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct help_flags),
	.args_max = 1,
	.own_conf = true,
	.run = help_run,
};

static int
version_run(struct cli *cli)
{
	struct buf b;
	struct js w;

	if (!cli->common.json) {
		printf("warren %s\n", PACKAGE_VERSION);
		return 0;
	}
	buf_init(&b, 0);
	js_init(&w, &b);
	js_object(&w);
	js_key(&w, "version");
	js_text(&w, PACKAGE_VERSION);
	js_object_end(&w);
	out_json(&b);
	buf_release(&b);
	return 0;
}

const struct cmd cmd_version = {
	.name = "version",
	.args = "",
	.summary = "print the version",
	.examples = "  warren version --json\n",
	.own_conf = true,
	.run = version_run,
};

/* Reached only with flags in front of the command. */
static int
runner_run(struct cli *cli)
{
	char **argv = must_alloc((cli->n_args + 2) * sizeof(*argv));
	size_t i;
	int code;

	argv[0] = must_dup(SPAN("runner"));
	for (i = 0; i < cli->n_args; i++)
		argv[i + 1] = must_dup(span_of(cli->args[i]));
	code = host_exec((int)cli->n_args + 1, argv);
	for (i = 0; i <= cli->n_args; i++)
		alloc_free(argv[i]);
	alloc_free(argv);
	return code;
}

const struct cmd cmd_runner = {
	.name = "runner",
	.args = "[--list] LIB.so...",
	.summary = "host task modules written in C; started by workers, one for each slot",
	.details =
		"Speaks the runner protocol on descriptor 3. Use worker --module LIB.so, or run --module LIB.so to try a task out. --list prints the "
		"tasks of the modules, and needs no worker.",
	.examples = "  warren worker --module ./libtasks.so -Q processing -c 4\n"
		    "  warren runner --list ./libtasks.so\n",
	.args_max = SIZE_MAX,
	.own_conf = true,
	.run = runner_run,
};
