/* bus/publish: every message ends exactly once, whatever the broker and the connection do. */
#include "bus/publish.h"

#include "lib/torture.h"
#include "unit/bus/fixture.h"

#include "bus/codec.h"

#define N_MAX 64

struct ends {
	struct bus_pub *pub;
	size_t n; /* callbacks in all */
	size_t drains;
	struct {
		size_t n;
		enum bus_pub_end end;
		int code;
		struct errtext text;
	} of[N_MAX]; /* by the message's number */
	struct one {
		struct ends *s;
		size_t i;
	} one[N_MAX];
	bool close_in_callback;
};

static void
on_end(void *owner, const struct bus_pub_result *r)
{
	struct one *o = owner;
	struct ends *s = o->s;

	s->n++;
	s->of[o->i].n++;
	s->of[o->i].end = r->end;
	s->of[o->i].code = r->code;
	(void)err_set(&s->of[o->i].text, E_OK, "%s", r->text);
	if (s->close_in_callback)
		bus_pub_close(s->pub);
}

static void
on_drain(void *owner)
{
	((struct ends *)owner)->drains++;
}

static const struct bus_pub_conf defaults;

static void
start(struct fx *x, struct ends *s, const struct bus_pub_conf *conf)
{
	*s = (struct ends){ 0 };
	for (size_t i = 0; i < N_MAX; i++)
		s->one[i] = (struct one){ s, i };
	fx_open(x, NULL);
	assert_ok(bus_pub_new(&s->pub, x->conn, conf != NULL ? conf : &defaults, on_drain, s));
}

static enum err
try_publish(struct ends *s, size_t i, const char *exchange, const char *key, uint64_t *id)
{
	char name[32];
	struct msg m;
	enum err e;

	(void)snprintf(name, sizeof(name), "id-%zu", i);
	fx_msg(&m, exchange, key, name, "[[], {}, null]");
	e = bus_publish(s->pub, &m, on_end, &s->one[i], id);
	msg_release(&m);
	return e;
}

static void
publish(struct ends *s, size_t i, const char *exchange, const char *key)
{
	assert_ok(try_publish(s, i, exchange, key, NULL));
}

static void
finish(struct fx *x, struct ends *s)
{
	bus_pub_close(s->pub);
	fx_release(x);
}

/* The next publish that came in is that of message i. */
static const struct fake_in *
expect_publish(struct fx *x, size_t i)
{
	const struct fake_in *in = fake_expect(x->fake, AMQP_BASIC_PUBLISH_METHOD);
	char name[32];

	(void)snprintf(name, sizeof(name), "id-%zu", i);
	assert_span(in->msg.correlation_id, name);
	return in;
}

static void
assert_end(const struct ends *s, size_t i, enum bus_pub_end end)
{
	assert_int_equal(s->of[i].n, 1);
	assert_int_equal(s->of[i].end, end);
}

static bool
all_ended(void *owner)
{
	return bus_pub_pending(((struct ends *)owner)->pub) == 0;
}

static void
a_message_goes_out_as_it_should(void **state UNUSED)
{
	const struct fake_in *in;
	struct ends s;
	struct fx x;

	start(&x, &s, NULL);
	publish(&s, 0, "ex", "key");
	assert_int_equal(s.n, 0); /* not from inside */
	in = expect_publish(&x, 0);
	assert_true(((amqp_basic_publish_t *)in->args)->mandatory);
	assert_false(((amqp_basic_publish_t *)in->args)->immediate);
	assert_span(in->msg.exchange, "ex");
	assert_span(in->msg.routing_key, "key");
	assert_int_equal(in->msg.delivery_mode, 2);
	assert_span(in->msg.content_type, "application/json");
	assert_span(table_get_string(&in->msg.headers, "task"), "add");
	assert_span(in->msg.body, "[[], {}, null]");
	fake_until(x.fake, all_ended, &s);
	assert_end(&s, 0, BUS_PUB_CONFIRMED);
	assert_string_equal(s.of[0].text.text, "");
	finish(&x, &s);
}

