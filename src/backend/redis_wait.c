/*
 * Waiting for results. One extra connection listens; for each id: SUBSCRIBE, then look once, then hear every state that is published. The
 * look waits for the answer to the SUBSCRIBE, or a state stored in between would be neither seen nor heard. The key is the truth
 * and a PUBLISH can be lost with its connection, so a slow poll looks again, after one second at first, then every five.
 */
#include "backend/redis_backend.h"

#include "base/alloc.h"

#define POLL_FIRST_MS 1000
#define POLL_MAX_MS 5000

/* All who wait for one id. */
struct wait_key {
	struct redis_backend *rb;
	struct list waits;
	char *key;
	bool is_heard; /* the server has confirmed the subscription */
};

struct redis_wait {
	struct backend_wait base;
	struct list link;    /* wait_key.waits */
	struct list all;     /* redis_backend.all_waits */
	uint64_t heard;      /* the last message told of */
	struct wait_key *at; /* NULL once it is over */
	struct loop *loop;
	char *id;
	backend_load_fn *fn;
	void *owner;
	struct loop_timer poll;
	ms_t poll_ms;
	bool asking;    /* a GET is under way and will come back to this wait */
	bool ask_again; /* ... which was sent too early to be the last word */
	bool over;
};

static void
wait_free(void *p)
{
	struct redis_wait *w = p;

	loop_timer_release(&w->poll);
	list_unlink(&w->all);
	alloc_free(w->id);
	alloc_free(w);
}

static void
key_free(struct wait_key *k)
{
	alloc_free(k->key);
	alloc_free(k);
}

/* Takes the wait out; its memory goes when nothing points to it any more. */
static void
wait_end(struct redis_wait *w)
{
	struct wait_key *k = w->at;

	if (w->over)
		return;
	w->over = true;
	w->at = NULL;
	list_unlink(&w->link);
	loop_timer_disarm(&w->poll);
	if (k != NULL && list_is_empty(&k->waits)) {
		if (k->rb->listener != NULL)
			rds_unsubscribe(k->rb->listener, span_of(k->key));
		(void)map_del(&k->rb->waits, span_of(k->key));
		key_free(k);
	}
	if (w->asking)
		return;
	/* Nobody may find it any more: closing the backend frees all it finds. */
	list_unlink(&w->all);
	loop_reap(w->loop, wait_free, w);
}

static void
cancel(struct backend_wait *w)
{
	wait_end(container_of(w, struct redis_wait, base));
}

static void look(struct redis_wait *w);

static void
tell(struct redis_wait *w, enum err e, const struct result *r, const char *why)
{
	backend_load_fn *fn = w->fn;
	void *owner = w->owner;

	/* Before the call: its owner may forget the handle in it. */
	if (r != NULL && result_is_ready(r->state))
		wait_end(w);
	fn(owner, e, r, why);
}

static void
on_looked(void *owner, enum err e, const struct result *r, const char *why)
{
	struct redis_wait *w = owner;

	w->asking = false;
	if (w->over) {
		list_unlink(&w->all);
		loop_reap(w->loop, wait_free, w);
		return;
	}
	loop_timer_arm(&w->poll, w->poll_ms);
	w->poll_ms = w->poll_ms * 2 < POLL_MAX_MS ? w->poll_ms * 2 : POLL_MAX_MS;
	if (w->ask_again && !(e == E_OK && result_is_ready(r->state)))
		look(w);
	/* A backend that is away says so through its events; the wait goes on. */
	if (e != E_CLOSED && e != E_TIMEOUT)
		tell(w, e, r, why);
}

static void
look(struct redis_wait *w)
{
	w->ask_again = w->asking;
	if (w->asking)
		return;
	w->asking = backend_load(&w->at->rb->base, span_of(w->id), on_looked, w) == E_OK;
	if (!w->asking)
		loop_timer_arm(&w->poll, w->poll_ms);
}

static void
on_poll(void *owner)
{
	look(owner);
}

/* --- the listening connection ------------------------------------------------------------------------------------------ */

/* Whom this message has not been told yet. Looked up anew each time: what is called may end this wait and others. */
static struct redis_wait *
next_to_tell(struct redis_backend *rb, struct span key)
{
	struct wait_key *k = map_get(&rb->waits, key);
	struct list *it, *tmp;

	if (k == NULL)
		return NULL;
	LIST_EACH (&k->waits, it, tmp) {
		struct redis_wait *w = container_of(it, struct redis_wait, link);

		if (w->heard != rb->messages)
			return w;
	}
	return NULL;
}

