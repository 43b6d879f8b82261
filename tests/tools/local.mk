# tests/tools
EXTRA_DIST += tests/tools/capture-vectors.py