static void
what_the_message_says_wins(void **state UNUSED)
{
	const struct fake_in *in;
	struct ends s;
	struct msg m;
	struct fx x;

	start(&x, &s, NULL);
	msg_init(&m, 0);
	m.delivery_mode = 1;
	m.priority = 4;
	m.reply_to = SPAN("reply");
	assert_ok(bus_publish(s.pub, &m, NULL, NULL, NULL));
	in = fake_expect(x.fake, AMQP_BASIC_PUBLISH_METHOD);
	assert_int_equal(in->msg.delivery_mode, 1);
	assert_int_equal(in->msg.priority, 4);
	assert_span(in->msg.reply_to, "reply");
	assert_none(in->msg.content_type);
	assert_int_equal(in->msg.body.len, 0);
	fake_until(x.fake, all_ended, &s);
	finish(&x, &s);
}

static void
confirms_come_in_any_order_and_in_ranges(void **state UNUSED)
{
	struct ends s;
	struct fx x;

	start(&x, &s, NULL);
	fake_answer(x.fake, AMQP_BASIC_PUBLISH_METHOD, false);
	for (size_t i = 0; i < 10; i++)
		publish(&s, i, "", "q");
	for (size_t i = 0; i < 10; i++)
		(void)expect_publish(&x, i);
	fake_ack(x.fake, 1, 3, false);
	fake_nack(x.fake, 1, 7, false);
	fake_settle(x.fake);
	assert_int_equal(s.n, 2);
	assert_end(&s, 2, BUS_PUB_CONFIRMED);
	assert_end(&s, 6, BUS_PUB_NACKED);
	assert_non_null(strstr(s.of[6].text.text, "'q'"));
	fake_ack(x.fake, 1, 5, true);
	fake_settle(x.fake);
	assert_int_equal(s.n, 6);
	fake_nack(x.fake, 1, 8, true);
	fake_ack(x.fake, 1, 8, false);  /* again */
	fake_ack(x.fake, 1, 77, false); /* nonsense */
	fake_settle(x.fake);
	assert_end(&s, 5, BUS_PUB_NACKED);
	assert_end(&s, 7, BUS_PUB_NACKED);
	assert_int_equal(s.n, 8);
	fake_ack(x.fake, 1, 0, true); /* all that are left */
	fake_settle(x.fake);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(s.of[i].n, 1);
	assert_int_equal(bus_pub_pending(s.pub), 0);
	finish(&x, &s);
}

static void
a_return_belongs_to_its_message(void **state UNUSED)
{
	const struct fake_in *in[4];
	struct ends s;
	struct fx x;

	start(&x, &s, NULL);
	fake_answer(x.fake, AMQP_BASIC_PUBLISH_METHOD, false);
	publish(&s, 0, "", "there");
	publish(&s, 1, "", "nowhere");
	publish(&s, 2, "ex", "nowhere");
	publish(&s, 3, "", "nowhere");
	for (size_t i = 0; i < 4; i++)
		in[i] = expect_publish(&x, i);
	fake_return(x.fake, 1, in[3]);
	fake_return(x.fake, 1, in[2]);
	fake_ack(x.fake, 1, 4, true);
	fake_until(x.fake, all_ended, &s);
	assert_end(&s, 0, BUS_PUB_CONFIRMED);
	assert_end(&s, 1, BUS_PUB_CONFIRMED);
	assert_end(&s, 2, BUS_PUB_RETURNED);
	assert_end(&s, 3, BUS_PUB_RETURNED);
	assert_int_equal(s.of[2].code, 312);
	assert_string_equal(s.of[2].text.text,
		"no queue takes messages to exchange 'ex' with routing key 'nowhere' (NO_ROUTE)");
	assert_non_null(strstr(s.of[3].text.text, "no queue 'nowhere'"));
	finish(&x, &s);
}

