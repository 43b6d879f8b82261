# tests/unit/beat
BEAT_TESTS = tests/unit/beat/test_zones
if HAVE_CMOCKA
check_PROGRAMS += $(BEAT_TESTS)
TESTS += $(BEAT_TESTS)
endif
tests_unit_beat_test_zones_SOURCES = tests/unit/beat/test_zones.c
tests_unit_beat_test_zones_LDADD = $(LIBS_BEAT) $(CMOCKA_LIBS)
