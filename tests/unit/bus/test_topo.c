/* bus/topo: queues are looked at first and created only when they are missing. */
#include "bus/topo.h"

#include "lib/torture.h"
#include "unit/bus/fixture.h"

#include "bus/codec.h"

struct rep {
	size_t n;
	struct bus_topo_report r;
	struct errtext queue, text;
};

static void
note(void *owner, const struct bus_topo_report *r)
{
	struct rep *s = owner;

	s->n++;
	s->r = *r;
	(void)err_set(&s->queue, E_OK, "%s", r->queue != NULL ? r->queue : "-");
	(void)err_set(&s->text, E_OK, "%s", r->text);
}

static bool
reported(void *owner)
{
	return ((struct rep *)owner)->n > 0;
}

static const char missing[] = "NOT_FOUND - no queue 'b' in vhost '/'";

static void
what_is_there_is_left_alone(void **state UNUSED)
{
	static const struct bus_topo_queue queues[] = { { .name = "a", .max_priority = 9 },
		{ .name = "b", .must_exist = true } };
	struct bus_topo *t;
	struct rep s = { 0 };
	struct fx x;

	fx_open(&x, NULL);
	assert_ok(bus_topo_ensure(&t, x.conn, queues, 2, note, &s));
	fake_until(x.fake, reported, &s);
	assert_ok(s.r.err);
	assert_int_equal(s.r.created, 0);
	for (int i = 0; i < 2; i++) {
		const amqp_queue_declare_t *m = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD)->args;

		assert_true(m->passive);
		assert_int_equal(m->arguments.num_entries, 0);
	}
	(void)fake_expect(x.fake, AMQP_CHANNEL_CLOSE_METHOD); /* the throwaway channel */
	assert_int_equal(fake_count(x.fake, AMQP_EXCHANGE_DECLARE_METHOD), 0);
	fx_release(&x);
}

static void
a_queue_that_is_there_is_kept_bound(void **state UNUSED)
{
	static const struct bus_topo_queue queues[] = {
		{ .name = "b", .exchange = "x", .routing_key = "k", .keep_bound = true }
	};
	amqp_queue_declare_ok_t zero = { 0 };
	const struct fake_in *in;
	const amqp_queue_bind_t *b;
	struct bus_topo *t;
	struct rep s = { 0 };
	struct fx x;

	fx_open(&x, NULL);
	fake_answer(x.fake, 0, false);
	fake_answer(x.fake, AMQP_CHANNEL_OPEN_METHOD, true);
	assert_ok(bus_topo_ensure(&t, x.conn, queues, 1, note, &s));
	in = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	fake_send(x.fake, in->channel, AMQP_QUEUE_DECLARE_OK_METHOD, &zero);
	in = fake_expect(x.fake, AMQP_EXCHANGE_DECLARE_METHOD);
	assert_span(span_of_amqp(((amqp_exchange_declare_t *)in->args)->exchange), "x");
	in = fake_expect(x.fake, AMQP_QUEUE_BIND_METHOD);
	b = in->args;
	assert_span(span_of_amqp(b->queue), "b");
	assert_span(span_of_amqp(b->exchange), "x");
	assert_span(span_of_amqp(b->routing_key), "k");
	fake_send(x.fake, in->channel, AMQP_EXCHANGE_DECLARE_OK_METHOD, &zero);
	fake_send(x.fake, in->channel, AMQP_QUEUE_BIND_OK_METHOD, &zero);
	fake_until(x.fake, reported, &s);
	assert_ok(s.r.err);
	assert_int_equal(s.r.created, 0);
	assert_int_equal(fake_count(x.fake, AMQP_QUEUE_DECLARE_METHOD), 0);
	fx_release(&x);
}

