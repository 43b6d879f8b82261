/* Notes of runs: what is written when, and what the answers mean. What the script itself decides is tested with a real Redis. */
#include "fixture.h"

#include "backend/note.h"
#include "base/alloc.h"

struct heard {
	int calls;
	enum err err;
	struct note_answer answer;
	char words[64], value[64], why[128];
};

static void
on_noted(void *owner, enum err e, const char *why)
{
	struct heard *h = owner;

	h->calls++;
	h->err = e;
	snprintf(h->why, sizeof(h->why), "%s", why);
}

static void
on_claimed(void *owner, enum err e, const struct note_answer *a, const char *why)
{
	struct heard *h = owner;

	on_noted(owner, e, why);
	if (e != E_OK)
		return;
	h->answer = *a;
	snprintf(h->words, sizeof(h->words), "%.*s", SPAN_FMT(a->words));
	snprintf(h->value, sizeof(h->value), "%.*s",
		SPAN_FMT(a->stored != NULL ? a->stored->value : SPAN_NONE));
}

static const struct note runs = { .id = SPAN("U1"),
	.retries = 1,
	.lost = 2,
	.requeued = 3,
	.state = NOTE_RUNS,
	.owner = SPAN("me"),
	.words = SPAN("w1@host") };
static const struct backend_conf conf = { .key_prefix = "p", .lease_ms = 10000 };

static struct note
in_state(enum note_state s, int64_t deaths)
{
	struct note n = runs;

	n.state = s;
	n.deaths = deaths;
	n.words = SPAN("");
	return n;
}

static void
a_note_lives_for_a_day_and_its_lease(void **state)
{
	struct note over = in_state(NOTE_OVER, 0), gone = in_state(NOTE_FREE, 0),
		    kept = in_state(NOTE_FREE, 2), moved = in_state(NOTE_MOVED, 0);
	struct heard h = { 0 };
	struct world w;

	world_open(&w, *state, conf);
	assert_true(backend_has_notes(w.b));
	assert_int_equal(backend_note(w.b, &runs, on_noted, &h), E_OK);
	assert_int_equal(h.calls, 0);
	fake_command(&w.f, "SET p_warren:run:U1 1 2 3 r 0 me w1@host PX 86410000");
	fake_say(&w.f, "+OK\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_int_equal(h.err, E_OK);
	assert_int_equal(backend_note(w.b, &over, NULL, NULL), E_OK);
	assert_int_equal(backend_note(w.b, &gone, NULL, NULL), E_OK);
	assert_int_equal(backend_note(w.b, &kept, NULL, NULL), E_OK);
	assert_int_equal(backend_note(w.b, &moved, on_noted, &h), E_OK);
	fake_command(&w.f, "SET p_warren:run:U1 1 2 3 d 0 me  PX 3600000");
	fake_command(&w.f, "DEL p_warren:run:U1");
	fake_command(&w.f, "SET p_warren:run:U1 1 2 3 f 2 me  PX 86400000");
	fake_command(&w.f, "SET p_warren:run:U1 1 2 3 m 0 me  PX 86400000");
	fake_say(&w.f, "+OK\r\n:1\r\n+OK\r\n-OOM command not allowed\r\n");
	TURN_UNTIL(w.f.l, h.calls == 2);
	assert_int_equal(h.err, E_AGAIN);
	world_close(&w);
}

static void
answers_to_a_claim(void **state)
{
	static const struct {
		const char *said;
		enum note_verdict verdict;
		int64_t deaths, left_ms;
		const char *words, *value;
	} rows[] = {
		{ "*3\r\n$4\r\nfree\r\n$2\r\nw2\r\n:3\r\n", NOTE_IS_FREE, 3, 0, "w2", "" },
		{ "*3\r\n$4\r\nheld\r\n$2\r\nw2\r\n:7000\r\n", NOTE_IS_HELD, 0, 7000, "w2", "" },
		{ "*2\r\n$5\r\nmoved\r\n$11\r\nretry 0 0 7\r\n", NOTE_HAS_MOVED, 0, 0, "retry 0 0 7", "" },
		{ "*1\r\n$4\r\nover\r\n", NOTE_WAS_OVER, 0, 0, "", "" },
		{ "*2\r\n$4\r\ndone\r\n$43\r\n{\"status\": \"SUCCESS\", \"result\": {\"a\": [1]}}\r\n",
			NOTE_IS_DONE, 0, 0, "", "{\"a\": [1]}" },
	};
	struct heard h = { 0 };
	struct world w;

	world_open(&w, *state, conf);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(backend_claim(w.b, &runs, i % 2 == 0, on_claimed, &h), E_OK);
		fake_command(&w.f, "EVAL");
		assert_int_equal(w.f.argc, 13);
		assert_true(span_is(w.f.argv[3], "p_warren:run:U1"));
		assert_true(span_is(w.f.argv[4], "p_celery-task-meta-U1"));
		assert_true(
			span_is(w.f.argv[5], "1") && span_is(w.f.argv[6], "2") && span_is(w.f.argv[7], "3"));
		assert_true(span_is(w.f.argv[8], "me"));
		assert_true(span_is(w.f.argv[9], "86410000") && span_is(w.f.argv[10], "86400000"));
		assert_true(span_is(w.f.argv[11], i % 2 == 0 ? "1" : "0"));
		assert_true(span_is(w.f.argv[12], "w1@host"));
		fake_say(&w.f, rows[i].said);
		TURN_UNTIL(w.f.l, h.calls == (int)i + 1);
		assert_int_equal(h.err, E_OK);
		assert_int_equal(h.answer.verdict, rows[i].verdict);
		assert_int_equal(h.answer.deaths, rows[i].deaths);
		assert_int_equal(h.answer.left_ms, rows[i].left_ms);
		assert_string_equal(h.words, rows[i].words);
		assert_string_equal(h.value, rows[i].value);
	}
	world_close(&w);
}

