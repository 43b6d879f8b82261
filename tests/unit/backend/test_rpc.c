/* backend/rpc over a scripted broker: what is published, what its fate means, and how a producer hears of replies. */
#include "backend/backend.h"

#include "lib/torture.h"
#include "unit/bus/fixture.h"

#include "base/buf.h"

#define FINAL \
	"{\"task_id\": \"U1\", \"status\": \"SUCCESS\", \"result\": 5, \"traceback\": null, \"children\": []}"

struct world {
	struct fx x;
	struct backend *b;
	int ups, downs;
	struct errtext why;
};

/* One store and what became of it. */
struct end {
	struct backend_store s;
	int n;
	enum err err;
	struct errtext why;
};

static void
on_up(void *owner)
{
	((struct world *)owner)->ups++;
}

static void
on_down(void *owner, const char *url, const char *why, ms_t retry_ms UNUSED, bool was_up UNUSED)
{
	struct world *w = owner;

	assert_string_equal(url, "rpc://");
	w->downs++;
	(void)err_set(&w->why, E_OK, "%s", why);
}

static void
on_stored(struct backend_store *s, enum err e, const char *why)
{
	struct end *end = container_of(s, struct end, s);

	end->n++;
	end->err = e;
	(void)err_set(&end->why, E_OK, "%s", why);
}

static bool
has_ended(void *owner)
{
	return ((struct end *)owner)->n > 0;
}

static void
start(struct world *w, struct backend_conf conf)
{
	static const struct backend_events events = { .on_up = on_up, .on_down = on_down };

	*w = (struct world){ 0 };
	fx_open(&w->x, NULL);
	conf.url = "rpc://";
	conf.broker = w->x.conn;
	assert_ok(backend_open(&w->b, w->x.loop, &conf, &events, w, NULL));
	fake_settle(w->x.fake);
}

static void
stop(struct world *w)
{
	backend_close(w->b);
	fx_release(&w->x);
}

static struct result
result_of(const char *state)
{
	return (struct result){
		.task_id = SPAN("U1"), .state = span_of(state), .value = SPAN("5"), .reply_to = SPAN("Q1")
	};
}

static void
store(struct world *w, struct end *end, const char *state)
{
	struct result r = result_of(state);

	*end = (struct end){ 0 };
	assert_ok(backend_store(w->b, &end->s, &r, on_stored));
}

/* The broker hangs up, and is there again. */
static void
lose_connection(struct world *w)
{
	w->x.redial = true;
	w->x.downs = 0;
	bus_conn_restart(w->x.conn, "for a test");
	fake_until(w->x.fake, fx_is_down, &w->x);
	assert_false(backend_is_up(w->b));
}

static void
stored_is_what_the_broker_has_confirmed(void **state UNUSED)
{
	const struct fake_in *in;
	struct world w;
	struct end end;

	start(&w, (struct backend_conf){ .is_persistent = true });
	assert_true(backend_is_up(w.b) && !backend_is_none(w.b) && !backend_keeps(w.b));
	assert_null(backend_reply_to(w.b));
	fake_answer(w.x.fake, AMQP_BASIC_PUBLISH_METHOD, false);
	store(&w, &end, "SUCCESS");
	in = fake_expect(w.x.fake, AMQP_BASIC_PUBLISH_METHOD);
	assert_true(span_is(in->msg.exchange, "") && span_is(in->msg.routing_key, "Q1") &&
		span_is(in->msg.correlation_id, "U1"));
	assert_true(span_is(in->msg.body, FINAL));
	assert_int_equal(in->msg.delivery_mode, 2);
	fake_settle(w.x.fake);
	assert_int_equal(end.n, 0);
	assert_int_equal(backend_pending(w.b), 1);
	fake_ack(w.x.fake, in->channel, 1, false);
	fake_until(w.x.fake, has_ended, &end);
	assert_int_equal(end.err, E_OK);
	assert_int_equal(backend_pending(w.b), 0);
	backend_store_release(&end.s);
	stop(&w);
}

