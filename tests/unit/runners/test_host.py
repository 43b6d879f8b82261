"""warren-runner and its task modules, driven over the channel as a worker drives them. Needs a build."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest
from worker import TOP, Child, closing

BUILD = pathlib.Path(os.environ.get("builddir") or os.environ.get("WARREN_BUILDDIR") or TOP / "build")
RUNNER = BUILD / "warren-runner"
MODULES = BUILD / "tests" / "unit" / "host" / "modules"
WORDS = BUILD / "examples" / "words" / "words.so"

pytestmark = pytest.mark.skipif(not RUNNER.exists(), reason="warren-runner is not built")


def is_sanitized():
    return b"__asan_init" in RUNNER.read_bytes()


@pytest.fixture
def child():
    with closing(Child([RUNNER, MODULES / "good.so", MODULES / "more.so"])) as child:
        hello = child.frame()["hello"]
        assert (hello["protocol"], hello["language"], hello["pid"]) == (1, "c", child.process.pid)
        assert hello["tasks"] == ["more.nothing", "t.crash", "t.echo", "t.fork", "t.nothing", "t.shout", "t.sockets", "t.spin", "t.wait"]
        yield child


def test_tasks_of_all_modules_run_and_stop_is_told_them(child):
    assert child.run("more.nothing") == {"result": None}
    assert child.run("t.echo", 123456789012345678901234567890, "ü", {"a": []}) == {
        "result": [123456789012345678901234567890, "ü", {"a": []}]}
    child.send({"stop": {}})
    assert child.wait() == 0
    assert child.output() == "stopped after 1 start\n"


def test_the_end_of_the_worker_ends_it_in_good_order(child):
    child.socket.close()
    assert child.wait() == 0
    assert child.output() == "stopped after 1 start\n"


def test_long_lines_pass_both_ways(child):
    text = "x" * 5_000_000
    assert child.run("t.echo", text) == {"result": [text]}


def test_output_is_there_before_the_end(child):
    assert child.run("t.shout") == {"result": None}
    assert child.output() == "line\nhalf a line"


def begin(child, name):
    id = child.send_run(name)
    assert "state" in child.frame()
    return id


def test_the_signal_wakes_a_task_that_waits(child):
    id = begin(child, "t.wait")
    child.process.send_signal(signal.SIGUSR1)
    assert child.finish(id)[1]["error"]["type"] == "SoftTimeLimitExceeded"
    assert child.run("t.nothing") == {"result": None}


def test_a_cancel_frame_reaches_a_task_that_looks(child):
    id = begin(child, "t.spin")
    child.send({"cancel": {"id": id, "reason": "revoked"}})
    assert child.finish(id)[1] == {"result": "cleaned up"}
    assert child.run("t.nothing") == {"result": None}


def test_a_task_with_its_cancel_already_there_sees_it(child):
    run = {"run": {"id": "a", "name": "t.spin", "args": [], "kwargs": {}, "request": {}}}
    cancel = {"cancel": {"id": "a", "reason": "soft_time_limit"}}
    child.socket.sendall("".join(json.dumps(frame) + "\n" for frame in (run, cancel, run, cancel)).encode())
    for _ in range(2):
        assert child.finish("a")[1] == {"result": "cleaned up"}


def test_a_crash_is_the_end_of_the_child_only(child):
    child.send_run("t.crash")
    assert child.line() is None
    assert child.wait() != 0


def test_a_forked_process_does_not_answer_for_the_task(child):
    assert child.run("t.fork") == {"result": "parent"}
    assert child.run("t.nothing") == {"result": None}
    assert child.is_silent()


def test_programs_that_a_task_starts_do_not_get_the_channel(child):
    assert child.run("t.sockets") == {"result": ""}


def test_nonsense_ends_it_with_a_word(child):
    child.socket.sendall(b'{"hello":{"protocol":1,"tasks":[]}}\n')
    assert child.wait() == 1
    assert "the worker sent a hello frame" in child.errors()


@pytest.mark.parametrize("arguments, words", [
    ([], "no task module given"),
    (["--wrong"], "unknown option --wrong"),
    ([MODULES / "unlinked.so"], "undefined symbol: nobody_has_this"),
    ([MODULES / "more.so", MODULES / "clash.so"], "task 'more.nothing' is in "),
    ([MODULES / "unstartable.so"], "could not start: no model in /models"),
])
def test_a_wrong_start_says_why_and_never_hello(arguments, words):
    with closing(Child([RUNNER, *arguments])) as child:
        assert child.line() is None
        assert child.wait() == 2
        assert words in child.errors()


def test_without_a_worker_it_says_so():
    done = subprocess.run(["sh", "-c", 'exec "$@" 3</dev/null', "sh", RUNNER, WORDS], capture_output=True, text=True)
    assert done.returncode == 2 and "fd 3 is not a socket" in done.stderr
    done = subprocess.run([RUNNER, "--list", WORDS], capture_output=True, text=True)
    assert done.returncode == 0
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == ["words.count", "words.count_file", "words.top"]


def test_the_words_example_counts(tmp_path):
    (tmp_path / "a.txt").write_text("one two\n" * 2000)
    with closing(Child([RUNNER, WORDS], env={"WORDS_DIR": str(tmp_path)})) as child:
        child.frame()
        assert child.run("words.count", "hello wörld\nagain") == {"result": {"characters": 17, "words": 3, "lines": 1}}
        assert child.run("words.top", "The cat, the dog; a cat. Don't!", 2) == {"result": [["cat", 2], ["the", 2]]}
        assert child.run("words.top", kwargs={"text": "", "n": 3}) == {"result": []}
        assert child.run("words.top", "x", -1)["error"]["type"] == "ValueError"
        assert child.run("words.count", 5)["error"]["type"] == "TypeError"
        states, done = child.run_states("words.count_file", "a.txt")
        assert done == {"result": {"characters": 16000, "words": 4000, "lines": 2000}}
        assert states[-1] == ("PROGRESS", {"current": 16000, "total": 16000, "step": "counting"})
        assert child.run("words.count_file", "../a.txt")["error"]["type"] == "ValueError"
        assert child.run("words.count_file", "none")["error"]["type"] == "FileNotFoundError"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_task_costs_one_read_and_one_write(tmp_path):
    if is_sanitized():
        pytest.skip("the leak check does not run under strace")
    trace = tmp_path / "trace"
    with closing(Child([RUNNER, MODULES / "more.so"], wrap=["strace", "-o", str(trace)])) as child:
        if child.line() is None:
            pytest.skip("strace may not trace here")
        for _ in range(10):
            assert child.run("more.nothing") == {"result": None}
        child.send({"stop": {}})
        child.wait()
    calls = re.findall(r"^(\w+)\(", trace.read_text().partition('sendto(3, "{\\"hello')[2], re.M)
    assert calls == ["read", "sendto"] * 10 + ["read", "exit_group"]


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="needs /proc/PID/smaps_rollup")
def test_an_idle_child_is_small():
    if is_sanitized():
        pytest.skip("the sanitizer needs more")
    with closing(Child([RUNNER, WORDS])) as child:
        child.frame()
        text = open(f"/proc/{child.process.pid}/smaps_rollup", encoding="ascii").read()
        assert int(re.search(r"^Pss:\s+(\d+) kB", text, re.M)[1]) < 3 * 1024
