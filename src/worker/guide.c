/*
 * Questions go out in order, a few frames ahead, and are answered in order. A question of many steps takes several frames, so that none grows
 * without bound; what is answered is not asked again.
 *
 *   guide_ask -> waiting -> asked -> (waiting, for the next frame, or after the end of the process) -> fn
 *
 * A router that raises is an answer: the question fails. A process that ends, or does not answer in time, is replaced, and what it owed is asked
 * again; only the question it was at counts that, and fails after a few. While no process gets up, questions wait, and with them the deliveries
 * that they are about, unacknowledged.
 */
#include "worker/guide.h"

#include <signal.h>
#include <stdio.h>

#include "base/backoff.h"
#include "base/id.h"
#include "base/log.h"
#include "core/address.h"
#include "wire/result.h"
#include "worker/pool.h"
#include "worker/state.h"

/* Frames under way: while it is at one, the next is there already. */
#define ASKED_MAX 8
/* A frame is closed once it has so much in it. */
#define FRAME_BYTES (1 << 20)
#define DEATHS_MAX 3
#define ENDING_MS 3000

static void pump(struct guide *g);

static struct loop *
guide_loop(const struct guide *g)
{
	return g->pool->worker->loop;
}

/* --- questions ---------------------------------------------------------------------------------------------------------- */

struct question *
guide_ask(struct guide *g, const struct flow *f, void (*fn)(void *owner), void *owner)
{
	struct question *q;

	if (!g->is_wanted || f->count == 0)
		return NULL;
	q = must_alloc(sizeof(*q));
	*q = (struct question){ .flow = f, .fn = fn, .owner = owner };
	arena_init(&q->arena, 0);
	q->answers = must_alloc(f->count * sizeof(*q->answers));
	list_push(&g->waiting, &q->link);
	pump(g);
	return q;
}

const struct routing_answer *
question_answer(const struct question *q, size_t step)
{
	return q != NULL && q->err == E_OK ? &q->answers[step] : NULL;
}

static void
drop(struct question *q)
{
	list_unlink(&q->link);
	alloc_free(q->answers);
	arena_release(&q->arena);
	alloc_free(q);
}

void
question_free(struct question *q)
{
	if (q == NULL)
		return;
	/* Its answer is on its way all the same. */
	if (q->is_asked)
		q->fn = NULL;
	else
		drop(q);
}

static void
end(struct question *q, enum err e)
{
	list_unlink(&q->link);
	q->err = e;
	q->fn(q->owner);
}

/* No longer under way. False when nobody waits for it: it is gone. */
static bool
take_back(struct guide *g, struct question *q)
{
	list_unlink(&q->link);
	q->is_asked = false;
	g->n_asked--;
	if (q->fn != NULL)
		return true;
	drop(q);
	return false;
}

/* --- asking -------------------------------------------------------------------------------------------------------------- */

static void
guide_kill(struct guide *g, const char *why)
{
	if (g->why[0] == '\0')
		snprintf(g->why, sizeof(g->why), "%s", why);
	g->state = GUIDE_ENDING;
	child_signal_group(g->child, SIGKILL);
	loop_timer_arm(&g->timer, ENDING_MS);
}

static void
retire(struct guide *g)
{
	static const char stop[] = "{\"stop\":{}}\n";

	g->state = GUIDE_ENDING;
	g->retired = true;
	if (stream_write(g->channel, SPAN(stop)) != E_OK)
		child_signal_group(g->child, SIGTERM);
	loop_timer_arm(&g->timer, ENDING_MS);
}

/* Raw parts may come from elsewhere than a message, and then on several lines: between tokens a blank does as well. */
static void
blank_newlines(struct buf *b)
{
	char *p = b->data;

	while (b->err == E_OK && (p = memchr(p, '\n', (size_t)(b->data + b->len - p))) != NULL)
		*p = ' ';
}

static enum err
send(struct guide *g, struct question *q)
{
	struct worker *w = g->pool->worker;
	struct run_frame f = { .type = RUN_ROUTE };
	char id[24];

	buf_reset(&w->part);
	buf_addc(&w->part, '[');
	q->from = q->done;
	for (q->to = q->from; q->to < q->flow->count && w->part.len < FRAME_BYTES; q->to++) {
		if (q->to > q->from)
			buf_addc(&w->part, ',');
		address_add_call(&w->part, &q->flow->steps[q->to]);
	}
	buf_addc(&w->part, ']');
	blank_newlines(&w->part);
	snprintf(id, sizeof(id), "%llu", (unsigned long long)++g->serial);
	q->serial = g->serial;
	f.id = span_of(id);
	f.calls = buf_span(&w->part);
	buf_reset(&w->frame);
	run_encode(&w->frame, &f);
	if (w->part.err != E_OK || w->frame.err != E_OK)
		abort(); /* out of memory */
	return stream_write(g->channel, buf_span(&w->frame));
}

