/* warren schedule list|next: what the schedule of the configuration says, without a broker. */
#include "cli/cmd.h"
#include "cli/out.h"
#include "cli/setup.h"
#include "cli/when.h"

#include "base/clock.h"
#include "base/js.h"
#include "base/text.h"

struct schedule_flags {
	int64_t count;
	const char *from;
};

static const struct opt_row rows[] = {
	FLAG(schedule_flags, count, int, .short_flag = 'n', .def = "10", .min = 1, .max = 100000, .help = "next: how many due times"),
	FLAG(schedule_flags, from, text, .def = "", .arg = "TIME", .help = "from this time on, 2026-12-24T18:00+01:00 [now]"),
};

/* Due times of all entries, merged: a plan does just that. */
struct preview {
	struct zones zones;
	struct plan plan;
	struct entry *entries;
};

static bool
is_wanted(const struct cli *cli, const char *name)
{
	for (size_t i = 1; i < cli->n_args; i++)
		if (text_glob(span_of(cli->args[i]), span_of(name)))
			return true;
	return cli->n_args < 2;
}

static size_t
preview_open(struct preview *p, const struct cli *cli, const struct entry_conf *confs, size_t n, us_t from)
{
	size_t kept = 0;

	zones_init(&p->zones);
	plan_init(&p->plan, 0);
	p->entries = must_alloc((n + 1) * sizeof(*p->entries));
	for (size_t i = 0; i < n; i++) {
		struct entry *e = &p->entries[i];

		if (!is_wanted(cli, confs[i].name))
			continue;
		kept++;
		if (entry_init(e, &confs[i], &p->zones, NULL) != E_OK)
			abort();
		e->plan.done = from;
		if (plan_add(&p->plan, &e->plan) != E_OK)
			abort();
	}
	return kept;
}

static void
print_due(const struct entry *e, const struct plan_fire *f, const char *id, bool json, struct buf *b)
{
	const struct zone *zone = e->plan.schedule.zone;
	us_t sent = f->due + plan_jitter(&e->plan, f->due);
	struct js w;

	buf_reset(b);
	if (!json) {
		when_add_time(b, zone, f->due);
		buf_addf(b, "  %s  %s", e->conf->name, e->conf->task);
		if (sent != f->due) {
			buf_adds(b, "  (sent ");
			text_add_duration(b, (sent - f->due) / 1000);
			buf_adds(b, " later)");
		}
		out_line(buf_span(b));
		return;
	}
	js_init(&w, b);
	js_object(&w);
	js_key(&w, "due");
	buf_addc(b, '"');
	when_add_iso(b, zone, f->due);
	buf_addc(b, '"');
	w.need_comma = true;
	js_key(&w, "entry");
	js_text(&w, e->conf->name);
	js_key(&w, "task");
	js_text(&w, e->conf->task);
	js_key(&w, "id");
	js_text(&w, id);
	js_key(&w, "delay");
	js_double(&w, (double)(sent - f->due) / 1e6);
	js_object_end(&w);
	out_line(buf_span(b));
}

static int
print_next(struct cli *cli, const struct entry_conf *confs, size_t n, us_t from)
{
	const struct schedule_flags *f = cli->flags;
	struct preview p;
	struct plan_fire fire;
	char id[ID_UUID_LEN + 1];
	struct errtext t;
	struct buf b;
	size_t kept = preview_open(&p, cli, confs, n, from);
	int code = 0;

	buf_init(&b, 0);
	for (int64_t i = 0; code == 0 && i < f->count && plan_due(&p.plan, plan_at(&p.plan), &fire); i++) {
		struct entry *e = container_of(fire.entry, struct entry, plan);

		if (entry_make_id(cli->conf.o.beat_group, e->conf->name, fire.due, id, &t) != E_OK) {
			out_error("%s", t.text);
			code = EXIT_NO;
			break;
		}
		print_due(e, &fire, id, cli->common.json, &b);
		plan_done(&p.plan, fire.entry, fire.due);
	}
	if (kept == 0) {
		out_error("schedule: no entry has such a name");
		code = EXIT_NO;
	}
	buf_release(&b);
	plan_release(&p.plan);
	alloc_free(p.entries);
	zones_release(&p.zones);
	return code;
}

static int
schedule_main(struct cli *cli)
{
	const struct schedule_flags *f = cli->flags;
	us_t from = clock_wall_us();
	struct errtext why = { "" };
	struct entry_conf *entries;
	size_t n;
	enum err e;

	if (*f->from && !text_parse_time(span_of(f->from), &from)) {
		out_error("schedule: --from: '%s' is no time; write it like 2026-12-24T18:00+01:00", f->from);
		return EXIT_USAGE;
	}
	e = setup_schedule(cli, &entries, &n, &why);
	if (e != E_OK) {
		out_error("schedule: %s", why.text);
		return exit_of(e);
	}
	if (strcmp(cli->args[0], "next") == 0)
		return print_next(cli, entries, n, from);
	if (strcmp(cli->args[0], "list") != 0) {
		out_error("schedule: '%s' is not known; there are list and next", cli->args[0]);
		return EXIT_USAGE;
	}
	if (cli->common.json)
		when_print_table_json(entries, n, from);
	else
		when_print_table(entries, n, 0, from);
	return 0;
}

const struct cmd cmd_schedule = {
	.name = "schedule",
	.args = "list|next [ENTRY...]",
	.summary = "show the schedule and what is due next",
	.details = "list: every entry with its next run. next: the due times that come, of all entries or of those named (patterns such as report*).",
	.examples = "  warren schedule list\n"
		"  warren schedule next --count 5 nightly-report\n"
		"  warren schedule next --from 2027-03-28T00:00+01:00 --json\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows),
	.flags_size = sizeof(struct schedule_flags),
	.groups = CONF_BIT(CONF_QUEUE) | CONF_BIT(CONF_BEAT),
	.args_min = 1,
	.args_max = 1000,
	.run = schedule_main,
};
