/* The rows of tbl/options.def as data. */
#include "conf/conf.h"

const struct opt_row conf_rows[CONF_OPTIONS] = {
/* clang-format off */
#define OPT(rtype, field, rshort, rdef, rmin, rmax, rchoices, rflags, rgroup, renv, rhelp) \
	[CONF_OPT_##field] = { \
		.name = #field, .type = OPT_T_##rtype, .short_flag = (rshort), .offset = offsetof(struct options, field), \
		.def = (rdef), .min = (rmin), .max = (rmax), .choices = (rchoices), .flags = (rflags), \
		.group = CONF_BIT(CONF_##rgroup), .env = (renv), .help = (rhelp), \
	},
/* clang-format on */
#include "tbl/options.def"
};

/* clang-format off */
#define ITEM_ROW(st, rtype, field, rdef, rmin, rmax, rchoices, rhelp) \
	{ \
		.name = #field, .type = (rtype), .offset = offsetof(struct st, field), .def = (rdef), .min = (rmin), \
		.max = (rmax), .choices = (rchoices), .help = (rhelp), \
	},
/* clang-format on */

static const struct opt_row pool_rows[] = {
#define POOL_OPT(rtype, ...) ITEM_ROW(conf_pool, OPT_T_##rtype, __VA_ARGS__)
#include "tbl/options.def"
};
static const struct opt_row queue_rows[] = {
#define QUEUE_OPT(rtype, ...) ITEM_ROW(conf_queue, OPT_T_##rtype, __VA_ARGS__)
#include "tbl/options.def"
};
static const struct opt_row route_rows[] = {
#define ROUTE_OPT(rtype, ...) ITEM_ROW(conf_route, OPT_T_##rtype, __VA_ARGS__)
#include "tbl/options.def"
};
static const struct opt_row task_rows[] = {
#define TASK_OPT(rtype, ...) ITEM_ROW(conf_task, OPT_T_##rtype, __VA_ARGS__)
#include "tbl/options.def"
};

static const struct opt_row schedule_rows[] = {
#define SCHEDULE_OPT(rtype, ...) ITEM_ROW(conf_schedule, OPT_T_##rtype, __VA_ARGS__)
#include "tbl/options.def"
};

/* clang-format off */
#define SECTION(sname, swhat, st, srows, sshorthand, shelp, sexample) \
	{ \
		.name = #sname, .what = (swhat), .help = (shelp), .rows = (srows), .n_rows = ARRAY_LEN(srows), \
		.item_size = sizeof(struct st), .items_offset = offsetof(struct conf, sname), \
		.count_offset = offsetof(struct conf, n_##sname), .shorthand = (sshorthand), .example = (sexample), \
	}
/* clang-format on */

const struct conf_section conf_sections[CONF_SECTIONS] = {
	SECTION(pools, "pool", conf_pool, pool_rows, NULL,
		"groups of slots, each with its own queues and its own program that runs the tasks",
		"#pools:\n"
		"#  cpu:      { queues: [celery, processing], concurrency: 4, module: ./libtasks.so }\n"
		"#  scraping: { queues: [scraping], concurrency: 20, app: scraper.tasks, env: { HTTPS_PROXY: \"http://proxy:3128\" } }\n"
		"#  other:    { queues: [other], runner: [./my-runner, --verbose], memory_limit: 2G }\n"),
	SECTION(queues, "queue", conf_queue, queue_rows, NULL,
		"queues that are not plain ones (durable, with a direct exchange of the same name); a queue that exists is used as it is",
		"#queues:\n"
		"#  orders: { type: quorum }\n"
		"#  urgent: { max_priority: 10 }\n"
		"#  audit:  { exchange: events, exchange_type: topic, routing_key: \"order.#\" }\n"),
	SECTION(routes, "route", conf_route, route_rows, "queue",
		"where tasks go, by name: a pattern with * and ?, or a regular expression between slashes; the first that fits decides",
		"#routes:\n"
		"#  \"scrape.*\":          scraping\n"
		"#  \"/^doc(ument)?s\\\\./\": { queue: processing, priority: 5 }\n"
		"#  \"audit.*\":           { exchange: events, routing_key: order.audit }\n"),
	SECTION(tasks, "task", conf_task, task_rows, NULL,
		"limits and retries of tasks, by name or pattern; the first that fits decides. Workers go by it, and senders",
		"#tasks:\n"
		"#  \"documents.process\": { time_limit: 5min, soft_time_limit: 4min30s, autoretry_for: [OSError], retry_backoff: true }\n"),
	SECTION(schedule, "schedule entry", conf_schedule, schedule_rows, NULL,
		"tasks that `warren beat` sends when they are due. Any number of schedulers may run: one sends, the others take over when it is gone",
		"#schedule:\n"
		"#  heartbeat:      { task: monitor.ping, every: 30s }\n"
		"#  nightly-report: { task: reports.daily, cron: \"0 2 * * *\", timezone: Europe/Berlin, args: [pdf], missed: once }\n"
		"#  new-year:       { task: greet, at: \"2027-01-01T00:00\", timezone: Pacific/Auckland, kwargs: { year: 2027 } }\n"),
};
