"""The template process: what a worker that has children forked will find."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time

import pytest
from worker import CELERY_APPS, MODULES, TIMEOUT, VECTORS, Child, closing, python_child, python_with_celery

needs_celery = pytest.mark.skipif(python_with_celery() is None, reason="Celery is not installed")


class Forked(Child):
    """A child that a template has forked; it is driven as any other."""

    def __init__(self, channel, stdout, stderr, pid, pidfd):
        self.socket, self.pid, self.pidfd = channel, pid, pidfd
        channel.settimeout(TIMEOUT)
        self._out, self._err = stdout, stderr
        self._rest = b""
        self._next_id = 0

    def close(self):
        self.socket.close()
        for fd in (self._out, self._err, self.pidfd):
            os.close(fd)

    def output(self):
        os.set_blocking(self._out, False)
        with contextlib.suppress(BlockingIOError):
            return os.read(self._out, 1 << 16).decode()

    def errors(self):
        os.set_blocking(self._err, False)
        with contextlib.suppress(BlockingIOError):
            return os.read(self._err, 1 << 16).decode()

    def wait(self):
        assert select.select([self.pidfd], [], [], TIMEOUT)[0], "the child did not end"


class Template:
    def __init__(self, *arguments, **more):
        self.child = python_child(arguments=["--template", *arguments], **more)
        self.hello = self.child.frame()["hello"]

    def fork(self, slot, fds=3, **more):
        ours, theirs = socket.socketpair()
        out, err = os.pipe(), os.pipe()
        frame = json.dumps({"fork": {"slot": slot, **more}}).encode() + b"\n"
        socket.send_fds(self.child.socket, [frame], [theirs.fileno(), out[1], err[1]][:fds])
        theirs.close()
        os.close(out[1])
        os.close(err[1])
        return ours, out[0], err[0]

    def forked(self, slot, **more):
        ends = self.fork(slot, **more)
        data, fds, _, _ = socket.recv_fds(self.child.socket, 1 << 16, 4)
        answer = json.loads(data)["forked"]
        assert answer["slot"] == slot and len(fds) == 1
        return Forked(*ends, answer["pid"], fds[0])


@pytest.fixture
def template():
    it = Template("-A", "sample", cwd=MODULES)
    with closing(it.child):
        yield it


def test_it_says_what_it_is(template):
    assert template.hello["template"] is True and "sample.add" in template.hello["tasks"]
    assert template.hello["pid"] == template.child.process.pid


def test_a_forked_child_is_a_child_like_any_other(template):
    with closing(template.forked("slot 1", env={"WARREN_CHILD": "mark"})) as child:
        hello = child.frame()["hello"]
        assert hello["pid"] == child.pid != template.hello["pid"]
        assert "template" not in hello and "sample.add" in hello["tasks"]
        assert os.getsid(child.pid) == child.pid
        assert child.run("sample.add", 1, 2) == {"result": 3}
        states, done = child.run_states("sample.walk", 1)
        assert states[0][0] == "PROGRESS" and done == {"result": "there"}
        assert child.run("sample.environment", "WARREN_CHILD") == {"result": "mark"}
        assert child.run("sample.shout", 1) == {"result": None}
        assert child.output().startswith("line 0\n")
        child.send_run("sample.sleep", 60)
        assert "state" in child.frame()
        signal.pidfd_send_signal(child.pidfd, signal.SIGUSR1)
        assert child.frame()["done"]["error"]["type"] == "SoftTimeLimitExceeded"
        child.send({"stop": {}})
        child.wait()
        assert template.child.frame() == {"exited": {"slot": "slot 1", "pid": child.pid, "code": 0, "signal": None}}


def wait_gone(pid):
    """Until no process has this number any more, not even a zombie."""
    end = time.monotonic() + TIMEOUT
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < end, "it is still there"
        time.sleep(0.01)


def test_an_ended_child_keeps_its_number_until_the_worker_lets_go_of_it(template):
    with closing(template.forked("a")) as child:
        child.frame()
        os.killpg(child.pid, signal.SIGKILL)
        assert template.child.frame()["exited"]["signal"] == 9
        os.killpg(child.pid, 0)
        with closing(template.forked("b")) as other:
            other.frame()
            os.killpg(child.pid, 0)
        template.child.send({"reap": {"slot": "nobody's"}})
        template.child.send({"reap": {"slot": "a"}})
        wait_gone(child.pid)


def test_a_module_that_cannot_be_forked_says_so(tmp_path):
    (tmp_path / "gpu.py").write_text(
        "import sys, types\nfrom warren_runner import task\n"
        "sys.modules['torch.cuda'] = types.SimpleNamespace(is_initialized=lambda: True)\n@task\ndef one(): return 1\n")
    it = Template("-A", "gpu", cwd=tmp_path)
    with closing(it.child):
        assert "CUDA" in it.hello["unsafe"]


def test_each_end_is_told(template):
    with closing(template.forked("a")) as first, closing(template.forked("b")) as second:
        first.frame(), second.frame()
        signal.pidfd_send_signal(second.pidfd, signal.SIGKILL)
        assert template.child.frame()["exited"] == {"slot": "b", "pid": second.pid, "code": None, "signal": 9}
        first.socket.sendall(b"nonsense\n")
        assert template.child.frame()["exited"] == {"slot": "a", "pid": first.pid, "code": 1, "signal": None}
        assert "the worker sent a line that is no JSON" in first.errors()
        with closing(template.forked("c")) as third:
            assert third.frame()["hello"]["pid"] == third.pid


def test_its_frames_have_the_members_of_the_golden_ones(template):
    fork, forked, exited, _, _, reap = [json.loads(line) for line in (VECTORS / "template.jsonl").read_text().splitlines()]
    ends = template.fork(**fork["fork"])
    data, fds, _, _ = socket.recv_fds(template.child.socket, 1 << 16, 4)
    (kind, fields), = json.loads(data).items()
    assert kind == "forked" and fields.keys() == forked["forked"].keys()
    with closing(Forked(*ends, fields["pid"], fds[0])) as child:
        child.frame()
        assert child.run("sample.environment", "WARREN_CHILD") == {"result": "mark"}
        child.send({"stop": {}})
        answer = template.child.frame()
        assert answer == {"exited": {**exited["exited"], "pid": child.pid}}
        template.child.send(reap)
        wait_gone(child.pid)


def test_descriptors_do_not_leak(template):
    def open_fds(pid):
        return len(os.listdir(f"/proc/{pid}/fd"))

    before = open_fds(template.hello["pid"])
    counts = set()
    for i in range(3):
        with closing(template.forked(str(i))) as child:
            child.frame()
            counts.add(open_fds(child.pid))
            assert open_fds(template.hello["pid"]) == before + 1  # its pidfd
        assert "exited" in template.child.frame()
    assert len(counts) == 1 and open_fds(template.hello["pid"]) == before


def test_many_requests_in_one_piece(template):
    ends = [template.fork(str(i)) for i in range(5)]
    got, fds = b"", []
    while got.count(b"\n") < 5:
        data, more, _, _ = socket.recv_fds(template.child.socket, 1 << 16, 16)
        got, fds = got + data, fds + more
    answers = [json.loads(line)["forked"] for line in got.splitlines()]
    assert [answer["slot"] for answer in answers] == list("01234") and len(fds) == 5
    for (channel, out, err), answer, fd in zip(ends, answers, fds):
        with closing(Forked(channel, out, err, answer["pid"], fd)) as child:
            assert child.frame()["hello"]["pid"] == child.pid


def test_stop_waits_for_the_children(template):
    with closing(template.forked("a")) as child:
        child.frame()
        template.child.send({"stop": {}})
        assert child.run("sample.add", 1, 1) == {"result": 2}
        child.send({"stop": {}})
        assert template.child.frame()["exited"]["code"] == 0
        template.child.send({"reap": {"slot": "a"}})
        assert template.child.wait() == 0


def test_the_end_of_the_template_is_the_end_of_its_children(template):
    with closing(template.forked("a")) as child:
        child.frame()
        child.send_run("sample.sleep", 60)
        assert "state" in child.frame()
        template.child.process.kill()
        child.wait()


def test_the_end_of_the_worker_is_its_end(template):
    with closing(template.forked("a")) as child:
        child.frame()
        template.child.socket.close()
        assert template.child.wait() == 0
        child.wait()


@pytest.mark.parametrize("line, words", [
    (b"nonsense\n", "a line that is no frame"), (b'{"run":{}}\n', "a frame of unknown kind 'run' to a template"),
    (b'{"fork":{}}\n', "a line that is no frame: KeyError('slot')"),
    (b'{"fork":{"slot":"a"}}\n', "a fork frame without the three descriptors of its child"),
])
def test_what_is_no_request_ends_it_with_a_word(template, line, words):
    template.child.socket.sendall(line)
    assert template.child.wait() == 1
    assert words in template.child.errors()


def test_a_memory_limit_is_the_childs_own(template):
    with closing(template.forked("a", rlimit_as=512 << 20)) as child:
        child.frame()
        assert child.run("sample.take_memory", 600 << 20)["error"]["type"] == "MemoryError"
    with open(f"/proc/{template.hello['pid']}/limits", encoding="ascii") as limits:
        assert re.search(r"Max address space +unlimited", limits.read())


def test_a_module_with_threads_is_warned_about(tmp_path):
    (tmp_path / "threaded.py").write_text(
        "import threading\nfrom warren_runner import task\n"
        "threading.Thread(target=threading.Event().wait, name='watcher', daemon=True).start()\n"
        "@task\ndef one(): return 1\n")
    it = Template("-A", "threaded", cwd=tmp_path)
    with closing(it.child):
        for slot in "ab":
            with closing(it.forked(slot)) as child:
                child.frame()
                assert child.run("threaded.one") == {"result": 1}
            assert "exited" in it.child.frame()
            it.child.send({"reap": {"slot": slot}})
        it.child.send({"stop": {}})
        it.child.wait()
        assert it.child.errors().count("started threads (watcher), which forked children do not have") == 1


def test_without_a_worker_it_says_so():
    done = subprocess.run(["sh", "-c", 'exec "$@" 3</dev/null', "sh", sys.executable, "-m", "warren_runner", "--template", "-A", "more"],
                          cwd=MODULES, env={**os.environ, "PYTHONPATH": str(MODULES.parents[3] / "src/runners/python")},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "not a socket" in done.stderr


@needs_celery
def test_a_celery_application_is_begun_once_and_its_processes_each(tmp_path):
    log = tmp_path / "signals"
    it = Template("-A", "signalled", cwd=CELERY_APPS, python=python_with_celery(), env={"SIGNALS_TO": str(log)})
    with closing(it.child):
        pids = {"template": it.hello["pid"]}
        assert it.hello["app"]["name"] == "signalled"
        for slot in "ab":
            with closing(it.forked(slot)) as child:
                pids[slot] = child.pid
                assert child.frame()["hello"]["app"] == it.hello["app"]
                assert child.run("signalled.work") == {"result": "fine"}
                child.send({"stop": {}})
                child.wait()
            assert "exited" in it.child.frame()
            it.child.send({"reap": {"slot": slot}})
        it.child.send({"stop": {}})
        assert it.child.wait() == 0
    noted = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["signal"] for line in noted if line["pid"] == pids["template"]} == {
        "import_modules", "celeryd_init", "worker_init", "after_setup_logger", "after_setup_task_logger", "celeryd_after_setup",
        "worker_ready", "worker_shutting_down", "worker_shutdown"}
    for slot in "ab":
        assert [line["signal"] for line in noted if line["pid"] == pids[slot]] == [
            "worker_process_init", "task_prerun", "task_success", "task_postrun", "worker_process_shutdown"]


@needs_celery
def test_connections_of_the_template_are_not_its_childrens(tmp_path):
    (tmp_path / "connected.py").write_text("""
from celery import Celery, signals
app = Celery("connected", broker="memory://")
before = []

@signals.worker_ready.connect
def ready(sender, **more):
    with sender.app.producer_or_acquire() as producer:
        before.append(id(sender.app.pool))

@app.task
def same():
    return id(app.pool) in before
""")
    it = Template("-A", "connected", cwd=tmp_path, python=python_with_celery())
    with closing(it.child):
        with closing(it.forked("a")) as child:
            child.frame()
            assert child.run("connected.same") == {"result": False}
