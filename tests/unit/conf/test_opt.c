#include "conf/opt.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct thing {
	const char *text, *url, *choice;
	int64_t number, size;
	ms_t dur, backoff;
	bool flag;
	struct opt_list list, words, pairs, urls, more;
};

/* clang-format off */
#define ROW(field, kind, d, lo, hi, ch, fl) \
	{ .name = #field, .type = OPT_T_##kind, .offset = offsetof(struct thing, field), .def = (d), .min = (lo), .max = (hi), \
		.choices = (ch), .flags = (fl) }
/* clang-format on */

static const struct opt_row rows[] = {
	ROW(text, text, "hello", 1, 10, NULL, 0),
	ROW(url, text, "none", 0, 0, NULL, OPT_URL),
	ROW(choice, choice, "red", 0, 0, "red|green|blue", 0),
	ROW(number, int, "4", -1, 100, NULL, 0),
	ROW(size, size, "1K", 0, 1 << 20, NULL, 0),
	ROW(dur, dur, "2s", 100, 3600000, NULL, 0),
	ROW(backoff, dur, "false", 0, 0, "true|false", 0),
	ROW(flag, bool, "true", 0, 0, NULL, 0),
	ROW(list, list, "", 0, 3, NULL, 0),
	ROW(words, words, "", 0, 0, NULL, 0),
	ROW(pairs, pairs, "", 0, 0, NULL, 0),
	ROW(urls, list, "amqp://a", 1, 4, NULL, OPT_URL),
	ROW(more, list, NULL, 0, 0, NULL, OPT_REPEAT),
};

struct fixture {
	struct thing thing;
	struct arena arena;
	struct errtext t;
};

static int
setup(void **state)
{
	struct fixture *f = alloc_zero(sizeof(*f));

	assert_non_null(f);
	arena_init(&f->arena, 0);
	assert_int_equal(opt_set_defaults(rows, ARRAY_LEN(rows), &f->thing, &f->arena), E_OK);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	arena_release(&f->arena);
	alloc_free(f);
	return 0;
}

static enum err
put(struct fixture *f, const char *name, const char *value)
{
	const struct opt_row *row = opt_find(rows, ARRAY_LEN(rows), span_of(name));

	assert_non_null(row);
	f->t.text[0] = '\0';
	return opt_set(row, &f->thing, span_of(value), &f->arena, &f->t);
}

static void
refused(struct fixture *f, const char *name, const char *value, const char *word)
{
	assert_int_equal(put(f, name, value), E_CONF);
	if (strstr(f->t.text, word) == NULL)
		fail_msg("'%s' does not say '%s'", f->t.text, word);
}

static void
defaults_are_set(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(f->thing.text, "hello");
	assert_string_equal(f->thing.choice, "red");
	assert_int_equal(f->thing.number, 4);
	assert_int_equal(f->thing.size, 1024);
	assert_int_equal(f->thing.dur, 2000);
	assert_true(f->thing.flag);
	assert_int_equal(f->thing.list.n, 0);
	assert_null(f->thing.list.items[0]);
	assert_int_equal(f->thing.urls.n, 1);
}

static void
values_are_parsed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(put(f, "text", "x"), E_OK);
	assert_string_equal(f->thing.text, "x");
	assert_int_equal(put(f, "choice", "GREEN"), E_OK);
	assert_string_equal(f->thing.choice, "green");
	assert_int_equal(put(f, "number", "-1"), E_OK);
	assert_int_equal(f->thing.number, -1);
	assert_int_equal(put(f, "dur", "1min"), E_OK);
	assert_int_equal(f->thing.dur, 60000);
	assert_int_equal(put(f, "backoff", "true"), E_OK);
	assert_int_equal(f->thing.backoff, 1000);
	assert_int_equal(put(f, "backoff", "5"), E_OK);
	assert_int_equal(f->thing.backoff, 5000);
	assert_int_equal(put(f, "size", "20K"), E_OK);
	assert_int_equal(f->thing.size, 20480);
	assert_int_equal(put(f, "flag", "no"), E_OK);
	assert_false(f->thing.flag);
	assert_int_equal(put(f, "list", "a, b ,c"), E_OK);
	assert_int_equal(f->thing.list.n, 3);
	assert_string_equal(f->thing.list.items[1], "b");
	assert_null(f->thing.list.items[3]);
	assert_int_equal(put(f, "words", "python3 -m 'my module'"), E_OK);
	assert_int_equal(f->thing.words.n, 3);
	assert_string_equal(f->thing.words.items[2], "my module");
	assert_int_equal(put(f, "pairs", "A=1,B=x=y"), E_OK);
	assert_string_equal(f->thing.pairs.items[1], "B=x=y");
	assert_int_equal(put(f, "urls", "amqp://a;amqp://b,amqps://c"), E_OK);
	assert_int_equal(f->thing.urls.n, 3);
	assert_string_equal(f->thing.urls.items[2], "amqps://c");
}

