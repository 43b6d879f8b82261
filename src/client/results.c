/*
 * Reading results. The backend is opened at the first need; while it is away a wait goes on waiting, within its own time, and everything
 * else gives up.
 */
#include "client/inside.h"

#include <stdio.h>

/* One load, forget or wait under way. Lives on the stack of the call, which does not return before it is over. */
struct reading {
	client_result_fn *fn;
	void *owner;
	bool done;
	bool is_final; /* a wait has seen a final state, and is gone */
	enum err err;
	char text[300];
};

static void
on_backend_up(void *owner)
{
	((struct client *)owner)->backend_settled = true;
}

static void
on_backend_down(void *owner, const char *url, const char *why, ms_t retry_ms, bool was_up)
{
	struct client *c = owner;

	(void)retry_ms;
	if (!backend_keeps(c->backend))
		err_set(&c->backend_why, E_CLOSED, "no queue for replies (%s)", why);
	else
		err_set(&c->backend_why, E_CLOSED, "%s %s (%s)%s",
			was_up ? "lost the connection to" : "cannot reach", url, why,
			was_up ? "" : ": is the result backend running?");
	c->backend_settled = true;
}

static const struct backend_events backend_events = { .on_up = on_backend_up, .on_down = on_backend_down };

static void
drop_backend(struct client *c)
{
	backend_close(c->backend);
	c->backend = NULL;
}

static enum err
open_backend(struct client *c, struct errtext *t)
{
	if (c->backend != NULL)
		return E_OK;
	c->backend_conf.broker = c->conn;
	return backend_open(&c->backend, c->loop, &c->backend_conf, &backend_events, c, t);
}

enum err
client_expect_results(struct client *c, struct errtext *t)
{
	c->backend_conf.listens = true;
	return open_backend(c, t);
}

struct span
client_reply_to(const struct client *c)
{
	const char *queue = c->backend != NULL ? backend_reply_to(c->backend) : NULL;

	return queue != NULL ? span_of(queue) : SPAN_NONE;
}

enum err
client_connect_backend(struct client *c, struct errtext *t)
{
	enum err e = open_backend(c, t);

	if (e != E_OK)
		return e;
	if (backend_is_none(c->backend))
		return err_set(t, E_CONF,
			"no result backend is set: give --result-backend URL, or result_backend in the configuration");
	if (!backend_keeps(c->backend))
		e = client_connect_broker(c, t);
	if (e != E_OK || backend_is_up(c->backend))
		return e;
	c->backend_settled = false;
	c->backend_why.text[0] = '\0';
	if (!client_turn_until(c, &c->backend_settled, c->connect_ms))
		return err_set(t, E_TIMEOUT, "cannot reach %s (no answer within %.3g s)",
			backend_url(c->backend), (double)c->connect_ms / 1000);
	return backend_is_up(c->backend) ? E_OK : err_set(t, E_CLOSED, "%s", c->backend_why.text);
}

const char *
client_backend_url(const struct client *c)
{
	return c->backend != NULL ? backend_url(c->backend) : "";
}

static void
reading_end(struct reading *r, enum err e, const char *why)
{
	snprintf(r->text, sizeof(r->text), "%s", why != NULL ? why : err_name(e));
	r->err = e;
	r->done = true;
}

static void
on_load(void *owner, enum err e, const struct result *r, const char *why)
{
	struct reading *rd = owner;

	if (e == E_OK && r != NULL && rd->fn != NULL)
		rd->fn(rd->owner, r);
	reading_end(rd, e, why);
}

/* Waits for what was just asked. It cannot be called back, so when no answer comes the backend is closed. */
static enum err
read_answer(struct client *c, struct reading *rd, enum err asked, struct errtext *t)
{
	if (asked != E_OK)
		return err_set(t, asked, "%s: %s", backend_url(c->backend), err_name(asked));
	if (!client_turn_until(c, &rd->done, c->stall_ms)) {
		err_set(t, E_TIMEOUT, "%s did not answer within %.3g s", backend_url(c->backend),
			(double)c->stall_ms / 1000);
		drop_backend(c);
		return E_TIMEOUT;
	}
	if (rd->err == E_OK || rd->err == E_MISSING)
		return rd->err == E_OK ? E_OK : err_set(t, E_MISSING, "there is no result under this id");
	return err_set(t, rd->err, "%s: %s", backend_url(c->backend), rd->text);
}

enum err
client_result(struct client *c, struct span id, client_result_fn *fn, void *owner, struct errtext *t)
{
	struct reading rd = { .fn = fn, .owner = owner };
	enum err e = client_connect_backend(c, t);

	return e != E_OK ? e : read_answer(c, &rd, backend_load(c->backend, id, on_load, &rd), t);
}

enum err
client_forget(struct client *c, struct span id, struct errtext *t)
{
	struct reading rd = { .fn = NULL };
	enum err e = client_connect_backend(c, t);

	return e != E_OK ? e : read_answer(c, &rd, backend_forget(c->backend, id, on_load, &rd), t);
}

/* Passing trouble is the backend's business: it reconnects and reads again. */
static void
on_state(void *owner, enum err e, const struct result *r, const char *why)
{
	struct reading *rd = owner;

	if (rd->done || e == E_MISSING || e == E_CLOSED || e == E_TIMEOUT || e == E_AGAIN)
		return;
	if (e != E_OK || r == NULL) {
		reading_end(rd, e, why);
		return;
	}
	rd->is_final = result_is_ready(r->state);
	rd->fn(rd->owner, r);
	if (rd->is_final)
		reading_end(rd, E_OK, NULL);
}

enum err
client_wait(
	struct client *c, struct span id, ms_t timeout, client_result_fn *fn, void *owner, struct errtext *t)
{
	struct reading rd = { .fn = fn, .owner = owner };
	struct backend_wait *w = NULL;
	enum err e = client_connect_backend(c, t);
	bool in_time;

	if (e != E_OK)
		return e;
	e = backend_wait(&w, c->backend, id, on_state, &rd);
	if (e != E_OK)
		return err_set(t, e, "%s: %s", backend_url(c->backend), err_name(e));
	in_time = client_turn_until(c, &rd.done, timeout);
	if (!rd.is_final)
		backend_wait_cancel(w);
	if (!in_time)
		return err_set(t, E_TIMEOUT, "no result after %.3g s%s%s", (double)timeout / 1000,
			backend_is_up(c->backend) ? "" : "; ",
			backend_is_up(c->backend) ? "" : c->backend_why.text);
	return rd.err == E_OK ? E_OK : err_set(t, rd.err, "%s: %s", backend_url(c->backend), rd.text);
}
