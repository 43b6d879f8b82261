#include "base/text.h"

#include "lib/torture.h"

static void
utf8_is_told_from_bytes(void **state UNUSED)
{
	assert_true(text_is_plain(SPAN("caf\xc3\xa9 1"), 7));
	assert_false(text_is_plain(SPAN("caf\xc3\xa9 1"), 6));
	assert_false(text_is_plain(SPAN(""), 6));
	assert_false(text_is_plain(SPAN("a\nb"), 6));
	assert_false(text_is_plain(SPAN("caf\xe9"), 6));
	assert_true(text_is_utf8(SPAN("")));
	assert_true(text_is_utf8(SPAN_NONE));
	assert_true(text_is_utf8(SPAN("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80")));
	assert_false(text_is_utf8(SPAN("gr\xfc\xdf")));
	assert_false(text_is_utf8(SPAN("cut \xf0\x9f\x98")));
}

static void
strangers_bytes_become_printable(void **state UNUSED)
{
	static const struct {
		const char *text;
		size_t max;
		const char *shown;
	} rows[] = {
		{ "", 0, "" },
		{ "plain \\ text", 0, "plain \\ text" },
		{ "a\nb\rc\td", 0, "a\\nb\\rc\\td" },
		{ "\x1b[31m\x7f", 0, "\\x1b[31m\\x7f" },
		{ "gr\xc3\xbc\xc3\x9f", 0, "gr\xc3\xbc\xc3\x9f" },
		{ "\xff\xc3", 0, "\\xff\\xc3" },
		{ "\xc2\x9b"
		  "0m",
			0,
			"\\xc2\\x9b"
			"0m" },
		{ "\xe2\x80\xae"
		  "evil",
			0,
			"\\xe2\\x80\\xae"
			"evil" },
		{ "abcdef", 3, "abc..." },
		{ "abc", 3, "abc" },
		{ "ab\xc3\xbc"
		  "d",
			3, "ab..." },
		{ "ab\xc3\xbc"
		  "d",
			4, "ab\xc3\xbc..." },
		{ "\x80\x80\x80\x80\x80\x80", 5, "\\x80\\x80\\x80\\x80\\x80..." },
	};
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		text_add_printable(&b, span_of(rows[i].text), rows[i].max);
		assert_buf(&b, rows[i].shown);
	}
	text_add_printable(&b, SPAN("a\0b"), 0);
	assert_buf(&b, "a\\x00b");
	text_add_printable(&b, SPAN_NONE, 0);
	assert_buf(&b, "");
	buf_release(&b);
}

static void
globs(void **state UNUSED)
{
	static const struct {
		const char *pattern, *text;
		bool match;
	} rows[] = {
		{ "*", "", true },
		{ "*", "any.thing/at all", true },
		{ "", "", true },
		{ "", "a", false },
		{ "scrape.*", "scrape.page", true },
		{ "scrape.*", "scrape", false },
		{ "*.gpu", "a.b.gpu", true },
		{ "a*b*c", "aXXbYYbZZc", true },
		{ "a*b*c", "aXXcYYb", false },
		{ "??", "ab", true },
		{ "??", "a", false },
		{ "?", "\xc3\xbc", true },
		{ "[a-c]x", "bx", true },
		{ "[a-c]x", "dx", false },
		{ "[!a-c]x", "dx", true },
		{ "[!a-c]x", "ax", false },
		{ "[]]", "]", true },
		{ "[!]]", "]", false },
		{ "[a-]", "-", true },
		{ "[\xc3\xa4-\xc3\xbc]", "\xc3\xb6", true },
		{ "[abc", "[abc", true },
		{ "[abc", "a", false },
		{ "a[", "a[", true },
		{ "a*", "b", false },
		{ "**a", "bba", true },
		{ "\xff*", "\xff\xfe", true },
		{ "[!a]", "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (text_glob(span_of(rows[i].pattern), span_of(rows[i].text)) != rows[i].match) {
			print_error("\"%s\" and \"%s\"\n", rows[i].pattern, rows[i].text);
			fail();
		}
	}
	assert_true(text_glob(SPAN_NONE, SPAN_NONE));
}

static void
many_stars_take_no_time(void **state UNUSED)
{
	char text[4000];

	memset(text, 'a', sizeof(text));
	assert_false(text_glob(SPAN("*a*a*a*a*a*a*a*a*a*a*a*ab"), (struct span){ text, sizeof(text) }));
}

