/* Counting chords: what is asked of Redis, what its answers become, and what happens when it is away. What the script does is shown against a real one. */
#include "fixture.h"

#include "backend/chords.h"

struct heard {
	struct backend_chord op;
	int calls;
	enum err err;
	struct chord_count count;
	char texts[256], saved[64], why[128];
};

static void
on_chord(struct backend_chord *op, enum err e, const struct chord_count *c, const char *why)
{
	struct heard *h = (struct heard *)op;

	h->calls++;
	h->err = e;
	snprintf(h->why, sizeof(h->why), "%s", why);
	h->texts[0] = '\0';
	if (c == NULL)
		return;
	h->count = *c;
	snprintf(h->saved, sizeof(h->saved), "%.*s", SPAN_FMT(c->saved));
	for (size_t i = 0; i < c->n_members; i++)
		snprintf(h->texts + strlen(h->texts), sizeof(h->texts) - strlen(h->texts), "%.*s;",
			SPAN_FMT(c->members[i]));
}

static const struct backend_part part = { .group = SPAN("G"),
	.id = SPAN("U1"),
	.index = 3,
	.member = SPAN("[1, \"U1\", \"SUCCESS\", 5]"),
	.kept = SPAN("{}") };

/* The fake keeps eight words of a command at most, so the text is looked for as a whole. */
static void
expect_words(struct fake *f, const char *const *words, size_t n)
{
	struct buf b;

	buf_init(&b, 0);
	buf_addf(&b, "*%zu\r\n", n);
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
	fake_expect(f, buf_text(&b));
	buf_release(&b);
}

#define PREFIX_KEYS \
	"p_celery-taskset-meta-G.j", "p_celery-taskset-meta-G.t", "p_celery-taskset-meta-G.s", \
		"p_celery-taskset-meta-G", "p_warren:chord:G", "p_warren:chords"

static void
load_script(struct world *w)
{
	fake_command(&w->f, "SCRIPT LOAD ");
	fake_say(&w->f, "$3\r\nCHD\r\n");
}

/* A command with this word in it has come; it is forgotten. */
static void
expect_word(struct fake *f, const char *word)
{
	TURN_UNTIL(f->l, ((void)fake_got(f, ""), f->got[f->len] = '\0', strstr(f->got, word) != NULL));
	f->len = 0;
}

static void
part_is_counted_in_one_step(void **state)
{
	static const char *const words[] = { "EVALSHA", "CHD", "6", PREFIX_KEYS, "part", "60", "G",
		"[1, \"U1\", \"SUCCESS\", 5]", "3", "{}" };
	struct heard h = { .calls = 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ .key_prefix = "p", .result_expires_s = 60 });
	assert_true(backend_has_chords(w.b));
	assert_int_equal(backend_chord_part(w.b, &h.op, &part, on_chord), E_OK);
	load_script(&w);
	expect_words(&w.f, words, ARRAY_LEN(words));
	assert_int_equal(h.calls, 0);
	fake_say(&w.f, "*4\r\n:1\r\n:2\r\n$2\r\n{}\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_int_equal(h.err, E_OK);
	assert_true(h.count.is_full);
	assert_int_equal(h.count.due, 2);
	assert_string_equal(h.saved, "{}");
	assert_string_equal(h.texts, "a;b;");
	backend_chord_release(&h.op);
	world_close(&w);
}

static void
without_order_the_first_part_begins_a_list(void **state)
{
	struct heard h = { .calls = 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ .chords_unordered = true });
	assert_int_equal(backend_chord_part(w.b, &h.op, &part, on_chord), E_OK);
	load_script(&w);
	expect_word(&w.f, "$6\r\nappend\r\n");
	fake_say(&w.f, "*2\r\n:0\r\n:7\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_false(h.count.is_full);
	backend_chord_release(&h.op);
	world_close(&w);
}

