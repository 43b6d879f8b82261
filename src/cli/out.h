/*
 * What commands print. Results go to stdout and nothing else does, so that it can be piped; remarks, progress and errors go to stderr.
 * Colour and progress only on a terminal, and no colour when NO_COLOR is set.
 */
#ifndef WARREN_CLI_OUT_H
#define WARREN_CLI_OUT_H

#include "base/buf.h"

#include <stdio.h>

/* Once, before anything is printed. */
void out_setup(void);
/* Flushes stdout; false when something could not be written (disk full, pipe closed). */
bool out_finish(void);
/* Why not, when out_finish() says no. */
const char *out_why(void);
/* stdout is a pipe that nobody reads any more. */
bool out_reader_is_gone(void);

/* "warren: ..." on stderr, in red on a terminal; a progress line is wiped before. */
void out_error(const char *fmt, ...) PRINTFLIKE(1, 2);
/* A remark on stderr. */
void out_note(const char *fmt, ...) PRINTFLIKE(1, 2);
void out_span(struct span s); /* to stdout, as it is */
void out_line(struct span s); /* with a newline */
/* One JSON text and a newline to stdout. */
void out_json(struct buf *json);

bool out_is_terminal(void);  /* stdout */
bool out_has_progress(void); /* stderr is a terminal */
/* Overwrites the progress line; at most ten times a second, unless last. No-op off a terminal. */
void out_progress(bool last, const char *fmt, ...) PRINTFLIKE(2, 3);
void out_progress_clear(void);

/* Asks on the terminal; false for anything but yes, and when there is no terminal. */
bool out_ask(const char *fmt, ...) PRINTFLIKE(1, 2);
bool out_can_ask(void);

enum out_color { OUT_PLAIN, OUT_RED, OUT_GREEN, OUT_YELLOW, OUT_BOLD, OUT_DIM };
/* The escape sequence, or "" where stdout has no colour. OUT_PLAIN switches back. */
const char *out_color(enum out_color c);

/* A table: columns as wide as their contents, cut where the terminal is narrower, the first one last. */
#define GRID_COLUMNS 8
struct grid {
	size_t columns, rows, cap;
	char **cells; /* rows * columns, ours */
};
void grid_init(struct grid *g, size_t columns, const char *const *titles);
/* Copies; control characters are made visible. */
void grid_add(struct grid *g, const char *const *cells);
void grid_print(const struct grid *g);
void grid_release(struct grid *g);

#endif
