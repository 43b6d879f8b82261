/*
 * See browse.h. One channel per look; its end is what gives the messages back. Gets overlap, as many as the largest message seen so far allows,
 * so that a far broker costs one journey for many letters and a queue of giants does not fill the memory.
 */
#include "client/browse.h"

#include "base/clock.h"
#include "client/inside.h"
#include "client/settle.h"

#include <stdio.h>

#define ASKED_MAX 128
#define READY_BYTES ((size_t)32 << 20)
/* Moves under way: what a sudden end leaves twice. */
#define MOVES_MAX 64
#define MOVE_BYTES ((size_t)32 << 20)

struct ready {
	struct list link;
	struct bus_tag tag;
	struct msg *msg;
	char spoiled[200];
};

struct move {
	struct list link;
	struct browse *browse;
	struct bus_tag tag;
	size_t bytes;
	uint64_t user_tag;
	browse_moved_fn *fn;
	void *owner;
};

struct browse {
	struct client *client;
	struct bus_chan *chan;
	struct buf queue;
	bool open, lost;
	char why[300]; /* it was lost */

	uint32_t left;          /* gets still to be sent */
	size_t asked;           /* gets without an answer */
	uint64_t sent, answers; /* gets so far */
	uint64_t wanted;        /* the last of them whose letter is to be looked at; later ones are proofs */
	size_t ask_max;         /* grows with the answers */
	size_t largest;         /* message so far */
	struct list ready;      /* fetched, not looked at */
	struct ready *now;      /* the current one */
	bool settled;           /* the current one was moved or dropped */
	uint64_t *held;         /* delivery tags to give back */
	size_t n_held, cap;
	struct settle settle;
	bool rewinding; /* what comes now goes back */

	struct list moves;
	size_t n_moves, move_bytes;

	bool answered;
	struct bus_answer answer;
	char answer_text[300];
};

static void
on_open(void *owner)
{
	((struct browse *)owner)->open = true;
}

static void
on_close(void *owner, const struct bus_close *why)
{
	struct browse *b = owner;

	if (!b->open)
		return;
	b->lost = true;
	snprintf(b->why, sizeof(b->why), "%s", why->text);
}

static enum err
lost(struct browse *b, struct errtext *t)
{
	size_t n = b->n_moves + settle_open(&b->settle);

	/* No second try behind our back: it could make a third copy. */
	client_close_sends(b->client);
	return err_set(t, E_CLOSED, "%s: the connection was lost (%s)%s", bus_conn_url(b->client->conn),
		b->why, n > 0 ? "; what was being moved may be there twice" : "");
}

static enum err
stalled(struct browse *b, struct errtext *t)
{
	return err_set(t, E_TIMEOUT, "%s did not answer within %.3g s%s", bus_conn_url(b->client->conn),
		(double)b->client->stall_ms / 1000,
		bus_conn_is_blocked(b->client->conn) ? ": it has blocked publishers (memory or disk alarm)"
						     : "");
}

/* One turn of the loop, before a deadline that each sign of life puts off. */
struct patience {
	ms_t deadline;
	size_t seen;
};

static enum err
turn(struct browse *b, struct patience *p, struct errtext *t)
{
	size_t sign = b->n_held + b->asked + b->n_moves + b->left + settle_open(&b->settle);
	ms_t now = clock_mono_ms();

	if (b->lost)
		return lost(b, t);
	if (p->deadline == 0 || sign != p->seen)
		p->deadline = now + b->client->stall_ms;
	p->seen = sign;
	if (now >= p->deadline)
		return stalled(b, t);
	loop_turn(b->client->loop, p->deadline - now);
	return b->lost ? lost(b, t) : E_OK;
}

/* --- questions --------------------------------------------------------------------------------------------------------- */

static void
on_counted(void *owner, const struct bus_answer *a)
{
	struct browse *b = owner;

	b->answer = *a;
	snprintf(b->answer_text, sizeof(b->answer_text), "%s", a->text != NULL ? a->text : "");
	b->answered = true;
}

