/*
 * Which letters: queues, ids, filters. AMQP cannot list queues, so the names come from the command line or the settings. Every queue is looked
 * at through client/browse.h: nothing leaves it unless a verb takes it out.
 */
#include "cli/dead.h"

#include "base/clock.h"
#include "base/text.h"
#include "cli/out.h"

#define PREFIX_MIN 6

int
dead_fail(enum err e, const struct errtext *t)
{
	out_error("%s", t->text);
	return exit_of(e);
}

/* "2h" is two hours ago. */
static enum err
parse_past(const char *text, us_t now, us_t *out, struct errtext *t)
{
	ms_t ago;

	if (text_parse_duration(span_of(text), &ago) && ago <= now / 1000) {
		*out = now - ago * 1000;
		return E_OK;
	}
	if (text_parse_time(span_of(text), out))
		return E_OK;
	return err_set(t, E_CONF, "'%s' is neither a duration (2h = two hours ago) nor an ISO time", text);
}

static enum err
read_times(struct dead_look *l, struct errtext *t)
{
	enum err e = E_OK;

	l->now = clock_wall_us();
	l->since = INT64_MIN;
	l->until = INT64_MAX;
	if (*l->f->since != '\0' && (e = parse_past(l->f->since, l->now, &l->since, t)) != E_OK)
		return err_prefix(t, e, "dead: --since");
	if (*l->f->until != '\0' && (e = parse_past(l->f->until, l->now, &l->until, t)) != E_OK)
		return err_prefix(t, e, "dead: --until");
	return E_OK;
}

/* Both "media" and "warren.dead.media" mean the dead letters of media. */
static void
name_source(struct dead_source *s, const char *name)
{
	size_t n = strlen(DEAD_QUEUE_PREFIX);

	s->origin = strncmp(name, DEAD_QUEUE_PREFIX, n) == 0 && name[n] != '\0' ? name + n : name;
	dead_queue_name(s->queue, span_of(s->origin));
}

static enum err
open_source(struct dead_look *l, struct dead_source *s, struct errtext *t)
{
	enum err e = browse_open(&s->browse, l->client, span_of(s->queue), t);

	s->missing = e == E_MISSING;
	return s->missing ? E_OK : e;
}

int
dead_look_open(
	struct dead_look *l, struct cli *cli, const char *const *queues, const char *const *ids, size_t n_ids)
{
	struct errtext why = { "" };
	enum err e = E_OK;
	size_t n = 0;
	int code;

	*l = (struct dead_look){ .cli = cli, .f = cli->flags, .ids = ids, .n_ids = n_ids };
	e = read_times(l, &why);
	if (e != E_OK)
		return dead_fail(e, &why);
	while (queues[n] != NULL)
		n++;
	l->sources = must_alloc((n + 1) * sizeof(*l->sources));
	l->found = must_alloc((n_ids + 1) * sizeof(*l->found));
	code = setup_client(cli, true, &l->client);
	if (code != 0)
		return code;
	for (; e == E_OK && l->n_sources < n; l->n_sources++) {
		name_source(&l->sources[l->n_sources], queues[l->n_sources]);
		e = open_source(l, &l->sources[l->n_sources], &why);
	}
	return e == E_OK ? 0 : dead_fail(e, &why);
}

void
dead_look_close(struct dead_look *l)
{
	size_t i;

	for (i = 0; i < l->n_sources; i++)
		browse_close(l->sources[i].browse);
	client_free(l->client);
	alloc_free(l->sources);
	alloc_free(l->found);
}

static bool
has_filter(const struct dead_flags *f)
{
	return *f->task != '\0' || *f->reason != '\0' || *f->error != '\0' || *f->since != '\0' ||
		*f->until != '\0';
}

bool
dead_look_is_choosy(const struct dead_look *l)
{
	return l->n_ids > 0 || has_filter(l->f) || l->f->limit > 0;
}

