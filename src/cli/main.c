/*
 * The way in: finds the command, parses its flags, loads the settings, runs it. `runner`, the child that hosts task modules, becomes
 * a small program of its own before anything else is touched.
 */
#include "cli/cmd.h"
#include "cli/out.h"
#include "host/host.h"

#include <signal.h>
#include <sys/prctl.h>

static int
unknown_command(const char *word)
{
	struct nearest near;
	struct buf b;
	size_t i;

	nearest_init(&near, span_of(word));
	for (i = 0; cmds[i] != NULL; i++)
		nearest_try(&near, cmds[i]->name);
	buf_init(&b, 0);
	nearest_add(&b, &near);
	out_error("there is no command '%s'%s (see warren help)", word, buf_text(&b));
	buf_release(&b);
	return EXIT_USAGE;
}

static int
load_conf(struct cli *cli)
{
	struct errtext why = { "" };
	enum err e;

	if (cli->cmd->own_conf)
		return 0;
	e = conf_load(&cli->conf, cli->common.config, &why);
	if (e == E_OK)
		return 0;
	out_error("%s", why.text);
	return e == E_NOMEM ? EXIT_NO : EXIT_USAGE;
}

/* Passwords are wiped from the one of the process once it has been read. */
static char **command_line;

static void
keep_command_line(int argc, char **argv)
{
	command_line = must_alloc(((size_t)argc + 1) * sizeof(*command_line));
	for (int i = 0; i < argc; i++)
		command_line[i] = must_dup(span_of(argv[i]));
}

static void
forget_command_line(void)
{
	for (char **p = command_line; *p != NULL; p++)
		alloc_free(*p);
	alloc_free(command_line);
}

static int
run(const struct cmd *cmd, int argc, char **argv)
{
	struct cli cli = { .cmd = cmd, .command_line = command_line };
	int code;

	arena_init(&cli.arena, 0);
	cli.flags = must_alloc(cmd->flags_size);
	if (conf_init(&cli.conf) != E_OK ||
		opt_set_defaults(cmd->flags, cmd->n_flags, cli.flags, &cli.arena) != E_OK) {
		out_error("out of memory");
		code = EXIT_NO;
		goto out;
	}
	code = flags_parse(&cli, argc, argv);
	if (code == 0 && cli.common.help)
		help_print(cmd);
	else if (code == 0)
		code = load_conf(&cli);
	if (code == 0 && !cli.common.help)
		code = cmd->run(&cli);
out:
	conf_release(&cli.conf);
	arena_release(&cli.arena);
	alloc_free(cli.flags);
	alloc_free(cli.args);
	alloc_free(cli.given);
	return code;
}

static bool
takes_next_word(const char *flag)
{
	const struct opt_row *row;

	if (strchr(flag, '=') != NULL || (flag[1] != '-' && flag[2] != '\0'))
		return false;
	row = flag[1] == '-' ? opt_find(common_rows, n_common_rows, span_of(flag + 2)) : NULL;
	return row == NULL || row->type != OPT_T_bool;
}

/*
 * Celery's users write `celery -A app worker`: flags in front of the command are moved behind it. They are the ones with a value, and
 * those that every command has; returns the index of the command, or argc.
 */
static int
find_command(int argc, char **argv)
{
	int i = 1;

	while (i < argc && argv[i][0] == '-' && argv[i][1] != '\0')
		i += takes_next_word(argv[i]) ? 2 : 1;
	return i < argc ? i : argc;
}

static int
dispatch(int argc, char **argv)
{
	const struct cmd *cmd;
	char **words;
	int at, code;

	if (argc < 2) {
		help_print(NULL);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return run(&cmd_help, argc - 2, argv + 2);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return run(&cmd_version, argc - 2, argv + 2);
	at = find_command(argc, argv);
	if (at == argc) {
		out_error("no command given (see warren help)");
		return EXIT_USAGE;
	}
	cmd = cmd_find(span_of(argv[at]));
	if (cmd == NULL)
		return unknown_command(argv[at]);
	words = must_alloc((size_t)argc * sizeof(*words));
	memcpy(words, argv + 1, (size_t)(at - 1) * sizeof(*words));
	memcpy(words + at - 1, argv + at + 1, (size_t)(argc - at - 1) * sizeof(*words));
	code = run(cmd, argc - 2, words);
	alloc_free(words);
	return code;
}

int
main(int argc, char **argv)
{
	int code;

	if (argc >= 2 && strcmp(argv[1], "runner") == 0 && (argc < 3 || strcmp(argv[2], "--help") != 0))
		return host_exec(argc - 1, argv + 1);
	/* Begun anew by way of /proc/self/exe the kernel calls it "exe", and so would ps. */
	(void)prctl(PR_SET_NAME, "warren");
	signal(SIGPIPE, SIG_IGN);
	out_setup();
	keep_command_line(argc, argv);
	code = dispatch(argc, argv);
	forget_command_line();
	if (!out_finish() && code == 0) {
		/* Who reads has seen enough: warren events | head */
		if (!out_reader_is_gone())
			out_error("cannot write the output: %s", out_why());
		code = EXIT_NO;
	}
	return code;
}
