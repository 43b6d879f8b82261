"""
Fixtures. One RabbitMQ and one Redis serve the whole session; each test has a virtual host and a database of its own.

    site      where the test runs: URLs, broker counters, Redis, Celery client applications
    warren    run a command of warren:  warren("send", "add", "2", "3", "--wait").stdout
    worker    start a worker, ready when this returns:  w = worker("-A", "tasks", "-c", "2")
    celery_worker   the same with Celery's
    journal   a file in which tasks count their executions
"""
import itertools
import os
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import beats  # noqa: E402
import harness  # noqa: E402
from harness import SLOW, TOP, WARREN, C_TASKS, Journal, Program, Site  # noqa: E402
from warren_servers import Servers  # noqa: E402

beat, clock, inbox = beats.beat, beats.clock, beats.inbox
numbers = itertools.count(1)


@pytest.fixture(scope="session")
def servers():
    with Servers(tick_ms=250) as servers:
        yield servers


@pytest.fixture
def site(servers, tmp_path):
    site = Site(servers, next(numbers), tmp_path)
    yield site
    site.close()


@pytest.fixture
def own_site(tmp_path):
    """A site on servers of the test's own, for tests that stop them: own_site(redis_args=[...]); see Options."""
    opened = []

    def start(**options):
        servers = Servers(**options).open()
        opened.append(servers)
        opened.append(Site(servers, 1, tmp_path))
        return opened[-1]
    yield start
    for site in opened[1::2]:
        site.close_clients()
        site.redis.close()
    for servers in opened[0::2]:
        servers.close()


@pytest.fixture(scope="session")
def built():
    """The programs under test; a test that needs them must not pass or vanish without them."""
    for path in (WARREN, C_TASKS):
        if not os.access(path, os.R_OK):
            pytest.fail("%s is not built: make -C %s %s" % (path, harness.BUILD, os.path.relpath(path, harness.BUILD)))


@pytest.fixture
def warren(site, built):
    def run(*args, input=None, timeout_s=30, code=0, env=None, cwd=None):
        """Runs `warren ARGS`; its exit code must be `code` (None: any)."""
        done = subprocess.run([WARREN, *args], input=input, capture_output=True, text=True, timeout=timeout_s * SLOW,
                              env=site.env(**(env or {})), cwd=cwd or site.folder)
        said = "warren %s\n%s%s" % (" ".join(args), done.stdout, done.stderr)
        assert not harness.SANITIZER.search(done.stderr), said
        assert code is None or done.returncode == code, "exit code %d: %s" % (done.returncode, said)
        return done
    return run


@pytest.fixture
def programs(tmp_path):
    """Programs of this test; ended and looked at for sanitizer reports at its end."""
    started = []

    def start(name, argv, env, cwd=None):
        program = Program(argv, env, str(tmp_path / ("%s-%d.log" % (name, len(started) + 1))), cwd or str(tmp_path))
        started.append(program)
        return program
    yield start
    for program in started:
        program.clean_up()
    for program in started:
        assert program.complaints() is None, program.output()


@pytest.fixture
def worker(request, built, programs):
    running = []

    def start(*args, ready=True, env=None, cwd=None, site=None):
        """Starts `warren worker ARGS` and waits until it is ready for tasks."""
        site = site or request.getfixturevalue("site")
        started = programs("worker", [WARREN, "worker", *args], site.env(**(env or {})), cwd)
        running.append(started)
        if ready:
            started.wait_line(r" ready\.")
        return started
    yield start
    # A worker that cannot end in good order is a finding, so this is part of each test.
    for w in running:
        if w.alive():
            w.send_signal(signal.SIGTERM)
    for w in running:
        if w.child.returncode is None:
            children = w.descendants()
            assert w.wait() == 0, w.output()
            left = [pid for pid in children if harness.alive(pid)]
            assert not left, "children outlived the worker: %r\n%s" % (left, w.output())


@pytest.fixture
def celery_worker(site, programs):
    def start(*args, env=None, bare=True):
        """Starts a Celery worker with the tasks of celery_app.py; bare: it neither looks for others nor tells of itself."""
        silent = ["--without-gossip", "--without-mingle", "--without-heartbeat"] if bare else []
        argv = [harness.PYTHON, "-m", "celery", "-A", "celery_app:app", "worker", "-l", "info", "-P", "solo", *silent, *args]
        started = programs("celery", argv, site.env(**(env or {})))
        started.wait_line(r" ready\.$")
        return started
    return start


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds what the programs of a failed test wrote to its report."""
    outcome = yield
    report = outcome.get_result()
    folder = item.funcargs.get("tmp_path") if hasattr(item, "funcargs") else None
    if report.failed and folder is not None:
        for log in sorted(folder.glob("*.log")):
            report.sections.append((log.name, log.read_text(errors="replace")[-20000:]))


def pytest_report_header(config):
    return "warren: %s" % os.path.relpath(WARREN, TOP)
