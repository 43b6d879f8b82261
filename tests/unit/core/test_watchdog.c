/* When a pool that gets nothing is stuck, and when it is just idle. */
#include "lib/t.h"

#include "core/watchdog.h"

static const struct watchdog_look stuck = {
	.is_consuming = true, .has_room = true, .ready = 5, .deliveries = 7
};

static void
idle_is_not_stuck(void **state)
{
	struct watchdog w = { 0 };
	struct watchdog_look empty = stuck, full = stuck, away = stuck;

	(void)state;
	empty.ready = 0;
	full.has_room = false;
	away.is_consuming = false;
	for (int i = 0; i < 10; i++) {
		assert_false(watchdog_on_look(&w, &empty));
		assert_false(watchdog_on_look(&w, &full));
		assert_false(watchdog_on_look(&w, &away));
	}
}

static void
two_looks_without_a_delivery_are_enough(void **state)
{
	struct watchdog w = { .deliveries = 7 };

	(void)state;
	assert_false(watchdog_on_look(&w, &stuck));
	assert_true(watchdog_on_look(&w, &stuck));
}

static void
a_delivery_begins_anew(void **state)
{
	struct watchdog w = { .deliveries = 7 };
	struct watchdog_look look = stuck;

	(void)state;
	for (int i = 0; i < 20; i++) {
		look.deliveries += (uint64_t)(i % 2);
		assert_false(watchdog_on_look(&w, &look));
	}
}

static void
patience_grows_when_it_does_not_help(void **state)
{
	struct watchdog w = { .deliveries = 7 };
	unsigned verdicts = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		verdicts += watchdog_on_look(&w, &stuck);
	assert_in_range(verdicts, 5, 25);
	/* It helped after all: the next trouble is noticed quickly. */
	assert_false(watchdog_on_look(&w,
		&(struct watchdog_look){
			.is_consuming = true, .has_room = true, .ready = 5, .deliveries = 8 }));
	assert_false(watchdog_on_look(&w,
		&(struct watchdog_look){
			.is_consuming = true, .has_room = true, .ready = 5, .deliveries = 8 }));
	assert_true(watchdog_on_look(&w,
		&(struct watchdog_look){
			.is_consuming = true, .has_room = true, .ready = 5, .deliveries = 8 }));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_is_not_stuck),
		cmocka_unit_test(two_looks_without_a_delivery_are_enough),
		cmocka_unit_test(a_delivery_begins_anew),
		cmocka_unit_test(patience_grows_when_it_does_not_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
