/*
 * Commands to running workers, as `warren inspect` and `warren control` send them. One table (remote_table.c) says what each is called, what
 * it takes, and how the answers look to a person; help, checks, request and output are made from it.
 */
#ifndef WARREN_CLI_REMOTE_H
#define WARREN_CLI_REMOTE_H

#include "base/js.h"
#include "cli/cmd.h"
#include "client/client.h"

enum remote_kind {
	REMOTE_TEXT,
	REMOTE_COUNT,   /* a whole number, 1 or more */
	REMOTE_SECONDS, /* 0 = none; also "5min" */
	REMOTE_SIGNAL,  /* KILL, SIGKILL, 9 */
	REMOTE_FLAG,    /* the word itself means true */
	REMOTE_TEXTS,   /* all that is left, as a list */
	REMOTE_PAIRS,   /* all that is left, NAME=VALUE, as an object of lists */
};
struct remote_arg {
	const char *key;   /* in the request */
	const char *shown; /* in help; NULL ends the list */
	enum remote_kind kind;
	bool optional;
};

/* What makes a row of the table: the answer itself, each item of it, each member of it, or no table but the text as it is. */
enum remote_rows { REMOTE_SELF, REMOTE_ITEMS, REMOTE_MEMBERS, REMOTE_BLOCK };
enum remote_cell {
	REMOTE_PLAIN,   /* texts as they are, all else as JSON */
	REMOTE_AGO,     /* seconds since the epoch: how long ago */
	REMOTE_LASTING, /* seconds: a duration */
	REMOTE_KIB,     /* a size */
	REMOTE_SUM,     /* of the members */
};
struct remote_column {
	const char *title; /* NULL ends the list */
	const char *path; /* "exchange.name" from the row on; "1.name": item 1, its name; "" the row; "@" its key */
	enum remote_cell cell;
};

#define REMOTE_ARGS_MAX 4
#define REMOTE_COLUMNS_MAX 7
struct remote_cmd {
	const char *name;
	const char *help;
	struct remote_arg args[REMOTE_ARGS_MAX + 1];
	enum remote_rows rows;
	struct remote_column columns[REMOTE_COLUMNS_MAX + 1]; /* the node comes behind them */
	bool changes;                                         /* belongs to `control` */
	bool revokes;                                         /* takes --terminate, --signal and --wait */
	bool of_pool;                                         /* takes --pool */
	bool ends; /* ends the workers: asks first, and they do not answer */
};
extern const struct remote_cmd remote_cmds[];
extern const size_t n_remote_cmds;
/* NULL: there is none; the error is printed, with what was meant. */
const struct remote_cmd *remote_find(const char *of, const char *name, bool changes);
/* For --help: a line for each command. */
void remote_add_help(struct buf *b, bool changes);

struct remote_flags {
	struct opt_list destination;
	ms_t timeout;
	bool yes, terminate, wait;
	const char *signal;
	const char *pool;
};
#define REMOTE_FLAGS \
	FLAG(remote_flags, destination, list, .short_flag = 'd', .arg = "NODE,...", \
		.help = "only these workers"), \
		FLAG(remote_flags, timeout, dur, .short_flag = 't', .def = "1s", .min = 1, .max = 3600000, \
			.help = "wait so long for answers [1s]")

/* Appends the request's arguments, an object. EXIT_USAGE with the error printed, or 0. */
int remote_add_args(struct buf *b, const struct remote_cmd *cmd, const char *const *words, size_t n,
	const struct remote_flags *f);

/* What came back. Owner: whoever has it. */
struct remote_answer {
	char *node;
	char *shown; /* its name for a terminal: it is whatever somebody has written into an answer */
	char *json;
	bool is_error;
};
struct remote_answers {
	struct remote_answer *items;
	size_t n, cap;
};
void remote_answers_release(struct remote_answers *a);
bool remote_has_answered(const struct remote_answers *a, const char *node);
/* Asks and sorts by node. The error is printed; 0 or the exit code. */
int remote_collect(struct client *c, const char *method, struct span arguments, const struct remote_flags *f,
	struct remote_answers *out);
/* Prints them, remarks on who did not answer included. Returns the exit code. */
int remote_show(const struct remote_cmd *cmd, const struct remote_answers *a, const struct remote_flags *f,
	bool json);
/* One object: node -> answer. */
void remote_add_json(struct js *w, const struct remote_answers *a);
/* The text of {"ok": ...} or {"error": ...}, or the answer as JSON. */
void remote_add_word(struct buf *b, const struct remote_answer *a);

/* One row of inspect or control, from its words on. */
int remote_run(
	struct cli *cli, struct client *client, const struct remote_cmd *cmd, const struct remote_flags *f);

#endif
