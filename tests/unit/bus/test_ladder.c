/* bus/ladder: the delay ladder is asked for, built when it is missing, and whatever goes wrong is reported. */
#include "bus/ladder.h"

#include "lib/torture.h"
#include "unit/bus/fixture.h"

#include "bus/codec.h"

struct rep {
	size_t n;
	enum err err;
};

static void
note(void *owner, const struct bus_topo_report *r)
{
	struct rep *s = owner;

	s->n++;
	s->err = r->err;
}

static bool
reported(void *owner)
{
	return ((struct rep *)owner)->n > 0;
}

static const struct bus_ladder_level levels[] = {
	{ .name = "delay_1", .one = "1.#", .zero = "0.#", .ttl_ms = 2000 },
	{ .name = "delay_0", .one = "*.1.#", .zero = "*.0.#", .ttl_ms = 1000 },
};

static void
ask(struct fx *x, const char *key, struct rep *s)
{
	struct bus_ladder *l;

	*s = (struct rep){ 0 };
	assert_ok(bus_ladder_ensure(&l, x->conn, levels, 2, "end", "jobs", key, note, s));
}

static void
what_is_there_is_bound_only(void **state UNUSED)
{
	struct rep s;
	struct fx x;

	fx_open(&x, NULL);
	ask(&x, "#.jobs", &s);
	fake_until(x.fake, reported, &s);
	assert_ok(s.err);
	assert_int_equal(fake_count(x.fake, AMQP_QUEUE_DECLARE_METHOD), 1);
	assert_int_equal(fake_count(x.fake, AMQP_QUEUE_BIND_METHOD), 1);
	assert_int_equal(fake_count(x.fake, AMQP_EXCHANGE_DECLARE_METHOD), 0);
	fx_release(&x);
}

static void
what_is_missing_is_built(void **state UNUSED)
{
	const struct fake_in *in;
	struct rep s;
	struct fx x;

	fx_stop_clock();
	fx_open(&x, NULL);
	fake_answer(x.fake, AMQP_QUEUE_DECLARE_METHOD, false);
	ask(&x, "#.jobs", &s);
	in = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	fake_close_channel(x.fake, in->channel, 404, "NOT_FOUND - no queue", AMQP_QUEUE_DECLARE_METHOD);
	fake_answer(x.fake, AMQP_QUEUE_DECLARE_METHOD, true);
	fake_settle(x.fake);
	fx_pass(&x, 200);
	fake_until(x.fake, reported, &s);
	assert_ok(s.err);
	assert_int_equal(fake_count(x.fake, AMQP_EXCHANGE_DECLARE_METHOD), 3);
	assert_int_equal(fake_count(x.fake, AMQP_QUEUE_DECLARE_METHOD), 2);
	assert_int_equal(fake_count(x.fake, AMQP_EXCHANGE_BIND_METHOD), 2);
	assert_int_equal(fake_count(x.fake, AMQP_QUEUE_BIND_METHOD), 3);
	fx_release(&x);
}

static void
what_cannot_be_said_is_reported(void **state UNUSED)
{
	char key[300];
	struct rep s;
	struct fx x;

	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	fx_open(&x, NULL);
	ask(&x, key, &s);
	fake_settle(x.fake);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.err, E_TOOBIG);
	fx_release(&x);
}

static void
a_lost_connection_is_reported(void **state UNUSED)
{
	struct rep s;
	struct fx x;

	fx_open(&x, NULL);
	fake_answer(x.fake, AMQP_QUEUE_DECLARE_METHOD, false);
	ask(&x, "#.jobs", &s);
	(void)fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	bus_conn_restart(x.conn, "a test");
	fake_until(x.fake, reported, &s);
	assert_int_equal(s.err, E_CLOSED);
	fx_release(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_is_bound_only),
		cmocka_unit_test(what_is_missing_is_built),
		cmocka_unit_test(what_cannot_be_said_is_reported),
		cmocka_unit_test(a_lost_connection_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