static void
alike_messages_are_returned_in_order(void **state UNUSED)
{
	const struct fake_in *in;
	struct ends s;
	struct msg m;
	struct fx x;

	start(&x, &s, NULL);
	fake_answer(x.fake, AMQP_BASIC_PUBLISH_METHOD, false);
	msg_init(&m, 0);
	m.routing_key = SPAN("nowhere");
	for (size_t i = 0; i < 3; i++)
		assert_ok(bus_publish(s.pub, &m, on_end, &s.one[i], NULL));
	for (size_t i = 0; i < 3; i++) {
		in = fake_expect(x.fake, AMQP_BASIC_PUBLISH_METHOD);
		fake_return(x.fake, 1, in);
		fake_ack(x.fake, 1, i + 1, false);
	}
	fake_until(x.fake, all_ended, &s);
	for (size_t i = 0; i < 3; i++)
		assert_end(&s, i, BUS_PUB_RETURNED);
	finish(&x, &s);
}

static void
the_window_bounds_what_is_in_flight(void **state UNUSED)
{
	struct ends s;
	struct fx x;

	start(&x, &s, &(struct bus_pub_conf){ .window = 4, .queue_max = 6 });
	fake_answer(x.fake, AMQP_BASIC_PUBLISH_METHOD, false);
	for (size_t i = 0; i < 10; i++)
		publish(&s, i, "", "q");
	assert_int_equal(try_publish(&s, 10, "", "q", NULL), E_AGAIN);
	fake_settle(x.fake);
	assert_int_equal(fake_count(x.fake, AMQP_BASIC_PUBLISH_METHOD), 4);
	fake_ack(x.fake, 1, 2, true);
	fake_settle(x.fake);
	assert_int_equal(fake_count(x.fake, AMQP_BASIC_PUBLISH_METHOD), 6);
	assert_int_equal(s.drains, 0);
	fake_ack(x.fake, 1, 6, true);
	fake_settle(x.fake);
	assert_int_equal(s.drains, 1); /* half is free */
	publish(&s, 10, "", "q");
	fake_settle(x.fake);
	for (size_t i = 0; i < 10; i++)
		(void)expect_publish(&x, i);
	fake_ack(x.fake, 1, 10, true);
	(void)expect_publish(&x, 10);
	fake_ack(x.fake, 1, 11, true);
	fake_until(x.fake, all_ended, &s);
	assert_int_equal(s.drains, 1);
	assert_int_equal(s.n, 11);
	finish(&x, &s);
}

static void
bytes_are_bounded_too(void **state UNUSED)
{
	static char big[60000];
	struct ends s;
	struct msg m;
	struct fx x;

	start(&x, &s, &(struct bus_pub_conf){ .bytes_max = 100000 });
	fake_answer(x.fake, AMQP_BASIC_PUBLISH_METHOD, false);
	msg_init(&m, 0);
	m.body = (struct span){ big, sizeof(big) };
	assert_ok(bus_publish(s.pub, &m, on_end, &s.one[0], NULL));
	assert_int_equal(bus_publish(s.pub, &m, on_end, &s.one[1], NULL), E_AGAIN);
	(void)fake_expect(x.fake, AMQP_BASIC_PUBLISH_METHOD);
	fake_ack(x.fake, 1, 1, false);
	fake_settle(x.fake);
	assert_int_equal(s.drains, 1);
	assert_ok(bus_publish(s.pub, &m, on_end, &s.one[1], NULL));
	m.body = SPAN_NONE;
	m.routing_key = (struct span){ big, 256 };
	assert_int_equal(bus_publish(s.pub, &m, on_end, &s.one[2], NULL), E_TOOBIG);
	finish(&x, &s);
	start(&x, &s, &(struct bus_pub_conf){ .bytes_max = 1000 });
	m.routing_key = SPAN("q");
	m.body = (struct span){ big, 2000 };
	assert_int_equal(bus_pub_check(s.pub, &m), E_TOOBIG);
	m.body.len = 300;
	assert_ok(bus_pub_check(s.pub, &m));
	finish(&x, &s);
}

