#include "base/jscan.h"

#include "lib/t.h"

static void
good_text_passes(void **state UNUSED)
{
	static const char *const good[] = { "0", "-0", "1.5e+10", "1E-2", "-12", "true", "false", "null",
		"NaN", "Infinity", "-Infinity", "\"\"", "\"a\\u00e9\\n\\/\\\"\"", "\"\\ud800\"",
		"\"gr\xc3\xbc\xc3\x9f\"", "[]", "{}", "[[],{}]", "{\"a\":1,\"b\":[true,null]}", " [ 1 , 2 ] ",
		"\t{ \"a\" : { } }\r\n", "{\"\":\"\"}", "[\"\x7f\"]",
		"\"0123456\xf0\x9f\x98\x80 0123456789abcdef\"", "{\"a\":1,\"a\":2}" };
	struct errtext t;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		if (jscan_check(span_of(good[i]), NULL, NULL, &t) != E_OK)
			fail_msg("%s: %s", good[i], t.text);
	}
}

static void
bad_text_is_refused_with_its_place(void **state UNUSED)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "", "empty" },
		{ " ", "the text ends too early at byte 1" },
		{ "[1,]", "at byte 3" },
		{ "[,1]", "at byte 1" },
		{ "[1 2]", "',' or ']' was expected at byte 3" },
		{ "[1}", "at byte 2" },
		{ "{\"a\":1]", "',' or '}' was expected at byte 6" },
		{ "{\"a\"}", "':' was expected at byte 4" },
		{ "{\"a\":}", "a value was expected at byte 5" },
		{ "{\"a\":1,}", "a key in quotes was expected at byte 7" },
		{ "{a:1}", "at byte 1" },
		{ "{1:1}", "at byte 1" },
		{ "{\"a\" \"b\"}", "at byte 5" },
		{ "[", "the text ends too early at byte 1" },
		{ "{\"a", "the string does not end at byte 3" },
		{ "]", "at byte 0" },
		{ "1 2", "more text after the value at byte 2" },
		{ "[]]", "more text after the value at byte 2" },
		{ "01", "leading zero" },
		{ "-", "a digit was expected at byte 1" },
		{ "-a", "a digit" },
		{ "1.", "a digit was expected at byte 2" },
		{ ".5", "a value was expected" },
		{ "1e", "a digit" },
		{ "1e+", "a digit" },
		{ "+1", "a value" },
		{ "0x1", "more text" },
		{ "tru", "a value" },
		{ "True", "a value" },
		{ "nan", "a value" },
		{ "-NaN", "a digit" },
		{ "Infinit", "a value" },
		{ "-Inf", "a value" },
		{ "'a'", "a value" },
		{ "\"a\nb\"", "a control character in a string at byte 2" },
		{ "\"\\x41\"", "an unknown escape at byte 1" },
		{ "\"\\u12g4\"", "four hexadecimal digits at byte 1" },
		{ "\"\\u12", "four hexadecimal digits" },
		{ "\"\\", "does not end at byte 2" },
		{ "\"\\\"", "does not end at byte 3" },
		{ "\"\xff\"", "invalid UTF-8 at byte 1" },
		{ "\"\xed\xa0\x80\"", "invalid UTF-8" },
		{ "\"01234567890123456789\xc3\"", "invalid UTF-8 at byte 21" },
		{ "\xef\xbb\xbf{}", "at byte 0" },
		{ "/**/1", "a value" },
	};
	struct errtext t;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (jscan_check(span_of(bad[i].text), NULL, NULL, &t) != E_FORMAT)
			fail_msg("taken: %s", bad[i].text);
		if (!strstr(t.text, bad[i].words))
			fail_msg("%s: %s", bad[i].text, t.text);
	}
	assert_int_equal(jscan_check(SPAN("[\0]"), NULL, NULL, NULL), E_FORMAT);
	assert_int_equal(jscan_check(SPAN("\"\\\0\""), NULL, NULL, NULL), E_FORMAT);
	assert_int_equal(jscan_check(SPAN_NONE, NULL, NULL, &t), E_FORMAT);
}

static void
every_special_byte_is_seen_at_every_place(void **state UNUSED)
{
	char text[40];

	for (size_t at = 1; at < sizeof(text) - 1; at++) {
		for (int c = 0; c < 256; c++) {
			memset(text, 'x', sizeof(text));
			text[0] = text[sizeof(text) - 1] = '"';
			text[at] = (char)c;
			/* A backslash makes "\x", which is no escape, or quotes the end. */
			assert_int_equal(jscan_check((struct span){ text, sizeof(text) }, NULL, NULL, NULL),
				c < 0x20 || c >= 0x80 || c == '"' || c == '\\' ? E_FORMAT : E_OK);
		}
	}
}

