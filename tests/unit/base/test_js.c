#include "base/js.h"

#include "base/jscan.h"
#include "lib/torture.h"

#include <math.h>

static void
write_all(struct js *w)
{
	js_object(w);
	js_key(w, "list");
	js_array(w);
	js_int(w, 0);
	js_int(w, INT64_MIN);
	js_int(w, INT64_MAX);
	js_double(w, 1);
	js_double(w, 1e-7);
	js_double(w, (double)NAN);
	js_double(w, (double)INFINITY);
	js_double(w, (double)-INFINITY);
	js_array(w);
	js_array_end(w);
	js_object(w);
	js_object_end(w);
	js_array_end(w);
	js_key_span(w, SPAN("a\"b"));
	js_bool(w, true);
	js_key(w, "n");
	js_null(w);
	js_key(w, "f");
	js_bool(w, false);
	js_key(w, "s");
	js_text(w, "x");
	js_key(w, "none");
	js_string(w, SPAN_NONE);
	js_key(w, "raw");
	js_raw(w, SPAN("{\"y\":1}"));
	js_key(w, "no raw");
	js_raw(w, SPAN_NONE);
	js_object_end(w);
}

static void
writes_as_python_does(void **state UNUSED)
{
	struct buf b;
	struct js w;

	buf_init(&b, 0);
	js_init(&w, &b);
	write_all(&w);
	assert_ok(jscan_check(buf_span(&b), NULL, NULL, NULL));
	assert_buf(&b,
		"{\"list\": [0, -9223372036854775808, 9223372036854775807, 1.0, 1e-07, NaN, Infinity, "
		"-Infinity, "
		"[], {}], \"a\\\"b\": true, \"n\": null, \"f\": false, \"s\": \"x\", \"none\": null, "
		"\"raw\": {\"y\":1}, \"no raw\": null}");
	js_init(&w, &b);
	w.compact = true;
	write_all(&w);
	assert_buf(&b,
		"{\"list\":[0,-9223372036854775808,9223372036854775807,1.0,1e-07,NaN,Infinity,-Infinity,[],{}"
		"],"
		"\"a\\\"b\":true,\"n\":null,\"f\":false,\"s\":\"x\",\"none\":null,\"raw\":{\"y\":1},\"no "
		"raw\":null}");
	buf_release(&b);
}

static void
strings_are_ascii(void **state UNUSED)
{
	static const char *const rows[][2] = {
		{ "", "\"\"" },
		{ "plain ~ text", "\"plain ~ text\"" },
		{ "\"\\/", "\"\\\"\\\\/\"" },
		{ "\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"" },
		{ "\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"" },
		{ "\xc3\xa9\xe2\x82\xac", "\"\\u00e9\\u20ac\"" },
		{ "\xf0\x9f\x98\x80", "\"\\ud83d\\ude00\"" },
		{ "\xf4\x8f\xbf\xbf", "\"\\udbff\\udfff\"" },
		{ "a\xff"
		  "b",
			"\"a\\ufffdb\"" },
		{ "\xf0\x9f\x98", "\"\\ufffd\\ufffd\\ufffd\"" },
	};
	struct buf b, back;

	buf_init(&b, 0);
	buf_init(&back, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		js_add_string(&b, span_of(rows[i][0]));
		assert_span(buf_span(&b), rows[i][1]);
		if (i < 8) { /* what was valid comes back */
			jscan_add_string(&back, buf_span(&b));
			assert_buf(&back, rows[i][0]);
		}
		buf_reset(&b);
	}
	js_add_string(&b, SPAN("a\0b"));
	assert_buf(&b, "\"a\\u0000b\"");
	js_add_string(&b, SPAN_NONE);
	assert_buf(&b, "\"\"");
	buf_release(&back);
	buf_release(&b);
}

static enum err
write_once(void *arg UNUSED)
{
	struct buf b;
	struct js w;
	enum err e;

	buf_init(&b, 0);
	js_init(&w, &b);
	write_all(&w);
	e = b.err;
	buf_release(&b);
	return e;
}

static void
errors_stick_in_the_buffer(void **state UNUSED)
{
	struct buf b;
	struct js w;

	torture(write_once, NULL);
	buf_init(&b, 50);
	js_init(&w, &b);
	write_all(&w);
	assert_int_equal(b.err, E_TOOBIG);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_as_python_does),
		cmocka_unit_test(strings_are_ascii),
		cmocka_unit_test(errors_stick_in_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
