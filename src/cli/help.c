/* --help of a command, the list of commands, and the manual page: all from the same rows that the command line is parsed with. */
#include "cli/cmd.h"
#include "cli/out.h"

#define WIDTH 100
#define INDENT 30

/* "-b, --broker URL"; a setting that can be switched off shows how. */
static void
add_flag_head(struct buf *b, const struct opt_row *row, bool is_setting)
{
	const char *name = row->name, *arg = opt_arg(row);

	if (row->short_flag != 0)
		buf_addf(b, "-%c, ", row->short_flag);
	buf_adds(b, is_setting && row->type == OPT_T_bool ? "--[no-]" : "--");
	for (; *name != '\0'; name++)
		buf_addc(b, *name == '_' ? '-' : *name);
	if (*arg != '\0')
		buf_addf(b, " %s", arg);
}

static void
print_wrapped(struct span text, size_t column)
{
	struct span word;
	size_t at = column;

	while (text.ptr != NULL) {
		word = span_split(&text, ' ');
		if (at > column && at + 1 + word.len > WIDTH) {
			printf("\n%*s", (int)column, "");
			at = column;
		}
		if (at > column) {
			fputc(' ', stdout);
			at++;
		}
		out_span(word);
		at += word.len;
	}
	fputc('\n', stdout);
}

static void
add_flag_note(struct buf *b, const struct opt_row *row, bool is_setting)
{
	buf_adds(b, row->help);
	if (is_setting && row->def != NULL && *row->def != '\0')
		buf_addf(b, " [%s]", row->def);
}

static void
print_flag(const struct opt_row *row, bool is_setting)
{
	struct buf head, note;

	if (row->flags & OPT_HIDDEN)
		return;
	buf_init(&head, 0);
	buf_init(&note, 0);
	add_flag_head(&head, row, is_setting);
	add_flag_note(&note, row, is_setting);
	printf("  %-*s", INDENT - 2, buf_text(&head));
	if (head.len + 2 >= INDENT)
		printf("\n%*s", INDENT, "");
	print_wrapped(buf_span(&note), INDENT);
	buf_release(&head);
	buf_release(&note);
}

static void
print_settings(const struct cmd *cmd)
{
	enum conf_group g;
	size_t i;

	for (g = 0; g < CONF_GROUPS; g++) {
		if (!(cmd->groups & CONF_BIT(g)))
			continue;
		printf("\n%s (also in the configuration file, and as WARREN_...):\n", conf_group_title(g));
		for (i = 0; i < CONF_OPTIONS; i++)
			if (conf_rows[i].group == CONF_BIT(g))
				print_flag(&conf_rows[i], true);
	}
}

static void
print_table_of(const struct cmd *cmd)
{
	struct buf b;

	buf_init(&b, 0);
	cmd->add_details(&b);
	fputc('\n', stdout);
	out_span(buf_span(&b));
	buf_release(&b);
}

static void
print_command(const struct cmd *cmd)
{
	size_t i;

	printf("usage: warren %s%s%s%s\n\n", cmd->name, cmd->n_flags > 0 ? " [FLAG...]" : "",
		*cmd->args != '\0' ? " " : "", cmd->args);
	print_wrapped(span_of(cmd->summary), 0);
	if (cmd->details != NULL) {
		fputc('\n', stdout);
		print_wrapped(span_of(cmd->details), 0);
	}
	if (cmd->add_details != NULL)
		print_table_of(cmd);
	printf("\nexamples:\n%s\nflags:\n", cmd->examples);
	for (i = 0; i < cmd->n_flags; i++)
		print_flag(&cmd->flags[i], false);
	for (i = 0; i < n_common_rows; i++)
		print_flag(&common_rows[i], false);
	print_settings(cmd);
	printf("\nexit status: 0 ok, 1 no, 2 usage, 3 broker or backend unreachable, 4 timed out\n");
}

