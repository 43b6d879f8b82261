/*
 * The life of a template process, and of what it is asked for.
 *
 *   starting -> up -> retired -> ending -> gone          starting, up -> gone, when it dies
 *
 * Retired: another takes its place, and it only lives until its children have ended, since they end with it. One that does not answer is
 * retired as well, and its children go on with what they run. When a template dies the kernel kills its children; their tasks are lost and get
 * another run, like those of any child that dies.
 */
#include "worker/template.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/id.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/fdlink.h"
#include "wire/fork.h"
#include "wire/run.h"
#include "worker/childenv.h"
#include "worker/output.h"
#include "worker/state.h"

/* A fork takes some milliseconds, also of a large process on a busy machine; or as long as a pool's child may take to start, if that is less. */
#define ANSWER_MS 10000
#define ENDING_MS 3000
#define START_MS 60000
#define LINE_MAX_BYTES (16 << 20)

enum template_state { TEMPLATE_STARTING, TEMPLATE_UP, TEMPLATE_RETIRED, TEMPLATE_ENDING };

struct template
{
	struct list link; /* nest.templates */
	struct nest *nest;
	enum template_state state;
	bool was_up, is_stuck;
	bool is_old; /* before it was up */
	struct child *child;
	struct fdlink control;
	struct run_reader reader;
	int fd; /* the pidfd that came with the bytes that are read now; -1 = none */
	struct output out, err;
	struct tail tail;
	char mark[SWEEP_MARK_MAX];
	struct list forks;
	size_t unanswered; /* forks, and ends that it has not told */
	uint64_t serial;
	struct loop_timer timer; /* starting: hello; up: answers; ending: grace */
	char why[256];           /* why we ended it; "" = it ended by itself */
};

/* One child that was asked for; lives until it is closed and has ended. */
struct fork {
	struct list link; /* template.forks */
	struct template *t;
	struct child *child;
	bool waits;    /* for an answer: that it is there, or how it has ended */
	char slot[24]; /* the word for it in frames */
};

static void template_start(struct nest *n);

static struct loop *
nest_loop(const struct nest *n)
{
	return n->pool->worker->loop;
}

static ms_t
start_ms(const struct template *t)
{
	ms_t own = t->nest->pool->conf->start_ms;

	return own > 0 ? own : START_MS;
}

static ms_t
answer_ms(const struct template *t)
{
	return start_ms(t) < ANSWER_MS ? start_ms(t) : ANSWER_MS;
}

/* --- what it is told --------------------------------------------------------------------------------------------------- */

static void
template_kill(struct template *t, const char *why)
{
	if (t->why[0] == '\0')
		snprintf(t->why, sizeof(t->why), "%s", why);
	t->state = TEMPLATE_ENDING;
	if (t->nest->current == t)
		t->nest->current = NULL;
	child_signal_group(t->child, SIGKILL);
	loop_timer_arm(&t->timer, ENDING_MS);
}

static bool
say(struct template *t, void (*add)(struct buf *b))
{
	struct buf b;
	bool fine;

	buf_init(&b, 0);
	add(&b);
	fine = b.err == E_OK && fdlink_send(&t->control, buf_span(&b), NULL, 0) == E_OK;
	buf_release(&b);
	return fine;
}

/* It has no children any more, and shall have none. */
static void
template_end(struct template *t)
{
	if (t->nest->current == t)
		t->nest->current = NULL;
	t->state = TEMPLATE_ENDING;
	if (t->why[0] == '\0')
		snprintf(t->why, sizeof(t->why), "was asked to end");
	if (t->is_stuck || !say(t, fork_add_stop))
		child_signal_group(t->child, SIGKILL);
	loop_timer_arm(&t->timer, ENDING_MS);
}

static void
template_retire(struct template *t)
{
	if (t->state >= TEMPLATE_RETIRED)
		return;
	t->state = TEMPLATE_RETIRED;
	if (t->nest->current == t)
		t->nest->current = NULL;
	if (list_is_empty(&t->forks))
		template_end(t);
}

