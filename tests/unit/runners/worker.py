"""The worker's side of the runner protocol, as small as tests need it."""

import contextlib
import functools
import json
import os
import pathlib
import select
import socket
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[3]
PYTHON_RUNNER = TOP / "src" / "runners" / "python"
MODULES = pathlib.Path(__file__).resolve().parent / "modules"
CELERY_APPS = pathlib.Path(__file__).resolve().parent / "celery_apps"
VECTORS = TOP / "tests" / "vectors" / "run"
TIMEOUT = 20


class Child:
    """A runner on a socketpair, as fd 3, with its output in pipes."""

    def __init__(self, argv, cwd=None, env=None, wrap=()):
        ours, theirs = socket.socketpair()
        number = theirs.fileno()
        self.process = subprocess.Popen(
            [*wrap, *argv], pass_fds=(3,), preexec_fn=lambda: os.dup2(number, 3), cwd=cwd, env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        theirs.close()
        ours.settimeout(TIMEOUT)
        self.socket = ours
        self._rest = b""
        self._next_id = 0

    def close(self):
        self.socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(TIMEOUT)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def send(self, frame):
        self.socket.sendall(json.dumps(frame, separators=(",", ":")).encode() + b"\n")

    def send_run(self, name, *args, id=None, kwargs=None, **request):
        """Sends a run frame with its keys in the order of a worker; returns the task's id."""
        if id is None:
            self._next_id += 1
            id = f"task-{self._next_id}"
        fields = {"id": id, "task": name, "root_id": id, "parent_id": None, "group": None, "retries": 0, "eta": None,
                  "hostname": "w1@host", "delivery_info": {"exchange": "", "routing_key": "celery"}, "headers": {}}
        fields.update(request)
        self.send({"run": {"id": id, "name": name, "args": list(args), "kwargs": kwargs or {}, "request": fields}})
        return id

    def line(self):
        """The next line as bytes; None when the child closed its end."""
        while b"\n" not in self._rest:
            data = self.socket.recv(1 << 20)
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def frame(self):
        line = self.line()
        assert line is not None, f"the child closed its channel; stderr: {self.errors()}"
        return json.loads(line)

    def run(self, name, *args, **more):
        """Runs one task; returns the fields of its done frame without the id."""
        states, done = self.run_states(name, *args, **more)
        return done

    def run_states(self, name, *args, **more):
        id = self.send_run(name, *args, **more)
        return self.finish(id)

    def finish(self, id):
        states = []
        while True:
            (kind, fields), = self.frame().items()
            assert fields.pop("id") == id
            if kind == "done":
                return states, fields
            assert kind == "state"
            states.append((fields["state"], fields["meta"]))

    def is_silent(self):
        """Whether no frame is waiting."""
        return not self._rest and not select.select([self.socket], [], [], 0)[0]

    def output(self):
        """What is in stdout now; the child need not have ended."""
        os.set_blocking(self.process.stdout.fileno(), False)
        return (self.process.stdout.read() or b"").decode()

    def errors(self):
        """All of stderr, once the child has ended."""
        return self.process.stderr.read().decode()

    def wait(self):
        return self.process.wait(TIMEOUT)


def python_child(*modules, cwd=MODULES, env=None, wrap=(), arguments=None, python=sys.executable):
    if arguments is None:
        arguments = [part for module in modules for part in ("-A", module)]
    path = {"PYTHONPATH": str(PYTHON_RUNNER), "PYTHONDONTWRITEBYTECODE": "1"}
    return Child([python, "-m", "warren_runner", *arguments], cwd=cwd, env={**path, **(env or {})}, wrap=wrap)


@functools.cache
def python_with_celery():
    """This Python or the distribution's, whichever has Celery; None when neither has."""
    for python in (sys.executable, "/usr/bin/python3"):
        found = subprocess.run([python, "-c", "import celery"], capture_output=True, check=False)
        if found.returncode == 0:
            return python
    return None


@contextlib.contextmanager
def closing(child):
    try:
        yield child
    finally:
        child.close()
