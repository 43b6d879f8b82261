/*
 * Results in Redis, in Celery's layout (celery-wire.md section 3): key celery-task-meta-<id>, and PUBLISH of the same text on a channel of
 * the same name. A script does it in one step, and keeps what is final: a SUCCESS for good, other final states against
 * states that are not. Stores wait in order; an attempt ends by its reply, or with the connection, after which it is made again.
 */
#include "backend/redis_backend.h"

#include "base/alloc.h"
#include "base/url.h"

/*
 * The state stands at the front of what Celery and warren write, so that 64 bytes tell it; whatever else stands there is decoded in full.
 * KEYS[1] the key; ARGV: text, seconds to keep (0 = for ever), "1" when the new state is final. SET is called so that its error comes
 * back as it is: before Redis 7 a failing script hides "OOM ..." behind words of its own. KEYS[2], with the end of a run: its note; ARGV: the
 * text of that ("" = none) and the milliseconds to keep it.
 */
static const char script[] =
	"local function note()\n"
	"  if not KEYS[2] then return end\n"
	"  if ARGV[4] == '' then redis.call('DEL', KEYS[2])\n"
	"  else redis.pcall('SET', KEYS[2], ARGV[4], 'PX', ARGV[5]) end\n"
	"end\n"
	"local head = redis.pcall('GETRANGE', KEYS[1], 0, 63)\n"
	"if type(head) == 'table' then return head end\n"
	"if head ~= '' then\n"
	"  local state = string.match(head, '^{\"status\": ?\"([^\"]*)\"')\n"
	"  if not state then\n"
	"    local fine, meta = pcall(cjson.decode, redis.call('GET', KEYS[1]))\n"
	"    state = fine and type(meta) == 'table' and meta['status']\n"
	"  end\n"
	"  if state == 'SUCCESS' then note() return 0 end\n"
	"  if ARGV[3] ~= '1' and (state == 'FAILURE' or state == 'REVOKED') then return 0 end\n"
	"end\n"
	"local done\n"
	"if ARGV[2] == '0' then done = redis.pcall('SET', KEYS[1], ARGV[1])\n"
	"else done = redis.pcall('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end\n"
	"if done['err'] then return done end\n"
	"redis.call('PUBLISH', KEYS[1], ARGV[1])\n"
	"note()\n"
	"return 1\n";

/* One attempt at one store. The store may be cancelled while its command is on the way: then the flight lands nowhere. */
struct flight {
	struct list link;
	struct redis_backend *rb;
	struct backend_store *store;
};

static struct redis_backend *
redis_of(const struct backend *b)
{
	return container_of(b, struct redis_backend, base);
}

struct span
redis_key(struct redis_backend *rb, struct span id)
{
	buf_reset(&rb->key);
	buf_adds(&rb->key, rb->prefix);
	buf_add(&rb->key, id);
	return rb->key.err == E_OK ? buf_span(&rb->key) : SPAN_NONE;
}

/* --- storing ----------------------------------------------------------------------------------------------------------- */

static void
unlink_store(struct redis_backend *rb, struct backend_store *s)
{
	if (s->flight != NULL)
		((struct flight *)s->flight)->store = NULL;
	s->flight = NULL;
	list_unlink(&s->link);
	rb->n_stores--;
}

static void
finish(struct redis_backend *rb, struct backend_store *s, enum err e, const char *why)
{
	unlink_store(rb, s);
	s->fn(s, e, why);
}

/*
 * A passing state that had to wait while a later one of the same task got through must not come after it. Usually the store that is
 * done was the first in line, and there is nothing to look at.
 */
static struct backend_store *
next_outrun(struct redis_backend *rb, const struct backend_store *done)
{
	for (struct list *it = rb->stores.next; it != &done->link; it = it->next) {
		struct backend_store *s = container_of(it, struct backend_store, link);

		if (s->flight == NULL && !s->is_final && strcmp(s->id, done->id) == 0)
			return s;
	}
	return NULL;
}

static void
finish_stored(struct redis_backend *rb, struct backend_store *s)
{
	struct flight *hold = s->flight;
	struct backend_store *outrun;

	/* The callbacks of the others may cancel this one, which clears the flight's store. */
	while (hold->store != NULL && (outrun = next_outrun(rb, hold->store)) != NULL)
		finish(rb, outrun, E_OK, "");
	if (hold->store != NULL)
		finish(rb, hold->store, E_OK, "");
}

/* What cannot be stored for a reason that stays is given back, lest its owner waits for ever without a word. */
static void
refuse_all(struct redis_backend *rb, const char *why)
{
	struct list *it;

	/* Whoever stores again in the callback goes to the end, so that this comes to an end. */
	for (size_t n = rb->n_stores; n > 0 && !rb->is_closed && (it = rb->stores.next) != &rb->stores; n--)
		finish(rb, container_of(it, struct backend_store, link), E_REFUSED, why);
}

