/* Events become a picture. That tasks end in the same states as in Celery's own monitor is tested by tests/conformance/test_view.py. */
#include "core/view.h"

#include "lib/t.h"
#include "lib/torture.h"

#define S(n) ((us_t)1700000000 * 1000000 + (us_t)(n)*1000000)

static struct evt
task_event(enum evt_type type, const char *id, double at)
{
	return (struct evt){
		.type = type, .hostname = SPAN("w1@h"), .uuid = span_of(id), .timestamp = at, .pid = 1, .clock = 1
	};
}

static void
say(struct view *v, enum evt_type type, const char *id, double at)
{
	struct evt e = task_event(type, id, at);

	assert_ok(view_on_event(v, &e, S(at)));
}

static void
say_worker(struct view *v, enum evt_type type, const char *name, double freq, us_t now)
{
	struct evt e = { .type = type,
		.hostname = span_of(name),
		.freq = freq,
		.pid = 7,
		.active = 1,
		.processed = 20,
		.sw_ident = SPAN("warren"),
		.json = SPAN("{\"active\": 1, \"processed\": 20}") };

	assert_ok(view_on_event(v, &e, now));
}

static const struct view_worker *
worker(const struct view *v, const char *name)
{
	const struct view_worker *w = map_get(&v->workers, span_of(name));

	assert_non_null(w);
	return w;
}

static enum view_state
state_of(const struct view *v, const char *id)
{
	const struct view_task *t = view_find_task(v, span_of(id));

	assert_non_null(t);
	return t->state;
}

static void
a_task_goes_through_its_states(void **state UNUSED)
{
	struct evt e = task_event(EVENT_TASK_RECEIVED, "a", 1);
	const struct view_task *t;
	struct view v;

	view_init(&v, NULL);
	e.name = SPAN("t.add");
	e.args = SPAN("(2, 3)");
	e.retries = 2;
	assert_ok(view_on_event(&v, &e, S(1)));
	say(&v, EVENT_TASK_STARTED, "a", 2);
	assert_int_equal(v.by_state[VIEW_STARTED], 1);
	e = task_event(EVENT_TASK_SUCCEEDED, "a", 3);
	e.result = SPAN("5");
	e.runtime = 1.5;
	assert_ok(view_on_event(&v, &e, S(3)));
	t = view_find_task(&v, SPAN("a"));
	assert_non_null(t);
	assert_string_equal(view_state_name(t->state), "SUCCESS");
	assert_string_equal(t->texts[VIEW_NAME], "t.add");
	assert_string_equal(t->texts[VIEW_ARGS], "(2, 3)");
	assert_string_equal(t->texts[VIEW_RESULT], "5");
	assert_string_equal(t->texts[VIEW_WORKER], "w1@h");
	assert_null(t->texts[VIEW_CLIENT]);
	assert_int_equal(t->retries, 2);
	assert_true(t->times[VIEW_RECEIVED] == 1 && t->times[VIEW_STARTED] == 2 &&
		t->times[VIEW_SUCCESS] == 3 && t->timestamp == 3);
	assert_int_equal(v.by_state[VIEW_SUCCESS], 1);
	assert_int_equal(v.by_state[VIEW_STARTED] + v.by_state[VIEW_RECEIVED] + v.by_state[VIEW_PENDING], 0);
	assert_int_equal(v.sums.total[VIEW_COUNT_SUCCEEDED], 1);
	view_release(&v);
}

static void
an_event_that_comes_late_only_adds(void **state UNUSED)
{
	struct evt late = task_event(EVENT_TASK_RECEIVED, "a", 1);
	struct view v;

	view_init(&v, NULL);
	say(&v, EVENT_TASK_SUCCEEDED, "a", 3);
	late.name = SPAN("t.add");
	assert_ok(view_on_event(&v, &late, S(4)));
	say(&v, EVENT_TASK_STARTED, "a", 2);
	assert_int_equal(state_of(&v, "a"), VIEW_SUCCESS);
	assert_string_equal(view_find_task(&v, SPAN("a"))->texts[VIEW_NAME], "t.add");
	/* After a retry anything is news. */
	say(&v, EVENT_TASK_RETRIED, "a", 5);
	assert_int_equal(state_of(&v, "a"), VIEW_RETRY);
	say(&v, EVENT_TASK_RECEIVED, "a", 6);
	assert_int_equal(state_of(&v, "a"), VIEW_RECEIVED);
	view_release(&v);
}