static void
large_bodies_are_cut_to_the_brokers_frames(void **state UNUSED)
{
	size_t size = 300000;
	char *body = alloc_bytes(size);
	const struct fake_in *in;
	struct ends s = { 0 };
	struct msg m;
	struct fx x;

	assert_non_null(body);
	for (size_t i = 0; i < size; i++)
		body[i] = (char)(i * 13 + i / 999);
	for (size_t i = 0; i < N_MAX; i++)
		s.one[i] = (struct one){ &s, i };
	fx_init(&x, NULL);
	fx_link(&x);
	fake_tune(x.fake, 0, 4096, 60);
	fake_until(x.fake, fx_is_up, &x);
	assert_ok(bus_pub_new(&s.pub, x.conn, &defaults, on_drain, &s));
	msg_init(&m, 0);
	m.body = (struct span){ body, size };
	assert_ok(bus_publish(s.pub, &m, on_end, &s.one[0], NULL));
	in = fake_expect(x.fake, AMQP_BASIC_PUBLISH_METHOD);
	assert_int_equal(in->msg.body.len, size);
	assert_memory_equal(in->msg.body.ptr, body, size);
	fake_until(x.fake, all_ended, &s);
	/* Headers cannot be cut. */
	m.has_headers = true;
	assert_ok(table_set(&m.headers, &m.arena, SPAN("big"), val_string((struct span){ body, 5000 })));
	assert_ok(bus_publish(s.pub, &m, on_end, &s.one[1], NULL));
	fake_until(x.fake, all_ended, &s);
	assert_end(&s, 1, BUS_PUB_REFUSED);
	assert_int_equal(x.downs, 0);
	msg_release(&m);
	alloc_free(body);
	finish(&x, &s);
}

static void
while_blocked_nothing_is_sent(void **state UNUSED)
{
	struct ends s;
	struct fx x;

	start(&x, &s, NULL);
	publish(&s, 0, "", "q");
	fake_until(x.fake, all_ended, &s);
	fake_block(x.fake, true);
	fake_settle(x.fake);
	publish(&s, 1, "", "q");
	publish(&s, 2, "", "q");
	fake_settle(x.fake);
	assert_int_equal(fake_count(x.fake, AMQP_BASIC_PUBLISH_METHOD), 1);
	assert_int_equal(bus_pub_pending(s.pub), 2);
	fake_block(x.fake, false);
	fake_until(x.fake, all_ended, &s);
	assert_end(&s, 1, BUS_PUB_CONFIRMED);
	assert_end(&s, 2, BUS_PUB_CONFIRMED);
	finish(&x, &s);
}

static void
mute_publish(struct fake *f)
{
	fake_answer(f, AMQP_BASIC_PUBLISH_METHOD, false);
}

static void
what_is_unconfirmed_is_sent_again_in_order(void **state UNUSED)
{
	struct ends s;
	struct fx x;

	start(&x, &s, &(struct bus_pub_conf){ .window = 5 });
	x.prepare = mute_publish;
	mute_publish(x.fake);
	x.redial = true;
	for (size_t i = 0; i < 8; i++)
		publish(&s, i, "", "q");
	for (size_t i = 0; i < 5; i++)
		(void)expect_publish(&x, i);
	fake_ack(x.fake, 1, 2, false);
	fake_settle(x.fake);
	(void)expect_publish(&x, 5);
	/* Gone with 1, 3, 4, 5, 6 in flight and 7, 8 waiting; while it is down one more comes. */
	fake_close(x.fake, 320, "CONNECTION_FORCED");
	fake_until(x.fake, fx_is_down, &x);
	publish(&s, 8, "", "q");
	(void)expect_publish(&x, 0);
	for (size_t i = 2; i < 6; i++)
		(void)expect_publish(&x, i);
	fake_settle(x.fake);
	assert_int_equal(fake_count(x.fake, AMQP_BASIC_PUBLISH_METHOD), 0);
	fake_ack(x.fake, 1, 5, true); /* numbers begin at 1 again */
	for (size_t i = 6; i < 9; i++)
		(void)expect_publish(&x, i);
	fake_ack(x.fake, 1, 8, true);
	fake_until(x.fake, all_ended, &s);
	for (size_t i = 0; i < 9; i++)
		assert_end(&s, i, BUS_PUB_CONFIRMED);
	finish(&x, &s);
}

