/* Questions about a running worker, for answers, events and limits. */
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "worker/job.h"
#include "worker/state.h"

/* Task names whose runs are counted. */
#define TOTALS_MAX 10000

void
worker_count_run(struct worker *w, struct span task_name)
{
	int64_t *count = map_get(&w->totals, task_name);

	w->accepted++;
	if (count == NULL) {
		/* A runner that takes any name is no reason to remember them all. */
		if (w->totals.count >= TOTALS_MAX)
			return;
		count = must_alloc(sizeof(*count));
		if (map_set(&w->totals, task_name, count, NULL) != E_OK)
			abort();
	}
	++*count;
}

size_t
worker_active(const struct worker *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_pools; i++)
		for (size_t k = 0; k < w->pools[i].n_slots; k++)
			n += w->pools[i].slots[k]->job != NULL;
	return n;
}

struct job *
worker_find_job(struct worker *w, struct span id)
{
	struct list *it, *tmp;

	for (size_t i = 0; i < w->n_pools; i++)
		LIST_EACH (&w->pools[i].jobs, it, tmp) {
			struct job *j = container_of(it, struct job, link);

			if (span_eq(j->request.task.id, id))
				return j;
		}
	return NULL;
}
