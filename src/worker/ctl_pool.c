/* Remote control: the pool and its queues. What this worker cannot change while it runs it says so. */
#include "worker/ctl.h"

#include "base/log.h"

/* No answer: the worker is on its way out. */
void
ctl_shutdown(struct ctl *c)
{
	LOG(CONTROL_SHUTDOWN);
	c->is_silent = true;
	js_null(c->js);
	worker_shutdown(c->worker);
}

void
ctl_pool_grow(struct ctl *c)
{
	ctl_error(c, "this worker cannot change the number of its slots while it runs");
}

void
ctl_pool_shrink(struct ctl *c)
{
	ctl_error(c, "this worker cannot change the number of its slots while it runs");
}

/* Children that run a task end after it, the others now. */
void
ctl_pool_restart(struct ctl *c)
{
	for (size_t i = 0; i < c->worker->n_pools; i++)
		pool_restart(&c->worker->pools[i]);
	LOG(POOL_RESTART);
	ctl_ok(c, "reload started");
}

void
ctl_autoscale(struct ctl *c)
{
	ctl_error(c, "ValueError('Autoscale not enabled')");
}

void
ctl_add_consumer(struct ctl *c)
{
	ctl_error(c, "this worker cannot change its queues while it runs");
}

void
ctl_cancel_consumer(struct ctl *c)
{
	ctl_error(c, "this worker cannot change its queues while it runs");
}
