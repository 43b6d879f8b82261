#include "base/lamport.h"

#include "lib/t.h"

static void
sending_moves_it_on(void **state UNUSED)
{
	struct lamport c = { 0 };

	assert_int_equal(lamport_forward(&c), 1);
	assert_int_equal(lamport_forward(&c), 2);
}

static void
it_is_later_than_all_it_has_seen(void **state UNUSED)
{
	struct lamport c = { 5 };

	assert_int_equal(lamport_adjust(&c, 40), 41);
	assert_int_equal(lamport_adjust(&c, 3), 42);
	assert_int_equal(lamport_adjust(&c, 0), 43);
}

static void
no_peer_can_stop_it(void **state UNUSED)
{
	struct lamport c = { 5 };

	assert_int_equal(lamport_adjust(&c, INT64_MAX), 6);
	assert_int_equal(lamport_adjust(&c, INT64_MIN), 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sending_moves_it_on),
		cmocka_unit_test(it_is_later_than_all_it_has_seen),
		cmocka_unit_test(no_peer_can_stop_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