static void
reap(struct template *t, struct span slot)
{
	struct buf b;

	buf_init(&b, 0);
	fork_add_reap(&b, slot);
	/* When it cannot be told, the zombie is taken away with it. */
	if (b.err != E_OK || fdlink_send(&t->control, buf_span(&b), NULL, 0) != E_OK)
		template_retire(t);
	buf_release(&b);
}

/* --- its children ------------------------------------------------------------------------------------------------------- */

static void
expect_answer(struct fork *f)
{
	struct template *t = f->t;

	if (f->waits)
		return;
	f->waits = true;
	if (t->unanswered++ == 0 && t->state < TEMPLATE_ENDING)
		loop_timer_arm(&t->timer, answer_ms(t));
}

static void
answered(struct fork *f)
{
	struct template *t = f->t;

	if (!f->waits)
		return;
	f->waits = false;
	t->unanswered--;
	if (t->state >= TEMPLATE_ENDING)
		return;
	if (t->unanswered == 0)
		loop_timer_disarm(&t->timer);
	else
		loop_timer_arm(&t->timer, answer_ms(t));
}

static void
fork_free(struct fork *f)
{
	answered(f);
	list_unlink(&f->link);
	alloc_free(f);
}

static void
on_died(void *maker, struct child *c)
{
	struct fork *f = maker;

	if (f->t->is_stuck)
		child_told_end(c, &(struct child_end){ .unknown = true });
	else
		expect_answer(f);
}

/* Its slot has let go of it, and it has ended. */
static void
on_gone(void *maker, struct child *c)
{
	struct fork *f = maker;
	struct template *t = f->t;

	if (child_pid(c) > 0)
		reap(t, span_of(f->slot));
	fork_free(f);
	if (t->state == TEMPLATE_RETIRED && list_is_empty(&t->forks))
		template_end(t);
}

static struct fork *
find_fork(struct template *t, struct span slot)
{
	struct list *it, *tmp;

	LIST_EACH (&t->forks, it, tmp)
		if (span_is(slot, container_of(it, struct fork, link)->slot))
			return container_of(it, struct fork, link);
	return NULL;
}

static int
take_fd(struct template *t)
{
	int fd = t->fd;

	t->fd = -1;
	return fd;
}

static void
drop_fd(struct template *t)
{
	if (t->fd >= 0)
		close(take_fd(t));
}

/* Its pidfd may have been lost on the way, when this process had no room for it. */
static bool
on_forked(struct template *t, const struct fork_frame *f)
{
	struct fork *fork = find_fork(t, f->slot);

	if (fork == NULL) {
		/* Too late: nobody waits for it any more. It keeps its number until it is reaped. */
		(void)kill(-(int)f->pid, SIGKILL);
		drop_fd(t);
		reap(t, f->slot);
		return true;
	}
	if (child_pid(fork->child) > 0)
		return false;
	answered(fork);
	child_arrived(fork->child, (int)f->pid, take_fd(t));
	return true;
}

static bool
on_ended(struct template *t, const struct fork_frame *f)
{
	struct child_end end = { .signaled = f->signaled, .code = f->code };
	struct fork *fork = find_fork(t, f->slot);

	if (fork == NULL)
		return true;
	if (f->type == FORK_FAILED) {
		LOG(FORK_FAILED, LOG_STR("pool", t->nest->pool->conf->name), LOG_SPAN("why", f->error));
		end.code = 1;
	}
	answered(fork);
	child_told_end(fork->child, &end);
	return true;
}

enum err
nest_spawn(struct nest *n, struct child **out, const char *mark, const struct child_ops *ops, void *owner,
	struct errtext *t)
{
	static const struct child_maker_ops maker_ops = { .on_died = on_died, .on_gone = on_gone };
	struct template *tp = n->current;
	struct fork *f = must_alloc(sizeof(*f));
	struct buf b;
	int theirs[3];
	enum err e;

