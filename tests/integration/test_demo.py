"""./bootstrap demo: what it prints, and whose folder it takes."""
import fcntl
import importlib.machinery
import importlib.util
import os
import pty
import signal
import struct
import subprocess
import sys
import termios

import pytest

from harness import BUILD, SLOW, TOP
from warren_servers import Failed, wait_until

DEMO = os.path.join(TOP, "examples", "demo", "demo")


@pytest.fixture(scope="module")
def demo():
    loader = importlib.machinery.SourceFileLoader("demo", DEMO)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("demo", loader))
    loader.exec_module(module)
    return module


def test_two_at_a_time_have_a_folder_each(demo, tmp_path):
    path = str(tmp_path / "demo")
    (out, held), (out2, held2) = demo.claim(path, True), demo.claim(path, True)
    assert (out, out2) == (path, path + "-2")
    (tmp_path / "demo" / "index").mkdir()
    os.close(held)
    out, held = demo.claim(path, True)
    assert out == path and os.listdir(path) == []
    os.close(held)
    os.close(held2)


def test_a_folder_that_was_given_is_emptied_only_if_a_demo_filled_it(demo, tmp_path):
    other = tmp_path / "letters"
    other.mkdir()
    (other / "warren.yaml").write_text("pools: {}\n")
    with pytest.raises(Failed, match="something else"):
        demo.claim(str(other), False)
    assert os.listdir(other) == ["warren.yaml"]
    one = demo.Demo(BUILD, str(tmp_path / "own"))
    one.prepare()
    os.close(one.held)
    out, held = demo.claim(str(tmp_path / "own"), False)
    assert os.listdir(out) == []
    os.close(held)


def test_the_table_fits_a_terminal_of_80_columns(demo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    one = demo.Demo(BUILD, str(tmp_path / "demo"))
    one.prepare()
    one.started = {"warren": 0.0, "celery": 0.0}
    one.tasks = demo.make_tasks("warren") + demo.make_tasks("celery")
    for t in one.tasks:
        t.meta = {"status": "SUCCESS", "worker": "w1@host", "date_done": "1970-01-01T00:01:39.1"}
    one.print_table()
    os.close(one.held)
    table = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert len(table) == 8 and "400  SUCCESS" in table[-1] and max(map(len, table)) <= 80


def test_an_interrupt_leaves_nothing_behind(tmp_path):
    """On a terminal, while the servers start: what it started has its mark in the environment."""
    terminal, end = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    mark = "WARREN_TEST_MARK=%d" % os.getpid()
    env = dict(os.environ, WARREN_TEST_MARK=str(os.getpid()), TMPDIR=str(tmp_path))
    run = subprocess.Popen([sys.executable, DEMO, "--builddir", BUILD, "--out", str(tmp_path / "out")], stdin=end, stdout=end, stderr=end,
                           env=env, start_new_session=True)
    os.close(end)
    wait_until(lambda: len(marked(mark)) > 2, 30 * SLOW, "servers that start")
    run.send_signal(signal.SIGINT)
    assert run.wait(30 * SLOW) == 128 + signal.SIGINT
    wait_until(lambda: marked(mark) == [], 5 * SLOW, lambda: "their end: %s" % marked(mark))
    assert os.listdir(tmp_path) == ["out"]
    os.close(terminal)


def marked(mark):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % pid, "rb") as f:
                if mark.encode() in f.read().split(b"\0"):
                    found.append(int(pid))
        except OSError:
            pass  # it has ended, or is another user's
    return found


@pytest.mark.slow
def test_it_runs_to_its_end(tmp_path):
    out = tmp_path / "with a blank"
    done = subprocess.run([sys.executable, DEMO, "--builddir", BUILD, "--out", str(out)], capture_output=True, text=True, timeout=150 * SLOW)
    assert done.returncode == 0 and done.stderr == ""
    assert "400  SUCCESS" in done.stdout and "bees.txt" in done.stdout
    assert len((out / "results.ndjson").read_text().splitlines()) == 400