static void
who_is_gone_is_told_apart_from_what_failed(void **state UNUSED)
{
	struct result direct = result_of("SUCCESS");
	const struct fake_in *in;
	struct world w;
	struct end end;

	start(&w, (struct backend_conf){ 0 });
	fake_answer(w.x.fake, AMQP_BASIC_PUBLISH_METHOD, false);
	store(&w, &end, "SUCCESS");
	in = fake_expect(w.x.fake, AMQP_BASIC_PUBLISH_METHOD);
	assert_int_equal(in->msg.delivery_mode, 1);
	fake_return(w.x.fake, in->channel, in);
	fake_ack(w.x.fake, in->channel, 1, false);
	fake_until(w.x.fake, has_ended, &end);
	assert_int_equal(end.err, E_MISSING);
	assert_non_null(strstr(end.why.text, "Q1"));
	backend_store_release(&end.s);

	/* Of its own kind of address the broker says so in any case. */
	direct.reply_to = SPAN("amq.rabbitmq.reply-to.g1h2AA9y");
	end = (struct end){ 0 };
	assert_ok(backend_store(w.b, &end.s, &direct, on_stored));
	in = fake_expect(w.x.fake, AMQP_BASIC_PUBLISH_METHOD);
	fake_return(w.x.fake, in->channel, in);
	fake_ack(w.x.fake, in->channel, 2, false);
	fake_until(w.x.fake, has_ended, &end);
	assert_int_equal(end.err, E_OK);
	backend_store_release(&end.s);

	store(&w, &end, "SUCCESS");
	in = fake_expect(w.x.fake, AMQP_BASIC_PUBLISH_METHOD);
	fake_close_channel(w.x.fake, in->channel, 403, "ACCESS_REFUSED", AMQP_BASIC_PUBLISH_METHOD);
	fake_until(w.x.fake, has_ended, &end);
	assert_int_equal(end.err, E_REFUSED);
	backend_store_release(&end.s);
	stop(&w);
}

static void
what_the_broker_refuses_for_now_is_sent_again_a_few_times(void **state UNUSED)
{
	const struct fake_in *in;
	struct world w;
	struct end end, other, passing;
	uint64_t tag = 0;

	fx_stop_clock();
	start(&w, (struct backend_conf){ 0 });
	fake_answer(w.x.fake, AMQP_BASIC_PUBLISH_METHOD, false);
	store(&w, &end, "SUCCESS");
	for (int i = 0; i < 10; i++) {
		in = fake_expect(w.x.fake, AMQP_BASIC_PUBLISH_METHOD);
		fake_nack(w.x.fake, in->channel, ++tag, false);
		fake_settle(w.x.fake);
		assert_int_equal(end.n, i == 9);
		/* Others do not wait for it. */
		if (i == 0) {
			store(&w, &other, "SUCCESS");
			in = fake_expect(w.x.fake, AMQP_BASIC_PUBLISH_METHOD);
			fake_ack(w.x.fake, in->channel, ++tag, false);
			fake_until(w.x.fake, has_ended, &other);
		}
		fx_pass(&w.x, 600);
	}
	assert_int_equal(end.err, E_MISSING);
	/* A state on the way would come behind the one that followed it. */
	store(&w, &passing, "PROGRESS");
	in = fake_expect(w.x.fake, AMQP_BASIC_PUBLISH_METHOD);
	fake_nack(w.x.fake, in->channel, ++tag, false);
	fake_until(w.x.fake, has_ended, &passing);
	assert_int_equal(passing.err, E_MISSING);
	backend_store_release(&end.s);
	backend_store_release(&other.s);
	backend_store_release(&passing.s);
	stop(&w);
}

static void
a_lost_connection_costs_nothing(void **state UNUSED)
{
	const struct fake_in *in;
	struct world w;
	struct end end;

	start(&w, (struct backend_conf){ 0 });
	fake_answer(w.x.fake, AMQP_BASIC_PUBLISH_METHOD, false);
	store(&w, &end, "SUCCESS");
	(void)fake_expect(w.x.fake, AMQP_BASIC_PUBLISH_METHOD);
	lose_connection(&w);
	in = fake_expect(w.x.fake, AMQP_BASIC_PUBLISH_METHOD);
	assert_true(span_is(in->msg.body, FINAL));
	fake_until(w.x.fake, has_ended, &end);
	assert_int_equal(end.err, E_OK);
	backend_store_release(&end.s);
	stop(&w);
}

