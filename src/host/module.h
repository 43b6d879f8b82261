/*
 * Task modules: shared libraries with a table of tasks (include/warren/task.h), loaded once and kept until
 * the process ends.
 */
#ifndef WARREN_HOST_MODULE_H
#define WARREN_HOST_MODULE_H

#include "base/err.h"
#include "warren/task.h"

struct module {
	const char *path; /* as given */
	const struct warren_module *table;
};

struct module_task {
	const struct warren_task_entry *entry;
	const struct module *module;
};

struct modules {
	struct module *list;
	size_t n;
	struct module_task *tasks; /* sorted by name */
	size_t task_count;
};

/*
 * Loads and checks all of them and merges their tasks; paths are borrowed. The text names the file, the cause
 * and the way out.
 */
enum err modules_load(struct modules *m, char *const *paths, size_t n, struct errtext *t) MUSTCHECK;
/* Calls each module's start. */
enum err modules_start(const struct modules *m, struct errtext *t) MUSTCHECK;
/* Calls each module's stop, the last one first. */
void modules_stop(const struct modules *m);
/* Frees the lists; the libraries stay loaded, since threads of theirs may still run. */
void modules_release(struct modules *m);
/* NULL when there is no task of that name. */
const struct warren_task_entry *modules_find(const struct modules *m, struct span name);

#endif
