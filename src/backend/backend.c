/* The kinds of backends behind one set of functions: chosen by the URL's scheme, called through their table. */
#include "backend/backend.h"

#include "backend/ops.h"
#include "base/alloc.h"

struct kind {
	const char *scheme;
	enum err (*open)(struct backend **out, struct loop *l, const struct backend_conf *conf,
		const struct backend_events *ev, void *owner, struct errtext *t);
};

static const struct kind kinds[] = {
	{ "redis://", redis_open },
	{ "rediss://", redis_open },
	{ "unix://", redis_open },
	{ "redis+socket://", redis_open },
	{ "rpc://", rpc_open },
};

enum err
backend_open(struct backend **out, struct loop *l, const struct backend_conf *conf,
	const struct backend_events *ev, void *owner, struct errtext *t)
{
	struct span url = span_of(conf->url);

	*out = NULL;
	if (url.len == 0 || span_is(url, "none") || span_is(url, "disabled"))
		return none_open(out, l);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (span_starts(url, kinds[i].scheme))
			return kinds[i].open(out, l, conf, ev, owner, t);
	/* Only the scheme is shown: the rest may hold a password. */
	url = span_split(&url, ':');
	return err_set(t, E_CONF,
		"result backend \"%.*s:...\" is not supported: use redis://, rediss://, unix://, rpc:// or none",
		SPAN_FMT(url));
}

void
backend_close(struct backend *b)
{
	if (b != NULL)
		b->ops->close(b);
}

bool
backend_is_up(const struct backend *b)
{
	return b->ops->is_up(b);
}

bool
backend_is_none(const struct backend *b)
{
	return b->ops->store == NULL;
}

bool
backend_keeps(const struct backend *b)
{
	return b->ops->load != NULL;
}

const char *
backend_reply_to(const struct backend *b)
{
	return b->ops->reply_to != NULL ? b->ops->reply_to(b) : NULL;
}

const char *
backend_url(const struct backend *b)
{
	return b->ops->url(b);
}

static enum err
begin_store(struct backend *b, struct backend_store *s, struct span id,
	void (*fn)(struct backend_store *s, enum err e, const char *why))
{
	if (b->ops->store == NULL)
		return E_REFUSED;
	if (id.len == 0 || id.len >= sizeof(s->id))
		return E_FORMAT;
	assert(!list_is_linked(&s->link) && s->flight == NULL);
	s->backend = b;
	s->fn = fn;
	memcpy(s->id, id.ptr, id.len);
	s->id[id.len] = '\0';
	buf_reset(&s->payload);
	return E_OK;
}

enum err
backend_store(struct backend *b, struct backend_store *s, const struct result *r,
	void (*fn)(struct backend_store *s, enum err e, const char *why))
{
	enum err e = begin_store(b, s, r->task_id, fn);

	if (e != E_OK)
		return e;
	s->is_final = result_is_ready(r->state);
	if (b->ops->encode == NULL)
		result_encode(&s->payload, r);
	else if ((e = b->ops->encode(s, r)) != E_OK)
		return e;
	return s->payload.err != E_OK ? s->payload.err : b->ops->store(b, s);
}

enum err
backend_store_text(struct backend *b, struct backend_store *s, struct span id, struct span text,
	void (*fn)(struct backend_store *s, enum err e, const char *why))
{
	enum err e = b->ops->encode == NULL ? begin_store(b, s, id, fn) : E_REFUSED;

	if (e != E_OK)
		return e;
	s->is_final = true;
	buf_add(&s->payload, text);
	return s->payload.err != E_OK ? s->payload.err : b->ops->store(b, s);
}

void
backend_store_cancel(struct backend_store *s)
{
	if (s->backend != NULL && list_is_linked(&s->link))
		s->backend->ops->cancel(s->backend, s);
}

void
backend_store_release(struct backend_store *s)
{
	buf_release(&s->payload);
	buf_release(&s->address);
}

size_t
backend_pending(const struct backend *b)
{
	return b->ops->pending(b);
}

enum err
backend_load(struct backend *b, struct span id, backend_load_fn *fn, void *owner)
{
	return b->ops->load != NULL ? b->ops->load(b, id, fn, owner) : E_REFUSED;
}

void
backend_load_cancel(struct backend *b, void *owner)
{
	if (b->ops->load_cancel != NULL)
		b->ops->load_cancel(b, owner);
}

enum err
backend_keep(struct backend *b, const char *set, const struct backend_kept *items, size_t n, us_t oldest,
	size_t max, backend_kept_fn *fn, void *owner)
{
	return b->ops->keep != NULL ? b->ops->keep(b, set, items, n, oldest, max, fn, owner) : E_MISSING;
}

enum err
backend_kept(struct backend *b, const char *set, us_t oldest, size_t max, backend_kept_fn *fn, void *owner)
{
	return b->ops->kept != NULL ? b->ops->kept(b, set, oldest, max, fn, owner) : E_MISSING;
}

bool
backend_has_notes(const struct backend *b)
{
	return b->has_notes;
}

void
backend_store_with_note(struct backend_store *s, const struct note *n)
{
	struct buf text;

	s->has_note = true;
	s->note[0] = '\0';
	if (n->state == NOTE_FREE && n->deaths == 0)
		return;
	buf_init(&text, 0);
	note_add_text(&text, n);
	/* Too long, or out of memory: it is removed. */
	if (text.err == E_OK && text.len < sizeof(s->note))
		snprintf(s->note, sizeof(s->note), "%s", buf_text(&text));
	buf_release(&text);
}

enum err
backend_note(struct backend *b, const struct note *n, backend_note_fn *fn, void *owner)
{
	return b->has_notes ? b->ops->note(b, n, fn, owner) : E_MISSING;
}

enum err
backend_claim(struct backend *b, const struct note *n, bool wants_result, backend_claim_fn *fn, void *owner)
{
	return b->has_notes ? b->ops->claim(b, n, wants_result, fn, owner) : E_MISSING;
}

void
backend_note_cancel(struct backend *b, void *owner)
{
	if (b->has_notes)
		b->ops->note_cancel(b, owner);
}

enum err
backend_turn(struct backend *b, const struct backend_turn_ask *ask, backend_turn_fn *fn, void *owner)
{
	return b->ops->turn != NULL ? b->ops->turn(b, ask, fn, owner) : E_MISSING;
}

void
backend_turn_cancel(struct backend *b, void *owner)
{
	if (b->ops->turn_cancel != NULL)
		b->ops->turn_cancel(b, owner);
}

enum err
backend_forget(struct backend *b, struct span id, backend_load_fn *fn, void *owner)
{
	return b->ops->forget != NULL ? b->ops->forget(b, id, fn, owner) : E_REFUSED;
}

enum err
backend_wait(struct backend_wait **out, struct backend *b, struct span id, backend_load_fn *fn, void *owner)
{
	*out = NULL;
	return b->ops->wait != NULL ? b->ops->wait(out, b, id, fn, owner) : E_REFUSED;
}

void
backend_wait_cancel(struct backend_wait *w)
{
	if (w != NULL)
		w->cancel(w);
}

const char *
backend_prefix_joint(const char *prefix)
{
	return *prefix != '\0' && strchr(":_-.", prefix[strlen(prefix) - 1]) == NULL ? "_" : "";
}
