/* What a child process is started with: argument vector and environment. */
#ifndef WARREN_WORKER_CHILDENV_H
#define WARREN_WORKER_CHILDENV_H

#include "worker/worker.h"

/* A copy of the runner's argv in which a leading "warren" is the path of this very program. */
enum err childenv_argv(char ***out, const char *const *runner, struct errtext *t) MUSTCHECK;
/*
 * The environment of a pool's children: from ours what is on the allow-list or matches pass_env (with pass_all everything but
 * WARREN_* and what the service manager tells us), then the pool's own env. Variables that hold broker and backend URLs or look like secrets of ours (WARREN_*, CELERY_BROKER_URL, ...) never pass by pattern, only by
 * their very name in pass_env: a Celery application reads CELERY_BROKER_URL itself. WARREN_POOL and WARREN_NODE are set.
 */
enum err childenv_new(
	char ***out, const struct pool_conf *conf, const char *node, struct errtext *t) MUSTCHECK;
/* Puts "WARREN_CHILD=..." into the environment's first place, which childenv_new keeps for it. Copies the text. */
void childenv_set_mark(char **envp, const char *mark);
void childenv_free(char **list);

#endif
