/*
 * One pass at once, then ten a second until two in a row have found nothing: an orphan's own offspring comes to us only after it is gone.
 * Zombies of orphans that ended by themselves are taken away when the kernel says that some child has ended.
 */
#include "worker/sweep.h"

#include <signal.h>

#include "base/id.h"
#include "base/log.h"
#include "loop/child.h"
#include "loop/orphans.h"
#include "worker/state.h"

#define PASS_MS 100
#define PASSES 2

static bool
is_ours(void *owner, int pid)
{
	const struct sweep *s = owner;

	return child_is_ours(s->worker->loop, pid);
}

static void
on_pass(void *owner)
{
	struct sweep *s = owner;
	size_t killed = 0, n;
	bool more = false;

	for (size_t i = 0; i < SWEEP_MARKS_MAX; i++) {
		if (s->marks[i][0] == '\0')
			continue;
		n = orphans_kill(s->marks[i], is_ours, s);
		s->passes[i] = n > 0 ? PASSES : s->passes[i] - 1;
		if (s->passes[i] <= 0)
			s->marks[i][0] = '\0';
		more |= s->marks[i][0] != '\0';
		killed += n;
	}
	if (killed > 0)
		LOG(ORPHANS_KILLED, LOG_INT("count", killed));
	if (more)
		loop_timer_arm(&s->timer, PASS_MS);
}

static void
on_reap(void *owner)
{
	orphans_reap(is_ours, owner);
}

/* After this turn's ends of our own children have been seen. */
static void
on_sigchld(void *owner)
{
	struct sweep *s = owner;

	loop_defer(s->worker->loop, LOOP_FLUSH, &s->reap, on_reap, s);
}

enum err
sweep_init(struct sweep *s, struct worker *w)
{
	struct errtext t;
	enum err e;

	s->worker = w;
	/* Not fatal: only what leaves its session stays behind then. */
	if (orphans_adopt(&t) != E_OK)
		LOG(ORPHANS_NOT_ADOPTED, LOG_STR("why", t.text));
	e = loop_timer_init(&s->timer, w->loop, on_pass, s);
	return e == E_OK ? loop_signal_init(&s->sigchld, w->loop, SIGCHLD, on_sigchld, s) : e;
}

void
sweep_release(struct sweep *s)
{
	loop_undefer(&s->reap);
	loop_timer_release(&s->timer);
	loop_signal_release(&s->sigchld);
}

void
sweep_new_mark(char out[SWEEP_MARK_MAX])
{
	snprintf(out, SWEEP_MARK_MAX, "WARREN_CHILD=%016llx", (unsigned long long)id_random_u64());
}

void
sweep_after(struct sweep *s, const char *mark)
{
	size_t at = 0;

	/* When all places are taken the oldest has had most of its passes: the first one gives way. */
	for (size_t i = 0; i < SWEEP_MARKS_MAX; i++)
		if (s->marks[i][0] == '\0') {
			at = i;
			break;
		}
	snprintf(s->marks[at], SWEEP_MARK_MAX, "%s", mark);
	s->passes[at] = PASSES;
	on_pass(s);
}
