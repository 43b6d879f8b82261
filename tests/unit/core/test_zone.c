/* TZif files made by hand: the rules at their end, and what must be refused. Real zones are compared in tests/conformance. */
#include "core/zone.h"

#include "base/buf.h"
#include "lib/t.h"
#include "lib/torture.h"

struct change {
	int64_t time;
	int type;
};

static void
add_number(struct buf *b, int64_t v, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--)
		buf_addc(b, (char)((uint64_t)v >> (8 * i)));
}

static void
add_header(struct buf *b, int64_t times, int64_t types, int64_t leaps)
{
	buf_add(b, SPAN("TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
	add_number(b, 0, 4);
	add_number(b, 0, 4);
	add_number(b, leaps, 4);
	add_number(b, times, 4);
	add_number(b, types, 4);
	add_number(b, 4, 4);
}

/* A version 2 file: an empty first half, then these. */
static void
make_file(struct buf *b, const struct change *changes, size_t n, const int *offsets, size_t n_types,
	const char *rule)
{
	buf_init(b, 0);
	add_header(b, 0, 1, 0);
	buf_add(b, (struct span){ "\0\0\0\0\0\0LMT", 10 });
	add_header(b, (int64_t)n, (int64_t)n_types, 0);
	for (size_t i = 0; i < n; i++)
		add_number(b, changes[i].time, 8);
	for (size_t i = 0; i < n; i++)
		buf_addc(b, (char)changes[i].type);
	for (size_t i = 0; i < n_types; i++) {
		add_number(b, offsets[i], 4);
		buf_add(b, SPAN("\0\0"));
	}
	buf_add(b, (struct span){ "LMT", 4 });
	buf_addc(b, '\n');
	buf_adds(b, rule);
	buf_addc(b, '\n');
}

static struct zone *
zone_of_rule(const char *rule)
{
	static const int offsets[] = { 0 };
	struct zone *z;
	struct errtext t;
	struct buf b;

	make_file(&b, NULL, 0, offsets, 1, rule);
	if (zone_parse(&z, buf_span(&b), &t) != E_OK)
		fail_msg("%s: %s", rule, t.text);
	buf_release(&b);
	return z;
}

static void
no_zone_is_utc(void **state UNUSED)
{
	struct zone_piece p = zone_at(NULL, 12345);

	assert_true(p.begin == INT64_MIN && p.end == INT64_MAX && p.offset == 0);
	assert_int_equal(zone_to_utc(NULL, 12345), 12345);
}

static void
list_comes_first_then_the_rule(void **state UNUSED)
{
	static const struct change changes[] = { { -1000, 1 }, { 0, 2 }, { 1774746000, 1 } };
	static const int offsets[] = { 1172, 7200, 3600 };
	struct zone_piece p;
	struct zone *z;
	struct buf b;

	make_file(&b, changes, 3, offsets, 3, "CET-1CEST,M3.5.0,M10.5.0/3");
	assert_ok(zone_parse(&z, buf_span(&b), NULL));
	buf_release(&b);
	p = zone_at(z, -1001);
	assert_true(p.begin == INT64_MIN && p.end == -1000 && p.offset == 1172);
	p = zone_at(z, -1000);
	assert_true(p.begin == -1000 && p.end == 0 && p.offset == 7200);
	p = zone_at(z, 1774745999);
	assert_true(p.begin == 0 && p.end == 1774746000 && p.offset == 3600);
	/* 29 March 2026 is the last of the list; the rule takes over with 25 October. */
	p = zone_at(z, 1774746000);
	assert_true(p.begin == 1774746000 && p.end == 1792890000 && p.offset == 7200);
	p = zone_at(z, 1792890000);
	assert_true(p.begin == 1792890000 && p.end == 1806195600 && p.offset == 3600);
	assert_int_equal(zone_to_utc(z, 1774749600), 1774746000); /* jumped over: 02:00 is 03:00 */
	assert_int_equal(zone_to_utc(z, 1774751400), 1774747800); /* 02:30 is 03:30 */
	assert_int_equal(zone_to_utc(z, 1774753200), 1774746000); /* 03:00 itself */
	assert_int_equal(zone_to_utc(z, 1792895400), 1792888200); /* 02:30 comes twice: the first */
	assert_int_equal(zone_to_utc(z, 1792897200), 1792893600); /* 03:00 */
	zone_free(z);
}

static void
rules_of_every_form(void **state UNUSED)
{
	static const struct {
		const char *rule;
		int64_t at, begin, end, offset;
	} rows[] = {
		{ "UTC0", 1, INT64_MIN, INT64_MAX, 0 }, { "<+0545>-5:45", 1, INT64_MIN, INT64_MAX, 20700 },
		{ "EST5EDT,M3.2.0,M11.1.0", 1782000000, 1772953200, 1793512800,
			-14400 }, /* 2026-03-08 .. 11-01 */
		{ "NZST-12NZDT,M9.5.0,M4.1.0/3", 1767225600, 1758981600, 1775311200, 46800 }, /* the south */
		{ "IST-1GMT0,M10.5.0,M3.5.0/1", 1767225600, 1761440400, 1774746000,
			0 }, /* winter is the exception */
		{ "AAA0BBB,J60,J300", 1772323200, 1761526800, 1772330400, 0 },
		{ "AAA0BBB,59/0,299/0", 1772323200, 1772323200, 1793055600, 3600 },
		{ "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1774746000, 1774746000, 1792890000,
			-3600 }, /* before midnight: the day before */
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct zone *z = zone_of_rule(rows[i].rule);
		struct zone_piece p = zone_at(z, rows[i].at);

		if (p.begin != rows[i].begin || p.end != rows[i].end || p.offset != rows[i].offset)
			fail_msg("%s: [%lld, %lld) %lld", rows[i].rule, (long long)p.begin, (long long)p.end,
				(long long)p.offset);
		zone_free(z);
	}
}

static void
pieces_touch(void **state UNUSED)
{
	struct zone *z = zone_of_rule("CET-1CEST,M3.5.0,M10.5.0/3");
	struct zone_piece p = zone_at(z, 0), next;

	for (int i = 0; i < 1000; i++) {
		next = zone_at(z, p.end);
		assert_int_equal(next.begin, p.end);
		assert_true(next.offset != p.offset);
		assert_true(zone_at(z, p.end - 1).begin == p.begin);
		p = next;
	}
	zone_free(z);
}

static void
wrong_files_are_refused(void **state UNUSED)
{
	static const struct change changes[] = { { 5, 1 }, { 9, 0 } }, falling[] = { { 9, 1 }, { 5, 0 } },
				   wild[] = { { 5, 7 } };
	static const int offsets[] = { 0, 3600 }, far[] = { 0, 1 << 30 };
	static const char *const rules[] = { "X", "CET", "CET-1CEST", "CET-1CEST,M3.5.0",
		"CET-1CEST,M13.5.0,M10.5.0", "CET-200", "CET-1CEST,M3.5.0,M10.5.0/3x", "<+01-1",
		"CET-1CEST,J0,J5", "CET-1CEST,M3.5.7,M10.5.0" };
	struct zone *z;
	struct errtext t;
	struct buf b;

	assert_int_equal(zone_parse(&z, SPAN("PK\3\4"), &t), E_FORMAT);
	assert_int_equal(zone_parse(&z, SPAN_NONE, NULL), E_FORMAT);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		make_file(&b, changes, 2, offsets, 2, rules[i]);
		if (zone_parse(&z, buf_span(&b), &t) != E_FORMAT)
			fail_msg("%s was taken", rules[i]);
		buf_release(&b);
	}
	make_file(&b, falling, 2, offsets, 2, "CET-1");
	assert_int_equal(zone_parse(&z, buf_span(&b), &t), E_FORMAT);
	assert_string_equal(t.text, "its times do not rise");
	buf_release(&b);
	make_file(&b, wild, 1, offsets, 2, "CET-1");
	assert_int_equal(zone_parse(&z, buf_span(&b), &t), E_FORMAT);
	assert_string_equal(t.text, "an offset is out of range");
	buf_release(&b);
	make_file(&b, changes, 2, far, 2, "CET-1");
	assert_int_equal(zone_parse(&z, buf_span(&b), &t), E_FORMAT);
	buf_release(&b);
	/* Cut anywhere it is refused, never read beyond its end. */
	make_file(&b, changes, 2, offsets, 2, "CET-1CEST,M3.5.0,M10.5.0/3");
	for (size_t n = 0; n < b.len; n++) {
		char *copy = malloc(n + 1);

		assert_non_null(copy);
		memcpy(copy, b.data, n);
		if (zone_parse(&z, (struct span){ copy, n }, &t) != E_FORMAT)
			fail_msg("cut after %zu bytes it was taken", n);
		free(copy);
	}
	buf_release(&b);
}

static void
every_allocation_may_fail(void **state UNUSED)
{
	static const struct change changes[] = { { 5, 1 }, { 9, 0 } };
	static const int offsets[] = { 0, 3600 };
	struct zone *z;
	struct buf b;

	make_file(&b, changes, 2, offsets, 2, "CET-1");
	for (uint64_t n = 1; n <= 3; n++) {
		alloc_fail_after(n);
		assert_int_equal(zone_parse(&z, buf_span(&b), NULL), E_NOMEM);
	}
	alloc_fail_after(4);
	assert_ok(zone_parse(&z, buf_span(&b), NULL));
	alloc_fail_after(0);
	zone_free(z);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_zone_is_utc),
		cmocka_unit_test(list_comes_first_then_the_rule),
		cmocka_unit_test(rules_of_every_form),
		cmocka_unit_test(pieces_touch),
		cmocka_unit_test(wrong_files_are_refused),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