static void
a_return_of_the_last_connection_does_not_count(void **state UNUSED)
{
	const struct fake_in *in;
	struct ends s;
	struct fx x;

	start(&x, &s, NULL);
	mute_publish(x.fake);
	x.redial = true;
	publish(&s, 0, "", "q");
	in = expect_publish(&x, 0);
	fake_return(x.fake, 1, in);
	fake_settle(x.fake);
	fake_close(x.fake, 320, "CONNECTION_FORCED");
	fake_until(x.fake, all_ended, &s); /* the queue is there by now */
	assert_end(&s, 0, BUS_PUB_CONFIRMED);
	finish(&x, &s);
}

static const char no_exchange[] = "NOT_FOUND - no exchange 'gone' in vhost '/'";

static void
a_missing_exchange_fails_its_messages_only(void **state UNUSED)
{
	struct ends s;
	struct fx x;

	start(&x, &s, &(struct bus_pub_conf){ .window = 4 });
	mute_publish(x.fake);
	publish(&s, 0, "", "q");
	publish(&s, 1, "gone", "k");
	publish(&s, 2, "ex", "k");
	publish(&s, 3, "gone", "k2");
	publish(&s, 4, "gone", "k3"); /* waits */
	publish(&s, 5, "", "q");      /* waits */
	for (size_t i = 0; i < 4; i++)
		(void)expect_publish(&x, i);
	fake_answer(x.fake, AMQP_BASIC_PUBLISH_METHOD, true);
	fake_close_channel(x.fake, 1, 404, no_exchange, AMQP_BASIC_PUBLISH_METHOD);
	fake_until(x.fake, all_ended, &s);
	assert_end(&s, 0, BUS_PUB_CONFIRMED);
	assert_end(&s, 2, BUS_PUB_CONFIRMED);
	assert_end(&s, 5, BUS_PUB_CONFIRMED);
	assert_end(&s, 1, BUS_PUB_NO_EXCHANGE);
	assert_end(&s, 3, BUS_PUB_NO_EXCHANGE);
	assert_end(&s, 4, BUS_PUB_NO_EXCHANGE);
	assert_int_equal(s.of[1].code, 404);
	assert_string_equal(s.of[1].text.text,
		"the broker does not take the message to exchange 'gone' with routing key 'k': NOT_FOUND - "
		"no exchange 'gone' in vhost '/'");
	assert_int_equal(s.n, 6);
	assert_int_equal(x.downs, 0);
	finish(&x, &s);
}

static void
a_nameless_fault_is_found_by_sending_one_at_a_time(void **state UNUSED)
{
	static const char text[] = "PRECONDITION_FAILED - invalid expiration 'soon'";
	struct ends s;
	struct fx x;

	start(&x, &s, NULL);
	mute_publish(x.fake);
	for (size_t i = 0; i < 5; i++)
		publish(&s, i, "", "q");
	for (size_t i = 0; i < 5; i++)
		(void)expect_publish(&x, i);
	fake_close_channel(x.fake, 1, 406, text, AMQP_BASIC_PUBLISH_METHOD);
	/* Each alone; the third is the bad one. */
	for (size_t i = 0; i < 2; i++) {
		(void)expect_publish(&x, i);
		fake_settle(x.fake);
		assert_int_equal(fake_count(x.fake, AMQP_BASIC_PUBLISH_METHOD), 0);
		fake_ack(x.fake, 1, i + 1, false);
	}
	(void)expect_publish(&x, 2);
	fake_close_channel(x.fake, 1, 406, text, AMQP_BASIC_PUBLISH_METHOD);
	fake_answer(x.fake, AMQP_BASIC_PUBLISH_METHOD, true);
	fake_until(x.fake, all_ended, &s);
	for (size_t i = 0; i < 5; i++)
		assert_end(&s, i, i == 2 ? BUS_PUB_REFUSED : BUS_PUB_CONFIRMED);
	assert_int_equal(s.of[2].code, 406);
	assert_non_null(strstr(s.of[2].text.text, "invalid expiration"));
	finish(&x, &s);
}

