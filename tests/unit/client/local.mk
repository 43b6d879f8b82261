# tests/unit/client
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/client/test_client
TESTS += tests/unit/client/test_client
endif
tests_unit_client_test_client_SOURCES = tests/unit/client/test_client.c
tests_unit_client_test_client_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_unit_client_test_client_LDADD = $(LIBS_CLIENT) $(CMOCKA_LIBS)
