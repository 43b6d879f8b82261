/*
 * Stored results, which others write. What decodes is written again, and from then on the bytes stay the same; errors in it
 * become one printable line.
 */
#include "fuzz.h"

#include "wire/result.h"

#include "base/alloc.h"
#include "base/text.h"

static void
write_again(struct buf *out, struct span json, struct arena *a)
{
	struct result r;

	CHECK(result_decode(&r, json, a, NULL) == E_OK);
	result_encode(out, &r);
	CHECK(out->err == E_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span json = { (const char *)data, size };
	struct errtext why = { "" };
	struct result_error error;
	struct buf once, twice;
	struct result r;
	struct arena a;
	size_t i;

	arena_init(&a, 0);
	buf_init(&once, 0);
	buf_init(&twice, 0);
	if (result_decode(&r, json, &a, &why) != E_OK) {
		CHECK(why.text[0]);
	} else {
		result_encode(&once, &r);
		write_again(&twice, buf_span(&once), &a);
		CHECK(span_eq(buf_span(&once), buf_span(&twice)));
		buf_reset(&once);
		if (result_decode_error(&error, r.value, &a)) {
			result_add_error_text(&once, &error);
			CHECK(once.err == E_OK && once.len > 0 && text_is_utf8(buf_span(&once)));
			for (i = 0; i < once.len; i++)
				CHECK((unsigned char)once.data[i] >= 0x20);
		}
	}
	buf_release(&once);
	buf_release(&twice);
	arena_release(&a);
	return 0;
}