static void
who_sent_it_is_no_worker(void **state UNUSED)
{
	struct evt e = task_event(EVENT_TASK_SENT, "a", 1);
	struct view v;

	view_init(&v, NULL);
	e.hostname = SPAN("gen1@h");
	assert_ok(view_on_event(&v, &e, S(1)));
	assert_int_equal(v.workers.count, 0);
	assert_string_equal(view_find_task(&v, SPAN("a"))->texts[VIEW_CLIENT], "gen1@h");
	assert_int_equal(state_of(&v, "a"), VIEW_PENDING);
	view_release(&v);
}

static void
a_worker_lives_for_two_heartbeats(void **state UNUSED)
{
	struct view v;

	view_init(&v, NULL);
	say_worker(&v, EVENT_WORKER_ONLINE, "w1@h", 2, S(0));
	assert_true(view_worker_lives(worker(&v, "w1@h"), S(3.9)));
	assert_false(view_worker_lives(worker(&v, "w1@h"), S(4)));
	/* A task's event is a sign of life too. */
	say(&v, EVENT_TASK_STARTED, "a", 5);
	assert_true(view_worker_lives(worker(&v, "w1@h"), S(6)));
	assert_int_equal(worker(&v, "w1@h")->processed, 20);
	say_worker(&v, EVENT_WORKER_OFFLINE, "w1@h", 2, S(7));
	say(&v, EVENT_TASK_SUCCEEDED, "a", 8);
	assert_false(view_worker_lives(worker(&v, "w1@h"), S(8)));
	say_worker(&v, EVENT_WORKER_ONLINE, "w1@h", 2, S(9));
	assert_true(view_worker_lives(worker(&v, "w1@h"), S(9)));
	/* One that does not say how often it shows itself. */
	say_worker(&v, EVENT_WORKER_HEARTBEAT, "w2@h", 0, S(0));
	assert_true(view_worker_lives(worker(&v, "w2@h"), S(119)));
	assert_false(view_worker_lives(worker(&v, "w2@h"), S(120)));
	view_release(&v);
}

static void
a_sign_of_life_without_numbers_keeps_the_old_ones(void **state UNUSED)
{
	struct evt e = { .type = EVENT_WORKER_HEARTBEAT,
		.hostname = SPAN("w1@h"),
		.freq = 5,
		.pid = -1,
		.json = SPAN("{\"freq\": 5}") };
	struct view v;

	view_init(&v, NULL);
	say_worker(&v, EVENT_WORKER_ONLINE, "w1@h", 2, S(0));
	assert_ok(view_on_event(&v, &e, S(1)));
	assert_int_equal(worker(&v, "w1@h")->processed, 20);
	assert_int_equal(worker(&v, "w1@h")->pid, 7);
	assert_true(worker(&v, "w1@h")->freq == 5);
	view_release(&v);
}

static void
the_rate_is_that_of_whole_seconds(void **state UNUSED)
{
	struct view v;
	char id[20];
	int i;

	view_init(&v, NULL);
	for (i = 0; i < 40; i++) {
		snprintf(id, sizeof(id), "t%d", i);
		say(&v, i % 2 ? EVENT_TASK_FAILED : EVENT_TASK_SUCCEEDED, id, (int)(i / 10));
		say(&v, EVENT_TASK_STARTED, id, (int)(i / 10));
	}
	assert_true(view_rate(&v.sums, S(4), 4) == 10);
	assert_true(view_rate(&v.sums, S(5), 5) == 8);
	assert_true(view_rate(&v.sums, S(13), 10) == 1);
	assert_true(view_rate(&v.sums, S(14), 10) == 0);
	assert_true(view_rate(&v.sums, S(1000), 59) == 0);
	/* After a long silence old seconds do not count again. */
	say(&v, EVENT_TASK_SUCCEEDED, "new", 63);
	assert_true(view_rate(&v.sums, S(64), 1) == 1);
	assert_true(view_rate(&v.sums, S(64), 59) == 1.0 / 59);
	view_release(&v);
}

