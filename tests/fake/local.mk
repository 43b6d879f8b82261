# tests/fake
check_LIBRARIES += tests/fake/libfakebroker.a
tests_fake_libfakebroker_a_SOURCES = tests/fake/fakebroker.c tests/fake/fakebroker.h
tests_fake_libfakebroker_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests $(CMOCKA_CFLAGS)