	snprintf(f->slot, sizeof(f->slot), "%llu", (unsigned long long)++tp->serial);
	f->t = tp;
	e = child_expect(&f->child, nest_loop(n), theirs, &maker_ops, f, ops, owner, t);
	if (e != E_OK) {
		alloc_free(f);
		return e;
	}
	list_push(&tp->forks, &f->link);
	expect_answer(f);
	buf_init(&b, 0);
	fork_add_request(&b, span_of(f->slot), span_of(mark), n->pool->conf->memory_limit);
	e = b.err == E_OK ? fdlink_send(&tp->control, buf_span(&b), theirs, ARRAY_LEN(theirs)) : b.err;
	buf_release(&b);
	for (size_t i = 0; i < ARRAY_LEN(theirs); i++)
		close(theirs[i]);
	*out = f->child;
	if (e == E_OK)
		return E_OK;
	*out = NULL;
	child_close(f->child);
	child_orphaned(f->child);
	fork_free(f);
	if (e != E_AGAIN)
		template_kill(tp, "closed its channel");
	return err_set(t, E_AGAIN, "the template process takes no requests");
}

/* --- what it says ------------------------------------------------------------------------------------------------------ */

static void
start_waiting(struct nest *n)
{
	struct list all, *it, *tmp;

	list_init(&all);
	LIST_EACH (&n->waiting, it, tmp) {
		list_unlink(it);
		list_push(&all, it);
	}
	LIST_EACH (&all, it, tmp) {
		list_unlink(it);
		if (it == &n->pool->guide.link)
			guide_start(&n->pool->guide);
		else
			slot_start(container_of(it, struct slot, link));
	}
}

static bool
on_hello(struct template *t, const struct fork_frame *f)
{
	struct nest *n = t->nest;

	if (t->state != TEMPLATE_STARTING)
		return t->state == TEMPLATE_ENDING;
	if (f->protocol != RUN_PROTOCOL)
		return false;
	n->failures = 0;
	t->was_up = true;
	loop_timer_disarm(&t->timer);
	if (f->unsafe.ptr != NULL) {
		LOG(FORK_UNSAFE, LOG_STR("pool", n->pool->conf->name), LOG_SPAN("why", f->unsafe));
		n->is_used = false;
		template_end(t);
	} else {
		t->state = TEMPLATE_UP;
	}
	start_waiting(n);
	return true;
}

static bool
on_line(struct template *t, struct span line, struct errtext *why)
{
	struct fork_frame f;
	struct arena a;
	bool fine = false;

	arena_init(&a, 0);
	if (fork_decode(&f, line, &a, why) == E_OK) {
		if (f.type == FORK_HELLO)
			fine = on_hello(t, &f);
		else
			fine = f.type == FORK_FORKED ? on_forked(t, &f) : on_ended(t, &f);
		if (!fine)
			err_set(why, E_FORMAT, "a frame that is out of place");
	}
	arena_release(&a);
	return fine;
}

static void
on_data(void *owner, struct span bytes)
{
	struct template *t = owner;
	struct errtext why;
	struct span line;
	char text[256];
	enum err e = run_reader_feed(&t->reader, bytes);

	while (e == E_OK && (e = run_reader_next(&t->reader, &line)) == E_OK) {
		if (on_line(t, line, &why))
			continue;
		snprintf(text, sizeof(text), "does not speak the runner protocol: %.160s", why.text);
		template_kill(t, text);
		break;
	}
	/* The kernel ends a read behind what a descriptor came with: it belongs to a frame of these bytes or to none. */
	drop_fd(t);
	if (e != E_AGAIN && e != E_OK)
		template_kill(t, "sent a line that is too long");
}

static void
on_fd(void *owner, int fd)
{
	struct template *t = owner;

	drop_fd(t);
	t->fd = fd;
}

static void
on_close(void *owner)
{
	struct template *t = owner;

	/* Most often it is about to end by itself: then that says more than a signal of ours. */
	if (t->state != TEMPLATE_ENDING) {
		t->state = TEMPLATE_ENDING;
		if (t->nest->current == t)
			t->nest->current = NULL;
		loop_timer_arm(&t->timer, ENDING_MS);
	}
}

