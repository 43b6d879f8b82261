/* warren dead: looks at the dead letters, and sends them again or throws them away. The verbs are in dead_print.c, dead_replay.c and dead_purge.c. */
#include "cli/dead.h"

#include "cli/out.h"

static const struct opt_row rows[] = {
	FLAG(dead_flags, queues, list, .short_flag = 'Q', .min = 1,
		.help = "letters that came from these queues [those of the configuration]"),
	FLAG(dead_flags, task, text, .def = "", .arg = "PATTERN",
		.help = "only of tasks with this name; * and ? match"),
	FLAG(dead_flags, reason, text, .def = "", .arg = "PATTERN",
		.help = "only with this reason: lost, rejected, unknown-task, malformed..."),
	FLAG(dead_flags, error, text, .def = "", .arg = "TEXT",
		.help = "only when the error has this text in it"),
	FLAG(dead_flags, since, text, .def = "", .arg = "TIME",
		.help = "only those that died since: 2h (ago), or an ISO time"),
	FLAG(dead_flags, until, text, .def = "", .arg = "TIME", .help = "only those that died before"),
	FLAG(dead_flags, limit, int, .def = "0", .help = "at most so many"),
	FLAG(dead_flags, all, bool, .help = "replay, purge: all letters of the queues"),
	FLAG(dead_flags, dry_run, bool, .help = "replay, purge: only say what would be done"),
	FLAG(dead_flags, yes, bool, .short_flag = 'y', .help = "replay, purge: do not ask"),
	FLAG(dead_flags, queue, text, .short_flag = 'q', .def = "", .max = 255, .arg = "QUEUE",
		.help = "replay: to this queue, instead of where each came from"),
	FLAG(dead_flags, edit_args, text, .def = "", .arg = "JSON",
		.help = "replay: with these positional arguments"),
	FLAG(dead_flags, edit_kwargs, text, .def = "", .arg = "JSON",
		.help = "replay: with these keyword arguments"),
	FLAG(dead_flags, keep_expires, bool,
		.help = "replay: keep an expiry that has passed; the worker will revoke the task"),
	FLAG(dead_flags, keep_results, bool,
		.help = "replay: leave the stored result of the failed run in place, and do not look at it"),
	FLAG(dead_flags, force, bool, .help = "replay: also tasks that have succeeded meanwhile"),
};

static const struct verb {
	const char *name;
	int (*run)(struct dead_look *l);
	bool moves;   /* takes letters out: --all, --dry-run, --yes */
	bool replays; /* the flags of replay */
	bool needs_id;
} verbs[] = {
	{ "list", dead_list, false, false, false },
	{ "show", dead_show, false, false, true },
	{ "export", dead_export, false, false, false },
	{ "replay", dead_replay, true, true, false },
	{ "purge", dead_purge, true, false, false },
};

static const struct verb *
find_verb(const char *name)
{
	struct nearest near;
	struct buf b;
	size_t i;

	nearest_init(&near, span_of(name));
	for (i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
		nearest_try(&near, verbs[i].name);
	}
	buf_init(&b, 0);
	nearest_add(&b, &near);
	out_error("dead: there is no '%s'%s (list, show, export, replay, purge)", name, buf_text(&b));
	buf_release(&b);
	return NULL;
}

/* A flag that would do nothing is a mistake of the caller's, and perhaps a costly one. */
static int
check_flags(const struct verb *v, const struct dead_flags *f, size_t n_words)
{
	const char *stray = NULL;

	if (!v->moves && (f->all || f->dry_run || f->yes))
		stray = f->all ? "--all" : f->dry_run ? "--dry-run" : "--yes";
	if (!v->replays &&
		(*f->edit_args != '\0' || *f->edit_kwargs != '\0' || *f->queue != '\0' || f->keep_expires ||
			f->keep_results || f->force))
		stray = *f->edit_args != '\0'     ? "--edit-args"
			: *f->edit_kwargs != '\0' ? "--edit-kwargs"
			: *f->queue != '\0'       ? "--queue (did you mean -Q?)"
			: f->keep_expires         ? "--keep-expires"
			: f->keep_results         ? "--keep-results"
						  : "--force";
	if (stray != NULL)
		out_error("dead %s: does not take %s", v->name, stray);
	else if (v->needs_id && n_words == 0)
		out_error("dead %s: name an ID (see warren dead list)", v->name);
	else if (f->all && n_words > 0)
		out_error("dead %s: --all and IDs are both given: choose one", v->name);
	else
		return 0;
	return EXIT_USAGE;
}

static int
dead_run(struct cli *cli)
{
	const struct dead_flags *f = cli->flags;
	const char *const *words = cli->args + 1, *const * queues;
	size_t n_words = cli->n_args - 1;
	const struct verb *v = find_verb(cli->args[0]);
	struct dead_look look = { .n_sources = 0 };
	bool words_are_queues;
	int code;

	if (v == NULL)
		return EXIT_USAGE;
	code = check_flags(v, f, n_words);
	if (code != 0)
		return code;
	/* Whoever lists knows no ids yet. */
	words_are_queues = v->run == dead_list && n_words > 0;
	if (words_are_queues && f->queues.n > 0) {
		out_error("dead list: -Q and QUEUE are both given: choose one");
		return EXIT_USAGE;
	}
	queues = words_are_queues ? words : f->queues.n > 0 ? f->queues.items : setup_known_queues(cli);
	code = dead_look_open(
		&look, cli, queues, words_are_queues ? NULL : words, words_are_queues ? 0 : n_words);
	if (code == 0)
		code = v->run(&look);
	dead_look_close(&look);
	return code;
}

const struct cmd cmd_dead = {
	.name = "dead",
	.args = "list [QUEUE...] | show ID... | export [ID...] | replay ID... | purge ID...",
	.summary = "dead letters: look at them, send them again, throw them away",
	.details = "Tasks that cannot be run are put aside with the reason: in queue warren.dead.X those "
		   "that came from queue X. The broker cannot list "
		   "its queues, so these are looked at: the ones named by -Q, else the default queue and all "
		   "that the configuration names. Looking takes "
		   "nothing away; while it lasts nobody else sees the letters. replay and purge want IDs, "
		   "filters or --all, and ask before they work "
		   "through filters. A replayed task keeps its id and begins anew: retries and lost runs at "
		   "0, without an expiry that has passed; the "
		   "stored failure is removed, a task that has succeeded meanwhile is left alone. Its letter "
		   "is taken away once the broker has confirmed "
		   "the copy: whatever interrupts a replay, no task is lost, at most the last ones are there "
		   "twice.",
	.examples = "  warren dead list\n"
		    "  warren dead list scraping --since 2h --json\n"
		    "  warren dead show 8c9a7c1e\n"
		    "  warren dead replay 8c9a7c1e-93e1-4e0c-b8e3-0bd2e7ad6a0f --edit-args '[2, 3]'\n"
		    "  warren dead replay --task 'scrape.*' --reason lost --dry-run\n"
		    "  warren dead export -Q scraping > letters.ndjson\n"
		    "  warren dead purge --until 30d --yes\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct dead_flags),
	.groups = CONF_BIT(CONF_BROKER) | CONF_BIT(CONF_RESULT) | CONF_BIT(CONF_TLS),
	.args_min = 1,
	.args_max = SIZE_MAX,
	.run = dead_run,
};
