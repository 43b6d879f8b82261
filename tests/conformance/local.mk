# tests/conformance: against other implementations, run by tests/run (./bootstrap check)
noinst_PROGRAMS += tests/conformance/crontimes
tests_conformance_crontimes_SOURCES = tests/conformance/crontimes.c
tests_conformance_crontimes_LDADD = $(LIBS_BEAT)
noinst_PROGRAMS += tests/conformance/viewstates
tests_conformance_viewstates_SOURCES = tests/conformance/viewstates.c
tests_conformance_viewstates_LDADD = $(LIBS_CORE)
EXTRA_DIST += tests/conformance