static void
without_an_address_there_is_nothing_to_send(void **state UNUSED)
{
	struct result r = result_of("SUCCESS");
	struct backend_store s = { 0 };
	struct world w;
	struct end end;

	start(&w, (struct backend_conf){ 0 });
	r.reply_to = SPAN_NONE;
	assert_int_equal(backend_store(w.b, &s, &r, on_stored), E_MISSING);
	assert_int_equal(backend_store_text(w.b, &s, SPAN("U1"), SPAN("{}"), on_stored), E_REFUSED);
	backend_store_release(&s);
	/* What was cancelled is told nothing, wherever it is. */
	store(&w, &end, "SUCCESS");
	backend_store_cancel(&end.s);
	backend_store_cancel(&end.s);
	fake_settle(w.x.fake);
	assert_int_equal(end.n, 0);
	assert_int_equal(backend_pending(w.b), 0);
	/* Nor when the backend is closed. */
	backend_store_release(&end.s);
	store(&w, &end, "SUCCESS");
	stop(&w);
	assert_int_equal(end.n, 0);
	backend_store_release(&end.s);
}

static void
what_it_does_not_have_is_refused(void **state UNUSED)
{
	const struct backend_conf conf = { .url = "rpc://" };
	struct backend_wait *wait;
	struct backend *b;
	struct errtext t;
	struct world w;

	start(&w, (struct backend_conf){ 0 });
	assert_string_equal(backend_url(w.b), "rpc://");
	assert_int_equal(backend_load(w.b, SPAN("U1"), NULL, NULL), E_REFUSED);
	assert_int_equal(backend_forget(w.b, SPAN("U1"), NULL, NULL), E_REFUSED);
	assert_int_equal(backend_wait(&wait, w.b, SPAN("U1"), NULL, NULL), E_REFUSED);
	assert_int_equal(backend_kept(w.b, "set", 0, 1, NULL, NULL), E_MISSING);
	backend_load_cancel(w.b, NULL);
	assert_int_equal(backend_open(&b, w.x.loop, &conf, NULL, NULL, &t), E_CONF);
	assert_null(b);
	assert_non_null(strstr(t.text, "warren send --wait"));
	stop(&w);
}

/* --- waiting ----------------------------------------------------------------------------------------------------------- */

struct heard {
	int n;
	struct errtext states;
};

static void
on_state(void *owner, enum err e, const struct result *r, const char *why UNUSED)
{
	struct heard *h = owner;
	char before[sizeof(h->states.text)];

	assert_int_equal(e, E_OK);
	h->n++;
	snprintf(before, sizeof(before), "%s", h->states.text);
	(void)err_set(&h->states, E_OK, "%s%.*s=%.*s ", before, SPAN_FMT(r->state), SPAN_FMT(r->value));
}

static bool
has_final(void *owner)
{
	return strstr(((struct heard *)owner)->states.text, "SUCCESS") != NULL;
}

static void
reply(struct world *w, uint64_t tag, const char *id, const char *state, const char *value)
{
	struct buf b;
	struct msg m;

	buf_init(&b, 0);
	buf_addf(&b,
		"{\"task_id\": \"%s\", \"status\": \"%s\", \"result\": %s, \"traceback\": null, \"children\": []}",
		id, state, value);
	fx_msg(&m, "", backend_reply_to(w->b), id, buf_text(&b));
	fake_deliver(w->x.fake, fake_last_channel(w->x.fake), "replies", tag, &m);
	fake_settle(w->x.fake);
	msg_release(&m);
	buf_release(&b);
}

