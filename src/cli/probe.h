/* Asks a program that runs tasks what it has, before the worker connects: the runner is started once with --describe. */
#ifndef WARREN_CLI_PROBE_H
#define WARREN_CLI_PROBE_H

#include "worker/worker.h"

/*
 * The line it answers with, which holds passwords: wipe it. It runs with the directory, environment and limits of the pool's children; `node`
 * is the worker's name, `queues` (NULL-ended, may be NULL) those that the pool will consume from. E_CONF with its last words when it does
 * not answer within the pool's start_ms.
 */
enum err probe_run(struct buf *line, const struct pool_conf *pool, const char *const *queues,
	const char *node, struct errtext *t) MUSTCHECK;

#endif
