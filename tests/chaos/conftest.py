"""
Fixtures of the chaos tests: those of tests/integration, and `lab` (lab.py). Tests marked `slow` run with WARREN_CHAOS=full.
"""
import functools
import importlib.util
import itertools
import os
import sys

import pytest

HERE = os.path.dirname(os.path.realpath(__file__))
INTEGRATION = os.path.join(os.path.dirname(HERE), "integration")
sys.path[:0] = [HERE, INTEGRATION]

spec = importlib.util.spec_from_file_location("integration_conftest", os.path.join(INTEGRATION, "conftest.py"))
integration = importlib.util.module_from_spec(spec)
spec.loader.exec_module(integration)

import beats  # noqa: E402
import lab as lab_module  # noqa: E402
from harness import Site  # noqa: E402
from warren_servers import Servers  # noqa: E402

beat, inbox = beats.beat, beats.inbox
programs = integration.programs
pytest_runtest_makereport = integration.pytest_runtest_makereport
numbers = itertools.count(1)
fail_build = functools.lru_cache(maxsize=None)(lab_module.make_failpoint_build)


@pytest.fixture(scope="session")
def chaos_servers():
    """Servers of their own: these tests stop and kill them. What is acknowledged is on disk, so that a kill loses nothing."""
    with Servers(tick_ms=250, redis_args=["--appendonly", "yes", "--appendfsync", "always"]) as servers:
        yield servers


@pytest.fixture
def lab(chaos_servers, tmp_path, programs):
    site = Site(chaos_servers, next(numbers), tmp_path)
    it = lab_module.Lab(site, tmp_path, programs, fail_build)
    try:
        yield it
        it.close()
    finally:
        site.close()


@pytest.fixture
def consumer_timeout(lab):
    """Channels opened from now on have 2 s for each delivery."""
    set_env = "application:set_env(rabbit, consumer_timeout, %d)"
    lab.site.rabbitmq.eval(set_env % 2000)
    yield
    lab.site.rabbitmq.eval(set_env % 1800000)


def pytest_report_header(config):
    return "chaos: %s" % ("all tests" if lab_module.FULL else "without the slow tests (WARREN_CHAOS=full runs them)")
