/* Consumers and queues of a pool; see window.h. No broker, no clock: counts in, one move out. */
#include "core/window.h"

enum window_mode
window_choose(size_t queues, bool refuses_shared)
{
	if (queues == 1)
		return WINDOW_ONE;
	return refuses_shared ? WINDOW_SPREAD : WINDOW_SHARED;
}

static uint32_t
claim(const struct window_share *s)
{
	return s->state != WINDOW_OFF && s->prefetch > s->held ? s->prefetch : s->held;
}

uint32_t
window_claims(const struct window_share *shares, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += claim(&shares[i]);
	return sum;
}

/* The one whose end makes the most room; of those the one with the smallest window, because the rest of it has to be added again. */
static size_t
find_spare(const struct window_share *shares, size_t n)
{
	size_t best = n;

	for (size_t i = 0; i < n; i++) {
		uint32_t room = claim(&shares[i]) - shares[i].held,
			 most = best < n ? claim(&shares[best]) - shares[best].held : 0;

		if (shares[i].state != WINDOW_ON)
			continue;
		if (best == n || room > most || (room == most && shares[i].prefetch < shares[best].prefetch))
			best = i;
	}
	return best;
}

struct window_change
window_fit(enum window_mode m, const struct window_share *shares, size_t n, uint32_t slots)
{
	struct window_change c = { .action = WINDOW_KEEP };
	uint32_t sum = window_claims(shares, n), later = 0;

	for (size_t i = 0; i < n; i++)
		later += shares[i].state == WINDOW_LEAVING ? shares[i].held : claim(&shares[i]);
	if (sum < slots) {
		c.action = WINDOW_ADD;
		c.prefetch = m == WINDOW_SPREAD ? 1 : slots - sum;
	} else if (later > slots && (c.consumer = find_spare(shares, n)) < n) {
		c.action = WINDOW_CANCEL;
	}
	return c;
}

size_t
window_thinnest(const struct window_queue *queues, size_t n)
{
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < n; i++)
		if (!queues[i].off &&
			(best == SIZE_MAX ||
				queues[i].idle + queues[i].busy < queues[best].idle + queues[best].busy))
			best = i;
	return best;
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

		if (queues[i].off)
			continue;
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
	uint32_t most = 0, total = 0, open = 0;

	for (size_t k = 0; k < n; k++) {
		size_t i = (turn + k) % n;
		uint32_t count = queues[i].idle + queues[i].busy;

		if (queues[i].off)
			continue;
		open++;
		total += count;
		if (count == 0 && poor == n)
			poor = i;
		if (queues[i].idle > 0 && count > most) {
			most = count;
			rich = i;
		}
	}
	/* A consumer that is alone on its queue only leaves it when there are fewer of them than queues. */
	if (poor == n || rich == n || (most < 2 && total >= open))
		return (struct window_move){ .wanted = false };
	return (struct window_move){ .wanted = true, .from = rich, .to = poor };
}

struct window_move
window_decide(const struct window_queue *queues, size_t n, size_t turn)
{
	struct window_move m = move_to_work(queues, n, turn);

	for (size_t i = 0; i < n && !m.wanted; i++)
		if (queues[i].ready > 0 && !queues[i].off)
			return m;
	return m.wanted ? m : even_out(queues, n, turn);
}
