/*
 * Signatures. What decodes is written again, and from then on the bytes stay the same.
 */
#include "fuzz.h"

#include "wire/sig.h"

#include "base/alloc.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span json = { (const char *)data, size }, text;
	struct errtext why = { "" };
	struct buf once, twice;
	struct arena a;
	struct sig s;

	if (jscan_check(json, NULL, NULL, NULL) != E_OK)
		return 0;
	arena_init(&a, 0);
	buf_init(&once, 0);
	buf_init(&twice, 0);
	if (sig_decode(&s, json, &a, &why) != E_OK) {
		CHECK(why.text[0]);
	} else {
		if (sig_option_text(&s, "task_id", &a, &text))
			CHECK(text.ptr);
		sig_encode(&once, &s);
		CHECK(once.err == E_OK && jscan_check(buf_span(&once), NULL, NULL, NULL) == E_OK);
		CHECK(sig_decode(&s, buf_span(&once), &a, NULL) == E_OK);
		sig_encode(&twice, &s);
		CHECK(span_eq(buf_span(&once), buf_span(&twice)));
	}
	buf_release(&once);
	buf_release(&twice);
	arena_release(&a);
	return 0;
}
