/*
 * The life of one child. It says hello, gets one task at a time and answers with frames on its channel. Its end is certain only
 * when both the process has ended and the channel has been read to its end: the last frame of a child that
 * finishes a task and exits must not be mistaken for a loss. Anything that is not the protocol ends the child.
 */
#include "worker/slot.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/text.h"
#include "loop/usage.h"
#include "wire/headers.h"
#include "worker/job.h"
#include "worker/state.h"

/* How long a child may take from being asked to end, or from closing its channel, to its end. */
#define ENDING_MS 3000
/* How long the channel of an ended child is waited for: a grandchild may hold the other side open. */
#define LINGER_MS 500

/* How often the memory of a task with a limit is looked at. */
#define METER_MS 250

static void slot_ended(struct slot *s);

static struct loop *
slot_loop(struct slot *s)
{
	return s->pool->worker->loop;
}

/* The child must go; `why` is what its task and the log will say. What a gentler signal leaves is killed when the time is over. */
static void
slot_end(struct slot *s, int signum, const char *why)
{
	if (s->why[0] == '\0')
		snprintf(s->why, sizeof(s->why), "%s", why);
	s->state = SLOT_ENDING;
	list_unlink(&s->link);
	loop_timer_disarm(&s->soft);
	loop_timer_disarm(&s->hard);
	loop_timer_disarm(&s->meter);
	child_signal_group(s->child, signum);
	loop_timer_arm(&s->timer, ENDING_MS);
}

static void
slot_kill(struct slot *s, const char *why)
{
	slot_end(s, SIGKILL, why);
}

static void
on_soft_limit(void *owner)
{
	struct slot *s = owner;

	if (s->job != NULL)
		job_on_soft_limit(s->job);
}

static void
on_hard_limit(void *owner)
{
	struct slot *s = owner;

	if (s->job == NULL)
		return;
	tail_read(&s->tail, &s->job->output);
	job_on_hard_limit(s->job);
}

static void
on_meter(void *owner)
{
	struct slot *s = owner;
	int64_t now = usage_tree_rss(child_pid(s->child));

	if (s->job == NULL)
		return;
	if (now <= s->memory_max) {
		loop_timer_arm(&s->meter, METER_MS);
		return;
	}
	tail_read(&s->tail, &s->job->output);
	job_on_memory_limit(s->job, now);
}

static void
on_timer(void *owner)
{
	struct slot *s = owner;

	switch (s->state) {
	case SLOT_DOWN:
		slot_start(s);
		break;
	case SLOT_STARTING:
		slot_kill(s, "did not say hello in time");
		break;
	case SLOT_BUSY:
		job_on_started_due(s->job);
		break;
	case SLOT_ENDING:
		if (s->exited) {
			slot_ended(s);
			break;
		}
		if (s->why[0] == '\0' && s->channel_gone)
			snprintf(s->why, sizeof(s->why), "closed its channel (descriptor %d) and did not end",
				RUN_FD);
		child_signal_group(s->child, SIGKILL);
		loop_timer_arm(&s->timer, ENDING_MS);
		break;
	case SLOT_IDLE:
		break;
	}
}

/* Asks the child to end; what follows depends on s->stopping. */
static void
retire(struct slot *s)
{
	static const char stop[] = "{\"stop\":{}}\n";

	s->state = SLOT_ENDING;
	s->retired = true;
	list_unlink(&s->link);
	/* A channel that takes no more is of a child that is about to end anyway, and the timer sees to it. */
	if (stream_write(s->channel, SPAN(stop)) != E_OK)
		child_signal_group(s->child, SIGTERM);
	loop_timer_arm(&s->timer, ENDING_MS);
}

/* --- frames from the child ------------------------------------------------------------------------------------------ */

static bool
on_hello(struct slot *s, const struct run_frame *f, struct arena *a, struct errtext *t)
{
	if (s->said_hello) {
		err_set(t, E_FORMAT, "a second hello");
		return false;
	}
	if (f->protocol != RUN_PROTOCOL) {
		err_set(t, E_FORMAT, "it speaks version %lld, this worker version %d", (long long)f->protocol,
			RUN_PROTOCOL);
		return false;
	}
	s->said_hello = true;
	/* Asked to end before it was up: the timer that sees to that stays. */
	if (s->state != SLOT_STARTING)
		return true;
	loop_timer_disarm(&s->timer);
	s->state = SLOT_IDLE;
	pool_on_hello(s->pool, f, a);
	if (s->to_replace)
		retire(s);
	else
		pool_on_slot_idle(s->pool, s);
	return true;
}

