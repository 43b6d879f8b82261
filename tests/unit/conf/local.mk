# tests/unit/conf
CONF_TESTS = tests/unit/conf/test_conf tests/unit/conf/test_opt tests/unit/conf/test_optjson tests/unit/conf/test_reload tests/unit/conf/test_sample
if HAVE_CMOCKA
check_PROGRAMS += $(CONF_TESTS)
TESTS += $(CONF_TESTS)
endif
tests_unit_conf_test_conf_SOURCES = tests/unit/conf/test_conf.c
tests_unit_conf_test_conf_LDADD = $(LIBS_CONF) $(CMOCKA_LIBS)
tests_unit_conf_test_opt_SOURCES = tests/unit/conf/test_opt.c
tests_unit_conf_test_opt_LDADD = $(LIBS_CONF) $(CMOCKA_LIBS)
tests_unit_conf_test_optjson_SOURCES = tests/unit/conf/test_optjson.c
tests_unit_conf_test_optjson_LDADD = $(LIBS_CONF) $(CMOCKA_LIBS)
tests_unit_conf_test_sample_SOURCES = tests/unit/conf/test_sample.c
tests_unit_conf_test_sample_LDADD = $(LIBS_CONF) $(CMOCKA_LIBS)
tests_unit_conf_test_reload_SOURCES = tests/unit/conf/test_reload.c
tests_unit_conf_test_reload_LDADD = $(LIBS_CONF) $(CMOCKA_LIBS)
