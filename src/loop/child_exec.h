/* The half of a child's start that happens in the child, and finding the program. Inside loop/ only. */
#ifndef WARREN_LOOP_CHILD_EXEC_H
#define WARREN_LOOP_CHILD_EXEC_H

#include <signal.h>

#include "loop/child.h"

/* What did not work. */
enum child_step { CHILD_STEP_FDS, CHILD_STEP_CWD, CHILD_STEP_LIMITS, CHILD_STEP_PARENT, CHILD_STEP_EXEC };

/* Through the status pipe, only when it did not work. */
struct child_trouble {
	enum child_step step;
	int sys_errno;
};

/* All made before the fork: afterwards nothing may be allocated. Every descriptor is above 3. */
struct child_plan {
	const struct child_conf *conf;
	const char *program;
	int null_fd, out_fd, err_fd, channel_fd; /* channel_fd -1 = none */
	int status_fd;
	int parent_pid;
};

/* Never returns. All signals are blocked. */
void child_exec(const struct child_plan *plan) __attribute__((noreturn));

/* The path of conf->argv[0]; the caller frees it. E_MISSING names where was looked. */
enum err child_find(char **out, const struct child_conf *conf, struct errtext *t) MUSTCHECK;

#endif
