/* See app.h. Asking and looking up; what the answers mean is in app_settings.c. */
#include "cli/app.h"

#include "cli/probe.h"

static void
wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_release(b);
}

static enum err
ask_one(struct cli *cli, const struct pool_conf *pool, const struct opt_list *queues, const char *node,
	struct app_reply *out, struct errtext *t)
{
	struct buf line;
	enum err e;

	buf_init(&line, 0);
	e = probe_run(&line, pool, queues->items, node, t);
	if (e == E_OK && (e = app_decode(out, buf_span(&line), &cli->arena, t)) != E_OK)
		e = e == E_NOMEM ? e : err_prefix(t, E_CONF, "pool %s: %s", pool->name, pool->app);
	wipe(&line);
	if (e == E_OK && out->answer == APP_FAILED)
		return err_set(t, E_CONF, "pool %s: %s", pool->name, out->error);
	return e;
}

static enum err
add_app(struct cli *cli, const struct pool_conf *pool, const struct app *app, struct errtext *t)
{
	struct cli_app *all = arena_zero(&cli->arena, (cli->n_apps + 1) * sizeof(*all));

	if (all == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	if (cli->n_apps > 0)
		memcpy(all, cli->apps, cli->n_apps * sizeof(*all));
	all[cli->n_apps] = (struct cli_app){ .module = pool->app, .pool = pool->name, .app = *app };
	cli->apps = all;
	return app_apply(cli, &all[cli->n_apps++], t);
}

/* Which queues a pool names by itself: the flag's, or those of its entry. */
static const struct opt_list *
named_queues(const struct cli *cli, const struct opt_list *queues, const char *pool)
{
	size_t i;

	for (i = 0; queues->n == 0 && i < cli->conf.n_pools; i++)
		if (strcmp(cli->conf.pools[i].item.name, pool) == 0)
			return &cli->conf.pools[i].queues;
	return queues;
}

enum err
app_ask(struct cli *cli, const struct runner_flags *r, const struct opt_list *queues,
	const struct opt_list *chosen, const char *node, struct errtext *t)
{
	struct pool_conf *pools;
	struct app_reply reply;
	size_t n, i;
	enum err e = setup_pools(cli, r, queues, chosen, &pools, &n, t);

	for (i = 0; e == E_OK && i < n; i++) {
		if (pools[i].app == NULL)
			continue;
		e = ask_one(cli, &pools[i], named_queues(cli, queues, pools[i].name), node, &reply, t);
		if (e == E_OK && reply.answer == APP_CELERY)
			e = add_app(cli, &pools[i], &reply.app, t);
	}
	return e == E_OK && cli->n_apps > 0 ? app_merge_tasks(cli, t) : e;
}

enum err
app_apply_again(struct cli *cli, const struct cli *first, struct errtext *t)
{
	enum err e = E_OK;
	size_t i;

	cli->apps = arena_zero(&cli->arena, (first->n_apps + 1) * sizeof(*cli->apps));
	if (cli->apps == NULL)
		return err_set(t, E_NOMEM, "out of memory");
	for (i = 0; e == E_OK && i < first->n_apps; i++) {
		const struct cli_app *a = &first->apps[i];

		cli->apps[cli->n_apps++] =
			(struct cli_app){ .module = a->module, .pool = a->pool, .app = a->app };
		e = app_apply(cli, &cli->apps[i], t);
	}
	return e == E_OK && cli->n_apps > 0 ? app_merge_tasks(cli, t) : e;
}

void
app_each_note(const struct cli *cli, void (*fn)(const char *module, const char *setting, const char *note))
{
	size_t i, k;

	for (i = 0; i < cli->n_apps; i++) {
		const struct cli_app *a = &cli->apps[i];

		for (k = 0; k < a->app.n_notes; k++)
			fn(a->module, a->app.notes[k].setting, a->app.notes[k].note);
		for (k = 0; k < a->n_notes; k++)
			fn(a->module, a->notes[k].setting, a->notes[k].note);
	}
}

const struct app *
app_of_pool(const struct cli *cli, const char *pool)
{
	size_t i;

	for (i = 0; i < cli->n_apps; i++)
		if (strcmp(cli->apps[i].pool, pool) == 0)
			return &cli->apps[i].app;
	return NULL;
}

const struct app_queue *
app_find_queue(const struct cli *cli, const char *name)
{
	size_t i, k;

	for (i = 0; i < cli->n_apps; i++)
		for (k = 0; k < cli->apps[i].app.n_queues; k++)
			if (strcmp(cli->apps[i].app.queues[k].name, name) == 0)
				return &cli->apps[i].app.queues[k];
	return NULL;
}
