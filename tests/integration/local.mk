# tests/integration: run by tests/run (./bootstrap check)
check_DATA += tests/integration/ctasks.so tests/integration/pidfd.so tests/integration/clockshift.so
CLEANFILES += tests/integration/ctasks.so tests/integration/pidfd.so tests/integration/clockshift.so
tests/integration/ctasks.so: tests/integration/tasks/ctasks.c include/warren/task.h
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MODULE_CC) -o $@ $(top_srcdir)/tests/integration/tasks/ctasks.c
tests/integration/pidfd.so: tests/integration/valgrind/pidfd.c
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MODULE_CC) -fvisibility=default -o $@ $(top_srcdir)/tests/integration/valgrind/pidfd.c
tests/integration/clockshift.so: tests/integration/clock/clockshift.c
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(MODULE_CC) -fvisibility=default -o $@ $(top_srcdir)/tests/integration/clock/clockshift.c

EXTRA_DIST += tests/run tests/pytest.ini tests/integration
