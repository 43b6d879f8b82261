/* bus/table: every field type both ways, and what a stranger may put into a table. */
#include "bus/table.h"

#include "lib/torture.h"

/* Encodes a table with librabbitmq, checks it, decodes it, and imports it into `to`. */
static void
round_trip(struct table *to, const struct table *from, struct arena *a)
{
	static char bytes[200000];
	amqp_bytes_t encoded = { sizeof(bytes), bytes };
	amqp_table_t out, in;
	amqp_pool_t pool;
	size_t at = 0, used;

	init_amqp_pool(&pool, 4096);
	assert_ok(bus_table_export(&out, from, &pool));
	assert_int_equal(amqp_encode_table(encoded, &out, &at), 0);
	assert_ok(bus_table_check((struct span){ bytes, at }, &used));
	assert_int_equal(used, at);
	encoded.len = at;
	at = 0;
	assert_int_equal(amqp_decode_table(encoded, &pool, &in, &at), 0);
	assert_ok(bus_table_import(to, &in, a));
	empty_amqp_pool(&pool);
}

static void
every_type_survives(void **state UNUSED)
{
	struct val list[2] = { val_int(300), val_void() };
	struct table t = { 0 }, back = { 0 }, inner = { 0 };
	struct arena a;
	int64_t i;

	arena_init(&a, 0);
	assert_ok(table_set(&inner, &a, SPAN("k"), val_text("v")));
	assert_ok(table_set(&t, &a, SPAN("void"), val_void()));
	assert_ok(table_set(&t, &a, SPAN("yes"), val_bool(true)));
	assert_ok(table_set(&t, &a, SPAN("small"), val_int(-5)));
	assert_ok(table_set(&t, &a, SPAN("min32"), val_int(INT32_MIN)));
	assert_ok(table_set(&t, &a, SPAN("big"), val_int(INT64_C(1) << 40)));
	assert_ok(table_set(&t, &a, SPAN("number"), (struct val){ .type = VAL_DOUBLE, .u.number = 0.5 }));
	assert_ok(table_set(&t, &a, SPAN("text"), val_string((struct span){ "a\0b", 3 })));
	assert_ok(table_set(&t, &a, SPAN("empty"), val_text("")));
	assert_ok(
		table_set(&t, &a, SPAN("bytes"), (struct val){ .type = VAL_BYTES, .u.string = SPAN("\xff") }));
	assert_ok(table_set(&t, &a, SPAN("time"), (struct val){ .type = VAL_TIME, .u.integer = 1700000000 }));
	assert_ok(table_set(
		&t, &a, SPAN("decimal"), (struct val){ .type = VAL_DECIMAL, .u.decimal = { 2, -314 } }));
	assert_ok(table_set(&t, &a, SPAN("list"), (struct val){ .type = VAL_ARRAY, .u.array = { list, 2 } }));
	assert_ok(table_set(&t, &a, SPAN("none"), (struct val){ .type = VAL_ARRAY, .u.array = { NULL, 0 } }));
	assert_ok(table_set(&t, &a, SPAN("table"), (struct val){ .type = VAL_TABLE, .u.table = &inner }));
	round_trip(&back, &t, &a);
	assert_int_equal(back.count, t.count);
	assert_int_equal(table_get(&back, "void")->type, VAL_VOID);
	assert_true(table_get(&back, "yes")->u.boolean);
	assert_true(table_get_int(&back, "small", &i) && i == -5);
	assert_true(table_get_int(&back, "min32", &i) && i == INT32_MIN);
	assert_true(table_get_int(&back, "big", &i) && i == INT64_C(1) << 40);
	assert_true(table_get(&back, "number")->u.number == 0.5);
	assert_int_equal(table_get_string(&back, "text").len, 3);
	assert_int_equal(table_get_string(&back, "empty").len, 0);
	assert_non_null(table_get_string(&back, "empty").ptr);
	assert_int_equal(table_get(&back, "bytes")->type, VAL_BYTES);
	assert_int_equal(table_get(&back, "time")->type, VAL_TIME);
	assert_int_equal(table_get(&back, "time")->u.integer, 1700000000);
	assert_int_equal(table_get(&back, "decimal")->u.decimal.value, -314);
	assert_int_equal(table_get(&back, "list")->u.array.count, 2);
	assert_int_equal(table_get(&back, "list")->u.array.items[0].u.integer, 300);
	assert_int_equal(table_get(&back, "none")->u.array.count, 0);
	assert_span(table_get_string(table_get(&back, "table")->u.table, "k"), "v");
	arena_release(&a);
}

/* A table with one entry of the given bytes behind key "k". */
static size_t
one_entry(char *out, const char *value, size_t len)
{
	uint32_t size = (uint32_t)(2 + len);

	out[0] = (char)(size >> 24);
	out[1] = (char)(size >> 16);
	out[2] = (char)(size >> 8);
	out[3] = (char)size;
	out[4] = 1;
	out[5] = 'k';
	memcpy(out + 6, value, len);
	return 6 + len;
}

