/*
 * Results in Redis, in Celery's layout (celery-wire.md section 3): key celery-task-meta-<id>, and PUBLISH of the same text on a channel of
 * the same name. A script does it in one step, and keeps what is final: a SUCCESS for good, other final states against
 * states that are not. Stores wait in order; an attempt ends by its reply, or with the connection, after which it is made again.
 */
#include "backend/redis_backend.h"

#include "base/alloc.h"
#include "base/backoff.h"
#include "base/id.h"
#include "base/url.h"

/*
 * The state stands at the front of what Celery and warren write, so that 64 bytes tell it; whatever else stands there is decoded in full.
 * KEYS[1] the key; ARGV: text, seconds to keep (0 = for ever), "1" when the new state is final.
 */
static const char script[] =
	"local head = redis.call('GETRANGE', KEYS[1], 0, 63)\n"
	"if head ~= '' then\n"
	"  local state = string.match(head, '^{\"status\": ?\"([^\"]*)\"')\n"
	"  if not state then\n"
	"    local fine, meta = pcall(cjson.decode, redis.call('GET', KEYS[1]))\n"
	"    state = fine and type(meta) == 'table' and meta['status']\n"
	"  end\n"
	"  if state == 'SUCCESS' then return 0 end\n"
	"  if ARGV[3] ~= '1' and (state == 'FAILURE' or state == 'REVOKED') then return 0 end\n"
	"end\n"
	"if ARGV[2] == '0' then redis.call('SET', KEYS[1], ARGV[1])\n"
	"else redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end\n"
	"redis.call('PUBLISH', KEYS[1], ARGV[1])\n"
	"return 1\n";

#define RETRY_BASE_MS 50
#define RETRY_MAX_MS 5000

/* One attempt at one store. The store may be cancelled while its command is on the way: then the flight lands nowhere. */
struct flight {
	struct list link;
	struct redis_backend *rb;
	struct backend_store *store;
};

static void pump(struct redis_backend *rb);

static struct redis_backend *
redis_of(const struct backend *b)
{
	return container_of(b, struct redis_backend, base);
}

