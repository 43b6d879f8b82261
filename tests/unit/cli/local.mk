# tests/unit/cli
CLI_TESTS = \
	tests/unit/cli/test_app_settings \
	tests/unit/cli/test_call \
	tests/unit/cli/test_flags \
	tests/unit/cli/test_remote \
	tests/unit/cli/test_setup \
	tests/unit/cli/test_top
if HAVE_CMOCKA
check_PROGRAMS += $(CLI_TESTS)
TESTS += $(CLI_TESTS)
endif
tests_unit_cli_test_app_settings_SOURCES = tests/unit/cli/test_app_settings.c tests/unit/cli/fixture.h
tests_unit_cli_test_app_settings_LDADD = libcli.a $(LIBS_ALL) $(CMOCKA_LIBS)
tests_unit_cli_test_call_SOURCES = tests/unit/cli/test_call.c
tests_unit_cli_test_call_LDADD = libcli.a $(LIBS_ALL) $(CMOCKA_LIBS)
tests_unit_cli_test_flags_SOURCES = tests/unit/cli/test_flags.c
tests_unit_cli_test_flags_LDADD = libcli.a $(LIBS_ALL) $(CMOCKA_LIBS)
tests_unit_cli_test_setup_SOURCES = tests/unit/cli/test_setup.c tests/unit/cli/fixture.h
tests_unit_cli_test_setup_LDADD = libcli.a $(LIBS_ALL) $(CMOCKA_LIBS)
tests_unit_cli_test_remote_SOURCES = tests/unit/cli/test_remote.c
tests_unit_cli_test_remote_LDADD = libcli.a $(LIBS_ALL) $(CMOCKA_LIBS)
tests_unit_cli_test_top_SOURCES = tests/unit/cli/test_top.c
tests_unit_cli_test_top_LDADD = libcli.a $(LIBS_ALL) $(CMOCKA_LIBS)
