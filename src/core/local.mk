# src/core: decisions, pure
noinst_LIBRARIES += libcore.a
libcore_a_SOURCES = \
	src/core/address.c src/core/address.h \
	src/core/builtin.c src/core/builtin.h \
	src/core/chord.c src/core/chord.h \
	src/core/cron.c src/core/cron.h \
	src/core/effect.h \
	src/core/flow.c src/core/flow.h \
	src/core/flow_apply.c src/core/flow_apply.h \
	src/core/flow_fail.c src/core/flow_freeze.c \
	src/core/flow_node.c src/core/flow_node.h \
	src/core/ladder.c src/core/ladder.h \
	src/core/limit.c src/core/limit.h \
	src/core/plan.c src/core/plan.h \
	src/core/request.c src/core/request.h src/core/request_inner.h \
	src/core/request_builtin.c src/core/request_claim.c src/core/request_end.c src/core/request_more.c \
	src/core/request_park.c src/core/request_settle.c \
	src/core/resume.c src/core/resume.h \
	src/core/retry.c src/core/retry.h \
	src/core/revoke.c src/core/revoke.h \
	src/core/route.c src/core/route.h \
	src/core/rule.c src/core/rule.h \
	src/core/scale.c src/core/scale.h \
	src/core/schedule.c src/core/schedule.h \
	src/core/view.c src/core/view.h \
	src/core/watchdog.c src/core/watchdog.h \
	src/core/window.c src/core/window.h \
	src/core/zone.c src/core/zone.h
