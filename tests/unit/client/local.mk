# tests/unit/client
CLIENT_TESTS = tests/unit/client/test_client tests/unit/client/test_recipe tests/unit/client/test_settle
if HAVE_CMOCKA
check_PROGRAMS += $(CLIENT_TESTS)
TESTS += $(CLIENT_TESTS)
endif
tests_unit_client_test_client_SOURCES = tests/unit/client/test_client.c
tests_unit_client_test_client_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_unit_client_test_client_LDADD = $(LIBS_CLIENT) $(CMOCKA_LIBS)
tests_unit_client_test_settle_SOURCES = tests/unit/client/test_settle.c
tests_unit_client_test_settle_LDADD = tests/fake/libfakebroker.a $(LIBS_CLIENT) $(CMOCKA_LIBS)
tests_unit_client_test_recipe_SOURCES = tests/unit/client/test_recipe.c
tests_unit_client_test_recipe_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_unit_client_test_recipe_LDADD = $(LIBS_CLIENT) $(CMOCKA_LIBS)
