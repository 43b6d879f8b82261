/* Consumers and queues of a pool; see window.h. No broker, no clock: counts in, one move out. */
#include "core/window.h"

enum window_mode
window_choose(size_t queues, bool refuses_shared)
{
	if (queues == 1)
		return WINDOW_ONE;
	return refuses_shared ? WINDOW_SPREAD : WINDOW_SHARED;
}

size_t
window_consumers(enum window_mode m, size_t queues, size_t slots)
{
	return m == WINDOW_SPREAD ? slots : queues;
}

size_t
window_first_queue(enum window_mode m, size_t consumer, size_t queues)
{
	return m == WINDOW_SPREAD ? consumer % queues : consumer;
}

int
window_prefetch(enum window_mode m, size_t slots)
{
	return m == WINDOW_SPREAD ? 1 : (int)slots;
}

/* Waiting messages for each consumer that is or would be there; a queue without any counts as needier. */
static double
need(const struct window_queue *q)
{
	return (double)q->ready / (double)(q->idle + q->busy + 1);
}

/* The queue that can best spare a consumer: one that is idle, or, for a queue nobody serves, one of the best served. */
static size_t
find_donor(const struct window_queue *queues, size_t n, size_t to, bool take_busy)
{
	uint32_t most = 0;
	size_t donor = n;

	for (size_t i = 0; i < n; i++)
		if (i != to && queues[i].idle > 0 && queues[i].ready == 0)
			return i;
	if (!take_busy)
		return n;
	for (size_t i = 0; i < n; i++) {
		uint32_t count = queues[i].idle + queues[i].busy;

		if (i != to && count > most) {
			most = count;
			donor = i;
		}
	}
	return donor;
}

static struct window_move
move_to_work(const struct window_queue *queues, size_t n, size_t turn)
{
	struct window_move m = { .wanted = false };
	double most = 0;

	for (size_t k = 0; k < n; k++) {
		size_t i = (turn + k) % n;

		/* An idle consumer there already will get what waits. */
		if (queues[i].ready > queues[i].idle && need(&queues[i]) > most) {
			most = need(&queues[i]);
			m.to = i;
			m.wanted = true;
		}
		if (queues[i].ready > 0 && queues[i].idle + queues[i].busy == 0) {
			m.to = i;
			m.wanted = true;
			break;
		}
	}
	if (!m.wanted)
		return m;
	m.from = find_donor(queues, n, m.to, queues[m.to].idle + queues[m.to].busy == 0);
	m.wanted = m.from < n;
	return m;
}

static struct window_move
even_out(const struct window_queue *queues, size_t n, size_t turn)
{
	size_t poor = n, rich = n;
	uint32_t most = 0, total = 0;

	for (size_t k = 0; k < n; k++) {
		size_t i = (turn + k) % n;
		uint32_t count = queues[i].idle + queues[i].busy;

		total += count;
		if (count == 0 && poor == n)
			poor = i;
		if (queues[i].idle > 0 && count > most) {
			most = count;
			rich = i;
		}
	}
	/* A consumer that is alone on its queue only leaves it when there are fewer of them than queues. */
	if (poor == n || rich == n || (most < 2 && total >= n))
		return (struct window_move){ .wanted = false };
	return (struct window_move){ .wanted = true, .from = rich, .to = poor };
}

struct window_move
window_decide(const struct window_queue *queues, size_t n, size_t turn)
{
	struct window_move m = move_to_work(queues, n, turn);

	for (size_t i = 0; i < n && !m.wanted; i++)
		if (queues[i].ready > 0)
			return m;
	return m.wanted ? m : even_out(queues, n, turn);
}
