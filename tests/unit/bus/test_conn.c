/* bus/conn: staying up, noticing when it is not, and coming back. */
#include "bus/conn.h"

#include "lib/torture.h"
#include "unit/bus/fixture.h"

#include "bus/codec.h"

static void
heartbeats_are_sent_when_nothing_else_is(void **state UNUSED)
{
	struct fx x;

	fx_stop_clock();
	fx_open(&x, &(struct bus_conf){ .heartbeat_s = 10 });
	fake_settle(x.fake);
	fx_pass(&x, 4900);
	assert_int_equal(fake_count(x.fake, FAKE_HEARTBEAT), 0);
	fx_pass(&x, 200);
	assert_int_equal(fake_count(x.fake, FAKE_HEARTBEAT), 1);
	fake_send_raw(x.fake, (struct span){ "\x08\0\0\0\0\0\0\xce", 8 });
	fx_pass(&x, 10000);
	assert_int_equal(fake_count(x.fake, FAKE_HEARTBEAT), 3);
	assert_int_equal(x.downs, 0);
	fx_release(&x);
}

static void
a_silent_broker_is_dead_after_two_intervals(void **state UNUSED)
{
	struct fx x;

	fx_stop_clock();
	fx_open(&x, &(struct bus_conf){ .heartbeat_s = 10 });
	fake_settle(x.fake);
	fx_pass(&x, 15000);
	fake_send_raw(x.fake, (struct span){ "\x08\0\0\0\0\0\0\xce", 8 });
	fx_pass(&x, 19900);
	assert_int_equal(x.downs, 0);
	fx_pass(&x, 150);
	assert_int_equal(x.downs, 1);
	assert_int_equal(x.down.err, E_TIMEOUT);
	assert_true(x.down.was_up);
	assert_string_equal(x.down_text.text, "no heartbeat from the broker for 20 seconds");
	fx_release(&x);
}

