/* A backend over a scripted Redis. */
#ifndef WARREN_TESTS_BACKEND_FIXTURE_H
#define WARREN_TESTS_BACKEND_FIXTURE_H

#include "fake/fakeredis.h"

#include "backend/backend.h"

struct world {
	struct backend *b;
	struct fake f;
	int n_up, n_down;
};

static inline void
world_on_up(void *p)
{
	((struct world *)p)->n_up++;
}

static inline void
world_on_down(void *p, const char *url, const char *why, ms_t retry_ms, bool was_up)
{
	(void)url, (void)why, (void)retry_ms, (void)was_up;
	((struct world *)p)->n_down++;
}

static const struct backend_events world_events = { .on_up = world_on_up, .on_down = world_on_down };

/* Answers what a backend asks on each connect. */
static inline void
world_connect(struct world *w)
{
	fake_hello(&w->f);
	fake_command(&w->f, "SCRIPT LOAD ");
	fake_say(&w->f, "$3\r\nSHA\r\n");
}

static inline void
world_open(struct world *w, struct loop *l, struct backend_conf conf)
{
	struct errtext t = { "" };

	*w = (struct world){ 0 };
	fake_start(&w->f, l);
	conf.url = w->f.url;
	if (backend_open(&w->b, l, &conf, &world_events, w, &t) != E_OK)
		fail_msg("%s", t.text);
	world_connect(w);
	TURN_UNTIL(l, w->n_up == 1);
}

static inline void
world_close(struct world *w)
{
	backend_close(w->b);
	w->b = NULL;
	loop_turn(w->f.l, 0);
	fake_stop(&w->f);
}

static inline struct result
result_of(const char *id, const char *state, const char *value)
{
	return (struct result){ .task_id = span_of(id), .state = span_of(state), .value = span_of(value) };
}

#endif
