/* Storing: what is sent, in which order, and what becomes of it when Redis is away, busy, or says no. */
#include "fixture.h"

#include "base/alloc.h"

struct job {
	struct backend_store s;
	struct world *w;
	int n_done;
	enum err err;
	char why[128];
	struct job *cancel_too;
	bool close_in_fn, store_again;
};

static void
on_done(struct backend_store *s, enum err e, const char *why)
{
	struct job *j = container_of(s, struct job, s);

	j->n_done++;
	j->err = e;
	snprintf(j->why, sizeof(j->why), "%s", why);
	if (j->cancel_too)
		backend_store_cancel(&j->cancel_too->s);
	if (j->store_again) {
		struct result r = result_of("again", "SUCCESS", "1");

		j->store_again = false;
		assert_int_equal(backend_store(j->w->b, s, &r, on_done), E_OK);
	}
	if (j->close_in_fn) {
		backend_close(j->w->b);
		j->w->b = NULL;
	}
}

static void
store(struct world *w, struct job *j, const char *id, const char *state)
{
	struct result r = result_of(id, state, "5");

	j->w = w;
	assert_int_equal(backend_store(w->b, &j->s, &r, on_done), E_OK);
	assert_int_equal(j->n_done, 0);
}

static void
release(struct job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		backend_store_release(&jobs[i].s);
}

static void
a_store_is_one_command(void **state)
{
	struct world w;
	struct job j = { 0 };

	world_open(&w, *state, (struct backend_conf){ .result_expires_s = 86400 });
	assert_true(backend_is_up(w.b));
	store(&w, &j, "U1", "SUCCESS");
	assert_int_equal(backend_pending(w.b), 1);
	fake_command(&w.f, "EVALSHA SHA 1 celery-task-meta-U1 {\"status\": \"SUCCESS\", \"result\": 5,");
	assert_int_equal(w.f.argc, 7);
	assert_true(span_is(w.f.argv[5], "86400"));
	assert_true(span_is(w.f.argv[6], "1"));
	fake_say(&w.f, ":1\r\n");
	TURN_UNTIL(w.f.l, j.n_done);
	assert_int_equal(j.err, E_OK);
	assert_int_equal(backend_pending(w.b), 0);
	/* Superseded by what is there is no failure either; the memory is used again. */
	j.n_done = 0;
	store(&w, &j, "U1", "STARTED");
	fake_command(&w.f, "EVALSHA SHA 1 celery-task-meta-U1 {\"status\": \"STARTED\"");
	assert_true(span_is(w.f.argv[6], "0"));
	fake_say(&w.f, ":0\r\n");
	TURN_UNTIL(w.f.l, j.n_done);
	assert_int_equal(j.err, E_OK);
	release(&j, 1);
	world_close(&w);
}

