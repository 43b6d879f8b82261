# tests/unit/core
CORE_TESTS = \
	tests/unit/core/test_ladder \
	tests/unit/core/test_request \
	tests/unit/core/test_retry \
	tests/unit/core/test_route \
	tests/unit/core/test_watchdog \
	tests/unit/core/test_window
if HAVE_CMOCKA
check_PROGRAMS += $(CORE_TESTS)
TESTS += $(CORE_TESTS)
endif
tests_unit_core_test_ladder_SOURCES = tests/unit/core/test_ladder.c
tests_unit_core_test_ladder_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_request_SOURCES = tests/unit/core/test_request.c
tests_unit_core_test_request_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_retry_SOURCES = tests/unit/core/test_retry.c
tests_unit_core_test_retry_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_window_SOURCES = tests/unit/core/test_window.c
tests_unit_core_test_window_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_route_SOURCES = tests/unit/core/test_route.c
tests_unit_core_test_route_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_watchdog_SOURCES = tests/unit/core/test_watchdog.c
tests_unit_core_test_watchdog_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