static void
replies_come_to_those_who_wait_and_to_those_who_come_later(void **state UNUSED)
{
	struct heard early = { 0 }, late = { 0 };
	const amqp_queue_declare_t *declared;
	struct backend_wait *wait;
	struct world w;

	start(&w, (struct backend_conf){ .listens = true });
	declared = fake_expect(w.x.fake, AMQP_QUEUE_DECLARE_METHOD)->args;
	assert_true(declared->durable && !declared->exclusive && !declared->auto_delete);
	assert_true(span_starts(span_of(backend_reply_to(w.b)), "warren.reply."));
	(void)fake_expect(w.x.fake, AMQP_BASIC_CONSUME_METHOD);
	assert_int_equal(w.ups, 1);
	assert_true(backend_is_up(w.b));

	assert_ok(backend_wait(&wait, w.b, SPAN("A"), on_state, &early));
	reply(&w, 1, "A", "PROGRESS", "1");
	reply(&w, 2, "B", "PROGRESS", "2");
	reply(&w, 3, "B", "SUCCESS", "3");
	reply(&w, 4, "B", "STARTED", "4");
	reply(&w, 5, "A", "SUCCESS", "5");
	assert_string_equal(early.states.text, "PROGRESS=1 SUCCESS=5 ");
	assert_ok(backend_wait(&wait, w.b, SPAN("B"), on_state, &late));
	assert_int_equal(late.n, 0);
	fake_until(w.x.fake, has_final, &late);
	assert_string_equal(late.states.text, "SUCCESS=3 ");
	assert_int_equal(fake_count(w.x.fake, AMQP_BASIC_ACK_METHOD), 5);

	late = (struct heard){ 0 };
	assert_ok(backend_wait(&wait, w.b, SPAN("C"), on_state, &late));
	backend_wait_cancel(wait);
	reply(&w, 6, "C", "SUCCESS", "6");
	reply(&w, 7, "", "SUCCESS", "7");
	assert_int_equal(late.n, 0);
	/* One that is waited for at the end, and one that nobody asked for, go with it; so does the queue. */
	assert_ok(backend_wait(&wait, w.b, SPAN("D"), on_state, &late));
	backend_close(w.b);
	(void)fake_expect(w.x.fake, AMQP_QUEUE_DELETE_METHOD);
	fx_release(&w.x);
}

static void
on_early_state(void *owner, enum err e, const struct result *r, const char *why)
{
	struct heard *h = owner;

	h->n++;
	(void)err_set(&h->states, e, "%.*s%s", SPAN_FMT(e == E_OK ? r->value : SPAN("")), why);
}

/* What a wait that begins now hears. */
static const char *
heard_late(struct world *w, struct heard *h, const char *id)
{
	struct backend_wait *wait;

	*h = (struct heard){ 0 };
	assert_ok(backend_wait(&wait, w->b, span_of(id), on_early_state, h));
	for (int i = 0; i < 3; i++)
		fake_settle(w->x.fake);
	if (h->n != 1 || strstr(h->states.text, "dropped") != NULL)
		backend_wait_cancel(wait);
	return h->states.text;
}

static void
replies_that_nobody_waits_for_are_bounded(void **state UNUSED)
{
	struct world w;
	struct heard h;
	char id[24], value[512];

	memset(value, '1', sizeof(value));
	value[500] = '\0';
	start(&w, (struct backend_conf){ .listens = true, .early_max = 2400 });
	reply(&w, 1, "A", "SUCCESS", value);
	reply(&w, 2, "B", "PROGRESS", "2");
	reply(&w, 3, "C", "SUCCESS", value);
	reply(&w, 4, "D", "SUCCESS", value);
	reply(&w, 5, "E", "SUCCESS", value);
	reply(&w, 6, "F", "PROGRESS", value);
	reply(&w, 7, "B", "SUCCESS", value);
	/* All are acknowledged: what is dropped is not the broker's for ever. */
	assert_int_equal(fake_count(w.x.fake, AMQP_BASIC_ACK_METHOD), 7);
	assert_string_equal(heard_late(&w, &h, "A"), value);
	assert_non_null(strstr(heard_late(&w, &h, "E"), "is dropped like 2 in all: more than 2 KiB"));
	assert_int_equal(h.n, 1);
	assert_non_null(strstr(heard_late(&w, &h, "B"), "is dropped like 2 in all"));
	(void)heard_late(&w, &h, "F");
	assert_int_equal(h.n, 0);
	assert_string_equal(heard_late(&w, &h, "D"), value);
	/* There is room again. */
	reply(&w, 8, "G", "SUCCESS", value);
	assert_string_equal(heard_late(&w, &h, "G"), value);
	/* Notes have a bound too. */
	for (unsigned i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "N%u", i);
		reply(&w, UINT64_C(9) + i, id, "SUCCESS", value);
	}
	assert_non_null(strstr(heard_late(&w, &h, "N5"), "is dropped like"));
	(void)heard_late(&w, &h, "N99");
	assert_int_equal(h.n, 0);
	stop(&w);
}

