/* Many sends: one line of NDJSON each, from a file or a pipe. */
#ifndef WARREN_CLI_BULK_H
#define WARREN_CLI_BULK_H

#include "cli/call.h"

/*
 * Sends every line of `path` ("-" = stdin); `base` holds the defaults of all lines. Ids go to stdout as they are confirmed. A line that
 * is wrong is reported with its number and does not stop the others: EXIT_NO at the end.
 */
int bulk_send(struct cli *cli, struct client *client, struct sender *sender, const struct call *base,
	const char *path);

#endif