void
help_print(const struct cmd *cmd)
{
	size_t i;

	if (cmd != NULL) {
		print_command(cmd);
		return;
	}
	printf("warren: a distributed worker cluster on RabbitMQ, Celery wire compatible\n\n"
	       "usage: warren COMMAND [FLAG...] [ARG...]\n\ncommands:\n");
	for (i = 0; cmds[i] != NULL; i++)
		if (!cmds[i]->hidden)
			printf("  %s%-10s%s %s\n", out_color(OUT_BOLD), cmds[i]->name, out_color(OUT_PLAIN),
				cmds[i]->summary);
	printf("\nexamples:\n"
	       "  warren worker -A tasks -Q celery -c 4      run the tasks of the Python module tasks\n"
	       "  warren send add 2 3 --wait                 send one and print what it returns\n"
	       "  warren status                              is everything there?\n"
	       "\nwarren COMMAND --help says more.\n");
}

/* Text for troff: a backslash and a dot or quote at the start of a line would be commands. */
static void
man_text(const char *text)
{
	bool line_start = true;

	for (; *text != '\0'; text++) {
		if (line_start && (*text == '.' || *text == '\''))
			fputs("\\&", stdout);
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			fputc(*text, stdout);
		line_start = *text == '\n';
	}
	fputc('\n', stdout);
}

static void
man_flag(const struct opt_row *row, bool is_setting)
{
	struct buf b;

	if (row->flags & OPT_HIDDEN)
		return;
	buf_init(&b, 0);
	add_flag_head(&b, row, is_setting);
	fputs(".TP\n.B ", stdout);
	man_text(buf_text(&b));
	buf_reset(&b);
	add_flag_note(&b, row, is_setting);
	man_text(buf_text(&b));
	buf_release(&b);
}

static void
man_table_of(const struct cmd *cmd)
{
	struct buf b;

	buf_init(&b, 0);
	cmd->add_details(&b);
	fputs(".PP\n.nf\n", stdout);
	man_text(buf_text(&b));
	fputs(".fi\n", stdout);
	buf_release(&b);
}

static void
man_command(const struct cmd *cmd)
{
	size_t i;

	fputs(".SS ", stdout);
	printf("\"warren %s %s\"\n", cmd->name, cmd->args);
	man_text(cmd->summary);
	if (cmd->details != NULL) {
		fputs(".PP\n", stdout);
		man_text(cmd->details);
	}
	if (cmd->add_details != NULL)
		man_table_of(cmd);
	for (i = 0; i < cmd->n_flags; i++)
		man_flag(&cmd->flags[i], false);
	fputs(".PP\nExamples:\n.PP\n.nf\n", stdout);
	man_text(cmd->examples);
	fputs(".fi\n", stdout);
}

void
help_print_man(void)
{
	size_t i;

	fputs(".TH WARREN 1\n.SH NAME\nwarren \\- a distributed worker cluster on RabbitMQ\n"
	      ".SH SYNOPSIS\n.B warren\n.I COMMAND\n[FLAG...] [ARG...]\n.SH COMMANDS\n",
		stdout);
	for (i = 0; cmds[i] != NULL; i++)
		if (!cmds[i]->hidden)
			man_command(cmds[i]);
	fputs(".SH FLAGS OF EVERY COMMAND\n", stdout);
	for (i = 0; i < n_common_rows; i++)
		man_flag(&common_rows[i], false);
	fputs(".SH SETTINGS\nAs keys of the configuration file (with underscores), as environment variables (WARREN_ and the name in "
	      "capitals), and as flags of the commands they concern.\n",
		stdout);
	for (i = 0; i < CONF_OPTIONS; i++)
		man_flag(&conf_rows[i], true);
	for (i = 0; i < CONF_SECTIONS; i++) {
		size_t k;

		printf(".SS \"%s: (configuration file)\"\n", conf_sections[i].name);
		man_text(conf_sections[i].help);
		for (k = 0; k < conf_sections[i].n_rows; k++) {
			printf(".TP\n.B %s\n", conf_sections[i].rows[k].name);
			man_text(conf_sections[i].rows[k].help);
		}
	}
	fputs(".SH EXIT STATUS\n0 ok, 1 no, 2 usage, 3 broker or backend unreachable, 4 timed out\n", stdout);
}
