# tests/bench: built and run by `make bench` only
EXTRA_PROGRAMS += tests/bench/rawloop tests/bench/noop.so
CLEANFILES += tests/bench/rawloop$(EXEEXT) tests/bench/noop.so bench.json

tests_bench_rawloop_SOURCES = tests/bench/rawloop.c
tests_bench_rawloop_LDADD = $(RABBITMQ_LIBS) $(HIREDIS_LIBS)

# A module is a shared library, with nothing of the hardening that is for executables.
tests_bench_noop_so_SOURCES = tests/bench/noop.c
tests_bench_noop_so_CFLAGS = -std=gnu11 $(WARN) -fPIC -fvisibility=hidden
tests_bench_noop_so_LDFLAGS = -shared
tests_bench_noop_so_LDADD =

BENCH_PY = tests/bench/bench.py tests/bench/measure.py tests/bench/report.py tests/bench/systems.py
EXTRA_DIST += $(BENCH_PY) tests/bench/noop.py tests/bench/noop_celery.py tests/bench/README.md

# make bench BENCHFLAGS='--quick'
bench: all tests/bench/rawloop$(EXEEXT) tests/bench/noop.so
	python3 $(srcdir)/tests/bench/bench.py --builddir='$(abs_top_builddir)' --output=bench.json $(BENCHFLAGS)
.PHONY: bench
