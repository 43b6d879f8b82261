/* The board against a scripted Redis: which keys, what is made of answers, also of odd ones. What the scripts do is for the integration tests. */
#include "fake/fakeredis.h"

#include "beat/board.h"

#include "base/alloc.h"
#include "lib/t.h"

struct fixture {
	struct fake fake;
	struct board *board;
	bool answered;
	enum err err;
	char why[256];
	struct buf seen;
};

static void
on_up(void *owner UNUSED)
{
}

static void
on_down(void *owner UNUSED, const struct rds_down *d UNUSED)
{
}

static void
on_done(void *owner, enum err e, const char *why)
{
	struct fixture *f = owner;

	assert_false(f->answered);
	f->answered = true;
	f->err = e;
	snprintf(f->why, sizeof(f->why), "%s", why);
}

static void
on_stock(void *owner, enum err e, const struct board_stock *s, const char *why)
{
	struct fixture *f = owner;

	on_done(f, e, why);
	assert_true((s != NULL) == (e == E_OK));
	if (s == NULL)
		return;
	buf_addf(&f->seen, "%lld %lld %.*s %.*s|", (long long)s->revision, (long long)s->token,
		SPAN_FMT(s->leader), SPAN_FMT(s->schedule));
	for (size_t i = 0; i < s->n_entries; i++)
		buf_addf(&f->seen, "%.*s=%lld:%.*s ", SPAN_FMT(s->entries[i].name),
			(long long)s->entries[i].since, SPAN_FMT(s->entries[i].json));
	buf_addc(&f->seen, '|');
	for (size_t i = 0; i < s->n_pauses; i++)
		buf_addf(&f->seen, "%.*s=%d@%lld ", SPAN_FMT(s->pauses[i].name), s->pauses[i].paused,
			(long long)s->pauses[i].since);
	buf_addc(&f->seen, '|');
	for (size_t i = 0; i < s->n_runs; i++)
		buf_addf(&f->seen, "%.*s=%.*s ", SPAN_FMT(s->runs[i].name), SPAN_FMT(s->runs[i].json));
}

static int
set_up(void **state)
{
	static const struct board_ops ops = { .on_up = on_up, .on_down = on_down };
	struct fixture *f = must_alloc(sizeof(*f));
	struct board_conf conf = { .prefix = "me", .group = "g" };
	struct errtext t;
	struct loop *l = loop_new(&t);

	assert_non_null(l);
	fake_start(&f->fake, l);
	conf.url = f->fake.url;
	assert_ok(board_new(&f->board, l, &conf, &ops, f, &t));
	fake_hello(&f->fake);
	TURN_UNTIL(l, board_is_up(f->board));
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	struct loop *l = f->fake.l;

	board_close(f->board);
	fake_stop(&f->fake);
	buf_release(&f->seen);
	alloc_free(f);
	loop_settle(l, 0);
	loop_free(l);
	return 0;
}

/* Takes the command and answers it. */
static void
answer(struct fixture *f, const char *reply)
{
	fake_command(&f->fake, "EVAL ");
	f->answered = false;
	fake_say(&f->fake, reply);
	TURN_UNTIL(f->fake.l, f->answered);
}

#define KEYS \
	"6 me_warren:beat:{g}:revision me_warren:beat:{g}:token me_warren:beat:{g}:leader " \
	"me_warren:beat:{g}:entries " \
	"me_warren:beat:{g}:pauses me_warren:beat:{g}:runs"

static void
expect_words(struct fixture *f, const char *after_keys)
{
	struct span line = span_of(f->fake.line);
	struct buf b;

	buf_init(&b, 0);
	buf_addf(&b, KEYS "%s", after_keys);
	if (!span_ends(line, buf_text(&b)))
		fail_msg("%s does not end with %s", f->fake.line, buf_text(&b));
	buf_release(&b);
}

