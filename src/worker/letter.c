/* Builds the messages that the end of a job asks for. Pure but for the clock: posting them is post.c's business. */
#include "worker/letter.h"

#include "base/clock.h"
#include "base/date.h"
#include "core/address.h"
#include "core/ladder.h"
#include "wire/dead.h"
#include "wire/field.h"
#include "wire/forward.h"
#include "wire/headers.h"
#include "wire/outbox.h"
#include "worker/job.h"
#include "worker/state.h"

static void
on_confirmed_for_job(struct letter *l)
{
	job_on_confirmed(l->job, l);
}

static struct letter *
letter_new(struct job *j)
{
	struct letter *l = must_alloc(sizeof(*l));

	*l = (struct letter){ .worker = j->pool->worker,
		.job = j,
		.fn = on_confirmed_for_job,
		.about = j->request.task.id,
		.origin = j->request.queue };
	msg_init(&l->msg, 0);
	list_push(&j->letters, &l->link);
	return l;
}

void
letter_free(struct letter *l)
{
	list_unlink(&l->link);
	list_unlink(&l->wait);
	msg_release(&l->msg);
	alloc_free(l);
}

struct span
letter_queue(const struct letter *l)
{
	struct span rest = span_of(l->road);

	(void)span_split(&rest, '/');
	return rest;
}

static enum err
encode_dead(struct letter *l)
{
	const struct job *j = l->job;
	struct dead_letter d = {
		.reason = span_of(j->request.mail.reason),
		.error = span_of(j->request.mail.error.text),
		.queue = j->request.queue,
		.host = span_of(j->pool->worker->conf->node),
		.output = buf_span(&j->output),
		.attempts = j->request.task.retries + 1,
		.process_died = j->process_died,
		.signal = j->end.signaled ? j->end.code : 0,
		.exit_code = j->end.code,
		.peak_memory = j->end.max_rss,
		.now = clock_wall_us(),
	};

	snprintf(l->road, sizeof(l->road), "dead/%.*s", SPAN_FMT(j->request.queue));
	return dead_encode(&l->msg, j->msg, &d);
}

static bool
is_transient(const struct worker *w, int delivery_mode)
{
	return delivery_mode != 0 ? delivery_mode == 1 : w->conf->is_transient;
}

/* Not that of the message before: Celery sends a retry as it sends the task, so what is said with it, its task and its route count. */
static int
mode_of_retry(const struct letter *l, const struct forward *f)
{
	const struct worker *w = l->worker;
	struct span name = l->job->request.task.name;
	int mode = field_delivery_mode(jscan_member(f->change.options, "delivery_mode"));

	if (mode == 0)
		mode = task_rules_find(&w->rules.tasks, name)->delivery_mode;
	if (mode == 0)
		mode = routes_find(w->conf->routes, name).delivery_mode;
	return is_transient(w, mode) ? 1 : 2;
}

static enum err
encode_forward(struct letter *l)
{
	const struct job *j = l->job;
	const struct mail *mail = &j->request.mail;
	struct forward f = { .exchange = SPAN(""),
		.routing_key = j->request.queue,
		.is_retry = mail->kind == MAIL_RETRY,
		.eta = mail->eta };
	char key[256], level[32];
	enum err e;

	if (mail->kind != MAIL_RETRY)
		f.been = j->request.been;
	else
		f.change = j->request.change;
	/* Another queue has no place on the ladder yet: whoever gets it there moves it by its eta. */
	if (mail->delay_s > 0 && !forward_change_moves(&f.change)) {
		e = ladder_message_key(key, mail->delay_s, j->request.queue);
		if (e != E_OK)
			return e;
		ladder_level_name(level, ladder_entry_level(mail->delay_s));
		f.exchange = span_of(level);
		f.routing_key = span_of(key);
		snprintf(l->road, sizeof(l->road), "later/%.*s", SPAN_FMT(j->request.queue));
	}
	e = forward_encode(&l->msg, j->msg, &j->request.task, &f);
	l->is_task = f.is_retry;
	if (f.is_retry)
		l->msg.delivery_mode = mode_of_retry(l, &f);
	return e;
}

static enum err
encode_park(struct letter *l)
{
	const struct job *j = l->job;
	bool with_task = j->request.mail.with_task;
	struct outbox_letter o = { .id = j->request.task.id,
		.result = buf_span(&j->final.payload),
		.queue = with_task ? j->request.queue : SPAN_NONE };
	const char *queue = j->pool->worker->outbox.queue;
	enum err e = outbox_encode(&l->msg, &o, with_task ? j->msg : NULL);

	snprintf(l->road, sizeof(l->road), "queue/%s", queue);
	l->msg.exchange = SPAN("");
	l->msg.routing_key = span_of(queue);
	return e;
}

