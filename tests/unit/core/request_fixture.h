/* One request and what its decisions asked for last, for the tests of its life. */
#ifndef WARREN_TESTS_REQUEST_FIXTURE_H
#define WARREN_TESTS_REQUEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/request.h"

#define WALL ((us_t)1800000000 * 1000000)

static const struct request_now now = { .mono_us = 13000, .wall = WALL, .random = 7 };

static const struct result stored_success = {
	.task_id = SPAN("id-1"), .state = SPAN("SUCCESS"), .value = SPAN("5")
};

struct fixture {
	struct request_rules rules;
	struct request r;
	struct effects fx;
};

static inline int
set_up(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.rules = (struct request_rules){
		.node = "w1@host", .has_backend = true, .has_chords = true, .started_after_ms = 50
	};
	f.rules.tasks.fallback = task_rule_default;
	request_init(&f.r, &f.rules);
	f.r.queue = SPAN("q");
	f.r.task = (struct task){
		.protocol = 2,
		.id = SPAN("id-1"),
		.name = SPAN("add"),
		.args = SPAN("[2, 3]"),
		.kwargs = SPAN("{}"),
		.eta = INT64_MIN,
		.expires = INT64_MIN,
		.time_limit = -1,
		.soft_time_limit = -1,
		.group_index = -1,
	};
	*state = &f;
	return 0;
}

static inline int
tear_down(void **state)
{
	struct fixture *f = *state;

	request_release(&f->r);
	return 0;
}

static inline void
next(struct fixture *f)
{
	f->fx.count = 0;
}

static inline void
arrive(struct fixture *f, bool known)
{
	struct request_arrival in = {
		.fault = TASK_FINE, .why = "", .is_known = known, .may_wait = true, .wall = WALL
	};

	next(f);
	request_on_received(&f->r, &in, &f->fx);
}

/* The effect of this type; fails the test when there is none. */
static inline const struct effect *
find(const struct fixture *f, enum effect_type type)
{
	for (size_t i = 0; i < f->fx.count; i++)
		if (f->fx.items[i].type == type)
			return &f->fx.items[i];
	fail_msg("no effect %d among %zu", (int)type, f->fx.count);
	return NULL;
}

static inline bool
has(const struct fixture *f, enum effect_type type)
{
	for (size_t i = 0; i < f->fx.count; i++)
		if (f->fx.items[i].type == type)
			return true;
	return false;
}

static inline void
assert_span(struct span s, const char *text)
{
	assert_int_equal(s.len, strlen(text));
	assert_memory_equal(s.ptr, text, s.len);
}

static inline void
run(struct fixture *f)
{
	arrive(f, true);
	assert_true(has(f, EFF_RUN));
	next(f);
	request_on_started(&f->r, 42, 1000, &f->fx);
}

static inline void
succeed(struct fixture *f)
{
	struct run_frame done = {
		.type = RUN_DONE, .id = SPAN("id-1"), .outcome = RUN_RESULT, .result = SPAN("5")
	};

	next(f);
	request_on_frame(&f->r, &done, &now, &f->fx);
}

static inline void
stored(struct fixture *f, enum err e)
{
	next(f);
	request_on_stored(&f->r, e, e == E_OK ? "" : "too big", WALL, &f->fx);
}

#endif
