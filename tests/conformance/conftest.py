"""Fixtures of the conformance tests: those of tests/integration, of which this folder has servers of its own."""
import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
INTEGRATION = os.path.join(os.path.dirname(HERE), "integration")
sys.path[:0] = [HERE, INTEGRATION]

spec = importlib.util.spec_from_file_location("integration_conftest", os.path.join(INTEGRATION, "conftest.py"))
integration = importlib.util.module_from_spec(spec)
spec.loader.exec_module(integration)

for name in ("servers", "site", "own_site", "built", "warren", "programs", "worker", "celery_worker", "journal", "numbers",
             "pytest_runtest_makereport"):
    globals()[name] = getattr(integration, name)

