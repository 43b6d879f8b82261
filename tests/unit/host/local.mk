# tests/unit/host
if HAVE_CMOCKA
HOST_TESTS = \
	tests/unit/host/test_call \
	tests/unit/host/test_channel \
	tests/unit/host/test_exec \
	tests/unit/host/test_module
check_PROGRAMS += $(HOST_TESTS)
TESTS += $(HOST_TESTS)
TESTS += tests/unit/host/test_exports.sh
EXTRA_DIST += tests/unit/host/modules.c tests/unit/host/test_exports.sh

tests_unit_host_test_call_LDADD = $(LIBS_HOST) $(CMOCKA_LIBS)
tests_unit_host_test_channel_LDADD = $(LIBS_HOST) $(CMOCKA_LIBS)
tests_unit_host_test_exec_CPPFLAGS = $(host_cppflags)
tests_unit_host_test_exec_LDADD = $(LIBS_HOST) $(CMOCKA_LIBS)
# It loads modules, so it exports to them what warren-runner does.
tests_unit_host_test_module_LDADD = $(LIBS_HOST) $(CMOCKA_LIBS)
tests_unit_host_test_module_LDFLAGS = $(AM_LDFLAGS) $(host_exports)
endif

# One module for each MODULE_ macro of modules.c; "missing" is missing.
HOST_MODULES = good more clash unstartable unnamed latin1 functionless old damaged empty unlinked plain
check_DATA += $(HOST_MODULES:%=tests/unit/host/modules/%.so)
tests/unit/host/modules/%.so: tests/unit/host/modules.c include/warren/task.h
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MODULE_CC) -DMODULE_$* -o $@ $<
CLEANFILES += $(check_DATA)
