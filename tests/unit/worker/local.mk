# tests/unit/worker
WORKER_TESTS = tests/unit/worker/test_tail
if HAVE_CMOCKA
check_PROGRAMS += $(WORKER_TESTS)
TESTS += $(WORKER_TESTS)
endif
tests_unit_worker_test_tail_SOURCES = tests/unit/worker/test_tail.c
tests_unit_worker_test_tail_LDADD = $(LIBS_WORKER) $(CMOCKA_LIBS)
