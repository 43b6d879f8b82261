"""Imports once, then forks a child whenever the worker asks for one: it starts in milliseconds and shares memory.

    worker -> fork (+ channel, stdout, stderr) -> forked (+ pidfd) ... exited -> worker -> reap

The template itself runs no task. docs/runner-protocol.md has its frames.
"""

import ctypes
import gc
import os
import resource
import select
import signal
import socket
import stat
import sys

from ._channel import ProtocolError
from ._child import exit_code_of, serve
from ._codec import decode, encode
from ._loop import Loop, hello_frame

_PR_SET_PDEATHSIG = 1
_FDS_OF_CHILD = 3


class Template:
    def __init__(self, fd):
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise OSError(f"fd {fd} is not a socket")
        os.set_inheritable(fd, False)
        self._fd = fd
        self._socket = socket.socket(fileno=fd)
        self._rest = b""
        self._fds = []
        self._children = {}  # pidfd: (pid, slot)
        self._ended = {}  # slot: pid; the worker has yet to let go of their numbers
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._is_stopping = False
        self._has_warned = False
        self._application = None

    def serve(self, application):
        """Until the worker says stop and all children have ended, or until it goes away."""
        self._application = application
        if application is not None:
            application.begin()
        # What lives now stays for ever: the collector need not look at it again, and so it stays shared.
        gc.collect()
        gc.freeze()
        unsafe = _unsafe()
        more = ',"template":true' + (f',"unsafe":{encode(unsafe)}' if unsafe else "")
        self._send(hello_frame(None if application is None else application.tasks, more))
        if application is not None:
            application.ready()
        while not (self._is_stopping and not self._children and not self._ended):
            for fd, _ in self._poll.poll():
                if fd in self._children:
                    self._reap(fd)
                elif not self._read():
                    # Nobody is left to serve; the children see the same and are killed with this process if they hang.
                    return
        if application is not None:
            application.end()

    # --- what the worker says -----------------------------------------------------------------------------------------

    def _read(self):
        data, fds, _, _ = socket.recv_fds(self._socket, 1 << 16, 64)
        self._fds += fds
        if not data:
            return False
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._take(line)
        return True

    def _take(self, line):
        try:
            (kind, fields), = decode(line.decode()).items()
            slot = fields["slot"] if kind in ("fork", "reap") else None
        except (ValueError, AttributeError, TypeError, KeyError) as exc:
            raise ProtocolError(f"a line that is no frame: {exc!r}") from None
        if kind == "stop":
            self._is_stopping = True
            return
        if kind == "reap":
            pid = self._ended.pop(slot, None)
            if pid is not None:
                os.waitpid(pid, 0)
            return
        if kind != "fork":
            raise ProtocolError(f"a frame of unknown kind {kind!r} to a template")
        if len(self._fds) < _FDS_OF_CHILD:
            raise ProtocolError("a fork frame without the three descriptors of its child")
        fds, self._fds = self._fds[:_FDS_OF_CHILD], self._fds[_FDS_OF_CHILD:]
        self._fork(slot, fields, fds)

    def _send(self, frame, fds=()):
        data = frame.encode() + b"\n"
        sent = socket.send_fds(self._socket, [data], fds) if fds else self._socket.send(data)
        if sent < len(data):
            self._socket.sendall(data[sent:])

    # --- children -----------------------------------------------------------------------------------------------------

    def _fork(self, slot, fields, fds):
        self._warn()
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as exc:
            self._send(f'{{"failed":{{"slot":{encode(slot)},"error":{encode(f"fork: {exc.strerror}")}}}}}')
            pid = None
        if pid == 0:
            self._be_child(fields, fds)
        for fd in fds:
            os.close(fd)
        if pid is None:
            return
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = (pid, slot)
        self._poll.register(pidfd, select.POLLIN)
        self._send(f'{{"forked":{{"slot":{encode(slot)},"pid":{pid}}}}}', [pidfd])

    def _reap(self, pidfd):
        """Tells how it ended. It stays a zombie until the worker says so, for the worker signals its group by number."""
        pid, slot = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self._ended[slot] = pid
        code, signum = (info.si_status, "null") if info.si_code == os.CLD_EXITED else ("null", info.si_status)
        self._send(f'{{"exited":{{"slot":{encode(slot)},"pid":{pid},"code":{code},"signal":{signum}}}}}')

    def _be_child(self, fields, fds):
        code = 1
        try:
            self._become(fields, fds)
            code = self._serve()
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()
                except Exception:
                    pass  # a task closed or replaced it, or the worker has gone; nothing is left to say it to
            # Not sys.exit: what the template was doing is not the child's to go on with.
            os._exit(code)

    def _become(self, fields, fds):
        """The process that the protocol promises a child: its own session, channel on 3, output captured."""
        parent = os.getppid()
        _die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        os.setsid()
        for pidfd in self._children:
            os.close(pidfd)
        self._socket.detach()
        for fd, number in zip(fds, (self._fd, 1, 2)):
            os.dup2(fd, number)
            os.close(fd)
        for fd in self._fds:
            os.close(fd)
        os.environ.update(fields.get("env") or {})
        if fields.get("rlimit_as"):
            resource.setrlimit(resource.RLIMIT_AS, (fields["rlimit_as"],) * 2)

    def _serve(self):
        if self._application is not None:
            self._application.after_fork()
        return exit_code_of(serve, Loop(self._fd), self._application, True)

    def _warn(self):
        """Once, of threads: they do not survive a fork. Often they need not; Celery's processes are forked likewise."""
        if self._has_warned:
            return
        threading = sys.modules.get("threading")
        if threading is not None and threading.active_count() > 1:
            self._has_warned = True
            names = ", ".join(sorted(thread.name for thread in threading.enumerate() if thread is not threading.main_thread()))
            print(f"warren_runner: the application has started threads ({names}), which forked children do not have; if they are "
                  "missed: --no-fork, or fork: false of the pool", file=sys.stderr)


def _unsafe():
    """Why a forked child cannot work, or None."""
    cuda = sys.modules.get("torch.cuda")
    if cuda is not None and getattr(cuda, "is_initialized", bool)():
        return "the application has initialised CUDA, which forked children cannot use"
    return None


def _die_with_parent():
    # As a child that the worker itself starts; Python has no call for it.
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


_prctl = ctypes.CDLL(None, use_errno=True).prctl
