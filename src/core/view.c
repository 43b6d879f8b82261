/*
 * See view.h. Celery's order of the states decides which event changes a state and which only adds what it knows; a retry begins a new
 * round, so it changes the state always, and so does what follows it.
 */
#include "core/view.h"

#include "base/alloc.h"

#define TASKS_MAX 10000
#define WORKERS_MAX 1000
#define NAMES_MAX 1000
#define TEXT_MAX ((size_t)1024)
/* Celery's, for a worker that does not say its own. */
#define FREQ_DEFAULT 60.0
/* What is more is no interval at which somebody shows signs of life. */
#define FREQ_MAX 86400.0
/* Heartbeats that may be missed. */
#define FREQ_WINDOW 2.0
#define SECOND 1000000

/* What an event of a task does. `rank`: Celery's precedence, a lower one happens later. */
static const struct rule {
	enum view_state state;
	int rank;
	enum view_count count; /* VIEW_COUNTS: in no sum */
} rules[] = {
	[EVENT_TASK_SENT] = { VIEW_PENDING, 8, VIEW_COUNTS },
	[EVENT_TASK_RECEIVED] = { VIEW_RECEIVED, 5, VIEW_COUNT_RECEIVED },
	[EVENT_TASK_STARTED] = { VIEW_STARTED, 4, VIEW_COUNT_STARTED },
	[EVENT_TASK_SUCCEEDED] = { VIEW_SUCCESS, 0, VIEW_COUNT_SUCCEEDED },
	[EVENT_TASK_FAILED] = { VIEW_FAILURE, 1, VIEW_COUNT_FAILED },
	[EVENT_TASK_RETRIED] = { VIEW_RETRY, 7, VIEW_COUNT_RETRIED },
	[EVENT_TASK_REVOKED] = { VIEW_REVOKED, 3, VIEW_COUNT_REVOKED },
	[EVENT_TASK_REJECTED] = { VIEW_REJECTED, 6, VIEW_COUNTS },
};

const char *
view_state_name(enum view_state s)
{
	static const char *const names[VIEW_STATES] = { "PENDING", "RECEIVED", "STARTED", "SUCCESS",
		"FAILURE", "RETRY", "REVOKED", "REJECTED" };

	return names[s];
}

static int
rank_of(enum view_state s)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(rules); i++)
		if (rules[i].state == s)
			return rules[i].rank;
	return 0;
}

/* --- memory ------------------------------------------------------------------------------------------------------------ */

static void
task_free(struct view_task *t)
{
	size_t i;

	list_unlink(&t->link);
	for (i = 0; i < VIEW_TEXTS; i++)
		alloc_free(t->texts[i]);
	alloc_free(t->id);
	alloc_free(t);
}

static void
worker_free(void *p)
{
	struct view_worker *w = p;

	alloc_free(w->name);
	alloc_free(w->software);
	alloc_free(w->version);
	alloc_free(w->system);
	alloc_free(w);
}

static void
sums_free(void *p)
{
	struct view_sums *s = p;

	alloc_free(s->name);
	alloc_free(s);
}

void
view_init(struct view *v, const struct view_limits *limits)
{
	memset(v, 0, sizeof(*v));
	if (limits != NULL)
		v->limits = *limits;
	if (v->limits.tasks == 0)
		v->limits.tasks = TASKS_MAX;
	if (v->limits.workers == 0)
		v->limits.workers = WORKERS_MAX;
	if (v->limits.names == 0)
		v->limits.names = NAMES_MAX;
	if (v->limits.text == 0)
		v->limits.text = TEXT_MAX;
	map_init(&v->tasks);
	map_init(&v->workers);
	map_init(&v->names);
	list_init(&v->order);
}

void
view_release(struct view *v)
{
	struct list *it, *tmp;

	if (v->order.next == NULL)
		return;
	LIST_EACH (&v->order, it, tmp)
		task_free(container_of(it, struct view_task, link));
	map_release(&v->tasks, NULL);
	map_release(&v->workers, worker_free);
	map_release(&v->names, sums_free);
}

/* A new text replaces the old one; an absent one leaves it. Cut between characters. */
static enum err
set_text(char **to, struct span text, size_t max)
{
	char *copy;

	if (text.ptr == NULL)
		return E_OK;
	if (text.len > max) {
		text.len = max;
		while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xc0) == 0x80)
			text.len--;
	}
	if (*to != NULL && span_is(text, *to))
		return E_OK;
	copy = alloc_dup(text);
	if (copy == NULL)
		return E_NOMEM;
	alloc_free(*to);
	*to = copy;
	return E_OK;
}

/* --- sums -------------------------------------------------------------------------------------------------------------- */