static void
on_message(void *owner, struct span channel, struct span payload)
{
	struct redis_backend *rb = owner;
	struct redis_wait *w;
	struct result r;
	struct arena a;
	struct errtext t;
	enum err e;

	arena_init(&a, 0);
	e = result_decode(&r, payload, &a, &t);
	rb->messages++;
	while ((w = next_to_tell(rb, channel)) != NULL) {
		w->heard = rb->messages;
		tell(w, e, e == E_OK ? &r : NULL, e == E_OK ? "" : t.text);
	}
	arena_release(&a);
}

static void
on_listener_up(void *owner UNUSED)
{
	/* What matters is that the subscriptions are made. */
}

static void
on_subscribed(void *owner, struct span channel)
{
	struct redis_backend *rb = owner;
	struct wait_key *k = map_get(&rb->waits, channel);
	struct list *it, *tmp;

	if (k == NULL)
		return;
	k->is_heard = true;
	/* Also after a reconnect: what was published meanwhile was not heard. */
	LIST_EACH (&k->waits, it, tmp)
		look(container_of(it, struct redis_wait, link));
}

void
redis_waits_look(struct redis_backend *rb)
{
	struct list *it, *tmp;

	LIST_EACH (&rb->all_waits, it, tmp) {
		struct redis_wait *w = container_of(it, struct redis_wait, all);

		if (!w->over && !w->asking)
			look(w);
	}
}

static void
on_listener_down(void *owner, const struct rds_down *d UNUSED)
{
	struct redis_backend *rb = owner;
	struct map_iter it = { 0 };

	/* The other connection to the same server tells the owner; the slow poll goes on meanwhile. */
	while (map_next(&rb->waits, &it))
		((struct wait_key *)it.value)->is_heard = false;
}

static enum err
open_listener(struct redis_backend *rb)
{
	static const struct rds_ops ops = { .on_up = on_listener_up,
		.on_down = on_listener_down,
		.on_message = on_message,
		.on_subscribed = on_subscribed };
	enum err e;

	if (rb->listener != NULL)
		return E_OK;
	e = rds_new(&rb->listener, rb->base.loop, &rb->conf, &ops, rb, NULL);
	if (e == E_OK)
		rds_start(rb->listener);
	return e;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static enum err
key_open(struct redis_backend *rb, struct span id, struct wait_key **out)
{
	struct span key = redis_key(rb, id);
	struct wait_key *k;
	enum err e;

	if (key.ptr == NULL)
		return E_NOMEM;
	*out = map_get(&rb->waits, key);
	if (*out != NULL)
		return E_OK;
	k = alloc_zero(sizeof(*k));
	if (k == NULL)
		return E_NOMEM;
	k->rb = rb;
	list_init(&k->waits);
	k->key = alloc_dup(key);
	e = k->key != NULL ? map_set(&rb->waits, key, k, NULL) : E_NOMEM;
	if (e != E_OK) {
		key_free(k);
		return e;
	}
	/* Kept by the connection and made on its next up when it is not up now; where it cannot be made, the poll makes up for it. */
	if (rds_subscribe(rb->listener, key) == E_NOMEM) {
		(void)map_del(&rb->waits, key);
		key_free(k);
		return E_NOMEM;
	}
	*out = k;
	return E_OK;
}

enum err
redis_wait_open(struct backend_wait **out, struct backend *b, struct span id, backend_load_fn *fn, void *owner)
{
	struct redis_backend *rb = container_of(b, struct redis_backend, base);
	struct redis_wait *w = alloc_zero(sizeof(*w));
	enum err e = open_listener(rb);

	if (w == NULL)
		return E_NOMEM;
	w->base.cancel = cancel;
	w->loop = b->loop;
	w->fn = fn;
	w->owner = owner;
	w->poll_ms = POLL_FIRST_MS;
	w->id = alloc_dup(id);
	if (e == E_OK && w->id == NULL)
		e = E_NOMEM;
	if (e == E_OK)
		e = loop_timer_init(&w->poll, b->loop, on_poll, w);
	if (e == E_OK)
		e = key_open(rb, id, &w->at);
	if (e != E_OK) {
		wait_free(w);
		return e;
	}
	list_push(&w->at->waits, &w->link);
	list_push(&rb->all_waits, &w->all);
	if (w->at->is_heard)
		look(w);
	else
		loop_timer_arm(&w->poll, w->poll_ms);
	*out = &w->base;
	return E_OK;
}

void
redis_waits_release(struct redis_backend *rb)
{
	struct map_iter it = { 0 };
	struct list *w, *tmp;

	rds_close(rb->listener);
	rb->listener = NULL;
	LIST_EACH (&rb->all_waits, w, tmp)
		wait_free(container_of(w, struct redis_wait, all));
	while (map_next(&rb->waits, &it))
		key_free(it.value);
	map_release(&rb->waits, NULL);
}