/* It neither forks nor tells. What it owes answers for is over, its other children go on. */
static void
give_up(struct template *t)
{
	struct list *it, *tmp;

	LOG(TEMPLATE_STUCK, LOG_STR("pool", t->nest->pool->conf->name),
		LOG_INT("seconds", answer_ms(t) / 1000));
	t->is_stuck = true;
	template_retire(t);
	LIST_EACH (&t->forks, it, tmp) {
		struct fork *f = container_of(it, struct fork, link);

		if (f->waits) {
			answered(f);
			child_told_end(f->child, &(struct child_end){ .unknown = true });
		}
	}
}

static void
on_timer(void *owner)
{
	struct template *t = owner;

	switch (t->state) {
	case TEMPLATE_STARTING:
		template_kill(t, "did not say hello in time");
		break;
	case TEMPLATE_UP:
	case TEMPLATE_RETIRED:
		give_up(t);
		break;
	case TEMPLATE_ENDING:
		child_signal_group(t->child, SIGKILL);
		loop_timer_arm(&t->timer, ENDING_MS);
		break;
	}
}

/* --- start and end ------------------------------------------------------------------------------------------------------ */

static void
template_free(void *p)
{
	alloc_free(p);
}

/* Closes everything; its children are ours from now on. */
static void
template_close(struct template *t)
{
	struct list *it, *tmp;

	if (t->nest->current == t)
		t->nest->current = NULL;
	LIST_EACH (&t->forks, it, tmp) {
		struct fork *f = container_of(it, struct fork, link);
		struct child *c = f->child;

		fork_free(f);
		child_orphaned(c);
	}
	list_unlink(&t->link);
	fdlink_close(&t->control);
	drop_fd(t);
	output_close(&t->out);
	output_close(&t->err);
	run_reader_release(&t->reader);
	loop_timer_release(&t->timer);
	if (t->child != NULL) {
		child_close(t->child);
		sweep_after(&t->nest->pool->worker->sweep, t->mark);
	}
	loop_reap(nest_loop(t->nest), template_free, t);
}

/* It did not get up. */
static void
start_failed(struct nest *n, bool is_passing, const char *why)
{
	n->failures++;
	loop_timer_arm(&n->again, backoff_full_jitter(200, 30000, n->failures, id_random_u64()));
	pool_on_template_failed(n->pool, is_passing, why);
}

static void
on_exit_of_template(void *owner, const struct child_end *end)
{
	struct template *t = owner;
	struct nest *n = t->nest;
	bool was_up = t->was_up, asked = t->why[0] != '\0',
	     failed = !was_up && !t->is_old && n->is_used && !worker_is_stopping(n->pool->worker);
	struct buf how;

	buf_init(&how, 0);
	/* Its last words are still in the pipes. */
	output_close(&t->err);
	output_close(&t->out);
	if (asked) {
		buf_adds(&how, t->why);
	} else {
		if (end->signaled)
			buf_adds(&how, "was ");
		child_add_end(&how, end);
		if (t->err.last[0] != '\0')
			buf_addf(&how, "; its last words: %s", t->err.last);
	}
	if (was_up && !asked)
		LOG(TEMPLATE_ENDED, LOG_STR("pool", n->pool->conf->name), LOG_STR("how", buf_text(&how)));
	template_close(t);
	if (failed)
		start_failed(n, false, buf_text(&how));
	else if (!list_is_empty(&n->waiting) && n->current == NULL && !worker_is_stopping(n->pool->worker))
		template_start(n);
	buf_release(&how);
	if (nest_is_down(n))
		pool_on_nest_down(n->pool);
}

static enum err
open_ears(struct template *t, struct errtext *why)
{
	static const struct fdlink_ops ops = { .on_fd = on_fd, .on_data = on_data, .on_close = on_close };
	struct pool *p = t->nest->pool;
	enum err e = fdlink_open(&t->control, nest_loop(t->nest), child_take_channel(t->child), &ops, t, why);

	return e == E_OK ? output_open_both(&t->out, &t->err, p, NULL, &t->tail, t->child, why) : e;
}

