# tests/integration: run by tests/run (./bootstrap check)
EXTRA_DIST += tests/run tests/pytest.ini tests/integration/conftest.py tests/integration/harness.py \
	tests/integration/celery_app.py tests/integration/test_harness.py tests/integration/test_deploy.py
