"""The frames between a worker and this process: one JSON object a line, on a socket that only this module knows."""

import os
import stat
from _thread import allocate_lock

from ._codec import decode

# Enough for nearly every frame in one read; longer lines are read in bigger pieces.
_READ_SIZE = 1 << 16
_READ_MORE = 1 << 20


class ProtocolError(Exception):
    """The worker sent something that is no frame. There is nothing to resume from."""


class TaskInputError(Exception):
    """A run frame whose arguments Python cannot read, such as a number of 5000 digits. Only its task fails."""

    def __init__(self, id, cause):
        super().__init__(str(cause))
        self.id = id
        self.cause = cause


class Channel:
    def __init__(self, fd):
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise OSError(f"fd {fd} is not a socket")
        os.set_inheritable(fd, False)
        self._fd = fd
        self._lock = allocate_lock()
        self._rest = b""
        self.task = None  # the id of the one that may speak of itself
        self.decode = decode  # JSON text to values; whoever hosts tasks of another framework sets its own
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self):
        # A process that a task forks must not speak for the task; one that such a process forks has nothing left to forget.
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def is_ours(self):
        return self._fd >= 0

    def send(self, frame, task=None):
        """Writes one frame (text without its newline). Any thread may call it; frames do not mix. A frame of a `task` that is over
        goes nowhere: a thread that it left behind has come too late with it."""
        data = frame.encode() + b"\n"
        with self._lock:
            if task is not None and task != self.task:
                return
            self._write(data)

    def send_last(self, frame):
        """The task's done frame."""
        data = frame.encode() + b"\n"
        with self._lock:
            self.task = None
            self._write(data)

    def _write(self, data):
        sent = os.write(self._fd, data)
        while sent < len(data):
            sent += os.write(self._fd, memoryview(data)[sent:])

    def read(self):
        """The next frame as (kind, fields); None when the worker has gone. Waits."""
        line = self._line()
        return None if line is None else parse(line, self.decode)

    def peek(self):
        """The frames that have arrived so far; they stay for read()."""
        import select
        ready = select.poll()
        ready.register(self._fd, select.POLLIN)
        while ready.poll(0):
            data = os.read(self._fd, _READ_MORE)
            if not data:
                break
            self._rest += data
        return [parse(line) for line in self._rest.split(b"\n")[:-1]]

    def _line(self):
        line, newline, rest = self._rest.partition(b"\n")
        if newline:
            self._rest = rest
            return line
        parts = [line]
        size = _READ_SIZE
        while True:
            data = os.read(self._fd, size)
            if not data:
                return None
            line, newline, rest = data.partition(b"\n")
            parts.append(line)
            if newline:
                self._rest = rest
                return b"".join(parts)
            size = _READ_MORE


_RUN_START = '{"run":{"id":'


def parse(line, decode=decode):
    """("run", fields), ("cancel", fields), ("route", fields) or ("stop", fields) from one line of bytes."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ProtocolError(f"a frame that is not UTF-8: {exc}") from None
    try:
        frame = decode(text)
    except Exception as exc:  # a framework's decoder may raise what it likes
        id = _id_of(text)
        if id is None:
            raise ProtocolError(f"a line that is no JSON: {exc}") from None
        raise TaskInputError(id, exc) from None
    if not isinstance(frame, dict) or len(frame) != 1:
        raise ProtocolError("a line that is no object with one key")
    (kind, fields), = frame.items()
    wanted = _FIELDS.get(kind)
    if wanted is None or not isinstance(fields, dict):
        raise ProtocolError(f"a frame of unknown kind {kind!r}")
    for key, of_type in wanted:
        value = fields.get(key)
        if not isinstance(value, of_type) or (of_type is str and not value):
            raise ProtocolError(f"a {kind} frame without a valid {key!r}")
    return kind, fields


_FIELDS = {
    "run": (("id", str), ("name", str), ("args", list), ("kwargs", dict), ("request", dict)),
    "cancel": (("id", str), ("reason", (str, type(None)))),
    "stop": (),
    "route": (("id", str), ("calls", list)),
}


def _id_of(text):
    # Workers write the id first, so it can be had when the rest is unreadable.
    if not text.startswith(_RUN_START):
        return None
    from json.decoder import scanstring
    try:
        id, _ = scanstring(text, len(_RUN_START) + 1)
    except ValueError:
        return None
    return id or None