static void
other_answers_are_told_apart(void **state)
{
	struct backend_part last = part;
	struct heard h = { .calls = 0 };
	struct world w;

	last.index = -1;
	world_open(&w, *state, (struct backend_conf){ 0 });
	assert_int_equal(backend_chord_part(w.b, &h.op, &last, on_chord), E_OK);
	load_script(&w);
	expect_word(&w.f, "+inf");
	fake_say(&w.f, "*2\r\n:0\r\n:7\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_false(h.count.is_full);
	assert_int_equal(h.count.due, 7);
	assert_int_equal(backend_chord_part(w.b, &h.op, &part, on_chord), E_OK);
	fake_say(&w.f, "*1\r\n:2\r\n");
	TURN_UNTIL(w.f.l, h.calls == 2);
	assert_true(h.count.is_over);
	assert_int_equal(backend_chord_part(w.b, &h.op, &part, on_chord), E_OK);
	fake_say(&w.f, "*3\r\n:3\r\n:7\r\n:60000000\r\n");
	TURN_UNTIL(w.f.l, h.calls == 3);
	assert_int_equal(h.count.too_big, 60000000);
	backend_chord_release(&h.op);
	world_close(&w);
}

static void
chord_is_opened_and_closed(void **state)
{
	static const char *const open[] = { "EVALSHA", "CHD", "6", PREFIX_KEYS, "open", "0", "G", "12",
		"{\"result\": 1}" };
	static const char *const close[] = { "EVALSHA", "CHD", "6", PREFIX_KEYS, "close", "0", "G" };
	struct heard h = { .calls = 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ .key_prefix = "p" });
	assert_int_equal(
		backend_chord_open(w.b, &h.op, SPAN("G"), 12, SPAN("{\"result\": 1}"), on_chord), E_OK);
	load_script(&w);
	expect_words(&w.f, open, ARRAY_LEN(open));
	fake_say(&w.f, "*1\r\n:0\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_int_equal(backend_chord_close(w.b, &h.op, SPAN("G"), on_chord), E_OK);
	expect_words(&w.f, close, ARRAY_LEN(close));
	fake_say(&w.f, "*1\r\n:0\r\n");
	TURN_UNTIL(w.f.l, h.calls == 2);
	assert_int_equal(h.err, E_OK);
	backend_chord_release(&h.op);
	world_close(&w);
}

static void
one_member_goes_on(void **state)
{
	static const char *const words[] = { "EVALSHA", "CHD", "6", PREFIX_KEYS, "claim", "0", "G", "U1" };
	struct heard h = { .calls = 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ .key_prefix = "p" });
	assert_int_equal(backend_chord_claim(w.b, &h.op, SPAN("G"), SPAN("U1"), on_chord), E_OK);
	load_script(&w);
	expect_words(&w.f, words, ARRAY_LEN(words));
	fake_say(&w.f, "*1\r\n:0\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_false(h.count.is_over);
	assert_int_equal(backend_chord_claim(w.b, &h.op, SPAN("G"), SPAN("U1"), on_chord), E_OK);
	fake_say(&w.f, "*1\r\n:2\r\n");
	TURN_UNTIL(w.f.l, h.calls == 2);
	assert_true(h.count.is_over);
	backend_chord_release(&h.op);
	world_close(&w);
}

static void
looking_finds_one_or_none(void **state)
{
	static const char *const words[] = { "EVALSHA", "CHD", "6", "celery-taskset-meta-.j",
		"celery-taskset-meta-.t", "celery-taskset-meta-.s", "celery-taskset-meta-",
		"warren:chord:", "warren:chords", "look", "0", "", "30" };
	struct heard h = { .calls = 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ 0 });
	assert_int_equal(backend_chord_look(w.b, &h.op, 30, on_chord), E_OK);
	load_script(&w);
	expect_words(&w.f, words, ARRAY_LEN(words));
	fake_say(&w.f, "*2\r\n:0\r\n:0\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_null(h.count.group.ptr);
	assert_int_equal(backend_chord_look(w.b, &h.op, 30, on_chord), E_OK);
	expect_words(&w.f, words, ARRAY_LEN(words));
	fake_say(&w.f, "*6\r\n:1\r\n:1\r\n$0\r\n\r\n*1\r\n$1\r\na\r\n$1\r\nG\r\n$2\r\n{}\r\n");
	TURN_UNTIL(w.f.l, h.calls == 2);
	assert_true(h.count.is_full);
	assert_string_equal(h.texts, "a;");
	assert_non_null(h.count.group.ptr);
	assert_non_null(h.count.kept.ptr);
	backend_chord_release(&h.op);
	world_close(&w);
}

/* What is lost with its connection, or refused for now, is asked again until there is an answer. */
static void
asked_again_until_it_is_done(void **state)
{
	struct heard h = { .calls = 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ 0 });
	assert_int_equal(backend_chord_part(w.b, &h.op, &part, on_chord), E_OK);
	load_script(&w);
	expect_word(&w.f, "part");
	fake_drop(&w.f);
	world_connect(&w);
	load_script(&w);
	expect_word(&w.f, "part");
	fake_say(&w.f, "-OOM no room\r\n");
	expect_word(&w.f, "part");
	/* This server has forgotten the script. */
	fake_say(&w.f, "-NOSCRIPT gone\r\n");
	load_script(&w);
	expect_word(&w.f, "part");
	fake_say(&w.f, "*2\r\n:0\r\n:1\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_int_equal(h.err, E_OK);
	backend_chord_release(&h.op);
	world_close(&w);
}

static void
refused_for_good_is_told(void **state)
{
	struct heard h = { .calls = 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ 0 });
	assert_int_equal(backend_chord_part(w.b, &h.op, &part, on_chord), E_OK);
	load_script(&w);
	fake_say(&w.f, "-WRONGTYPE no\r\n");
	TURN_UNTIL(w.f.l, h.calls == 1);
	assert_int_equal(h.err, E_REFUSED);
	assert_string_equal(h.why, "WRONGTYPE no");
	backend_chord_release(&h.op);
	world_close(&w);
}

