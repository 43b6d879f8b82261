/* warren beat: fills the scheduler's settings from the configuration, shows the schedule, and hands over. */
#include "cli/cmd.h"
#include "cli/listing.h"
#include "cli/out.h"
#include "cli/renew.h"

#include "base/clock.h"
#include "base/log.h"

#include <unistd.h>

/* A table that nobody can read to the end helps nobody: warren schedule list has them all. */
#define SHOWN_MAX 40
#define TABLE_WAIT_MS 1000
#define ORIGIN_BYTES 300

struct beat_flags {
	const char *app;
	bool json_logs, quiet, check;
};

static const struct opt_row rows[] = {
	FLAG(beat_flags, app, text, .short_flag = 'A', .def = "", .arg = "MODULE",
		.help = "also the beat_schedule of this Celery application, and its broker and settings"),
	FLAG(beat_flags, json_logs, bool, .help = "the same as --log-format json"),
	FLAG(beat_flags, check, bool,
		.help = "check the settings and all entries, and end: 0 when they are right"),
	FLAG(beat_flags, quiet, bool, .short_flag = 'q', .help = "no table of entries at the start"),
};

static enum err
check_overlaps(struct cli *cli, const struct beat_conf *b, struct errtext *t)
{
	struct backend_conf backend;

	setup_backend(cli, &backend);
	for (size_t i = 0; strcmp(backend.url, "none") == 0 && i < b->n_entries; i++)
		if (b->entries[i].skip_overlap)
			return err_set(t, E_CONF,
				"schedule '%s': overlap: skip needs a result backend, to see whether the "
				"last run has "
				"ended",
				b->entries[i].name);
	return E_OK;
}

/* Also of a scheduler inside a worker. Texts are in cli's arena. */
enum err
setup_beat(struct cli *cli, struct schedule_maker *m, struct beat_conf *b, struct errtext *t)
{
	const struct options *o = &cli->conf.o;
	char host[256] = "localhost", *origin;
	enum err e;

	*b = (struct beat_conf){ .group = o->beat_group,
		.state_path = *o->beat_state ? o->beat_state : NULL,
		.grace_ms = o->beat_grace,
		.needs_store = strcmp(o->beat_without_store, "wait") == 0,
		.maker = schedule_entries(m),
		.entries = m->entries,
		.n_entries = m->n_entries };
	setup_store(cli, &b->store);
	if (b->n_entries == 0 && b->store.url == NULL)
		return err_set(t, E_CONF,
			"there is nothing to send: %s has no entries under schedule:, and there is no Redis "
			"that could have some "
			"(-A takes the schedule of a Celery application)",
			cli->conf.file ? cli->conf.file : "the configuration");
	if (b->needs_store && b->store.url == NULL)
		return err_set(t, E_CONF,
			"beat_without_store: wait needs a beat_store, or a result_backend that is Redis");
	e = check_overlaps(cli, b, t);
	if (e != E_OK)
		return e;
	e = setup_node(cli, o->beat_name, &b->node, t);
	if (e != E_OK)
		return err_prefix(t, E_CONF, "beat_name");
	gethostname(host, sizeof(host) - 1);
	origin = arena_alloc(&cli->arena, ORIGIN_BYTES);
	if (origin == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	snprintf(origin, ORIGIN_BYTES, "gen%d@%s", (int)getpid(), host);
	b->origin = origin;
	setup_broker(cli, &b->broker);
	schedule_backend(cli, &b->backend);
	return E_OK;
}

/* With those that Redis has, when it answers at once; the scheduler itself will say when it does not. */
static void
print_table(struct cli *cli, struct schedule_maker *m)
{
	struct errtext t = { "" };
	struct desk d = { 0 };
	struct board_conf store;
	struct listing l;
	bool is_read;

	setup_store(cli, &store);
	is_read = store.url != NULL && desk_open(&d, cli, TABLE_WAIT_MS, &t) == E_OK &&
		desk_read(&d, &t) == E_OK;
	listing_init(&l, m, is_read ? &d : NULL);
	if (l.n > 0)
		when_print_table(l.items, l.n, SHOWN_MAX, false, clock_wall_us());
	(void)!out_finish(); /* a closed stdout is no reason to stop working */
	listing_release(&l);
	desk_close(&d);
}

void
schedule_log_notes(const struct schedule_maker *m)
{
	for (size_t i = 0; i < m->n_notes; i++) {
		const struct schedule_note *n = &m->notes[i];

		if (n->left_out)
			LOG(BEAT_ENTRY_LEFT_OUT, LOG_STR("entry", n->entry), LOG_STR("app", n->app),
				LOG_STR("why", n->text));
		else
			LOG(BEAT_ENTRY_NOTE, LOG_STR("entry", n->entry), LOG_STR("app", n->app),
				LOG_STR("why", n->text));
	}
}

static int
beat_main(struct cli *cli)
{
	const struct beat_flags *f = cli->flags;
	struct schedule_maker maker = { .cli = NULL };
	struct errtext why = { "" };
	struct beat_conf b;
	struct renew renew;
	bool again = false;
	enum err e;
	int code;

	e = schedule_ask_app(cli, f->app, &why);
	if (e == E_OK)
		e = schedule_open(&maker, cli, &why);
	if (e == E_OK)
		e = setup_beat(cli, &maker, &b, &why);
	if (e != E_OK) {
		out_error("beat: %s", why.text);
		code = exit_of(e);
	} else if (f->check) {
		out_line(SPAN("the settings and all entries are right"));
		code = 0;
	} else {
		setup_log(&cli->conf.o, "beat", f->json_logs);
		schedule_log_notes(&maker);
		if (!f->quiet)
			print_table(cli, &maker);
		renew_init(&renew, cli->command_line);
		code = beat_run(&b, &renew.renewal, &again, &why);
		if (again && renew_exec(&renew, &why) != E_OK)
			code = 1;
		renew_release(&renew);
		if (why.text[0] != '\0')
			out_error("beat: %s", why.text);
	}
	schedule_release(&maker);
	return code;
}

const struct cmd cmd_beat = {
	.name = "beat",
	.args = "",
	.summary = "send tasks when they are due",
	.details =
		"The entries stand under schedule: in the configuration, in the beat_schedule of a Celery "
		"application (-A), or were added at run time "
		"(warren schedule add). Any number of schedulers may run with the same ones: one sends, "
		"and when it is "
		"gone another goes on. A run's id is made of group, entry and due time, so whatever "
		"happens it is one task. `warren schedule next` shows "
		"what comes. SIGHUP: reads its settings again, and begins anew with them when they are right.",
	.examples = "  warren beat --config warren.yaml\n"
		    "  warren beat -A proj.celery_app\n"
		    "  warren beat --beat-state /var/lib/warren/beat.json --json-logs\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct beat_flags),
	.strangers = celery_beat_flags,
	.groups = CONF_BIT(CONF_BROKER) | CONF_BIT(CONF_RESULT) | CONF_BIT(CONF_TLS) | CONF_BIT(CONF_QUEUE) |
		CONF_BIT(CONF_BEAT) | CONF_BIT(CONF_LOG),
	.run = beat_main,
};
