"""
Fixtures of the conformance tests: those of tests/integration, of which this folder has servers of its own, and

    app       a Celery client application
    queue     a queue of each kind in turn, classic and quorum, declared as Celery declares it
    ours      start one of our workers on it, named ours@here:  ours("--module", C_TASKS)
    theirs    start a Celery worker with the tasks of peer.py, named theirs@here
    cli       a command of Celery's own command line, in this process:  cli("inspect", "ping").output
"""
import importlib.util
import os
import sys

import pytest

HERE = os.path.dirname(os.path.realpath(__file__))
INTEGRATION = os.path.join(os.path.dirname(HERE), "integration")
sys.path[:0] = [HERE, INTEGRATION]

spec = importlib.util.spec_from_file_location("integration_conftest", os.path.join(INTEGRATION, "conftest.py"))
integration = importlib.util.module_from_spec(spec)
spec.loader.exec_module(integration)

import harness  # noqa: E402

PATH = os.pathsep.join([HERE, harness.TASKS, INTEGRATION])

for name in ("servers", "site", "own_site", "built", "warren", "programs", "worker", "celery_worker", "journal",
             "pytest_runtest_makereport"):
    globals()[name] = getattr(integration, name)


@pytest.fixture(scope="session")
def new_number():
    """For a virtual host and a database of one's own. A host made again under its old name meets connections that clients have kept."""
    return lambda: next(integration.numbers)


@pytest.fixture
def app(site):
    return site.app()


@pytest.fixture(params=["classic", "quorum"])
def queue(request, site):
    with site.raw_connection() as connection:
        channel = connection.channel()
        channel.exchange_declare("work", "direct", durable=True, auto_delete=False)
        channel.queue_declare("work", durable=True, auto_delete=False, arguments={"x-queue-type": request.param})
        channel.queue_bind("work", "work", "work")
    return "work"


@pytest.fixture
def ours(worker):
    def start(*args, **how):
        args = args if args and args[0] in ("-A", "--module") else ("-A", "tasks", *args)
        how.setdefault("env", {}).setdefault("PYTHONPATH", PATH)
        return worker(*args, "-n", "ours@here", *(() if {"-c", "--autoscale"} & set(args) else ("-c", "2")), **how)
    return start


@pytest.fixture
def theirs(site, programs):
    def start(*args, node="theirs@here", env=None, bare=True, pool="solo", app="peer:app"):
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"] if bare else []
        argv = [harness.PYTHON, "-m", "celery", "-A", app, "worker", "-l", "info", "-P", pool, "-n", node, *quiet, *args]
        started = programs("celery", argv, site.env(**dict({"PYTHONPATH": PATH}, **(env or {}))))
        started.wait_line(r" ready\.$")
        return started
    return start


@pytest.fixture
def cli(app):
    from celery.bin import base, call, celery, control, list as list_command, purge, result
    from click.testing import CliRunner
    commands = {"call": call.call, "control": control.control, "inspect": control.inspect, "list": list_command.list_, "purge": purge.purge,
                "report": celery.report, "result": result.result, "status": control.status}

    def run(name, *args, code=0):
        done = CliRunner().invoke(commands[name], [str(a) for a in args], obj=base.CLIContext(app=app, no_color=True, workdir=HERE))
        assert done.exit_code == code and (done.exception is None or isinstance(done.exception, SystemExit)), (
            "celery %s %s: %d, %r\n%s" % (name, " ".join(map(str, args)), done.exit_code, done.exception, done.output))
        return done
    return run