static void
expect_answer(struct guide *g)
{
	loop_timer_arm(&g->timer, g->pool->worker->conf->route_ms);
}

static void
pump(struct guide *g)
{
	while (g->state == GUIDE_UP && !g->is_old && g->n_asked < ASKED_MAX && !list_is_empty(&g->waiting)) {
		struct question *q = container_of(g->waiting.next, struct question, link);
		enum err e = send(g, q);

		/* Full: the next answer makes room. */
		if (e == E_AGAIN && g->n_asked > 0)
			return;
		if (e != E_OK) {
			guide_kill(g, "could not be asked: its channel is closed or full");
			return;
		}
		list_unlink(&q->link);
		list_push(&g->asked, &q->link);
		q->is_asked = true;
		if (g->n_asked++ == 0)
			expect_answer(g);
	}
	if (g->state == GUIDE_UP && g->is_old && g->n_asked == 0)
		retire(g);
}

/* --- what it says --------------------------------------------------------------------------------------------------------- */

/* The next ones of those that were asked for; one frame need not have all. */
static bool
read_routes(struct question *q, struct span routes, struct errtext *why)
{
	size_t n = jscan_count(routes);
	struct jscan_iter it;

	if (n == 0 || n > q->to - q->done || !jscan_begin(&it, routes)) {
		err_set(why, E_FORMAT, "%zu routes for %zu calls", n, q->to - q->done);
		return false;
	}
	for (; n > 0 && jscan_next(&it); n--, q->done++)
		if (q->fn != NULL &&
			routing_read_answer(&q->answers[q->done], it.value, &q->arena, why) != E_OK)
			return false;
	q->deaths = 0;
	return true;
}

static void
refuse(struct question *q, const struct run_frame *f)
{
	struct result_error error = {
		.type = f->error.type, .module = f->error.module, .message = f->error.message
	};
	size_t step = q->from + (size_t)f->place;
	struct buf text;

	buf_init(&text, 0);
	result_add_error_text(&text, &error);
	err_set(&q->why, E_REFUSED, "the application's routers raised %.300s for its follow-up %.*s",
		buf_text(&text), SPAN_FMT(q->flow->steps[step < q->to ? step : q->done].call.name));
	buf_release(&text);
	end(q, E_REFUSED);
}

static bool
on_routed(struct guide *g, const struct run_frame *f, struct errtext *why)
{
	struct question *q = container_of(g->asked.next, struct question, link);
	char id[24];

	snprintf(id, sizeof(id), "%llu", g->n_asked > 0 ? (unsigned long long)q->serial : 0);
	if (g->n_asked == 0 || !span_is(f->id, id)) {
		err_set(why, E_FORMAT, "an answer that nobody waits for");
		return false;
	}
	/* Still the head of those asked, should the answer be no good: it is to blame then. */
	if (f->routes.ptr != NULL && !read_routes(q, f->routes, why))
		return false;
	/* One that was asked to end keeps the time it has for that. */
	if (g->state == GUIDE_UP)
		expect_answer(g);
	if (f->routes.ptr != NULL && q->done < q->to)
		return true;
	if (g->n_asked == 1 && g->state == GUIDE_UP)
		loop_timer_disarm(&g->timer);
	if (!take_back(g, q))
		return true;
	if (f->routes.ptr == NULL)
		refuse(q, f);
	else if (q->done == q->flow->count)
		end(q, E_OK);
	else
		list_push(&g->waiting, &q->link);
	return true;
}

/* Other code than the one that has said it has routers. */
static void
dismiss(struct guide *g)
{
	struct list *it, *tmp;

	g->is_wanted = false;
	LIST_EACH (&g->waiting, it, tmp)
		end(container_of(it, struct question, link), E_MISSING);
	if (g->state == GUIDE_UP)
		retire(g);
}

static bool
on_hello_of_child(struct guide *g, const struct run_frame *f)
{
	if (g->state != GUIDE_STARTING)
		return g->state == GUIDE_ENDING;
	if (f->protocol != RUN_PROTOCOL)
		return false;
	g->failures = 0;
	g->said_hello = true;
	g->state = GUIDE_UP;
	loop_timer_disarm(&g->timer);
	if (!f->takes_routes)
		dismiss(g);
	else
		g->is_wanted = true;
	return true;
}

