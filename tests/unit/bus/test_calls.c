/* bus/calls: each method as it goes out, its answer, and what becomes of calls when the channel or the connection goes. */
#include "bus/chan.h"

#include "unit/bus/fixture.h"

#include "bus/codec.h"

struct answers {
	size_t n;
	struct bus_answer a[8];
	struct errtext text[8], name[8];
	struct msg *msg;
	struct bus_chan *close; /* this one is closed in the first callback */
};

static void
note(void *owner, const struct bus_answer *a)
{
	struct answers *s = owner;

	assert_true(s->n < ARRAY_LEN(s->a));
	s->a[s->n] = *a;
	(void)err_set(&s->text[s->n], E_OK, "%s", a->text);
	(void)err_set(&s->name[s->n], E_OK, "%.*s%.*s", SPAN_FMT(a->queue), SPAN_FMT(a->consumer));
	if (a->delivery != NULL)
		s->msg = a->delivery->msg;
	s->n++;
	if (s->close != NULL)
		bus_chan_close(s->close);
	s->close = NULL;
}

static bool
is_open(void *owner)
{
	return bus_chan_is_open(owner);
}

static const struct bus_chan_ops quiet = { 0 };

static struct bus_chan *
start(struct fx *x)
{
	struct bus_chan *ch;

	fx_open(x, NULL);
	assert_ok(bus_chan_new(&ch, x->conn, &quiet, NULL));
	assert_int_equal(bus_confirm_select(ch, NULL, NULL), E_CLOSED); /* not open yet */
	fake_until(x->fake, is_open, ch);
	return ch;
}

static void
declaring_goes_out_as_asked(void **state UNUSED)
{
	struct answers s = { 0 };
	struct table args = { 0 };
	struct bus_chan *ch;
	struct arena a;
	struct fx x;

	ch = start(&x);
	arena_init(&a, 0);
	assert_ok(table_set(&args, &a, SPAN("x-priority"), val_int(7)));
	{
		const struct bus_queue q = {
			.name = SPAN("q"), .durable = true, .exclusive = true, .args = &args
		};
		const amqp_queue_declare_t *m;

		assert_ok(bus_queue_declare(ch, &q, note, &s));
		m = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD)->args;
		assert_span(span_of_amqp(m->queue), "q");
		assert_true(m->durable && m->exclusive && !m->passive && !m->auto_delete && !m->nowait);
		assert_int_equal(m->arguments.num_entries, 1);
		assert_int_equal(m->arguments.entries[0].value.value.i32, 7);
	}
	{
		const struct bus_exchange e = {
			.name = SPAN("ex"), .type = SPAN("topic"), .auto_delete = true
		};
		const amqp_exchange_declare_t *m;

		assert_ok(bus_exchange_declare(ch, &e, note, &s));
		m = fake_expect(x.fake, AMQP_EXCHANGE_DECLARE_METHOD)->args;
		assert_span(span_of_amqp(m->type), "topic");
		assert_true(m->auto_delete && !m->durable && !m->internal);
	}
	{
		const amqp_queue_bind_t *m;

		assert_ok(bus_queue_bind(ch, SPAN("q"), SPAN("ex"), SPAN("a.#"), note, &s));
		m = fake_expect(x.fake, AMQP_QUEUE_BIND_METHOD)->args;
		assert_span(span_of_amqp(m->exchange), "ex");
		assert_span(span_of_amqp(m->routing_key), "a.#");
	}
	{
		const amqp_exchange_bind_t *m;

		assert_ok(bus_exchange_bind(ch, SPAN("to"), SPAN("from"), SPAN("k"), NULL, NULL));
		m = fake_expect(x.fake, AMQP_EXCHANGE_BIND_METHOD)->args;
		assert_span(span_of_amqp(m->destination), "to");
		assert_span(span_of_amqp(m->source), "from");
	}
	fake_settle(x.fake);
	assert_int_equal(s.n, 3);
	for (size_t i = 0; i < s.n; i++)
		assert_ok(s.a[i].err);
	assert_string_equal(s.name[0].text, "q");
	bus_chan_close(ch);
	arena_release(&a);
	fx_release(&x);
}

