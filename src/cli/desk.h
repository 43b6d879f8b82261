/*
 * The Redis that schedulers share, for a command: one question at a time, waited for. What was read stays until the next reading.
 */
#ifndef WARREN_CLI_DESK_H
#define WARREN_CLI_DESK_H

#include "cli/schedule.h"

struct desk {
	struct loop *loop;
	struct board *board;
	ms_t wait_ms;
	struct errtext why; /* of the last attempt to connect */
	enum err why_err;
	/* The answer */
	bool answered;
	enum err err;
	struct errtext text;
	/* What there is: texts are in the arena. */
	struct arena arena;
	struct board_stock stock;
};

/* Waits so long for a connection; 0 = connect_timeout. E_CONF: none is configured. E_CLOSED, E_TIMEOUT, E_REFUSED: it cannot be reached. A zeroed desk may be closed. */
enum err desk_open(struct desk *d, struct cli *cli, ms_t wait_ms, struct errtext *t) MUSTCHECK;
void desk_close(struct desk *d);
enum err desk_read(struct desk *d, struct errtext *t) MUSTCHECK;
/* The JSON of an entry as it was read; SPAN_NONE. */
struct span desk_find(const struct desk *d, struct span name);
/* As the calls of board.h. */
enum err desk_add(struct desk *d, struct span name, struct span json, struct errtext *t) MUSTCHECK;
enum err desk_edit(struct desk *d, struct span name, struct span old, struct span json, bool anew,
	struct errtext *t) MUSTCHECK;
enum err desk_remove(struct desk *d, struct span name, struct errtext *t) MUSTCHECK;
enum err desk_pause(struct desk *d, struct span name, bool paused, struct errtext *t) MUSTCHECK;

#endif