static void
every_cut_of_good_text_is_refused(void **state UNUSED)
{
	static const char text[] = "{\"k\": [1, -2.5e3, \"a\\u00e9\\\\\", {\"x\": null}, NaN], \"\xc3\xbc\": "
				   "\"\xf0\x9f\x98\x80\"}";
	char *copy;

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		copy = malloc(n ? n : 1); /* of exactly this size, for the sanitizer to see a step beyond */
		memcpy(copy, text, n);
		assert_int_equal(jscan_check((struct span){ copy, n }, NULL, NULL, NULL), E_FORMAT);
		free(copy);
	}
	assert_ok(jscan_check(SPAN(text), NULL, NULL, NULL));
}

static void
nest(char *text, size_t depth, const char *open, const char *close)
{
	size_t n = strlen(open), m = strlen(close);

	for (size_t i = 0; i < depth; i++) {
		memcpy(text + i * n, open, n);
		memcpy(text + depth * n + 1 + i * m, close, m);
	}
	text[depth * n] = '1';
	text[depth * (n + m) + 1] = '\0';
}

static void
depth_is_bounded(void **state UNUSED)
{
	static const struct {
		int limit;
		size_t allowed;
	} rows[] = { { 0, 64 }, { 1, 1 }, { 65, 65 }, { 1024, 1024 }, { 100000, 1024 }, { -1, 64 } };
	char text[8000];
	struct jscan_facts facts;
	struct errtext t;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct jscan_limits lim = { .depth_max = rows[i].limit };

		nest(text, rows[i].allowed, i % 2 ? "{\"\":" : "[", i % 2 ? "}" : "]");
		assert_ok(jscan_check(span_of(text), &lim, &facts, &t));
		assert_int_equal(facts.depth, rows[i].allowed);
		assert_int_equal(facts.containers, rows[i].allowed);
		nest(text, rows[i].allowed + 1, i % 2 ? "{\"\":" : "[", i % 2 ? "}" : "]");
		assert_int_equal(jscan_check(span_of(text), &lim, &facts, &t), E_TOOBIG);
		assert_non_null(strstr(t.text, "nested deeper than"));
	}
	/* The kinds of all levels are told apart. */
	nest(text, 500, "[{\"\":", "}]");
	assert_ok(jscan_check(span_of(text), &(struct jscan_limits){ .depth_max = 1024 }, NULL, NULL));
	text[strlen(text) - 1] = '}';
	assert_int_equal(jscan_check(span_of(text), &(struct jscan_limits){ .depth_max = 1024 }, NULL, NULL),
		E_FORMAT);
}

static void
the_number_of_containers_is_bounded(void **state UNUSED)
{
	struct jscan_limits lim = { .containers_max = 3 };
	struct errtext t;

	assert_ok(jscan_check(SPAN("[[],{}]"), &lim, NULL, &t));
	assert_int_equal(jscan_check(SPAN("[[],{},[]]"), &lim, NULL, &t), E_TOOBIG);
	assert_non_null(strstr(t.text, "more than 3"));
}

static void
facts_are_told(void **state UNUSED)
{
	struct jscan_facts f;

	assert_ok(jscan_check(SPAN("{\"a\": [1, {}]}"), NULL, &f, NULL));
	assert_int_equal(f.containers, 3);
	assert_int_equal(f.depth, 3);
	assert_false(f.has_newline);
	assert_false(f.has_nonfinite);
	assert_ok(jscan_check(SPAN("[1,\n2]"), NULL, &f, NULL));
	assert_true(f.has_newline);
	assert_ok(jscan_check(SPAN("1\r"), NULL, &f, NULL));
	assert_true(f.has_newline);
	assert_ok(jscan_check(SPAN("\"\\n NaN\""), NULL, &f, NULL));
	assert_false(f.has_newline);
	assert_false(f.has_nonfinite);
	assert_ok(jscan_check(SPAN("[-Infinity]"), NULL, &f, NULL));
	assert_true(f.has_nonfinite);
	assert_ok(jscan_check(SPAN("NaN"), NULL, &f, NULL));
	assert_true(f.has_nonfinite);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_text_passes),
		cmocka_unit_test(bad_text_is_refused_with_its_place),
		cmocka_unit_test(every_special_byte_is_seen_at_every_place),
		cmocka_unit_test(every_cut_of_good_text_is_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(the_number_of_containers_is_bounded),
		cmocka_unit_test(facts_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