static void
land(struct flight *f)
{
	list_unlink(&f->link);
	list_push(&f->rb->spare_flights, &f->link);
}

static void
on_stored(void *owner, enum err e, const struct rds_reply *r)
{
	struct flight *f = owner;
	struct redis_backend *rb = f->rb;
	struct backend_store *s = f->store;
	struct errtext why;

	if (s != NULL && e == E_OK && r->type != RDS_ERROR) {
		rb->storing.failures = 0;
		finish_stored(rb, s);
		/* Still there if a callback has closed the backend: that frees at the turn's end. */
		land(f);
		return;
	}
	f->store = NULL;
	land(f);
	if (s == NULL)
		return;
	s->flight = NULL;
	/* Lost with the connection, or for a passing reason: it is sent again. */
	if (e != E_OK || redis_script_will_pass(&rb->storing, r))
		return;
	(void)err_set(&why, E_REFUSED, "%.*s", SPAN_FMT(r->str));
	finish(rb, s, E_REFUSED, why.text);
}

static struct flight *
take_off(struct redis_backend *rb, struct backend_store *s)
{
	struct list *it = list_pop(&rb->spare_flights);
	struct flight *f = it != NULL ? container_of(it, struct flight, link) : alloc_zero(sizeof(*f));

	if (f != NULL) {
		f->rb = rb;
		f->store = s;
	}
	return f;
}

static enum err
send(struct redis_backend *rb, struct backend_store *s)
{
	struct span is_final = s->is_final ? SPAN("1") : SPAN("0"), key = redis_key(rb, span_of(s->id));
	struct span plain[] = { SPAN("EVALSHA"), span_of(rb->storing.sha), SPAN("1"), key,
		buf_span(&s->payload), span_of(rb->ttl), is_final };
	struct span noting[] = { SPAN("EVALSHA"), span_of(rb->storing.sha), SPAN("2"), key, SPAN_NONE,
		buf_span(&s->payload), span_of(rb->ttl), is_final, span_of(s->note),
		SPAN(REDIS_NOTE_KEEP_OVER_TEXT) };
	struct flight *f;
	enum err e;

	if (s->has_note) {
		redis_note_key(rb, &rb->text, span_of(s->id));
		noting[4] = buf_span(&rb->text);
	}
	f = key.ptr != NULL && rb->text.err == E_OK ? take_off(rb, s) : NULL;
	if (f == NULL)
		return E_NOMEM;
	e = s->has_note ? rds_command(rb->rds, noting, ARRAY_LEN(noting), 0, on_stored, f)
			: rds_command(rb->rds, plain, ARRAY_LEN(plain), 0, on_stored, f);
	if (e != E_OK) {
		list_push(&rb->spare_flights, &f->link);
		return e;
	}
	s->flight = f;
	list_push(&rb->flights, &f->link);
	return E_OK;
}

/* Sends what is not under way, in order. */
static void
pump(struct redis_backend *rb)
{
	struct list *it, *tmp;

	if (rb->storing.sha[0] == '\0' || !rds_is_up(rb->rds))
		return;
	LIST_EACH (&rb->stores, it, tmp) {
		struct backend_store *s = container_of(it, struct backend_store, link);
		enum err e = s->flight == NULL ? send(rb, s) : E_OK;

		if (e == E_CLOSED)
			return;
		if (e != E_OK) {
			redis_script_try_later(&rb->storing, SPAN_NONE);
			return;
		}
	}
}

static void
go_on(struct redis_backend *rb)
{
	if (rb->storing.sha[0] == '\0')
		redis_script_load(&rb->storing);
	else
		pump(rb);
}

static enum err
redis_store(struct backend *b, struct backend_store *s)
{
	struct redis_backend *rb = redis_of(b);
	bool is_next = redis_script_is_ready(&rb->storing);
	enum err e;

	list_push(&rb->stores, &s->link);
	rb->n_stores++;
	/* While others wait for a better time this one queues behind them: order is kept for each id. */
	if (!is_next)
		return E_OK;
	e = send(rb, s);
	if (e != E_OK && e != E_CLOSED)
		redis_script_try_later(&rb->storing, SPAN_NONE);
	return E_OK;
}

static void
redis_cancel(struct backend *b, struct backend_store *s)
{
	unlink_store(redis_of(b), s);
}

