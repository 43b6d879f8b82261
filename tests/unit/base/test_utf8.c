#include "base/utf8.h"

#include "lib/t.h"

static void
every_code_point_survives(void **state UNUSED)
{
	char text[UTF8_MAX];
	uint32_t code, back;
	size_t n;

	for (code = 0; code <= 0x10ffff; code++) {
		n = utf8_encode(code, text);
		back = 0xffffffff;
		assert_int_equal(utf8_decode(text, n, &back), n);
		assert_int_equal(back, code >= 0xd800 && code < 0xe000 ? UTF8_REPLACEMENT : code);
		assert_int_equal(utf8_len(text, n - 1), 0); /* cut short */
	}
	n = utf8_encode(0x110000, text);
	assert_int_equal(utf8_decode(text, n, &back), 3);
	assert_int_equal(back, UTF8_REPLACEMENT);
}

static void
what_is_not_utf8_is_refused(void **state UNUSED)
{
	static const char *const bad[] = { "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xff", "\xc3(", "\xe2\x82(", "\xf0\x9f\x98(" };
	uint32_t code = 7;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(utf8_len(bad[i], strlen(bad[i])), 0);
		assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &code), 0);
	}
	assert_int_equal(code, 7);
	assert_int_equal(utf8_len("", 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_point_survives),
		cmocka_unit_test(what_is_not_utf8_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
