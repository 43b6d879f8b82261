/*
 * What every script of the Redis backend needs: to be loaded on each connection, to be loaded again when Redis has forgotten it, and waits that grow
 * while Redis refuses.
 *
 *   load -> ready        NOSCRIPT, another connection: load again        an error that passes: wait, then go_on
 */
#include "backend/redis_script.h"

#include "backend/redis_backend.h"
#include "base/backoff.h"
#include "base/id.h"

#define RETRY_BASE_MS 50
#define RETRY_MAX_MS 5000

/* Redis is there and does not do what it is asked for now. */
static void
tell_delay(struct redis_backend *rb, struct span answer, ms_t wait)
{
	const struct backend_events *ev = rb->base.events;
	struct errtext why;

	if (answer.len == 0 || ev == NULL || ev->on_delay == NULL)
		return;
	(void)err_set(&why, E_REFUSED, "%.*s", SPAN_FMT(answer));
	ev->on_delay(rb->base.owner, why.text, wait);
}

void
redis_script_try_later(struct redis_script *s, struct span answer)
{
	ms_t wait;

	if (s->retry.armed)
		return;
	s->failures++;
	wait = backoff_full_jitter(RETRY_BASE_MS, RETRY_MAX_MS, s->failures, id_random_u64());
	loop_timer_arm(&s->retry, wait);
	tell_delay(s->rb, answer, wait);
}

static void
on_loaded(void *owner, enum err e, const struct rds_reply *r)
{
	struct redis_script *s = owner;
	struct errtext why;

	s->is_loading = false;
	if (e != E_OK)
		return;
	if (r->type == RDS_STRING && r->str.len < sizeof(s->sha)) {
		snprintf(s->sha, sizeof(s->sha), "%.*s", SPAN_FMT(r->str));
		s->go_on(s->rb);
		return;
	}
	redis_script_try_later(s, r->str);
	if (!rds_will_pass(r)) {
		(void)err_set(&why, E_REFUSED, "SCRIPT LOAD: %.*s", SPAN_FMT(r->str));
		s->refuse_all(s->rb, why.text);
	}
}

void
redis_script_load(struct redis_script *s)
{
	struct span argv[] = { SPAN("SCRIPT"), SPAN("LOAD"), span_of(s->text) };
	enum err e;

	s->sha[0] = '\0';
	if (s->is_loading)
		return;
	e = rds_command(s->rb->rds, argv, ARRAY_LEN(argv), 0, on_loaded, s);
	s->is_loading = e == E_OK;
	/* Not up: whoever hears that it is comes here again. */
	if (e != E_OK && e != E_CLOSED)
		redis_script_try_later(s, SPAN_NONE);
}

bool
redis_script_is_ready(const struct redis_script *s)
{
	return s->sha[0] != '\0' && !s->retry.armed;
}

bool
redis_script_will_pass(struct redis_script *s, const struct rds_reply *r)
{
	if (r->type == RDS_ERROR && span_starts(r->str, "NOSCRIPT")) {
		redis_script_load(s);
		return true;
	}
	if (!rds_will_pass(r))
		return false;
	redis_script_try_later(s, r->str);
	return true;
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static void
on_retry(void *owner)
{
	struct redis_script *s = owner;

	s->go_on(s->rb);
}

enum err
redis_script_init(struct redis_script *s, struct redis_backend *rb, const char *text,
	void (*go_on)(struct redis_backend *), void (*refuse_all)(struct redis_backend *, const char *))
{
	*s = (struct redis_script){ .rb = rb, .text = text, .go_on = go_on, .refuse_all = refuse_all };
	return loop_timer_init(&s->retry, rb->base.loop, on_retry, s);
}

void
redis_script_release(struct redis_script *s)
{
	loop_timer_release(&s->retry);
}

void
redis_script_on_up(struct redis_script *s)
{
	s->failures = 0;
	loop_timer_disarm(&s->retry);
}

void
redis_script_on_down(struct redis_script *s)
{
	s->sha[0] = '\0';
}
