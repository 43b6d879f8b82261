/* From settings to the small structs that the parts below take. Everything made here lives in cli->arena or until release. */
#ifndef WARREN_CLI_SETUP_H
#define WARREN_CLI_SETUP_H

#include "beat/entry.h"
#include "cli/cmd.h"
#include "client/client.h"
#include "core/route.h"
#include "worker/worker.h"

/* Broker and backend of the settings; borrows from cli. */
void setup_broker(struct cli *cli, struct bus_conf *out);
void setup_backend(struct cli *cli, struct backend_conf *out);
/* Whether the broker may forget a message: as the task (NULL = nothing is said of it) has it, its route (0 = nothing), the settings. */
bool setup_is_transient(const struct cli *cli, const struct conf_task *task, int of_route);
/* 1 transient, 2 persistent, 0 any other word. */
int setup_delivery_mode(const char *word);
/* The routes of the settings. */
enum err setup_routes(struct cli *cli, struct routes **out, struct errtext *t) MUSTCHECK;
/* Limits and retries, for a worker. */
enum err setup_rules(struct cli *cli, struct task_rules *out, struct errtext *t) MUSTCHECK;
/* How a queue is declared: its entry under queues:, as an application says, or a plain one. `name` must live as long as the result. */
struct bus_topo_queue setup_queue(struct cli *cli, const char *name);
/* The exchange and key by which a message gets there. */
void setup_road(const struct bus_topo_queue *q, struct span *exchange, struct span *key);
/* The log of a daemon, on stderr. `process` is the word in its lines. */
void setup_log(const struct options *o, const char *process, bool json);
/* "w1@host" out of a pattern with %h; in the arena. */
enum err setup_node(struct cli *cli, const char *pattern, const char **out, struct errtext *t) MUSTCHECK;
/* What remote control and reports show of the settings: one JSON object, secrets hidden; those that were changed, or all. In the arena; NULL
 * when out of memory. */
const char *setup_settings(struct cli *cli, bool all);
/* Errors are printed; 0 or the exit code. */
int setup_client(struct cli *cli, bool with_broker, struct client **out);
/* Every queue the settings speak of, each once. NULL-ended, in the arena. */
const char *const *setup_known_queues(struct cli *cli);
/* What the command line names, else the above. */
const char *const *setup_queue_names(struct cli *cli);

/* Where tasks run: -A, --module, --runner, or the pools of the settings. */
struct runner_flags {
	const char *app;
	struct opt_list module, runner, pass_env;
};
#define RUNNER_FLAGS(st, member) \
	{ .name = "app", \
		.type = OPT_T_text, \
		.short_flag = 'A', \
		.offset = offsetof(struct st, member) + offsetof(struct runner_flags, app), \
		.def = "", \
		.arg = "MODULE", \
		.help = "Python module with the tasks (runs python3 -m warren_runner -A MODULE)" }, \
		{ .name = "module", \
			.type = OPT_T_list, \
			.offset = offsetof(struct st, member) + offsetof(struct runner_flags, module), \
			.flags = OPT_REPEAT, \
			.arg = "LIB.so", \
			.help = "shared library with tasks in C; may be given several times" }, \
		{ .name = "runner", \
			.type = OPT_T_words, \
			.offset = offsetof(struct st, member) + offsetof(struct runner_flags, runner), \
			.arg = "COMMAND", \
			.help = "any other command that speaks the runner protocol" }, \
	{ \
		.name = "pass_env", .type = OPT_T_list, \
		.offset = offsetof(struct st, member) + offsetof(struct runner_flags, pass_env), \
		.arg = "NAME,...", \
		.help = "variables of this environment that tasks get; patterns such as 'AWS_*' [with -A: all but WARREN_*]" \
	}

/* Celery's --autoscale MAX,MIN; "" leaves *out as it is. */
enum err setup_autoscale(const char *text, struct scale_conf *out, struct errtext *t) MUSTCHECK;
bool setup_has_runner(const struct runner_flags *r);
/*
 * The pools to run: one named "default" made from the flags, or those of the settings (all, or the `chosen` ones). Queues empty = those of
 * the pool, else the default queue. E_CONF when there is nothing to run or a pool is wrong.
 */
enum err setup_pools(struct cli *cli, const struct runner_flags *r, const struct opt_list *queues,
	const struct opt_list *chosen, struct pool_conf **out, size_t *n, struct errtext *t) MUSTCHECK;

#endif