static void
a_key_that_is_not_allowed_costs_no_other_key(void **state UNUSED)
{
	static const char text[] =
		"ACCESS_REFUSED - access to topic 'b.c' in exchange 'tp' in vhost '/' refused for user 'alice'";
	struct ends s;
	struct fx x;

	start(&x, &s, NULL);
	fake_answer(x.fake, AMQP_BASIC_PUBLISH_METHOD, false);
	publish(&s, 0, "tp", "a.b");
	publish(&s, 1, "tp", "b.c");
	publish(&s, 2, "tp", "a.c");
	for (size_t i = 0; i < 3; i++)
		(void)expect_publish(&x, i);
	fake_answer(x.fake, AMQP_BASIC_PUBLISH_METHOD, true);
	fake_close_channel(x.fake, 1, 403, text, AMQP_BASIC_PUBLISH_METHOD);
	fake_until(x.fake, all_ended, &s);
	assert_end(&s, 0, BUS_PUB_CONFIRMED);
	assert_end(&s, 1, BUS_PUB_REFUSED);
	assert_end(&s, 2, BUS_PUB_CONFIRMED);
	finish(&x, &s);
}

static void
cancelled_messages_are_silent(void **state UNUSED)
{
	uint64_t sent, waiting;
	struct ends s;
	struct fx x;

	start(&x, &s, &(struct bus_pub_conf){ .window = 1 });
	x.redial = true;
	mute_publish(x.fake);
	assert_ok(try_publish(&s, 0, "", "q", &sent));
	(void)expect_publish(&x, 0);
	assert_ok(try_publish(&s, 1, "", "q", &waiting));
	assert_ok(try_publish(&s, 2, "", "q", NULL));
	bus_pub_cancel(s.pub, sent);
	bus_pub_cancel(s.pub, waiting);
	bus_pub_cancel(s.pub, 999);
	assert_int_equal(bus_pub_pending(s.pub), 2);
	/* Neither is sent again after a loss. */
	fake_close(x.fake, 320, "CONNECTION_FORCED");
	fake_until(x.fake, all_ended, &s);
	(void)expect_publish(&x, 2);
	assert_int_equal(fake_count(x.fake, AMQP_BASIC_PUBLISH_METHOD), 0);
	assert_int_equal(s.n, 1);
	assert_end(&s, 2, BUS_PUB_CONFIRMED);
	finish(&x, &s);
}

static void
close_in_its_own_callback(void **state UNUSED)
{
	struct ends s;
	struct fx x;

	start(&x, &s, NULL);
	mute_publish(x.fake);
	s.close_in_callback = true;
	for (size_t i = 0; i < 5; i++)
		publish(&s, i, "", "q");
	for (size_t i = 0; i < 5; i++)
		(void)expect_publish(&x, i);
	fake_ack(x.fake, 1, 5, true);
	fake_settle(x.fake);
	assert_int_equal(s.n, 1);
	fx_release(&x);
}

static void
it_may_be_closed_before_and_after_the_connection(void **state UNUSED)
{
	struct ends s;
	struct fx x;

	start(&x, &s, NULL);
	publish(&s, 0, "", "q");
	bus_conn_close(x.conn, 0);
	x.conn = NULL;
	loop_turn(x.loop, 0);
	assert_int_equal(try_publish(&s, 1, "", "q", NULL), E_CLOSED);
	assert_int_equal(s.n, 0);
	finish(&x, &s);
	bus_pub_close(NULL);
}

