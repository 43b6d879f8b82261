/*
 * Entries in Redis: added, changed, removed; and any entry paused and resumed. Everything is checked here as the scheduler will check it, so that
 * nothing gets there which it cannot use.
 */
#include "cli/schedule_cmd.h"

#include "cli/call.h"
#include "cli/out.h"

#include "base/js.h"
#include "base/text.h"

#define NAME_BYTES 200

static int
fail(const char *what, const char *name, enum err e, const struct errtext *t)
{
	out_error("schedule %s: %s%s%s", what, name, *name ? ": " : "", t->text);
	return exit_of(e);
}

static int
say(const struct schedule_job *j, const char *name, const char *what, us_t next, const struct zone *zone,
	bool has_next)
{
	struct buf b, time;
	struct js w;

	buf_init(&b, 0);
	buf_init(&time, 0);
	if (!j->cli->common.json) {
		if (has_next && next != SCHEDULE_NEVER)
			when_add_time(&time, zone, next);
		buf_addf(&b, "%s: %s%s%s", name, what,
			!has_next                        ? ""
				: next == SCHEDULE_NEVER ? ", but it is never due"
							 : ", next run ",
			buf_text(&time));
		out_line(buf_span(&b));
	} else {
		if (has_next && next != SCHEDULE_NEVER)
			when_add_iso(&time, zone, next);
		js_init(&w, &b);
		js_object(&w);
		js_key(&w, "name");
		js_text(&w, name);
		js_key(&w, "done");
		js_text(&w, what);
		js_key(&w, "next");
		js_string(&w, has_next && next != SCHEDULE_NEVER ? buf_span(&time) : SPAN_NONE);
		js_object_end(&w);
		out_json(&b);
	}
	buf_release(&time);
	buf_release(&b);
	return 0;
}

/* --- add and edit ------------------------------------------------------------------------------------------------------ */

static bool
is_when(const struct opt_row *row)
{
	return strcmp(row->name, "every") == 0 || strcmp(row->name, "cron") == 0 ||
		strcmp(row->name, "crontab") == 0 || strcmp(row->name, "at") == 0;
}

/* What the command line gives, over what is there. Another kind of schedule takes the place of the one before. */
static enum err
apply_flags(struct schedule_job *j, struct conf_schedule *s, struct errtext *t)
{
	const struct opt_row *row;
	bool has_when = false;
	enum err e = E_OK;
	size_t n;
	const struct opt_row *rows = schedule_rows(&n);

	for (size_t i = 0; i < j->cli->n_given; i++)
		has_when = has_when || is_when(j->cli->given[i].row);
	if (has_when) {
		s->every = 0;
		s->cron = s->crontab = s->at = "";
	}
	for (size_t i = 0; e == E_OK && i < j->cli->n_given; i++) {
		if (!schedule_is_entry_row(j->cli->given[i].row))
			continue;
		row = opt_find(rows, n, span_of(j->cli->given[i].row->name));
		e = opt_set(row, s, j->cli->given[i].value, &j->cli->arena, t);
		if (e != E_OK)
			err_prefix(t, e, "%s", row->name);
	}
	return e;
}

/* Made as the scheduler makes it; its next run is shown. */
static enum err
check(struct span name, struct span json, struct book *book, struct entry **out, struct errtext *t)
{
	enum err e = book_make(book, name, json, 0, out, t);

	if (e == E_OK)
		book_put(book, *out);
	return e;
}

static bool
is_plain(const char *name)
{
	for (; *name != '\0'; name++)
		if ((unsigned char)*name <= ' ' || *name == 0x7f)
			return false;
	return true;
}

static enum err
check_name(const char *name, struct errtext *t)
{
	size_t n = strlen(name);

	if (n == 0 || n > NAME_BYTES || !is_plain(name) || !text_is_utf8(span_of(name)))
		return err_set(t, E_CONF,
			"a name has 1 to %d characters, none of them a blank or a control character",
			NAME_BYTES);
	return E_OK;
}