static void
cancelled_and_closed_are_silent(void **state)
{
	struct heard h = { .calls = 0 }, other = { .calls = 0 };
	struct world w;

	world_open(&w, *state, (struct backend_conf){ 0 });
	assert_int_equal(backend_chord_part(w.b, &h.op, &part, on_chord), E_OK);
	assert_int_equal(backend_chord_part(w.b, &other.op, &part, on_chord), E_OK);
	load_script(&w);
	expect_word(&w.f, "part");
	backend_chord_cancel(&h.op);
	fake_say(&w.f, "*1\r\n:2\r\n*1\r\n:2\r\n");
	TURN_UNTIL(w.f.l, other.calls == 1);
	assert_int_equal(h.calls, 0);
	assert_int_equal(backend_chord_part(w.b, &h.op, &part, on_chord), E_OK);
	world_close(&w);
	assert_int_equal(h.calls, 0);
	backend_chord_release(&h.op);
	backend_chord_release(&other.op);
}

static void
no_backend_counts_nothing(void **state)
{
	struct heard h = { .calls = 0 };
	struct backend *b;

	assert_int_equal(
		backend_open(&b, *state, &(struct backend_conf){ .url = "none" }, NULL, NULL, NULL), E_OK);
	assert_false(backend_has_chords(b));
	assert_int_equal(backend_chord_part(b, &h.op, &part, on_chord), E_REFUSED);
	backend_chord_cancel(&h.op);
	backend_close(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(part_is_counted_in_one_step),
		LOOP_TEST(without_order_the_first_part_begins_a_list),
		LOOP_TEST(other_answers_are_told_apart),
		LOOP_TEST(chord_is_opened_and_closed),
		LOOP_TEST(one_member_goes_on),
		LOOP_TEST(looking_finds_one_or_none),
		LOOP_TEST(asked_again_until_it_is_done),
		LOOP_TEST(refused_for_good_is_told),
		LOOP_TEST(cancelled_and_closed_are_silent),
		LOOP_TEST(no_backend_counts_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
