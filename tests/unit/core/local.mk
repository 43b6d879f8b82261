# tests/unit/core
CORE_TESTS = \
	tests/unit/core/test_address \
	tests/unit/core/test_builtin \
	tests/unit/core/test_chord \
	tests/unit/core/test_cron \
	tests/unit/core/test_flow \
	tests/unit/core/test_flow_chord \
	tests/unit/core/test_ladder \
	tests/unit/core/test_limit \
	tests/unit/core/test_plan \
	tests/unit/core/test_request \
	tests/unit/core/test_request_started \
	tests/unit/core/test_request_claim \
	tests/unit/core/test_request_later \
	tests/unit/core/test_request_park \
	tests/unit/core/test_request_limited \
	tests/unit/core/test_request_canvas \
	tests/unit/core/test_request_reply \
	tests/unit/core/test_request_revoked \
	tests/unit/core/test_resume \
	tests/unit/core/test_retry \
	tests/unit/core/test_revoke \
	tests/unit/core/test_route \
	tests/unit/core/test_rule \
	tests/unit/core/test_scale \
	tests/unit/core/test_schedule \
	tests/unit/core/test_view \
	tests/unit/core/test_watchdog \
	tests/unit/core/test_window \
	tests/unit/core/test_zone
if HAVE_CMOCKA
check_PROGRAMS += $(CORE_TESTS)
TESTS += $(CORE_TESTS)
endif
tests_unit_core_test_ladder_SOURCES = tests/unit/core/test_ladder.c
tests_unit_core_test_ladder_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_request_SOURCES = tests/unit/core/test_request.c tests/unit/core/request_fixture.h
tests_unit_core_test_request_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_request_started_SOURCES = tests/unit/core/test_request_started.c tests/unit/core/request_fixture.h
tests_unit_core_test_request_started_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_request_claim_SOURCES = tests/unit/core/test_request_claim.c tests/unit/core/request_fixture.h
tests_unit_core_test_request_claim_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_request_later_SOURCES = tests/unit/core/test_request_later.c tests/unit/core/request_fixture.h
tests_unit_core_test_request_later_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_request_park_SOURCES = tests/unit/core/test_request_park.c tests/unit/core/request_fixture.h
tests_unit_core_test_request_park_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_request_reply_SOURCES = tests/unit/core/test_request_reply.c tests/unit/core/request_fixture.h
tests_unit_core_test_request_reply_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_request_revoked_SOURCES = tests/unit/core/test_request_revoked.c tests/unit/core/request_fixture.h
tests_unit_core_test_request_revoked_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_revoke_SOURCES = tests/unit/core/test_revoke.c
tests_unit_core_test_revoke_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_retry_SOURCES = tests/unit/core/test_retry.c
tests_unit_core_test_retry_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_rule_SOURCES = tests/unit/core/test_rule.c
tests_unit_core_test_rule_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_window_SOURCES = tests/unit/core/test_window.c
tests_unit_core_test_window_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_address_SOURCES = tests/unit/core/test_address.c tests/unit/core/flow_fixture.h
tests_unit_core_test_address_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_route_SOURCES = tests/unit/core/test_route.c
tests_unit_core_test_route_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_watchdog_SOURCES = tests/unit/core/test_watchdog.c
tests_unit_core_test_watchdog_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_cron_SOURCES = tests/unit/core/test_cron.c
tests_unit_core_test_cron_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_plan_SOURCES = tests/unit/core/test_plan.c
tests_unit_core_test_plan_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_schedule_SOURCES = tests/unit/core/test_schedule.c
tests_unit_core_test_schedule_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_zone_SOURCES = tests/unit/core/test_zone.c
tests_unit_core_test_zone_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_flow_SOURCES = tests/unit/core/test_flow.c tests/unit/core/flow_fixture.h
tests_unit_core_test_flow_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_flow_chord_SOURCES = tests/unit/core/test_flow_chord.c tests/unit/core/flow_fixture.h
tests_unit_core_test_flow_chord_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_chord_SOURCES = tests/unit/core/test_chord.c
tests_unit_core_test_chord_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_view_SOURCES = tests/unit/core/test_view.c
tests_unit_core_test_view_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_scale_SOURCES = tests/unit/core/test_scale.c
tests_unit_core_test_scale_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_limit_SOURCES = tests/unit/core/test_limit.c
tests_unit_core_test_limit_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_request_limited_SOURCES = tests/unit/core/test_request_limited.c tests/unit/core/request_fixture.h
tests_unit_core_test_request_limited_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_builtin_SOURCES = tests/unit/core/test_builtin.c
tests_unit_core_test_builtin_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_request_canvas_SOURCES = tests/unit/core/test_request_canvas.c tests/unit/core/request_fixture.h
tests_unit_core_test_request_canvas_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_resume_SOURCES = tests/unit/core/test_resume.c
tests_unit_core_test_resume_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