static void
what_is_missing_is_created_as_celery_would(void **state UNUSED)
{
	static const struct bus_topo_queue queues[] = { { .name = "b", .max_priority = 9, .quorum = true },
		{ .name = "c" } };
	static const uint32_t answers[] = { AMQP_EXCHANGE_DECLARE_OK_METHOD, AMQP_QUEUE_DECLARE_OK_METHOD,
		AMQP_QUEUE_BIND_OK_METHOD };
	amqp_queue_declare_ok_t zero = { 0 };
	const amqp_exchange_declare_t *e;
	const amqp_queue_declare_t *q;
	const amqp_queue_bind_t *b;
	const struct fake_in *in;
	struct bus_topo *t;
	struct rep s = { 0 };
	struct fx x;

	fx_open(&x, NULL);
	fake_answer(x.fake, 0, false);
	fake_answer(x.fake, AMQP_CHANNEL_OPEN_METHOD, true);
	assert_ok(bus_topo_ensure(&t, x.conn, queues, 2, note, &s));
	in = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	assert_true(((amqp_queue_declare_t *)in->args)->passive);
	fake_close_channel(x.fake, in->channel, 404, missing, AMQP_QUEUE_DECLARE_METHOD);
	e = fake_expect(x.fake, AMQP_EXCHANGE_DECLARE_METHOD)->args;
	assert_span(span_of_amqp(e->exchange), "b");
	assert_span(span_of_amqp(e->type), "direct");
	assert_true(e->durable);
	in = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	q = in->args;
	assert_true(q->durable && !q->passive && !q->exclusive && !q->auto_delete);
	assert_int_equal(q->arguments.num_entries, 2);
	b = fake_expect(x.fake, AMQP_QUEUE_BIND_METHOD)->args;
	assert_span(span_of_amqp(b->queue), "b");
	assert_span(span_of_amqp(b->exchange), "b");
	assert_span(span_of_amqp(b->routing_key), "b");
	for (int i = 0; i < 3; i++)
		fake_send(x.fake, in->channel, answers[i], &zero);
	in = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	assert_true(((amqp_queue_declare_t *)in->args)->passive);
	assert_span(span_of_amqp(((amqp_queue_declare_t *)in->args)->queue), "c");
	fake_send(x.fake, in->channel, AMQP_QUEUE_DECLARE_OK_METHOD, &zero);
	fake_until(x.fake, reported, &s);
	assert_ok(s.r.err);
	assert_int_equal(s.r.created, 1);
	fx_release(&x);
}

static void
an_application_may_say_how_it_is_created(void **state UNUSED)
{
	static struct pair args[] = { { SPAN("x-message-ttl"), { .type = VAL_INT, .u.integer = 60000 } } };
	static const struct table table = { args, 1, 1 };
	static const struct bus_topo_binding more[] = { { "", "direct", "b" }, { "y", "topic", "k.#" } };
	static const struct bus_topo_queue queues[] = { { .name = "b",
		.exchange = "x",
		.routing_key = "k",
		.transient = true,
		.auto_delete = true,
		.args = &table,
		.more = more,
		.n_more = 2,
		.keep_bound = true } };
	static const uint32_t answers[] = { AMQP_EXCHANGE_DECLARE_OK_METHOD, AMQP_EXCHANGE_DECLARE_OK_METHOD,
		AMQP_QUEUE_DECLARE_OK_METHOD, AMQP_QUEUE_BIND_OK_METHOD, AMQP_QUEUE_BIND_OK_METHOD };
	amqp_queue_declare_ok_t zero = { 0 };
	const amqp_exchange_declare_t *e;
	const amqp_queue_declare_t *q;
	const amqp_queue_bind_t *b;
	const struct fake_in *in;
	struct bus_topo *t;
	struct rep s = { 0 };
	struct fx x;

	fx_open(&x, NULL);
	fake_answer(x.fake, 0, false);
	fake_answer(x.fake, AMQP_CHANNEL_OPEN_METHOD, true);
	assert_ok(bus_topo_ensure(&t, x.conn, queues, 1, note, &s));
	in = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	fake_close_channel(x.fake, in->channel, 404, missing, AMQP_QUEUE_DECLARE_METHOD);
	assert_span(span_of_amqp((
			    (amqp_exchange_declare_t *)fake_expect(x.fake, AMQP_EXCHANGE_DECLARE_METHOD)->args)
					 ->exchange),
		"x");
	e = fake_expect(x.fake, AMQP_EXCHANGE_DECLARE_METHOD)->args;
	assert_span(span_of_amqp(e->exchange), "y");
	assert_span(span_of_amqp(e->type), "topic");
	assert_false(e->durable);
	in = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	q = in->args;
	assert_true(!q->durable && q->auto_delete);
	assert_int_equal(q->arguments.num_entries, 1);
	assert_span(
		span_of_amqp(
			((amqp_queue_bind_t *)fake_expect(x.fake, AMQP_QUEUE_BIND_METHOD)->args)->exchange),
		"x");
	b = fake_expect(x.fake, AMQP_QUEUE_BIND_METHOD)->args;
	assert_span(span_of_amqp(b->exchange), "y");
	assert_span(span_of_amqp(b->routing_key), "k.#");
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		fake_send(x.fake, in->channel, answers[i], &zero);
	fake_until(x.fake, reported, &s);
	assert_ok(s.r.err);
	assert_int_equal(s.r.created, 1);
	fx_release(&x);
}