static void
words_are_split_as_in_a_shell(void **state UNUSED)
{
	struct errtext t;
	char **argv;
	size_t argc;

	assert_ok(text_split_words(
		SPAN(" python3  -m 'a b' \"c \\\" \\n\" d\\ e '' x\"y\"'z'\n"), &argv, &argc, &t));
	assert_int_equal(argc, 7);
	assert_string_equal(argv[0], "python3");
	assert_string_equal(argv[1], "-m");
	assert_string_equal(argv[2], "a b");
	assert_string_equal(argv[3], "c \" \\n");
	assert_string_equal(argv[4], "d e");
	assert_string_equal(argv[5], "");
	assert_string_equal(argv[6], "xyz");
	assert_null(argv[7]);
	alloc_free(argv);
	assert_ok(text_split_words(SPAN_NONE, &argv, &argc, NULL));
	assert_int_equal(argc, 0);
	assert_null(argv[0]);
	alloc_free(argv);
	assert_ok(text_split_words(SPAN("a b c d"), &argv, &argc, NULL));
	assert_int_equal(argc, 4);
	assert_string_equal(argv[3], "d");
	alloc_free(argv);
}

static void
open_quotes_are_named(void **state UNUSED)
{
	static const char *const bad[] = { "'a", "\"a", "a \\", "\"a\\\"" };
	struct errtext t;
	char **argv;
	size_t argc;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(text_split_words(span_of(bad[i]), &argv, &argc, &t), E_FORMAT);
		assert_null(argv);
		assert_non_null(strstr(t.text, strchr(bad[i], ' ') ? "backslash" : "quote"));
	}
	assert_int_equal(text_split_words(SPAN("a\0b"), &argv, &argc, &t), E_FORMAT);
}

static enum err
split(void *arg UNUSED)
{
	struct errtext t;
	char **argv;
	size_t argc;
	enum err e = text_split_words(SPAN("a b"), &argv, &argc, &t);

	if (e == E_OK)
		alloc_free(argv);
	return e;
}

static void
splitting_bears_torture(void **state UNUSED)
{
	torture(split, NULL);
}

static void
node_names(void **state UNUSED)
{
	static const struct {
		const char *pattern, *host, *name;
	} rows[] = {
		{ NULL, "box", "celery@box" },
		{ "", "box", "celery@box" },
		{ "w1@%h", "box.example.org", "w1@box.example.org" },
		{ "w1@%n", "box.example.org", "w1@box" },
		{ "w%i%I@%d", "box.example.org", "w0@example.org" },
		{ "w1", "box", "celery@w1" },
		{ "%n", "box.x", "celery@box" },
		{ "w1@", "box", "w1@box" },
		{ "@other", "box", "celery@other" },
		{ "a%%b@c@d", "box", "a%b@c@d" },
	};
	static const char *const bad[] = { "w%p@%h", "w1@%", "w 1@%h", "w1@\n", "%\n", "%" };
	struct errtext t;
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_ok(text_node_name(rows[i].pattern, rows[i].host, &b, &t));
		assert_buf(&b, rows[i].name);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(text_node_name(bad[i], "box", &b, &t), E_CONF);
		assert_non_null(strstr(t.text, "node name"));
		assert_null(strchr(t.text, '\n'));
		buf_reset(&b);
	}
	for (size_t n = TEXT_NODE_MAX - 2; n < TEXT_NODE_MAX; n++) {
		char name[TEXT_NODE_MAX + 3];

		snprintf(name, sizeof(name), "%0*d@h", (int)n, 7);
		buf_reset(&b);
		assert_int_equal(text_node_name(name, "box", &b, &t), n + 2 > TEXT_NODE_MAX ? E_CONF : E_OK);
	}
	assert_non_null(strstr(t.text, "201 bytes is too long"));
	buf_reset(&b);
	assert_int_equal(text_node_name("w1", NULL, &b, &t), E_CONF);
	assert_int_equal(text_node_name("w1", "", &b, NULL), E_CONF);
	buf_release(&b);
	buf_init(&b, 5);
	assert_int_equal(text_node_name("w1@%h", "host", &b, &t), E_TOOBIG);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_told_from_bytes),
		cmocka_unit_test(strangers_bytes_become_printable),
		cmocka_unit_test(globs),
		cmocka_unit_test(many_stars_take_no_time),
		cmocka_unit_test(words_are_split_as_in_a_shell),
		cmocka_unit_test(open_quotes_are_named),
		cmocka_unit_test(splitting_bears_torture),
		cmocka_unit_test(node_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