static void
disarm(struct slot *s)
{
	loop_timer_disarm(&s->timer);
	loop_timer_disarm(&s->soft);
	loop_timer_disarm(&s->hard);
	loop_timer_disarm(&s->meter);
}

/* It has run its share of tasks, or kept more memory than it may. */
static bool
is_worn_out(const struct slot *s)
{
	const struct pool_conf *c = s->pool->conf;

	if (s->to_replace)
		return true;
	if (c->max_tasks_per_child > 0 && s->tasks_done >= c->max_tasks_per_child)
		return true;
	return c->max_memory_per_child > 0 && usage_rss(child_pid(s->child)) > c->max_memory_per_child;
}

static void give(struct slot *s, struct job *j);

static bool
on_task_frame(struct slot *s, const struct run_frame *f)
{
	struct job *j = s->job;

	if (j == NULL || !span_eq(f->id, j->request.task.id))
		return false;
	if (f->type == RUN_STATE) {
		job_on_frame(j, f);
		return true;
	}
	/* A series is one task: its limits run on. Should the child be on its way out, its end is the task's. */
	if (request_goes_on(&j->request, f)) {
		if (s->state == SLOT_BUSY)
			give(s, j);
		return true;
	}
	disarm(s);
	if (f->outcome == RUN_REJECT ||
		(f->outcome == RUN_ERROR &&
			(j->request.rule->dead_on_failure || j->request.rule->reject_on_failure)))
		tail_read(&s->tail, &j->output);
	s->job = NULL;
	s->tasks_done++;
	s->failures = 0;
	/* Asked to end in the middle of its task, it has ended the task: what is left is to go. */
	if (s->state == SLOT_ENDING || (s->state == SLOT_BUSY && is_worn_out(s)))
		retire(s);
	else if (s->state == SLOT_BUSY) {
		s->state = SLOT_IDLE;
		pool_on_slot_idle(s->pool, s);
	}
	job_on_frame(j, f);
	return true;
}

/* E_FORMAT when the line is not what the child may say now. */
static enum err
on_line(struct slot *s, struct span line, struct errtext *t)
{
	struct run_frame f;
	struct arena a;
	bool fine = false;
	enum err e;

	arena_init(&a, 0);
	t->text[0] = '\0';
	e = run_decode(&f, line, &a, NULL, t);
	if (e == E_OK) {
		if (f.type == RUN_HELLO)
			fine = on_hello(s, &f, &a, t);
		else if (f.type == RUN_STATE || f.type == RUN_DONE)
			fine = s->said_hello && on_task_frame(s, &f);
		if (!fine)
			e = E_FORMAT;
		if (!fine && t->text[0] == '\0')
			err_set(t, E_FORMAT, "a frame that is out of place");
	}
	arena_release(&a);
	return e;
}

/* A result that is too big is too big every time: an end, and no loss that another run could mend. */
static void
refuse_line(struct slot *s, const char *why)
{
	struct job *j = s->job;
	struct run_frame f = { .type = RUN_DONE, .outcome = RUN_ERROR };
	char message[160];

	snprintf(message, sizeof(message), "[\"the child %s\"]", why);
	s->job = NULL;
	slot_kill(s, why);
	if (j == NULL)
		return;
	f.id = j->request.task.id;
	f.error = (struct run_error){ .type = SPAN("BackendStoreError"),
		.module = SPAN("celery.exceptions"),
		.message = span_of(message) };
	job_on_frame(j, &f);
}

