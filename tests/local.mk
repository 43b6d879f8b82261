# tests
include tests/unit/base/local.mk
include tests/unit/wire/local.mk
include tests/unit/core/local.mk
include tests/unit/loop/local.mk
include tests/unit/bus/local.mk
include tests/unit/store/local.mk
include tests/unit/backend/local.mk
include tests/unit/host/local.mk
include tests/unit/conf/local.mk
include tests/unit/worker/local.mk
include tests/unit/beat/local.mk
include tests/unit/client/local.mk
include tests/unit/cli/local.mk
EXTRA_DIST += tests/conftest.py
include tests/tools/local.mk
include tests/fuzz/local.mk
include tests/bench/local.mk
include tests/integration/local.mk
include tests/conformance/local.mk
include tests/chaos/local.mk

EXTRA_DIST += tests/vectors tests/tools/tap

# For tests/run, when only the Python tests are wanted.
.PHONY: check-data
check-data: $(check_DATA)

# Whole folders are shipped, as they are here and in the build folder; what Python and make have left in them is not.
dist-hook:
	find '$(distdir)' \( -name __pycache__ -o -name .deps \) -prune -exec rm -rf {} +
	find '$(distdir)/tests' \( -name '*.o' -o -name '*.so' -o -name '*.log' -o -name '*.trs' -o -name .dirstamp \) -delete
	cd '$(distdir)' && rm -f $(noinst_PROGRAMS)
