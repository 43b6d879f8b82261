# tests/conformance: against other implementations, run by tests/run (./bootstrap check)
noinst_PROGRAMS += tests/conformance/crontimes
tests_conformance_crontimes_SOURCES = tests/conformance/crontimes.c
tests_conformance_crontimes_LDADD = $(LIBS_BEAT)
EXTRA_DIST += tests/conformance/test_crontab.py
noinst_PROGRAMS += tests/conformance/viewstates
tests_conformance_viewstates_SOURCES = tests/conformance/viewstates.c
tests_conformance_viewstates_LDADD = $(LIBS_CORE)
EXTRA_DIST += tests/conformance/test_view.py
EXTRA_DIST += tests/conformance/conftest.py tests/conformance/cluster.py tests/conformance/test_canvas.py tests/conformance/canvases.py \
	tests/conformance/test_random_canvas.py
EXTRA_DIST += tests/conformance/conftest.py tests/conformance/cluster.py tests/conformance/test_canvas.py
EXTRA_DIST += tests/conformance/README.md
EXTRA_DIST += tests/conformance/conformance_tasks.py
EXTRA_DIST += tests/conformance/helpers.py
EXTRA_DIST += tests/conformance/peer.py
EXTRA_DIST += tests/conformance/test_control.py
EXTRA_DIST += tests/conformance/test_delayed.py
EXTRA_DIST += tests/conformance/test_flower.py
EXTRA_DIST += tests/conformance/test_producer.py
EXTRA_DIST += tests/conformance/test_retry_revoke.py
EXTRA_DIST += tests/conformance/test_worker.py
