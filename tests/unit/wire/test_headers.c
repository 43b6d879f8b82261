/* wire/headers: AMQP values of any producer as JSON. */
#include "lib/t.h"

#include "wire/headers.h"

static void
times_are_text_whatever_they_say(void **state UNUSED)
{
	const struct {
		int64_t seconds;
		const char *json;
	} rows[] = {
		{ 0, "{\"t\": \"1970-01-01T00:00:00+00:00\"}" },
		{ 1795234230, "{\"t\": \"2026-11-21T04:10:30+00:00\"}" },
		{ INT64_MAX, "{\"t\": \"9999-12-31T23:59:59.999999+00:00\"}" },
		{ INT64_MIN, "{\"t\": \"0001-01-01T00:00:00+00:00\"}" },
		/* In microseconds, and cut to 64 bits, 1970 again. */
		{ INT64_C(1) << 58, "{\"t\": \"9999-12-31T23:59:59.999999+00:00\"}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pair pair = { SPAN("t"), { .type = VAL_TIME, .u.integer = rows[i].seconds } };
		const struct table t = { &pair, 1, 1 };
		struct buf b;

		buf_init(&b, 0);
		headers_add_json(&b, &t);
		assert_string_equal(buf_text(&b), rows[i].json);
		buf_release(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_text_whatever_they_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