static size_t
redis_pending(const struct backend *b)
{
	return redis_of(b)->n_stores;
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

struct load {
	struct list link;
	backend_load_fn *fn;
	void *owner;
};

void
redis_deliver(backend_load_fn *fn, void *owner, struct span value, bool *is_final)
{
	struct result r;
	struct arena a;
	struct errtext t;
	enum err e;

	arena_init(&a, 0);
	e = result_decode(&r, value, &a, &t);
	*is_final = e == E_OK && result_is_ready(r.state);
	fn(owner, e, e == E_OK ? &r : NULL, e == E_OK ? "" : t.text);
	arena_release(&a);
}

static void
on_loaded(void *owner, enum err e, const struct rds_reply *r)
{
	struct load *l = owner;
	struct errtext t;
	bool is_final;

	list_unlink(&l->link);
	if (e != E_OK) {
		l->fn(l->owner, e, NULL, err_name(e));
	} else if (r->type == RDS_STRING) {
		redis_deliver(l->fn, l->owner, r->str, &is_final);
	} else if (r->type == RDS_ERROR) {
		err_set(&t, E_REFUSED, "%.*s", SPAN_FMT(r->str));
		l->fn(l->owner, E_REFUSED, NULL, t.text);
	} else if (r->type == RDS_INTEGER) {
		l->fn(l->owner, r->integer > 0 ? E_OK : E_MISSING, NULL, "");
	} else {
		l->fn(l->owner, E_MISSING, NULL, "");
	}
	alloc_free(l);
}

/* A result that is forgotten is of a task that is to run again, whatever was noted of its runs. */
static enum err
ask(struct redis_backend *rb, const char *command, struct span id, backend_load_fn *fn, void *owner)
{
	bool forgets = strcmp(command, "DEL") == 0;
	struct span argv[] = { span_of(command), redis_key(rb, id), SPAN_NONE };
	struct load *l = argv[1].ptr != NULL ? alloc_zero(sizeof(*l)) : NULL;
	enum err e;

	if (l == NULL)
		return E_NOMEM;
	*l = (struct load){ .fn = fn, .owner = owner };
	redis_note_key(rb, &rb->text, id);
	argv[2] = buf_span(&rb->text);
	e = rds_command(rb->rds, argv, forgets ? 3 : 2, 0, on_loaded, l);
	if (e == E_OK)
		list_push(&rb->loads, &l->link);
	else
		alloc_free(l);
	return e;
}

static void
no_answer(void *owner UNUSED, enum err e UNUSED, const struct result *r UNUSED, const char *why UNUSED)
{
}

static void
redis_load_cancel(struct backend *b, void *owner)
{
	struct list *it, *tmp;

	LIST_EACH (&redis_of(b)->loads, it, tmp) {
		struct load *l = container_of(it, struct load, link);

		if (l->owner == owner)
			l->fn = no_answer;
	}
}

static enum err
redis_load(struct backend *b, struct span id, backend_load_fn *fn, void *owner)
{
	return ask(redis_of(b), "GET", id, fn, owner);
}

static enum err
redis_forget(struct backend *b, struct span id, backend_load_fn *fn, void *owner)
{
	return ask(redis_of(b), "DEL", id, fn, owner);
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static void
on_up(void *owner)
{
	struct redis_backend *rb = owner;

	redis_script_on_up(&rb->storing);
	redis_script_load(&rb->storing);
	redis_chords_on_up(rb);
	redis_waits_look(rb);
	if (rb->base.events != NULL && rb->base.events->on_up != NULL)
		rb->base.events->on_up(rb->base.owner);
}

static void
on_down(void *owner, const struct rds_down *d)
{
	struct redis_backend *rb = owner;

	redis_script_on_down(&rb->storing);
	redis_script_on_down(&rb->chords.script);
	if (rb->base.events != NULL && rb->base.events->on_down != NULL)
		rb->base.events->on_down(rb->base.owner, d->url, d->text, d->retry_ms, d->was_up);
}

static bool
redis_is_up(const struct backend *b)
{
	return rds_is_up(redis_of(b)->rds);
}

static const char *
redis_url(const struct backend *b)
{
	return rds_url(redis_of(b)->rds);
}

static void
free_flights(struct list *flights)
{
	struct list *it;

	while ((it = list_pop(flights)) != NULL)
		alloc_free(container_of(it, struct flight, link));
}

static void
redis_free(void *p)
{
	struct redis_backend *rb = p;

	free_flights(&rb->flights);
	free_flights(&rb->spare_flights);
	buf_release(&rb->key);
	buf_release(&rb->text);
	alloc_free(rb->prefix);
	if (rb->own[0] != NULL)
		explicit_bzero(rb->own[0], strlen(rb->own[0]));
	for (size_t i = 0; i < ARRAY_LEN(rb->own); i++)
		alloc_free(rb->own[i]);
	alloc_free(rb);
}

/* May come from inside any callback, so only what nobody up the stack can touch goes at once; the loop frees the rest. */
static void
redis_close(struct backend *b)
{
	struct redis_backend *rb = redis_of(b);
	struct list *it;

	rb->is_closed = true;
	/* No reply comes after this: what is on the way ends here. */
	rds_close(rb->rds);
	while ((it = list_pop(&rb->loads)) != NULL)
		alloc_free(container_of(it, struct load, link));
	while ((it = rb->stores.next) != &rb->stores)
		unlink_store(rb, container_of(it, struct backend_store, link));
	redis_chords_release(rb);
	redis_kept_release(rb);
	redis_notes_release(rb);
	redis_turn_release(rb);
	redis_waits_release(rb);
	redis_script_release(&rb->storing);
	loop_reap(b->loop, redis_free, rb);
}

/* The caller's strings need not live on, but the second connection is made from them later. */
static enum err
keep_conf(struct redis_backend *rb, const struct backend_conf *conf)
{
	const char *const from[] = { conf->url, conf->tls.ca_file, conf->tls.cert_file, conf->tls.key_file };
	const char *prefix = conf->key_prefix != NULL ? conf->key_prefix : "";

	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		rb->own[i] = alloc_dup(span_of(from[i]));
		if (from[i] != NULL && rb->own[i] == NULL)
			return E_NOMEM;
	}
	rb->conf = (struct rds_conf){
		.url = rb->own[0],
		.command_ms = conf->command_ms,
		.tls = { .ca_file = rb->own[1],
			.cert_file = rb->own[2],
			.key_file = rb->own[3],
			.no_verify = conf->tls.no_verify },
	};
	rb->prefix = alloc_printf("%s%s%s", prefix, backend_prefix_joint(prefix), RESULT_KEY_PREFIX);
	rb->own_prefix = rb->prefix != NULL ? strlen(rb->prefix) - strlen(RESULT_KEY_PREFIX) : 0;
	snprintf(rb->ttl, sizeof(rb->ttl), "%lld", (long long)conf->result_expires_s);
	return rb->prefix != NULL ? E_OK : E_NOMEM;
}

enum err
redis_open(struct backend **out, struct loop *l, const struct backend_conf *conf,
	const struct backend_events *ev, void *owner, struct errtext *t)
{
	static const struct backend_ops ops = {
		.close = redis_close,
		.is_up = redis_is_up,
		.url = redis_url,
		.store = redis_store,
		.cancel = redis_cancel,
		.pending = redis_pending,
		.load = redis_load,
		.load_cancel = redis_load_cancel,
		.keep = redis_keep,
		.kept = redis_kept,
		.turn = redis_turn,
		.turn_cancel = redis_turn_cancel,
		.chord = redis_chord,
		.chord_cancel = redis_chord_cancel,
		.note = redis_note,
		.claim = redis_claim,
		.note_cancel = redis_note_cancel,
		.forget = redis_forget,
		.wait = redis_wait_open,
	};
	static const struct rds_ops rds_ops = { .on_up = on_up, .on_down = on_down };
	struct redis_backend *rb;
	enum err e;

	if (conf->result_expires_s < 0)
		return err_set(t, E_CONF,
			"results cannot expire after %lld s: write 0 to keep them for ever, or more",
			(long long)conf->result_expires_s);
	rb = alloc_zero(sizeof(*rb));
	if (rb == NULL)
		return err_set(t, E_NOMEM, "out of memory for the result backend");
	rb->base = (struct backend){
		.ops = &ops, .has_notes = conf->lease_ms > 0, .loop = l, .events = ev, .owner = owner
	};
	rb->lease_ms = conf->lease_ms;
	rb->chords.is_list = conf->chords_unordered;
	list_init(&rb->stores);
	list_init(&rb->flights);
	list_init(&rb->spare_flights);
	list_init(&rb->loads);
	list_init(&rb->asked);
	list_init(&rb->turns);
	list_init(&rb->chords.ops);
	list_init(&rb->chords.flights);
	list_init(&rb->noted);
	list_init(&rb->all_waits);
	map_init(&rb->waits);
	buf_init(&rb->key, 0);
	buf_init(&rb->text, 0);
	e = keep_conf(rb, conf);
	if (e == E_OK)
		e = redis_script_init(&rb->storing, rb, script, go_on, refuse_all);
	if (e == E_OK)
		e = redis_chords_init(rb);
	if (e == E_OK)
		e = rds_new(&rb->rds, l, &rb->conf, &rds_ops, rb, t);
	else
		(void)err_set(t, e, "out of memory for the result backend");
	if (e != E_OK) {
		redis_close(&rb->base);
		return e;
	}
	rds_start(rb->rds);
	*out = &rb->base;
	return E_OK;
}