static void
reads_all_there_is(void **state)
{
	struct fixture *f = *state;

	assert_ok(board_read(f->board, "node", "s", on_stock, f));
	answer(f,
		"*7\r\n$1\r\n7\r\n$1\r\n3\r\n$1\r\nn\r\n$1\r\ns\r\n"
		"*4\r\n$1\r\na\r\n$5\r\n12 {}\r\n$3\r\nodd\r\n$1\r\nx\r\n"
		"*4\r\n$1\r\na\r\n$9\r\npaused 40\r\n$1\r\nb\r\n$9\r\nresumed 5\r\n"
		"*2\r\n$1\r\na\r\n$3\r\nrow\r\n");
	expect_words(f, " node s");
	assert_int_equal(f->err, E_OK);
	assert_buf(&f->seen, "7 3 n s|a=12:{} odd=0: |a=1@40 b=0@5 |a=row ");
	assert_ok(board_look(f->board, on_stock, f));
	answer(f, "*4\r\n$1\r\n8\r\n$1\r\n3\r\n$0\r\n\r\n$0\r\n\r\n");
	assert_buf(&f->seen, "8 3  |||");
}

static void
odd_answers_are_refused(void **state)
{
	static const struct {
		const char *reply, *why;
		enum err err;
	} cases[] = {
		{ "+OK\r\n", "an answer of another form than expected", E_FORMAT },
		{ "*2\r\n$1\r\n7\r\n$1\r\n3\r\n", "an answer of another form than expected", E_FORMAT },
		{ "-NOPERM no EVAL for you\r\n", "NOPERM no EVAL for you", E_REFUSED },
		{ "$-1\r\n", "an answer of another form than expected", E_FORMAT },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_ok(board_read(f->board, NULL, NULL, on_stock, f));
		answer(f, cases[i].reply);
		assert_int_equal(f->err, cases[i].err);
		assert_string_equal(f->why, cases[i].why);
	}
	/* No array where a hash should be: there is none. */
	assert_ok(board_read(f->board, NULL, NULL, on_stock, f));
	answer(f, "*7\r\n$1\r\n7\r\n$1\r\nx\r\n$1\r\nn\r\n$0\r\n\r\n:1\r\n$-1\r\n*1\r\n$1\r\na\r\n");
	assert_buf(&f->seen, "7 0 n |||");
}

static void
words_are_verdicts(void **state)
{
	const struct board_run runs[] = { { SPAN("a"), SPAN("{1}") }, { SPAN("b"), SPAN("{2}") } };
	struct fixture *f = *state;

	assert_ok(board_write(f->board, 41, runs, 2, on_done, f));
	answer(f, "$2\r\nok\r\n");
	expect_words(f, " 41 a {1} b {2}");
	assert_int_equal(f->err, E_OK);
	assert_ok(board_write(f->board, 41, runs, 1, on_done, f));
	answer(f, "$6\r\nexists\r\n");
	assert_int_equal(f->err, E_EXISTS);
	assert_ok(board_edit(f->board, SPAN("a"), SPAN("{1}"), SPAN("{2}"), true, on_done, f));
	answer(f, "$7\r\nmissing\r\n");
	expect_words(f, " a {1} {2} 1");
	assert_int_equal(f->err, E_MISSING);
	assert_ok(board_pause(f->board, SPAN("a"), false, on_done, f));
	answer(f, "$4\r\nwhat\r\n");
	expect_words(f, " a resumed");
	assert_int_equal(f->err, E_FORMAT);
}

static void
a_lost_connection_answers_all(void **state)
{
	struct fixture *f = *state;

	assert_ok(board_remove(f->board, SPAN("a"), on_done, f));
	fake_command(&f->fake, "EVAL ");
	fake_drop(&f->fake);
	TURN_UNTIL(f->fake.l, f->answered);
	assert_int_equal(f->err, E_CLOSED);
	assert_string_equal(f->why, "the connection was lost");
	assert_int_equal(board_remove(f->board, SPAN("a"), on_done, f), E_CLOSED);
	/* And one that is closed answers nothing. */
	fake_hello(&f->fake);
	TURN_UNTIL(f->fake.l, board_is_up(f->board));
	f->answered = false;
	assert_ok(board_remove(f->board, SPAN("a"), on_done, f));
	board_close(f->board);
	f->board = NULL;
	loop_turn(f->fake.l, 0);
	assert_false(f->answered);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(reads_all_there_is),
		TEST(odd_answers_are_refused),
		TEST(words_are_verdicts),
		TEST(a_lost_connection_answers_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
