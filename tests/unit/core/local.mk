# tests/unit/core
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/core/test_request tests/unit/core/test_window
TESTS += tests/unit/core/test_request tests/unit/core/test_window
endif
tests_unit_core_test_request_SOURCES = tests/unit/core/test_request.c
tests_unit_core_test_request_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
tests_unit_core_test_window_SOURCES = tests/unit/core/test_window.c
tests_unit_core_test_window_LDADD = $(LIBS_CORE) $(CMOCKA_LIBS)