/* One of the configuration is none of ours to change. */
static bool
is_of_file(const struct schedule_job *j, const char *name)
{
	const struct when_entry *e = listing_find(&j->listing, span_of(name));

	return e != NULL && strcmp(e->from, "redis") != 0;
}

static const char *
place_of(const struct schedule_job *j, const char *name)
{
	const struct when_entry *e = listing_find(&j->listing, span_of(name));

	if (e != NULL && strcmp(e->from, "app") == 0)
		return "the Celery application";
	return j->cli->conf.file ? j->cli->conf.file : "the configuration";
}

static int
refuse_other(const struct schedule_job *j, const char *verb, const char *name)
{
	out_error("schedule %s: entry '%s' stands in %s: change it there (warren schedule pause works on it)",
		verb, name, place_of(j, name));
	return EXIT_NO;
}

int
schedule_add(struct schedule_job *j)
{
	struct entry_maker maker = schedule_entries(&j->maker);
	struct conf_schedule s = j->maker.defaults;
	const char *name = j->cli->args[1];
	struct errtext t = { "" };
	struct buf json, args;
	struct entry *entry;
	struct book book;
	enum err e;
	int code;

	book_init(&book, &maker);
	buf_init(&json, 0);
	buf_init(&args, 0);
	e = check_name(name, &t);
	if (e == E_OK && j->cli->n_args > 2)
		s.task = j->cli->args[2];
	if (e == E_OK && j->cli->n_args > 3) {
		call_add_args(&args, j->cli->args + 3, j->cli->n_args - 3, false);
		s.args = buf_text(&args);
	}
	if (e == E_OK)
		e = apply_flags(j, &s, &t);
	if (e == E_OK && j->cli->n_args > 3 && strcmp(s.args, buf_text(&args)) != 0)
		e = err_set(&t, E_CONF, "--args and ARG are both given: choose one");
	schedule_add_json(&j->maker, &json, &s);
	if (e == E_OK)
		e = check(span_of(name), buf_span(&json), &book, &entry, &t);
	if (e == E_OK && is_of_file(j, name))
		e = err_set(&t, E_EXISTS, "%s has an entry of that name: choose another", place_of(j, name));
	if (e == E_OK) {
		e = desk_add(&j->desk, span_of(name), buf_span(&json), &t);
		if (e == E_EXISTS)
			err_set(&t, e, "there is one of that name already: see warren schedule edit");
	}
	if (e != E_OK)
		code = fail("add", name, e, &t);
	else {
		us_t next = schedule_next(&entry->plan.schedule, j->now);

		code = say(j, name, "added", next, entry->plan.schedule.zone, true);
	}
	buf_release(&args);
	buf_release(&json);
	book_release(&book);
	return code;
}

static bool
is_same_schedule(const struct entry_conf *x, const struct entry_conf *y)
{
	struct buf a, b;
	bool same;

	buf_init(&a, 0);
	buf_init(&b, 0);
	entry_add_schedule(&a, x);
	entry_add_schedule(&b, y);
	same = span_eq(buf_span(&a), buf_span(&b));
	buf_release(&a);
	buf_release(&b);
	return same;
}

/* `json` is the new text; E_OK with *entry checked. */
static enum err
make_edited(struct schedule_job *j, const char *name, struct span old, struct buf *json, struct book *book,
	struct entry **entry, struct errtext *t)
{
	struct conf_schedule s = j->maker.defaults;
	enum err e = schedule_read(&s, old, &j->cli->arena, t);

	if (e != E_OK)
		return err_prefix(t, e, "it cannot be understood as it is (remove it, and add it anew)");
	e = apply_flags(j, &s, t);
	schedule_add_json(&j->maker, json, &s);
	return e == E_OK ? check(span_of(name), buf_span(json), book, entry, t) : e;
}