static void
close_by_the_server_is_answered_and_told(void **state UNUSED)
{
	struct fx x;

	fx_open(&x, NULL);
	fake_close(x.fake, 320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'");
	(void)fake_expect(x.fake, AMQP_CONNECTION_CLOSE_OK_METHOD);
	fake_expect_eof(x.fake);
	assert_int_equal(x.downs, 1);
	assert_int_equal(x.down.err, E_CLOSED);
	assert_int_equal(x.down.code, 320);
	assert_true(x.down.was_up);
	assert_true(x.down.retry_ms <= 100);
	assert_non_null(strstr(x.down_text.text, "shutdown"));
	assert_false(bus_conn_is_up(x.conn));
	fx_release(&x);
}

static void
it_comes_back_with_a_new_epoch(void **state UNUSED)
{
	struct fx x;

	fx_open(&x, NULL);
	x.redial = true;
	for (uint64_t epoch = 2; epoch <= 4; epoch++) {
		fake_close(x.fake, 320, "CONNECTION_FORCED");
		fake_until(x.fake, fx_is_down, &x);
		fake_until(x.fake, fx_is_up, &x);
		assert_int_equal(bus_conn_epoch(x.conn), epoch);
		x.downs = 0;
	}
	assert_int_equal(x.ups, 4);
	fx_release(&x);
}

static bool
has_tried_often(void *owner)
{
	return ((struct fx *)owner)->downs >= 7;
}

static void
each_url_has_its_turn_and_the_wait_grows(void **state UNUSED)
{
	static const char *const urls[] = { "amqp://127.0.0.1:1/a", "amqp://u:s3cret@127.0.0.1:1/b" };
	ms_t sum = 0;
	struct fx x;

	/* Nothing listens on port 1: each attempt fails at once, and the clock is moved over the waits. */
	fx_stop_clock();
	fx_init(&x, &(struct bus_conf){ .urls = urls, .n_urls = 2 });
	bus_conn_start(x.conn);
	assert_string_equal(bus_conn_url(x.conn), "amqp://127.0.0.1:1/a");
	while (!has_tried_often(&x)) {
		size_t before = x.downs;

		while (x.downs == before)
			fx_pass(&x, 20);
		assert_int_equal(x.down.err, E_REFUSED);
		assert_int_equal(x.down.code, 0);
		assert_string_equal(
			x.down.url, before % 2 == 0 ? "amqp://127.0.0.1:1/a" : "amqp://u:**@127.0.0.1:1/b");
		assert_true(x.down.retry_ms > 0 && x.down.retry_ms <= 100 << (before / 2));
		sum += x.down.retry_ms;
	}
	assert_true(sum > 0);
	fx_release(&x);
}

static void
restart_drops_and_dials_at_once(void **state UNUSED)
{
	struct fx x;

	fx_open(&x, NULL);
	bus_conn_restart(x.conn, "the queue does not move");
	assert_int_equal(x.downs, 0); /* not from inside */
	fake_expect_eof(x.fake);
	assert_int_equal(x.downs, 1);
	assert_int_equal(x.down.retry_ms, 0);
	assert_string_equal(x.down_text.text, "the queue does not move");
	fx_release(&x);
}

static void
blocked_and_unblocked_are_told_once_each(void **state UNUSED)
{
	struct fx x;

	fx_open(&x, NULL);
	fake_block(x.fake, true);
	fake_block(x.fake, true);
	fake_settle(x.fake);
	assert_int_equal(x.blocks, 1);
	assert_true(bus_conn_is_blocked(x.conn));
	fake_block(x.fake, false);
	fake_settle(x.fake);
	assert_int_equal(x.unblocks, 1);
	assert_false(bus_conn_is_blocked(x.conn));
	fx_release(&x);
}

static void
close_says_goodbye(void **state UNUSED)
{
	struct fx x;

	fx_open(&x, NULL);
	bus_conn_close(x.conn, 5000);
	x.conn = NULL;
	assert_int_equal(
		((amqp_connection_close_t *)fake_expect(x.fake, AMQP_CONNECTION_CLOSE_METHOD)->args)->reply_code,
		200);
	fake_expect_eof(x.fake);
	assert_int_equal(x.downs, 0);
	fx_release(&x);
}

static void
close_does_not_wait_for_ever(void **state UNUSED)
{
	struct fx x;

	fx_stop_clock();
	fx_open(&x, NULL);
	fake_answer(x.fake, AMQP_CONNECTION_CLOSE_METHOD, false);
	bus_conn_close(x.conn, 2000);
	x.conn = NULL;
	(void)fake_expect(x.fake, AMQP_CONNECTION_CLOSE_METHOD);
	fx_pass(&x, 2050);
	fake_expect_eof(x.fake);
	fx_release(&x);
}

static void
close_before_the_connection_stands(void **state UNUSED)
{
	struct fx x;

	fx_init(&x, NULL);
	bus_conn_close(x.conn, 1000);
	bus_conn_close(NULL, 0);
	x.conn = NULL;
	fx_release(&x);

	fx_init(&x, NULL);
	fx_link(&x);
	fake_answer(x.fake, AMQP_CONNECTION_OPEN_METHOD, false);
	(void)fake_expect(x.fake, AMQP_CONNECTION_OPEN_METHOD);
	bus_conn_close(x.conn, 1000);
	x.conn = NULL;
	fake_expect_eof(x.fake);
	fx_release(&x);
}

/* What is no frame of ours to take, and the reply code it earns. */
static void
faults_end_the_connection_with_their_code(void **state UNUSED)
{
	static const struct {
		const char *what;
		struct span bytes;
		int code;
	} cases[] = {
		{ "unknown frame type", { "\x05\0\0\0\0\0\0\xce", 8 }, 501 },
		{ "a frame that is too large", { "\x01\0\0\x00\x02\x00\x00", 7 }, 501 },
		{ "a frame of 4 GiB", { "\x01\0\0\xff\xff\xff\xff", 7 }, 501 },
		{ "a wrong end byte", { "\x01\0\0\0\0\0\4\0\x0a\0\x33\xcd", 12 }, 501 },
		{ "a method frame without a method", { "\x01\0\0\0\0\0\1\0\xce", 9 }, 501 },
		{ "a content header of 3 bytes", { "\x02\0\0\0\0\0\3\0\x3c\0\xce", 11 }, 501 },
		{ "a method that does not exist", { "\x01\0\0\0\0\0\4\0\x63\0\x63\xce", 12 }, 540 },
		{ "a client's method", { "\x01\0\0\0\0\0\4\0\x28\0\x0a\xce", 12 }, 540 },
		{ "arguments that are cut", { "\x01\0\0\0\0\0\5\0\x0a\0\x32\0\xce", 13 }, 502 },
		{ "the handshake's method", { "\x01\0\0\0\0\0\5\0\x0a\0\x29\0\xce", 13 }, 503 },
		{ "a channel's method on 0", { "\x01\0\0\0\0\0\4\0\x14\0\x29\xce", 12 }, 503 },
		{ "a body on channel 0", { "\x03\0\0\0\0\0\1x\xce", 9 }, 505 },
		{ "a channel that is not open", { "\x01\0\7\0\0\0\4\0\x14\0\x29\xce", 12 }, 504 },
		{ "a body on such a channel", { "\x03\xff\xff\0\0\0\1x\xce", 9 }, 504 },
	};
	const amqp_connection_close_t *m;
	struct fx x;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		fx_open(&x, NULL);
		fake_send_raw(x.fake, cases[i].bytes);
		m = fake_expect(x.fake, AMQP_CONNECTION_CLOSE_METHOD)->args;
		if (m->reply_code != cases[i].code || x.down.code != cases[i].code)
			fail_msg("%s: sent %d, told %d, wanted %d", cases[i].what, m->reply_code, x.down.code,
				cases[i].code);
		fake_expect_eof(x.fake);
		assert_int_equal(x.down.err, E_FORMAT);
		assert_true(x.down.was_up);
		fx_release(&x);
	}
}

