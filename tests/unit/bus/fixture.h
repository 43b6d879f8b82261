/* A loop, a connection and a fake broker at its other end, for the tests of bus/. Include it last. */
#ifndef WARREN_TESTS_BUS_FIXTURE_H
#define WARREN_TESTS_BUS_FIXTURE_H

#include "base/clock.h"
#include "bus/chan.h"
#include "lib/t.h"

#include "fake/fakebroker.h"

struct fx {
	struct loop *loop;
	struct bus_conn *conn;
	struct fake *fake;
	struct fake *old[8]; /* brokers of earlier connections */
	size_t n_old;
	size_t ups, downs;
	struct bus_down down; /* the latest; its texts copied below */
	struct errtext down_text;
	bool redial;                     /* on_down gives the connection a new fake broker at once */
	void (*prepare)(struct fake *f); /* for that broker; may be NULL */
	size_t blocks, unblocks;
};

static inline void fx_link(struct fx *x);

static inline void
fx_on_up(void *owner)
{
	((struct fx *)owner)->ups++;
}

static inline void
fx_on_down(void *owner, const struct bus_down *d)
{
	struct fx *x = owner;

	x->downs++;
	x->down = *d;
	(void)err_set(&x->down_text, E_OK, "%s", d->text);
	if (x->redial)
		fx_link(x);
}

static inline void
fx_on_blocked(void *owner, bool blocked, const char *reason)
{
	struct fx *x = owner;

	assert_non_null(reason);
	if (blocked)
		x->blocks++;
	else
		x->unblocks++;
}

/* A new broker, and the connection starts on it. */
static inline void
fx_link(struct fx *x)
{
	struct errtext t;
	int fd;

	if (x->fake != NULL) {
		assert_true(x->n_old < ARRAY_LEN(x->old));
		x->old[x->n_old++] = x->fake;
	}
	x->fake = fake_new(x->loop, &fd);
	if (x->prepare != NULL)
		x->prepare(x->fake);
	assert_ok(bus_conn_start_fd(x->conn, fd, &t));
}

static inline bool
fx_is_up(void *owner)
{
	return bus_conn_is_up(((struct fx *)owner)->conn);
}

static inline bool
fx_is_down(void *owner)
{
	return ((struct fx *)owner)->downs > 0;
}

/* Everything but the link; conf may be NULL. The URL is never dialled: a test ends before the back-off, or links again. */
static inline void
fx_init(struct fx *x, const struct bus_conf *conf)
{
	static const char *const urls[] = { "amqp://alice:s3cret@127.0.0.1:1/shop" };
	static const struct bus_conn_ops ops = { fx_on_up, fx_on_down, fx_on_blocked };
	struct bus_conf c = conf != NULL ? *conf : (struct bus_conf){ 0 };
	struct errtext t;

	*x = (struct fx){ 0 };
	if (c.n_urls == 0) {
		c.urls = urls;
		c.n_urls = 1;
	}
	if (c.name == NULL)
		c.name = "unit test";
	x->loop = loop_new(&t);
	assert_non_null(x->loop);
	assert_ok(bus_conn_new(&x->conn, x->loop, &c, &ops, x, &t));
}

/* Init, link, and wait until it is up. */
static inline void
fx_open(struct fx *x, const struct bus_conf *conf)
{
	fx_init(x, conf);
	fx_link(x);
	fake_until(x->fake, fx_is_up, x);
}

static inline void
fx_release(struct fx *x)
{
	bus_conn_close(x->conn, 0);
	for (size_t i = 0; i < x->n_old; i++)
		fake_free(x->old[i]);
	fake_free(x->fake);
	loop_turn(x->loop, 0);
	loop_free(x->loop);
	clock_real();
}

/* Stops the clock, for tests about time; fx_release lets it go. */
static inline void
fx_stop_clock(void)
{
	clock_fake(INT64_C(1000000) * 1000, INT64_C(1700000000) * 1000000);
}

/* Lets `ms` pass on the stopped clock, in steps small enough for timers that arm each other. */
static inline void
fx_pass(struct fx *x, ms_t ms)
{
	while (ms > 0) {
		ms_t step = ms < 50 ? ms : 50;

		clock_fake(clock_mono_us() + step * 1000, clock_wall_us() + step * 1000);
		loop_turn(x->loop, 0);
		loop_turn(x->loop, 0);
		ms -= step;
	}
}

/* A message with a bit of everything that Celery sends. */
static inline void
fx_msg(struct msg *m, const char *exchange, const char *key, const char *id, const char *body)
{
	msg_init(m, 0);
	m->exchange = span_of(exchange);
	m->routing_key = span_of(key);
	m->content_type = SPAN("application/json");
	m->content_encoding = SPAN("utf-8");
	m->correlation_id = span_of(id);
	m->body = span_of(body);
	m->has_headers = true;
	assert_ok(table_set(&m->headers, &m->arena, SPAN("task"), val_text("add")));
	assert_ok(table_set(&m->headers, &m->arena, SPAN("id"), val_text(id)));
	assert_ok(table_set(&m->headers, &m->arena, SPAN("retries"), val_int(0)));
}

#endif
