# src/worker: the worker daemon
noinst_LIBRARIES += libworker.a
libworker_a_SOURCES = \
	src/worker/banner.c src/worker/banner.h \
	src/worker/childenv.c src/worker/childenv.h \
	src/worker/consumer.c src/worker/consumer.h \
	src/worker/control.c src/worker/control.h \
	src/worker/ctl.h \
	src/worker/ctl_events.c src/worker/ctl_info.c src/worker/ctl_limits.c src/worker/ctl_pool.c \
	src/worker/ctl_revoke.c src/worker/ctl_stats.c src/worker/ctl_tasks.c \
	src/worker/post.c src/worker/post.h \
	src/worker/facts.c \
	src/worker/guide.c src/worker/guide.h \
	src/worker/feed.c src/worker/feed.h \
	src/worker/inquiry.c src/worker/inquiry.h \
	src/worker/job.c src/worker/job.h \
	src/worker/ledger.c src/worker/ledger.h \
	src/worker/limiter.c src/worker/limiter.h \
	src/worker/letter.c src/worker/letter.h \
	src/worker/mender.c src/worker/mender.h \
	src/worker/notify.c src/worker/notify.h \
	src/worker/outbox.c src/worker/outbox.h \
	src/worker/output.c src/worker/output.h \
	src/worker/pool.c src/worker/pool.h \
	src/worker/pool_change.c src/worker/pool_queues.c \
	src/worker/pulse.c src/worker/pulse.h \
	src/worker/reload.c src/worker/reload.h \
	src/worker/report.c src/worker/report.h \
	src/worker/revocation.c src/worker/revocation.h \
	src/worker/runs.c src/worker/runs.h \
	src/worker/slot.c src/worker/slot.h \
	src/worker/state.h \
	src/worker/sweep.c src/worker/sweep.h \
	src/worker/tail.c src/worker/tail.h src/worker/template.c src/worker/template.h \
	src/worker/worker.c src/worker/worker.h