static void
on_data(void *owner, struct span bytes)
{
	struct slot *s = owner;
	struct errtext t;
	struct span line;
	enum err e;
	char why[256];

	/* What a child says after we gave it up is not heard. */
	if (s->why[0] != '\0')
		return;
	e = run_reader_feed(&s->reader, bytes);
	while (e == E_OK && (e = run_reader_next(&s->reader, &line)) == E_OK) {
		e = on_line(s, line, &t);
		if (e == E_OK)
			continue;
		if (e == E_TOOBIG) {
			snprintf(why, sizeof(why), "sent a line of JSON nested deeper than %d levels",
				JSCAN_DEPTH_MAX);
			refuse_line(s, why);
			return;
		}
		snprintf(why, sizeof(why), "does not speak the runner protocol: %.160s", t.text);
		slot_kill(s, why);
		return;
	}
	if (e != E_OK && e != E_AGAIN) {
		snprintf(why, sizeof(why), "sent a line of more than %lld bytes (result_max)",
			(long long)s->pool->worker->conf->result_max);
		refuse_line(s, why);
	}
}

static void
on_channel_close(void *owner, enum err e UNUSED, const char *why UNUSED)
{
	struct slot *s = owner;

	s->channel_gone = true;
	if (s->exited) {
		slot_ended(s);
		return;
	}
	if (s->state != SLOT_ENDING) {
		s->state = SLOT_ENDING;
		list_unlink(&s->link);
		loop_timer_arm(&s->timer, ENDING_MS);
	}
}

/* --- start and end --------------------------------------------------------------------------------------------------- */

static void
on_exit_of_child(void *owner, const struct child_end *end)
{
	struct slot *s = owner;

	s->exited = true;
	s->end = *end;
	if (s->channel_gone) {
		slot_ended(s);
		return;
	}
	s->state = SLOT_ENDING;
	list_unlink(&s->link);
	loop_timer_arm(&s->timer, LINGER_MS);
}

static void
close_all(struct slot *s)
{
	stream_close(s->channel);
	s->channel = NULL;
	output_close(&s->out);
	output_close(&s->err);
	run_reader_release(&s->reader);
	if (s->child != NULL) {
		child_close(s->child);
		s->child = NULL;
		sweep_after(&s->pool->worker->sweep, s->mark);
	}
	disarm(s);
	list_unlink(&s->link);
	s->state = SLOT_DOWN;
}

/* "was killed by signal 9 (SIGKILL)"; our own reason goes before what the kernel says. */
static void
add_how(struct slot *s, struct buf *b)
{
	if (s->why[0] != '\0') {
		buf_adds(b, s->why);
		return;
	}
	if (s->end.signaled)
		buf_adds(b, "was ");
	child_add_end(b, &s->end);
	/* What fails to get memory seldom says so on its way out. */
	if (s->pool->conf->memory_limit > 0 && (s->end.signaled || s->end.code != 0)) {
		buf_adds(b, "; memory_limit ");
		text_add_size(b, s->pool->conf->memory_limit);
		buf_adds(b, " of address space, peak ");
		text_add_size(b, s->end.max_rss);
		buf_adds(b, " resident");
	}
	if (s->err.last[0] != '\0')
		buf_addf(b, "; its last words: %s", s->err.last);
}

static void
slot_ended(struct slot *s)
{
	struct job *j = s->job;
	struct buf how;
	bool was_up = s->said_hello, served = s->tasks_done > 0 || s->job != NULL;

	buf_init(&how, 0);
	/* Unfinished lines belong to the report. */
	close_all(s);
	add_how(s, &how);
	s->job = NULL;
	if (j != NULL && s->interrupted) {
		job_on_interrupted(j);
	} else if (j != NULL) {
		tail_read(&s->tail, &j->output);
		j->process_died = s->exited && !s->end.unknown;
		j->end = s->end;
		job_on_lost(j, buf_text(&how));
	}
	if (s->stopping) {
		buf_release(&how);
		pool_on_slot_down(s->pool, s);
		return;
	}
	if (s->retired) {
		loop_timer_arm(&s->timer, 0);
	} else if (was_up) {
		LOG(CHILD_ENDED, LOG_STR("pool", s->pool->conf->name), LOG_INT("slot", s->index),
			LOG_STR("how", buf_text(&how)));
		/* A child that served is replaced at once; the back-off is for those that never get there. */
		s->failures += !served;
		loop_timer_arm(&s->timer,
			served ? 0 : backoff_full_jitter(200, 30000, s->failures, id_random_u64()));
	} else {
		s->failures++;
		loop_timer_arm(&s->timer, backoff_full_jitter(200, 30000, s->failures, id_random_u64()));
		pool_on_start_failed(s->pool, s, false, buf_text(&how));
	}
	buf_release(&how);
}

