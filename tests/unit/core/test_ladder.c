/* Names, keys and delays of the delay ladder, against what Celery peers declare and publish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/ladder.h"

static void
message_key_is_the_delay_in_binary(void **state)
{
	char key[256];

	(void)state;
	assert_int_equal(ladder_message_key(key, 3, SPAN("rk.one")), E_OK);
	assert_string_equal(key, "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.1.rk.one");
	assert_int_equal(ladder_message_key(key, 1LL << 40, SPAN("q")), E_OK);
	assert_string_equal(key, "1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.q");
}

/* Entered there, it passes the same queues as from the top: those of its digits that are 1. */
static void
message_enters_at_its_first_one(void **state)
{
	char key[256];

	(void)state;
	for (int64_t delay = 1; delay <= LADDER_DELAY_MAX_S; delay = delay * 3 + 1) {
		int level = ladder_entry_level(delay);

		assert_int_equal(ladder_message_key(key, delay, SPAN("q")), E_OK);
		assert_int_equal(strchr(key, '1') - key, 2 * (LADDER_LEVELS - 1 - level));
	}
	assert_int_equal(ladder_entry_level(0), 0);
	assert_int_equal(ladder_entry_level(INT64_MAX), LADDER_LEVELS - 1);
}

static void
key_that_would_not_fit_is_refused(void **state)
{
	char key[256], name[256];

	(void)state;
	memset(name, 'q', sizeof(name));
	assert_int_equal(ladder_message_key(key, 3, (struct span){ name, 199 }), E_OK);
	assert_int_equal(ladder_message_key(key, 3, (struct span){ name, 200 }), E_TOOBIG);
	assert_int_equal(ladder_binding_key(key, (struct span){ name, 200 }), E_TOOBIG);
}

static void
level_keys_have_a_digit_in_their_place(void **state)
{
	char key[96], name[32];

	(void)state;
	ladder_level_key(key, 27, true);
	assert_string_equal(key, "1.#");
	ladder_level_key(key, 25, false);
	assert_string_equal(key, "*.*.0.#");
	ladder_level_key(key, 0, false);
	assert_int_equal(strlen(key), 27 * 2 + 3);
	ladder_level_name(name, 27);
	assert_string_equal(name, "celery_delayed_27");
}

static void
delay_ends_at_the_eta_or_later_never_before(void **state)
{
	us_t now = 1000000000;

	(void)state;
	assert_int_equal(ladder_delay_s(now - 5, now), 0);
	assert_int_equal(ladder_delay_s(now + 1000000, now), 0);
	for (us_t ahead = 1000001; ahead < 40000000; ahead += 777777)
		assert_true(now + ladder_delay_s(now + ahead, now) * 1000000 >= now + ahead);
	assert_int_equal(ladder_delay_s(INT64_MAX, now), LADDER_DELAY_MAX_S);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_key_is_the_delay_in_binary),
		cmocka_unit_test(message_enters_at_its_first_one),
		cmocka_unit_test(key_that_would_not_fit_is_refused),
		cmocka_unit_test(level_keys_have_a_digit_in_their_place),
		cmocka_unit_test(delay_ends_at_the_eta_or_later_never_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
