/* A script on a connection to Redis: when it is loaded, when it is loaded again, and how long Redis is left alone. Without the things that use it. */
#include "fake/fakeredis.h"

#include "backend/redis_backend.h"

static const char text[] = "return 1";

struct world {
	struct redis_backend rb;
	struct redis_script s;
	struct fake f;
	int n_up, n_go_on, n_refused, n_delays;
	ms_t wait;
	char why[128], delay[128];
};

static struct world *
world_of(struct redis_backend *rb)
{
	return container_of(rb, struct world, rb);
}

static void
go_on(struct redis_backend *rb)
{
	world_of(rb)->n_go_on++;
}

static void
refuse_all(struct redis_backend *rb, const char *why)
{
	struct world *w = world_of(rb);

	w->n_refused++;
	snprintf(w->why, sizeof(w->why), "%s", why);
}

static void
on_delay(void *owner, const char *why, ms_t retry_ms)
{
	struct world *w = owner;

	w->n_delays++;
	w->wait = retry_ms;
	snprintf(w->delay, sizeof(w->delay), "%s", why);
}

static void
on_up(void *owner)
{
	struct world *w = owner;

	w->n_up++;
	redis_script_on_up(&w->s);
	redis_script_load(&w->s);
}

static void
on_down(void *owner, const struct rds_down *d UNUSED)
{
	struct world *w = owner;

	redis_script_on_down(&w->s);
}

/* Connected, and SCRIPT LOAD not yet answered. */
static void
world_open(struct world *w, struct loop *l)
{
	static const struct rds_ops ops = { .on_up = on_up, .on_down = on_down };
	static const struct backend_events events = { .on_delay = on_delay };
	struct rds_conf conf = { .url = NULL };
	struct errtext t = { "" };

	clock_fake(0, 1);
	*w = (struct world){ .rb = { .base = { .loop = l, .events = &events, .owner = w } } };
	fake_start(&w->f, l);
	conf.url = w->f.url;
	assert_int_equal(rds_new(&w->rb.rds, l, &conf, &ops, w, &t), E_OK);
	assert_int_equal(redis_script_init(&w->s, &w->rb, text, go_on, refuse_all), E_OK);
	assert_false(redis_script_is_ready(&w->s));
	rds_start(w->rb.rds);
	fake_hello(&w->f);
	fake_command(&w->f, "SCRIPT LOAD return 1");
	assert_int_equal(w->n_up, 1);
}

static void
loaded(struct world *w)
{
	int before = w->n_go_on;

	fake_say(&w->f, "$3\r\nSHA\r\n");
	TURN_UNTIL(w->f.l, w->n_go_on == before + 1);
	assert_true(redis_script_is_ready(&w->s));
	assert_string_equal(w->s.sha, "SHA");
}

static void
world_close(struct world *w)
{
	rds_close(w->rb.rds);
	redis_script_release(&w->s);
	loop_turn(w->f.l, 0);
	fake_stop(&w->f);
}

static bool
will_pass(struct world *w, const char *error)
{
	const struct rds_reply r = { .type = RDS_ERROR, .str = span_of(error) };

	return redis_script_will_pass(&w->s, &r);
}

static void
turns(struct world *w)
{
	for (int i = 0; i < 20; i++)
		loop_turn(w->f.l, 0);
}

static void
it_is_loaded_once_and_then_ready(void **state)
{
	struct world w;

	world_open(&w, *state);
	redis_script_load(&w.s); /* under way already */
	turns(&w);
	assert_false(fake_take(&w.f));
	assert_false(redis_script_is_ready(&w.s));
	loaded(&w);
	assert_int_equal(w.n_refused + w.n_delays, 0);
	world_close(&w);
}

static void
calls_that_find_it_gone_load_it_once(void **state)
{
	struct world w;

	world_open(&w, *state);
	loaded(&w);
	for (int i = 0; i < 3; i++)
		assert_true(will_pass(&w, "NOSCRIPT No matching script. Please use EVAL."));
	assert_false(redis_script_is_ready(&w.s));
	fake_command(&w.f, "SCRIPT LOAD return 1");
	assert_false(fake_take(&w.f));
	loaded(&w);
	world_close(&w);
}

static void
errors_that_stay_are_the_callers(void **state)
{
	static const char *const errors[] = { "WRONGTYPE Operation against a key", "ERR unknown command",
		"NOPERM", "NOAUTH Authentication required.", "" };
	const struct rds_reply fine = { .type = RDS_STATUS, .str = SPAN("OOM") };
	struct world w;

	world_open(&w, *state);
	loaded(&w);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		assert_false(will_pass(&w, errors[i]));
	assert_false(redis_script_will_pass(&w.s, &fine));
	assert_true(redis_script_is_ready(&w.s));
	assert_int_equal(w.n_delays, 0);
	world_close(&w);
}

static void
errors_that_pass_are_waited_for_together(void **state)
{
	struct world w;

	world_open(&w, *state);
	loaded(&w);
	assert_true(will_pass(&w, "OOM command not allowed when used memory > 'maxmemory'."));
	assert_true(will_pass(&w, "LOADING Redis is loading the dataset in memory"));
	assert_true(will_pass(&w, "BUSY Redis is busy running a script."));
	assert_int_equal(w.n_delays, 1);
	assert_string_equal(w.delay, "OOM command not allowed when used memory > 'maxmemory'.");
	assert_in_range(w.wait, 1, 50);
	assert_int_equal(w.s.failures, 1);
	assert_false(redis_script_is_ready(&w.s));
	assert_string_equal(w.s.sha, "SHA"); /* Redis has it none the less */
	turns(&w);
	assert_int_equal(w.n_go_on, 1);
	clock_fake(50 * 1000, 1);
	TURN_UNTIL(w.f.l, w.n_go_on == 2);
	assert_true(redis_script_is_ready(&w.s));
	world_close(&w);
}

