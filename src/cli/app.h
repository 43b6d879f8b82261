/*
 * Celery applications that the command line names: they are asked once (probe.h), and what they have set becomes settings and task rules
 * where neither flags nor file nor environment say otherwise. Queues and routes are looked up by setup.c and pools.c.
 */
#ifndef WARREN_CLI_APP_H
#define WARREN_CLI_APP_H

#include "cli/setup.h"
#include "wire/app.h"

/* One that was asked. */
struct cli_app {
	const char *module; /* as -A has it */
	const char *pool;
	struct app app; /* of kind APP_CELERY; its texts live in cli->arena */
	/* What it has set and what has no effect, as far as app.notes does not say it. */
	struct app_note *notes;
	size_t n_notes;
};

/*
 * Asks the applications of all pools that setup_pools would make of the same arguments; cli->apps has them afterwards. A module that is no
 * Celery application has nothing to say and is not among them. E_CONF when one cannot be asked, or wants what is not supported.
 */
enum err app_ask(struct cli *cli, const struct runner_flags *r, const struct opt_list *queues,
	const struct opt_list *chosen, const char *node, struct errtext *t) MUSTCHECK;
/* For a further reading of the settings: what the applications of `first` said then. None is asked again. */
enum err app_apply_again(struct cli *cli, const struct cli *first, struct errtext *t) MUSTCHECK;
/* Runs fn for each thing an application has set that has no effect here. */
void app_each_note(
	const struct cli *cli, void (*fn)(const char *module, const char *setting, const char *note));

/* The application of a pool; NULL when it has none. */
const struct app *app_of_pool(const struct cli *cli, const char *pool);
/* A queue of any application; NULL when none speaks of it. */
const struct app_queue *app_find_queue(const struct cli *cli, const char *name);

/* app_settings.c: puts them into cli->conf. */
enum err app_apply(struct cli *cli, struct cli_app *a, struct errtext *t) MUSTCHECK;
/* The tasks: section, once all applications are known: entries of the file over what the applications say of their tasks. */
enum err app_merge_tasks(struct cli *cli, struct errtext *t) MUSTCHECK;

#endif
