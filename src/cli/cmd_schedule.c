/* warren schedule: what the scheduler will do, and changing it. The verbs that change something are in schedule_edit.c and schedule_run.c. */
#include "cli/schedule_cmd.h"

#include "cli/out.h"

#include "base/clock.h"
#include "base/js.h"
#include "base/text.h"

/* clang-format off */
#define ENTRY_ROW(rtype, field, rdef, rmin, rmax, rchoices, rhelp) \
	{ \
		.name = #field, \
		.type = (rtype), \
		.offset = offsetof(struct schedule_flags, entry) + offsetof(struct conf_schedule, field), \
		.def = (rdef), \
		.min = (rmin), \
		.max = (rmax), \
		.choices = (rchoices), \
		.help = "add, edit: " rhelp, \
	},
/* clang-format on */

static const struct opt_row rows[] = {
	FLAG(schedule_flags, count, int, .short_flag = 'n', .def = "10", .min = 1, .max = 100000,
		.help = "next: how many due times"),
	FLAG(schedule_flags, from, text, .def = "", .arg = "TIME",
		.help = "list, next: from this time on, 2026-12-24T18:00+01:00 [now]"),
	FLAG(schedule_flags, app, text, .short_flag = 'A', .def = "", .arg = "MODULE",
		.help = "also the beat_schedule of this Celery application, and its broker and settings"),
#define SCHEDULE_OPT(rtype, ...) ENTRY_ROW(OPT_T_##rtype, __VA_ARGS__)
#include "tbl/options.def"
};

bool
schedule_is_entry_row(const struct opt_row *row)
{
	return row->offset >= offsetof(struct schedule_flags, entry);
}

int
schedule_no_such(const struct schedule_job *j, const char *name)
{
	struct nearest near;
	struct buf b;

	nearest_init(&near, span_of(name));
	for (size_t i = 0; i < j->listing.n; i++)
		nearest_try(&near, j->listing.items[i].conf->name);
	buf_init(&b, 0);
	nearest_add(&b, &near);
	out_error("schedule %s: there is no entry '%s'%s", j->cli->args[0], name, buf_text(&b));
	buf_release(&b);
	return EXIT_NO;
}

/* --- list and next ----------------------------------------------------------------------------------------------------- */

static bool
is_wanted(const struct cli *cli, const char *name)
{
	for (size_t i = 1; i < cli->n_args; i++)
		if (text_glob(span_of(cli->args[i]), span_of(name)))
			return true;
	return cli->n_args < 2;
}

static int
none_wanted(const struct cli *cli)
{
	out_error(cli->n_args > 1
			? "schedule: no entry has such a name"
			: "schedule: there are no entries, neither in the configuration nor in Redis");
	return EXIT_NO;
}

static int
print_list(struct schedule_job *j)
{
	struct when_entry *wanted = must_alloc((j->listing.n + 1) * sizeof(*wanted));
	size_t n = 0;
	int code = 0;

	for (size_t i = 0; i < j->listing.n; i++)
		if (is_wanted(j->cli, j->listing.items[i].conf->name))
			wanted[n++] = j->listing.items[i];
	if (n == 0 && j->cli->n_args > 1)
		code = none_wanted(j->cli);
	else if (j->cli->common.json)
		when_print_table_json(wanted, n, j->now);
	else
		when_print_table(wanted, n, 0, true, j->now);
	alloc_free(wanted);
	return code;
}

/* Due times of all entries, merged: a plan does just that. */
struct preview {
	struct zones zones;
	struct plan plan;
	struct entry *entries;
};

