/* What the commands of remote control share. Private to control.c and ctl_*.c. */
#ifndef WARREN_WORKER_CTL_H
#define WARREN_WORKER_CTL_H

#include "base/js.h"
#include "wire/control.h"
#include "worker/state.h"

/* One command under way. It writes exactly one JSON value to `js`, or sets is_silent. */
struct ctl {
	struct worker *worker;
	const struct control_request *req;
	struct js *js;
	bool is_silent;
	struct msg *msg; /* the request's */
	bool is_kept;    /* whoever set this owns msg now, and calls control_answer later */
};

/* {"ok": "..."} and {"error": "..."} */
void ctl_ok(struct ctl *c, const char *fmt, ...) PRINTFLIKE(2, 3);
void ctl_error(struct ctl *c, const char *fmt, ...) PRINTFLIKE(2, 3);
/* A required text; false with the answer written when it is missing. */
bool ctl_need_text(struct ctl *c, const char *key, struct span *out);

/* ctl_info.c */
void ctl_ping(struct ctl *c);
void ctl_clock(struct ctl *c);
void ctl_hello(struct ctl *c);
void ctl_registered(struct ctl *c);
void ctl_active_queues(struct ctl *c);
void ctl_conf(struct ctl *c);
void ctl_report(struct ctl *c);
void ctl_memsample(struct ctl *c);
void ctl_memdump(struct ctl *c);
void ctl_objgraph(struct ctl *c);
/* ctl_stats.c */
void ctl_stats(struct ctl *c);
/* ctl_tasks.c */
void ctl_active(struct ctl *c);
void ctl_reserved(struct ctl *c);
void ctl_scheduled(struct ctl *c);
void ctl_query_task(struct ctl *c);
/* ctl_revoke.c */
void ctl_revoked(struct ctl *c);
void ctl_revoke(struct ctl *c);
void ctl_terminate(struct ctl *c);
void ctl_revoke_by_stamped_headers(struct ctl *c);
/* ctl_events.c */
void ctl_enable_events(struct ctl *c);
void ctl_disable_events(struct ctl *c);
void ctl_heartbeat(struct ctl *c);
void ctl_election(struct ctl *c);
/* ctl_pool.c */
void ctl_shutdown(struct ctl *c);
void ctl_pool_grow(struct ctl *c);
void ctl_pool_shrink(struct ctl *c);
void ctl_pool_restart(struct ctl *c);
void ctl_autoscale(struct ctl *c);
void ctl_add_consumer(struct ctl *c);
void ctl_cancel_consumer(struct ctl *c);
/* ctl_limits.c */
void ctl_rate_limit(struct ctl *c);
void ctl_time_limit(struct ctl *c);

#endif
