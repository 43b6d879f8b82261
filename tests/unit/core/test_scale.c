/* When a pool grows and shrinks by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/scale.h"

static const struct scale_conf conf = { .min = 2, .max = 10, .idle_ms = 30000 };

struct play {
	struct scale s;
	uint32_t size;
	ms_t now;
};

static uint32_t
look(struct play *p, uint32_t busy, uint32_t ready)
{
	struct scale_look l = { .now = p->now, .size = p->size, .busy = busy, .ready = ready };

	p->now += 500;
	return p->size = scale_decide(&p->s, &conf, &l);
}

static void
grows_when_all_are_busy_and_tasks_wait(void **state)
{
	struct play p = { .size = 2 };

	(void)state;
	look(&p, 0, 0);
	assert_int_equal(look(&p, 2, 5), 2);
	assert_int_equal(look(&p, 2, 5), 4);
}

/* A burst that the slots are about to take starts nothing. */
static void
one_crowded_look_is_not_enough(void **state)
{
	struct play p = { .size = 2 };

	(void)state;
	look(&p, 0, 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(look(&p, 2, 1), 2);
		assert_int_equal(look(&p, 2, 0), 2);
	}
}

static void
grows_by_what_waits_and_at_most_twofold(void **state)
{
	struct play p = { .size = 4 };

	(void)state;
	look(&p, 4, 0);
	look(&p, 4, 1);
	assert_int_equal(look(&p, 4, 1), 5);
	look(&p, 5, 1000);
	assert_int_equal(look(&p, 5, 1000), 10);
	look(&p, 10, 1000);
	assert_int_equal(look(&p, 10, 1000), 10);
}

/* New slots that are not up yet are not busy: no more of them before they are. */
static void
waits_for_the_slots_it_has_asked_for(void **state)
{
	struct play p = { .size = 2 };

	(void)state;
	look(&p, 2, 9);
	look(&p, 2, 9);
	assert_int_equal(look(&p, 2, 9), 4);
	assert_int_equal(look(&p, 2, 9), 4);
	assert_int_equal(look(&p, 3, 9), 4);
}

static void
shrinks_to_the_most_that_was_needed(void **state)
{
	struct play p = { .size = 8 };

	(void)state;
	look(&p, 3, 0);
	for (int i = 0; i < 59; i++)
		assert_int_equal(look(&p, i == 20 ? 5 : 1, 0), 8);
	assert_int_equal(look(&p, 1, 0), 5);
	for (int i = 0; i < 59; i++)
		assert_int_equal(look(&p, 1, 0), 5);
	/* Never below the least. */
	assert_int_equal(look(&p, 0, 0), 2);
}

static void
does_not_shrink_while_tasks_wait(void **state)
{
	struct play p = { .size = 10 };

	(void)state;
	look(&p, 10, 0);
	for (int i = 0; i < 200; i++)
		assert_int_equal(look(&p, 10, 3), 10);
}

static void
new_bounds_count_at_once(void **state)
{
	struct play p = { .size = 1 };

	(void)state;
	assert_int_equal(look(&p, 0, 0), 2);
	p.size = 50;
	assert_int_equal(look(&p, 50, 0), 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_when_all_are_busy_and_tasks_wait),
		cmocka_unit_test(one_crowded_look_is_not_enough),
		cmocka_unit_test(grows_by_what_waits_and_at_most_twofold),
		cmocka_unit_test(waits_for_the_slots_it_has_asked_for),
		cmocka_unit_test(shrinks_to_the_most_that_was_needed),
		cmocka_unit_test(does_not_shrink_while_tasks_wait),
		cmocka_unit_test(new_bounds_count_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
