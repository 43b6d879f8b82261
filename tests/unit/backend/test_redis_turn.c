/* Turns of the cluster's rate limits: what is asked, what comes back, and a Redis that is away. The script itself runs in tests/integration. */
#include "fixture.h"

struct heard {
	int calls;
	enum err err;
	struct backend_turn turn;
	char why[128];
};

static void
on_turn(void *owner, enum err e, const struct backend_turn *t, const char *why)
{
	struct heard *h = owner;

	h->calls++;
	h->err = e;
	h->turn = *t;
	snprintf(h->why, sizeof(h->why), "%s", why);
}

static const struct backend_turn_ask question = {
	.bucket = SPAN("add\nkey"), .interval = 200000, .burst = 3, .turn = 77, .late = 5000000, .ahead = 600000000
};

static void
ask(struct world *w, struct heard *h)
{
	assert_int_equal(backend_turn(w->b, &question, on_turn, h), E_OK);
	assert_int_equal(h->calls, 0);
}

static void
a_bucket_is_one_key_and_one_script(void **state)
{
	struct heard h = { 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ .key_prefix = "p" });
	ask(&w, &h);
	fake_command(&w.f, "EVAL ");
	assert_int_equal(w.f.argc, 9);
	assert_true(span_is(w.f.argv[3], "p_warren:rate:add\nkey"));
	assert_true(span_is(w.f.argv[4], "200000") && span_is(w.f.argv[5], "3") && span_is(w.f.argv[6], "77"));
	assert_true(span_is(w.f.argv[7], "5000000") && span_is(w.f.argv[8], "600000000"));
	fake_say(&w.f, "*2\r\n$6\r\n400000\r\n$16\r\n1800000000400000\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_int_equal(h.err, E_OK);
	assert_int_equal(h.turn.wait, 400000);
	assert_int_equal(h.turn.turn, 1800000000400000);
	world_close(&w);
}

static void
what_redis_refuses_is_told(void **state)
{
	static const char *const answers[] = { "-OOM command not allowed\r\n", "+OK\r\n", "*1\r\n:1\r\n",
		"*2\r\n$1\r\nx\r\n$1\r\n1\r\n" };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ 0 });
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct heard h = { 0 };

		ask(&w, &h);
		fake_command(&w.f, "EVAL ");
		fake_say(&w.f, answers[i]);
		TURN_UNTIL(w.f.l, h.calls == 1);
		assert_int_equal(h.err, E_REFUSED);
		assert_true(h.why[0] != '\0');
	}
	world_close(&w);
}

static void
a_lost_connection_is_an_answer_too(void **state)
{
	struct heard h = { 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ 0 });
	ask(&w, &h);
	fake_command(&w.f, "EVAL ");
	fake_drop(&w.f);
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_int_equal(h.err, E_CLOSED);
	world_close(&w);
}

static void
who_cancels_hears_nothing(void **state)
{
	struct heard h = { 0 }, other = { 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ 0 });
	ask(&w, &h);
	ask(&w, &other);
	backend_turn_cancel(w.b, &h);
	fake_command(&w.f, "EVAL ");
	fake_command(&w.f, "EVAL ");
	fake_say(&w.f, "*2\r\n$1\r\n0\r\n$1\r\n1\r\n*2\r\n$1\r\n0\r\n$1\r\n2\r\n");
	TURN_UNTIL(w.f.l, other.calls == 1);
	assert_int_equal(h.calls, 0);
	assert_int_equal(other.turn.turn, 2);
	/* One that is still under way at the end is forgotten. */
	ask(&w, &h);
	world_close(&w);
	assert_int_equal(h.calls, 0);
}

static void
without_a_backend_there_are_none(void **state)
{
	struct backend_conf conf = { .url = "none" };
	struct heard h = { 0 };
	struct backend *b;
	struct errtext t;

	assert_int_equal(backend_open(&b, *state, &conf, &world_events, NULL, &t), E_OK);
	assert_int_equal(backend_turn(b, &question, on_turn, &h), E_MISSING);
	backend_turn_cancel(b, &h);
	backend_close(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(a_bucket_is_one_key_and_one_script),
		LOOP_TEST(what_redis_refuses_is_told),
		LOOP_TEST(a_lost_connection_is_an_answer_too),
		LOOP_TEST(who_cancels_hears_nothing),
		LOOP_TEST(without_a_backend_there_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