static void
consuming_goes_out_as_asked(void **state UNUSED)
{
	struct answers s = { 0 };
	struct table args = { 0 };
	struct bus_chan *ch;
	struct arena a;
	struct fx x;

	ch = start(&x);
	arena_init(&a, 0);
	assert_ok(table_set(&args, &a, SPAN("x-priority"), val_int(7)));
	{
		const amqp_queue_delete_t *m;

		assert_ok(bus_queue_delete(ch, SPAN("q"), true, false, note, &s));
		m = fake_expect(x.fake, AMQP_QUEUE_DELETE_METHOD)->args;
		assert_true(m->if_unused && !m->if_empty);
	}
	{
		const amqp_basic_qos_t *m;

		assert_ok(bus_qos(ch, 3, false, NULL, NULL));
		m = fake_expect(x.fake, AMQP_BASIC_QOS_METHOD)->args;
		assert_int_equal(m->prefetch_count, 3);
		assert_false(m->global);
		assert_int_equal(bus_qos(ch, 65536, false, NULL, NULL), E_TOOBIG);
	}
	{
		const amqp_basic_consume_t *m;

		assert_ok(bus_consume(ch, SPAN("q"), SPAN("tag"), true, false, &args, note, &s));
		m = fake_expect(x.fake, AMQP_BASIC_CONSUME_METHOD)->args;
		assert_span(span_of_amqp(m->consumer_tag), "tag");
		assert_true(m->no_ack && !m->exclusive);
		assert_int_equal(m->arguments.num_entries, 1);
	}
	assert_ok(bus_cancel(ch, SPAN("tag"), note, &s));
	(void)fake_expect(x.fake, AMQP_BASIC_CANCEL_METHOD);
	assert_ok(bus_queue_purge(ch, SPAN("q"), note, &s));
	(void)fake_expect(x.fake, AMQP_QUEUE_PURGE_METHOD);
	fake_settle(x.fake);
	assert_int_equal(s.n, 4);
	for (size_t i = 0; i < s.n; i++)
		assert_ok(s.a[i].err);
	assert_string_equal(s.name[1].text, "tag");
	assert_string_equal(s.name[2].text, "tag");
	bus_chan_close(ch);
	arena_release(&a);
	fx_release(&x);
}

static void
answers_carry_their_numbers(void **state UNUSED)
{
	amqp_queue_declare_ok_t declared = { amqp_of_span(SPAN("amq.gen-1")), 12, 3 };
	struct answers s = { 0 };
	struct bus_chan *ch;
	struct fx x;

	ch = start(&x);
	fake_answer(x.fake, 0, false);
	/* Two under way at once: answered in order. */
	assert_ok(bus_queue_declare(ch, &(struct bus_queue){ .name = SPAN("") }, note, &s));
	assert_ok(bus_queue_purge(ch, SPAN("q"), note, &s));
	fake_send(x.fake, 1, AMQP_QUEUE_DECLARE_OK_METHOD, &declared);
	fake_send(x.fake, 1, AMQP_QUEUE_PURGE_OK_METHOD, &(amqp_queue_purge_ok_t){ 99 });
	fake_settle(x.fake);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.name[0].text, "amq.gen-1");
	assert_int_equal(s.a[0].messages, 12);
	assert_int_equal(s.a[0].consumers, 3);
	assert_int_equal(s.a[1].messages, 99);
	bus_chan_close(ch);
	fx_release(&x);
}

/* RabbitMQ: the queues answer consume and cancel, the channel all else, and none waits for another. */
static void
answers_about_consumers_come_in_any_order(void **state UNUSED)
{
	struct answers first = { 0 }, second = { 0 }, gone = { 0 }, qos = { 0 }, purge = { 0 };
	struct bus_chan *ch;
	struct fx x;

	ch = start(&x);
	fake_answer(x.fake, 0, false);
	assert_ok(bus_consume(ch, SPAN("q"), SPAN("first"), false, false, NULL, note, &first));
	assert_ok(bus_cancel(ch, SPAN("gone"), note, &gone));
	assert_ok(bus_consume(ch, SPAN("r"), SPAN("second"), false, false, NULL, note, &second));
	assert_ok(bus_qos(ch, 3, false, note, &qos));
	assert_ok(bus_queue_purge(ch, SPAN("q"), note, &purge));
	fake_send(x.fake, 1, AMQP_BASIC_QOS_OK_METHOD, &(amqp_basic_qos_ok_t){ 0 });
	fake_settle(x.fake);
	assert_int_equal(x.downs, 0);
	assert_int_equal(qos.n, 1);
	fake_send(x.fake, 1, AMQP_BASIC_CONSUME_OK_METHOD,
		&(amqp_basic_consume_ok_t){ amqp_of_span(SPAN("second")) });
	fake_settle(x.fake);
	assert_true(second.n == 1 && first.n == 0);
	assert_string_equal(second.name[0].text, "second");
	fake_send(x.fake, 1, AMQP_QUEUE_PURGE_OK_METHOD, &(amqp_queue_purge_ok_t){ 99 });
	fake_send(x.fake, 1, AMQP_BASIC_CANCEL_OK_METHOD,
		&(amqp_basic_cancel_ok_t){ amqp_of_span(SPAN("gone")) });
	fake_send(x.fake, 1, AMQP_BASIC_CONSUME_OK_METHOD,
		&(amqp_basic_consume_ok_t){ amqp_of_span(SPAN("first")) });
	fake_settle(x.fake);
	assert_int_equal(x.downs, 0);
	assert_true(first.n == 1 && gone.n == 1 && purge.n == 1);
	assert_int_equal(purge.a[0].messages, 99);
	bus_chan_close(ch);
	fx_release(&x);
}

