#include "base/text.h"

#include "lib/t.h"

static void
durations_are_read(void **state UNUSED)
{
	static const struct {
		const char *text;
		ms_t ms;
	} rows[] = {
		{ "250ms", 250 },
		{ "30s", 30000 },
		{ "5min", 300000 },
		{ "5m", 300000 },
		{ "1h", 3600000 },
		{ "2d", 172800000 },
		{ "1h30min", 5400000 },
		{ "3min 20s", 200000 },
		{ "1.5s", 1500 },
		{ "0.1", 100 },
		{ "90", 90000 },
		{ "0", 0 },
		{ "0s", 0 },
		{ " 7 s ", 7000 },
		{ "1d2h3min4s5ms", 93784005 },
		{ "0.0001s", 1 },
		{ "1.0005s", 1001 },
		{ "0.25h", 900000 },
		{ "9223372036854775807ms", INT64_MAX },
	};
	ms_t v;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		v = -1;
		if (!text_parse_duration(span_of(rows[i].text), &v))
			print_error("refused: %s\n", rows[i].text);
		assert_int_equal(v, rows[i].ms);
	}
}

static void
what_is_no_duration_is_refused(void **state UNUSED)
{
	static const char *const bad[] = { "", " ", "s", "-1s", "+1s", "1x", "1h30", "1 2", "30s1h", "1s1s",
		"5min3m", "1.s", ".5s", "1e3s", "9223372036854775808ms", "9223372036854775807s",
		"106751991168d", "1S", "1h,2min" };
	ms_t v = 77;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (text_parse_duration(span_of(bad[i]), &v))
			print_error("taken: %s\n", bad[i]);
		assert_int_equal(v, 77);
	}
	assert_false(text_parse_duration(SPAN_NONE, &v));
}

static void
sizes_are_read(void **state UNUSED)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} rows[] = {
		{ "512", 512 },
		{ "512B", 512 },
		{ "64K", 65536 },
		{ "64k", 65536 },
		{ "20M", 20971520 },
		{ "20MB", 20971520 },
		{ "20MiB", 20971520 },
		{ "1G", 1073741824 },
		{ "2T", 2199023255552 },
		{ "1.5 MiB", 1572864 },
		{ "0", 0 },
		{ "0.0000001K", 1 },
		{ "8388607T", INT64_C(8388607) << 40 },
	};
	static const char *const bad[] = { "", "K", "-1K", "1Ki", "1iB", "1KK", "1KBB", "1 2", "8388608T",
		"1P", "1e3", "9223372036854775808" };
	int64_t v;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		v = -1;
		if (!text_parse_size(span_of(rows[i].text), &v))
			print_error("refused: %s\n", rows[i].text);
		assert_int_equal(v, rows[i].bytes);
	}
	v = 77;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (text_parse_size(span_of(bad[i]), &v))
			print_error("taken: %s\n", bad[i]);
		assert_int_equal(v, 77);
	}
}

static void
durations_are_shown(void **state UNUSED)
{
	static const struct {
		ms_t ms;
		const char *text;
	} rows[] = {
		{ 0, "0s" },
		{ 1, "1ms" },
		{ 250, "250ms" },
		{ 999, "999ms" },
		{ 1000, "1s" },
		{ 1500, "1.5s" },
		{ 1050, "1.05s" },
		{ 59999, "59.999s" },
		{ 60000, "1min" },
		{ 200000, "3min 20s" },
		{ 200999, "3min 20s" },
		{ 3600000, "1h" },
		{ 7500000, "2h 5min" },
		{ 86400000, "1d" },
		{ 273600000, "3d 4h" },
		{ -1500, "-1.5s" },
		{ INT64_MIN, "-106751991167d 7h" },
	};
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		text_add_duration(&b, rows[i].ms);
		assert_buf(&b, rows[i].text);
	}
	buf_release(&b);
}

static void
sizes_are_shown(void **state UNUSED)
{
	static const struct {
		int64_t bytes;
		const char *text;
	} rows[] = {
		{ 0, "0 B" },
		{ 512, "512 B" },
		{ 1023, "1023 B" },
		{ 1024, "1 KiB" },
		{ 1536, "1.5 KiB" },
		{ 1572864, "1.5 MiB" },
		{ 20971520, "20 MiB" },
		{ 1048575, "1 MiB" },
		{ 1048576 - 60, "1023.9 KiB" },
		{ 1073741824, "1 GiB" },
		{ INT64_MAX, "8 EiB" },
		{ INT64_MIN, "-8 EiB" },
		{ -2048, "-2 KiB" },
	};
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		text_add_size(&b, rows[i].bytes);
		assert_buf(&b, rows[i].text);
	}
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_read),
		cmocka_unit_test(what_is_no_duration_is_refused),
		cmocka_unit_test(sizes_are_read),
		cmocka_unit_test(durations_are_shown),
		cmocka_unit_test(sizes_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
