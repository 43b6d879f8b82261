# tests/conformance: against other implementations, run by tests/run (./bootstrap check)
noinst_PROGRAMS += tests/conformance/crontimes
tests_conformance_crontimes_SOURCES = tests/conformance/crontimes.c
tests_conformance_crontimes_LDADD = $(LIBS_BEAT)
EXTRA_DIST += tests/conformance/test_crontab.py