static void
names_are_summed(void **state UNUSED)
{
	struct evt e = task_event(EVENT_TASK_RECEIVED, "a", 1);
	const struct view_sums *s;
	struct view v;

	view_init(&v, &(struct view_limits){ .names = 1 });
	e.name = SPAN("t.add");
	assert_ok(view_on_event(&v, &e, S(1)));
	e.uuid = SPAN("b");
	e.name = SPAN("t.other");
	assert_ok(view_on_event(&v, &e, S(1)));
	e = task_event(EVENT_TASK_SUCCEEDED, "a", 2);
	e.runtime = 0.5;
	assert_ok(view_on_event(&v, &e, S(2)));
	s = map_get(&v.names, SPAN("t.add"));
	assert_non_null(s);
	assert_int_equal(s->total[VIEW_COUNT_RECEIVED], 1);
	assert_int_equal(s->total[VIEW_COUNT_SUCCEEDED], 1);
	assert_true(s->runtime == 0.5 && s->runtime_max == 0.5);
	/* One name is all there is room for; the cluster's sums have both. */
	assert_null(map_get(&v.names, SPAN("t.other")));
	assert_int_equal(v.sums.total[VIEW_COUNT_RECEIVED], 2);
	view_release(&v);
}

static void
the_longest_silent_are_forgotten(void **state UNUSED)
{
	struct view v;

	view_init(&v, &(struct view_limits){ .tasks = 2, .workers = 1 });
	say(&v, EVENT_TASK_STARTED, "a", 1);
	say(&v, EVENT_TASK_STARTED, "b", 2);
	say(&v, EVENT_TASK_SUCCEEDED, "a", 3);
	say(&v, EVENT_TASK_STARTED, "c", 4);
	assert_null(view_find_task(&v, SPAN("b")));
	assert_string_equal(view_older(&v, NULL)->id, "c");
	assert_string_equal(view_older(&v, view_older(&v, NULL))->id, "a");
	assert_null(view_older(&v, view_find_task(&v, SPAN("a"))));
	assert_int_equal(v.by_state[VIEW_STARTED], 1);
	assert_int_equal(v.by_state[VIEW_SUCCESS], 1);
	say_worker(&v, EVENT_WORKER_ONLINE, "w2@h", 2, S(5));
	assert_int_equal(v.workers.count, 1);
	assert_non_null(worker(&v, "w2@h"));
	view_release(&v);
}

static void
long_texts_are_cut_between_characters(void **state UNUSED)
{
	struct evt e = task_event(EVENT_TASK_RECEIVED, "a", 1);
	struct view v;

	view_init(&v, &(struct view_limits){ .text = 5 });
	e.args = SPAN("1234\xc3\xa4");
	assert_ok(view_on_event(&v, &e, S(1)));
	assert_string_equal(view_find_task(&v, SPAN("a"))->texts[VIEW_ARGS], "1234");
	view_release(&v);
}

static void
events_without_what_they_need_are_counted(void **state UNUSED)
{
	struct evt e = task_event(EVENT_TASK_RECEIVED, "", 1);
	struct view v;

	view_init(&v, NULL);
	assert_ok(view_on_event(&v, &e, S(1)));
	e = (struct evt){ .type = EVENT_WORKER_HEARTBEAT };
	assert_ok(view_on_event(&v, &e, S(1)));
	e = (struct evt){ .type = EVENT_OTHER, .hostname = SPAN("w1@h") };
	assert_ok(view_on_event(&v, &e, S(1)));
	assert_int_equal(v.events, 3);
	assert_int_equal(v.nameless, 2);
	assert_int_equal(v.tasks.count + v.workers.count, 0);
	view_release(&v);
}

static enum err
a_picture(void *arg UNUSED)
{
	struct evt e = task_event(EVENT_TASK_RECEIVED, "a", 1);
	struct view v;
	enum err err;

	view_init(&v, NULL);
	e.name = SPAN("t.add");
	err = view_on_event(&v, &e, S(1));
	e = (struct evt){ .type = EVENT_WORKER_ONLINE, .hostname = SPAN("w2@h"), .sw_ident = SPAN("x") };
	if (err == E_OK)
		err = view_on_event(&v, &e, S(1));
	view_release(&v);
	return err;
}

static void
little_memory_costs_events_and_nothing_else(void **state UNUSED)
{
	torture(a_picture, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_goes_through_its_states),
		cmocka_unit_test(an_event_that_comes_late_only_adds),
		cmocka_unit_test(who_sent_it_is_no_worker),
		cmocka_unit_test(a_worker_lives_for_two_heartbeats),
		cmocka_unit_test(a_sign_of_life_without_numbers_keeps_the_old_ones),
		cmocka_unit_test(the_rate_is_that_of_whole_seconds),
		cmocka_unit_test(names_are_summed),
		cmocka_unit_test(the_longest_silent_are_forgotten),
		cmocka_unit_test(long_texts_are_cut_between_characters),
		cmocka_unit_test(events_without_what_they_need_are_counted),
		cmocka_unit_test(little_memory_costs_events_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
