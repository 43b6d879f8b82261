/* warren send --chain, --group, --chord. */
#ifndef WARREN_CLI_CANVAS_H
#define WARREN_CLI_CANVAS_H

#include "cli/call.h"
#include "client/recipe.h"

struct canvas_job {
	enum recipe_kind kind;
	const char *text; /* JSON, @FILE, or - for stdin */
	bool wait;
	ms_t timeout; /* 0 = for ever */
};
/* Sends it and prints the ids it ends with, or waits and prints the results. The exit code. */
int canvas_run(struct cli *cli, struct client *client, struct sender *s, const struct canvas_job *job);

#endif
