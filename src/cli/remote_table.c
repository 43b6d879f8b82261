/* The commands to workers, all of them; Celery's names and the order of arguments of its command line. */
#include "cli/remote.h"

#include "base/text.h"
#include "cli/out.h"

/* clang-format off */
#define ARG(key_, shown_, kind_) { .key = (key_), .shown = (shown_), .kind = REMOTE_##kind_ }
#define MAYBE(key_, shown_, kind_) { .key = (key_), .shown = (shown_), .kind = REMOTE_##kind_, .optional = true }
#define COL(title_, path_) { .title = (title_), .path = (path_) }
#define CELL(title_, path_, cell_) { .title = (title_), .path = (path_), .cell = REMOTE_##cell_ }
#define ASK(name_, help_, ...) { .name = (name_), .help = (help_), __VA_ARGS__ }
#define TELL(name_, help_, ...) { .name = (name_), .help = (help_), .changes = true, .columns = { COL("ANSWER", "ok") }, __VA_ARGS__ }
/* clang-format on */
#define ARGS(...) .args = { __VA_ARGS__ }
#define ITEMS(...) .rows = REMOTE_ITEMS, .columns = { __VA_ARGS__ }
#define MEMBERS(...) .rows = REMOTE_MEMBERS, .columns = { __VA_ARGS__ }
#define SELF(...) .columns = { __VA_ARGS__ }

const struct remote_cmd remote_cmds[] = {
	ASK("ping", "is it there?", SELF(COL("ANSWER", "ok"))),
	ASK("active", "tasks that run now",
		ITEMS(COL("ID", "id"), COL("TASK", "name"), COL("ARGS", "args"), COL("KWARGS", "kwargs"),
			CELL("RUNNING", "time_start", AGO))),
	ASK("reserved", "tasks that were delivered and have not begun",
		ITEMS(COL("ID", "id"), COL("TASK", "name"), COL("ARGS", "args"), COL("KWARGS", "kwargs"))),
	ASK("scheduled", "tasks that wait in the worker for their time",
		ITEMS(COL("ID", "request.id"), COL("TASK", "request.name"), COL("ARGS", "request.args"),
			COL("ETA", "eta"))),
	ASK("revoked", "ids of revoked tasks", ITEMS(COL("ID", ""))),
	ASK("registered", "names of the tasks it can run; with attributes, such as rate_limit",
		ARGS(MAYBE("taskinfoitems", "ATTRIBUTE", TEXTS)), ITEMS(COL("TASK", ""))),
	ASK("stats", "uptime, slots, runs, memory; more with --json",
		SELF(COL("PID", "pid"), CELL("UPTIME", "uptime", LASTING),
			COL("SLOTS", "pool.max-concurrency"), COL("PREFETCH", "prefetch_count"),
			CELL("RUNS", "total", SUM), CELL("MEMORY", "rusage.maxrss", KIB))),
	ASK("active_queues", "queues it takes tasks from",
		ITEMS(COL("QUEUE", "name"), COL("EXCHANGE", "exchange.name"), COL("TYPE", "exchange.type"),
			COL("KEY", "routing_key"))),
	ASK("conf", "settings that were changed; with the word all: all",
		ARGS(MAYBE("with_defaults", "all", FLAG)), MEMBERS(COL("SETTING", "@"), COL("VALUE", ""))),
	ASK("report", "versions and settings, for a bug report", .rows = REMOTE_BLOCK),
	ASK("query_task", "what it holds of these tasks", ARGS(ARG("ids", "ID", TEXTS)),
		MEMBERS(COL("ID", "@"), COL("STATE", "0"), COL("TASK", "1.name"), COL("ARGS", "1.args"),
			CELL("RUNNING", "1.time_start", AGO))),
	ASK("clock", "its logical clock", SELF(COL("CLOCK", "clock"))),
	ASK("memsample", "its resident memory", SELF(COL("MEMORY", ""))),
	ASK("memdump", "memory of the worker and each of its children", .rows = REMOTE_BLOCK),

	TELL("revoke", "these tasks shall not run", ARGS(ARG("task_id", "ID", TEXTS)), .revokes = true),
	TELL("terminate", "the same, and what runs is ended with this signal",
		ARGS(ARG("signal", "SIGNAL", SIGNAL), ARG("task_id", "ID", TEXTS))),
	TELL("revoke_by_stamped_headers", "tasks that carry one of these stamps shall not run",
		ARGS(ARG("headers", "NAME=VALUE", PAIRS)), .revokes = true),
	TELL("rate_limit", "runs of this task: 10/m, 5/s, 1/h; 0 = no limit",
		ARGS(ARG("task_name", "TASK", TEXT), ARG("rate_limit", "RATE", TEXT))),
	TELL("time_limit", "time limits of this task; 0 = none",
		ARGS(ARG("task_name", "TASK", TEXT), ARG("soft", "SOFT", SECONDS),
			MAYBE("hard", "HARD", SECONDS))),
	TELL("add_consumer", "take tasks from this queue too",
		ARGS(ARG("queue", "QUEUE", TEXT), MAYBE("exchange", "EXCHANGE", TEXT),
			MAYBE("exchange_type", "TYPE", TEXT), MAYBE("routing_key", "KEY", TEXT)),
		.of_pool = true),
	TELL("cancel_consumer", "take no more tasks from this queue", ARGS(ARG("queue", "QUEUE", TEXT)),
		.of_pool = true),
	TELL("pool_grow", "so many slots more [1]", ARGS(MAYBE("n", "N", COUNT)), .of_pool = true),
	TELL("pool_shrink", "so many slots less [1]", ARGS(MAYBE("n", "N", COUNT)), .of_pool = true),
	TELL("pool_restart", "new children, each after its task", ARGS(MAYBE("modules", "MODULE", TEXTS)),
		.of_pool = true),
	TELL("autoscale", "bounds of the number of slots",
		ARGS(ARG("max", "MAX", COUNT), MAYBE("min", "MIN", COUNT)), .of_pool = true),
	TELL("enable_events", "tell monitors of every task"),
	TELL("disable_events", "no longer"),
	TELL("heartbeat", "a sign of life now"),
	TELL("shutdown", "finish what runs, then end; asks first", .ends = true),
};
const size_t n_remote_cmds = ARRAY_LEN(remote_cmds);

