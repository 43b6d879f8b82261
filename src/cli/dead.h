/* What the files of `warren dead` share: the flags, a look through the dead letters, and what is done with those that fit. */
#ifndef WARREN_CLI_DEAD_H
#define WARREN_CLI_DEAD_H

#include "cli/setup.h"
#include "client/browse.h"
#include "wire/dead.h"

struct dead_flags {
	struct opt_list queues;
	const char *task, *reason, *error, *since, *until, *edit_args, *edit_kwargs, *queue;
	int64_t limit;
	bool all, dry_run, yes, keep_expires, keep_results, force;
};

/* One queue of dead letters. */
struct dead_source {
	const char *origin; /* the queue they came from */
	char queue[256];    /* the queue they are in */
	struct browse *browse;
	bool missing; /* there is none: nothing has died here */
	uint64_t matched;
};

/* One letter; valid until the next. */
struct dead_item {
	struct dead_facts facts;
	const struct dead_source *source;
	struct msg *msg;
	const char *spoiled;
};

/* A look through some queues for letters that fit flags and ids. */
struct dead_look {
	struct cli *cli;
	const struct dead_flags *f;
	struct client *client;
	us_t now, since, until; /* INT64_MIN, INT64_MAX = no bound */
	const char *const *ids; /* NULL-ended; none = any */
	size_t n_ids;
	bool *found;   /* each of them */
	bool prefixes; /* the first 6 characters of an id are enough */
	struct dead_source *sources;
	size_t n_sources;
	uint64_t looked, matched;
};

/* Errors are printed; 0 or the exit code. `queues` is NULL-ended. */
int dead_look_open(struct dead_look *l, struct cli *cli, const char *const *queues, const char *const *ids,
	size_t n_ids);
void dead_look_close(struct dead_look *l);
/* Whether flags or ids choose some of the letters. */
bool dead_look_is_choosy(const struct dead_look *l);
/* fn gets every letter that fits. An error of fn ends the look. */
typedef enum err dead_fn(void *owner, struct dead_source *s, struct dead_item *it, struct errtext *t);
enum err dead_look_each(struct dead_look *l, dead_fn *fn, void *owner, struct errtext *t) MUSTCHECK;
/* Puts all back, for a second look. */
enum err dead_look_again(struct dead_look *l, struct errtext *t) MUSTCHECK;
/* After a look: EXIT_NO, and says so, when ids were not found or nothing fits; else 0. */
int dead_look_verdict(const struct dead_look *l);
/* Prints the error; the exit code. */
int dead_fail(enum err e, const struct errtext *t);

/* Before letters are taken out, for `verb`; each prints what is wrong. EXIT_USAGE unless the letters are chosen: by ids, filters or --all. */
int dead_check_choice(const struct dead_look *l, const char *verb);
/* EXIT_USAGE when nobody said --yes or --dry-run and nobody can be asked. */
int dead_must_say_yes(const struct dead_flags *f, const char *verb);
/* "Replay 12 dead letters?" False: *code is the exit code. */
bool dead_may_go_on(const struct dead_look *l, const char *verb, const char *what, uint64_t n, int *code);
/* Counts those that fit, puts everything back, asks. */
int dead_count_and_ask(struct dead_look *l, const char *verb, const char *what);

/* The verbs. `l` is open; they return the exit code. */
int dead_list(struct dead_look *l);
int dead_show(struct dead_look *l);
int dead_export(struct dead_look *l);
int dead_replay(struct dead_look *l);
int dead_purge(struct dead_look *l);

#endif
