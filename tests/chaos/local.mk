# tests/chaos: run by tests/run (./bootstrap check)
EXTRA_DIST += tests/chaos/README.md tests/chaos/conftest.py tests/chaos/lab.py tests/chaos/tproxy.py tests/chaos/tasks/chaos_tasks.py \
	tests/chaos/test_backend.py tests/chaos/test_broker.py tests/chaos/test_chords.py tests/chaos/test_life.py tests/chaos/test_messages.py tests/chaos/test_schedulers.py