/* How many messages are there; also a way to know that the broker has seen all that was sent before. */
static enum err
count(struct browse *b, uint32_t *messages, struct errtext *t)
{
	struct bus_queue q = { .name = buf_span(&b->queue), .passive = true };
	struct patience p = { .deadline = 0 };
	enum err e;

	b->answered = false;
	e = bus_queue_declare(b->chan, &q, on_counted, b);
	if (e != E_OK)
		return b->lost ? lost(b, t)
			       : err_set(t, e, "queue '%s': %s", buf_text(&b->queue), err_name(e));
	while (e == E_OK && !b->answered)
		e = turn(b, &p, t);
	if (!b->answered)
		return e;
	if (b->answer.err == E_REFUSED && b->answer.code == 404)
		return err_set(t, E_MISSING, "there is no queue '%s'", buf_text(&b->queue));
	if (b->answer.err != E_OK)
		return err_set(t, b->answer.err, "queue '%s': %s", buf_text(&b->queue), b->answer_text);
	*messages = b->answer.messages;
	return E_OK;
}

/* The look cannot go on; the end of the channel gives everything back. */
static void
break_off(struct browse *b, const char *why)
{
	b->lost = true;
	snprintf(b->why, sizeof(b->why), "%s", why);
}

static void
make_ready(struct browse *b, const struct bus_delivery *d)
{
	struct ready *r = alloc_zero(sizeof(*r));

	if (r == NULL) {
		bus_msg_free(d->msg);
		break_off(b, "out of memory");
		return;
	}
	r->tag = d->tag;
	r->msg = d->msg;
	if (d->spoiled != NULL)
		snprintf(r->spoiled, sizeof(r->spoiled), "%s", d->spoiled);
	list_push(&b->ready, &r->link);
	if (d->msg->body.len > b->largest)
		b->largest = d->msg->body.len;
	b->ask_max = b->ask_max < ASKED_MAX ? b->ask_max * 2 : ASKED_MAX;
}

static enum err
hold(struct browse *b, uint64_t tag)
{
	uint64_t *grown;

	if (b->n_held == b->cap) {
		grown = alloc_resize(b->held, (b->cap * 2 + 64) * sizeof(*grown));
		if (grown == NULL)
			return E_NOMEM;
		b->held = grown;
		b->cap = b->cap * 2 + 64;
	}
	b->held[b->n_held++] = tag;
	return E_OK;
}

/* A get that was only a proof, or came too late for a rewind. */
static void
put_aside(struct browse *b, const struct bus_delivery *d)
{
	enum err e = b->rewinding ? settle_add(&b->settle, d->tag.tag, true) : hold(b, d->tag.tag);

	bus_msg_free(d->msg);
	if (e != E_OK)
		break_off(b, "out of memory");
}

static void push(struct browse *b, bool at_end);

static void
on_got(void *owner, const struct bus_answer *a)
{
	struct browse *b = owner;
	struct bus_delivery *d = a->delivery;

	b->asked--;
	b->answers++;
	if (a->err != E_OK)
		return;
	settle_on_answer(&b->settle, b->answers);
	if (d == NULL)
		b->left = 0;
	else if (b->rewinding || b->answers > b->wanted)
		put_aside(b, d);
	else
		make_ready(b, d);
	push(b, false);
}

static enum err
send_get(struct browse *b)
{
	enum err e = bus_get(b->chan, buf_span(&b->queue), false, on_got, b);

	if (e != E_OK)
		return e;
	b->asked++;
	b->sent++;
	if (b->left > 0) {
		b->left--;
		b->wanted = b->sent;
	}
	settle_on_get(&b->settle, b->sent);
	return E_OK;
}

/* Sends acknowledgements, and gets to prove them, as far as that is possible now. */
static void
push(struct browse *b, bool at_end)
{
	enum err e = settle_pump(&b->settle, b->chan);

	if (e == E_OK && settle_wants_proof(&b->settle, at_end && b->settle.first == b->settle.n))
		e = send_get(b);
	/* Of a channel that closes, its own words are better. */
	if (e != E_OK && !b->lost)
		break_off(b, err_name(e));
}

