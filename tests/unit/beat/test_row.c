/* Rows: written and read back, and nothing taken half. */
#include "beat/row.h"

#include "base/jscan.h"

#include "lib/t.h"

static void
reads_what_it_wrote(void **state UNUSED)
{
	static const struct row rows[] = { { "every 30s", 1795229760651564, INT64_MIN, 0 },
		{ "cron 0 2 * * \"mon\"", 1795226400000000, 1795226400000000, INT64_MAX } };
	struct row row;
	struct buf b, text;
	struct js w;

	buf_init(&b, 0);
	buf_init(&text, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&b);
		js_init(&w, &b);
		row_add(&w, &rows[i]);
		assert_true(row_read(&row, buf_span(&b), &text));
		assert_string_equal(row.schedule, rows[i].schedule);
		assert_true(row.done == rows[i].done && row.ran == rows[i].ran && row.runs == rows[i].runs);
	}
	buf_release(&b);
	buf_release(&text);
}

static void
half_a_row_is_none(void **state UNUSED)
{
	static const char *const texts[] = { "[]", "5", "{}",
		"{\"schedule\": \"x\", \"done\": \"2026-11-21T00:00:00\", \"ran\": null}",
		"{\"schedule\": \"x\", \"done\": null, \"ran\": null, \"runs\": 1}",
		"{\"schedule\": \"x\", \"done\": \"yesterday\", \"ran\": null, \"runs\": 1}",
		"{\"schedule\": 1, \"done\": \"2026-11-21T00:00:00\", \"ran\": null, \"runs\": 1}",
		"{\"schedule\": \"x\", \"done\": \"2026-11-21T00:00:00\", \"ran\": 5, \"runs\": 1}",
		"{\"schedule\": \"x\", \"done\": \"2026-11-21T00:00:00\", \"ran\": null, \"runs\": \"1\"}" };
	struct row row;
	struct buf text;

	buf_init(&text, 0);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (row_read(&row, span_of(texts[i]), &text))
			fail_msg("%s was read", texts[i]);
	buf_release(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_wrote),
		cmocka_unit_test(half_a_row_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