static void
integers_of_all_widths_are_read(void **state UNUSED)
{
	static const struct {
		const char *bytes;
		size_t len;
		int64_t value;
	} cases[] = {
		{ "b\xfe", 2, -2 }, { "B\xfe", 2, 254 }, { "s\xff\xfe", 3, -2 }, { "u\xff\xfe", 3, 65534 },
		{ "I\xff\xff\xff\xfe", 5, -2 }, { "i\xff\xff\xff\xfe", 5, 4294967294 },
		{ "l\xff\xff\xff\xff\xff\xff\xff\xfe", 9, -2 },
		{ "L\xff\xff\xff\xff\xff\xff\xff\xfe", 9, -2 }, /* py-amqp's signed one */
	};
	char bytes[64];

	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		size_t len = one_entry(bytes, cases[c].bytes, cases[c].len), at = 0, used;
		struct table t = { 0 };
		amqp_table_t in;
		amqp_pool_t pool;
		struct arena a;
		int64_t i;

		init_amqp_pool(&pool, 4096);
		arena_init(&a, 0);
		assert_ok(bus_table_check((struct span){ bytes, len }, &used));
		assert_int_equal(amqp_decode_table((amqp_bytes_t){ len, bytes }, &pool, &in, &at), 0);
		assert_ok(bus_table_import(&t, &in, &a));
		assert_true(table_get_int(&t, "k", &i));
		assert_true(i == cases[c].value);
		arena_release(&a);
		empty_amqp_pool(&pool);
	}
}

/* `depth` nodes in each other; the outermost is a table, the others are of `kind`. Returns the length. */
static size_t
nest(char *out, int depth, char kind)
{
	size_t room = (size_t)depth * 8, len = 0;
	char *area = alloc_bytes(room), *p = area + room;

	assert_non_null(area);
	/* From the inside out, as a node begins with its length. */
	for (int level = depth - 1;; level--) {
		p -= 4;
		p[0] = (char)(len >> 24);
		p[1] = (char)(len >> 16);
		p[2] = (char)(len >> 8);
		p[3] = (char)len;
		if (level == 0)
			break;
		*--p = kind;
		if (level == 1 || kind == 'F') { /* the parent is a table */
			*--p = 'k';
			*--p = 1;
		}
		len = (size_t)(area + room - p);
	}
	len = (size_t)(area + room - p);
	memcpy(out, p, len);
	alloc_free(area);
	return len;
}

static void
depth_is_limited_before_anything_recurses(void **state UNUSED)
{
	static char bytes[800000];
	size_t used, len;

	len = nest(bytes, BUS_TABLE_DEPTH_MAX, 'F');
	assert_ok(bus_table_check((struct span){ bytes, len }, &used));
	len = nest(bytes, BUS_TABLE_DEPTH_MAX + 1, 'F');
	assert_int_equal(bus_table_check((struct span){ bytes, len }, &used), E_TOOBIG);
	assert_int_equal(used, len);
	len = nest(bytes, BUS_TABLE_DEPTH_MAX, 'A');
	assert_ok(bus_table_check((struct span){ bytes, len }, &used));
	len = nest(bytes, 90000, 'A');
	assert_int_equal(bus_table_check((struct span){ bytes, len }, &used), E_TOOBIG);
	len = nest(bytes, 90000, 'F');
	assert_int_equal(bus_table_check((struct span){ bytes, len }, &used), E_TOOBIG);
}

static void
damaged_tables_are_refused(void **state UNUSED)
{
	static const struct span bad[] = {
		{ "", 0 },
		{ "\0\0\0", 3 },
		{ "\0\0\0\x05", 4 }, /* shorter than it says */
		{ "\xff\xff\xff\xff", 4 },
		{ "\0\0\0\1\5", 5 },             /* a key that is cut */
		{ "\0\0\0\2\1k", 6 },            /* a key without a value */
		{ "\0\0\0\3\1kz", 7 },           /* a type that does not exist */
		{ "\0\0\0\5\1kI\0\0", 9 },       /* a value that is cut */
		{ "\0\0\0\7\1kS\0\0\0\1", 11 },  /* a string longer than its table */
		{ "\0\0\0\7\1kF\0\0\0\1x", 12 }, /* an inner table that reaches out of the outer one */
		{ "\0\0\0\7\1kA\xff\xff\xff\xff", 11 },
	};
	size_t used;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(bus_table_check(bad[i], &used), E_FORMAT);
	assert_ok(bus_table_check((struct span){ "\0\0\0\0", 4 }, &used));
	assert_int_equal(used, 4);
}

static void
what_cannot_be_sent_is_refused(void **state UNUSED)
{
	struct table tables[BUS_TABLE_DEPTH_MAX + 1] = { { 0 } }, empty = { 0 };
	char key[256];
	amqp_table_t out;
	amqp_pool_t pool;
	struct arena a;

	arena_init(&a, 0);
	init_amqp_pool(&pool, 4096);
	memset(key, 'k', sizeof(key));
	assert_ok(table_set(&tables[0], &a, (struct span){ key, 255 }, val_int(1)));
	assert_ok(bus_table_export(&out, &tables[0], &pool));
	assert_ok(table_set(&tables[0], &a, (struct span){ key, 256 }, val_int(1)));
	assert_int_equal(bus_table_export(&out, &tables[0], &pool), E_TOOBIG);
	for (size_t i = 1; i <= BUS_TABLE_DEPTH_MAX; i++)
		assert_ok(table_set(&tables[i], &a, SPAN("in"),
			(struct val){ .type = VAL_TABLE, .u.table = i > 1 ? &tables[i - 1] : &empty }));
	assert_int_equal(bus_table_export(&out, &tables[BUS_TABLE_DEPTH_MAX], &pool), E_TOOBIG);
	assert_ok(bus_table_export(&out, &tables[BUS_TABLE_DEPTH_MAX - 1], &pool));
	empty_amqp_pool(&pool);
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_survives),
		cmocka_unit_test(integers_of_all_widths_are_read),
		cmocka_unit_test(depth_is_limited_before_anything_recurses),
		cmocka_unit_test(damaged_tables_are_refused),
		cmocka_unit_test(what_cannot_be_sent_is_refused),
	};

	return cmocka_run_group_tests_name("bus/table", tests, NULL, NULL);
}
