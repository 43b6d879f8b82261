#include "base/map.h"

#include "lib/torture.h"

enum { MANY = 5000 };

static int values[MANY];

static struct span
key_of(int i, char text[16])
{
	int n = snprintf(text, 16, "key%d", i);

	return (struct span){ text, (size_t)n };
}

static void
finds_what_was_set(void **state UNUSED)
{
	struct map m;
	char text[16];
	void *old = &m;

	map_init(&m);
	assert_null(map_get(&m, SPAN("x")));
	assert_null(map_del(&m, SPAN("x")));
	for (int i = 0; i < MANY; i++)
		assert_ok(map_set(&m, key_of(i, text), &values[i], NULL));
	assert_int_equal(m.count, MANY);
	for (int i = 0; i < MANY; i++)
		assert_ptr_equal(map_get(&m, key_of(i, text)), &values[i]);
	assert_null(map_get(&m, SPAN("key")));
	assert_ok(map_set(&m, SPAN("key7"), &values[8], &old));
	assert_ptr_equal(old, &values[7]);
	assert_ok(map_set(&m, SPAN("other"), &values[1], &old));
	assert_null(old);
	assert_int_equal(m.count, MANY + 1);
	for (int i = 0; i < MANY; i += 2)
		assert_non_null(map_del(&m, key_of(i, text)));
	for (int i = 0; i < MANY; i++)
		assert_int_equal(map_get(&m, key_of(i, text)) != NULL, i % 2);
	map_release(&m, NULL);
	assert_int_equal(m.count, 0);
}

static void
keys_are_bytes(void **state UNUSED)
{
	struct map m = { 0 };
	char key[] = { 'a', '\0', 'b' };

	assert_ok(map_set(&m, (struct span){ key, 3 }, &values[0], NULL));
	assert_ok(map_set(&m, SPAN("a"), &values[1], NULL));
	assert_ok(map_set(&m, SPAN(""), &values[2], NULL));
	key[2] = 'c'; /* the map has its own copy */
	assert_null(map_get(&m, (struct span){ key, 3 }));
	assert_ptr_equal(map_get(&m, SPAN("a\0b")), &values[0]);
	assert_ptr_equal(map_get(&m, SPAN("a")), &values[1]);
	assert_ptr_equal(map_get(&m, SPAN_NONE), &values[2]);
	map_release(&m, NULL);
}

static void
the_walk_sees_each_once_and_may_delete(void **state UNUSED)
{
	struct map m = { 0 };
	struct map_iter it = { 0 };
	char text[16];
	int seen[200] = { 0 };

	assert_false(map_next(&m, &it));
	for (int i = 0; i < 200; i++)
		assert_ok(map_set(&m, key_of(i, text), &seen[i], NULL));
	while (map_next(&m, &it)) {
		++*(int *)it.value;
		if ((int *)it.value - seen < 100)
			assert_ptr_equal(map_del(&m, it.key), it.value);
	}
	for (int i = 0; i < 200; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(m.count, 100);
	map_release(&m, NULL);
}

static int freed;

static void
count_free(void *value)
{
	assert_non_null(value);
	freed++;
}

static enum err
fill(void *arg UNUSED)
{
	struct map m = { 0 };
	char text[16];
	enum err e = E_OK;
	int n = 0;

	while (e == E_OK && n < 100) {
		e = map_set(&m, key_of(n, text), &values[n], NULL);
		n += e == E_OK;
	}
	for (int i = 0; i < n; i++)
		assert_ptr_equal(map_get(&m, key_of(i, text)), &values[i]);
	freed = 0;
	map_release(&m, count_free);
	assert_int_equal(freed, n);
	return e;
}

static void
bears_torture(void **state UNUSED)
{
	torture(fill, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_was_set),
		cmocka_unit_test(keys_are_bytes),
		cmocka_unit_test(the_walk_sees_each_once_and_may_delete),
		cmocka_unit_test(bears_torture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
