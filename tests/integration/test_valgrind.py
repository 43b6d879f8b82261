"""A worker under valgrind: after many tasks nothing is leaked, read before it was written, or touched after it was freed."""
import json
import os
import shutil
import socket
import struct
import threading

import pytest

from harness import BUILD, C_TASKS, WARREN
from warren_servers import wait_until

SHIM = os.path.join(BUILD, "tests", "integration", "pidfd.so")
TASKS = 10000
VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect,possible"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900),
              pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")]


@pytest.fixture
def pidfd_opener(tmp_path):
    """The other side of pidfd.c; the path of its socket."""
    path = str(tmp_path / "pidfd.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)

    def serve():
        while True:
            asker, _ = listener.accept()
            with asker:
                pid, = struct.unpack("i", asker.recv(4))
                if pid == 0:
                    return
                fd = os.pidfd_open(pid)
                socket.send_fds(asker, [b"x"], [fd])
                os.close(fd)
    thread = threading.Thread(target=serve)
    thread.start()
    yield path
    with socket.socket(socket.AF_UNIX) as last:
        last.connect(path)
        last.sendall(struct.pack("i", 0))
    thread.join()
    listener.close()


@pytest.mark.parametrize("tasks", [["--module", C_TASKS], ["-A", "tasks"]], ids=["c", "python"])
def test_ten_thousand_tasks_leak_nothing(site, warren, programs, pidfd_opener, tasks):
    env = site.env(PIDFD_SOCKET=pidfd_opener, LD_PRELOAD=SHIM)
    worker = programs("valgrind", [*VALGRIND, WARREN, "worker", *tasks, "-c", "4", "-n", "v@h", "-l", "warning"], env)
    worker.wait_line(r"\[tasks\]", timeout_s=120)
    ids = warren("send", "--file", "-", timeout_s=120, input="".join(
        json.dumps({"task": "add", "args": [i, 1], "queue": "celery"}) + "\n" for i in range(TASKS))).stdout.split()
    assert len(set(ids)) == TASKS
    wait_until(lambda: site.redis.dbsize() >= TASKS, 600, lambda: "%d results of %d" % (site.redis.dbsize(), TASKS), every_s=0.5)
    site.wait_empty()
    assert all(json.loads(site.meta(i))["status"] == "SUCCESS" for i in ids)
    assert worker.stop(timeout_s=120) == 0, worker.output()
