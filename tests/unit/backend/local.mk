# tests/unit/backend
BACKEND_TESTS = tests/unit/backend/test_backend tests/unit/backend/test_redis tests/unit/backend/test_redis_chord \
	tests/unit/backend/test_redis_kept tests/unit/backend/test_redis_note tests/unit/backend/test_redis_script \
	tests/unit/backend/test_redis_turn tests/unit/backend/test_redis_wait \
	tests/unit/backend/test_rpc
check_PROGRAMS += $(BACKEND_TESTS)
TESTS += $(BACKEND_TESTS)
tests_unit_backend_test_backend_SOURCES = tests/unit/backend/test_backend.c tests/fake/fakeredis.h
tests_unit_backend_test_backend_LDADD = $(LIBS_BACKEND) $(CMOCKA_LIBS)
tests_unit_backend_test_redis_SOURCES = tests/unit/backend/test_redis.c tests/unit/backend/fixture.h tests/fake/fakeredis.h
tests_unit_backend_test_redis_LDADD = $(LIBS_BACKEND) $(CMOCKA_LIBS)
tests_unit_backend_test_redis_kept_SOURCES = tests/unit/backend/test_redis_kept.c tests/unit/backend/fixture.h tests/fake/fakeredis.h
tests_unit_backend_test_redis_kept_LDADD = $(LIBS_BACKEND) $(CMOCKA_LIBS)
tests_unit_backend_test_redis_note_SOURCES = tests/unit/backend/test_redis_note.c tests/unit/backend/fixture.h tests/fake/fakeredis.h
tests_unit_backend_test_redis_note_LDADD = $(LIBS_BACKEND) $(CMOCKA_LIBS)
tests_unit_backend_test_redis_wait_SOURCES = tests/unit/backend/test_redis_wait.c tests/unit/backend/fixture.h tests/fake/fakeredis.h
tests_unit_backend_test_redis_wait_LDADD = $(LIBS_BACKEND) $(CMOCKA_LIBS)
tests_unit_backend_test_redis_chord_SOURCES = tests/unit/backend/test_redis_chord.c tests/unit/backend/fixture.h tests/fake/fakeredis.h
tests_unit_backend_test_redis_chord_LDADD = $(LIBS_BACKEND) $(CMOCKA_LIBS)
tests_unit_backend_test_redis_script_SOURCES = tests/unit/backend/test_redis_script.c tests/fake/fakeredis.h
tests_unit_backend_test_redis_script_LDADD = $(LIBS_BACKEND) $(CMOCKA_LIBS)
tests_unit_backend_test_redis_turn_SOURCES = tests/unit/backend/test_redis_turn.c tests/unit/backend/fixture.h tests/fake/fakeredis.h
tests_unit_backend_test_redis_turn_LDADD = $(LIBS_BACKEND) $(CMOCKA_LIBS)
tests_unit_backend_test_rpc_SOURCES = tests/unit/backend/test_rpc.c
tests_unit_backend_test_rpc_LDADD = tests/fake/libfakebroker.a $(LIBS_BACKEND) $(CMOCKA_LIBS)