/* Moves the ring on to this second; what is passed over is empty. */
static void
sums_turn(struct view_sums *s, int64_t second)
{
	int64_t gap = second - s->second;

	if (gap <= 0)
		return;
	for (; gap > 0 && gap <= VIEW_SECONDS; gap--)
		s->ended[(second - gap + 1) % VIEW_SECONDS] = 0;
	if (second - s->second > VIEW_SECONDS)
		memset(s->ended, 0, sizeof(s->ended));
	s->second = second;
}

static void
sums_add(struct view_sums *s, const struct evt *e, enum view_count what, us_t now)
{
	s->total[what]++;
	if (what == VIEW_COUNT_SUCCEEDED) {
		s->runtime += e->runtime;
		if (e->runtime > s->runtime_max)
			s->runtime_max = e->runtime;
	}
	if (what != VIEW_COUNT_SUCCEEDED && what != VIEW_COUNT_FAILED)
		return;
	sums_turn(s, now / SECOND);
	s->ended[s->second % VIEW_SECONDS]++;
}

double
view_rate(const struct view_sums *s, us_t now, int seconds)
{
	int64_t last = now / SECOND - 1, i;
	uint64_t n = 0;

	assert(seconds > 0 && seconds < VIEW_SECONDS);
	for (i = last; i > last - seconds; i--)
		if (i <= s->second && i > s->second - VIEW_SECONDS)
			n += s->ended[i % VIEW_SECONDS];
	return (double)n / seconds;
}

/* NULL: out of memory, or there are too many names. */
static struct view_sums *
sums_of(struct view *v, const char *name)
{
	struct span key = span_of(name);
	struct view_sums *s = map_get(&v->names, key);

	if (s != NULL || v->names.count >= v->limits.names)
		return s;
	s = alloc_zero(sizeof(*s));
	if (s == NULL)
		return NULL;
	s->name = alloc_dup(key);
	if (s->name == NULL || map_set(&v->names, key, s, NULL) != E_OK) {
		sums_free(s);
		return NULL;
	}
	return s;
}

/* --- workers ----------------------------------------------------------------------------------------------------------- */

bool
view_worker_lives(const struct view_worker *w, us_t now)
{
	return !w->is_offline && (double)(now - w->seen) < w->freq * FREQ_WINDOW * SECOND;
}

/* Room for one more: whoever was silent for the longest time goes. */
static void
forget_worker(struct view *v)
{
	struct map_iter it = { .entry = NULL };
	struct view_worker *oldest = NULL;

	while (map_next(&v->workers, &it)) {
		struct view_worker *w = it.value;

		if (oldest == NULL || w->seen < oldest->seen)
			oldest = w;
	}
	if (oldest == NULL)
		return;
	map_del(&v->workers, span_of(oldest->name));
	worker_free(oldest);
}

static struct view_worker *
worker_of(struct view *v, struct span name)
{
	struct view_worker *w = map_get(&v->workers, name);

	if (w != NULL)
		return w;
	if (v->workers.count >= v->limits.workers)
		forget_worker(v);
	w = alloc_zero(sizeof(*w));
	if (w == NULL)
		return NULL;
	w->freq = FREQ_DEFAULT;
	w->pid = -1;
	w->name = alloc_dup(name);
	if (w->name == NULL || map_set(&v->workers, name, w, NULL) != E_OK) {
		worker_free(w);
		return NULL;
	}
	return w;
}

/* An answer to "are you there" may hold only part of the members; what is not said stays. */
static enum err
on_worker(struct view *v, const struct evt *e, us_t now)
{
	struct view_worker *w = worker_of(v, e->hostname);
	enum err err;

	if (w == NULL)
		return E_NOMEM;
	w->seen = now;
	w->is_offline = e->type == EVENT_WORKER_OFFLINE;
	if (e->pid >= 0)
		w->pid = e->pid;
	if (e->freq > 0 && e->freq < FREQ_MAX)
		w->freq = e->freq;
	if (jscan_member(e->json, "active").ptr != NULL)
		w->active = e->active;
	if (jscan_member(e->json, "processed").ptr != NULL)
		w->processed = e->processed;
	if (jscan_member(e->json, "loadavg").ptr != NULL)
		memcpy(w->loadavg, e->loadavg, sizeof(w->loadavg));
	err = set_text(&w->software, e->sw_ident, v->limits.text);
	if (err == E_OK)
		err = set_text(&w->version, e->sw_ver, v->limits.text);
	return err == E_OK ? set_text(&w->system, e->sw_sys, v->limits.text) : err;
}

/* --- tasks ------------------------------------------------------------------------------------------------------------- */

