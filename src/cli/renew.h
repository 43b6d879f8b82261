/*
 * A scheduler that is told to read its settings again (SIGHUP) begins anew, as the same process. Before it ends for that, its whole command line is
 * tried by another process, which reads the settings, asks the application and checks every entry, and does nothing else (--check). What was sent
 * and who was settled up to when travels as over any restart, so nothing is sent twice.
 */
#ifndef WARREN_CLI_RENEW_H
#define WARREN_CLI_RENEW_H

#include "beat/beat.h"

struct renew {
	char **argv; /* as it was given: passwords are wiped from the one of main */
	size_t argc;
	struct beat_renewal renewal;
	struct renew_check *check; /* under way */
};

/* argv ends with NULL. */
void renew_init(struct renew *r, char *const *argv);
void renew_release(struct renew *r);
/* Returns only when it cannot. */
enum err renew_exec(const struct renew *r, struct errtext *t) MUSTCHECK;

#endif