void
slot_init(struct slot *s, struct pool *p, int index)
{
	memset(s, 0, sizeof(*s));
	s->pool = p;
	s->index = index;
	if (loop_timer_init(&s->timer, p->worker->loop, on_timer, s) != E_OK ||
		loop_timer_init(&s->soft, p->worker->loop, on_soft_limit, s) != E_OK ||
		loop_timer_init(&s->hard, p->worker->loop, on_hard_limit, s) != E_OK ||
		loop_timer_init(&s->meter, p->worker->loop, on_meter, s) != E_OK)
		abort();
}

static enum err
open_streams(struct slot *s, struct errtext *t)
{
	static const struct stream_ops ops = { .on_data = on_data, .on_close = on_channel_close };
	/* One run frame holds one message: twice its size is room enough for the escapes around it. */
	struct stream_conf conf = { .write_max = (size_t)s->pool->worker->conf->message_max * 2 + 65536 };
	enum err e;

	e = stream_adopt(&s->channel, slot_loop(s), child_take_channel(s->child), &conf, &ops, s, t);
	return e == E_OK ? output_open_both(&s->out, &s->err, s->pool, s, &s->tail, s->child, t) : e;
}

void
slot_start(struct slot *s)
{
	static const struct child_ops ops = { .on_exit = on_exit_of_child };
	struct errtext t;
	enum err e;

	if (nest_must_wait(&s->pool->nest, &s->link))
		return;
	s->said_hello = s->exited = s->channel_gone = s->retired = s->to_replace = false;
	s->tasks_done = 0;
	s->why[0] = s->task_id[0] = s->task_name[0] = '\0';
	s->out.last[0] = s->err.last[0] = '\0';
	run_reader_init(&s->reader, (size_t)s->pool->worker->conf->result_max);
	e = pool_spawn(s->pool, &s->child, s->mark, &ops, s, &t);
	if (e == E_OK)
		e = open_streams(s, &t);
	if (e != E_OK) {
		close_all(s);
		s->failures++;
		loop_timer_arm(&s->timer, backoff_full_jitter(200, 30000, s->failures, id_random_u64()));
		pool_on_start_failed(s->pool, s, e == E_AGAIN, t.text);
		return;
	}
	s->state = SLOT_STARTING;
	loop_timer_arm(&s->timer, pool_start_ms(s->pool));
}

/* --- a task ---------------------------------------------------------------------------------------------------------- */

static void
add_run_frame(struct slot *s, struct job *j, struct buf *frame, struct buf *part)
{
	const struct task *t = &j->request.task;
	struct run_request req = {
		.id = t->id,
		.name = t->name,
		.root_id = t->root_id,
		.parent_id = t->parent_id,
		.group = t->group,
		.correlation_id = t->correlation_id,
		.reply_to = t->reply_to,
		.origin = t->origin,
		.shadow = t->shadow,
		.hostname = span_of(s->pool->worker->conf->node),
		.exchange = j->msg->exchange,
		.routing_key = j->msg->routing_key,
		.eta = t->eta_text,
		.expires = t->expires_text,
		.group_index = t->group_index,
		.retries = t->retries,
		.redelivered = j->request.redelivered,
		.time_limit = t->time_limit,
		.soft_time_limit = t->soft_time_limit,
		.priority = j->msg->priority,
		.callbacks = t->callbacks,
		.errbacks = t->errbacks,
		.chain = t->chain,
		.chord = t->chord,
		.ignore_result = t->ignore_result,
		.replaced_task_nesting = t->replaced_task_nesting,
	};
	struct run_frame f = {
		.type = RUN_RUN, .id = t->id, .name = t->name, .args = t->args, .kwargs = t->kwargs
	};
	const struct series *series = &j->request.series;
	struct buf headers;

	if (series->name.ptr != NULL) {
		f.name = series->name;
		f.args = buf_span(&series->args);
		f.kwargs = SPAN("{}");
	}
	buf_init(&headers, 0);
	if (t->headers != NULL && headers_add_user_json(&headers, t->headers))
		req.headers = buf_span(&headers);
	buf_reset(part);
	run_add_request(part, &req);
	f.request = buf_span(part);
	buf_reset(frame);
	run_encode(frame, &f);
	buf_release(&headers);
}

