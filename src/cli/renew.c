/* The check is a child on the loop of the scheduler, which goes on meanwhile; its last line on stderr says what is wrong. */
#include "cli/renew.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "loop/child.h"
#include "loop/stream.h"

#define SELF "/proc/self/exe"
#define SAID_MAX 4096
#define CHECK_MS 90000 /* an application may take its time */

struct renew_check {
	struct renew *renew;
	struct loop *loop;
	struct child *child;
	struct stream *out, *err;
	struct buf said;
	struct loop_timer late;
	beat_renewal_fn *fn;
	void *arg;
	struct child_end end;
	bool exited, is_late, closed;
};

enum err
renew_exec(const struct renew *r, struct errtext *t)
{
	/* One that comes before the new one listens to it must not end it. */
	signal(SIGHUP, SIG_IGN);
	execv(SELF, r->argv);
	return err_sys(t, "cannot begin anew");
}

/* --- the check --------------------------------------------------------------------------------------------------------- */

static void
free_check(void *p)
{
	struct renew_check *c = p;

	buf_release(&c->said);
	alloc_free(c);
}

static void
close_check(struct renew_check *c)
{
	if (c->closed)
		return;
	c->closed = true;
	c->renew->check = NULL;
	loop_timer_release(&c->late);
	stream_close(c->out);
	stream_close(c->err);
	child_close(c->child);
	loop_reap(c->loop, free_check, c);
}

static struct span
last_line(const struct buf *said)
{
	struct span rest = span_trim(buf_span(said)), line = SPAN_NONE;

	while (rest.ptr != NULL)
		line = span_split(&rest, '\n');
	if (span_starts(line, "warren: "))
		line = (struct span){ line.ptr + 8, line.len - 8 };
	if (span_starts(line, "beat: "))
		line = (struct span){ line.ptr + 6, line.len - 6 };
	return line;
}

/* Both have come: its end, and all it said. */
static void
look(struct renew_check *c)
{
	struct errtext t = { "" };
	enum err e = E_OK;
	struct buf why;

	if (c->closed || !(c->is_late || (c->exited && c->err == NULL)))
		return;
	if (c->is_late)
		e = err_set(
			&t, E_TIMEOUT, "the new settings could not be checked within %d s", CHECK_MS / 1000);
	else if (c->end.signaled || c->end.code != 0) {
		buf_init(&why, 0);
		text_add_printable(&why, last_line(&c->said), 400);
		if (why.len == 0) {
			buf_adds(&why, "the check ");
			child_add_end(&why, &c->end);
		}
		e = err_set(&t, E_CONF, "%s", buf_text(&why));
		buf_release(&why);
	}
	close_check(c);
	c->fn(c->arg, e, t.text);
}

static void
on_data(void *owner, struct span bytes)
{
	struct renew_check *c = owner;

	buf_add(&c->said, bytes);
	if (c->said.len > SAID_MAX)
		buf_drop(&c->said, c->said.len - SAID_MAX);
}

static void
on_close(void *owner, enum err e UNUSED, const char *why UNUSED)
{
	struct renew_check *c = owner;

	stream_close(c->err);
	c->err = NULL;
	look(c);
}

static void
on_out_data(void *owner UNUSED, struct span bytes UNUSED)
{
}

static void
on_out_close(void *owner, enum err e UNUSED, const char *why UNUSED)
{
	struct renew_check *c = owner;

	stream_close(c->out);
	c->out = NULL;
}

static void
on_exit_of_child(void *owner, const struct child_end *end)
{
	struct renew_check *c = owner;

	c->exited = true;
	c->end = *end;
	look(c);
}

static void
on_late(void *owner)
{
	struct renew_check *c = owner;

	c->is_late = true;
	look(c);
}

static enum err
listen_to_it(struct renew_check *c, struct errtext *t)
{
	static const struct stream_ops err_ops = { .on_data = on_data, .on_close = on_close };
	static const struct stream_ops out_ops = { .on_data = on_out_data, .on_close = on_out_close };
	static const struct stream_conf conf = { .write_max = 1 };
	enum err e = stream_adopt(&c->err, c->loop, child_take_stderr(c->child), &conf, &err_ops, c, t);

	if (e == E_OK)
		e = stream_adopt(&c->out, c->loop, child_take_stdout(c->child), &conf, &out_ops, c, t);
	return e;
}

static enum err
start_check(void *owner, struct loop *l, beat_renewal_fn *fn, void *arg, struct errtext *t)
{
	static const struct child_ops ops = { .on_exit = on_exit_of_child };
	struct renew *r = owner;
	struct renew_check *c = must_alloc(sizeof(*c));
	const char **argv = must_alloc((r->argc + 2) * sizeof(*argv));
	struct child_conf conf = { .argv = argv, .envp = (const char *const *)environ };
	enum err e;

	*c = (struct renew_check){ .renew = r, .loop = l, .fn = fn, .arg = arg };
	buf_init(&c->said, 0);
	r->check = c;
	argv[0] = SELF;
	for (size_t i = 1; i < r->argc; i++)
		argv[i] = r->argv[i];
	argv[r->argc] = "--check";
	e = loop_timer_init(&c->late, l, on_late, c);
	if (e != E_OK)
		err_set(t, e, "%s", err_name(e));
	else
		e = child_spawn(&c->child, l, &conf, &ops, c, t);
	if (e == E_OK)
		e = listen_to_it(c, t);
	alloc_free(argv);
	if (e != E_OK) {
		close_check(c);
		return err_prefix(t, e, "the new settings cannot be checked");
	}
	loop_timer_arm(&c->late, CHECK_MS);
	return E_OK;
}

static void
cancel_check(void *owner)
{
	struct renew *r = owner;

	if (r->check != NULL)
		close_check(r->check);
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

void
renew_init(struct renew *r, char *const *argv)
{
	*r = (struct renew){ .renewal = { .check = start_check, .cancel = cancel_check, .owner = r } };
	while (argv[r->argc] != NULL)
		r->argc++;
	r->argv = must_alloc((r->argc + 2) * sizeof(*r->argv));
	for (size_t i = 0; i < r->argc; i++)
		r->argv[i] = must_dup(span_of(argv[i]));
}

void
renew_release(struct renew *r)
{
	for (size_t i = 0; i < r->argc; i++)
		alloc_free(r->argv[i]);
	alloc_free(r->argv);
	*r = (struct renew){ .argc = 0 };
}