static void
repeatable_flags_add_up(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(put(f, "more", "a,b"), E_OK);
	assert_int_equal(put(f, "more", "c"), E_OK);
	assert_int_equal(f->thing.more.n, 2);
	assert_string_equal(f->thing.more.items[0], "a,b");
	assert_string_equal(f->thing.more.items[1], "c");
}

static void
wrong_values_say_what_is_wrong(void **state)
{
	struct fixture *f = *state;

	refused(f, "text", "", "empty");
	refused(f, "text", "01234567890", "10 bytes");
	refused(f, "choice", "pink", "red, green, blue");
	refused(f, "number", "four", "'four' is not a whole number");
	refused(f, "number", "101", "the most is 100");
	refused(f, "number", "-2", "the least is -1");
	refused(f, "dur", "soon", "not a duration");
	refused(f, "dur", "50ms", "100ms");
	refused(f, "dur", "true", "not a duration");
	refused(f, "size", "big", "not a size");
	refused(f, "size", "2M", "too large");
	refused(f, "flag", "perhaps", "neither true nor false");
	refused(f, "list", "a,b,c,d", "4 items");
	refused(f, "list", "a,,b", "empty");
	refused(f, "words", "a 'b", "");
	refused(f, "pairs", "A", "KEY=value");
	refused(f, "urls", "", "the value is empty");
	assert_string_equal(f->thing.text, "hello");
	assert_int_equal(f->thing.number, 4);
}

static void
passwords_are_never_shown(void **state)
{
	struct fixture *f = *state;
	struct buf b;
	size_t i;

	assert_int_equal(put(f, "url", "redis://u:secret@h:1/0"), E_OK);
	assert_int_equal(put(f, "urls", "amqp://u:secret@h//"), E_OK);
	buf_init(&b, 0);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		opt_add_value(&b, &rows[i], &f->thing);
		opt_add_json(&b, &rows[i], &f->thing);
	}
	assert_null(strstr(buf_text(&b), "secret"));
	assert_non_null(strstr(buf_text(&b), "redis://u:**@h:1/0"));
	buf_release(&b);
	refused(f, "url", "red is://u:secret@h:x", "");
	assert_null(strstr(f->t.text, "secret"));
}

static void
json_has_numbers_and_lists(void **state)
{
	struct fixture *f = *state;
	struct buf b;

	buf_init(&b, 0);
	opt_add_json(&b, opt_find(rows, ARRAY_LEN(rows), SPAN("dur")), &f->thing);
	buf_addc(&b, ' ');
	opt_add_json(&b, opt_find(rows, ARRAY_LEN(rows), SPAN("size")), &f->thing);
	buf_addc(&b, ' ');
	assert_int_equal(put(f, "list", "a,b"), E_OK);
	opt_add_json(&b, opt_find(rows, ARRAY_LEN(rows), SPAN("list")), &f->thing);
	assert_string_equal(buf_text(&b), "2.0 1024 [\"a\", \"b\"]");
	buf_release(&b);
}

static const char *
near(const char *word)
{
	static const char *const known[] = { "concurrency", "broker", "result_backend", "broker_file",
		"pools" };
	struct nearest n;
	size_t i;

	nearest_init(&n, span_of(word));
	for (i = 0; i < ARRAY_LEN(known); i++)
		nearest_try(&n, known[i]);
	return n.best != NULL ? n.best : "";
}

static void
nearest_word_is_found(void **state)
{
	(void)state;
	assert_string_equal(near("concurency"), "concurrency");
	assert_string_equal(near("Broker"), "broker");
	assert_string_equal(near("result-backend"), "result_backend");
	assert_string_equal(near("pool"), "pools");
	assert_string_equal(near("borker"), "broker");
	assert_string_equal(near("something"), "");
	assert_string_equal(near("x"), "");
	assert_string_equal(near(""), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(defaults_are_set, setup, teardown),
		cmocka_unit_test_setup_teardown(values_are_parsed, setup, teardown),
		cmocka_unit_test_setup_teardown(repeatable_flags_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_values_say_what_is_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(passwords_are_never_shown, setup, teardown),
		cmocka_unit_test_setup_teardown(json_has_numbers_and_lists, setup, teardown),
		cmocka_unit_test(nearest_word_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
