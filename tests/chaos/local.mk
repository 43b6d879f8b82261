# tests/chaos: run by tests/run (./bootstrap check)
EXTRA_DIST += tests/chaos
