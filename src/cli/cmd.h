/*
 * The commands of warren. Each is one row in table.c and one file, cmd_NAME.c; its flags are option rows, from which main parses, --help and
 * the manual page are made. A new command: the file, the row, nothing else.
 */
#ifndef WARREN_CLI_CMD_H
#define WARREN_CLI_CMD_H

#include "conf/conf.h"

/* Exit codes, the same for every command. */
enum {
	EXIT_NO = 1,          /* it was understood, and the answer is no */
	EXIT_USAGE = 2,       /* command line or configuration are wrong */
	EXIT_UNREACHABLE = 3, /* broker or backend */
	EXIT_LATE = 4,        /* a time-out of the caller's passed */
};
/* EXIT_UNREACHABLE for what client.h says about servers, EXIT_USAGE for E_CONF, else EXIT_NO. */
int exit_of(enum err e);

/* Flags that every command has. */
struct common_flags {
	bool help, json;
	const char *config;
};

/* One of the command's own flags, as it stood on the command line. */
struct cli_given {
	const struct opt_row *row;
	struct span value;
};

/* One run of one command. */
struct cli {
	const struct cmd *cmd;
	char *const *command_line; /* of the process, before passwords were wiped from it; NULL-ended */
	struct conf conf;
	struct common_flags common;
	void *flags;             /* the command's own struct, filled from its rows */
	struct cli_given *given; /* which of them were given, in order */
	size_t n_given;
	const char **args; /* what is no flag; NULL-ended */
	size_t n_args;
	struct arena arena;   /* for whatever lives as long as the run */
	struct cli_app *apps; /* Celery applications that were asked, see app.h */
	size_t n_apps;
};

/* A flag that people know from elsewhere. */
struct cmd_stranger {
	const char *name; /* as rows have it: '_' for '-' */
	const char *instead;
};
extern const struct cmd_stranger celery_worker_flags[], celery_beat_flags[]; /* NULL-ended */

struct cmd {
	const char *name;
	const char *args;                   /* "NAME [ARG...]"; "" when it takes none */
	const char *summary;                /* one line */
	const char *details;                /* more for --help, may be NULL */
	void (*add_details)(struct buf *b); /* lines made from a table of the command's own, may be NULL */
	const char *examples;               /* lines, each indented by two blanks */
	const struct opt_row *flags;
	size_t n_flags, flags_size;
	const struct cmd_stranger *strangers; /* what it does not have, may be NULL */
	unsigned groups;                      /* settings it takes as flags: CONF_BIT(CONF_BROKER) | ... */
	size_t args_min, args_max;
	bool own_conf; /* reads configuration by itself, if at all */
	bool hidden;
	int (*run)(struct cli *cli);
};

extern const struct cmd cmd_beat, cmd_control, cmd_events, cmd_inspect, cmd_report, cmd_schedule;
extern const struct cmd cmd_config, cmd_dead, cmd_help, cmd_purge, cmd_result, cmd_run, cmd_runner, cmd_send,
	cmd_status, cmd_version, cmd_worker;
extern const struct cmd *const cmds[]; /* in the order of help; NULL-ended */
const struct cmd *cmd_find(struct span name);

/* clang-format off */
#define FLAG(st, field, kind, ...) \
	{ .name = #field, .type = OPT_T_##kind, .offset = offsetof(struct st, field), __VA_ARGS__ }
/* clang-format on */

/* flags.c: argv[0] is the first word after the command. EXIT_USAGE with the error printed, or 0. */
int flags_parse(struct cli *cli, int argc, char **argv);
extern const struct opt_row common_rows[];
extern const size_t n_common_rows;

/* help.c */
void help_print(const struct cmd *cmd); /* NULL: all of warren */
void help_print_man(void);

#endif