int
schedule_edit(struct schedule_job *j)
{
	struct entry_maker maker = schedule_entries(&j->maker);
	const char *name = j->cli->args[1];
	struct span old = desk_find(&j->desk, span_of(name));
	const struct when_entry *was = listing_find(&j->listing, span_of(name));
	struct errtext t = { "" };
	struct entry *entry;
	struct book book;
	struct buf json;
	enum err e;
	int code;

	if (is_of_file(j, name))
		return refuse_other(j, "edit", name);
	if (old.ptr == NULL)
		return schedule_no_such(j, name);
	book_init(&book, &maker);
	buf_init(&json, 0);
	e = make_edited(j, name, old, &json, &book, &entry, &t);
	if (e == E_OK) {
		/* Due at other times it is a new one: what it missed by the old ones is none of its own. */
		e = desk_edit(&j->desk, span_of(name), old, buf_span(&json),
			was == NULL || !is_same_schedule(was->conf, entry->conf), &t);
		if (e == E_EXISTS || e == E_MISSING)
			err_set(&t, e, "somebody else has just changed it: look at it and try again");
	}
	if (e != E_OK)
		code = fail("edit", name, e, &t);
	else {
		us_t next = schedule_next(&entry->plan.schedule, j->now);

		code = say(j, name, "changed", next, entry->plan.schedule.zone, true);
	}
	buf_release(&json);
	book_release(&book);
	return code;
}

/* --- remove, pause, resume --------------------------------------------------------------------------------------------- */

/* The worst of all codes; the others are done all the same. */
static int
for_each_name(struct schedule_job *j, int (*fn)(struct schedule_job *j, const char *name))
{
	int code = 0, one;

	for (size_t i = 1; i < j->cli->n_args; i++) {
		one = fn(j, j->cli->args[i]);
		code = one > code ? one : code;
	}
	return code;
}

static int
remove_one(struct schedule_job *j, const char *name)
{
	struct errtext t = { "" };
	enum err e;

	if (is_of_file(j, name))
		return refuse_other(j, "remove", name);
	e = desk_remove(&j->desk, span_of(name), &t);
	if (e == E_MISSING)
		return schedule_no_such(j, name);
	return e == E_OK ? say(j, name, "removed", 0, NULL, false) : fail("remove", name, e, &t);
}

int
schedule_remove(struct schedule_job *j)
{
	return for_each_name(j, remove_one);
}

static int
pause_to(struct schedule_job *j, const char *name, bool paused)
{
	const struct when_entry *was = listing_find(&j->listing, span_of(name));
	struct errtext t = { "" };
	struct entry entry;
	struct zones zones;
	us_t next;
	enum err e;
	int code;

	if (was == NULL)
		return schedule_no_such(j, name);
	e = desk_pause(&j->desk, span_of(name), paused, &t);
	if (e != E_OK && e != E_EXISTS)
		return fail(paused ? "pause" : "resume", name, e, &t);
	if (paused)
		return say(j, name, e == E_EXISTS ? "was paused already" : "paused", 0, NULL, false);
	zones_init(&zones);
	next = entry_init(&entry, was->conf, &zones, NULL) == E_OK
		? schedule_next(&entry.plan.schedule, j->now)
		: SCHEDULE_NEVER;
	code = say(j, name, e == E_EXISTS ? "was not paused" : "resumed", next, entry.plan.schedule.zone,
		next != SCHEDULE_NEVER);
	zones_release(&zones);
	return code;
}

static int
pause_one(struct schedule_job *j, const char *name)
{
	return pause_to(j, name, true);
}

static int
resume_one(struct schedule_job *j, const char *name)
{
	return pause_to(j, name, false);
}

int
schedule_pause(struct schedule_job *j)
{
	return for_each_name(j, pause_one);
}

int
schedule_resume(struct schedule_job *j)
{
	return for_each_name(j, resume_one);
}
