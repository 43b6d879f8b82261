/*
 * Each thing to be done is one op with a call of the backend in it. Failures are stored, and chords begun and closed, all at once; parts are counted one
 * after the other, since each answer may add to what is left to be done.
 */
#include "worker/ledger.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/log.h"
#include "core/resume.h"

struct op {
	struct list link; /* ledger.ops */
	struct ledger *ledger;
	struct backend_store store;
	struct backend_chord chord;
	struct flow_size before; /* the answer to a count */
};

static struct op *
op_new(struct ledger *t)
{
	struct op *o = must_alloc(sizeof(*o));

	o->ledger = t;
	list_push(&t->ops, &o->link);
	return o;
}

static void
op_free(struct op *o)
{
	list_unlink(&o->link);
	backend_store_cancel(&o->store);
	backend_store_release(&o->store);
	backend_chord_cancel(&o->chord);
	backend_chord_release(&o->chord);
	alloc_free(o);
}

static void
refuse(struct ledger *t, enum err e, const char *why)
{
	if (t->err == E_OK)
		t->err = err_set(&t->why, e, "%s", why);
}

static bool
finish(struct ledger *t)
{
	return t->fn(t->owner, t->todo, t->err, t->why.text);
}

/* The op's call is on its way, or was refused at once. */
static void
begun(struct op *o, enum err e)
{
	if (e == E_OK) {
		o->ledger->left++;
		return;
	}
	refuse(o->ledger, e, err_name(e));
	op_free(o);
}

/* --- failures of others -------------------------------------------------------------------------------------------------- */

static void
on_marked(struct backend_store *s, enum err e, const char *why)
{
	struct op *o = container_of(s, struct op, store);
	struct ledger *t = o->ledger;

	/* A client that waits for this id alone will not hear of it: no reason to keep the others waiting. */
	if (e != E_OK && e != E_MISSING)
		LOG(MARK_REFUSED, LOG_STR("id", s->id), LOG_STR("why", why));
	op_free(o);
	if (--t->left == 0)
		finish(t);
}

static void
mark_all(struct ledger *t)
{
	const struct flow *f = t->flow;

	/* Nobody can wait for a result that no backend keeps. */
	if (backend_is_none(t->backend))
		return;
	for (size_t i = f->marked; i < f->n_marks; i++) {
		const struct flow_mark *m = &f->marks[i];
		struct op *o = op_new(t);
		struct result r = { .task_id = m->id,
			.state = SPAN("FAILURE"),
			.value = m->error,
			.traceback = f->traceback,
			.group_id = m->group,
			.reply_to = m->reply_to,
			.date_done = clock_wall_us() };

		begun(o, backend_store(t->backend, &o->store, &r, on_marked));
	}
	/* What was refused at once is no reason to stop either. */
	t->err = E_OK;
}

/* --- counting ------------------------------------------------------------------------------------------------------------ */

static void count_next(struct ledger *t);

static void
counted(struct op *o, enum err e, const char *why)
{
	struct ledger *t = o->ledger;

	if (e != E_OK)
		refuse(t, e, why);
	op_free(o);
	t->left--;
	if (t->err == E_OK)
		count_next(t);
	if (t->left == 0)
		finish(t);
}

/* Another member goes on with it: one whose message is not acknowledged before it has. */
static void
on_claimed(struct backend_chord *c, enum err e, const struct chord_count *count, const char *why)
{
	struct op *o = container_of(c, struct op, chord);

	FAIL_POINT("C3");
	if (e == E_OK && count->is_over)
		flow_cut(o->ledger->flow, &o->before);
	counted(o, e, why);
}

static void
on_counted(struct backend_chord *c, enum err e, const struct chord_count *count, const char *why)
{
	struct op *o = container_of(c, struct op, chord);
	struct flow *f = o->ledger->flow;
	struct errtext text = { "" };

	FAIL_POINT("C1");
	if (e == E_OK) {
		o->before = flow_size(f);
		e = flow_on_counted(f, count, clock_wall_us(), &text);
		why = text.text;
	}
	/* Members that are delivered again at this moment find it full, too. */
	if (e == E_OK && f->n_closes > o->before.n_closes) {
		const struct flow_part *p = &f->parts[f->counted - 1];

		e = backend_chord_claim(o->ledger->backend, &o->chord, p->group, p->id, on_claimed);
		if (e == E_OK)
			return;
		why = err_name(e);
	}
	counted(o, e, why);
}

static void
count_next(struct ledger *t)
{
	const struct flow *f = t->flow;
	const struct flow_part *p = &f->parts[f->counted];
	struct backend_part part;
	struct buf kept;
	struct op *o;

	if (f->counted == f->n_parts)
		return;
	o = op_new(t);
	buf_init(&kept, 0);
	resume_keep(&kept, p);
	part = (struct backend_part){
		.group = p->group, .id = p->id, .index = p->index, .member = p->member, .kept = buf_span(&kept)
	};
	begun(o, kept.err == E_OK ? backend_chord_part(t->backend, &o->chord, &part, on_counted) : kept.err);
	buf_release(&kept);
}

/* --- beginning and end of chords ----------------------------------------------------------------------------------------- */

static void
on_done(struct backend_chord *c, enum err e, const struct chord_count *count UNUSED, const char *why)
{
	struct op *o = container_of(c, struct op, chord);
	struct ledger *t = o->ledger;

	FAIL_POINT("C2");
	if (e != E_OK)
		refuse(t, e, why);
	op_free(o);
	if (--t->left == 0)
		finish(t);
}

static void
announce_all(struct ledger *t)
{
	const struct flow *f = t->flow;

	for (size_t i = f->announced; i < f->n_chords; i++) {
		const struct flow_chord *c = &f->chords[i];
		struct op *o = op_new(t);

		begun(o, backend_chord_open(t->backend, &o->chord, c->group, c->size, c->saved, on_done));
	}
}

static void
close_all(struct ledger *t)
{
	const struct flow *f = t->flow;

	for (size_t i = f->closed; i < f->n_closes; i++) {
		struct op *o = op_new(t);

		begun(o, backend_chord_close(t->backend, &o->chord, f->closes[i], on_done));
	}
}

void
ledger_init(struct ledger *t, struct backend *b, struct flow *f, ledger_fn *fn, void *owner)
{
	*t = (struct ledger){ .backend = b, .flow = f, .fn = fn, .owner = owner };
	list_init(&t->ops);
}

bool
ledger_begin(struct ledger *t, enum flow_todo todo)
{
	t->todo = todo;
	t->err = E_OK;
	switch (todo) {
	case FLOW_MARK:
		mark_all(t);
		break;
	case FLOW_COUNT:
		count_next(t);
		break;
	case FLOW_ANNOUNCE:
		announce_all(t);
		break;
	case FLOW_CLOSE:
		close_all(t);
		break;
	case FLOW_NOTHING:
		break;
	}
	return t->left == 0 && finish(t);
}

void
ledger_release(struct ledger *t)
{
	struct list *it, *tmp;

	if (t->backend == NULL)
		return;
	LIST_EACH (&t->ops, it, tmp)
		op_free(container_of(it, struct op, link));
	t->left = 0;
}
