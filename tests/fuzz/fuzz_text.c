/*
 * The readers of base/text.h; the first byte chooses one. What is read and written again must read the same,
 * and what is shown to people must be harmless.
 */
#include "base/alloc.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(ok) \
	do { \
		if (!(ok)) \
			abort(); \
	} while (0)

static void
check_time(struct span s)
{
	char text[TEXT_TIME_MAX];
	us_t us, again;

	if (!text_parse_time(s, &us))
		return;
	CHECK(text_parse_time((struct span){ text, text_format_time(us, text) }, &again));
	CHECK(us == again);
}

static void
check_quantity(struct span s)
{
	struct buf b = { 0 };
	int64_t v, again;

	if (text_parse_duration(s, &v)) {
		CHECK(v >= 0);
		text_add_duration(&b, v);
		CHECK(text_parse_duration(buf_span(&b), &again) && again <= v);
		buf_reset(&b);
	}
	if (text_parse_size(s, &v)) {
		CHECK(v >= 0);
		text_add_size(&b, v);
	}
	buf_release(&b);
}

static void
check_number(struct span s)
{
	char text[TEXT_DOUBLE_MAX];
	double d, again;
	int64_t i;
	bool v;

	if (text_parse_int(s, &i))
		CHECK(text_parse_double(s, &d));
	(void)text_parse_bool(s, &v);
	if (!text_parse_double(s, &d))
		return;
	CHECK(text_parse_double((struct span){ text, text_format_double(d, text) }, &again));
	CHECK(d == again);
}

static void
check_glob(struct span s)
{
	struct span text = s, pattern = span_split(&text, '\n');

	(void)text_glob(pattern, text);
	CHECK(text_glob(SPAN("*"), s));
	if (!memchr(s.len ? s.ptr : "", '[', s.len))
		CHECK(text_glob(s, s)); /* '*' and '?' match themselves as well */
}

static void
check_words(struct span s)
{
	char **argv;
	size_t argc;

	if (text_split_words(s, &argv, &argc, NULL) != E_OK)
		return;
	for (size_t i = 0; i < argc; i++)
		CHECK(strlen(argv[i]) <= s.len);
	CHECK(!argv[argc]);
	alloc_free(argv);
}

static void
check_shown(struct span s)
{
	struct buf b = { 0 };

	text_add_printable(&b, s, s.len / 2);
	CHECK(text_is_utf8(buf_span(&b)));
	for (size_t i = 0; i < b.len; i++)
		CHECK((unsigned char)b.data[i] >= 0x20 && b.data[i] != 0x7f);
	buf_release(&b);
}

static void
check_node_name(struct span s)
{
	char *text = alloc_dup(s);
	struct buf b = { 0 };

	if (text && text_node_name(text, "host.example.org", &b, NULL) == E_OK)
		CHECK(b.len > 0 && memchr(b.data, '@', b.len));
	alloc_free(text);
	buf_release(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const checks[])(struct span) = { check_time, check_quantity, check_number, check_glob,
		check_words, check_shown, check_node_name };

	if (size)
		checks[data[0] % ARRAY_LEN(checks)]((struct span){ (const char *)data + 1, size - 1 });
	return 0;
}
