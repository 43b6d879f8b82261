/* warren beat: fills the scheduler's settings from the configuration, shows the schedule, and hands over. */
#include "cli/cmd.h"
#include "cli/out.h"
#include "cli/setup.h"
#include "cli/when.h"

#include "base/clock.h"
#include "base/log.h"
#include "beat/beat.h"

#include <unistd.h>

/* A table that nobody can read to the end helps nobody: warren schedule list has them all. */
#define SHOWN_MAX 40

struct beat_flags {
	bool json_logs, quiet;
};

static const struct opt_row rows[] = {
	FLAG(beat_flags, json_logs, bool, .help = "the same as --log-format json"),
	FLAG(beat_flags, quiet, bool, .short_flag = 'q', .help = "no table of entries at the start"),
};

static int
beat_main(struct cli *cli)
{
	const struct beat_flags *f = cli->flags;
	const struct options *o = &cli->conf.o;
	struct beat_conf b = { .group = o->beat_group, .state_path = *o->beat_state ? o->beat_state : NULL, .grace_ms = o->beat_grace };
	struct errtext why = { "" };
	char host[256] = "localhost", origin[300];
	struct entry_conf *entries;
	enum err e;
	int code;

	e = setup_schedule(cli, &entries, &b.n_entries, &why);
	if (e == E_OK)
		e = setup_node(cli, o->beat_name, &b.node, &why) == E_OK ? E_OK : err_prefix(&why, E_CONF, "beat_name");
	if (e == E_OK && b.n_entries == 0)
		e = err_set(&why, E_CONF, "there is nothing to send: %s has no entries under schedule:",
			cli->conf.file ? cli->conf.file : "the configuration");
	if (e != E_OK) {
		out_error("beat: %s", why.text);
		return exit_of(e);
	}
	gethostname(host, sizeof(host) - 1);
	snprintf(origin, sizeof(origin), "gen%d@%s", (int)getpid(), host);
	b.origin = origin;
	b.entries = entries;
	setup_broker(cli, &b.broker);
	setup_backend(cli, &b.backend);
	setup_log(o, "beat", f->json_logs);
	if (!f->quiet) {
		when_print_table(entries, b.n_entries, SHOWN_MAX, clock_wall_us());
		(void)!out_finish(); /* a closed stdout is no reason to stop working */
	}
	code = beat_run(&b, &why);
	if (why.text[0] != '\0')
		out_error("beat: %s", why.text);
	return code;
}

const struct cmd cmd_beat = {
	.name = "beat",
	.args = "",
	.summary = "send tasks when they are due",
	.details = "The entries stand under schedule: in the configuration. Any number of schedulers may run with the same ones: one sends, and when it is "
		"gone another goes on. A run's id is made of group, entry and due time, so whatever happens it is one task. `warren schedule next` shows "
		"what comes.",
	.examples = "  warren beat --config warren.yaml\n"
		"  warren beat --beat-state /var/lib/warren/beat.json --json-logs\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct beat_flags),
	.groups = CONF_BIT(CONF_BROKER) | CONF_BIT(CONF_RESULT) | CONF_BIT(CONF_TLS) | CONF_BIT(CONF_QUEUE) | CONF_BIT(CONF_BEAT) | CONF_BIT(CONF_LOG),
	.run = beat_main,
};