/* How many there are, paused ones too. */
static size_t
preview_open(struct preview *p, const struct schedule_job *j)
{
	size_t kept = 0;

	zones_init(&p->zones);
	plan_init(&p->plan, 0);
	p->entries = must_alloc((j->listing.n + 1) * sizeof(*p->entries));
	for (size_t i = 0; i < j->listing.n; i++) {
		const struct when_entry *w = &j->listing.items[i];
		struct entry *e = &p->entries[i];

		if (!is_wanted(j->cli, w->conf->name))
			continue;
		kept++;
		if (entry_init(e, w->conf, &p->zones, NULL) != E_OK)
			abort();
		e->plan.done = j->now;
		if (!w->paused && plan_add(&p->plan, &e->plan) != E_OK)
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
print_next(struct schedule_job *j)
{
	struct plan_fire fire;
	struct preview p;
	char id[ID_UUID_LEN + 1];
	struct errtext t;
	struct buf b;
	size_t kept = preview_open(&p, j);
	int code = 0;

	buf_init(&b, 0);
	for (int64_t i = 0; code == 0 && i < j->f->count && plan_due(&p.plan, plan_at(&p.plan), &fire); i++) {
		struct entry *e = container_of(fire.entry, struct entry, plan);

		if (entry_make_id(j->cli->conf.o.beat_group, e->conf->name, fire.due, id, &t) != E_OK) {
			out_error("%s", t.text);
			code = EXIT_NO;
			break;
		}
		print_due(e, &fire, id, j->cli->common.json, &b);
		plan_done(&p.plan, fire.entry, fire.due);
	}
	if (kept == 0 && (j->cli->n_args > 1 || j->listing.n == 0))
		code = none_wanted(j->cli);
	buf_release(&b);
	plan_release(&p.plan);
	alloc_free(p.entries);
	zones_release(&p.zones);
	return code;
}

/* --- verbs ------------------------------------------------------------------------------------------------------------- */

static const struct verb {
	const char *name;
	int (*run)(struct schedule_job *j);
	bool changes;     /* there must be a Redis to keep it */
	bool takes_entry; /* the flags of one */
	size_t args_min;  /* besides the verb */
	const char *usage;
} verbs[] = {
	{ "list", print_list, false, false, 0, "list [ENTRY...]" },
	{ "next", print_next, false, false, 0, "next [ENTRY...]" },
	{ "add", schedule_add, true, true, 1, "add ENTRY TASK [ARG...]" },
	{ "edit", schedule_edit, true, true, 1, "edit ENTRY --every 10s" },
	{ "remove", schedule_remove, true, false, 1, "remove ENTRY..." },
	{ "pause", schedule_pause, true, false, 1, "pause ENTRY..." },
	{ "resume", schedule_resume, true, false, 1, "resume ENTRY..." },
	{ "run", schedule_run, false, false, 1, "run ENTRY..." },
};

static const struct verb *
find_verb(const char *name)
{
	struct nearest near;
	struct buf b;

	nearest_init(&near, span_of(name));
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
		nearest_try(&near, verbs[i].name);
	}
	buf_init(&b, 0);
	nearest_add(&b, &near);
	out_error("schedule: there is no '%s'%s (list, next, add, edit, remove, pause, resume, run)", name,
		buf_text(&b));
	buf_release(&b);
	return NULL;
}

/* A flag that would do nothing is a mistake. */
static int
check_usage(const struct cli *cli, const struct verb *v)
{
	size_t n_entry = 0;

	if (cli->n_args - 1 < v->args_min) {
		out_error("schedule: usage: warren schedule %s", v->usage);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < cli->n_given; i++) {
		bool is_entry = schedule_is_entry_row(cli->given[i].row);
		bool fits = is_entry == v->takes_entry || strcmp(cli->given[i].row->name, "app") == 0;

		n_entry += is_entry;
		if (!fits || (strcmp(cli->given[i].row->name, "count") == 0 && v->run != print_next)) {
			out_error("schedule %s: does not take --%s", v->name, cli->given[i].row->name);
			return EXIT_USAGE;
		}
	}
	if (v->run == schedule_edit && (n_entry == 0 || cli->n_args > 2)) {
		out_error("schedule edit: say what is to be changed by flags, one entry at a time: warren "
			  "schedule %s",
			v->usage);
		return EXIT_USAGE;
	}
	return 0;
}

/* Without Redis there is the configuration. Where it is configured and away the picture would not be whole, and that is no answer. */
static enum err
look(struct schedule_job *j, const struct verb *v, struct errtext *t)
{
	struct board_conf store;
	enum err e;

	setup_store(j->cli, &store);
	if (store.url == NULL && !v->changes) {
		listing_init(&j->listing, &j->maker, NULL);
		return E_OK;
	}
	e = desk_open(&j->desk, j->cli, 0, t);
	if (e == E_OK)
		e = desk_read(&j->desk, t);
	if (e == E_OK)
		listing_init(&j->listing, &j->maker, &j->desk);
	else if (!v->changes)
		err_prefix(
			t, e, "entries added at run time cannot be read (--beat-store none leaves them out)");
	return e;
}

static int
schedule_main(struct cli *cli)
{
	struct schedule_job j = { .cli = cli, .f = cli->flags, .now = clock_wall_us() };
	const struct verb *v = find_verb(cli->args[0]);
	struct errtext why = { "" };
	enum err e;
	int code;

	code = v != NULL ? check_usage(cli, v) : EXIT_USAGE;
	if (code != 0)
		return code;
	if (*j.f->from && !text_parse_time(span_of(j.f->from), &j.now)) {
		out_error(
			"schedule: --from: '%s' is no time; write it like 2026-12-24T18:00+01:00", j.f->from);
		return EXIT_USAGE;
	}
	e = schedule_ask_app(cli, j.f->app, &why);
	if (e == E_OK)
		e = schedule_open(&j.maker, cli, &why);
	for (size_t i = 0; e == E_OK && i < j.maker.n_notes; i++)
		out_note("entry %s of %s%s: %s", j.maker.notes[i].entry, j.maker.notes[i].app,
			j.maker.notes[i].left_out ? " is left out" : "", j.maker.notes[i].text);
	if (e == E_OK)
		e = look(&j, v, &why);
	if (e == E_OK)
		code = v->run(&j);
	else {
		out_error("schedule: %s", why.text);
		code = exit_of(e);
	}
	listing_release(&j.listing);
	desk_close(&j.desk);
	schedule_release(&j.maker);
	return code;
}

const struct cmd cmd_schedule = {
	.name = "schedule",
	.args = "list|next|add|edit|remove|pause|resume|run [ENTRY] [ARG...]",
	.summary = "show the schedule and what is due next; add and change entries at run time",
	.details = "list: every entry with its next and last run. next: the due times that come, of all "
		   "entries or of those named (patterns such as report*). "
		   "add, edit, remove: entries that are kept in Redis (--beat-store, else the result "
		   "backend), for all schedulers of the group; running "
		   "ones take them up within a second or two. Those of the configuration are changed there. "
		   "pause and resume work on both; what was due "
		   "meanwhile is given up. run: sends an entry now, whatever its schedule says, and prints "
		   "the task's id.",
	.examples = "  warren schedule list\n"
		    "  warren schedule next --count 5 nightly-report\n"
		    "  warren schedule next --from 2027-03-28T00:00+01:00 --json\n"
		    "  warren schedule add nightly reports.daily pdf --cron '0 2 * * *' --timezone "
		    "Europe/Berlin --queue reports\n"
		    "  warren schedule edit nightly --cron '30 2 * * *'\n"
		    "  warren schedule pause nightly\n",
	.flags = rows,
	.n_flags = ARRAY_LEN(rows) - 1, /* without the last, enabled: entries in Redis are paused */
	.flags_size = sizeof(struct schedule_flags),
	.groups = CONF_BIT(CONF_BROKER) | CONF_BIT(CONF_RESULT) | CONF_BIT(CONF_TLS) | CONF_BIT(CONF_QUEUE) |
		CONF_BIT(CONF_BEAT),
	.args_min = 1,
	.args_max = 1000,
	.run = schedule_main,
};