static void
template_start(struct nest *n)
{
	static const struct child_ops ops = { .on_exit = on_exit_of_template };
	struct pool *p = n->pool;
	struct template *t = must_alloc(sizeof(*t));
	struct child_conf conf = {
		.argv = (const char *const *)n->argv,
		.envp = (const char *const *)p->envp,
		.cwd = p->conf->cwd,
		.channel = true,
	};
	struct errtext why;
	enum err e;

	t->nest = n;
	t->fd = -1;
	list_init(&t->forks);
	list_push(&n->templates, &t->link);
	run_reader_init(&t->reader, LINE_MAX_BYTES);
	sweep_new_mark(t->mark);
	childenv_set_mark(p->envp, t->mark);
	e = loop_timer_init(&t->timer, nest_loop(n), on_timer, t) == E_OK
		? E_OK
		: err_set(&why, E_NOMEM, "out of memory");
	if (e == E_OK)
		e = child_spawn(&t->child, nest_loop(n), &conf, &ops, t, &why);
	if (e == E_OK)
		e = open_ears(t, &why);
	if (e != E_OK) {
		template_close(t);
		start_failed(n, e == E_AGAIN, why.text);
		return;
	}
	n->current = t;
	loop_timer_arm(&t->timer, start_ms(t));
}

static void
on_again(void *owner)
{
	struct nest *n = owner;

	if (n->current == NULL && !list_is_empty(&n->waiting))
		template_start(n);
}

/* All words but the last are the pool's. */
static void
drop_program(struct nest *n)
{
	if (n->argv != NULL)
		alloc_free(n->argv[n->words]);
	alloc_free(n->argv);
	n->argv = NULL;
}

void
nest_take_program(struct nest *n)
{
	struct pool *p = n->pool;

	drop_program(n);
	n->words = 0;
	while (p->argv[n->words] != NULL)
		n->words++;
	n->argv = must_alloc(sizeof(*n->argv) * (n->words + 2));
	memcpy(n->argv, p->argv, sizeof(*n->argv) * n->words);
	n->argv[n->words] = must_dup(SPAN("--template"));
}

enum err
nest_init(struct nest *n, struct pool *p)
{
	*n = (struct nest){ .pool = p, .is_used = p->conf->fork };
	list_init(&n->templates);
	list_init(&n->waiting);
	nest_take_program(n);
	return loop_timer_init(&n->again, nest_loop(n), on_again, n);
}

void
nest_release(struct nest *n)
{
	struct list *it, *tmp;

	if (n->pool == NULL)
		return;
	LIST_EACH (&n->templates, it, tmp)
		template_close(container_of(it, struct template, link));
	loop_timer_release(&n->again);
	drop_program(n);
}

bool
nest_must_wait(struct nest *n, struct list *link)
{
	if (!n->is_used || (n->current != NULL && n->current->state == TEMPLATE_UP))
		return false;
	list_push(&n->waiting, link);
	if (n->current == NULL && !n->again.armed)
		template_start(n);
	return true;
}

void
nest_renew(struct nest *n)
{
	struct template *t = n->current;

	if (t == NULL)
		return;
	/* What one that starts has read by now is old, and nobody needs it yet. */
	t->is_old = t->state == TEMPLATE_STARTING;
	if (t->is_old)
		template_kill(t, "was replaced before it was up");
	else
		template_retire(t);
}

void
nest_stop(struct nest *n)
{
	struct list *it, *tmp;

	loop_timer_disarm(&n->again);
	LIST_EACH (&n->templates, it, tmp) {
		struct template *t = container_of(it, struct template, link);

		if (t->state != TEMPLATE_ENDING)
			template_end(t);
	}
}

bool
nest_is_down(const struct nest *n)
{
	return list_is_empty(&n->templates);
}
