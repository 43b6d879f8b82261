#include "lib/torture.h"

#include "wire/note.h"

static void
note_is_one_line(void **state)
{
	struct note n = { .retries = 2,
		.lost = 1,
		.requeued = 7,
		.state = NOTE_RUNS,
		.deaths = 3,
		.owner = SPAN("0123456789abcdef"),
		.words = SPAN("w1@my host") };
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	note_add_text(&b, &n);
	assert_string_equal(buf_text(&b), "2 1 7 r 3 0123456789abcdef w1@my host");
	buf_reset(&b);
	n = (struct note){ .state = NOTE_OVER, .owner = SPAN("o") };
	note_add_text(&b, &n);
	assert_string_equal(buf_text(&b), "0 0 0 d 0 o ");
	buf_release(&b);
}

static void
next_copy_is_read_as_it_was_written(void **state)
{
	static const struct note_next rows[] = {
		{ NOTE_RETRY, 0, 0, INT64_C(1795234230000000) },
		{ NOTE_LOST, 4, 0, 0 },
		{ NOTE_REQUEUE, 1, INT64_MAX, 1 },
	};
	struct note_next back;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&b);
		note_add_next(&b, &rows[i]);
		assert_true(note_read_next(buf_span(&b), &back));
		assert_int_equal(back.kind, rows[i].kind);
		assert_int_equal(back.lost, rows[i].lost);
		assert_int_equal(back.requeued, rows[i].requeued);
		assert_int_equal(back.due, rows[i].due);
	}
	buf_release(&b);
}

static void
nonsense_is_no_copy(void **state)
{
	static const char *const rows[] = { "", "retry", "retry 1 2", "retry 1 2 x", "again 1 2 3",
		"retry -1 0 0", "lost 0 0 -5", "retry 0 0 0 0" };
	struct note_next next;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_false(note_read_next(span_of(rows[i]), &next));
	assert_false(note_read_next(SPAN_NONE, &next));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(note_is_one_line),
		cmocka_unit_test(next_copy_is_read_as_it_was_written),
		cmocka_unit_test(nonsense_is_no_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
