/* Members of chords, as Celery writes them, and as others might. */
#include "lib/t.h"

#include "base/alloc.h"
#include "wire/chord.h"

static void
written_byte_for_byte_as_celery_does(void **state)
{
	struct chord_member m = { .id = SPAN("U22"), .state = SPAN("SUCCESS"), .value = SPAN("3") };
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	chord_member_encode(&b, &m);
	assert_buf(&b, "[1, \"U22\", \"SUCCESS\", 3]");
	m.id = SPAN("k\xc3\xb6\"");
	m.value = SPAN_NONE;
	chord_member_encode(&b, &m);
	assert_buf(&b, "[1, \"k\\u00f6\\\"\", \"SUCCESS\", null]");
	buf_release(&b);
}

static void
read_in_any_spelling(void **state)
{
	struct chord_member m;
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	assert_ok(chord_member_decode(
		&m, SPAN(" [1,\"k\\u00f6\",\"FAILURE\", {\"exc_type\": \"E\"} ] "), &a, NULL));
	assert_span(m.id, "k\xc3\xb6");
	assert_span(m.state, "FAILURE");
	assert_span(m.value, "{\"exc_type\": \"E\"}");
	arena_release(&a);
}

static void
nonsense_is_named(void **state)
{
	static const char *const texts[] = { "", "{}", "[1, \"a\", \"SUCCESS\"]",
		"[1, \"a\", \"SUCCESS\", 1, 2]", "[1, 2, \"SUCCESS\", 3]", "[1, \"a\", null", "5" };
	struct chord_member m;
	struct errtext why;
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		why.text[0] = '\0';
		assert_int_equal(chord_member_decode(&m, span_of(texts[i]), &a, &why), E_FORMAT);
		assert_non_null(strstr(why.text, "chord"));
	}
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_byte_for_byte_as_celery_does),
		cmocka_unit_test(read_in_any_spelling),
		cmocka_unit_test(nonsense_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
