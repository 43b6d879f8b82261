/* How a result is shown: the value on stdout; an error, and states on the way, on stderr. */
#ifndef WARREN_CLI_SHOW_H
#define WARREN_CLI_SHOW_H

#include "cli/cmd.h"
#include "wire/result.h"

/* All of it as one JSON object on stdout. */
void show_json(const struct result *r);
/* A final state for a person. Returns the exit code: 0 for SUCCESS, else EXIT_NO. */
int show_final(const struct result *r, bool json);
/* A state on the way: a progress line on a terminal, else nothing. */
void show_state(const struct result *r);

/* A state on the way as a line on stderr. */
void show_line(const struct result *r);

#endif
