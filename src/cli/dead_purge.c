/* purge: throws letters away. All of a queue at once when nothing is chosen, else one by one. */
#include "cli/dead.h"

#include "base/js.h"
#include "cli/out.h"

static enum err
purge_one(void *owner, struct dead_source *s, struct dead_item *it UNUSED, struct errtext *t)
{
	const struct dead_flags *f = owner;

	return f->dry_run ? E_OK : browse_drop(s->browse, t);
}

/* All of them: the broker does it by itself, whatever there is. */
static enum err
purge_all(struct dead_look *l, bool only_look, struct errtext *t)
{
	uint32_t messages, consumers;
	enum err e = E_OK;
	size_t i;

	l->matched = 0;
	for (i = 0; e == E_OK && i < l->n_sources; i++) {
		struct dead_source *s = &l->sources[i];

		if (s->missing)
			continue;
		e = only_look ? client_queue_info(l->client, span_of(s->queue), &messages, &consumers, t)
			      : client_queue_purge(l->client, span_of(s->queue), &messages, t);
		s->missing = e == E_MISSING;
		e = s->missing ? E_OK : e;
		s->matched = s->missing ? 0 : messages;
		l->matched += s->matched;
	}
	return e;
}

static void
print_purged(const struct dead_look *l)
{
	const char *titles[] = { "QUEUE", l->f->dry_run ? "WOULD PURGE" : "PURGED" }, *cells[2];
	char number[24];
	struct grid g;
	struct buf b;
	struct js w;
	size_t i;

	buf_init(&b, 0);
	js_init(&w, &b);
	js_array(&w);
	grid_init(&g, 2, titles);
	for (i = 0; i < l->n_sources; i++) {
		if (l->sources[i].missing)
			continue;
		js_object(&w);
		js_key(&w, "queue");
		js_text(&w, l->sources[i].queue);
		js_key(&w, l->f->dry_run ? "letters" : "purged");
		js_int(&w, (int64_t)l->sources[i].matched);
		js_object_end(&w);
		snprintf(number, sizeof(number), "%llu", (unsigned long long)l->sources[i].matched);
		cells[0] = l->sources[i].queue;
		cells[1] = number;
		grid_add(&g, cells);
	}
	js_array_end(&w);
	if (l->cli->common.json)
		out_json(&b);
	else if (l->matched > 0)
		grid_print(&g);
	grid_release(&g);
	buf_release(&b);
}

int
dead_purge(struct dead_look *l)
{
	const struct dead_flags *f = l->f;
	bool whole = !dead_look_is_choosy(l), asks = !f->yes && !f->dry_run;
	struct errtext why = { "" };
	int code = dead_check_choice(l, "purge");
	enum err e = E_OK;

	if (code == 0)
		code = dead_must_say_yes(f, "purge");
	if (code == 0 && asks && whole) {
		e = purge_all(l, true, &why);
		if (e == E_OK && l->matched > 0 && !dead_may_go_on(l, "purge", "Throw away", l->matched, &code))
			return code;
		code = 0;
	} else if (code == 0 && asks) {
		code = dead_count_and_ask(l, "purge", "Throw away");
		if (l->matched == 0)
			return code;
	}
	if (code != 0)
		return code;
	if (e == E_OK)
		e = whole ? purge_all(l, f->dry_run, &why)
			  : dead_look_each(l, purge_one, (void *)(uintptr_t)f, &why);
	if (e != E_OK)
		return dead_fail(e, &why);
	print_purged(l);
	return dead_look_verdict(l);
}
