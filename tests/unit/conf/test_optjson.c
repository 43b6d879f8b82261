/* Structs of options as JSON: what is written, what is read back, what is refused. */
#include "conf/optjson.h"

#include "lib/t.h"

struct thing {
	const char *text, *json;
	int64_t number;
	ms_t dur;
	bool flag;
	struct opt_list list, pairs;
};

/* clang-format off */
#define ROW(field, kind, d) \
	{ \
		.name = #field, .type = OPT_T_##kind, .offset = offsetof(struct thing, field), .def = (d) \
	}
/* clang-format on */

static const struct opt_row rows[] = {
	ROW(text, text, ""),
	ROW(json, json, ""),
	ROW(number, int, "1"),
	ROW(dur, dur, "0"),
	ROW(flag, bool, "true"),
	ROW(list, list, ""),
	ROW(pairs, pairs, ""),
};

struct fixture {
	struct thing thing, defaults;
	struct arena arena;
	struct errtext t;
};

static int
set_up(void **state)
{
	struct fixture *f = must_alloc(sizeof(*f));

	assert_ok(opt_set_defaults(rows, ARRAY_LEN(rows), &f->defaults, &f->arena));
	f->thing = f->defaults;
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	arena_release(&f->arena);
	alloc_free(f);
	return 0;
}

static enum err
read_text(struct fixture *f, const char *json)
{
	return optjson_read(rows, ARRAY_LEN(rows), &f->thing, span_of(json), &f->arena, &f->t);
}

static void
only_what_differs_is_written_and_reads_back(void **state)
{
	static const char full[] = "{\"text\": \"a \\\"b\\\"\", \"json\": {\"k\": [1, null]}, \"number\": 5, "
				   "\"dur\": 90.5, \"flag\": false, "
				   "\"list\": [\"x\", \"y z\"], \"pairs\": [\"k=v\", \"e=\"]}";
	struct fixture *f = *state;
	struct buf b;

	buf_init(&b, 0);
	optjson_add(&b, rows, ARRAY_LEN(rows), &f->thing, &f->defaults);
	assert_buf(&b, "{}");
	assert_ok(read_text(f, full));
	assert_int_equal(f->thing.dur, 90500);
	assert_string_equal(f->thing.text, "a \"b\"");
	optjson_add(&b, rows, ARRAY_LEN(rows), &f->thing, &f->defaults);
	assert_buf(&b, full);
	buf_release(&b);
}

static void
forms_people_write_are_taken(void **state)
{
	struct fixture *f = *state;

	assert_ok(read_text(f,
		" {\"dur\": \"1h30min\", \"flag\": \"no\", \"number\": \"7\", \"pairs\": {\"k\\u0041\": "
		"\"v\", \"n\": 3}, \"text\": null} "));
	assert_int_equal(f->thing.dur, 5400000);
	assert_false(f->thing.flag);
	assert_int_equal(f->thing.number, 7);
	assert_int_equal(f->thing.pairs.n, 2);
	assert_string_equal(f->thing.pairs.items[0], "kA=v");
	assert_string_equal(f->thing.pairs.items[1], "n=3");
	assert_string_equal(f->thing.text, "");
	/* What is not named stays. */
	assert_ok(read_text(f, "{\"json\": \"[1]\"}"));
	assert_string_equal(f->thing.json, "[1]");
	assert_int_equal(f->thing.number, 7);
}

static void
what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *json, *why;
	} cases[] = {
		{ "{", "this is not JSON" },
		{ "[]", "an object is expected" },
		{ "{\"nmber\": 1}", "unknown key 'nmber': did you mean 'number'?" },
		{ "{\"number\": 1.5}", "number: '1.5' is not a whole number" },
		{ "{\"number\": [1]}", "number: one value is expected, not a list or table" },
		{ "{\"list\": \"a\"}", "list: a list of texts is expected" },
		{ "{\"list\": {\"a\": 1}}", "list: a list of texts is expected" },
		{ "{\"list\": [[1]]}", "list: item 1 is not a plain text" },
		{ "{\"pairs\": {\"a=b\": \"c\"}}", "pairs: 'a=b': a name cannot hold a '='" },
		{ "{\"flag\": \"perhaps\"}", "flag: 'perhaps' is neither true nor false" },
		{ "{\"text\": \"a\\u0000b\"}", "text: the value holds a NUL byte" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(read_text(f, cases[i].json), E_CONF);
		if (strstr(f->t.text, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].json, f->t.text);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(only_what_differs_is_written_and_reads_back),
		TEST(forms_people_write_are_taken),
		TEST(what_is_wrong_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
