/*
 * The command line. Flags come from three tables: the command's own, those of every command, and the settings whose group the command
 * takes. Flags and other words may be mixed; "--" ends the flags; -5 is a number, not a flag. A value that may hold a password
 * is wiped from the process's argument list once it is read.
 */
#include "cli/cmd.h"

#include "base/text.h"
#include "cli/out.h"

const struct opt_row common_rows[] = {
	FLAG(common_flags, config, text, .arg = "FILE",
		.help = "configuration file (else $WARREN_CONFIG, ./warren.yaml, the system's)"),
	FLAG(common_flags, json, bool, .help = "print JSON, for machines"),
	FLAG(common_flags, help, bool, .short_flag = 'h', .help = "show this"),
};
const size_t n_common_rows = ARRAY_LEN(common_rows);

/* Names that users of Celery know, and short forms. */
static const struct {
	const char *name, *means;
} aliases[] = {
	{ "hostname", "node_name" },
	{ "loglevel", "log_level" },
	{ "no-create", "no_create_queues" },
	{ "backend", "result_backend" },
};

/* One flag that was found: where its value goes. */
struct target {
	const struct opt_row *row;
	void *base; /* NULL: a setting */
	bool negated;
};

static bool
conf_row_fits(const struct cli *cli, const struct opt_row *row)
{
	return (row->group & cli->cmd->groups) != 0;
}

static const struct opt_row *
find_conf_row(const struct cli *cli, struct span name)
{
	const struct opt_row *row = opt_find(conf_rows, CONF_OPTIONS, name);

	return row != NULL && conf_row_fits(cli, row) ? row : NULL;
}

static bool
find_name(struct cli *cli, struct span name, struct target *to)
{
	*to = (struct target){ .base = cli->flags };
	to->row = opt_find(cli->cmd->flags, cli->cmd->n_flags, name);
	if (to->row == NULL) {
		to->base = &cli->common;
		to->row = opt_find(common_rows, n_common_rows, name);
	}
	if (to->row == NULL) {
		to->base = NULL;
		to->row = find_conf_row(cli, name);
	}
	return to->row != NULL;
}

static bool
find_long(struct cli *cli, struct span name, struct target *to)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(aliases); i++)
		if (span_is(name, aliases[i].name))
			name = span_of(aliases[i].means);
	if (find_name(cli, name, to))
		return true;
	if (!span_starts(name, "no-") && !span_starts(name, "no_"))
		return false;
	if (!find_name(cli, (struct span){ name.ptr + 3, name.len - 3 }, to) || to->row->type != OPT_T_bool)
		return false;
	to->negated = true;
	return true;
}

static const struct opt_row *
find_short_in(const struct opt_row *rows, size_t n, char c)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (rows[i].short_flag == c)
			return &rows[i];
	return NULL;
}

static bool
find_short(struct cli *cli, char c, struct target *to)
{
	*to = (struct target){ .base = cli->flags };
	to->row = find_short_in(cli->cmd->flags, cli->cmd->n_flags, c);
	if (to->row == NULL) {
		to->base = &cli->common;
		to->row = find_short_in(common_rows, n_common_rows, c);
	}
	if (to->row == NULL) {
		to->base = NULL;
		to->row = find_short_in(conf_rows, CONF_OPTIONS, c);
		if (to->row != NULL && !conf_row_fits(cli, to->row))
			to->row = NULL;
	}
	return to->row != NULL;
}

static const struct cmd_stranger *
find_stranger(const struct cmd *cmd, struct span word)
{
	const struct cmd_stranger *s;
	size_t i;

	for (s = cmd->strangers; s != NULL && s->name != NULL; s++) {
		for (i = 0; i < word.len && (s->name[i] == '_' ? '-' : s->name[i]) == word.ptr[i]; i++)
			;
		if (i == word.len && s->name[i] == '\0')
			return s;
	}
	return NULL;
}

static int
unknown_flag(struct cli *cli, struct span word)
{
	const struct cmd_stranger *stranger = find_stranger(cli->cmd, word);
	struct nearest near;
	struct buf b;
	size_t i;

	if (stranger != NULL) {
		out_error("%s: there is no %s%.*s here: %s", cli->cmd->name, word.len > 1 ? "--" : "-",
			SPAN_FMT(word), stranger->instead);
		return EXIT_USAGE;
	}
	nearest_init(&near, word);
	for (i = 0; i < cli->cmd->n_flags; i++)
		nearest_try(&near, cli->cmd->flags[i].name);
	for (i = 0; i < n_common_rows; i++)
		nearest_try(&near, common_rows[i].name);
	for (i = 0; i < CONF_OPTIONS; i++)
		if (conf_row_fits(cli, &conf_rows[i]))
			nearest_try(&near, conf_rows[i].name);
	buf_init(&b, 0);
	if (word.len > 1 && near.best != NULL) {
		buf_adds(&b, ": did you mean --");
		for (; *near.best != '\0'; near.best++)
			buf_addc(&b, *near.best == '_' ? '-' : *near.best);
		buf_addc(&b, '?');
	}
	out_error("%s: unknown flag %s%.*s%s (see warren %s --help)", cli->cmd->name,
		word.len > 1 ? "--" : "-", SPAN_FMT(word), buf_text(&b), cli->cmd->name);
	buf_release(&b);
	return EXIT_USAGE;
}