static void
an_answer_about_another_consumer_is_a_fault(void **state UNUSED)
{
	struct answers s = { 0 };
	struct bus_chan *ch;
	struct fx x;

	ch = start(&x);
	fake_answer(x.fake, 0, false);
	assert_ok(bus_consume(ch, SPAN("q"), SPAN("tag"), false, false, NULL, note, &s));
	fake_send(x.fake, 1, AMQP_BASIC_CONSUME_OK_METHOD,
		&(amqp_basic_consume_ok_t){ amqp_of_span(SPAN("tags")) });
	assert_int_equal(
		((amqp_connection_close_t *)fake_expect(x.fake, AMQP_CONNECTION_CLOSE_METHOD)->args)->reply_code,
		503);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.a[0].err, E_CLOSED);
	bus_chan_close(ch);
	fx_release(&x);
}

static void
get_brings_a_message_or_none(void **state UNUSED)
{
	amqp_basic_get_ok_t ok = {
		.delivery_tag = 5, .redelivered = 1, .routing_key = amqp_of_span(SPAN("q")), .message_count = 8
	};
	struct answers s = { 0 };
	struct bus_chan *ch;
	struct msg m;
	struct fx x;

	ch = start(&x);
	fake_answer(x.fake, AMQP_BASIC_GET_METHOD, false);
	fx_msg(&m, "", "q", "id", "body");
	assert_ok(bus_get(ch, SPAN("q"), false, note, &s));
	assert_ok(bus_get(ch, SPAN("q"), false, note, &s));
	assert_ok(bus_get(ch, SPAN("q"), false, NULL, NULL)); /* nobody wants it: it must not leak */
	fake_send_content(x.fake, 1, AMQP_BASIC_GET_OK_METHOD, &ok, &m, 0);
	fake_send(x.fake, 1, AMQP_BASIC_GET_EMPTY_METHOD, &(amqp_basic_get_empty_t){ amqp_empty_bytes });
	fake_send_content(x.fake, 1, AMQP_BASIC_GET_OK_METHOD, &ok, &m, 0);
	fake_settle(x.fake);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.a[0].messages, 8);
	assert_span(s.msg->body, "body");
	assert_null(s.a[1].delivery);
	assert_ok(s.a[1].err);
	bus_msg_free(s.msg);
	bus_chan_close(ch);
	msg_release(&m);
	fx_release(&x);
}

