#include "core/plan.h"

#include "base/alloc.h"
#include "lib/t.h"

#define S INT64_C(1000000)

static struct plan_entry
entry_every(int64_t s, us_t done)
{
	return (struct plan_entry){
		.schedule = { .kind = SCHEDULE_EVERY, .every = s * S, .start = INT64_MIN, .end = INT64_MAX },
		.missed_max = 1,
		.done = done
	};
}

static void
fires_in_the_order_of_due_times(void **state UNUSED)
{
	enum { N = 300 };
	struct plan_entry entries[N];
	struct plan_fire f;
	struct plan p;
	us_t last = 0, now = 0;
	int fired[N] = { 0 };

	plan_init(&p, 60 * S);
	for (int i = 0; i < N; i++) {
		entries[i] = entry_every(1 + i * 7 % N, 0);
		assert_ok(plan_add(&p, &entries[i]));
	}
	while (now < 300 * S) {
		now = plan_at(&p);
		while (plan_due(&p, now, &f)) {
			assert_true(f.run);
			assert_true(f.due >= last);
			assert_int_equal(f.due, now);
			assert_true(f.given_up == SCHEDULE_NEVER);
			assert_int_equal(f.following, f.due + f.entry->schedule.every);
			last = f.due;
			fired[f.entry - entries]++;
			plan_done(&p, f.entry, f.due);
		}
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(fired[i], now / entries[i].schedule.every);
	plan_release(&p);
}

static void
missed_once_runs_the_latest(void **state UNUSED)
{
	struct plan_entry e = entry_every(10, 5 * S);
	struct plan_fire f;
	struct plan p;

	plan_init(&p, 60 * S);
	assert_ok(plan_add(&p, &e));
	assert_true(plan_due(&p, 1234 * S, &f));
	assert_true(f.run);
	assert_int_equal(f.due, 1230 * S);
	assert_int_equal(f.given_up, 10 * S);
	assert_int_equal(f.following, 1240 * S);
	/* While it is fired nothing else comes. */
	assert_false(plan_due(&p, 5000 * S, &f));
	plan_done(&p, &e, f.due);
	assert_int_equal(plan_at(&p), 1240 * S);
	plan_release(&p);
}

static void
missed_skip_runs_only_what_is_fresh(void **state UNUSED)
{
	struct plan_entry e = entry_every(3600, S);
	struct plan_fire f;
	struct plan p;

	e.missed = MISSED_SKIP;
	plan_init(&p, 60 * S);
	assert_ok(plan_add(&p, &e));
	assert_true(plan_due(&p, 3660 * S, &f));
	assert_false(f.run);
	assert_int_equal(f.given_up, 3600 * S);
	assert_false(plan_due(&p, 3661 * S, &f));
	assert_true(plan_due(&p, 2 * 3600 * S + 59 * S, &f));
	assert_true(f.run);
	assert_int_equal(f.due, 2 * 3600 * S);
	plan_done(&p, &e, f.due);
	plan_release(&p);
}

static void
missed_all_runs_the_last_of_them_in_order(void **state UNUSED)
{
	struct plan_entry e = entry_every(10, 0);
	struct plan_fire f;
	struct plan p;

	e.missed = MISSED_ALL;
	e.missed_max = 3;
	plan_init(&p, 60 * S);
	assert_ok(plan_add(&p, &e));
	for (int i = 0; i < 3; i++) {
		assert_true(plan_due(&p, 105 * S, &f));
		assert_true(f.run);
		assert_int_equal(f.due, (80 + 10 * i) * S);
		assert_int_equal(f.following, 110 * S);
		assert_true(f.given_up == (i == 0 ? 10 * S : SCHEDULE_NEVER));
		plan_done(&p, &e, f.due);
	}
	assert_false(plan_due(&p, 105 * S, &f));
	plan_release(&p);
}

static void
what_did_not_happen_is_due_again(void **state UNUSED)
{
	struct plan_entry e = entry_every(10, 0);
	struct plan_fire f;
	struct plan p;

	plan_init(&p, 60 * S);
	assert_ok(plan_add(&p, &e));
	assert_true(plan_due(&p, 10 * S, &f));
	plan_undo(&p, &e);
	assert_true(plan_due(&p, 10 * S, &f));
	assert_int_equal(f.due, 10 * S);
	plan_undo(&p, &e);
	/* Later it is the missed rule's business. */
	assert_true(plan_due(&p, 31 * S, &f));
	assert_int_equal(f.due, 30 * S);
	assert_int_equal(f.given_up, 10 * S);
	plan_done(&p, &e, f.due);
	plan_release(&p);
}

static void
clock_set_back_brings_nothing_again(void **state UNUSED)
{
	struct plan_entry e = entry_every(10, 0);
	struct plan_fire f;
	struct plan p;

	plan_init(&p, 60 * S);
	assert_ok(plan_add(&p, &e));
	assert_true(plan_due(&p, 3600 * S, &f));
	plan_done(&p, &e, f.due);
	for (int64_t s = 0; s <= 3600; s += 10)
		assert_false(plan_due(&p, s * S, &f));
	assert_true(plan_due(&p, 3610 * S, &f));
	plan_done(&p, &e, f.due);
	plan_release(&p);
}

static void
jitter_is_the_same_everywhere_and_keeps_to_its_bound(void **state UNUSED)
{
	struct plan_entry e = entry_every(10, 0), twin;
	us_t least = INT64_MAX, most = 0;

	e.jitter = 5 * S;
	e.seed = 42;
	twin = e;
	for (us_t due = 0; due < 1000 * S; due += 10 * S) {
		us_t j = plan_jitter(&e, due);

		assert_true(j >= 0 && j < 5 * S);
		assert_int_equal(j, plan_jitter(&twin, due));
		least = j < least ? j : least;
		most = j > most ? j : most;
	}
	assert_true(least < S && most > 4 * S);
	twin.seed = 43;
	assert_true(plan_jitter(&e, 0) != plan_jitter(&twin, 0));
}

static void
jitter_delays_and_loses_nothing(void **state UNUSED)
{
	struct plan_entry e = entry_every(10, 0);
	struct plan_fire f;
	struct plan p;

	e.jitter = 25 * S; /* longer than the interval: later due times overtake */
	plan_init(&p, 60 * S);
	assert_ok(plan_add(&p, &e));
	for (us_t now = 0, last = 0; now < 1000 * S; now += S / 4)
		while (plan_due(&p, now, &f)) {
			assert_true(f.due + plan_jitter(&e, f.due) <= now);
			assert_true(f.due > last);
			last = f.due;
			plan_done(&p, &e, f.due);
		}
	assert_true(e.done > 950 * S);
	plan_release(&p);
}

static void
entries_come_and_go(void **state UNUSED)
{
	enum { N = 100 };
	struct plan_entry entries[N], once = entry_every(1, 0);
	struct plan_fire f;
	struct plan p;

	once.schedule.kind = SCHEDULE_ONCE;
	once.schedule.anchor = 500 * S;
	plan_init(&p, 60 * S);
	assert_true(plan_at(&p) == SCHEDULE_NEVER);
	for (int i = 0; i < N; i++) {
		entries[i] = entry_every(1 + i, 0);
		assert_ok(plan_add(&p, &entries[i]));
	}
	for (int i = 0; i < N; i += 2)
		plan_remove(&p, &entries[i]);
	plan_remove(&p, &entries[0]);
	assert_ok(plan_add(&p, &once));
	for (us_t now = S; now <= 600 * S; now += S)
		while (plan_due(&p, now, &f)) {
			if (f.entry == &once) {
				assert_int_equal(now, 500 * S);
			} else {
				assert_int_equal((f.entry - entries) % 2, 1);
				if (f.entry == &entries[1] && now == 300 * S) {
					plan_remove(&p, f.entry); /* taken out while it is fired */
					continue;
				}
			}
			plan_done(&p, f.entry, f.due);
		}
	assert_false(once.planned);
	assert_false(entries[1].planned);
	assert_true(entries[99].planned);
	plan_release(&p);
}

static void
no_memory_is_said(void **state UNUSED)
{
	struct plan_entry e = entry_every(1, 0);
	struct plan p;

	plan_init(&p, 0);
	alloc_fail_after(1);
	assert_int_equal(plan_add(&p, &e), E_NOMEM);
	alloc_fail_after(0);
	assert_ok(plan_add(&p, &e));
	plan_release(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_in_the_order_of_due_times),
		cmocka_unit_test(missed_once_runs_the_latest),
		cmocka_unit_test(missed_skip_runs_only_what_is_fresh),
		cmocka_unit_test(missed_all_runs_the_last_of_them_in_order),
		cmocka_unit_test(what_did_not_happen_is_due_again),
		cmocka_unit_test(clock_set_back_brings_nothing_again),
		cmocka_unit_test(jitter_is_the_same_everywhere_and_keeps_to_its_bound),
		cmocka_unit_test(jitter_delays_and_loses_nothing),
		cmocka_unit_test(entries_come_and_go),
		cmocka_unit_test(no_memory_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
