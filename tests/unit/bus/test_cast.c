/* bus/cast: sent at once or not at all. */
#include "bus/cast.h"

#include "unit/bus/fixture.h"

#include "bus/codec.h"

struct seen {
	size_t opens, closes;
};

static void
on_open(void *owner)
{
	((struct seen *)owner)->opens++;
}

static void
on_close(void *owner, const struct bus_close *why)
{
	(void)why;
	((struct seen *)owner)->closes++;
}

static const struct bus_chan_ops ops = { .on_open = on_open, .on_close = on_close };

static bool
is_open(void *owner)
{
	return bus_chan_is_open(owner);
}

static struct bus_chan *
open_chan(struct fx *x, struct seen *s)
{
	struct bus_chan *ch;

	fx_open(x, NULL);
	assert_ok(bus_chan_new(&ch, x->conn, &ops, s));
	fake_until(x->fake, is_open, ch);
	return ch;
}

static void
close_chan(struct fx *x, struct bus_chan *ch)
{
	bus_chan_close(ch);
	fx_release(x);
}

static void
a_message_leaves_as_it_is(void **state UNUSED)
{
	struct seen s = { 0 };
	struct fx x;
	struct bus_chan *ch = open_chan(&x, &s);
	const struct fake_in *in;
	struct msg m;

	fx_msg(&m, "celeryev", "task.multi", "id-1", "[{}]");
	assert_ok(bus_cast(ch, &m, 1000));
	in = fake_expect(x.fake, AMQP_BASIC_PUBLISH_METHOD);
	assert_span(in->msg.exchange, "celeryev");
	assert_span(in->msg.routing_key, "task.multi");
	assert_span(in->msg.body, "[{}]");
	assert_int_equal(((amqp_basic_publish_t *)in->args)->mandatory, 0);
	msg_release(&m);
	close_chan(&x, ch);
}

static void
long_bodies_are_cut_into_frames(void **state UNUSED)
{
	struct seen s = { 0 };
	struct fx x;
	struct bus_chan *ch = open_chan(&x, &s);
	static char body[400000];
	const struct fake_in *in;
	struct msg m;

	memset(body, 'x', sizeof(body) - 1);
	fx_msg(&m, "e", "k", "id-1", body);
	assert_ok(bus_cast(ch, &m, 1000));
	in = fake_expect(x.fake, AMQP_BASIC_PUBLISH_METHOD);
	assert_int_equal(in->msg.body.len, sizeof(body) - 1);
	msg_release(&m);
	close_chan(&x, ch);
}

static bool
is_blocked(void *owner)
{
	return bus_conn_is_blocked(owner);
}

static void
nothing_waits(void **state UNUSED)
{
	struct seen s = { 0 };
	struct fx x;
	struct bus_chan *ch = open_chan(&x, &s);
	struct msg m;

	fx_msg(&m, "e", "k", "id-1", "some bytes that wait");
	assert_ok(bus_cast(ch, &m, 10));
	assert_int_equal(bus_cast(ch, &m, 10), E_AGAIN);
	assert_ok(bus_cast(ch, &m, 100000));
	fake_expect(x.fake, AMQP_BASIC_PUBLISH_METHOD);
	fake_expect(x.fake, AMQP_BASIC_PUBLISH_METHOD);
	fake_block(x.fake, true);
	fake_until(x.fake, is_blocked, x.conn);
	assert_int_equal(bus_cast(ch, &m, 100000), E_AGAIN);
	msg_release(&m);
	close_chan(&x, ch);
}

static bool
is_shut(void *owner)
{
	return !bus_chan_is_open(owner);
}

static void
what_cannot_be_sent_harms_nobody(void **state UNUSED)
{
	struct seen s = { 0 };
	struct fx x;
	struct bus_chan *ch = open_chan(&x, &s);
	static char name[300];
	struct msg m;

	memset(name, 'n', sizeof(name) - 1);
	fx_msg(&m, "e", "k", "id-1", "b");
	m.routing_key = span_of(name);
	assert_int_equal(bus_cast(ch, &m, 1000), E_TOOBIG);
	fake_settle(x.fake);
	assert_true(bus_chan_is_open(ch));
	fake_close(x.fake, 320, "bye");
	fake_until(x.fake, is_shut, ch);
	assert_int_equal(bus_cast(ch, &m, 1000), E_CLOSED);
	msg_release(&m);
	close_chan(&x, ch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_leaves_as_it_is),
		cmocka_unit_test(long_bodies_are_cut_into_frames),
		cmocka_unit_test(nothing_waits),
		cmocka_unit_test(what_cannot_be_sent_harms_nobody),
	};

	return cmocka_run_group_tests_name("bus/cast", tests, NULL, NULL);
}
