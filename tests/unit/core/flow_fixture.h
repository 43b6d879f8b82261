/* Signatures as Celery writes them, and tasks that end, for the tests of what follows. */
#ifndef WARREN_TESTS_FLOW_FIXTURE_H
#define WARREN_TESTS_FLOW_FIXTURE_H

#include "lib/torture.h"

#include "core/flow.h"

#define NOW ((us_t)1800000000 * 1000000)
#define PLAIN(name, args, options) \
	"{\"task\": \"" name "\", \"args\": " args ", \"kwargs\": {}, \"options\": " options \
	", \"subtask_type\": null, \"immutable\": false}"

#define GROUP(tasks, options) \
	"{\"task\": \"celery.group\", \"args\": [], \"kwargs\": {\"tasks\": [" tasks \
	"]}, \"options\": " options ", \"subtask_type\": \"group\", \"immutable\": false}"
#define CHAIN(tasks, options) \
	"{\"task\": \"celery.chain\", \"args\": [], \"kwargs\": {\"tasks\": [" tasks \
	"]}, \"options\": " options ", \"subtask_type\": \"chain\", \"immutable\": false}"
#define CHORD(header, body, options) \
	"{\"task\": \"celery.chord\", \"args\": [], \"kwargs\": {\"kwargs\": {}, \"header\": [" header \
	"], \"body\": " body "}, \"options\": " options \
	", \"subtask_type\": \"chord\", \"immutable\": false}"

static struct errtext said;

static inline enum err
succeed(struct flow *f, const struct task *t, const char *result, us_t now)
{
	struct flow_end end = { .state = SPAN("SUCCESS"), .value = span_of(result), .now = now };

	return flow_on_end(f, t, &end, &said);
}

static inline enum err
end_badly(struct flow *f, const struct task *t, const char *state)
{
	struct flow_end end = { .state = span_of(state),
		.value = SPAN("{\"exc_type\": \"E\"}"),
		.traceback = SPAN("trace"),
		.now = NOW };

	return flow_on_end(f, t, &end, &said);
}

static inline const struct flow_step *
step_of(const struct flow *f, const char *name, size_t nth)
{
	for (size_t i = 0; i < f->count; i++)
		if (span_is(f->steps[i].call.name, name) && nth-- == 0)
			return &f->steps[i];
	fail_msg("no step %s among %zu", name, f->count);
	return NULL;
}

static inline struct task
task_of(const char *callbacks, const char *errbacks, const char *chain)
{
	return (struct task){
		.protocol = 2,
		.id = SPAN("id-1"),
		.name = SPAN("add"),
		.root_id = SPAN("root"),
		.args = SPAN("[]"),
		.kwargs = SPAN("{}"),
		.callbacks = span_of(callbacks),
		.errbacks = span_of(errbacks),
		.chain = span_of(chain),
	};
}

#endif
