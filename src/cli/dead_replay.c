/*
 * replay. It goes letter by letter: build the message, see that its queue is there, look at its stored result, publish, confirm,
 * take the letter away. Whatever hinders one letter leaves it where it is and does not stop the others.
 */
#include "cli/dead.h"

#include "base/js.h"
#include "base/map.h"
#include "cli/out.h"

struct replay {
	struct dead_look *look;
	struct dead_restore how;
	struct map queues; /* known to be there, or not */
	struct grid plan;  /* of a dry run */
	struct js *json;   /* of a dry run */
	bool asks_results;
	uint64_t moved, failed, skipped, expired;
};

static char is_there, is_missing;

/* --- may it go? --------------------------------------------------------------------------------------------------------- */

static void
refuse(struct replay *r, const struct dead_item *it, const char *why)
{
	struct span name = dead_name(&it->facts);

	r->failed++;
	out_error("%.*s: %s; it stays", SPAN_FMT(name), why);
}

static enum err
queue_is_there(struct replay *r, struct span queue, bool *out, struct errtext *t)
{
	void *known = map_get(&r->queues, queue);
	uint32_t messages, consumers;
	enum err e = E_OK;

	if (known == NULL) {
		e = client_queue_info(r->look->client, queue, &messages, &consumers, t);
		known = e == E_OK ? &is_there : &is_missing;
		if (e != E_OK && e != E_MISSING)
			return e;
		e = map_set(&r->queues, queue, known, NULL);
	}
	*out = known == &is_there;
	return e;
}

static void
on_result(void *owner, const struct result *r)
{
	char *state = owner;

	snprintf(state, 32, "%.*s", SPAN_FMT(r->state));
}

/*
 * A final result that is stored would make a worker throw the task away when it is delivered a second time, and whoever waits for the task
 * would get the old failure. A success means that the task was done after all, perhaps by a replay that was interrupted.
 */
static enum err
clear_result(struct replay *r, const struct dead_item *it, bool *go, struct errtext *t)
{
	char state[32] = "";
	enum err e;

	*go = true;
	if (!r->asks_results || it->facts.id.ptr == NULL)
		return E_OK;
	/* What it has left is what its follow-ups go on with. */
	if (dead_is_ended(&it->facts) && r->how.args.ptr == NULL && r->how.kwargs.ptr == NULL)
		return E_OK;
	e = client_result(r->look->client, it->facts.id, on_result, state, t);
	if (e == E_MISSING || e == E_FORMAT)
		return E_OK;
	if (e != E_OK)
		return e;
	if (strcmp(state, "SUCCESS") == 0 && !r->look->f->force) {
		*go = false;
		r->skipped++;
		out_note("%.*s: has succeeded meanwhile; its letter stays (--force replays it, purge takes "
			 "it away)",
			SPAN_FMT(it->facts.id));
		return E_OK;
	}
	if (r->look->f->dry_run || !result_is_ready(span_of(state)))
		return E_OK;
	e = client_forget(r->look->client, it->facts.id, t);
	return e == E_MISSING ? E_OK : e;
}

/* --- one letter --------------------------------------------------------------------------------------------------------- */

/* In the arena of the run: what an interrupted look never tells about goes with it. */
struct moving {
	struct replay *replay;
	char name[];
};

static void
on_moved(void *owner, uint64_t tag UNUSED, enum err e, const char *text)
{
	struct moving *m = owner;

	if (e == E_OK) {
		m->replay->moved++;
	} else {
		m->replay->failed++;
		out_error("%s: %s%s", m->name, text, e == E_CLOSED ? "" : "; it stays");
	}
}

static enum err
move(struct replay *r, struct dead_source *s, const struct dead_item *it, const struct msg *copy,
	struct errtext *t)
{
	struct span name = dead_name(&it->facts);
	struct moving *m = arena_zero(&r->look->cli->arena, sizeof(*m) + name.len + 1);
	enum err e;

