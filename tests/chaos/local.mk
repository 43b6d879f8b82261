# tests/chaos: run by tests/run (./bootstrap check)
EXTRA_DIST += tests/chaos/README.md tests/chaos/conftest.py tests/chaos/lab.py tests/chaos/tproxy.py \
	tests/chaos/tasks/chaos_tasks.py tests/chaos/test_life.py
