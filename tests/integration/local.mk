# tests/integration: run by tests/run (./bootstrap check)
check_DATA += tests/integration/ctasks.so
CLEANFILES += tests/integration/ctasks.so
tests/integration/ctasks.so: tests/integration/tasks/ctasks.c include/warren/task.h
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MODULE_CC) -o $@ $(top_srcdir)/tests/integration/tasks/ctasks.c

EXTRA_DIST += tests/run tests/pytest.ini tests/integration