static void
random_bytes_never_crash(void **state UNUSED)
{
	unsigned seed = 7;
	char bytes[300];
	struct fx x;

	for (int round = 0; round < 200; round++) {
		fx_open(&x, NULL);
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)(rand_r(&seed) % (round % 2 == 0 ? 256 : 4));
		bytes[0] = (char)(1 + round % 3);
		fake_send_raw(x.fake, (struct span){ bytes, sizeof(bytes) });
		fake_settle(x.fake);
		fx_release(&x);
	}
}

static void
a_broker_that_takes_nothing_is_given_up(void **state UNUSED)
{
	struct bus_conf conf = { .heartbeat_s = 10, .write_max = 4 << 20 };
	struct bus_chan *ch;
	static const struct bus_chan_ops ops = { 0 };
	struct table args = { 0 };
	struct arena a;
	struct fx x;
	char *big;

	fx_stop_clock();
	fx_open(&x, &conf);
	assert_ok(bus_chan_new(&ch, x.conn, &ops, &x));
	(void)fake_expect(x.fake, AMQP_CHANNEL_OPEN_METHOD);
	fake_settle(x.fake);
	/* More than a socketpair holds, and the broker stops reading, but goes on sending heartbeats. */
	fake_deaf(x.fake, true);
	arena_init(&a, 0);
	big = arena_zero(&a, 100000);
	assert_non_null(big);
	assert_ok(table_set(&args, &a, SPAN("big"), val_string((struct span){ big, 100000 })));
	for (int i = 0; i < 20; i++)
		assert_ok(bus_queue_declare(
			ch, &(struct bus_queue){ .name = SPAN("q"), .args = &args }, NULL, NULL));
	for (int i = 0; i < 1000 && x.downs == 0; i++) {
		if (i % 100 == 0)
			fake_send_raw(x.fake, (struct span){ "\x08\0\0\0\0\0\0\xce", 8 });
		fx_pass(&x, 50);
	}
	assert_int_equal(x.down.err, E_TIMEOUT);
	assert_string_equal(x.down_text.text, "the broker does not take what is sent to it");
	bus_chan_close(ch);
	arena_release(&a);
	fx_release(&x);
}

static void
a_wrong_url_is_refused_at_once(void **state UNUSED)
{
	static const char *const bad[] = { "amqp://good", "http://u:s3cret@bad" };
	static const struct bus_conn_ops ops = { 0 };
	struct bus_conf conf = { .urls = bad, .n_urls = 2 };
	struct loop *l = loop_new(NULL);
	struct bus_conn *c;
	struct errtext t;

	assert_int_equal(bus_conn_new(&c, l, &conf, &ops, NULL, &t), E_CONF);
	assert_non_null(strstr(t.text, "bad"));
	assert_null(strstr(t.text, "s3cret"));
	conf.n_urls = 0;
	assert_int_equal(bus_conn_new(&c, l, &conf, &ops, NULL, &t), E_CONF);
	loop_turn(l, 0);
	loop_free(l);
}

static enum err
make_and_close(void *arg)
{
	static const char *const urls[] = { "amqp://a:b@h:1/v", "amqp://c/w" };
	static const struct bus_conn_ops ops = { 0 };
	struct bus_conf conf = { .urls = urls, .n_urls = 2, .name = "n" };
	struct bus_conn *c;
	enum err e = bus_conn_new(&c, arg, &conf, &ops, NULL, NULL);

	if (e == E_OK)
		bus_conn_close(c, 0);
	loop_turn(arg, 0);
	return e;
}

static void
no_memory_is_an_error(void **state UNUSED)
{
	struct loop *l = loop_new(NULL);

	assert_non_null(l);
	torture(make_and_close, l);
	loop_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heartbeats_are_sent_when_nothing_else_is),
		cmocka_unit_test(a_silent_broker_is_dead_after_two_intervals),
		cmocka_unit_test(close_by_the_server_is_answered_and_told),
		cmocka_unit_test(it_comes_back_with_a_new_epoch),
		cmocka_unit_test(each_url_has_its_turn_and_the_wait_grows),
		cmocka_unit_test(restart_drops_and_dials_at_once),
		cmocka_unit_test(blocked_and_unblocked_are_told_once_each),
		cmocka_unit_test(close_says_goodbye),
		cmocka_unit_test(close_does_not_wait_for_ever),
		cmocka_unit_test(close_before_the_connection_stands),
		cmocka_unit_test(faults_end_the_connection_with_their_code),
		cmocka_unit_test(random_bytes_never_crash),
		cmocka_unit_test(a_broker_that_takes_nothing_is_given_up),
		cmocka_unit_test(a_wrong_url_is_refused_at_once),
		cmocka_unit_test(no_memory_is_an_error),
	};

	return cmocka_run_group_tests_name("bus/conn", tests, NULL, NULL);
}