static void
what_is_no_result_is_nobodys(void **state UNUSED)
{
	struct world w;
	struct msg m;

	start(&w, (struct backend_conf){ .listens = true });
	fx_msg(&m, "", "k", "A", "no JSON");
	fake_deliver(w.x.fake, fake_last_channel(w.x.fake), "replies", 1, &m);
	fake_settle(w.x.fake);
	msg_release(&m);
	assert_int_equal(fake_count(w.x.fake, AMQP_BASIC_ACK_METHOD), 1);
	stop(&w);
}

static void
listening_begins_again_with_the_same_queue(void **state UNUSED)
{
	struct heard h = { 0 };
	struct backend_wait *wait;
	char queue[100];
	struct world w;

	start(&w, (struct backend_conf){ .listens = true });
	(void)fake_expect(w.x.fake, AMQP_BASIC_CONSUME_METHOD);
	snprintf(queue, sizeof(queue), "%s", backend_reply_to(w.b));
	assert_ok(backend_wait(&wait, w.b, SPAN("A"), on_state, &h));
	lose_connection(&w);
	(void)fake_expect(w.x.fake, AMQP_BASIC_CONSUME_METHOD);
	fake_settle(w.x.fake);
	assert_int_equal(w.ups, 2);
	assert_int_equal(w.downs, 1);
	assert_string_equal(backend_reply_to(w.b), queue);
	reply(&w, 1, "A", "SUCCESS", "1");
	assert_string_equal(h.states.text, "SUCCESS=1 ");
	stop(&w);
}

static void
a_queue_that_is_refused_is_told_of(void **state UNUSED)
{
	struct world w;

	start(&w, (struct backend_conf){ .listens = true });
	(void)fake_expect(w.x.fake, AMQP_BASIC_CONSUME_METHOD);
	lose_connection(&w);
	fake_answer(w.x.fake, AMQP_QUEUE_DECLARE_METHOD, false);
	(void)fake_expect(w.x.fake, AMQP_QUEUE_DECLARE_METHOD);
	fake_close_channel(
		w.x.fake, fake_last_channel(w.x.fake), 403, "ACCESS_REFUSED - no", AMQP_QUEUE_DECLARE_METHOD);
	fake_settle(w.x.fake);
	assert_true(w.downs >= 2);
	assert_false(backend_is_up(w.b));
	stop(&w);
}

static enum err
open_and_store(void *arg)
{
	struct world *w = arg;
	const struct backend_conf conf = { .url = "rpc://", .broker = w->x.conn, .listens = true };
	struct result r = result_of("SUCCESS");
	struct backend_wait *wait = NULL;
	struct end end = { 0 };
	struct heard h = { 0 };
	struct backend *b;
	enum err e = backend_open(&b, w->x.loop, &conf, NULL, NULL, NULL);

	if (e != E_OK)
		return e;
	e = backend_store(b, &end.s, &r, on_stored);
	if (e == E_OK)
		e = backend_wait(&wait, b, SPAN("A"), on_state, &h);
	backend_close(b);
	backend_store_release(&end.s);
	return e;
}

static void
without_memory_it_says_so(void **state UNUSED)
{
	struct world w;

	start(&w, (struct backend_conf){ 0 });
	torture(open_and_store, &w);
	stop(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stored_is_what_the_broker_has_confirmed),
		cmocka_unit_test(who_is_gone_is_told_apart_from_what_failed),
		cmocka_unit_test(what_the_broker_refuses_for_now_is_sent_again_a_few_times),
		cmocka_unit_test(a_lost_connection_costs_nothing),
		cmocka_unit_test(without_an_address_there_is_nothing_to_send),
		cmocka_unit_test(what_it_does_not_have_is_refused),
		cmocka_unit_test(replies_come_to_those_who_wait_and_to_those_who_come_later),
		cmocka_unit_test(replies_that_nobody_waits_for_are_bounded),
		cmocka_unit_test(what_is_no_result_is_nobodys),
		cmocka_unit_test(listening_begins_again_with_the_same_queue),
		cmocka_unit_test(a_queue_that_is_refused_is_told_of),
		cmocka_unit_test(without_memory_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