static void
channel_close_refuses_the_call_that_it_names(void **state UNUSED)
{
	struct answers s = { 0 };
	struct bus_chan *ch;
	struct fx x;

	ch = start(&x);
	fake_answer(x.fake, 0, false);
	assert_ok(bus_queue_declare(ch, &(struct bus_queue){ .name = SPAN("q") }, note, &s));
	assert_ok(bus_queue_declare(ch, &(struct bus_queue){ .name = SPAN("r") }, note, &s));
	fake_close_channel(
		x.fake, 1, 406, "PRECONDITION_FAILED - inequivalent arg", AMQP_QUEUE_DECLARE_METHOD);
	fake_settle(x.fake);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.a[0].err, E_REFUSED);
	assert_int_equal(s.a[0].code, 406);
	assert_string_equal(s.text[0].text, "PRECONDITION_FAILED - inequivalent arg");
	assert_int_equal(s.a[1].err, E_CLOSED);
	bus_chan_close(ch);
	fx_release(&x);

	/* A queue may be slower to answer than the channel to refuse. */
	ch = start(&x);
	fake_answer(x.fake, 0, false);
	s.n = 0;
	assert_ok(bus_consume(ch, SPAN("q"), SPAN("tag"), false, false, NULL, note, &s));
	assert_ok(bus_qos(ch, 3, true, note, &s));
	assert_ok(bus_queue_declare(ch, &(struct bus_queue){ .name = SPAN("r") }, note, &s));
	fake_close_channel(x.fake, 1, 404, "NOT_FOUND - no queue 'r'", AMQP_QUEUE_DECLARE_METHOD);
	fake_settle(x.fake);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.a[0].err, E_CLOSED);
	assert_int_equal(s.a[1].err, E_CLOSED);
	assert_int_equal(s.a[2].err, E_REFUSED);
	bus_chan_close(ch);
	fx_release(&x);
}

