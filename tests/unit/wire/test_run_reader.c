#include "vectors.h"

#include "base/clock.h"
#include "wire/run.h"

static void
lines_come_whole_in_any_pieces(void **state UNUSED)
{
	static const char text[] = "one\n\ntwo two\nlast\n";
	static const char *const lines[] = { "one", "", "two two", "last" };
	struct run_reader r;
	struct span line;
	size_t piece, at, n, got;

	for (piece = 1; piece < sizeof(text); piece++) {
		run_reader_init(&r, 100);
		got = 0;
		for (at = 0; at < sizeof(text) - 1; at += n) {
			n = piece < sizeof(text) - 1 - at ? piece : sizeof(text) - 1 - at;
			assert_int_equal(run_reader_feed(&r, (struct span){ text + at, n }), E_OK);
			while (run_reader_next(&r, &line) == E_OK) {
				assert_true(got < ARRAY_LEN(lines));
				assert_true(span_is(line, lines[got]));
				got++;
			}
			assert_int_equal(run_reader_next(&r, &line), E_AGAIN);
		}
		assert_int_equal(got, ARRAY_LEN(lines));
		run_reader_release(&r);
	}
}

static void
a_line_too_long_is_refused_for_good(void **state UNUSED)
{
	struct run_reader r;
	struct span line;

	run_reader_init(&r, 4);
	assert_int_equal(run_reader_feed(&r, SPAN("1234\n12345\n1\n")), E_OK);
	assert_int_equal(run_reader_next(&r, &line), E_OK);
	assert_span(line, "1234");
	assert_int_equal(run_reader_next(&r, &line), E_TOOBIG);
	assert_int_equal(run_reader_next(&r, &line), E_TOOBIG);
	assert_int_equal(run_reader_feed(&r, SPAN("\n")), E_TOOBIG);
	run_reader_release(&r);

	run_reader_init(&r, 4);
	assert_int_equal(run_reader_feed(&r, SPAN("1234")), E_OK);
	assert_int_equal(run_reader_next(&r, &line), E_AGAIN);
	assert_int_equal(run_reader_feed(&r, SPAN("5")), E_OK);
	assert_int_equal(run_reader_next(&r, &line), E_TOOBIG);
	run_reader_release(&r);
}

static void
memory_of_a_long_line_is_given_back(void **state UNUSED)
{
	struct run_reader r;
	struct span line;
	struct buf b;

	buf_init(&b, 0);
	while (b.len < 1 << 20)
		buf_adds(&b, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	buf_addc(&b, '\n');
	run_reader_init(&r, 0);
	assert_int_equal(run_reader_feed(&r, buf_span(&b)), E_OK);
	assert_int_equal(run_reader_next(&r, &line), E_OK);
	assert_int_equal(line.len, b.len - 1);
	assert_int_equal(run_reader_feed(&r, SPAN("short\n")), E_OK);
	assert_true(r.pending.cap < 1 << 16);
	assert_int_equal(run_reader_next(&r, &line), E_OK);
	assert_span(line, "short");
	run_reader_release(&r);
	buf_release(&b);
}

/* Quadratic behaviour would take minutes here: 8 MiB in pieces of 64 bytes, as one line and as many, taken
 * one by one. */
static void
time_is_linear(void **state UNUSED)
{
	const ms_t start = clock_mono_ms();
	struct run_reader r;
	struct span line;
	struct buf b;
	char piece[64];
	int i;

	memset(piece, 'x', sizeof(piece));
	run_reader_init(&r, 0);
	for (i = 0; i < 1 << 17; i++) {
		assert_int_equal(run_reader_feed(&r, (struct span){ piece, sizeof(piece) }), E_OK);
		assert_int_equal(run_reader_next(&r, &line), E_AGAIN);
	}
	assert_int_equal(run_reader_feed(&r, SPAN("\n")), E_OK);
	assert_int_equal(run_reader_next(&r, &line), E_OK);
	assert_int_equal(line.len, (size_t)64 << 17);
	run_reader_release(&r);

	buf_init(&b, 0);
	for (i = 0; i < 1 << 22; i++)
		buf_adds(&b, "x\n");
	run_reader_init(&r, 0);
	assert_int_equal(run_reader_feed(&r, buf_span(&b)), E_OK);
	for (i = 0; i < 1 << 17; i++) {
		assert_int_equal(run_reader_next(&r, &line), E_OK);
		assert_int_equal(run_reader_feed(&r, SPAN("y\n")), E_OK);
	}
	for (i = 0; run_reader_next(&r, &line) == E_OK; i++)
		continue;
	assert_int_equal(i, 1 << 22);
	run_reader_release(&r);
	buf_release(&b);
	assert_true(clock_mono_ms() - start < 20000);
}

static void
a_failed_allocation_is_told(void **state UNUSED)
{
	struct run_reader r;

	run_reader_init(&r, 100);
	alloc_fail_after(1);
	assert_int_equal(run_reader_feed(&r, SPAN("x\n")), E_NOMEM);
	alloc_fail_after(0);
	run_reader_release(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_whole_in_any_pieces),
		cmocka_unit_test(a_line_too_long_is_refused_for_good),
		cmocka_unit_test(memory_of_a_long_line_is_given_back),
		cmocka_unit_test(time_is_linear),
		cmocka_unit_test(a_failed_allocation_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
