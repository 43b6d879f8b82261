# tests/unit/beat
BEAT_TESTS = tests/unit/beat/test_board tests/unit/beat/test_book tests/unit/beat/test_entry tests/unit/beat/test_row tests/unit/beat/test_state tests/unit/beat/test_zones
if HAVE_CMOCKA
check_PROGRAMS += $(BEAT_TESTS)
TESTS += $(BEAT_TESTS)
endif
tests_unit_beat_test_board_SOURCES = tests/unit/beat/test_board.c tests/fake/fakeredis.h
tests_unit_beat_test_board_LDADD = $(LIBS_BEAT) $(CMOCKA_LIBS)
tests_unit_beat_test_book_SOURCES = tests/unit/beat/test_book.c
tests_unit_beat_test_book_LDADD = $(LIBS_BEAT) $(CMOCKA_LIBS)
tests_unit_beat_test_row_SOURCES = tests/unit/beat/test_row.c
tests_unit_beat_test_row_LDADD = $(LIBS_BEAT) $(CMOCKA_LIBS)
tests_unit_beat_test_zones_SOURCES = tests/unit/beat/test_zones.c
tests_unit_beat_test_zones_LDADD = $(LIBS_BEAT) $(CMOCKA_LIBS)
tests_unit_beat_test_entry_SOURCES = tests/unit/beat/test_entry.c
tests_unit_beat_test_entry_LDADD = $(LIBS_BEAT) $(CMOCKA_LIBS)
tests_unit_beat_test_state_SOURCES = tests/unit/beat/test_state.c
tests_unit_beat_test_state_LDADD = $(LIBS_BEAT) $(CMOCKA_LIBS)
# The system calls of a save can be made to fail, or to be the last one.
tests_unit_beat_test_state_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=openat64,--wrap=write,--wrap=fsync,--wrap=renameat,--wrap=unlinkat