static void
a_full_stream_is_waited_for(void **state UNUSED)
{
	static char big[100000];
	struct ends s = { 0 };
	struct msg m;
	struct fx x;

	for (size_t i = 0; i < N_MAX; i++)
		s.one[i] = (struct one){ &s, i };
	fx_open(&x, &(struct bus_conf){ .write_max = 600000 });
	assert_ok(bus_pub_new(&s.pub, x.conn, &defaults, on_drain, &s));
	msg_init(&m, 0);
	m.body = (struct span){ big, sizeof(big) };
	fake_deaf(x.fake, true);
	for (size_t i = 0; i < 30; i++)
		assert_ok(bus_publish(s.pub, &m, on_end, &s.one[i], NULL));
	fake_settle(x.fake);
	fake_deaf(x.fake, false);
	fake_until(x.fake, all_ended, &s);
	for (size_t i = 0; i < 30; i++)
		assert_end(&s, i, BUS_PUB_CONFIRMED);
	assert_int_equal(x.downs, 0);
	finish(&x, &s);
}

static void
no_memory_is_an_error_and_nothing_is_lost(void **state UNUSED)
{
	struct ends s;
	struct fx x;

	start(&x, &s, NULL);
	for (uint64_t nth = 1; nth <= 3; nth++) {
		struct msg m;
		enum err e;

		fx_msg(&m, "", "q", "id-0", "body");
		alloc_fail_after(nth);
		e = bus_publish(s.pub, &m, on_end, &s.one[0], NULL);
		alloc_fail_after(0);
		assert_true(e == E_NOMEM || e == E_OK);
		msg_release(&m);
	}
	publish(&s, 0, "", "q");
	fake_until(x.fake, all_ended, &s);
	assert_int_equal(s.n, s.of[0].n);
	assert_true(s.n >= 1);
	finish(&x, &s);
}

static enum err
make_and_close(void *arg)
{
	struct fx *x = arg;
	struct bus_pub *p;
	enum err e = bus_pub_new(&p, x->conn, &defaults, NULL, NULL);

	if (e == E_OK)
		bus_pub_close(p);
	loop_turn(x->loop, 0);
	return e;
}

static void
a_publisher_without_memory_is_an_error(void **state UNUSED)
{
	struct fx x;

	fx_init(&x, NULL);
	torture(make_and_close, &x);
	fx_release(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_goes_out_as_it_should),
		cmocka_unit_test(what_the_message_says_wins),
		cmocka_unit_test(confirms_come_in_any_order_and_in_ranges),
		cmocka_unit_test(a_return_belongs_to_its_message),
		cmocka_unit_test(alike_messages_are_returned_in_order),
		cmocka_unit_test(the_window_bounds_what_is_in_flight),
		cmocka_unit_test(bytes_are_bounded_too),
		cmocka_unit_test(large_bodies_are_cut_to_the_brokers_frames),
		cmocka_unit_test(while_blocked_nothing_is_sent),
		cmocka_unit_test(what_is_unconfirmed_is_sent_again_in_order),
		cmocka_unit_test(a_return_of_the_last_connection_does_not_count),
		cmocka_unit_test(a_missing_exchange_fails_its_messages_only),
		cmocka_unit_test(a_nameless_fault_is_found_by_sending_one_at_a_time),
		cmocka_unit_test(a_key_that_is_not_allowed_costs_no_other_key),
		cmocka_unit_test(cancelled_messages_are_silent),
		cmocka_unit_test(close_in_its_own_callback),
		cmocka_unit_test(it_may_be_closed_before_and_after_the_connection),
		cmocka_unit_test(a_full_stream_is_waited_for),
		cmocka_unit_test(no_memory_is_an_error_and_nothing_is_lost),
		cmocka_unit_test(a_publisher_without_memory_is_an_error),
	};

	return cmocka_run_group_tests_name("bus/publish", tests, NULL, NULL);
}