/* What add_run_frame has written. */
static void
send_frame(struct slot *s)
{
	const struct buf *frame = &s->pool->worker->frame;

	if (frame->err != E_OK || stream_write(s->channel, buf_span(frame)) != E_OK)
		slot_kill(s, "could not be given the task: its channel is closed or full");
}

/* One more run of the task it has. */
static void
give(struct slot *s, struct job *j)
{
	add_run_frame(s, j, &s->pool->worker->frame, &s->pool->worker->part);
	send_frame(s);
}

static void
copy_text(char *to, size_t size, struct span from)
{
	snprintf(to, size, "%.*s", SPAN_FMT(from));
}

void
slot_run(struct slot *s, struct job *j)
{
	struct worker *w = s->pool->worker;

	assert(s->state == SLOT_IDLE);
	list_unlink(&s->link);
	s->state = SLOT_BUSY;
	s->job = j;
	s->runs++;
	copy_text(s->task_id, sizeof(s->task_id), j->request.task.id);
	copy_text(s->task_name, sizeof(s->task_name), j->request.task.name);
	output_begin(&s->out);
	output_begin(&s->err);
	tail_reset(&s->tail);
	add_run_frame(s, j, &w->frame, &w->part);
	job_on_started(j, s, child_pid(s->child));
	send_frame(s);
}

void
slot_stop(struct slot *s, bool at_once)
{
	s->stopping = true;
	if (s->state == SLOT_DOWN) {
		loop_timer_disarm(&s->timer);
		list_unlink(&s->link);
		pool_on_slot_down(s->pool, s);
	} else if (at_once) {
		slot_kill(s, "was ended because the worker stopped");
	} else if (s->state != SLOT_ENDING) {
		retire(s);
	}
}

void
slot_arm_limits(struct slot *s, ms_t soft_ms, ms_t hard_ms, int64_t memory_max)
{
	if (soft_ms > 0)
		loop_timer_arm(&s->soft, soft_ms);
	if (hard_ms > 0)
		loop_timer_arm(&s->hard, hard_ms);
	s->memory_max = memory_max;
	if (memory_max > 0)
		loop_timer_arm(&s->meter, METER_MS);
}

void
slot_cancel(struct slot *s, const char *reason)
{
	struct run_frame f = { .type = RUN_CANCEL, .id = span_of(s->task_id), .reason = span_of(reason) };
	struct buf *frame = &s->pool->worker->frame;

	buf_reset(frame);
	run_encode(frame, &f);
	/* The frame goes first: a signal that outruns its task still counts for a child that reads. */
	if (frame->err == E_OK && stream_write(s->channel, buf_span(frame)) == E_OK)
		stream_flush(s->channel);
	child_signal(s->child, SIGUSR1);
}

void
slot_kill_task(struct slot *s, int signum, const char *why)
{
	s->job = NULL;
	slot_end(s, signum, why);
}

void
slot_interrupt(struct slot *s)
{
	if (s->job == NULL || s->state != SLOT_BUSY)
		return;
	s->interrupted = s->stopping = true;
	s->state = SLOT_ENDING;
	disarm(s);
	child_signal_group(s->child, SIGTERM);
	loop_timer_arm(&s->timer, ENDING_MS);
}

void
slot_replace(struct slot *s)
{
	if (s->state == SLOT_IDLE)
		retire(s);
	else if (s->state == SLOT_BUSY || s->state == SLOT_STARTING)
		s->to_replace = true; /* one that starts may have read what is old already */
}

void
slot_release(struct slot *s)
{
	if (s->child != NULL || s->channel != NULL)
		close_all(s);
	list_unlink(&s->link);
	loop_timer_release(&s->timer);
	loop_timer_release(&s->soft);
	loop_timer_release(&s->hard);
	loop_timer_release(&s->meter);
}
