/* Laid out like Celery's banner, so that eyes find things where they expect them. */
#include "worker/banner.h"

#include <stdlib.h>

#include "worker/state.h"

static void
add_pool(struct buf *b, const struct pool *p)
{
	const struct pool_conf *c = p->conf;

	if (p->scaling.max > 0)
		buf_addf(b, "  .> %-14s %u to %u slots", c->name, p->scaling.min, p->scaling.max);
	else
		buf_addf(b, "  .> %-14s %zu slot%s", c->name, p->size, p->size == 1 ? "" : "s");
	buf_adds(b, ", runner");
	for (size_t i = 0; c->runner[i] != NULL; i++)
		buf_addf(b, " %s", c->runner[i]);
	buf_adds(b, "\n     queues         ");
	for (size_t i = 0; i < p->n_queues; i++)
		buf_addf(b, "%s%s", i > 0 ? ", " : "", p->queues[i].topo.name);
	buf_addc(b, '\n');
}

static int
compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	int c = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);

	return c != 0 ? c : (x->len > y->len) - (x->len < y->len);
}

static void
add_tasks(struct buf *b, const struct pool *p)
{
	struct span *names = must_alloc(sizeof(*names) * (p->tasks.count + 1));
	struct map_iter it = { 0 };
	size_t n = 0;

	while (map_next(&p->tasks, &it))
		names[n++] = it.key;
	qsort(names, n, sizeof(*names), compare);
	for (size_t i = 0; i < n; i++)
		buf_addf(b, "  . %.*s\n", SPAN_FMT(names[i]));
	if (p->any_task)
		buf_adds(b, "  . any name\n");
	alloc_free(names);
}

void
banner_add(struct buf *b, const struct worker *w)
{
	buf_addf(b, "\n warren %s  %s\n\n[config]\n", w->conf->version, w->conf->node);
	buf_addf(b, "  .> broker         %s\n", bus_conn_url(w->consume));
	buf_addf(b, "  .> results        %s\n", backend_url(w->backend));
	buf_adds(b, "\n[pools]\n");
	for (size_t i = 0; i < w->n_pools; i++)
		add_pool(b, &w->pools[i]);
	buf_adds(b, "\n[tasks]\n");
	for (size_t i = 0; i < w->n_pools; i++)
		add_tasks(b, &w->pools[i]);
	buf_addc(b, '\n');
}