void
redis_add_key(const struct redis_backend *rb, struct buf *b, struct span id)
{
	buf_adds(b, rb->prefix);
	buf_add(b, id);
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

static void
try_later(struct redis_backend *rb)
{
	if (rb->retry.armed)
		return;
	rb->failures++;
	loop_timer_arm(&rb->retry, backoff_full_jitter(RETRY_BASE_MS, RETRY_MAX_MS, rb->failures, id_random_u64()));
}

static void
on_script(void *owner, enum err e, const struct rds_reply *r)
{
	struct redis_backend *rb = owner;

	if (e == E_OK && r->type == RDS_STRING && r->str.len < sizeof(rb->sha)) {
		snprintf(rb->sha, sizeof(rb->sha), "%.*s", SPAN_FMT(r->str));
		pump(rb);
	} else if (e == E_OK) {
		try_later(rb);
	}
}

static void
load_script(struct redis_backend *rb)
{
	struct span argv[] = { SPAN("SCRIPT"), SPAN("LOAD"), SPAN(script) };

	rb->sha[0] = '\0';
	/* Not up: on_up comes here again. */
	if (rds_command(rb->rds, argv, ARRAY_LEN(argv), 0, on_script, rb) == E_AGAIN)
		try_later(rb);
}

/* True when the reply tells of a trouble that passes. */
static bool
will_pass(struct redis_backend *rb, const struct rds_reply *r)
{
	if (span_starts(r->str, "NOSCRIPT")) {
		load_script(rb);
		return true;
	}
	if (rds_trouble(r) == RDS_BUG)
		return false;
	try_later(rb);
	return true;
}

static void
on_stored(void *owner, enum err e, const struct rds_reply *r)
{
	struct flight *f = owner;
	struct redis_backend *rb = f->rb;
	struct backend_store *s = f->store;
	struct errtext why;

	list_unlink(&f->link);
	alloc_free(f);
	if (s == NULL)
		return;
	s->flight = NULL;
	/* Lost with the connection: the next one sends it again. */
	if (e != E_OK)
		return;
	if (r->type == RDS_ERROR) {
		if (will_pass(rb, r))
			return;
		err_set(&why, E_REFUSED, "%.*s", SPAN_FMT(r->str));
		finish(rb, s, E_REFUSED, why.text);
		return;
	}
	rb->failures = 0;
	finish(rb, s, E_OK, "");
}

static enum err
send(struct redis_backend *rb, struct backend_store *s)
{
	struct flight *f = alloc_zero(sizeof(*f));
	struct buf key;
	enum err e;

	if (f == NULL)
		return E_NOMEM;
	buf_init(&key, 0);
	redis_add_key(rb, &key, span_of(s->id));
	e = key.err;
	if (e == E_OK) {
		struct span argv[] = { SPAN("EVALSHA"), span_of(rb->sha), SPAN("1"), buf_span(&key), buf_span(&s->payload), span_of(rb->ttl),
			s->is_final ? SPAN("1") : SPAN("0") };

		f->rb = rb;
		f->store = s;
		e = rds_command(rb->rds, argv, ARRAY_LEN(argv), 0, on_stored, f);
	}
	buf_release(&key);
	if (e != E_OK) {
		alloc_free(f);
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

	if (rb->sha[0] == '\0' || !rds_is_up(rb->rds))
		return;
	LIST_EACH(&rb->stores, it, tmp) {
		struct backend_store *s = container_of(it, struct backend_store, link);
		enum err e = s->flight == NULL ? send(rb, s) : E_OK;

		if (e == E_CLOSED)
			return;
		if (e != E_OK) {
			try_later(rb);
			return;
		}
	}
}

static void
on_retry(void *owner)
{
	struct redis_backend *rb = owner;

	if (rb->sha[0] == '\0')
		load_script(rb);
	else
		pump(rb);
}

static enum err
redis_store(struct backend *b, struct backend_store *s)
{
	struct redis_backend *rb = redis_of(b);
	bool is_next = rb->sha[0] != '\0' && !rb->retry.armed;

	list_push(&rb->stores, &s->link);
	rb->n_stores++;
	/* While others wait for a better time this one queues behind them: order is kept for each id. */
	if (is_next && send(rb, s) == E_AGAIN)
		try_later(rb);
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

static enum err
ask(struct redis_backend *rb, const char *command, struct span id, backend_load_fn *fn, void *owner)
{
	struct load *l = alloc_zero(sizeof(*l));
	struct buf key;
	enum err e;

	if (l == NULL)
		return E_NOMEM;
	*l = (struct load){ .fn = fn, .owner = owner };
	buf_init(&key, 0);
	redis_add_key(rb, &key, id);
	e = key.err;
	if (e == E_OK)
		e = rds_command(rb->rds, (struct span[]){ span_of(command), buf_span(&key) }, 2, 0, on_loaded, l);
	buf_release(&key);
	if (e == E_OK)
		list_push(&rb->loads, &l->link);
	else
		alloc_free(l);
	return e;
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

	rb->failures = 0;
	loop_timer_disarm(&rb->retry);
	load_script(rb);
	if (rb->base.events != NULL && rb->base.events->on_up != NULL)
		rb->base.events->on_up(rb->base.owner);
}

static void
on_down(void *owner, const struct rds_down *d)
{
	struct redis_backend *rb = owner;

	rb->sha[0] = '\0';
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
redis_close(struct backend *b)
{
	struct redis_backend *rb = redis_of(b);
	struct list *it;

	/* No reply comes after this: what is on the way ends here. */
	rds_close(rb->rds);
	while ((it = list_pop(&rb->flights)) != NULL)
		alloc_free(container_of(it, struct flight, link));
	while ((it = list_pop(&rb->loads)) != NULL)
		alloc_free(container_of(it, struct load, link));
	while ((it = list_pop(&rb->stores)) != NULL)
		container_of(it, struct backend_store, link)->flight = NULL;
	redis_waits_release(rb);
	loop_timer_release(&rb->retry);
	alloc_free(rb->prefix);
	if (rb->url != NULL)
		explicit_bzero(rb->url, strlen(rb->url));
	alloc_free(rb->url);
	alloc_free(rb);
}

enum err
redis_open(struct backend **out, struct loop *l, const struct backend_conf *conf, const struct backend_events *ev, void *owner,
	struct errtext *t)
{
	static const struct backend_ops ops = {
		.close = redis_close, .is_up = redis_is_up, .url = redis_url, .store = redis_store, .cancel = redis_cancel,
		.pending = redis_pending, .load = redis_load, .forget = redis_forget, .wait = redis_wait_open,
	};
	static const struct rds_ops rds_ops = { .on_up = on_up, .on_down = on_down };
	struct redis_backend *rb = alloc_zero(sizeof(*rb));
	enum err e = E_NOMEM;

	if (rb == NULL)
		return err_set(t, E_NOMEM, "out of memory for the result backend");
	rb->base = (struct backend){ .ops = &ops, .loop = l, .events = ev, .owner = owner };
	list_init(&rb->stores);
	list_init(&rb->flights);
	list_init(&rb->loads);
	list_init(&rb->all_waits);
	map_init(&rb->waits);
	snprintf(rb->ttl, sizeof(rb->ttl), "%lld", (long long)conf->result_expires_s);
	rb->url = alloc_dup(span_of(conf->url));
	rb->prefix = alloc_printf("%s%s", conf->key_prefix != NULL ? conf->key_prefix : "", RESULT_KEY_PREFIX);
	rb->conf = (struct rds_conf){ .url = rb->url, .command_ms = conf->command_ms, .tls = conf->tls };
	if (rb->url != NULL && rb->prefix != NULL)
		e = loop_timer_init(&rb->retry, l, on_retry, rb);
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