static bool
fits_id(struct dead_look *l, const struct dead_facts *f)
{
	bool any = false;
	size_t i;

	for (i = 0; i < l->n_ids; i++) {
		const char *id = l->ids[i];
		bool cut = l->prefixes && strlen(id) >= PREFIX_MIN;

		if (span_is(f->id, id) || strcmp(f->handle, id) == 0 ||
			(cut && (span_starts(f->id, id) || strncmp(f->handle, id, strlen(id)) == 0)))
			any = l->found[i] = true;
	}
	return any;
}

static bool
fits_glob(const char *pattern, struct span text)
{
	return *pattern == '\0' || text_glob(span_of(pattern), text.ptr != NULL ? text : SPAN(""));
}

static bool
fits(struct dead_look *l, const struct dead_facts *f)
{
	size_t n = strlen(l->f->error);

	if (!fits_glob(l->f->task, f->task) || !fits_glob(l->f->reason, f->reason))
		return false;
	if (n > 0 && (f->error.ptr == NULL || memmem(f->error.ptr, f->error.len, l->f->error, n) == NULL))
		return false;
	/* One that does not say when fits no time. */
	if (l->since != INT64_MIN && (f->time == INT64_MIN || f->time < l->since))
		return false;
	if (l->until != INT64_MAX && (f->time == INT64_MIN || f->time > l->until))
		return false;
	return l->n_ids == 0 || fits_id(l, f);
}

static bool
is_full(const struct dead_look *l)
{
	return l->f->limit > 0 && l->matched >= (uint64_t)l->f->limit;
}

static enum err
each_of(struct dead_look *l, struct dead_source *s, dead_fn *fn, void *owner, struct errtext *t)
{
	struct browse_letter letter;
	struct dead_item it;
	enum err e = E_OK;

	while (e == E_OK && !is_full(l)) {
		e = browse_next(s->browse, &letter, t);
		if (e != E_OK)
			break;
		l->looked++;
		it = (struct dead_item){ .source = s, .msg = letter.msg, .spoiled = letter.spoiled };
		dead_read(&it.facts, letter.msg);
		if (!fits(l, &it.facts))
			continue;
		l->matched++;
		s->matched++;
		e = fn(owner, s, &it, t);
		out_progress(false, "%llu letters looked at, %llu fit", (unsigned long long)l->looked,
			(unsigned long long)l->matched);
	}
	return e == E_MISSING || e == E_OK ? browse_flush(s->browse, t) : e;
}

enum err
dead_look_each(struct dead_look *l, dead_fn *fn, void *owner, struct errtext *t)
{
	enum err e = E_OK;
	size_t i;

	l->looked = l->matched = 0;
	for (i = 0; i < l->n_sources; i++)
		l->sources[i].matched = 0;
	for (i = 0; e == E_OK && i < l->n_sources && !is_full(l); i++)
		if (!l->sources[i].missing)
			e = each_of(l, &l->sources[i], fn, owner, t);
	out_progress_clear();
	return e;
}

enum err
dead_look_again(struct dead_look *l, struct errtext *t)
{
	enum err e = E_OK;
	size_t i;

	for (i = 0; e == E_OK && i < l->n_sources; i++)
		if (!l->sources[i].missing)
			e = browse_rewind(l->sources[i].browse, t);
	return e;
}

static void
add_origins(struct buf *b, const struct dead_look *l)
{
	size_t i;

	for (i = 0; i < l->n_sources; i++)
		buf_addf(b, "%s%s", i > 0 ? ", " : "", l->sources[i].origin);
}

int
dead_look_verdict(const struct dead_look *l)
{
	struct buf b;
	int code = 0;
	size_t i;

	buf_init(&b, 0);
	add_origins(&b, l);
	for (i = 0; i < l->n_ids; i++) {
		if (l->found[i])
			continue;
		out_error("no dead letter '%s' among those of %s", l->ids[i], buf_text(&b));
		code = EXIT_NO;
	}
	if (l->matched == 0 && l->n_ids == 0) {
		out_note("no dead letter of %s%s", buf_text(&b), l->looked > 0 ? " fits" : "");
		code = EXIT_NO;
	}
	if (code != 0 && l->f->queues.n == 0)
		out_note("(the broker cannot list its queues: name others with -Q)");
	buf_release(&b);
	return code;
}
