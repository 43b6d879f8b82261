/* bus/chan: tags that go stale, closing and opening again, numbers. What arrives on a channel is in test_content.c. */
#include "bus/chan.h"

#include "unit/bus/recorder.h"

static void
acks_name_channel_and_tag(void **state UNUSED)
{
	const struct fake_in *in;
	struct bus_tag tag;
	struct rec r;
	struct fx x;

	fx_open(&x, NULL);
	rec_start(&r, &x);
	tag = (struct bus_tag){ bus_chan_epoch(r.ch), 7 };
	assert_ok(bus_ack(r.ch, tag));
	in = fake_expect(x.fake, AMQP_BASIC_ACK_METHOD);
	assert_int_equal(in->channel, 1);
	assert_int_equal(((amqp_basic_ack_t *)in->args)->delivery_tag, 7);
	assert_false(((amqp_basic_ack_t *)in->args)->multiple);
	assert_ok(bus_nack(r.ch, tag, true));
	in = fake_expect(x.fake, AMQP_BASIC_NACK_METHOD);
	assert_true(((amqp_basic_nack_t *)in->args)->requeue);
	rec_end(&r);
	fx_release(&x);
}

static void
a_stale_tag_is_never_acked(void **state UNUSED)
{
	struct bus_tag old;
	struct rec r;
	struct fx x;

	fx_open(&x, NULL);
	rec_start(&r, &x);
	old = (struct bus_tag){ bus_chan_epoch(r.ch), 1 };
	/* Closed by the server, as after consumer_timeout, and opened again. */
	fake_close_channel(
		x.fake, 1, 406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out", 0);
	(void)fake_expect(x.fake, AMQP_CHANNEL_CLOSE_OK_METHOD);
	assert_int_equal(bus_ack(r.ch, old), E_CLOSED);
	fake_until(x.fake, rec_is_open, &r);
	assert_int_equal(r.closes, 1);
	assert_true(r.closed.by_server);
	assert_int_equal(r.closed.code, 406);
	assert_int_equal(bus_ack(r.ch, old), E_CLOSED);
	assert_int_equal(bus_nack(r.ch, old, true), E_CLOSED);
	/* The connection is lost and comes back. */
	old.epoch = bus_chan_epoch(r.ch);
	x.redial = true;
	fake_close(x.fake, 320, "CONNECTION_FORCED");
	fake_until(x.fake, fx_is_down, &x);
	assert_int_equal(bus_ack(r.ch, old), E_CLOSED);
	fake_until(x.fake, rec_is_open, &r);
	assert_int_equal(r.closes, 2);
	assert_false(r.closed.by_server);
	assert_int_equal(bus_ack(r.ch, old), E_CLOSED);
	fake_settle(x.fake);
	assert_int_equal(fake_count(x.fake, AMQP_BASIC_ACK_METHOD), 0);
	assert_int_equal(fake_count(x.old[0], AMQP_BASIC_ACK_METHOD), 0);
	rec_end(&r);
	fx_release(&x);
}

static void
reopening_waits_longer_each_time(void **state UNUSED)
{
	ms_t wait = 100;
	struct rec r;
	struct fx x;

	fx_stop_clock();
	fx_open(&x, &(struct bus_conf){ .heartbeat_s = 3000 });
	fake_tune(x.fake, 0, 0, 0);
	rec_start(&r, &x);
	for (int i = 0; i < 8; i++) {
		fake_close_channel(x.fake, 1, 406, "PRECONDITION_FAILED", 0);
		fake_settle(x.fake);
		assert_false(bus_chan_is_open(r.ch));
		fx_pass(&x, wait - 50);
		fake_settle(x.fake);
		assert_false(bus_chan_is_open(r.ch));
		fx_pass(&x, 100);
		fake_settle(x.fake);
		assert_true(bus_chan_is_open(r.ch));
		wait = wait * 2 > 5000 ? 5000 : wait * 2;
	}
	/* After some time of peace it is short again. */
	fx_pass(&x, 11000);
	fake_close_channel(x.fake, 1, 406, "PRECONDITION_FAILED", 0);
	fake_settle(x.fake);
	fx_pass(&x, 150);
	fake_settle(x.fake);
	assert_true(bus_chan_is_open(r.ch));
	rec_end(&r);
	fx_release(&x);
}

static void
cancel_by_the_server_is_told(void **state UNUSED)
{
	struct rec r;
	struct fx x;

	fx_open(&x, NULL);
	rec_start(&r, &x);
	fake_send(x.fake, 1, AMQP_BASIC_CANCEL_METHOD,
		&(amqp_basic_cancel_t){ amqp_of_span(SPAN("c9")), true });
	fake_settle(x.fake);
	assert_int_equal(r.cancels, 1);
	assert_string_equal(r.cancelled.text, "c9");
	assert_int_equal(fake_count(x.fake, AMQP_BASIC_CANCEL_OK_METHOD), 0);
	fake_send(x.fake, 1, AMQP_BASIC_CANCEL_METHOD,
		&(amqp_basic_cancel_t){ amqp_of_span(SPAN("c8")), false });
	(void)fake_expect(x.fake, AMQP_BASIC_CANCEL_OK_METHOD);
	assert_int_equal(r.cancels, 2);
	rec_end(&r);
	fx_release(&x);
}

static void
close_in_its_own_callback(void **state UNUSED)
{
	struct msg m;
	struct rec r;
	struct fx x;

	fx_open(&x, NULL);
	rec_start(&r, &x);
	r.close_in_callback = true;
	fx_msg(&m, "", "q", "id", "body");
	for (uint64_t i = 1; i <= 5; i++)
		fake_deliver(x.fake, 1, "c", i, &m);
	(void)fake_expect(x.fake, AMQP_CHANNEL_CLOSE_METHOD);
	fake_settle(x.fake);
	assert_int_equal(r.n_got, 1);
	assert_int_equal(x.downs, 0);
	rec_end(&r);
	msg_release(&m);
	fx_release(&x);
}

static void
a_number_is_used_again_only_after_close_ok(void **state UNUSED)
{
	struct bus_chan *a, *b;
	struct rec r;
	struct fx x;

	fx_open(&x, NULL);
	fake_answer(x.fake, AMQP_CHANNEL_CLOSE_METHOD, false);
	rec_start(&r, &x);
	bus_chan_close(r.ch);
	r.ch = NULL;
	(void)fake_expect(x.fake, AMQP_CHANNEL_CLOSE_METHOD);
	assert_ok(bus_chan_new(&a, x.conn, &rec_ops, &r));
	fake_settle(x.fake);
	assert_int_equal(fake_last_channel(x.fake), 2);
	/* Both sides closed at the same time. */
	fake_close_channel(x.fake, 1, 404, "NOT_FOUND", 0);
	(void)fake_expect(x.fake, AMQP_CHANNEL_CLOSE_OK_METHOD);
	fake_send(x.fake, 1, AMQP_CHANNEL_CLOSE_OK_METHOD, &(amqp_channel_close_ok_t){ 0 });
	fake_settle(x.fake);
	assert_ok(bus_chan_new(&b, x.conn, &rec_ops, &r));
	fake_settle(x.fake);
	assert_int_equal(fake_last_channel(x.fake), 1);
	assert_int_equal(x.downs, 0);
	bus_chan_close(a);
	bus_chan_close(b);
	bus_chan_close(NULL);
	fx_release(&x);
}

static void
channels_outlive_the_connection_object(void **state UNUSED)
{
	struct rec r;
	struct fx x;

	fx_open(&x, NULL);
	rec_start(&r, &x);
	bus_conn_close(x.conn, 0);
	x.conn = NULL;
	loop_turn(x.loop, 0);
	assert_int_equal(r.closes, 0);
	assert_false(bus_chan_is_open(r.ch));
	assert_int_equal(bus_ack(r.ch, (struct bus_tag){ 1, 1 }), E_CLOSED);
	assert_int_equal(bus_queue_purge(r.ch, SPAN("q"), NULL, NULL), E_CLOSED);
	rec_end(&r);
	fx_release(&x);
}

static void
more_channels_than_the_broker_allows(void **state UNUSED)
{
	struct bus_chan *chans[4];
	struct rec r = { 0 };
	struct fx x;

	fx_init(&x, NULL);
	for (size_t i = 0; i < 3; i++)
		assert_ok(bus_chan_new(&chans[i], x.conn, &rec_ops, &r));
	fx_link(&x);
	fake_tune(x.fake, 2, 0, 60);
	fake_until(x.fake, fx_is_up, &x);
	fake_settle(x.fake);
	assert_int_equal(r.opens, 2);
	assert_int_equal(r.closes, 1);
	assert_non_null(strstr(r.close_text.text, "so many channels"));
	assert_int_equal(bus_chan_new(&chans[3], x.conn, &rec_ops, &r), E_TOOBIG);
	for (size_t i = 0; i < 3; i++)
		bus_chan_close(chans[i]);
	fx_release(&x);
}

static enum err
make_and_close(void *arg)
{
	struct fx *x = arg;
	struct bus_chan *chans[10] = { NULL };
	enum err e = E_OK;

	/* So many that the table of channels grows. */
	for (size_t i = 0; i < ARRAY_LEN(chans) && e == E_OK; i++)
		e = bus_chan_new(&chans[i], x->conn, &rec_ops, x);
	for (size_t i = 0; i < ARRAY_LEN(chans); i++)
		bus_chan_close(chans[i]);
	loop_turn(x->loop, 0);
	/* A new connection each time: the table, once grown, stays. */
	bus_conn_close(x->conn, 0);
	x->conn = NULL;
	alloc_fail_after(0);
	fx_release(x);
	fx_init(x, NULL);
	return e;
}

static void
no_memory_is_an_error(void **state UNUSED)
{
	uint64_t nth = 0;
	struct fx x;
	enum err e;

	fx_init(&x, NULL);
	do {
		alloc_fail_after(++nth);
		e = make_and_close(&x);
		assert_true(e == E_OK || e == E_NOMEM);
	} while (e != E_OK);
	assert_true(nth > 10); /* ten channels, and the table of them */
	fx_release(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acks_name_channel_and_tag),
		cmocka_unit_test(a_stale_tag_is_never_acked),
		cmocka_unit_test(reopening_waits_longer_each_time),
		cmocka_unit_test(cancel_by_the_server_is_told),
		cmocka_unit_test(close_in_its_own_callback),
		cmocka_unit_test(a_number_is_used_again_only_after_close_ok),
		cmocka_unit_test(channels_outlive_the_connection_object),
		cmocka_unit_test(more_channels_than_the_broker_allows),
		cmocka_unit_test(no_memory_is_an_error),
	};

	return cmocka_run_group_tests_name("bus/chan", tests, NULL, NULL);
}