static void
a_missing_one_that_must_exist_is_reported(void **state UNUSED)
{
	static const struct bus_topo_queue queues[] = { { .name = "b", .must_exist = true } };
	const struct fake_in *in;
	struct bus_topo *t;
	struct rep s = { 0 };
	struct fx x;

	fx_open(&x, NULL);
	fake_answer(x.fake, AMQP_QUEUE_DECLARE_METHOD, false);
	assert_ok(bus_topo_ensure(&t, x.conn, queues, 1, note, &s));
	in = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	fake_close_channel(x.fake, in->channel, 404, missing, AMQP_QUEUE_DECLARE_METHOD);
	fake_until(x.fake, reported, &s);
	assert_int_equal(s.r.err, E_MISSING);
	assert_string_equal(s.queue.text, "b");
	assert_string_equal(s.text.text, "queue 'b' does not exist");
	fx_release(&x);
}

static void
a_refusal_names_the_queue(void **state UNUSED)
{
	static const struct bus_topo_queue queues[] = { { .name = "b" } };
	const struct fake_in *in;
	struct bus_topo *t;
	struct rep s = { 0 };
	struct fx x;

	fx_open(&x, NULL);
	fake_answer(x.fake, AMQP_QUEUE_DECLARE_METHOD, false);
	assert_ok(bus_topo_ensure(&t, x.conn, queues, 1, note, &s));
	in = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	fake_close_channel(x.fake, in->channel, 405, "RESOURCE_LOCKED - cannot obtain exclusive access",
		AMQP_QUEUE_DECLARE_METHOD);
	fake_until(x.fake, reported, &s);
	assert_int_equal(s.r.err, E_REFUSED);
	assert_string_equal(s.text.text, "queue 'b': RESOURCE_LOCKED - cannot obtain exclusive access");
	fake_settle(x.fake);
	assert_int_equal(s.n, 1);
	fx_release(&x);
}

static void
creating_may_be_refused_too(void **state UNUSED)
{
	static const struct bus_topo_queue queues[] = { { .name = "b" } };
	const struct fake_in *in;
	struct bus_topo *t;
	struct rep s = { 0 };
	struct fx x;

	fx_open(&x, NULL);
	fake_answer(x.fake, AMQP_QUEUE_DECLARE_METHOD, false);
	fake_answer(x.fake, AMQP_EXCHANGE_DECLARE_METHOD, false);
	fake_answer(x.fake, AMQP_QUEUE_BIND_METHOD, false);
	assert_ok(bus_topo_ensure(&t, x.conn, queues, 1, note, &s));
	in = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	fake_close_channel(x.fake, in->channel, 404, missing, AMQP_QUEUE_DECLARE_METHOD);
	in = fake_expect(x.fake, AMQP_EXCHANGE_DECLARE_METHOD);
	fake_close_channel(x.fake, in->channel, 403, "ACCESS_REFUSED - access to exchange 'b'",
		AMQP_EXCHANGE_DECLARE_METHOD);
	fake_until(x.fake, reported, &s);
	fake_settle(x.fake);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.r.err, E_REFUSED);
	assert_string_equal(s.text.text, "queue 'b': ACCESS_REFUSED - access to exchange 'b'");
	fx_release(&x);
}