	if (m == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	m->replay = r;
	memcpy(m->name, name.ptr, name.len);
	e = browse_move(s->browse, copy, 0, on_moved, m, t);
	if (e != E_TOOBIG)
		return e;
	refuse(r, it, t->text);
	return E_OK;
}

static void
plan(struct replay *r, const struct dead_item *it, struct span to, bool expired)
{
	const struct dead_facts *f = &it->facts;
	const char *cells[4];

	if (r->json != NULL) {
		js_object(r->json);
		js_key(r->json, "id");
		js_string(r->json, dead_name(f));
		js_key(r->json, "task");
		js_string(r->json, f->task);
		js_key(r->json, "to");
		js_string(r->json, to);
		js_key(r->json, "drops_expires");
		js_bool(r->json, expired);
		js_object_end(r->json);
		return;
	}
	cells[0] = must_dup(dead_name(f));
	cells[1] = must_dup(f->task.ptr != NULL ? f->task : SPAN("-"));
	cells[2] = must_dup(to);
	cells[3] = expired ? "had expired: replayed without its expiry" : "";
	grid_add(&r->plan, cells);
	for (size_t i = 0; i < 3; i++)
		alloc_free((void *)(uintptr_t)cells[i]);
}

static enum err
replay_one(void *owner, struct dead_source *s, struct dead_item *it, struct errtext *t)
{
	struct replay *r = owner;
	bool expired = false, go = false;
	struct msg copy;
	enum err e;

	msg_init(&copy, 0);
	if (it->spoiled != NULL) {
		refuse(r, it, it->spoiled);
		goto out;
	}
	e = dead_restore(&copy, it->msg, &r->how, &expired, t);
	if (e == E_NOMEM)
		goto fail;
	if (e != E_OK) {
		refuse(r, it, t->text);
		goto out;
	}
	e = queue_is_there(r, copy.routing_key, &go, t);
	if (e != E_OK)
		goto fail;
	if (!go) {
		char why[400];

		snprintf(why, sizeof(why),
			"there is no queue '%.*s' (start its worker, or choose another with --queue)",
			SPAN_FMT(copy.routing_key));
		refuse(r, it, why);
		goto out;
	}
	e = clear_result(r, it, &go, t);
	if (e != E_OK)
		goto fail;
	if (!go)
		goto out;
	r->expired += expired;
	if (!r->look->f->dry_run) {
		e = move(r, s, it, &copy, t);
		goto fail;
	}
	r->moved++;
	plan(r, it, copy.routing_key, expired);
out:
	e = E_OK;
fail:
	msg_release(&copy);
	return e;
}

/* --- replay ------------------------------------------------------------------------------------------------------------- */

static void
print_sum(const struct replay *r)
{
	struct buf b;
	struct js w;
	const struct {
		const char *key;
		uint64_t n;
	} sums[] = {
		{ "replayed", r->moved },
		{ "failed", r->failed },
		{ "skipped", r->skipped },
		{ "expiries_dropped", r->expired },
	};

	if (!r->look->cli->common.json) {
		printf("replayed %llu of %llu letters\n", (unsigned long long)r->moved,
			(unsigned long long)r->look->matched);
		if (r->expired > 0)
			out_note("%llu had expired and were replayed without their expiry (--keep-expires "
				 "keeps it)",
				(unsigned long long)r->expired);
		return;
	}
	buf_init(&b, 0);
	js_init(&w, &b);
	js_object(&w);
	js_key(&w, "letters");
	js_int(&w, (int64_t)r->look->matched);
	for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
		js_key(&w, sums[i].key);
		js_int(&w, (int64_t)sums[i].n);
	}
	js_object_end(&w);
	out_json(&b);
	buf_release(&b);
}

static int
verdict(const struct replay *r)
{
	int code = dead_look_verdict(r->look);

	return r->failed + r->skipped > 0 ? EXIT_NO : code;
}

static int
do_replay(struct replay *r)
{
	struct errtext why = { "" };
	enum err e = dead_look_each(r->look, replay_one, r, &why);

	if (e != E_OK) {
		out_note("replayed %llu letters before that", (unsigned long long)r->moved);
		return dead_fail(e, &why);
	}
	if (r->look->matched > 0 || r->look->cli->common.json)
		print_sum(r);
	return verdict(r);
}

static int
dry_replay(struct replay *r)
{
	static const char *const titles[] = { "ID", "TASK", "TO", "" };
	struct errtext why = { "" };
	struct buf b;
	struct js w;
	enum err e;

	buf_init(&b, 0);
	js_init(&w, &b);
	grid_init(&r->plan, ARRAY_LEN(titles), titles);
	if (r->look->cli->common.json) {
		r->json = &w; /* cppcheck-suppress autoVariables */
		js_array(&w);
	}
	e = dead_look_each(r->look, replay_one, r, &why);
	if (e == E_OK && r->json != NULL) {
		js_array_end(&w);
		out_json(&b);
	} else if (e == E_OK && r->moved > 0) {
		grid_print(&r->plan);
		out_note("would replay %llu letters", (unsigned long long)r->moved);
	}
	r->json = NULL;
	grid_release(&r->plan);
	buf_release(&b);
	return e == E_OK ? verdict(r) : dead_fail(e, &why);
}

static struct span
text_or_none(const char *text)
{
	return *text != '\0' ? span_of(text) : SPAN_NONE;
}

/* Errors are printed; 0 or the exit code. */
static int
prepare(struct replay *r)
{
	const struct dead_flags *f = r->look->f;
	struct errtext why = { "" };
	enum err e;

	r->how = (struct dead_restore){ .queue = text_or_none(f->queue),
		.args = text_or_none(f->edit_args),
		.kwargs = text_or_none(f->edit_kwargs),
		.keep_expires = f->keep_expires,
		.now = r->look->now };
	e = dead_restore_check(&r->how, &why);
	if (e != E_OK) {
		out_error("dead replay: %s", why.text);
		return EXIT_USAGE;
	}
	if (f->keep_results)
		return 0;
	e = client_connect_backend(r->look->client, &why);
	r->asks_results = e == E_OK;
	if (e == E_CONF)
		out_note("no result backend is set: failures that are stored stay there until the tasks end");
	return e == E_OK || e == E_CONF ? 0 : dead_fail(e, &why);
}

int
dead_replay(struct dead_look *l)
{
	const struct dead_flags *f = l->f;
	struct replay r = { .look = l };
	/* Whoever names each letter has said what he wants. */
	bool asks = l->n_ids == 0 && !f->yes && !f->dry_run;
	int code = dead_check_choice(l, "replay");

	if (code == 0 && asks)
		code = dead_must_say_yes(f, "replay");
	if (code == 0)
		code = prepare(&r);
	if (code == 0 && asks) {
		code = dead_count_and_ask(l, "replay", "Replay");
		if (code != 0 || l->matched == 0)
			return code;
	}
	if (code != 0)
		return code;
	map_init(&r.queues);
	code = f->dry_run ? dry_replay(&r) : do_replay(&r);
	map_release(&r.queues, NULL);
	return code;
}
