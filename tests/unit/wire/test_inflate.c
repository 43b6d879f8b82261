#include "vectors.h"

#include "wire/inflate.h"

#include <zlib.h>

static void
codecs(void **state UNUSED)
{
	assert_true(inflate_knows(SPAN("application/x-gzip")));
	assert_true(inflate_knows(SPAN("gzip")));
	assert_true(inflate_knows(SPAN("zlib")));
	assert_false(inflate_knows(SPAN("application/x-bz2")));
	assert_false(inflate_knows(SPAN("application/zstd")));
	assert_false(inflate_knows(SPAN("")));
}

static void
there_and_back(void **state UNUSED)
{
	struct span packed, out;
	struct arena a;
	struct buf b;
	int i;

	arena_init(&a, 0);
	buf_init(&b, 0);
	for (i = 0; i < 100000; i++)
		buf_addf(&b, "%d,", i * 7919);
	assert_int_equal(deflate_body(buf_span(&b), &a, &packed), E_OK);
	assert_int_equal((unsigned char)packed.ptr[0], 0x78); /* zlib, not gzip */
	assert_int_equal(inflate_body(packed, 0, &a, &out), E_OK);
	assert_true(span_eq(out, buf_span(&b)));
	/* just fits, and one too many */
	assert_int_equal(inflate_body(packed, b.len, &a, &out), E_OK);
	assert_true(span_eq(out, buf_span(&b)));
	assert_int_equal(inflate_body(packed, b.len - 1, &a, &out), E_TOOBIG);
	buf_release(&b);
	arena_release(&a);
}

static void
nothing_is_something(void **state UNUSED)
{
	struct span packed, out;
	struct arena a;

	arena_init(&a, 0);
	assert_int_equal(deflate_body(SPAN(""), &a, &packed), E_OK);
	assert_int_equal(inflate_body(packed, 10, &a, &out), E_OK);
	assert_span(out, "");
	arena_release(&a);
}

static void
real_gzip_is_taken_too(void **state UNUSED)
{
	static Bytef packed[200];
	z_stream z = { 0 };
	struct span out;
	struct arena a;

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t) "[[], {}, {}]";
	z.avail_in = 12;
	z.next_out = packed;
	z.avail_out = sizeof(packed);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	arena_init(&a, 0);
	assert_int_equal(inflate_body((struct span){ (char *)packed, z.total_out }, 100, &a, &out), E_OK);
	assert_span(out, "[[], {}, {}]");
	deflateEnd(&z);
	arena_release(&a);
}

static void
broken_streams(void **state UNUSED)
{
	static const char text[] = "[[1, 2, 3], {\"a\": \"some text to make it longer\"}, {}]";
	struct span packed, out, cut;
	struct arena a;
	char *copy;
	size_t i;

	arena_init(&a, 0);
	assert_int_equal(inflate_body(SPAN(""), 100, &a, &out), E_FORMAT);
	assert_int_equal(inflate_body(SPAN("[[], {}, {}]"), 100, &a, &out), E_FORMAT);
	assert_int_equal(deflate_body(SPAN(text), &a, &packed), E_OK);
	for (i = 0; i < packed.len; i++) {
		cut = (struct span){ packed.ptr, i };
		assert_int_equal(inflate_body(cut, 1000, &a, &out), E_FORMAT);
	}
	copy = alloc_dup(packed);
	assert_non_null(copy);
	copy[packed.len - 1] ^= 1; /* the checksum */
	assert_int_equal(inflate_body((struct span){ copy, packed.len }, 1000, &a, &out), E_FORMAT);
	alloc_free(copy);
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codecs),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(nothing_is_something),
		cmocka_unit_test(real_gzip_is_taken_too),
		cmocka_unit_test(broken_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