enum err
letter_of_mail(struct letter **out, struct job *j)
{
	enum mail_kind kind = j->request.mail.kind;
	struct letter *l = letter_new(j);
	enum err e = kind == MAIL_DEAD ? encode_dead(l)
		: kind == MAIL_PARK    ? encode_park(l)
				       : encode_forward(l);

	*out = l;
	if (e != E_OK) {
		letter_free(l);
		*out = NULL;
	}
	return e;
}

static enum err
set_address(struct letter *l, const struct address *at)
{
	if (at->queue.ptr != NULL)
		snprintf(l->road, sizeof(l->road), "queue/%.*s", SPAN_FMT(at->queue));
	l->msg.exchange = arena_dup(&l->msg.arena, at->exchange);
	l->msg.routing_key = arena_dup(&l->msg.arena, at->routing_key);
	return l->msg.exchange.ptr == NULL || l->msg.routing_key.ptr == NULL ? E_NOMEM : E_OK;
}

/* The headers of a route go before those of the call. */
static enum err
add_headers(struct letter *l, const struct routing_answer *answer, struct task_call *call)
{
	struct arena *a = &l->msg.arena;
	struct table *all = arena_zero(a, sizeof(*all)), more = { .count = 0 };
	struct span json = arena_dup(a, answer->headers);
	enum err e = all == NULL || json.ptr == NULL ? E_NOMEM : headers_read_object(&more, json, a);

	if (e == E_OK && call->user_headers != NULL)
		e = table_copy(all, call->user_headers, a);
	for (size_t i = 0; e == E_OK && i < more.count; i++)
		e = table_set(all, a, more.pairs[i].key, more.pairs[i].value);
	call->user_headers = all;
	return e;
}

/* `again`: it may have been sent before, so whoever gets it asks whether it ran already. */
static enum err
encode_step(struct letter *l, const struct flow_step *s, const struct routing_answer *answer, bool again,
	struct errtext *t)
{
	const struct worker *w = l->worker;
	const struct task_rule *rule = task_rules_find(&w->rules.tasks, s->call.name);
	struct address at = address_find(s, w->conf->routes, rule, answer);
	struct task_call call = s->call;
	enum err e = E_OK;

	l->is_task = true;
	call.origin = span_of(w->conf->node);
	call.priority_plus1 = at.priority_plus1;
	if (call.expires == 0 && rule->expires > 0) {
		call.now = clock_wall_us();
		call.expires = date_after(call.now, rule->expires);
	}
	call.transient = is_transient(w, at.delivery_mode);
	if (answer != NULL) {
		call.compress = answer->is_compressed;
		if (answer->headers.ptr != NULL)
			e = add_headers(l, answer, &call);
	}
	if (e == E_OK)
		e = task_encode(&call, &l->msg, t);
	if (e == E_OK && answer != NULL && answer->expiration_s >= 0 && call.expires == 0)
		e = task_set_expiration(&l->msg, (int64_t)(answer->expiration_s * 1000 + 0.5));
	if (e == E_OK && again)
		e = forward_counts_write(&l->msg, &(struct forward_counts){ .held = 1 });
	if (e == E_OK)
		e = set_address(l, &at);
	if (e == E_OK && (e = bus_pub_check(w->pub, &l->msg)) != E_OK)
		err_set(t, e, "the message of task %.*s is %s: its headers for one frame, or its body",
			SPAN_FMT(call.name), err_name(e));
	return e;
}

enum err
letter_of_step(struct letter **out, struct job *j, const struct flow_step *s,
	const struct routing_answer *answer, struct errtext *t)
{
	const struct request *r = &j->request;
	struct letter *l = letter_new(j);
	/* Of a chord's body every member that is counted again sends one more. */
	enum err e = encode_step(l, s, answer, r->follows_again || r->flow.n_parts > 0, t);

	*out = l;
	if (e != E_OK) {
		letter_free(l);
		*out = NULL;
	}
	return e;
}

enum err
letter_of_flow(struct letter **out, struct worker *w, struct list *list, const struct flow_step *s,
	const struct routing_answer *answer, void (*fn)(struct letter *l), void *owner, struct errtext *t)
{
	struct letter *l = must_alloc(sizeof(*l));
	enum err e;

	*l = (struct letter){ .worker = w, .fn = fn, .owner = owner, .about = s->call.id, .origin = SPAN("") };
	msg_init(&l->msg, 0);
	list_push(list, &l->link);
	e = encode_step(l, s, answer, true, t);
	*out = l;
	if (e != E_OK) {
		letter_free(l);
		*out = NULL;
	}
	return e;
}
