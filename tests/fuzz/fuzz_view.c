/*
 * Events of anybody on the broker, one message body a line, into one small picture of a cluster, which keeps to its bounds whatever they say. A line
 * that is a list is the arguments of a task too: keys of rate limits are looked for in it.
 */
#include "fuzz.h"

#include "core/limit.h"
#include "core/view.h"

#define TEXT 16

static void
check_bounds(const struct view *v)
{
	const struct view_task *t = NULL;
	size_t n = 0, by_state = 0, i;

	while ((t = view_older(v, t)) != NULL) {
		n++;
		for (i = 0; i < VIEW_TEXTS; i++)
			CHECK(t->texts[i] == NULL || strlen(t->texts[i]) <= TEXT);
	}
	for (i = 0; i < VIEW_STATES; i++)
		by_state += v->by_state[i];
	CHECK(n == v->tasks.count && n == by_state && n <= v->limits.tasks);
	CHECK(v->workers.count <= v->limits.workers && v->names.count <= v->limits.names);
}

static void
check_keys(struct span args)
{
	static const char *const paths[] = { "args.0", "args.1.a", "args.0.0.0", "kwargs.a.b" };
	struct buf b;
	size_t i;

	buf_init(&b, 0);
	for (i = 0; i < ARRAY_LEN(paths); i++) {
		buf_reset(&b);
		limit_add_key(&b, span_of(paths[i]), args, args);
		CHECK(b.len <= 200);
	}
	buf_release(&b);
}

static void
take(struct view *v, struct span body, us_t now)
{
	struct evt_reader r;
	struct evt e;
	struct msg m;

	msg_init(&m, 0);
	m.body = body;
	if (evt_begin(&r, &m, NULL) == E_OK) {
		check_keys(span_trim(body));
		while (evt_next(&r, &e))
			CHECK(view_on_event(v, &e, now) == E_OK);
	}
	msg_release(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view_limits limits = { .tasks = 3, .workers = 2, .names = 2, .text = TEXT };
	struct span rest = { (const char *)data, size };
	us_t now = 1700000000;
	struct view v;

	view_init(&v, &limits);
	while (rest.ptr != NULL) {
		now += 700000;
		take(&v, span_split(&rest, '\n'), now);
		check_bounds(&v);
		CHECK(view_rate(&v.sums, now, 10) >= 0);
	}
	view_release(&v);
	return 0;
}