static void
forget_task(struct view *v)
{
	struct view_task *t = container_of(v->order.next, struct view_task, link);

	v->by_state[t->state]--;
	map_del(&v->tasks, span_of(t->id));
	task_free(t);
}

static struct view_task *
task_of(struct view *v, struct span id)
{
	struct view_task *t = map_get(&v->tasks, id);

	if (t != NULL) {
		list_unlink(&t->link);
		list_push(&v->order, &t->link);
		return t;
	}
	if (v->tasks.count >= v->limits.tasks)
		forget_task(v);
	t = alloc_zero(sizeof(*t));
	if (t == NULL)
		return NULL;
	t->id = alloc_dup(id);
	if (t->id == NULL || map_set(&v->tasks, id, t, NULL) != E_OK) {
		alloc_free(t->id);
		alloc_free(t);
		return NULL;
	}
	list_push(&v->order, &t->link);
	v->by_state[t->state]++;
	return t;
}

/* What an event of its type says; the others are absent. */
static enum err
take_texts(struct view *v, struct view_task *t, const struct evt *e)
{
	const struct {
		enum view_text to;
		struct span text;
	} all[] = {
		{ VIEW_NAME, e->name },
		{ VIEW_ARGS, e->args },
		{ VIEW_KWARGS, e->kwargs },
		{ VIEW_ROOT_ID, e->root_id },
		{ VIEW_PARENT_ID, e->parent_id },
		{ VIEW_ETA, e->eta },
		{ VIEW_EXPIRES, e->expires },
		{ VIEW_QUEUE, e->queue },
		{ VIEW_EXCHANGE, e->exchange },
		{ VIEW_ROUTING_KEY, e->routing_key },
		{ VIEW_RESULT, e->result },
		{ VIEW_EXCEPTION, e->exception },
		{ VIEW_TRACEBACK, e->traceback },
	};
	enum err err = E_OK;
	size_t i;

	for (i = 0; err == E_OK && i < ARRAY_LEN(all); i++)
		err = set_text(&t->texts[all[i].to], all[i].text, v->limits.text);
	if (e->type == EVENT_TASK_SENT || e->type == EVENT_TASK_RECEIVED)
		t->retries = e->retries;
	if (e->type == EVENT_TASK_SUCCEEDED)
		t->runtime = e->runtime;
	return err;
}

static void
merge_state(struct view *v, struct view_task *t, const struct evt *e)
{
	const struct rule *r = &rules[e->type];

	t->times[r->state] = e->timestamp;
	if (r->state != VIEW_RETRY && t->state != VIEW_RETRY && r->rank > rank_of(t->state))
		return;
	v->by_state[t->state]--;
	t->state = r->state;
	v->by_state[t->state]++;
	t->timestamp = e->timestamp;
	if (e->clock >= 0)
		t->clock = e->clock;
}

static enum err
on_task(struct view *v, const struct evt *e, us_t now)
{
	enum view_count count = rules[e->type].count;
	struct view_worker *w = NULL;
	struct view_task *t = task_of(v, e->uuid);
	struct view_sums *sums;
	enum err err;

	if (t == NULL)
		return E_NOMEM;
	merge_state(v, t, e);
	err = take_texts(v, t, e);
	if (err == E_OK)
		err = set_text(&t->texts[e->type == EVENT_TASK_SENT ? VIEW_CLIENT : VIEW_WORKER], e->hostname,
			v->limits.text);
	if (e->type != EVENT_TASK_SENT) {
		w = worker_of(v, e->hostname);
		if (w == NULL)
			return E_NOMEM;
		w->seen = now;
	}
	if (count == VIEW_COUNTS)
		return err;
	sums_add(&v->sums, e, count, now);
	sums = t->texts[VIEW_NAME] != NULL ? sums_of(v, t->texts[VIEW_NAME]) : NULL;
	if (sums != NULL)
		sums_add(sums, e, count, now);
	return err;
}

enum err
view_on_event(struct view *v, const struct evt *e, us_t now)
{
	v->events++;
	if (e->hostname.len == 0 || (e->type != EVENT_OTHER && evt_is_of_task(e->type) && e->uuid.len == 0)) {
		v->nameless++;
		return E_OK;
	}
	if (e->type == EVENT_OTHER)
		return E_OK;
	return evt_is_of_task(e->type) ? on_task(v, e, now) : on_worker(v, e, now);
}

const struct view_task *
view_find_task(const struct view *v, struct span id)
{
	return map_get(&v->tasks, id);
}

const struct view_task *
view_older(const struct view *v, const struct view_task *t)
{
	const struct list *at = t == NULL ? v->order.prev : t->link.prev;

	return at == &v->order ? NULL : container_of((struct list *)(uintptr_t)at, struct view_task, link);
}