const struct remote_cmd *
remote_find(const char *of, const char *name, bool changes)
{
	struct nearest near;
	struct buf b;
	size_t i;

	nearest_init(&near, span_of(name));
	for (i = 0; i < n_remote_cmds; i++) {
		const struct remote_cmd *cmd = &remote_cmds[i];

		if (strcmp(cmd->name, name) == 0 && cmd->changes == changes)
			return cmd;
		if (strcmp(cmd->name, name) == 0) {
			out_error("%s: '%s' is a command of warren %s", of, name,
				changes ? "inspect" : "control");
			return NULL;
		}
		if (cmd->changes == changes)
			nearest_try(&near, cmd->name);
	}
	buf_init(&b, 0);
	nearest_add(&b, &near);
	out_error("%s: there is no command '%s'%s (see warren %s --help)", of, name, buf_text(&b), of);
	buf_release(&b);
	return NULL;
}

static void
add_usage(struct buf *b, const struct remote_cmd *cmd)
{
	const struct remote_arg *a;

	buf_adds(b, cmd->name);
	for (a = cmd->args; a->shown != NULL; a++)
		buf_addf(b, a->optional ? " [%s%s]" : " %s%s", a->shown,
			a->kind == REMOTE_TEXTS || a->kind == REMOTE_PAIRS ? "..." : "");
}

void
remote_add_help(struct buf *b, bool changes)
{
	size_t i;

	buf_adds(b, "commands:\n");
	for (i = 0; i < n_remote_cmds; i++) {
		struct buf head;

		if (remote_cmds[i].changes != changes)
			continue;
		buf_init(&head, 0);
		add_usage(&head, &remote_cmds[i]);
		buf_addf(b, head.len < 28 ? "  %-28s%s\n" : "  %s\n                              %s\n",
			buf_text(&head), remote_cmds[i].help);
		buf_release(&head);
	}
}

/* --- arguments --------------------------------------------------------------------------------------------------------- */

static int
usage(const struct remote_cmd *cmd)
{
	struct buf b;

	buf_init(&b, 0);
	add_usage(&b, cmd);
	out_error("%s: usage: warren %s %s", cmd->name, cmd->changes ? "control" : "inspect", buf_text(&b));
	buf_release(&b);
	return EXIT_USAGE;
}

static int
bad(const struct remote_cmd *cmd, const struct remote_arg *a, const char *word, const char *wanted)
{
	out_error("%s: %s: '%s' is not %s", cmd->name, a->shown, word, wanted);
	return EXIT_USAGE;
}

/* Celery looks the name up as it is written: capitals. */
static int
add_signal(struct js *w, const char *word)
{
	char name[32];
	int64_t number;
	size_t i;

	if (text_parse_int(span_of(word), &number) && number > 0 && number < 65) {
		js_int(w, number);
		return 0;
	}
	for (i = 0; word[i] != '\0' && i + 1 < sizeof(name); i++) {
		name[i] = word[i] >= 'a' && word[i] <= 'z' ? (char)(word[i] - 'a' + 'A') : word[i];
		if ((name[i] < 'A' || name[i] > 'Z') && (name[i] < '0' || name[i] > '9'))
			return EXIT_USAGE;
	}
	name[i] = '\0';
	if (i == 0 || word[i] != '\0')
		return EXIT_USAGE;
	js_text(w, name);
	return 0;
}

