/* Remote control: events. */
#include "worker/ctl.h"

#include "base/log.h"

void
ctl_enable_events(struct ctl *c)
{
	if (!pulse_set_tasks(&c->worker->pulse, true)) {
		ctl_ok(c, "task events already enabled");
		return;
	}
	LOG(EVENTS_ENABLED);
	ctl_ok(c, "task events enabled");
}

void
ctl_disable_events(struct ctl *c)
{
	if (!pulse_set_tasks(&c->worker->pulse, false)) {
		ctl_ok(c, "task events already disabled");
		return;
	}
	LOG(EVENTS_DISABLED);
	ctl_ok(c, "task events disabled");
}

void
ctl_heartbeat(struct ctl *c)
{
	pulse_beat(&c->worker->pulse);
	js_null(c->js);
}

/* This worker never stands for election, so whoever wins does it without us. */
void
ctl_election(struct ctl *c)
{
	js_null(c->js);
}