static int
set_flag(struct cli *cli, const struct target *to, struct span value, const char *shown)
{
	struct errtext why = { "" };
	enum err e;

	e = to->base == NULL ? conf_set(&cli->conf, to->row, value, CONF_FLAG, shown, &why)
			     : opt_set(to->row, to->base, value, &cli->arena, &why);
	if (e == E_OK && to->base == cli->flags)
		cli->given[cli->n_given++] = (struct cli_given){ to->row, value };
	if (e == E_OK)
		return 0;
	out_error("%s: %s: %s", cli->cmd->name, shown, why.text);
	return EXIT_USAGE;
}

/* Takes argv[*i], a flag, and its value; moves *i to the last word used. */
static int
take_flag(struct cli *cli, int argc, char **argv, int *i)
{
	char *word = argv[*i], *value = NULL, shown[80];
	struct span rest = span_of(word), name;
	struct target to;
	bool found;
	int code;

	if (word[1] == '-') {
		rest = span_of(word + 2);
		name = span_split(&rest, '=');
		found = find_long(cli, name, &to);
		value = rest.ptr != NULL ? word + 2 + name.len + 1 : NULL;
		snprintf(shown, sizeof(shown), "--%.*s", SPAN_FMT(name));
	} else {
		name = (struct span){ word + 1, 1 };
		found = find_short(cli, word[1], &to);
		value = word[2] != '\0' ? word + 2 : NULL;
		snprintf(shown, sizeof(shown), "-%c", word[1]);
	}
	if (!found)
		return unknown_flag(cli, name);
	if (to.row->type == OPT_T_bool) {
		if (value != NULL && (to.negated || word[1] != '-')) {
			out_error("%s: %s takes no value", cli->cmd->name, shown);
			return EXIT_USAGE;
		}
		return set_flag(cli, &to,
			value != NULL        ? span_of(value)
				: to.negated ? SPAN("false")
					     : SPAN("true"),
			shown);
	}
	if (value == NULL && ++*i < argc)
		value = argv[*i];
	if (value == NULL) {
		out_error("%s: %s needs a value (%s)", cli->cmd->name, shown, opt_arg(to.row));
		return EXIT_USAGE;
	}
	code = set_flag(cli, &to, span_of(value), shown);
	if (to.row->flags & OPT_URL)
		memset(value, '*', strlen(value));
	return code;
}

static bool
is_flag(const char *word)
{
	return word[0] == '-' && word[1] != '\0' && !(word[1] >= '0' && word[1] <= '9') && word[1] != '.';
}

/* They become arguments of tasks and names, in JSON. A byte that is none would be another one when it arrives. */
static int
check_words(const struct cli *cli)
{
	struct buf b;
	size_t i;

	for (i = 0; i < cli->n_args && text_is_utf8(span_of(cli->args[i])); i++)
		;
	if (i == cli->n_args)
		return 0;
	buf_init(&b, 0);
	text_add_printable(&b, span_of(cli->args[i]), 60);
	out_error(
		"%s: '%s' is not UTF-8: names and arguments are text; encode other bytes, for instance as base64",
		cli->cmd->name, buf_text(&b));
	buf_release(&b);
	return EXIT_USAGE;
}

int
flags_parse(struct cli *cli, int argc, char **argv)
{
	bool flags_over = false;
	int i, code = 0;

	cli->args = must_alloc(((size_t)argc + 1) * sizeof(*cli->args));
	cli->given = must_alloc(((size_t)argc + 1) * sizeof(*cli->given));
	for (i = 0; code == 0 && i < argc; i++) {
		if (!flags_over && strcmp(argv[i], "--") == 0)
			flags_over = true;
		else if (!flags_over && is_flag(argv[i]))
			code = take_flag(cli, argc, argv, &i);
		else
			cli->args[cli->n_args++] = argv[i];
	}
	if (code != 0 || cli->common.help)
		return code;
	code = check_words(cli);
	if (code != 0)
		return code;
	if (cli->n_args >= cli->cmd->args_min && cli->n_args <= cli->cmd->args_max)
		return 0;
	if (cli->n_args > cli->cmd->args_max)
		out_error("%s: '%s' is too much: usage: warren %s%s%s", cli->cmd->name,
			cli->args[cli->cmd->args_max], cli->cmd->name, *cli->cmd->args != '\0' ? " " : "",
			cli->cmd->args);
	else
		out_error("%s: usage: warren %s %s (see warren %s --help)", cli->cmd->name, cli->cmd->name,
			cli->cmd->args, cli->cmd->name);
	return EXIT_USAGE;
}
