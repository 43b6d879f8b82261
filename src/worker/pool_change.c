/* Other settings for a pool that runs. Sizes and queues that were changed by hand stay, unless the settings about them are other than before. */
#include "worker/pool.h"

#include "worker/childenv.h"
#include "worker/state.h"

enum err
pool_check_change(struct pool_change *c, const struct pool *p, const struct pool_conf *conf, struct errtext *t)
{
	enum err e = childenv_argv(&c->argv, conf->runner, t);

	if (e == E_OK)
		e = childenv_new(&c->envp, conf, p->worker->conf->node, t);
	if (e == E_OK)
		c->conf = conf;
	return e == E_OK ? E_OK : err_prefix(t, e, "pool %s", conf->name);
}

void
pool_release_change(struct pool_change *c)
{
	childenv_free(c->argv);
	childenv_free(c->envp);
	*c = (struct pool_change){ .conf = NULL };
}

static bool
is_same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
is_same_list(char *const *a, char *const *b)
{
	size_t i = 0;

	while (a[i] != NULL && b[i] != NULL && strcmp(a[i], b[i]) == 0)
		i++;
	return a[i] == b[i];
}

/* A child that runs was started by other settings than the next one would be. The first variable is the mark of one child. */
static bool
is_other_child(const struct pool *p, const struct pool_change *c)
{
	return !is_same_list(p->argv, c->argv) || !is_same_list(p->envp + 1, c->envp + 1) ||
		!is_same_text(p->conf->cwd, c->conf->cwd) || p->conf->memory_limit != c->conf->memory_limit;
}

static bool
has_queue(const struct pool_conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_queues; i++)
		if (strcmp(c->queues[i].name, name) == 0)
			return true;
	return false;
}

static void
change_queues(struct pool *p, const struct pool_conf *before, const struct pool_conf *now)
{
	for (size_t i = 0; i < now->n_queues; i++)
		if (!has_queue(before, now->queues[i].name))
			pool_add_queue(p, &now->queues[i]);
	for (size_t i = 0; i < before->n_queues; i++)
		if (!has_queue(now, before->queues[i].name))
			pool_cancel_queue(p, span_of(before->queues[i].name));
}

static bool
is_same_scaling(const struct scale_conf *a, const struct scale_conf *b)
{
	return a->min == b->min && a->max == b->max && a->idle_ms == b->idle_ms;
}

static void
change_size(struct pool *p, const struct pool_conf *before, const struct pool_conf *now)
{
	size_t size = p->size;

	if (!is_same_scaling(&before->scaling, &now->scaling)) {
		p->scaling = now->scaling;
		if (now->scaling.max == 0)
			size = (size_t)now->concurrency;
		else
			size = size < now->scaling.min    ? now->scaling.min
				: size > now->scaling.max ? now->scaling.max
							  : size;
	} else if (now->scaling.max == 0 && before->concurrency != now->concurrency) {
		size = (size_t)now->concurrency;
	}
	pool_set_size(p, size, "settings");
	/* A multiplier may have changed without it. */
	pool_refresh_window(p);
}

void
pool_apply_change(struct pool *p, struct pool_change *c)
{
	const struct pool_conf *before = p->conf;
	bool other_child = is_other_child(p, c);

	p->conf = c->conf;
	childenv_free(p->argv);
	childenv_free(p->envp);
	p->argv = c->argv;
	p->envp = c->envp;
	c->argv = c->envp = NULL;
	nest_take_program(&p->nest);
	change_queues(p, before, p->conf);
	change_size(p, before, p->conf);
	if (other_child)
		pool_restart(p);
}