static void
the_default_exchange_needs_no_binding(void **state UNUSED)
{
	static const struct bus_topo_queue queues[] = { { .name = "b", .exchange = "" } };
	const struct fake_in *in;
	struct bus_topo *t;
	struct rep s = { 0 };
	struct fx x;

	fx_open(&x, NULL);
	fake_answer(x.fake, AMQP_QUEUE_DECLARE_METHOD, false);
	assert_ok(bus_topo_ensure(&t, x.conn, queues, 1, note, &s));
	in = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	fake_close_channel(x.fake, in->channel, 404, missing, AMQP_QUEUE_DECLARE_METHOD);
	in = fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	fake_send(x.fake, in->channel, AMQP_QUEUE_DECLARE_OK_METHOD,
		&(amqp_queue_declare_ok_t){ amqp_of_span(SPAN("b")), 0, 0 });
	fake_until(x.fake, reported, &s);
	assert_ok(s.r.err);
	assert_int_equal(s.r.created, 1);
	assert_int_equal(fake_count(x.fake, AMQP_EXCHANGE_DECLARE_METHOD), 0);
	assert_int_equal(fake_count(x.fake, AMQP_QUEUE_BIND_METHOD), 0);
	fx_release(&x);
}

static void
a_lost_connection_is_reported(void **state UNUSED)
{
	static const struct bus_topo_queue queues[] = { { .name = "b" } };
	struct bus_topo *t;
	struct rep s = { 0 };
	struct fx x;

	fx_open(&x, NULL);
	fake_answer(x.fake, AMQP_QUEUE_DECLARE_METHOD, false);
	assert_ok(bus_topo_ensure(&t, x.conn, queues, 1, note, &s));
	(void)fake_expect(x.fake, AMQP_QUEUE_DECLARE_METHOD);
	fake_close(x.fake, 320, "CONNECTION_FORCED");
	fake_until(x.fake, reported, &s);
	assert_int_equal(s.r.err, E_CLOSED);
	assert_int_equal(s.n, 1);
	fx_release(&x);
}

static void
an_empty_list_is_fine_and_cancelling_is_silent(void **state UNUSED)
{
	static const struct bus_topo_queue queues[] = { { .name = "b" } };
	struct bus_topo *t;
	struct rep s = { 0 };
	struct fx x;

	fx_open(&x, NULL);
	assert_ok(bus_topo_ensure(&t, x.conn, NULL, 0, note, &s));
	assert_int_equal(s.n, 0); /* not from inside */
	fake_until(x.fake, reported, &s);
	assert_ok(s.r.err);
	assert_ok(bus_topo_ensure(&t, x.conn, queues, 1, note, &s));
	bus_topo_cancel(t);
	bus_topo_cancel(NULL);
	fake_settle(x.fake);
	assert_int_equal(s.n, 1);
	fx_release(&x);
}

static enum err
make_and_cancel(void *arg)
{
	static const struct bus_topo_queue queues[] = { { .name = "a" }, { .name = "b", .exchange = "x" } };
	struct fx *x = arg;
	struct bus_topo *t;
	struct rep s = { 0 };
	enum err e = bus_topo_ensure(&t, x->conn, queues, 2, note, &s);

	if (e == E_OK)
		bus_topo_cancel(t);
	loop_turn(x->loop, 0);
	return e;
}

static void
no_memory_is_an_error(void **state UNUSED)
{
	struct fx x;

	fx_init(&x, NULL);
	torture(make_and_cancel, &x);
	fx_release(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_is_left_alone),
		cmocka_unit_test(what_is_missing_is_created_as_celery_would),
		cmocka_unit_test(a_queue_that_is_there_is_kept_bound),
		cmocka_unit_test(an_application_may_say_how_it_is_created),
		cmocka_unit_test(a_missing_one_that_must_exist_is_reported),
		cmocka_unit_test(a_refusal_names_the_queue),
		cmocka_unit_test(creating_may_be_refused_too),
		cmocka_unit_test(the_default_exchange_needs_no_binding),
		cmocka_unit_test(a_lost_connection_is_reported),
		cmocka_unit_test(an_empty_list_is_fine_and_cancelling_is_silent),
		cmocka_unit_test(no_memory_is_an_error),
	};

	return cmocka_run_group_tests_name("bus/topo", tests, NULL, NULL);
}