static void
the_prefix_is_joined_as_celery_does(void **state)
{
	static const char *const rows[][2] = {
		{ "p", "p_celery-task-meta-U" },
		{ "p_", "p_celery-task-meta-U" },
		{ "a:", "a:celery-task-meta-U" },
		{ "", "celery-task-meta-U" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world w;
		struct job j = { 0 };

		world_open(&w, *state, (struct backend_conf){ .key_prefix = rows[i][0] });
		store(&w, &j, "U", "SUCCESS");
		fake_command(&w.f, "EVALSHA");
		assert_true(span_is(w.f.argv[3], rows[i][1]));
		assert_true(span_is(w.f.argv[5], "0"));
		backend_store_cancel(&j.s);
		release(&j, 1);
		world_close(&w);
	}
}

static void
ids_that_cannot_be_kept_are_refused(void **state)
{
	struct world w;
	struct job j = { 0 };
	struct result r = result_of("", "SUCCESS", "1");
	char id[300];

	world_open(&w, *state, (struct backend_conf){ 0 });
	assert_int_equal(backend_store(w.b, &j.s, &r, on_done), E_FORMAT);
	memset(id, 'i', sizeof(id));
	r.task_id = (struct span){ id, 256 };
	assert_int_equal(backend_store(w.b, &j.s, &r, on_done), E_FORMAT);
	r.task_id.len = 255;
	assert_int_equal(backend_store(w.b, &j.s, &r, on_done), E_OK);
	backend_store_cancel(&j.s);
	backend_store_cancel(&j.s);
	release(&j, 1);
	world_close(&w);
}

static void
what_waits_is_sent_again_in_order_after_a_loss(void **state)
{
	struct world w;
	struct job j[3] = { 0 };

	world_open(&w, *state, (struct backend_conf){ 0 });
	store(&w, &j[0], "A", "SUCCESS");
	store(&w, &j[1], "B", "SUCCESS");
	fake_command(&w.f, "EVALSHA SHA 1 celery-task-meta-A");
	fake_command(&w.f, "EVALSHA SHA 1 celery-task-meta-B");
	fake_drop(&w.f);
	TURN_UNTIL(w.f.l, w.n_down);
	assert_false(backend_is_up(w.b));
	store(&w, &j[2], "C", "FAILURE");
	assert_int_equal(backend_pending(w.b), 3);
	world_connect(&w);
	fake_command(&w.f, "EVALSHA SHA 1 celery-task-meta-A");
	fake_command(&w.f, "EVALSHA SHA 1 celery-task-meta-B");
	fake_command(&w.f, "EVALSHA SHA 1 celery-task-meta-C");
	fake_say(&w.f, ":1\r\n:0\r\n:1\r\n");
	TURN_UNTIL(w.f.l, j[2].n_done);
	assert_int_equal(j[0].n_done + j[1].n_done, 2);
	release(j, 3);
	world_close(&w);
}

static void
a_script_that_is_gone_is_loaded_once_and_all_is_sent_again(void **state)
{
	struct world w;
	struct job j[3] = { 0 };

	world_open(&w, *state, (struct backend_conf){ 0 });
	for (int i = 0; i < 3; i++) {
		store(&w, &j[i], "N", "SUCCESS");
		fake_command(&w.f, "EVALSHA");
	}
	fake_say(&w.f,
		"-NOSCRIPT No matching script.\r\n-NOSCRIPT No matching script.\r\n-NOSCRIPT No matching script.\r\n");
	fake_command(&w.f, "SCRIPT LOAD ");
	fake_say(&w.f, "$4\r\nSHA2\r\n");
	for (int i = 0; i < 3; i++)
		fake_command(&w.f, "EVALSHA SHA2 1 celery-task-meta-N");
	fake_say(&w.f, ":1\r\n:0\r\n:0\r\n");
	TURN_UNTIL(w.f.l, j[2].n_done);
	assert_int_equal(w.n_down, 0);
	release(j, 3);
	world_close(&w);
}

static void
a_trouble_that_passes_is_waited_for(void **state)
{
	struct world w;
	struct job j[2] = { 0 };

	clock_fake(0, 1);
	world_open(&w, *state, (struct backend_conf){ 0 });
	store(&w, &j[0], "A", "SUCCESS");
	fake_command(&w.f, "EVALSHA");
	fake_say(&w.f, "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
	for (int i = 0; i < 20; i++)
		loop_turn(w.f.l, 0);
	assert_int_equal(j[0].n_done, 0);
	/* One more queues behind it rather than trying its luck. */
	store(&w, &j[1], "B", "SUCCESS");
	loop_turn(w.f.l, 0);
	assert_false(fake_take(&w.f));
	clock_fake(50 * 1000, 1);
	fake_command(&w.f, "EVALSHA SHA 1 celery-task-meta-A");
	fake_command(&w.f, "EVALSHA SHA 1 celery-task-meta-B");
	fake_say(&w.f, ":1\r\n:1\r\n");
	TURN_UNTIL(w.f.l, j[1].n_done);
	assert_int_equal(j[0].n_done, 1);
	assert_int_equal(w.n_down, 0);
	release(j, 2);
	world_close(&w);
}

static void
a_trouble_that_stays_is_told(void **state)
{
	struct world w;
	struct job j[2] = { 0 };

	world_open(&w, *state, (struct backend_conf){ 0 });
	store(&w, &j[0], "A", "SUCCESS");
	store(&w, &j[1], "B", "SUCCESS");
	fake_command(&w.f, "EVALSHA");
	fake_say(&w.f, "-WRONGTYPE Operation against a key\r\n-NOPERM this user has no permissions\r\n");
	TURN_UNTIL(w.f.l, j[1].n_done);
	assert_int_equal(j[0].err, E_REFUSED);
	assert_string_equal(j[0].why, "WRONGTYPE Operation against a key");
	assert_int_equal(j[1].err, E_REFUSED);
	assert_int_equal(backend_pending(w.b), 0);
	release(j, 2);
	world_close(&w);
}

static void
a_server_without_scripts_is_told_too(void **state)
{
	struct world w = { 0 };
	struct job j[2] = { 0 };

	fake_start(&w.f, *state);
	assert_int_equal(
		backend_open(&w.b, w.f.l, &(struct backend_conf){ .url = w.f.url }, &world_events, &w, NULL),
		E_OK);
	j[0].store_again = true;
	store(&w, &j[0], "A", "SUCCESS");
	store(&w, &j[1], "B", "SUCCESS");
	fake_hello(&w.f);
	fake_command(&w.f, "SCRIPT LOAD ");
	fake_say(&w.f, "-NOPERM this user has no permissions to run the 'script|load' command\r\n");
	TURN_UNTIL(w.f.l, j[1].n_done);
	assert_int_equal(j[0].n_done, 1);
	assert_int_equal(j[1].err, E_REFUSED);
	assert_non_null(strstr(j[1].why, "SCRIPT LOAD: NOPERM"));
	/* What was stored in the callback waits for the next attempt. */
	assert_int_equal(backend_pending(w.b), 1);
	fake_command(&w.f, "SCRIPT LOAD ");
	fake_say(&w.f, "$3\r\nSHA\r\n");
	fake_command(&w.f, "EVALSHA SHA 1 celery-task-meta-again");
	fake_say(&w.f, ":1\r\n");
	TURN_UNTIL(w.f.l, j[0].n_done == 2);
	assert_int_equal(j[0].err, E_OK);
	release(j, 2);
	world_close(&w);
}

static void
an_older_state_never_comes_after_a_newer_one(void **state)
{
	struct world w;
	struct job j[3] = { 0 };

	clock_fake(0, 1);
	world_open(&w, *state, (struct backend_conf){ 0 });
	store(&w, &j[0], "A", "STARTED");
	store(&w, &j[1], "X", "STARTED");
	store(&w, &j[2], "A", "PROGRESS");
	for (int i = 0; i < 3; i++)
		fake_command(&w.f, "EVALSHA");
	fake_say(&w.f, "-OOM no\r\n-OOM no\r\n:1\r\n");
	TURN_UNTIL(w.f.l, j[2].n_done);
	/* The first has been overtaken and is over; the one of another task is sent again. */
	assert_int_equal(j[0].n_done, 1);
	assert_int_equal(j[0].err, E_OK);
	assert_int_equal(j[1].n_done, 0);
	clock_fake(50 * 1000, 1);
	fake_command(&w.f, "EVALSHA SHA 1 celery-task-meta-X");
	fake_say(&w.f, ":1\r\n");
	TURN_UNTIL(w.f.l, j[1].n_done);
	assert_false(fake_take(&w.f));
	release(j, 3);
	world_close(&w);
}

static void
the_overtaken_may_cancel_the_one_that_overtook_it(void **state)
{
	struct world w;
	struct job j[2] = { 0 };

	clock_fake(0, 1);
	world_open(&w, *state, (struct backend_conf){ 0 });
	store(&w, &j[0], "A", "STARTED");
	store(&w, &j[1], "A", "PROGRESS");
	j[0].cancel_too = &j[1];
	fake_command(&w.f, "EVALSHA");
	fake_command(&w.f, "EVALSHA");
	fake_say(&w.f, "-OOM no\r\n:1\r\n");
	TURN_UNTIL(w.f.l, j[0].n_done);
	assert_int_equal(j[1].n_done, 0);
	assert_int_equal(backend_pending(w.b), 0);
	release(j, 2);
	world_close(&w);
}

static void
a_cancelled_store_is_silent(void **state)
{
	struct world w;
	struct job j[2] = { 0 };

	world_open(&w, *state, (struct backend_conf){ 0 });
	store(&w, &j[0], "A", "SUCCESS");
	fake_command(&w.f, "EVALSHA");
	backend_store_cancel(&j[0].s);
	release(j, 1);
	store(&w, &j[1], "B", "SUCCESS");
	fake_command(&w.f, "EVALSHA SHA 1 celery-task-meta-B");
	fake_say(&w.f, ":1\r\n:1\r\n");
	TURN_UNTIL(w.f.l, j[1].n_done);
	assert_int_equal(j[0].n_done, 0);
	release(j, 2);
	world_close(&w);
}

static void
closing_in_a_callback_is_fine(void **state)
{
	struct world w;
	struct job j[3] = { 0 };

	world_open(&w, *state, (struct backend_conf){ 0 });
	j[0].close_in_fn = true;
	for (int i = 0; i < 3; i++)
		store(&w, &j[i], "A", "SUCCESS");
	fake_command(&w.f, "EVALSHA");
	fake_say(&w.f, ":1\r\n:1\r\n");
	TURN_UNTIL(w.f.l, !w.b);
	assert_int_equal(j[1].n_done + j[2].n_done, 0);
	/* The stores are free again. */
	backend_store_cancel(&j[1].s);
	release(j, 3);
	world_close(&w);
}

static void
without_memory_a_store_waits(void **state)
{
	struct world w;
	struct job j = { .w = &w };
	struct result r = result_of("A", "SUCCESS", "1");

	clock_fake(0, 1);
	world_open(&w, *state, (struct backend_conf){ 0 });
	/* The encoding needs memory that the caller must have; the way to Redis can wait for it. */
	buf_adds(&j.s.payload,
		"something to make room for what follows, long enough for a result of a few fields "
		"and then some: {\"status\": \"SUCCESS\", \"result\": 1, \"traceback\": null, \"children\": []}");
	alloc_fail_after(1);
	assert_int_equal(backend_store(w.b, &j.s, &r, on_done), E_OK);
	alloc_fail_after(0);
	assert_int_equal(backend_pending(w.b), 1);
	clock_fake(50 * 1000, 1);
	fake_command(&w.f, "EVALSHA");
	fake_say(&w.f, ":1\r\n");
	TURN_UNTIL(w.f.l, j.n_done);
	release(&j, 1);
	world_close(&w);
}

struct found {
	int n;
	enum err err;
	char state[32], value[32], why[128];
};

static void
on_found(void *p, enum err e, const struct result *r, const char *why)
{
	struct found *f = p;

	f->n++;
	f->err = e;
	if (r) {
		snprintf(f->state, sizeof(f->state), "%.*s", SPAN_FMT(r->state));
		snprintf(f->value, sizeof(f->value), "%.*s", SPAN_FMT(r->value));
	}
	snprintf(f->why, sizeof(f->why), "%s", why);
}

static void
a_result_is_loaded(void **state)
{
	struct world w;
	struct found f = { 0 };

	world_open(&w, *state, (struct backend_conf){ 0 });
	assert_int_equal(backend_load(w.b, SPAN("U1"), on_found, &f), E_OK);
	fake_command(&w.f, "GET celery-task-meta-U1");
	fake_say(&w.f, "$56\r\n{\"status\": \"SUCCESS\", \"result\": [1, 2], \"task_id\": \"U1\"}\r\n");
	TURN_UNTIL(w.f.l, f.n == 1);
	assert_int_equal(f.err, E_OK);
	assert_string_equal(f.state, "SUCCESS");
	assert_string_equal(f.value, "[1, 2]");
	assert_int_equal(backend_load(w.b, SPAN("U2"), on_found, &f), E_OK);
	fake_say(&w.f, "$-1\r\n");
	TURN_UNTIL(w.f.l, f.n == 2);
	assert_int_equal(f.err, E_MISSING);
	assert_int_equal(backend_load(w.b, SPAN("U3"), on_found, &f), E_OK);
	fake_say(&w.f, "$5\r\nhello\r\n");
	TURN_UNTIL(w.f.l, f.n == 3);
	assert_int_equal(f.err, E_FORMAT);
	assert_int_equal(backend_load(w.b, SPAN("U4"), on_found, &f), E_OK);
	fake_say(&w.f, "-WRONGTYPE no\r\n");
	TURN_UNTIL(w.f.l, f.n == 4);
	assert_int_equal(f.err, E_REFUSED);
	assert_string_equal(f.why, "WRONGTYPE no");
	world_close(&w);
}

static void
a_result_is_forgotten_and_a_question_lost(void **state)
{
	struct world w;
	struct found f = { 0 };

	world_open(&w, *state, (struct backend_conf){ 0 });
	assert_int_equal(backend_forget(w.b, SPAN("U5"), on_found, &f), E_OK);
	fake_command(&w.f, "DEL celery-task-meta-U5");
	fake_say(&w.f, ":0\r\n");
	TURN_UNTIL(w.f.l, f.n == 1);
	assert_int_equal(f.err, E_MISSING);
	assert_int_equal(backend_load(w.b, SPAN("U6"), on_found, &f), E_OK);
	fake_drop(&w.f);
	TURN_UNTIL(w.f.l, f.n == 2);
	assert_int_equal(f.err, E_CLOSED);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(a_store_is_one_command),
		LOOP_TEST(the_prefix_is_joined_as_celery_does),
		LOOP_TEST(ids_that_cannot_be_kept_are_refused),
		LOOP_TEST(what_waits_is_sent_again_in_order_after_a_loss),
		LOOP_TEST(a_script_that_is_gone_is_loaded_once_and_all_is_sent_again),
		LOOP_TEST(a_trouble_that_passes_is_waited_for),
		LOOP_TEST(a_trouble_that_stays_is_told),
		LOOP_TEST(a_server_without_scripts_is_told_too),
		LOOP_TEST(an_older_state_never_comes_after_a_newer_one),
		LOOP_TEST(the_overtaken_may_cancel_the_one_that_overtook_it),
		LOOP_TEST(a_cancelled_store_is_silent),
		LOOP_TEST(closing_in_a_callback_is_fine),
		LOOP_TEST(without_memory_a_store_waits),
		LOOP_TEST(a_result_is_loaded),
		LOOP_TEST(a_result_is_forgotten_and_a_question_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
