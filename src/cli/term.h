/*
 * The terminal of a command that goes on until it is told to end: signals and, with a screen, keys as something to wait for. The screen is an
 * alternate one without echo; whatever ends the command in good order, a signal included, gives the terminal back as it was.
 */
#ifndef WARREN_CLI_TERM_H
#define WARREN_CLI_TERM_H

#include "base/err.h"

struct term;

/* One at a time. E_CONF: a screen is wanted, and stdin or stdout is no terminal. */
enum err term_open(struct term **out, bool screen, struct errtext *t) MUSTCHECK;
void term_close(struct term *t); /* NULL is allowed */
/* Can be read when term_read has something. */
int term_fd(const struct term *t);
/* A key, or what a signal wants; TERM_NOTHING when there is no more. SIGTSTP is dealt with inside: it suspends, and what follows is TERM_REDRAW. */
enum { TERM_NOTHING = -1, TERM_END = -2, TERM_REDRAW = -3 };
int term_read(struct term *t);
void term_size(size_t *rows, size_t *columns);

#endif