static void
a_lost_connection_ends_all_calls(void **state UNUSED)
{
	struct answers s = { 0 };
	struct bus_chan *ch;
	struct fx x;

	ch = start(&x);
	fake_answer(x.fake, 0, false);
	for (int i = 0; i < 3; i++)
		assert_ok(bus_queue_purge(ch, SPAN("q"), note, &s));
	fake_close(x.fake, 320, "CONNECTION_FORCED");
	fake_until(x.fake, fx_is_down, &x);
	assert_int_equal(s.n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(s.a[i].err, E_CLOSED);
	bus_chan_close(ch);
	fx_release(&x);
}

static void
after_close_there_is_silence(void **state UNUSED)
{
	struct answers s = { 0 };
	struct bus_chan *ch;
	struct fx x;

	/* Closed with calls under way. */
	ch = start(&x);
	fake_answer(x.fake, 0, false);
	assert_ok(bus_queue_purge(ch, SPAN("q"), note, &s));
	bus_chan_close(ch);
	fake_send(x.fake, 1, AMQP_QUEUE_PURGE_OK_METHOD, &(amqp_queue_purge_ok_t){ 1 });
	fake_settle(x.fake);
	assert_int_equal(s.n, 0);
	assert_int_equal(x.downs, 0);
	fx_release(&x);

	/* Closed in the callback of the first of several that fail. */
	ch = start(&x);
	fake_answer(x.fake, 0, false);
	s.close = ch;
	for (int i = 0; i < 3; i++)
		assert_ok(bus_queue_purge(ch, SPAN("q"), note, &s));
	fake_close(x.fake, 320, "CONNECTION_FORCED");
	fake_until(x.fake, fx_is_down, &x);
	assert_int_equal(s.n, 1);
	fx_release(&x);
}

static void
an_answer_nobody_asked_for_is_a_fault(void **state UNUSED)
{
	struct bus_chan *ch;
	struct fx x;

	ch = start(&x);
	fake_send(x.fake, 1, AMQP_QUEUE_PURGE_OK_METHOD, &(amqp_queue_purge_ok_t){ 1 });
	assert_int_equal(
		((amqp_connection_close_t *)fake_expect(x.fake, AMQP_CONNECTION_CLOSE_METHOD)->args)->reply_code,
		503);
	bus_chan_close(ch);
	fx_release(&x);
}

/* Heartbeats shall not be what ends these tests. */
static void
beat_seldom(struct fake *f)
{
	fake_tune(f, 0, 131072, 3600);
}

static void
beat_seldom_and_open_nothing(struct fake *f)
{
	beat_seldom(f);
	fake_answer(f, AMQP_CHANNEL_OPEN_METHOD, false);
}

static struct bus_chan *
start_and_stop_clock(struct fx *x)
{
	struct bus_chan *ch;

	fx_stop_clock();
	fx_init(x, &(struct bus_conf){ .heartbeat_s = 3600 });
	x->prepare = beat_seldom;
	x->redial = true;
	fx_link(x);
	fake_until(x->fake, fx_is_up, x);
	assert_ok(bus_chan_new(&ch, x->conn, &quiet, NULL));
	fake_until(x->fake, is_open, ch);
	fake_answer(x->fake, 0, false);
	return ch;
}

static void
a_call_that_is_never_answered_ends_the_connection(void **state UNUSED)
{
	struct answers s = { 0 };
	struct bus_chan *ch;
	struct fx x;

	ch = start_and_stop_clock(&x);
	fx_pass(&x, 50000);
	assert_ok(bus_consume(ch, SPAN("q"), SPAN("tag"), false, false, NULL, note, &s));
	fx_pass(&x, 30000);
	/* What is answered meanwhile does not help the other. */
	assert_ok(bus_qos(ch, 3, false, NULL, NULL));
	fake_send(x.fake, 1, AMQP_BASIC_QOS_OK_METHOD, &(amqp_basic_qos_ok_t){ 0 });
	fx_pass(&x, 29000);
	assert_int_equal(x.downs, 0);
	x.prepare = beat_seldom_and_open_nothing;
	fx_pass(&x, 1100);
	assert_int_equal(x.downs, 1);
	assert_int_equal(x.down.err, E_TIMEOUT);
	assert_string_equal(x.down_text.text, "the broker has not answered on channel 1 for 60 seconds");
	assert_int_equal(s.n, 1);
	assert_int_equal(s.a[0].err, E_CLOSED);
	/* The next connection has its own time, for the opening of the channel too. */
	fx_pass(&x, 59000);
	assert_int_equal(x.downs, 1);
	assert_true(bus_conn_is_up(x.conn));
	assert_false(bus_chan_is_open(ch));
	x.prepare = beat_seldom;
	fx_pass(&x, 1100);
	assert_int_equal(x.downs, 2);
	fake_until(x.fake, is_open, ch);
	bus_chan_close(ch);
	fx_release(&x);
}

static void
who_answers_or_has_an_alarm_keeps_the_connection(void **state UNUSED)
{
	struct answers s = { 0 };
	struct bus_chan *ch;
	struct fx x;

	ch = start_and_stop_clock(&x);
	for (int i = 0; i < 5; i++) {
		assert_ok(bus_queue_purge(ch, SPAN("q"), note, &s));
		fx_pass(&x, 25000);
		fake_send(x.fake, 1, AMQP_QUEUE_PURGE_OK_METHOD, &(amqp_queue_purge_ok_t){ 1 });
		fake_settle(x.fake);
	}
	assert_int_equal(s.n, 5);
	assert_ok(bus_queue_purge(ch, SPAN("q"), note, &s));
	fx_pass(&x, 30000);
	fake_block(x.fake, true);
	fx_pass(&x, 300000);
	fake_block(x.fake, false);
	fx_pass(&x, 59000);
	assert_int_equal(x.downs, 0);
	/* The alarm is over, and it still says nothing. */
	fx_pass(&x, 61000);
	assert_int_equal(x.downs, 1);
	bus_chan_close(ch);
	fx_release(&x);
}

static void
names_that_do_not_fit_are_refused_here(void **state UNUSED)
{
	struct bus_chan *ch;
	char name[256];
	struct fx x;

	memset(name, 'n', sizeof(name));
	ch = start(&x);
	assert_int_equal(bus_queue_purge(ch, (struct span){ name, 256 }, NULL, NULL), E_TOOBIG);
	assert_ok(bus_queue_purge(ch, (struct span){ name, 255 }, NULL, NULL));
	(void)fake_expect(x.fake, AMQP_QUEUE_PURGE_METHOD);
	fake_settle(x.fake);
	assert_int_equal(x.downs, 0);
	bus_chan_close(ch);
	fx_release(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(declaring_goes_out_as_asked),
		cmocka_unit_test(consuming_goes_out_as_asked),
		cmocka_unit_test(answers_carry_their_numbers),
		cmocka_unit_test(answers_about_consumers_come_in_any_order),
		cmocka_unit_test(an_answer_about_another_consumer_is_a_fault),
		cmocka_unit_test(get_brings_a_message_or_none),
		cmocka_unit_test(channel_close_refuses_the_call_that_it_names),
		cmocka_unit_test(a_lost_connection_ends_all_calls),
		cmocka_unit_test(after_close_there_is_silence),
		cmocka_unit_test(an_answer_nobody_asked_for_is_a_fault),
		cmocka_unit_test(a_call_that_is_never_answered_ends_the_connection),
		cmocka_unit_test(who_answers_or_has_an_alarm_keeps_the_connection),
		cmocka_unit_test(names_that_do_not_fit_are_refused_here),
	};

	return cmocka_run_group_tests_name("bus/calls", tests, NULL, NULL);
}