static bool
on_line(struct guide *g, struct span line, struct errtext *why)
{
	struct run_frame f;
	struct arena a;
	bool fine = false;

	arena_init(&a, 0);
	why->text[0] = '\0';
	if (run_decode(&f, line, &a, NULL, why) == E_OK) {
		if (f.type == RUN_HELLO)
			fine = on_hello_of_child(g, &f);
		else if (f.type == RUN_ROUTED)
			fine = on_routed(g, &f, why);
		if (!fine && why->text[0] == '\0')
			err_set(why, E_FORMAT, "a frame that is out of place");
	}
	arena_release(&a);
	return fine;
}

static void
on_data(void *owner, struct span bytes)
{
	struct guide *g = owner;
	struct errtext t;
	struct span line;
	char why[256];
	enum err e;

	if (g->why[0] != '\0')
		return;
	e = run_reader_feed(&g->reader, bytes);
	while (e == E_OK && g->why[0] == '\0' && (e = run_reader_next(&g->reader, &line)) == E_OK) {
		if (on_line(g, line, &t))
			continue;
		snprintf(why, sizeof(why), "does not speak the runner protocol: %.160s", t.text);
		guide_kill(g, why);
		return;
	}
	if (e != E_OK && e != E_AGAIN)
		guide_kill(g, "sent a line that is too long");
	else
		pump(g);
}

/* --- start and end ---------------------------------------------------------------------------------------------------------- */

static void
close_all(struct guide *g)
{
	stream_close(g->channel);
	g->channel = NULL;
	output_close(&g->out);
	output_close(&g->err);
	run_reader_release(&g->reader);
	if (g->child != NULL) {
		child_close(g->child);
		g->child = NULL;
		sweep_after(&g->pool->worker->sweep, g->mark);
	}
	loop_timer_disarm(&g->timer);
	list_unlink(&g->link);
	g->state = GUIDE_DOWN;
}

/* What it owed is asked again, before all else. The one it was at is told apart: NULL, or it has cost too many processes. */
static struct question *
take_all_back(struct guide *g)
{
	struct question *first = NULL;

	if (g->n_asked > 0 && !g->retired)
		first = container_of(g->asked.next, struct question, link);
	while (!list_is_empty(&g->asked)) {
		struct question *q = container_of(g->asked.prev, struct question, link);

		if (take_back(g, q))
			list_push_front(&g->waiting, &q->link);
		else if (q == first)
			first = NULL;
	}
	return first != NULL && ++first->deaths >= DEATHS_MAX ? first : NULL;
}

static void
start_later(struct guide *g)
{
	g->failures++;
	loop_timer_arm(&g->timer, backoff_full_jitter(200, 30000, g->failures, id_random_u64()));
}

/* After one that has served, at once. */
static void
start_again(struct guide *g, const char *how)
{
	if (g->stopping) {
		pool_on_guide_down(g->pool);
		return;
	}
	if (!g->said_hello) {
		LOG(GUIDE_FAILED, LOG_STR("pool", g->pool->conf->name), LOG_STR("how", how));
		start_later(g);
		return;
	}
	if (!g->retired)
		LOG(GUIDE_ENDED, LOG_STR("pool", g->pool->conf->name), LOG_STR("how", how));
	if (g->is_wanted || !list_is_empty(&g->waiting))
		loop_timer_arm(&g->timer, 0);
}

static void
on_exit_of_child(void *owner, const struct child_end *exit)
{
	struct guide *g = owner;
	struct question *guilty;
	struct buf how;

	buf_init(&how, 0);
	/* Its last words are still in the pipes. */
	output_close(&g->err);
	if (g->why[0] != '\0') {
		buf_adds(&how, g->why);
	} else {
		if (exit->signaled)
			buf_adds(&how, "was ");
		child_add_end(&how, exit);
		if (g->err.last[0] != '\0')
			buf_addf(&how, "; its last words: %s", g->err.last);
	}
	close_all(g);
	guilty = take_all_back(g);
	start_again(g, buf_text(&how));
	if (guilty != NULL) {
		err_set(&guilty->why, E_REFUSED,
			"the process that asks the application's routers about its follow-ups %.300s, %d times",
			buf_text(&how), DEATHS_MAX);
		end(guilty, E_REFUSED);
	}
	buf_release(&how);
}

