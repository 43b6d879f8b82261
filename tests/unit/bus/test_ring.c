/* bus/ring: numbers stay valid while the ring grows, and `low` follows what is freed. */
#include "bus/ring.h"

#include "lib/torture.h"

static char things[1000];

static void
numbers_begin_at_one_and_grow(void **state UNUSED)
{
	struct ring r = { 0 };

	ring_reset(&r);
	assert_int_equal(r.next, 1);
	assert_null(ring_get(&r, 0));
	assert_null(ring_get(&r, 1));
	for (size_t i = 0; i < 1000; i++)
		assert_ok(ring_push(&r, &things[i]));
	for (size_t i = 0; i < 1000; i++)
		assert_ptr_equal(ring_get(&r, i + 1), &things[i]);
	assert_null(ring_get(&r, 1001));
	assert_int_equal(ring_span(&r), 1000);
	ring_release(&r);
}

static void
low_waits_for_the_oldest(void **state UNUSED)
{
	struct ring r = { 0 };

	ring_reset(&r);
	for (size_t i = 0; i < 10; i++)
		assert_ok(ring_push(&r, &things[i]));
	ring_clear(&r, 3);
	ring_clear(&r, 2);
	assert_int_equal(r.low, 1);
	ring_clear(&r, 1);
	assert_int_equal(r.low, 4);
	ring_clear(&r, 1);
	ring_clear(&r, 99);
	assert_int_equal(r.count, 7);
	ring_reset(&r);
	assert_int_equal(r.count, 0);
	assert_int_equal(r.next, 1);
	assert_null(ring_get(&r, 5));
	ring_release(&r);
}

static void
a_window_moves_on_without_growth(void **state UNUSED)
{
	struct ring r = { 0 };

	ring_reset(&r);
	for (uint64_t n = 1; n <= 100000; n++) {
		assert_ok(ring_push(&r, &things[n % 1000]));
		if (n > 50)
			ring_clear(&r, n - 50);
	}
	assert_int_equal(r.cap, 64);
	assert_int_equal(r.count, 50);
	assert_ptr_equal(ring_get(&r, 99990), &things[990]);
	ring_release(&r);
}

static enum err
fill(void *arg UNUSED)
{
	struct ring r = { 0 };
	enum err e = E_OK;

	ring_reset(&r);
	for (size_t i = 0; i < 300 && e == E_OK; i++)
		e = ring_push(&r, &things[i]);
	ring_release(&r);
	return e;
}

static void
no_memory_is_an_error(void **state UNUSED)
{
	torture(fill, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_begin_at_one_and_grow),
		cmocka_unit_test(low_waits_for_the_oldest),
		cmocka_unit_test(a_window_moves_on_without_growth),
		cmocka_unit_test(no_memory_is_an_error),
	};

	return cmocka_run_group_tests_name("bus/ring", tests, NULL, NULL);
}