/* Keeps so many gets under way that the messages fetched and not looked at fit into READY_BYTES. */
static enum err
ask(struct browse *b, struct errtext *t)
{
	size_t room = READY_BYTES / (b->largest + 1024), max = b->ask_max < room ? b->ask_max : room, waiting;
	enum err e = E_OK;

	waiting = b->asked + list_count(&b->ready);
	for (; e == E_OK && b->left > 0 && (waiting < max || waiting == 0); waiting++) {
		e = send_get(b);
	}
	if (e != E_OK && b->lost)
		return lost(b, t);
	return e == E_OK ? e : err_set(t, e, "queue '%s': %s", buf_text(&b->queue), err_name(e));
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static enum err
open_chan(struct browse *b, struct errtext *t)
{
	static const struct bus_chan_ops ops = { .on_open = on_open, .on_close = on_close };
	struct client *c = b->client;
	enum err e = client_connect_broker(c, t);

	if (e != E_OK)
		return e;
	e = bus_chan_new(&b->chan, c->conn, &ops, b);
	if (e != E_OK)
		return err_set(t, e, "cannot open a channel: %s", err_name(e));
	return client_turn_until(c, &b->open, c->stall_ms) ? E_OK : stalled(b, t);
}

enum err
browse_open(struct browse **out, struct client *c, struct span queue, struct errtext *t)
{
	struct browse *b = alloc_zero(sizeof(*b));
	enum err e;

	*out = NULL;
	if (b == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	b->client = c;
	b->ask_max = 1;
	list_init(&b->ready);
	list_init(&b->moves);
	buf_init(&b->queue, 0);
	buf_add(&b->queue, queue);
	e = b->queue.err == E_OK ? open_chan(b, t) : err_set(t, E_NOMEM, "out of memory");
	if (e == E_OK)
		e = count(b, &b->left, t);
	if (e != E_OK)
		browse_close(b);
	else
		*out = b;
	return e;
}

static void
ready_free(struct ready *r)
{
	if (r == NULL)
		return;
	list_unlink(&r->link);
	bus_msg_free(r->msg);
	alloc_free(r);
}

static void
move_free(struct move *m)
{
	list_unlink(&m->link);
	m->browse->n_moves--;
	m->browse->move_bytes -= m->bytes;
	alloc_free(m);
}

static void
drop_fetched(struct browse *b)
{
	struct list *l;

	ready_free(b->now);
	b->now = NULL;
	while ((l = list_pop(&b->ready)) != NULL)
		ready_free(container_of(l, struct ready, link));
}

void
browse_close(struct browse *b)
{
	struct list *l;

	if (b == NULL)
		return;
	if (b->n_moves > 0)
		client_close_sends(b->client);
	while ((l = list_pop(&b->moves)) != NULL)
		move_free(container_of(l, struct move, link));
	bus_chan_close(b->chan);
	drop_fetched(b);
	alloc_free(b->held);
	settle_release(&b->settle);
	buf_release(&b->queue);
	alloc_free(b);
}

/* --- verbs ------------------------------------------------------------------------------------------------------------- */

/* The current message has been looked at. */
static enum err
leave(struct browse *b, struct errtext *t)
{
	struct ready *r = b->now;
	enum err e = r != NULL && !b->settled ? hold(b, r->tag.tag) : E_OK;

	if (e != E_OK)
		return err_set(t, e, "out of memory");
	ready_free(r);
	b->now = NULL;
	b->settled = false;
	return E_OK;
}

enum err
browse_next(struct browse *b, struct browse_letter *letter, struct errtext *t)
{
	struct patience p = { .deadline = 0 };
	enum err e = leave(b, t);

	while (e == E_OK && !b->lost) {
		e = ask(b, t);
		if (e != E_OK || !list_is_empty(&b->ready))
			break;
		if (b->asked == 0 && b->left == 0)
			return E_MISSING;
		e = turn(b, &p, t);
	}
	if (e == E_OK && b->lost)
		e = lost(b, t);
	if (e != E_OK)
		return e;
	b->now = container_of(list_pop(&b->ready), struct ready, link);
	*letter = (struct browse_letter){ b->now->msg, b->now->spoiled[0] != '\0' ? b->now->spoiled : NULL };
	return E_OK;
}

static void
on_sent(void *owner, const struct client_sent *s)
{
	struct move *m = owner;
	struct browse *b = m->browse;
	browse_moved_fn *fn = m->fn;
	uint64_t tag = m->user_tag;
	enum err e = s->err;
	const char *text = s->text;

	owner = m->owner;
	if (e != E_OK) {
		/* It stays; a rewind gives it back with the others, and the end of the channel does in any case. */
		if (hold(b, m->tag.tag) != E_OK)
			break_off(b, "out of memory");
	} else if (b->lost || settle_add(&b->settle, m->tag.tag, false) != E_OK) {
		e = E_CLOSED;
		text = "the copy has arrived, but the connection was lost before the letter could be taken "
		       "away";
	} else {
		push(b, false);
	}
	move_free(m);
	fn(owner, tag, e, text);
}

static enum err
wait_for_room(struct browse *b, size_t bytes, struct errtext *t)
{
	struct patience p = { .deadline = 0 };
	enum err e = E_OK;

	while (e == E_OK &&
		(b->n_moves + settle_open(&b->settle) >= MOVES_MAX ||
			(b->n_moves > 0 && b->move_bytes + bytes > MOVE_BYTES)))
		e = turn(b, &p, t);
	return e;
}

enum err
browse_move(struct browse *b, const struct msg *copy, uint64_t tag, browse_moved_fn *fn, void *owner,
	struct errtext *t)
{
	struct move *m;
	enum err e;

	assert(b->now != NULL && !b->settled);
	e = wait_for_room(b, copy->body.len, t);
	if (e != E_OK)
		return e;
	m = alloc_zero(sizeof(*m));
	if (m == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	*m = (struct move){
		.browse = b, .tag = b->now->tag, .bytes = copy->body.len, .user_tag = tag, .fn = fn, .owner = owner
	};
	list_push(&b->moves, &m->link);
	b->n_moves++;
	b->move_bytes += m->bytes;
	e = client_publish(b->client, copy, tag, on_sent, m, t);
	if (e != E_OK)
		move_free(m);
	else
		b->settled = true;
	return e;
}

enum err
browse_drop(struct browse *b, struct errtext *t)
{
	enum err e;

	assert(b->now != NULL && !b->settled);
	e = settle_add(&b->settle, b->now->tag.tag, false);
	if (e != E_OK)
		return err_set(t, e, "out of memory");
	b->settled = true;
	push(b, false);
	return b->lost ? lost(b, t) : E_OK;
}

enum err
browse_flush(struct browse *b, struct errtext *t)
{
	struct patience p = { .deadline = 0 };
	enum err e = E_OK;

	while (e == E_OK && (b->n_moves > 0 || settle_open(&b->settle) > 0)) {
		push(b, true);
		e = turn(b, &p, t);
	}
	return e;
}

/* Until all is sent that is to be given back; what proofs fetch meanwhile goes back too. The last ones need no proof: gets come after them. */
static enum err
give_back(struct browse *b, struct errtext *t)
{
	struct patience p = { .deadline = 0 };
	enum err e = E_OK;
	size_t i;

	b->rewinding = true;
	for (i = 0; e == E_OK && i < b->n_held; i++)
		e = settle_add(&b->settle, b->held[i], true);
	if (e != E_OK)
		return err_set(t, e, "out of memory");
	b->n_held = 0;
	push(b, false);
	while (e == E_OK && (b->settle.first < b->settle.n || b->asked > 0))
		e = turn(b, &p, t);
	b->rewinding = false;
	return e;
}

enum err
browse_rewind(struct browse *b, struct errtext *t)
{
	struct patience p = { .deadline = 0 };
	uint32_t messages = 0;
	struct list *l;
	size_t seen;
	enum err e = leave(b, t);

	while (e == E_OK && b->asked > 0)
		e = turn(b, &p, t);
	while (e == E_OK && (l = list_pop(&b->ready)) != NULL) {
		struct ready *r = container_of(l, struct ready, link);

		e = hold(b, r->tag.tag);
		ready_free(r);
	}
	if (e == E_OK)
		e = browse_flush(b, t);
	seen = b->n_held + b->left;
	b->left = 0;
	if (e == E_OK)
		e = give_back(b, t);
	if (e == E_OK)
		e = count(b, &messages, t);
	/* Some kinds of queue count late. */
	b->left = messages > seen ? messages : (uint32_t)seen;
	return e;
}

size_t
browse_moving(const struct browse *b)
{
	return b->n_moves;
}
