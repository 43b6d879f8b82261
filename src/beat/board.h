/*
 * What the schedulers of a group share in Redis, when there is one: entries added at run time, which entries are paused, the last runs,
 * and the fencing token. Schedulers and `warren schedule` use it. Keys, all with "<prefix>warren:beat:{GROUP}:" in front:
 *
 *   entries    hash: name -> "<since> <JSON of the entry>"; since = when it was added, or its schedule changed
 *   pauses     hash: name -> "paused <since>" or "resumed <since>"
 *   runs       hash: name -> row (row.h)
 *   revision   counts the changes of entries and pauses
 *   token      the leader's; each new leader takes the next. What is written with an older one is refused
 *   leader     hash: node, token, since, schedule (tells one schedule of a configuration from another)
 *
 * Times are microseconds since the epoch by the clock of Redis. Every change is one script, so one step.
 */
#ifndef WARREN_BEAT_BOARD_H
#define WARREN_BEAT_BOARD_H

#include "beat/row.h"
#include "store/redis.h"

struct board;

struct board_conf {
	const char *url;
	const char *prefix; /* of all keys; NULL = none */
	const char *group;
	struct stream_tls_conf tls;
	ms_t connect_ms, command_ms;
};

struct board_ops {
	void (*on_up)(void *owner);
	void (*on_down)(void *owner, const struct rds_down *d);
};

struct board_entry {
	struct span name, json;
	us_t since;
};
struct board_pause {
	struct span name;
	bool paused; /* else resumed */
	us_t since;
};
struct board_run {
	struct span name;
	struct span json; /* a row */
};
/* Valid during the callback. */
struct board_stock {
	int64_t revision, token;
	struct span leader;   /* its node; SPAN_NONE = there was none yet */
	struct span schedule; /* which it has; "" = not known */
	const struct board_entry *entries;
	const struct board_pause *pauses;
	const struct board_run *runs;
	size_t n_entries, n_pauses, n_runs;
};

/*
 * Answers; once each, never from inside. E_CLOSED, E_TIMEOUT: not known whether it was done. E_REFUSED: Redis says no, for `why`.
 * A stock is NULL unless e is E_OK.
 */
typedef void board_stock_fn(void *owner, enum err e, const struct board_stock *s, const char *why);
typedef void board_fn(void *owner, enum err e, const char *why);

enum err board_new(struct board **out, struct loop *l, const struct board_conf *conf,
	const struct board_ops *ops, void *owner, struct errtext *t) MUSTCHECK;
/* No callback afterwards. NULL is allowed. */
void board_close(struct board *g);
bool board_is_up(const struct board *g);
const char *board_url(const struct board *g); /* without the password */

/* The calls below: E_CLOSED, E_AGAIN, E_NOMEM: not now, and no answer comes. */

/* All there is. With `node` the caller, whose schedule is `schedule`, leads from now on: the token in the answer is its own, the next one. */
enum err board_read(
	struct board *g, const char *node, const char *schedule, board_stock_fn *fn, void *owner) MUSTCHECK;
/* Only revision, token, leader and its schedule. */
enum err board_look(struct board *g, board_stock_fn *fn, void *owner) MUSTCHECK;
/* Name, row, name, row... E_EXISTS: there is a newer token, nothing was written. */
#define BOARD_ROWS_MAX 500
enum err board_write(struct board *g, int64_t token, const struct board_run *runs, size_t n, board_fn *fn,
	void *owner) MUSTCHECK;
/* E_EXISTS: there is one of that name. */
enum err board_add(struct board *g, struct span name, struct span json, board_fn *fn, void *owner) MUSTCHECK;
/* E_MISSING; E_EXISTS: it is not `old` any more, somebody was faster. anew: it counts from now, as a new entry would. */
enum err board_edit(struct board *g, struct span name, struct span old, struct span json, bool anew,
	board_fn *fn, void *owner) MUSTCHECK;
/* With its pause and its last run. E_MISSING. */
enum err board_remove(struct board *g, struct span name, board_fn *fn, void *owner) MUSTCHECK;
/* Of any entry, wherever it stands. E_EXISTS: it is (or is not) paused already. */
enum err board_pause(struct board *g, struct span name, bool paused, board_fn *fn, void *owner) MUSTCHECK;

#endif