/* All values of a name become one list, where the name comes first. */
static int
add_pairs(struct js *w, const char *const *words, size_t n)
{
	size_t i, k;

	js_object(w);
	for (i = 0; i < n; i++) {
		const char *equals = strchr(words[i], '=');
		struct span name = { words[i], equals != NULL ? (size_t)(equals - words[i]) : 0 };
		bool seen = false;

		if (name.len == 0)
			return EXIT_USAGE;
		for (k = 0; k < i; k++)
			seen |= strncmp(words[k], words[i], name.len + 1) == 0;
		if (seen)
			continue;
		js_key_span(w, name);
		js_array(w);
		for (k = i; k < n; k++)
			if (strncmp(words[k], words[i], name.len + 1) == 0)
				js_text(w, words[k] + name.len + 1);
		js_array_end(w);
	}
	js_object_end(w);
	return 0;
}

/* One argument out of the words that are left; *used says how many it took. */
static int
add_arg(struct js *w, const struct remote_cmd *cmd, const struct remote_arg *a, const char *const *words,
	size_t n, size_t *used)
{
	int64_t number;
	ms_t time;
	size_t i;

	*used = 1;
	js_key(w, a->key);
	switch (a->kind) {
	case REMOTE_TEXT:
		js_text(w, words[0]);
		return 0;
	case REMOTE_COUNT:
		if (!text_parse_int(span_of(words[0]), &number) || number < 1)
			return bad(cmd, a, words[0], "a number of 1 or more");
		js_int(w, number);
		return 0;
	case REMOTE_SECONDS:
		if (!text_parse_duration(span_of(words[0]), &time))
			return bad(cmd, a, words[0], "a time, such as 30 or 5min");
		js_double(w, (double)time / 1000);
		return 0;
	case REMOTE_SIGNAL:
		return add_signal(w, words[0]) == 0 ? 0 : bad(cmd, a, words[0], "a signal, such as KILL or 9");
	case REMOTE_FLAG:
		js_bool(w, true);
		return strcmp(words[0], a->shown) == 0 ? 0 : usage(cmd);
	case REMOTE_TEXTS:
		*used = n;
		js_array(w);
		for (i = 0; i < n; i++)
			js_text(w, words[i]);
		js_array_end(w);
		return 0;
	case REMOTE_PAIRS:
		*used = n;
		return add_pairs(w, words, n) == 0 ? 0 : usage(cmd);
	}
	return EXIT_USAGE;
}

static int
add_revoke_flags(struct js *w, const struct remote_cmd *cmd, const struct remote_flags *f)
{
	bool has_signal = f->signal != NULL && *f->signal != '\0';

	if (!cmd->revokes) {
		if (!f->terminate && !f->wait && !has_signal)
			return 0;
		out_error("%s: --terminate, --signal and --wait belong to revoke", cmd->name);
		return EXIT_USAGE;
	}
	js_key(w, "terminate");
	js_bool(w, f->terminate);
	if (!has_signal)
		return 0;
	js_key(w, "signal");
	if (add_signal(w, f->signal) == 0)
		return 0;
	out_error("%s: --signal: '%s' is not a signal, such as KILL or 9", cmd->name, f->signal);
	return EXIT_USAGE;
}

static int
add_pool_flag(struct js *w, const struct remote_cmd *cmd, const struct remote_flags *f)
{
	if (f->pool == NULL || *f->pool == '\0')
		return 0;
	if (!cmd->of_pool) {
		out_error("%s: --pool belongs to commands for pools and their queues", cmd->name);
		return EXIT_USAGE;
	}
	js_key(w, "pool");
	js_text(w, f->pool);
	return 0;
}

int
remote_add_args(struct buf *b, const struct remote_cmd *cmd, const char *const *words, size_t n,
	const struct remote_flags *f)
{
	const struct remote_arg *a;
	size_t at = 0, used;
	struct js w;
	int code = 0;

	js_init(&w, b);
	js_object(&w);
	for (a = cmd->args; code == 0 && a->shown != NULL && at < n; a++) {
		code = add_arg(&w, cmd, a, words + at, n - at, &used);
		at += used;
	}
	if (code == 0 && (at < n || (a->shown != NULL && !a->optional)))
		code = usage(cmd);
	if (code == 0)
		code = add_revoke_flags(&w, cmd, f);
	if (code == 0)
		code = add_pool_flag(&w, cmd, f);
	js_object_end(&w);
	return code;
}
