# tests/unit/loop
LOOP_TESTS = tests/unit/loop/test_loop tests/unit/loop/test_timer tests/unit/loop/test_stream tests/unit/loop/test_tls \
	tests/unit/loop/test_dial tests/unit/loop/test_child tests/unit/loop/test_usage tests/unit/loop/test_fdlink tests/unit/loop/test_forked
check_PROGRAMS += $(LOOP_TESTS)
TESTS += $(LOOP_TESTS)
tests_unit_loop_test_loop_SOURCES = tests/unit/loop/test_loop.c tests/unit/loop/fixture.h
tests_unit_loop_test_loop_LDADD = $(LIBS_LOOP) $(CMOCKA_LIBS)
tests_unit_loop_test_timer_SOURCES = tests/unit/loop/test_timer.c tests/unit/loop/fixture.h
tests_unit_loop_test_timer_LDADD = $(LIBS_LOOP) $(CMOCKA_LIBS)
tests_unit_loop_test_stream_SOURCES = tests/unit/loop/test_stream.c tests/unit/loop/side.h tests/unit/loop/fixture.h
tests_unit_loop_test_stream_LDADD = $(LIBS_LOOP) $(CMOCKA_LIBS)
tests_unit_loop_test_tls_SOURCES = tests/unit/loop/test_tls.c tests/unit/loop/fixture.h
tests_unit_loop_test_tls_LDADD = $(LIBS_LOOP) $(CMOCKA_LIBS)
tests_unit_loop_test_child_SOURCES = tests/unit/loop/test_child.c tests/unit/loop/fixture.h
tests_unit_loop_test_child_LDADD = $(LIBS_LOOP) $(CMOCKA_LIBS)
tests_unit_loop_test_dial_SOURCES = tests/unit/loop/test_dial.c tests/unit/loop/side.h tests/unit/loop/fixture.h
tests_unit_loop_test_dial_LDADD = $(LIBS_LOOP) $(CMOCKA_LIBS)
tests_unit_loop_test_usage_SOURCES = tests/unit/loop/test_usage.c
tests_unit_loop_test_usage_LDADD = $(LIBS_LOOP) $(CMOCKA_LIBS)
tests_unit_loop_test_fdlink_SOURCES = tests/unit/loop/test_fdlink.c tests/unit/loop/fixture.h
tests_unit_loop_test_fdlink_LDADD = $(LIBS_LOOP) $(CMOCKA_LIBS)
tests_unit_loop_test_forked_SOURCES = tests/unit/loop/test_forked.c tests/unit/loop/fixture.h
tests_unit_loop_test_forked_LDADD = $(LIBS_LOOP) $(CMOCKA_LIBS)
