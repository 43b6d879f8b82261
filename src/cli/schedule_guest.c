/* warren worker -B: the scheduler as a guest of the worker. It leads or stands by like any other. */
#include "cli/schedule.h"

static enum err
guest_open(void *owner, struct loop *l, void (*stopped)(void *arg), void *arg, struct errtext *t)
{
	struct schedule_guest *g = owner;

	return beat_open(&g->beat, l, &g->conf, stopped, arg, t);
}

static void
guest_stop(void *owner)
{
	struct schedule_guest *g = owner;

	if (g->beat != NULL)
		beat_stop(g->beat);
}

static bool
guest_is_stopped(const void *owner)
{
	const struct schedule_guest *g = owner;

	return g->beat == NULL || beat_is_stopped(g->beat);
}

static void
guest_close(void *owner)
{
	struct schedule_guest *g = owner;

	beat_close(g->beat);
	g->beat = NULL;
}

enum err
schedule_guest_init(struct schedule_guest *g, struct cli *cli, struct worker_conf *w, struct errtext *t)
{
	enum err e;

	*g = (struct schedule_guest){ .beat = NULL };
	e = schedule_open(&g->maker, cli, t);
	if (e == E_OK)
		e = setup_beat(cli, &g->maker, &g->conf, t);
	/* There may be one in every worker of this machine. */
	if (e == E_OK && cli->conf.origin[CONF_OPT_beat_name].source == CONF_DEFAULT)
		g->conf.node = w->node;
	/* Redis remembers; a slow disk must not hold up the worker. */
	if (e == E_OK && g->conf.store.url != NULL && g->conf.state_path == NULL)
		g->conf.no_state = true;
	g->guest = (struct worker_guest){ .open = guest_open,
		.stop = guest_stop,
		.is_stopped = guest_is_stopped,
		.close = guest_close,
		.owner = g };
	if (e == E_OK)
		w->guest = &g->guest;
	return e;
}

void
schedule_guest_release(struct schedule_guest *g)
{
	schedule_release(&g->maker);
}