static void
on_channel_close(void *owner, enum err e UNUSED, const char *why UNUSED)
{
	struct guide *g = owner;

	if (g->state == GUIDE_ENDING)
		return;
	/* Most often it is about to end by itself: then that says more than a signal of ours. */
	g->state = GUIDE_ENDING;
	loop_timer_arm(&g->timer, ENDING_MS);
}

static void
on_timer(void *owner)
{
	struct guide *g = owner;
	char why[80];

	switch (g->state) {
	case GUIDE_DOWN:
		guide_start(g);
		break;
	case GUIDE_STARTING:
		guide_kill(g, "did not say hello in time");
		break;
	case GUIDE_UP:
		snprintf(why, sizeof(why), "did not answer within %g s",
			(double)g->pool->worker->conf->route_ms / 1000);
		guide_kill(g, why);
		break;
	case GUIDE_ENDING:
		child_signal_group(g->child, SIGKILL);
		loop_timer_arm(&g->timer, ENDING_MS);
		break;
	}
}

static enum err
open_streams(struct guide *g, struct errtext *t)
{
	static const struct stream_ops ops = { .on_data = on_data, .on_close = on_channel_close };
	/* Frames are bounded, but for one call that is bigger. */
	struct stream_conf conf = { .write_max = (size_t)g->pool->worker->conf->message_max * 2 +
			ASKED_MAX * FRAME_BYTES };
	enum err e;

	e = stream_adopt(&g->channel, guide_loop(g), child_take_channel(g->child), &conf, &ops, g, t);
	return e == E_OK ? output_open_both(&g->out, &g->err, g->pool, NULL, &g->tail, g->child, t) : e;
}

void
guide_start(struct guide *g)
{
	static const struct child_ops ops = { .on_exit = on_exit_of_child };
	struct errtext t;
	enum err e;

	if (nest_must_wait(&g->pool->nest, &g->link))
		return;
	g->is_old = g->retired = g->said_hello = false;
	g->why[0] = g->out.last[0] = g->err.last[0] = '\0';
	tail_reset(&g->tail);
	run_reader_init(&g->reader, (size_t)g->pool->worker->conf->result_max);
	e = pool_spawn(g->pool, &g->child, g->mark, &ops, g, &t);
	if (e == E_OK)
		e = open_streams(g, &t);
	if (e != E_OK) {
		close_all(g);
		LOG(GUIDE_FAILED, LOG_STR("pool", g->pool->conf->name), LOG_STR("how", t.text));
		start_later(g);
		return;
	}
	g->state = GUIDE_STARTING;
	loop_timer_arm(&g->timer, pool_start_ms(g->pool));
}

void
guide_on_hello(struct guide *g, const struct run_frame *f)
{
	/* One without is of other code, and the guide will be replaced too: it hears that by itself. */
	if (!f->takes_routes || g->is_wanted || g->stopping)
		return;
	g->is_wanted = true;
	if (g->state == GUIDE_DOWN && !g->timer.armed && !list_is_linked(&g->link))
		guide_start(g);
}

void
guide_renew(struct guide *g)
{
	if (g->state == GUIDE_STARTING || g->state == GUIDE_UP)
		g->is_old = true;
	pump(g);
}

void
guide_stop(struct guide *g, bool at_once)
{
	g->stopping = true;
	if (g->state == GUIDE_DOWN) {
		loop_timer_disarm(&g->timer);
		list_unlink(&g->link);
	} else if (at_once) {
		guide_kill(g, "was ended because the worker stopped");
	} else if (g->state != GUIDE_ENDING) {
		retire(g);
	}
}

bool
guide_is_down(const struct guide *g)
{
	return g->state == GUIDE_DOWN;
}

void
guide_init(struct guide *g, struct pool *p)
{
	memset(g, 0, sizeof(*g));
	g->pool = p;
	list_init(&g->waiting);
	list_init(&g->asked);
	if (loop_timer_init(&g->timer, p->worker->loop, on_timer, g) != E_OK)
		abort();
}

/* Those who have asked are gone; what nobody waits for is ours. */
void
guide_release(struct guide *g)
{
	if (g->pool == NULL)
		return;
	if (g->child != NULL || g->channel != NULL)
		close_all(g);
	list_unlink(&g->link);
	while (!list_is_empty(&g->asked))
		(void)take_back(g, container_of(g->asked.next, struct question, link));
	loop_timer_release(&g->timer);
}