static void
waits_grow_up_to_a_bound(void **state)
{
	ms_t most = 0;
	us_t now = 0;
	struct world w;

	world_open(&w, *state);
	loaded(&w);
	for (int i = 1; i <= 60; i++) {
		assert_true(will_pass(&w, "OOM no"));
		assert_int_equal(w.s.failures, i);
		assert_in_range(w.wait, 1, i < 7 ? 50 << (i - 1) : 5000);
		most = w.wait > most ? w.wait : most;
		now += 5000 * 1000;
		clock_fake(now, 1);
		TURN_UNTIL(w.f.l, w.n_go_on == i + 1);
	}
	/* 54 waits of full jitter below 5 s: that all of them are below one is less likely than one in 10^37. */
	assert_true(most > 1000);
	world_close(&w);
}

static void
a_want_of_ours_is_waited_for_and_not_told(void **state)
{
	struct world w;

	world_open(&w, *state);
	loaded(&w);
	redis_script_try_later(&w.s, SPAN_NONE);
	assert_false(redis_script_is_ready(&w.s));
	assert_int_equal(w.n_delays, 0);
	clock_fake(50 * 1000, 1);
	TURN_UNTIL(w.f.l, w.n_go_on == 2);
	world_close(&w);
}

static void
while_redis_does_not_load_it_nobody_is_refused(void **state)
{
	struct world w;

	world_open(&w, *state);
	fake_say(&w.f, "-LOADING Redis is loading the dataset in memory\r\n");
	TURN_UNTIL(w.f.l, w.n_delays == 1);
	assert_int_equal(w.n_refused + w.n_go_on, 0);
	clock_fake(50 * 1000, 1);
	/* Whoever uses it looks whether it is loaded, and asks for it. */
	TURN_UNTIL(w.f.l, w.n_go_on == 1);
	redis_script_load(&w.s);
	fake_command(&w.f, "SCRIPT LOAD return 1");
	fake_say(&w.f, "$3\r\nSHA\r\n");
	TURN_UNTIL(w.f.l, w.n_go_on == 2);
	assert_true(redis_script_is_ready(&w.s));
	world_close(&w);
}

static void
a_redis_that_takes_no_scripts_refuses_all_and_is_asked_again(void **state)
{
	struct world w;

	world_open(&w, *state);
	fake_say(&w.f, "-ERR unknown command 'SCRIPT'\r\n");
	TURN_UNTIL(w.f.l, w.n_refused == 1);
	assert_string_equal(w.why, "SCRIPT LOAD: ERR unknown command 'SCRIPT'");
	assert_int_equal(w.n_delays, 1);
	clock_fake(50 * 1000, 1);
	TURN_UNTIL(w.f.l, w.n_go_on == 1);
	assert_false(redis_script_is_ready(&w.s));
	world_close(&w);
}

/* As long as no answer could be, or none at all. */
static void
an_answer_that_is_no_digest_counts_as_none(void **state)
{
	static const char *const answers[] = {
		"$60\r\n012345678901234567890123456789012345678901234567890123456789\r\n", ":1\r\n", "$-1\r\n"
	};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct world w;

		world_open(&w, *state);
		fake_say(&w.f, answers[i]);
		TURN_UNTIL(w.f.l, w.n_refused == 1);
		assert_false(redis_script_is_ready(&w.s));
		assert_int_equal(w.n_go_on, 0);
		world_close(&w);
	}
}

static void
another_connection_is_another_server(void **state)
{
	struct world w;

	world_open(&w, *state);
	loaded(&w);
	assert_true(will_pass(&w, "MISCONF Redis is configured to save RDB snapshots"));
	assert_int_equal(w.s.failures, 1);
	fake_drop(&w.f);
	TURN_UNTIL(w.f.l, w.s.sha[0] == '\0');
	assert_false(redis_script_is_ready(&w.s));
	clock_fake(1000 * 1000, 1);
	fake_hello(&w.f);
	fake_command(&w.f, "SCRIPT LOAD return 1");
	/* What the old one could not do is no reason to wait for the new one. */
	assert_int_equal(w.s.failures, 0);
	assert_false(w.s.retry.armed);
	loaded(&w);
	world_close(&w);
}

static void
a_load_that_is_lost_with_its_connection_is_made_again(void **state)
{
	struct world w;

	world_open(&w, *state);
	fake_drop(&w.f);
	TURN_UNTIL(w.f.l, !w.s.is_loading);
	assert_int_equal(w.n_go_on + w.n_refused + w.n_delays, 0);
	redis_script_load(&w.s); /* down: whoever hears that it is up comes again */
	assert_false(w.s.is_loading || w.s.retry.armed);
	clock_fake(1000 * 1000, 1);
	fake_hello(&w.f);
	fake_command(&w.f, "SCRIPT LOAD return 1");
	loaded(&w);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(it_is_loaded_once_and_then_ready),
		LOOP_TEST(calls_that_find_it_gone_load_it_once),
		LOOP_TEST(errors_that_stay_are_the_callers),
		LOOP_TEST(errors_that_pass_are_waited_for_together),
		LOOP_TEST(waits_grow_up_to_a_bound),
		LOOP_TEST(a_want_of_ours_is_waited_for_and_not_told),
		LOOP_TEST(while_redis_does_not_load_it_nobody_is_refused),
		LOOP_TEST(a_redis_that_takes_no_scripts_refuses_all_and_is_asked_again),
		LOOP_TEST(an_answer_that_is_no_digest_counts_as_none),
		LOOP_TEST(another_connection_is_another_server),
		LOOP_TEST(a_load_that_is_lost_with_its_connection_is_made_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