static void
troubles_of_a_claim(void **state)
{
	struct heard h = { 0 };
	struct world w;

	world_open(&w, *state, conf);
	assert_int_equal(backend_claim(w.b, &runs, true, on_claimed, &h), E_OK);
	fake_command(&w.f, "EVAL");
	fake_say(&w.f, "-WRONGTYPE Operation against a key\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_int_equal(h.err, E_REFUSED);
	assert_string_equal(h.why, "WRONGTYPE Operation against a key");
	assert_int_equal(backend_claim(w.b, &runs, true, on_claimed, &h), E_OK);
	fake_command(&w.f, "EVAL");
	fake_say(&w.f, ":5\r\n");
	TURN_UNTIL(w.f.l, h.calls == 2);
	assert_int_equal(h.err, E_REFUSED);
	assert_int_equal(backend_claim(w.b, &runs, true, on_claimed, &h), E_OK);
	fake_command(&w.f, "EVAL");
	fake_drop(&w.f);
	TURN_UNTIL(w.f.l, h.calls == 3);
	assert_int_equal(h.err, E_CLOSED);
	assert_int_equal(backend_claim(w.b, &runs, true, on_claimed, &h), E_CLOSED);
	assert_int_equal(backend_note(w.b, &runs, on_noted, &h), E_CLOSED);
	world_close(&w);
}

static void
who_is_gone_hears_nothing(void **state)
{
	struct heard h = { 0 }, other = { 0 };
	struct world w;

	world_open(&w, *state, conf);
	assert_int_equal(backend_claim(w.b, &runs, true, on_claimed, &h), E_OK);
	assert_int_equal(backend_note(w.b, &runs, on_noted, &other), E_OK);
	backend_note_cancel(w.b, &h);
	fake_say(&w.f, "*1\r\n$4\r\nover\r\n+OK\r\n");
	TURN_UNTIL(w.f.l, other.calls == 1);
	assert_int_equal(h.calls, 0);
	assert_int_equal(backend_claim(w.b, &runs, true, on_claimed, &h), E_OK);
	world_close(&w);
	assert_int_equal(h.calls, 0);
}

static void
on_stored(struct backend_store *s UNUSED, enum err e UNUSED, const char *why UNUSED)
{
}

static void
a_result_ends_the_run_in_the_same_step(void **state)
{
	struct note over = in_state(NOTE_OVER, 0), gone = in_state(NOTE_FREE, 0);
	struct result r = result_of("U1", "SUCCESS", "5");
	struct backend_store s = { .is_final = false }, t = { .is_final = false };
	struct world w;

	world_open(&w, *state, conf);
	backend_store_with_note(&s, &over);
	assert_int_equal(backend_store(w.b, &s, &r, on_stored), E_OK);
	fake_command(&w.f, "EVALSHA SHA 2 p_celery-task-meta-U1 p_warren:run:U1 {\"status\": \"SUCCESS\"");
	assert_true(span_is(w.f.argv[8], "1 2 3 d 0 me ") && span_is(w.f.argv[9], "3600000"));
	backend_store_with_note(&t, &gone);
	assert_int_equal(backend_store(w.b, &t, &r, on_stored), E_OK);
	fake_command(&w.f, "EVALSHA SHA 2");
	assert_true(span_is(w.f.argv[8], ""));
	backend_store_cancel(&s);
	backend_store_cancel(&t);
	backend_store_release(&s);
	backend_store_release(&t);
	world_close(&w);
}

static void
without_a_lease_there_are_none(void **state)
{
	struct heard h = { 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ .lease_ms = 0 });
	assert_false(backend_has_notes(w.b));
	assert_int_equal(backend_note(w.b, &runs, on_noted, &h), E_MISSING);
	assert_int_equal(backend_claim(w.b, &runs, true, on_claimed, &h), E_MISSING);
	backend_note_cancel(w.b, &h);
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(a_note_lives_for_a_day_and_its_lease),
		LOOP_TEST(answers_to_a_claim),
		LOOP_TEST(troubles_of_a_claim),
		LOOP_TEST(who_is_gone_hears_nothing),
		LOOP_TEST(a_result_ends_the_run_in_the_same_step),
		LOOP_TEST(without_a_lease_there_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
