# tests/unit/store
STORE_TESTS = tests/unit/store/test_redis tests/unit/store/test_reply tests/unit/store/test_target
check_PROGRAMS += $(STORE_TESTS)
TESTS += $(STORE_TESTS)
tests_unit_store_test_redis_SOURCES = tests/unit/store/test_redis.c tests/fake/fakeredis.h
tests_unit_store_test_redis_LDADD = $(LIBS_STORE) $(CMOCKA_LIBS)
tests_unit_store_test_reply_SOURCES = tests/unit/store/test_reply.c
tests_unit_store_test_reply_LDADD = $(LIBS_STORE) $(CMOCKA_LIBS)
tests_unit_store_test_target_SOURCES = tests/unit/store/test_target.c
tests_unit_store_test_target_LDADD = $(LIBS_STORE) $(CMOCKA_LIBS)
